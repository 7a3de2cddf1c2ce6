// Every key of the page: a registry of what can be done, which keys do it, and what the volunteer has changed.
// Keys of one character can be switched off or given to something else (WCAG 2.1.4).

/** Where a key works: everywhere on the page, or while the focus is inside the element that the scope names. */
export type Scope = "page" | "viewer" | "drawing";

export interface Action {
  /** Stable: the volunteer's own keys are kept under it. */
  id: string;
  /** What it does, in the page's language. */
  label: string;
  /** Heading in the list of keys, in the page's language. */
  group: string;
  /** Such as `s`, `?`, `ArrowLeft`, `Alt+z`; a capital letter is a letter with shift. */
  defaultKeys: readonly string[];
  /** Does it. Returns false when there was nothing to do, so that the browser may have the key. */
  run: () => unknown;
  /** "page" unless told otherwise. */
  scope?: Scope;
  /** Whether a key held down does it again and again; one that answers must not. */
  repeats?: boolean;
}

interface Choices {
  /** False: keys of one character do nothing. */
  characters: boolean;
  /** Action → its keys, where they are not the defaults. */
  keys: Record<string, string[]>;
}

/** A key that the volunteer wanted and that already does something else. */
export interface Conflict {
  key: string;
  other: Action;
}

const STORAGE_KEY = "esocs.keys";
/** What a focused control does with keys itself. */
const PRESSING = new Set(["Enter", " "]);
const MOVING = /^(Arrow|Home$|End$|Page)/;
const NOT_TYPED = "[type=button], [type=submit], [type=checkbox], [type=radio], [type=range], [type=color]";

/** A key press as it is written in a registry: modifiers in a fixed order, then the key. */
export function keyOf(event: KeyboardEvent): string {
  const character = isCharacter(event.key);
  const parts = [
    event.ctrlKey ? "Ctrl" : "",
    event.altKey ? "Alt" : "",
    event.metaKey ? "Meta" : "",
    event.shiftKey && !character ? "Shift" : "",
    event.key,
  ];
  return parts.filter(Boolean).join("+");
}

/** Whether a key is a letter, digit or sign without Ctrl, Alt or Meta. */
export function isCharacter(key: string): boolean {
  // One code point: all names of keys are longer, and a dead or composed character is a character too.
  return key !== " " && key.length === String.fromCodePoint(key.codePointAt(0) ?? 0).length;
}

/** Whether the focused control needs the key for itself. */
function isControls(target: EventTarget | null, key: string): boolean {
  if (!(target instanceof HTMLElement)) return false;
  const writes = key.length === 1 || !/^(Ctrl|Alt|Meta)\+/.test(key);
  if (target.matches("textarea, select, [contenteditable]")) return writes;
  if (target instanceof HTMLInputElement && !target.matches(NOT_TYPED)) return writes;
  if (target.matches("[type=range], [type=radio], [role=slider], [role=listbox], [role=tab]"))
    return MOVING.test(key) || key === " ";
  return PRESSING.has(key) && target.matches("button, a[href], summary, input, [role=button]");
}

export class Keyboard {
  private readonly actions = new Map<string, Action>();
  private readonly listeners = new Set<() => void>();
  private choices: Choices;

  /** `scopes`: the element whose focus makes a scope's keys work. */
  constructor(private readonly scopes: Partial<Record<Scope, Element>> = {}) {
    this.choices = readChoices();
    document.addEventListener("keydown", (event) => {
      this.press(event);
    });
    addEventListener("storage", (event) => {
      if (event.key !== STORAGE_KEY) return;
      this.choices = readChoices();
      this.tell();
    });
  }

  /** Enter actions, in the order of the list; the same id again replaces. Returns what takes them out. */
  register(actions: readonly Action[]): () => void {
    for (const action of actions) this.actions.set(action.id, action);
    this.tell();
    return () => {
      for (const action of actions)
        if (this.actions.get(action.id) === action) this.actions.delete(action.id);
      this.tell();
    };
  }

  get all(): Action[] {
    return [...this.actions.values()];
  }

  /** Do what an action does, as its key would. */
  run(id: string): void {
    if (!document.querySelector("dialog[open]")) this.actions.get(id)?.run();
  }

  /** The keys that do something at present, for captions and `aria-keyshortcuts`; none when switched off. */
  keysOf(id: string): readonly string[] {
    const action = this.actions.get(id);
    const keys: readonly string[] = action ? this.chosen(action) : [];
    return this.choices.characters ? keys : keys.filter((key) => !isCharacter(key));
  }

  /** The keys that were chosen for an action or are its own, though they may be switched off. */
  chosen(action: Action): readonly string[] {
    return this.choices.keys[action.id] ?? action.defaultKeys;
  }

  /** Give an action one key instead of those it has; the conflict, if another action of its scope has that key. */
  assign(id: string, key: string): Conflict | null {
    const action = this.actions.get(id);
    if (!action) return null;
    const other = this.all.find(
      (each) => each.id !== id && scopeOf(each) === scopeOf(action) && this.chosen(each).includes(key),
    );
    if (other) return { key, other };
    this.change({ ...this.choices, keys: { ...this.choices.keys, [id]: [key] } });
    return null;
  }

  /** Take a key from whoever has it in the action's scope, then give it. */
  takeOver(id: string, key: string): void {
    const conflict = this.assign(id, key);
    if (!conflict) return;
    const left = this.chosen(conflict.other).filter((each) => each !== key);
    this.change({ ...this.choices, keys: { ...this.choices.keys, [conflict.other.id]: left } });
    this.takeOver(id, key);
  }

  resetKeys(): void {
    this.change({ characters: true, keys: {} });
  }

  get charactersOn(): boolean {
    return this.choices.characters;
  }

  set charactersOn(on: boolean) {
    this.change({ ...this.choices, characters: on });
  }

  /** Called after every change of actions or keys. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private press(event: KeyboardEvent): void {
    if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
    const key = keyOf(event);
    if (isControls(event.target, key)) return;
    const action = this.find(key) ?? this.find(otherCase(key));
    if (!action || (event.repeat && !action.repeats)) return;
    if (action.run() !== false) event.preventDefault();
  }

  /** What a key does now: inside a scope its own actions come first. */
  private find(key: string): Action | undefined {
    if (isCharacter(key) && !this.choices.characters) return undefined;
    const meant = this.all.filter(
      (action) => this.chosen(action).includes(key) && this.isActive(scopeOf(action)),
    );
    return meant.find((action) => scopeOf(action) !== "page") ?? meant[0];
  }

  private isActive(scope: Scope): boolean {
    return scope === "page" || (this.scopes[scope]?.contains(document.activeElement) ?? false);
  }

  private change(choices: Choices): void {
    this.choices = choices;
    try {
      localStorage.setItem(STORAGE_KEY, JSON.stringify(choices));
    } catch {
      // No storage: the keys are the volunteer's own until the page is left.
    }
    this.tell();
  }

  private tell(): void {
    for (const listener of this.listeners) listener();
  }
}

function scopeOf(action: Action): Scope {
  return action.scope ?? "page";
}

/** With caps lock on, an `s` arrives as `S`. */
function otherCase(key: string): string {
  if (!isCharacter(key)) return key;
  return key === key.toLowerCase() ? key.toUpperCase() : key.toLowerCase();
}

function readChoices(): Choices {
  const choices: Choices = { characters: true, keys: {} };
  try {
    const stored = JSON.parse(localStorage.getItem(STORAGE_KEY) ?? "{}") as Record<string, unknown>;
    choices.characters = stored.characters !== false;
    for (const [id, keys] of Object.entries((stored.keys ?? {}) as Record<string, unknown>))
      if (Array.isArray(keys)) choices.keys[id] = keys.filter((key) => typeof key === "string");
  } catch {
    // Nothing stored, or nothing of ours.
  }
  return choices;
}
