// The question and its answers. Tasks of a workflow may lead on to one another; the walk ends in a full submission.

import type { Annotation, Task, Workflow } from "./types";

export interface TaskPanelEvents {
  /** Every question of this subject is answered. */
  onComplete(annotations: Annotation[], lastLabel: string): void;
}

export class TaskPanel {
  private taskKey: string;
  private annotations: Annotation[] = [];
  private enabled = false;

  constructor(
    private readonly workflow: Workflow,
    private readonly elements: {
      question: HTMLElement;
      help: HTMLElement;
      answers: HTMLElement;
      back: HTMLButtonElement;
    },
    private readonly events: TaskPanelEvents,
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

  /** Begin again at the first question, for a new subject. */
  restart(): void {
    this.annotations = [];
    if (this.taskKey !== this.workflow.first_task) this.goTo(this.workflow.first_task);
    this.elements.back.hidden = true;
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
    this.annotations.push({ task: this.taskKey, value: index });
    const next = answer.next ?? task.next;
    if (next && this.workflow.tasks[next] && !this.annotations.some((given) => given.task === next))
      this.goTo(next);
    else this.events.onComplete(this.annotations, this.text(answer.label));
    return true;
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

  private back(): void {
    const last = this.annotations.pop();
    if (last) this.goTo(last.task);
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
    back.hidden = this.annotations.length === 0;
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
    if (index < 9) {
      button.setAttribute("aria-keyshortcuts", String(index + 1));
      const cap = document.createElement("kbd");
      cap.textContent = String(index + 1);
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
