// The list of keys, made from the registry, in which each can be changed.

import { t } from "../shared/i18n";
import { keyOf, type Action, type Keyboard } from "./keyboard";
import { DIRECTIONS, type Direction, type Swipes } from "./swipes";

const NAMES: Record<string, string> = {
  ArrowLeft: "←",
  ArrowRight: "→",
  ArrowUp: "↑",
  ArrowDown: "↓",
  Escape: "Esc",
};
/** Pressed alone they are the beginning of something. */
const MODIFIERS = new Set(["Shift", "Control", "Alt", "Meta", "CapsLock", "AltGraph", "Dead"]);

/** A key as people read it. */
export function keyName(key: string): string {
  const parts = key === "+" ? [key] : key.replace(/\+\+$/, "+Plus").split("+");
  return parts.map((part) => (part === " " ? t("Space") : (NAMES[part] ?? part))).join(" ");
}

export class KeysDialog {
  private readonly list: HTMLElement;
  private readonly status: HTMLElement;
  private readonly takeOver: HTMLButtonElement;
  private readonly characters: HTMLInputElement;
  /** The action that waits for its new key. */
  private waiting: Action | null = null;

  constructor(
    private readonly dialog: HTMLDialogElement,
    private readonly keyboard: Keyboard,
    private readonly swipes: Swipes,
  ) {
    this.list = this.find("[data-key-list]", HTMLElement);
    this.status = this.find("[data-key-status]", HTMLElement);
    this.takeOver = this.find("[data-key-take-over]", HTMLButtonElement);
    this.characters = this.find("[data-key-characters]", HTMLInputElement);
    this.characters.addEventListener("change", () => {
      keyboard.charactersOn = this.characters.checked;
      this.say(
        keyboard.charactersOn
          ? ""
          : t("Keys of one character are off. Tab, arrows and Enter work as before."),
      );
    });
    this.find("[data-key-reset]", HTMLButtonElement).addEventListener("click", () => {
      keyboard.resetKeys();
      swipes.reset();
      this.render();
      this.say(t("All keys are as they were in the beginning."));
    });
    dialog.addEventListener("keydown", (event) => {
      this.hear(event);
    });
    dialog.addEventListener("cancel", (event) => {
      if (this.waiting) event.preventDefault();
      this.stopWaiting();
    });
    keyboard.onChange(() => {
      if (dialog.open) this.render();
      writeKeysInPage(keyboard);
    });
    // Questions come and go, and keys pass from one to another; they are written before they are painted.
    new MutationObserver(() => {
      writeKeysInPage(keyboard);
    }).observe(document.querySelector(".task") ?? document.body, {
      childList: true,
      subtree: true,
      attributeFilter: ["data-action-key"],
    });
    writeKeysInPage(keyboard);
  }

  show(): void {
    this.waiting = null;
    this.say("");
    this.render();
    this.dialog.showModal();
  }

  private find<T extends Element>(selector: string, type: new () => T): T {
    const element = this.dialog.querySelector(selector);
    if (!(element instanceof type)) throw new Error(`The list of keys has no ${selector}.`);
    return element;
  }

  private render(): void {
    const focused = document.activeElement?.getAttribute("data-key-action");
    const groups = new Map<string, Action[]>();
    for (const action of this.keyboard.all)
      groups.set(action.group, [...(groups.get(action.group) ?? []), action]);
    this.list.replaceChildren(
      ...this.swiping(),
      ...[...groups].flatMap(([name, actions]) => {
        const heading = document.createElement("h3");
        heading.textContent = name;
        const list = document.createElement("ul");
        list.className = "key-list";
        list.append(...actions.map((action) => this.row(action)));
        return [heading, list];
      }),
    );
    this.characters.checked = this.keyboard.charactersOn;
    if (focused) this.buttonOf(focused)?.focus();
  }

  /** What swipes across the picture do: any answer, or what skips and takes back. */
  private swiping(): HTMLElement[] {
    const heading = document.createElement("h3");
    heading.textContent = t("Swiping");
    const list = document.createElement("ul");
    list.className = "key-list";
    const names: Record<Direction, string> = {
      left: t("Swipe to the left"),
      right: t("Swipe to the right"),
    };
    const actions = this.keyboard.all.filter((action) => /^(answer-\d|skip$|undo$)/.test(action.id));
    for (const direction of DIRECTIONS) {
      const item = document.createElement("li");
      const label = document.createElement("label");
      const select = document.createElement("select");
      select.className = "input";
      select.dataset.swipe = direction;
      select.append(new Option(t("nothing"), ""), ...actions.map((one) => new Option(one.label, one.id)));
      select.value = this.swipes.of(direction);
      select.addEventListener("change", () => {
        this.swipes.choose(direction, select.value);
      });
      label.append(names[direction], select);
      item.append(label);
      list.append(item);
    }
    return [heading, list];
  }

  private row(action: Action): HTMLElement {
    const item = document.createElement("li");
    const name = document.createElement("span");
    name.textContent = action.label;
    name.id = `key-name-${action.id}`;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "key-button";
    button.dataset.keyAction = action.id;
    const keys = this.keyboard.chosen(action);
    button.append(...(keys.length > 0 ? keys.map(caption) : [t("none")]));
    button.setAttribute(
      "aria-label",
      t("{action}: {keys}. Change", {
        action: action.label,
        keys: keys.length > 0 ? keys.map(keyName).join(", ") : t("none"),
      }),
    );
    button.addEventListener("click", () => {
      this.waitFor(action);
    });
    item.append(name, button);
    return item;
  }

  private waitFor(action: Action): void {
    this.stopWaiting();
    this.waiting = action;
    this.buttonOf(action.id)?.classList.add("waiting");
    this.say(t("Press the new key for “{action}”, or Escape to leave it.", { action: action.label }));
  }

  private stopWaiting(): void {
    this.waiting = null;
    for (const button of this.list.querySelectorAll(".waiting")) button.classList.remove("waiting");
    this.say("");
  }

  private hear(event: KeyboardEvent): void {
    const action = this.waiting;
    if (!action || MODIFIERS.has(event.key)) return;
    if (event.key === "Tab") {
      this.stopWaiting();
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    this.stopWaiting();
    if (event.key === "Escape") return;
    const key = keyOf(event);
    const conflict = this.keyboard.assign(action.id, key);
    if (!conflict) {
      this.say(t("“{action}” is now {key}.", { action: action.label, key: keyName(key) }));
      return;
    }
    this.say(
      t("{key} is the key for “{other}” already.", { key: keyName(key), other: conflict.other.label }),
    );
    this.takeOver.hidden = false;
    this.takeOver.textContent = t("Use {key} for “{action}” instead", {
      key: keyName(key),
      action: action.label,
    });
    this.takeOver.onclick = () => {
      this.keyboard.takeOver(action.id, key);
      this.say(t("“{action}” is now {key}.", { action: action.label, key: keyName(key) }));
      this.buttonOf(action.id)?.focus();
    };
    this.takeOver.focus();
  }

  private buttonOf(id: string): HTMLButtonElement | null {
    return this.list.querySelector(`[data-key-action="${CSS.escape(id)}"]`);
  }

  private say(text: string): void {
    this.takeOver.hidden = true;
    this.status.textContent = text;
  }
}

function caption(key: string): HTMLElement {
  const cap = document.createElement("kbd");
  cap.textContent = keyName(key);
  return cap;
}

/** Elements that name an action tell its keys: to screen readers, and in the <kbd> that they hold, if they do. */
function writeKeysInPage(keyboard: Keyboard): void {
  for (const element of document.querySelectorAll<HTMLElement>("[data-action-key], [data-view-action]")) {
    const keys = keyboard.keysOf(element.dataset.actionKey ?? element.dataset.viewAction ?? "");
    if (keys.length > 0) element.setAttribute("aria-keyshortcuts", keys.map(shortcut).join(" "));
    else element.removeAttribute("aria-keyshortcuts");
    const cap = element.querySelector("kbd");
    if (!cap) continue;
    const text = keys[0] === undefined ? "" : keyName(keys[0]);
    cap.hidden = text === "";
    // Only what differs is written: whoever watches the page for new buttons calls this.
    if (cap.textContent !== text) cap.textContent = text;
  }
}

/** As `aria-keyshortcuts` writes a key. */
function shortcut(key: string): string {
  return key
    .replace(/^Ctrl\+/, "Control+")
    .replace(/ $/, "Space")
    .replace(/\+$/, "Plus");
}
