// A volunteer's way through a workflow's tasks about one subject. Tasks may lead on to one another; the walk ends in a
// full set of annotations.

import type { Annotation, Task, Workflow } from "../types";
import type { Viewport } from "../viewport";
import type { TaskElements } from "./elements";

export interface TaskWalkEvents {
  /** Every question about this subject is answered; `summary` says the last answer in a few words. */
  onComplete(annotations: Annotation[], summary: string): void;
  /** Something was answered, changed or taken back. */
  onChange(): void;
}

/** What a key does on this page; `defaultKeys` as `KeyboardEvent.key` names them. */
export interface KeyAction {
  id: string;
  label: string;
  defaultKeys: string[];
  run: () => void;
}

const KEYED_ANSWERS = 9;

export class TaskWalk {
  private taskKey: string;
  private given: Annotation[] = [];
  private enabled = false;

  /** @param viewport What marks are drawn on; null on a page that shows nothing to draw on. */
  constructor(
    private readonly workflow: Workflow,
    private readonly elements: TaskElements,
    _viewport: Viewport | null,
    private readonly events: TaskWalkEvents,
  ) {
    this.taskKey = workflow.first_task;
    elements.back.addEventListener("click", () => {
      this.back();
    });
    elements.answers.addEventListener("click", (event) => {
      const button = (event.target as Element).closest<HTMLButtonElement>("button[data-answer]");
      if (button) this.choose(Number(button.dataset.answer));
    });
    this.render();
  }

  /** What was answered so far about this subject. */
  get annotations(): Annotation[] {
    return this.given.map((annotation) => ({ ...annotation }));
  }

  /** What keys do while tasks are asked; digits answer by `choose`. */
  get keyActions(): KeyAction[] {
    return [
      {
        id: "task.back",
        label: "Back to the previous question",
        defaultKeys: ["b"],
        run: () => {
          this.back();
        },
      },
    ];
  }

  /** Begin again at the first question, for a new subject. */
  restart(): void {
    this.given = [];
    if (this.taskKey !== this.workflow.first_task) this.goTo(this.workflow.first_task);
    this.elements.back.hidden = true;
  }

  /** Take up answers that were given before, at the last question of their path, so that they can be changed. */
  restore(annotations: Annotation[]): void {
    this.given = annotations.slice(0, -1).map((annotation) => ({ ...annotation }));
    this.goTo(annotations.at(-1)?.task ?? this.workflow.first_task);
  }

  /** Answers are taken only while there is something to look at. */
  setEnabled(enabled: boolean): void {
    if (this.enabled === enabled) return;
    this.enabled = enabled;
    // aria-disabled keeps the focus where it is; `disabled` would throw it to the top of the page.
    for (const button of this.buttons()) button.setAttribute("aria-disabled", String(!enabled));
  }

  /** Give the answer at `index`; false when there is none or nothing is being asked. */
  choose(index: number): boolean {
    const task = this.task;
    const answer = task?.answers?.[index];
    if (!this.enabled || !task || !answer) return false;
    this.flash(index);
    this.given.push({ task: this.taskKey, value: index });
    const next = answer.next ?? task.next;
    this.events.onChange();
    if (next && this.workflow.tasks[next] && !this.given.some((given) => given.task === next))
      this.goTo(next);
    else this.events.onComplete(this.annotations, this.text(answer.label));
    return true;
  }

  /** Back to the question before; its answer is taken back. */
  back(): void {
    const last = this.given.pop();
    if (!last) return;
    this.goTo(last.task);
    this.events.onChange();
  }

  /** Move the keyboard's focus among the answers. */
  moveFocus(step: number): void {
    const buttons = this.buttons();
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    const to = at < 0 ? (step > 0 ? 0 : buttons.length - 1) : (at + step + buttons.length) % buttons.length;
    buttons[to]?.focus();
  }

  private get task(): Task | undefined {
    return this.workflow.tasks[this.taskKey];
  }

  private buttons(): HTMLButtonElement[] {
    return [...this.elements.answers.querySelectorAll<HTMLButtonElement>("button[data-answer]")];
  }

  private text(key: string | undefined): string {
    return key === undefined ? "" : (this.workflow.strings[key] ?? key);
  }

  private goTo(taskKey: string): void {
    this.taskKey = taskKey;
    this.render();
  }

  private flash(index: number): void {
    for (const button of this.buttons()) button.classList.remove("given");
    const button = this.buttons()[index];
    if (!button) return;
    // Reading a size restarts the animation when the same answer is given twice.
    button.getBoundingClientRect();
    button.classList.add("given");
  }

  private render(): void {
    const { question, help, answers, back } = this.elements;
    question.textContent = this.text(this.task?.question);
    const helpKey = this.task?.help;
    const helpText = helpKey === undefined ? "" : (this.workflow.strings[helpKey] ?? "");
    help.textContent = helpText;
    help.hidden = helpText === "";
    back.hidden = this.given.length === 0;
    answers.replaceChildren(
      ...(this.task?.answers ?? []).map((answer, index) => this.answerButton(answer.label, index)),
    );
    if (!this.task?.answers) answers.textContent = "This kind of question cannot be shown on this page yet.";
  }

  private answerButton(labelKey: string, index: number): HTMLElement {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "answer";
    button.dataset.answer = String(index);
    button.setAttribute("aria-disabled", String(!this.enabled));
    if (index < KEYED_ANSWERS) {
      // The keyboard writes the answer's key into it.
      button.dataset.actionKey = `answer-${index + 1}`;
      const cap = document.createElement("kbd");
      cap.setAttribute("aria-hidden", "true");
      button.append(cap);
    }
    const label = document.createElement("span");
    label.textContent = this.text(labelKey);
    button.append(label);
    item.append(button);
    return item;
  }
}
