// Questions with answers to choose from: one (single) or several (multiple). A single choice that stands alone is
// answered by one press and leads on at once.

import { t } from "../../shared/i18n";
import { inline } from "./markdown";
import type { Answer, Task } from "./types";
import { AskedView, button, keyCap, type TaskContext } from "./view";

/** Many short answers stand side by side; long ones below one another. */
function isCompact(labels: readonly string[]): boolean {
  return labels.length > 7 && labels.every((label) => label.length <= 18);
}

abstract class ChoiceView extends AskedView {
  protected readonly list = document.createElement("ol");
  protected readonly answers: Answer[];

  constructor(task: Task, context: TaskContext) {
    super(task, context);
    this.answers = task.answers ?? [];
    this.list.className = "answers";
    this.list.classList.toggle(
      "compact",
      isCompact(this.answers.map((answer) => context.text(answer.label))),
    );
    this.fields.append(this.list);
  }

  protected item(answer: Answer, content: HTMLElement): HTMLElement {
    const item = document.createElement("li");
    if (answer.unsure) item.className = "unsure";
    item.append(content);
    return item;
  }

  protected label(index: number): string {
    return this.context.text(this.answers[index]?.label);
  }
}

/** One press answers and goes on. */
export class InstantView extends ChoiceView {
  readonly instant = true;
  private chosen: number | null = null;
  private readonly buttons: HTMLButtonElement[];

  constructor(task: Task, context: TaskContext) {
    super(task, context);
    this.group();
    this.buttons = this.answers.map((answer, index) => {
      const element = button(keyCap(), "answer");
      element.dataset.answer = String(index);
      const label = document.createElement("span");
      label.append(inline(this.label(index), { links: false }));
      element.append(label);
      if (answer.unsure) element.dataset.unsure = "";
      element.addEventListener("click", () => {
        this.flash(element);
        this.mark(index);
        context.onAnswered(element);
      });
      return element;
    });
    this.answers.forEach((answer, index) => {
      const element = this.buttons[index];
      if (element) this.list.append(this.item(answer, element));
    });
  }

  get value(): number | null {
    return this.chosen;
  }

  write(value: unknown): void {
    this.mark(typeof value === "number" && this.buttons[value] ? value : null);
  }

  override choosers(): HTMLElement[] {
    return this.buttons;
  }

  summary(): string {
    return this.chosen === null ? "" : this.label(this.chosen);
  }

  private mark(chosen: number | null): void {
    this.chosen = chosen;
    this.buttons.forEach((element, index) => {
      element.classList.toggle("chosen", index === chosen);
      if (index === chosen) element.setAttribute("aria-current", "true");
      else element.removeAttribute("aria-current");
    });
  }

  private flash(element: HTMLElement): void {
    for (const other of this.buttons) other.classList.remove("given");
    // Reading a size restarts the animation when the same answer is given twice.
    element.getBoundingClientRect();
    element.classList.add("given");
  }
}

/** Radio buttons where a task stands beside others or inside a mark; check boxes where several answers may hold. */
export class PickView extends ChoiceView {
  private readonly inputs: HTMLInputElement[];
  private readonly many: boolean;

  constructor(task: Task, context: TaskContext) {
    super(task, context);
    this.many = task.type === "multiple";
    this.group(this.many ? "group" : "radiogroup");
    this.inputs = this.answers.map((answer, index) => {
      const input = document.createElement("input");
      input.type = this.many ? "checkbox" : "radio";
      input.name = this.id;
      input.dataset.answer = String(index);
      if (answer.unsure) input.dataset.unsure = "";
      input.addEventListener("change", () => {
        this.exclude(index);
        context.onChange();
      });
      const label = document.createElement("label");
      label.className = "answer pick";
      const words = document.createElement("span");
      words.append(inline(this.label(index), { links: false }));
      label.append(input, keyCap(), words);
      this.list.append(this.item(answer, label));
      return input;
    });
  }

  get value(): number | number[] | null {
    const chosen = this.inputs.flatMap((input, index) => (input.checked ? [index] : []));
    return this.many ? chosen : (chosen[0] ?? null);
  }

  write(value: unknown): void {
    const chosen: unknown[] = Array.isArray(value) ? value : [value];
    this.inputs.forEach((input, index) => {
      input.checked = chosen.includes(index);
    });
  }

  override choosers(): HTMLElement[] {
    return this.inputs;
  }

  summary(): string {
    const chosen = this.inputs.flatMap((input, index) => (input.checked ? [this.label(index)] : []));
    return chosen.join(", ") || t("none of them");
  }

  /** Whoever cannot tell has seen none of the other answers, and the other way round. */
  private exclude(index: number): void {
    if (!this.many || !this.inputs[index]?.checked) return;
    const unsure = this.answers[index]?.unsure === true;
    this.inputs.forEach((input, other) => {
      if (other !== index && (unsure || this.answers[other]?.unsure)) input.checked = false;
    });
  }
}
