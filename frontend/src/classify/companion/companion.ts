// What surrounds the answering, loaded after the first picture: tutorial, field guide, examples, favourites, talk, feedback.

import { csrfToken } from "../../shared/cookies";
import { t } from "../../shared/i18n";
import { safeImage } from "../tasks/markdown";
import type { Annotation, PageData, Subject } from "../types";
import { GuideDialog, TutorialDialog } from "./dialogs";
import { compare, fetchTruth, isTraining, type Truth } from "./feedback";
import "./companion.css";
import type { CompanionData, Example, Lesson } from "./types";

const SEEN = "esocs.tutorial.";

function button(text: string, run: () => void): HTMLButtonElement {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "button quiet";
  made.textContent = text;
  made.addEventListener("click", run);
  return made;
}

function address(pattern: string, subjectId: string): string {
  return pattern.replace("/0/", `/${subjectId}/`);
}

export class Companion {
  private readonly root = document.createElement("div");
  private readonly lesson = document.createElement("div");
  private readonly last = document.createElement("a");
  private readonly heart: HTMLButtonElement | null;
  private readonly favourites = new Set<string>();
  private readonly truths = new Map<string, Promise<Truth | null>>();
  private readonly known = new Map<string, Truth>();
  private subject: Subject | null = null;
  private waiting: (() => void) | null = null;

  constructor(
    private readonly page: PageData,
    private readonly data: CompanionData,
    place: HTMLElement,
  ) {
    this.root.className = "companion";
    this.lesson.className = "companion-lesson";
    this.lesson.setAttribute("role", "status");
    this.last.className = "companion-last";
    this.last.hidden = true;
    this.heart = data.signedIn ? button(t("Favourite"), () => void this.toggleFavourite()) : null;
    this.heart?.setAttribute("aria-pressed", "false");
    this.root.append(...this.helpers(), ...(this.heart ? [this.heart] : []), this.last);
    place.append(this.lesson, this.root, this.examples());
  }

  /** The tutorial is shown once to everybody who has not seen it, before the first answer. */
  private helpers(): HTMLElement[] {
    const made: HTMLElement[] = [];
    const { tutorial, guide } = this.data;
    if (tutorial && tutorial.steps.length > 0) {
      const dialog = new TutorialDialog(tutorial, () => {
        this.remember(tutorial.id);
      });
      made.push(
        button(t("Tutorial"), () => {
          dialog.open();
        }),
      );
      if (!this.hasSeen(tutorial.id)) dialog.open();
    }
    if (guide.length > 0) {
      let dialog: GuideDialog | null = null;
      made.push(
        button(t("Field guide"), () => {
          (dialog ??= new GuideDialog(guide)).open();
        }),
      );
    }
    return made;
  }

  private hasSeen(id: string): boolean {
    try {
      return localStorage.getItem(SEEN + id) !== null;
    } catch {
      return true;
    }
  }

  private remember(id: string): void {
    try {
      localStorage.setItem(SEEN + id, "1");
    } catch {
      // It is shown again next time.
    }
  }

  private examples(): HTMLElement {
    const box = document.createElement("details");
    box.className = "companion-examples";
    const summary = document.createElement("summary");
    summary.textContent = t("Examples");
    box.append(summary);
    const { tasks, strings } = this.page.workflow;
    for (const [task, answers] of Object.entries(this.data.examples))
      for (const [index, pictures] of Object.entries(answers)) {
        const key = tasks[task]?.answers?.[Number(index)]?.label;
        if (key !== undefined) box.append(exampleRow(strings[key] ?? key, pictures));
      }
    box.hidden = box.childElementCount === 1;
    return box;
  }

  onShown(subject: Subject): void {
    this.subject = subject;
    this.heart?.setAttribute("aria-pressed", String(this.favourites.has(subject.id)));
    if (this.data.feedback && isTraining(subject) && !this.truths.has(subject.id)) {
      const query = fetchTruth(address(this.data.urls.feedback, subject.id));
      this.truths.set(subject.id, query);
      void query.then((truth) => {
        if (truth) this.known.set(subject.id, truth);
      });
    }
  }

  /** What the answered subject tells; it goes into the classification's metadata, as Zooniverse keeps it. */
  onAnswered(subject: Subject, annotations: readonly Annotation[]): Lesson[] {
    const truth = this.known.get(subject.id);
    const lessons = truth ? compare(this.page.workflow, truth, annotations) : [];
    this.lesson.replaceChildren();
    this.last.href = address(this.data.urls.subject, subject.id);
    this.last.textContent = t("Talk about the last one");
    this.last.hidden = false;
    return lessons;
  }

  /** Show the lessons beside the answered picture until the volunteer goes on. */
  tell(lessons: Lesson[], goOn: () => void): void {
    const on = button(t("Go on"), () => void this.goOn());
    on.className = "button";
    this.waiting = goOn;
    this.lesson.replaceChildren(...lessons.map(lessonNote), on);
    on.focus();
  }

  /** Leave the lessons; false when none are shown. */
  goOn(): boolean {
    const { waiting } = this;
    if (!waiting) return false;
    this.waiting = null;
    this.lesson.replaceChildren();
    waiting();
    return true;
  }

  private async toggleFavourite(): Promise<void> {
    const { subject, heart } = this;
    if (!subject || !heart) return;
    const on = !this.favourites.has(subject.id);
    this.mark(subject.id, on);
    try {
      const response = await fetch(address(this.data.urls.collect, subject.id), {
        method: "POST",
        credentials: "same-origin",
        headers: { Accept: "application/json", "X-CSRFToken": csrfToken() },
        body: new URLSearchParams({ on: on ? "1" : "0" }),
      });
      if (!response.ok) this.mark(subject.id, !on);
    } catch {
      this.mark(subject.id, !on);
    }
  }

  private mark(subjectId: string, on: boolean): void {
    if (on) this.favourites.add(subjectId);
    else this.favourites.delete(subjectId);
    if (this.subject?.id === subjectId) this.heart?.setAttribute("aria-pressed", String(on));
  }
}

function lessonNote(lesson: Lesson): HTMLElement {
  const note = document.createElement("p");
  note.className = lesson.right ? "notice success" : "notice";
  note.textContent = lesson.message;
  return note;
}

function exampleRow(label: string, pictures: Example[]): HTMLElement {
  const row = document.createElement("figure");
  const caption = document.createElement("figcaption");
  caption.textContent = label;
  row.append(caption);
  for (const one of pictures) {
    const src = safeImage(one.src);
    if (!src) continue;
    const image = document.createElement("img");
    image.src = src;
    image.alt = one.caption || label;
    image.title = one.caption;
    image.loading = "lazy";
    image.decoding = "async";
    row.append(image);
  }
  return row;
}
