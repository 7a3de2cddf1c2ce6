// One choice of a survey: its pictures and words, what it is confused with, and the questions about it.

import { t } from "../../shared/i18n";
import { PickView } from "../tasks/choices";
import { safeImage } from "../tasks/markdown";
import type { SurveyQuestion, Task } from "../tasks/types";
import { button, prose, type TaskContext } from "../tasks/view";

export interface ChoicePanelEvents {
  onTake(answers: Record<string, string | string[]>): void;
  onLeave(): void;
  /** It is another choice after all. */
  onOther(choice: string): void;
}

/** Address of a picture that a survey names by its file. */
export function picture(task: Task, name: string | undefined): string | null {
  return name === undefined ? null : safeImage(task.images?.[name] ?? name);
}

/** Keys of the questions about a choice, in their order. */
export function questionsAbout(task: Task, choice: string): string[] {
  if (task.choices?.[choice]?.noQuestions) return [];
  const all = task.questions ?? {};
  const order = task.questionsOrder ?? Object.keys(all);
  const asked = task.questionsMap?.[choice] ?? order;
  return asked.filter((key) => all[key]);
}

export class ChoicePanel {
  readonly element = document.createElement("section");
  private readonly title = document.createElement("h3");
  private readonly questions: { key: string; codes: string[]; multiple: boolean; view: PickView }[];
  private readonly missing = document.createElement("p");

  constructor(
    private readonly task: Task,
    readonly choice: string,
    answers: Record<string, string | string[]>,
    private readonly context: TaskContext,
    private readonly events: ChoicePanelEvents,
  ) {
    this.element.className = "choice-panel";
    this.title.textContent = this.nameOf(choice);
    this.title.tabIndex = -1;
    this.missing.className = "task-missing";
    this.missing.setAttribute("role", "alert");
    this.questions = questionsAbout(task, choice).map((key) => this.question(key, answers[key]));
    const about = task.choices?.[choice];
    this.element.append(this.title, this.pictures(about?.images ?? []));
    const words = context.text(about?.description);
    if (words) this.element.append(prose(words, "task-words"));
    this.element.append(...this.confusions());
    this.element.append(...this.questions.map(({ view }) => view.element), this.missing, this.actions());
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      events.onLeave();
    });
  }

  choosers(): HTMLElement[] {
    return this.questions.flatMap(({ view }) => view.choosers());
  }

  focus(): void {
    this.title.focus({ preventScroll: true });
    this.element.scrollIntoView({ block: "nearest" });
  }

  private nameOf(key: string): string {
    return this.context.text(this.task.choices?.[key]?.label) || key;
  }

  private question(
    key: string,
    given: string | string[] | undefined,
  ): { key: string; codes: string[]; multiple: boolean; view: PickView } {
    const asked: SurveyQuestion = this.task.questions?.[key] ?? { label: key };
    const all = asked.answers ?? {};
    const codes = (asked.answersOrder ?? Object.keys(all)).filter((code) => all[code]);
    const multiple = asked.multiple === true;
    const view = new PickView(
      {
        type: multiple ? "multiple" : "single",
        question: asked.label,
        required: asked.required === true,
        answers: codes.map((code) => ({ label: all[code]?.label ?? code })),
      },
      {
        ...this.context,
        onChange: () => {
          this.missing.textContent = "";
        },
      },
    );
    const chosen = (Array.isArray(given) ? given : [given]).map((code) => codes.indexOf(code ?? ""));
    view.write(chosen.filter((index) => index >= 0));
    return { key, codes, multiple, view };
  }

  private answers(): Record<string, string | string[]> {
    return Object.fromEntries(
      this.questions.flatMap(({ key, codes, multiple, view }) => {
        const value = view.value;
        const chosen = (Array.isArray(value) ? value : value === null ? [] : [value]).flatMap(
          (index) => codes[index] ?? [],
        );
        const [first] = chosen;
        return first === undefined ? [] : [[key, multiple ? chosen : first]];
      }),
    );
  }

  private pictures(names: string[]): HTMLElement {
    const row = document.createElement("div");
    row.className = "choice-pictures";
    names.forEach((name, index) => {
      const address = picture(this.task, name);
      if (!address) return;
      const image = document.createElement("img");
      image.src = address;
      image.alt = t("{name}, picture {number}", { name: this.nameOf(this.choice), number: index + 1 });
      row.append(image);
    });
    row.hidden = row.childElementCount === 0;
    return row;
  }

  private confusions(): HTMLElement[] {
    const about = this.task.choices?.[this.choice];
    const texts = about?.confusions ?? {};
    const order = (about?.confusionsOrder ?? Object.keys(texts)).filter((key) => this.task.choices?.[key]);
    if (order.length === 0) return [];
    const heading = document.createElement("h4");
    heading.textContent = t("Often taken for it");
    return [heading, ...order.map((key) => this.confusion(key, this.context.text(texts[key])))];
  }

  private confusion(key: string, words: string): HTMLElement {
    const details = document.createElement("details");
    details.className = "task-more";
    const summary = document.createElement("summary");
    summary.textContent = this.nameOf(key);
    const other = button(t("It is “{name}”", { name: this.nameOf(key) }), "button quiet small");
    other.addEventListener("click", () => {
      this.events.onOther(key);
    });
    details.append(summary, prose(words, "task-words"), other);
    return details;
  }

  private actions(): HTMLElement {
    const row = document.createElement("div");
    row.className = "actions";
    const take = button(t("I see it"), "button");
    take.addEventListener("click", () => {
      const open = this.questions.find(({ view }) => view.missing() !== "");
      if (open) {
        this.missing.textContent = open.view.missing();
        open.view.focusMissing();
        return;
      }
      this.events.onTake(this.answers());
    });
    const leave = button(t("Back to the list"));
    leave.addEventListener("click", () => {
      this.events.onLeave();
    });
    row.append(take, leave);
    return row;
  }
}
