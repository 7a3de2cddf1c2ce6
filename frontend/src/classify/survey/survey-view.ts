// A survey: what of a list is seen on the subject, and what is asked about each thing that was found. One may find
// several. The codes of choices and answers are sent, as Panoptes does it.

import "./survey.css";
import { t, tn } from "../../shared/i18n";
import { inline } from "../tasks/markdown";
import type { Choice, Task } from "../tasks/types";
import { AskedView, button, keyCap, type TaskContext } from "../tasks/view";
import { ChoicePanel, picture, questionsAbout } from "./choice-panel";
import { Filters } from "./filters";

export interface Identification {
  choice: string;
  answers: Record<string, string | string[]>;
  filters: Record<string, string>;
}

/** With more choices than this, one may look for a name. */
const SEARCHED = 12;

export class SurveyView extends AskedView {
  private found: Identification[] = [];
  private readonly filters: Filters;
  private readonly search = document.createElement("input");
  private readonly list = document.createElement("div");
  private readonly grid = document.createElement("div");
  private readonly none = document.createElement("p");
  private readonly foundList = document.createElement("ul");
  private readonly buttons = new Map<string, HTMLButtonElement>();
  private panel: ChoicePanel | null = null;

  constructor(task: Task, context: TaskContext) {
    super(task, context, t("What do you see?"));
    this.group();
    this.foundList.className = "found";
    this.foundList.setAttribute("aria-label", t("What you found"));
    this.filters = new Filters(task, context, () => {
      this.sift();
      context.onChoosers();
    });
    this.list.append(this.searchRow(), this.filters.element, this.grid, this.none);
    this.grid.className = "choices";
    this.none.className = "muted";
    for (const key of this.keys()) this.grid.append(this.choiceButton(key));
    this.fields.append(this.foundList, this.list);
    this.write(undefined);
  }

  get value(): Identification[] {
    return this.found;
  }

  write(value: unknown): void {
    const sent: unknown[] = Array.isArray(value) ? value : [];
    this.found = sent.flatMap((one) => {
      const { choice, answers, filters } = (one ?? {}) as Partial<Identification>;
      return choice !== undefined && this.choice(choice)
        ? [{ choice, answers: answers ?? {}, filters: filters ?? {} }]
        : [];
    });
    this.removePanel();
    this.search.value = "";
    this.filters.clear();
    this.sift();
    this.tell();
  }

  override missing(): string {
    if (this.panel)
      return t("Please finish with “{name}” first, or leave it.", { name: this.name(this.panel.choice) });
    return super.missing();
  }

  override focusMissing(): void {
    if (this.panel) this.panel.focus();
    else super.focusMissing();
  }

  override choosers(): HTMLElement[] {
    if (this.panel) return this.panel.choosers();
    return [...this.buttons.values()].filter((element) => !element.hidden);
  }

  summary(): string {
    return this.found.map(({ choice }) => this.name(choice)).join(", ") || t("nothing found");
  }

  private keys(): string[] {
    const all = Object.keys(this.task.choices ?? {});
    const ordered = (this.task.choicesOrder ?? []).filter((key) => all.includes(key));
    return [...ordered, ...all.filter((key) => !ordered.includes(key))];
  }

  private choice(key: string): Choice | undefined {
    return this.task.choices?.[key];
  }

  private name(key: string): string {
    return this.context.text(this.choice(key)?.label) || key;
  }

  private searchRow(): HTMLElement {
    const row = document.createElement("div");
    row.hidden = this.keys().length <= SEARCHED;
    this.search.type = "search";
    this.search.className = "input";
    this.search.placeholder = t("Look for a name");
    this.search.setAttribute("aria-label", t("Look for a name"));
    this.search.addEventListener("input", () => {
      this.sift();
      this.context.onChoosers();
    });
    row.append(this.search);
    return row;
  }

  private choiceButton(key: string): HTMLElement {
    const choice = this.choice(key);
    const element = button(keyCap(), "answer choice");
    const address = picture(this.task, choice?.images?.[0]);
    if (address) {
      const image = document.createElement("img");
      image.src = address;
      image.alt = "";
      image.loading = "lazy";
      image.decoding = "async";
      element.append(image);
    }
    const label = document.createElement("span");
    label.append(inline(this.name(key), { links: false }));
    element.append(label);
    element.addEventListener("click", () => {
      this.open(key);
    });
    this.buttons.set(key, element);
    return element;
  }

  /** A choice about which nothing is asked or told is taken, or given up, by one press. */
  private open(key: string): void {
    const choice = this.choice(key);
    if (!choice) return;
    const told = choice.description ?? choice.images?.[1] ?? Object.keys(choice.confusions ?? {})[0];
    if (told === undefined && questionsAbout(this.task, key).length === 0) {
      if (this.found.some((one) => one.choice === key)) this.drop(key);
      else this.take({ choice: key, answers: {}, filters: this.filters.chosen });
      return;
    }
    this.openPanel(key);
  }

  private openPanel(key: string): void {
    const known = this.found.find((one) => one.choice === key);
    this.panel?.element.remove();
    this.panel = new ChoicePanel(this.task, key, known?.answers ?? {}, this.context, {
      onTake: (answers) => {
        this.take({ choice: key, answers, filters: known?.filters ?? this.filters.chosen });
        this.closePanel(key);
      },
      onLeave: () => {
        this.closePanel(key);
      },
      onOther: (other) => {
        this.openPanel(other);
      },
    });
    this.list.hidden = true;
    this.fields.append(this.panel.element);
    this.panel.focus();
    this.context.onChoosers();
  }

  private closePanel(key: string): void {
    this.removePanel();
    this.context.onChoosers();
    this.buttons.get(key)?.focus({ preventScroll: true });
  }

  private removePanel(): void {
    this.panel?.element.remove();
    this.panel = null;
    this.list.hidden = false;
  }

  private take(identification: Identification): void {
    const alone = (key: string): boolean => this.task.exclusions?.includes(key) ?? false;
    const others = this.found.filter(
      ({ choice }) => choice !== identification.choice && !alone(choice) && !alone(identification.choice),
    );
    this.found = [...others, identification];
    this.context.announce(t("“{name}” is noted.", { name: this.name(identification.choice) }));
    this.tell();
    this.context.onChange();
  }

  private drop(key: string): void {
    this.found = this.found.filter(({ choice }) => choice !== key);
    this.context.announce(t("“{name}” is taken out.", { name: this.name(key) }));
    this.tell();
    this.context.onChange();
  }

  /** Show the choices that fit the filters and the name. */
  private sift(): void {
    const wanted = this.search.value.trim().toLocaleLowerCase();
    let shown = 0;
    for (const [key, element] of this.buttons) {
      const fits =
        this.filters.fits(this.choice(key)) &&
        (!wanted || this.name(key).toLocaleLowerCase().includes(wanted));
      element.hidden = !fits;
      if (fits) shown += 1;
    }
    this.none.hidden = shown > 0;
    this.none.textContent = shown > 0 ? "" : t("Nothing on the list is like that.");
    this.grid.classList.toggle("many", shown > 24 && this.task.alwaysShowThumbnails !== true);
    this.filters.tell(tn("one fits", "{count} fit", shown));
  }

  private tell(): void {
    for (const [key, element] of this.buttons) {
      const chosen = this.found.some(({ choice }) => choice === key);
      element.classList.toggle("chosen", chosen);
      element.setAttribute("aria-pressed", String(chosen));
    }
    this.foundList.hidden = this.found.length === 0;
    this.foundList.replaceChildren(...this.found.map((one) => this.foundItem(one)));
  }

  private foundItem({ choice }: Identification): HTMLElement {
    const item = document.createElement("li");
    const name = this.name(choice);
    const again = button(name, "button quiet small");
    again.setAttribute("aria-label", t("Change “{name}”", { name }));
    again.addEventListener("click", () => {
      this.openPanel(choice);
    });
    const out = button("×", "button quiet small");
    out.setAttribute("aria-label", t("Take out “{name}”", { name }));
    out.addEventListener("click", () => {
      this.drop(choice);
      this.buttons.get(choice)?.focus({ preventScroll: true });
    });
    item.append(again, out);
    return item;
  }
}
