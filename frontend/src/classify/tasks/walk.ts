// A volunteer's way through a workflow's tasks about one subject: which step is shown, what was answered, what is sent
// in the end. The annotations are flat and of Panoptes' older kind, which its tools and the crowd's summaries read.

import "./tasks.css";
import { t } from "../../shared/i18n";
import type { Action } from "../keyboard";
import type { Viewport } from "../viewport";
import type { TaskElements } from "./elements";
import { drawingActions } from "../drawing/keys";
import type { DrawingView } from "../drawing/drawing-view";
import { DRAWN, fetchKinds, viewOf, type Fetched } from "./kinds";
import { inline } from "./markdown";
import { firstStep, pathOf, shortcutsOf, stepAfter, type Step } from "./path";
import type { Annotation, Asked, Task } from "./types";
import { button, keyCap, type TaskContext, type TaskView } from "./view";

export interface TaskWalkEvents {
  /** Every question about this subject is answered; `summary` says the last answer in a few words. */
  onComplete(annotations: Annotation[], summary: string): void;
  /** Something was answered, changed or taken back. */
  onChange(): void;
}

const KEYED = 9;
/** Of a control that does something else with Enter. */
const TAKES_ENTER = "a[href], button, summary, select, textarea, [role=button], [role=application]";

export class TaskWalk {
  private step: Step;
  /** The steps before this one. */
  private passed: Step[] = [];
  /** Everything answered about this subject, also on ways that were left again. */
  private readonly given = new Map<string, unknown>();
  private readonly views = new Map<string, TaskView>();
  private readonly fetched: Fetched = {};
  private enabled = false;
  private pressed: HTMLElement[] = [];
  /** What a digit presses at present. */
  private capped: HTMLElement[] = [];
  private readonly context: TaskContext;

  /** @param viewport What marks are drawn on; null on a page that shows nothing to draw on. */
  constructor(
    private readonly workflow: Asked,
    private readonly elements: TaskElements,
    viewport: Viewport | null,
    private readonly events: TaskWalkEvents,
  ) {
    this.step = firstStep(workflow);
    this.context = {
      viewport,
      text: (key) => (key === undefined ? "" : (workflow.strings[key] ?? key)),
      onChange: () => {
        this.onChange();
      },
      onAnswered: () => {
        if (this.step.taskKeys.length === 1) this.next();
        else this.onChange();
      },
      onChoosers: () => {
        this.writeCaps();
      },
      announce: (text) => {
        this.announce(text);
      },
    };
    this.listen();
    this.render();
    void this.fetchKinds();
  }

  /** What was answered so far about this subject, on the path that leads here. */
  get annotations(): Annotation[] {
    return this.path.flatMap((step, place) =>
      step.taskKeys
        .filter((key) => place < this.path.length - 1 || this.given.has(key))
        .map((key) => this.annotation(key)),
    );
  }

  /** What keys do while tasks are asked; digits answer by `choose`. */
  get keyActions(): Action[] {
    const group = t("Answer");
    const drawn = Object.values(this.workflow.tasks).some((task) => DRAWN.has(task.type));
    const drawing = drawn ? drawingActions((command) => this.drawing?.command(command) ?? false) : [];
    return [
      {
        id: "task.next",
        label: t("Go on to the next question, or finish"),
        group,
        defaultKeys: ["Enter"],
        run: () => this.enter(),
      },
      {
        id: "task.unsure",
        label: t("Answer that you cannot tell"),
        group,
        defaultKeys: ["0"],
        run: () => this.chooseUnsure(),
      },
      {
        id: "task.back",
        label: t("Back to the previous question"),
        group,
        defaultKeys: ["b"],
        run: () => this.back(),
      },
      ...drawing,
    ];
  }

  /** Begin again at the first question, for a new subject. */
  restart(): void {
    this.given.clear();
    for (const view of this.views.values()) view.write(undefined);
    this.goTo([firstStep(this.workflow)]);
  }

  /** Take up answers that were given before, at the last question of their path, so that they can be changed. */
  restore(annotations: Annotation[]): void {
    this.given.clear();
    for (const view of this.views.values()) view.write(undefined);
    for (const { task, value } of annotations) this.given.set(task, value);
    this.goTo(pathOf(this.workflow, this.given));
  }

  /** Answers are taken only while there is something to look at. */
  setEnabled(enabled: boolean): void {
    if (this.enabled === enabled) return;
    this.enabled = enabled;
    this.writeEnabled();
  }

  /** Press the answer, tool or choice at `index` of the step; false when there is none or nothing is being asked. */
  choose(index: number): boolean {
    const element = this.choosers()[index];
    if (!this.enabled || !element) return false;
    this.feel(element);
    element.click();
    return true;
  }

  /** Back to the step before, its answers as they were given. False at the first. */
  back(): boolean {
    if (this.path.length < 2) return false;
    this.keep();
    this.goTo(this.path.slice(0, -1));
    this.onChange();
    return true;
  }

  /** Move the keyboard's focus among the answers. */
  moveFocus(step: number): void {
    const choosers = this.choosers();
    const at = choosers.indexOf(document.activeElement as HTMLElement);
    const to =
      at < 0 ? (step > 0 ? 0 : choosers.length - 1) : (at + step + choosers.length) % choosers.length;
    choosers[to]?.focus();
  }

  /** The drawing on the page, if one is asked for. */
  private get drawing(): DrawingView | undefined {
    const { drawing } = this.fetched;
    const views = this.stepViews().map(([, view]) => view);
    return drawing && views.find((view) => view instanceof drawing);
  }

  private get path(): Step[] {
    return [...this.passed, this.step];
  }

  private stepViews(step = this.step): [string, TaskView | null][] {
    const alone = step.taskKeys.length === 1;
    return step.taskKeys.map((key) => {
      let view = this.views.get(key) ?? null;
      const task = this.workflow.tasks[key];
      if (!view && task) {
        view = viewOf(task, this.context, this.fetched, alone);
        if (view) {
          view.write(this.given.get(key));
          this.views.set(key, view);
        }
      }
      return [key, view];
    });
  }

  private choosers(): HTMLElement[] {
    return this.stepViews().flatMap(([, view]) => view?.choosers() ?? []);
  }

  private chooseUnsure(): boolean {
    const element = this.choosers().find((each) => each.dataset.unsure !== undefined);
    if (!this.enabled || !element) return false;
    element.click();
    return true;
  }

  private annotation(key: string): Annotation {
    const view = this.views.get(key);
    const value = this.given.has(key) ? this.given.get(key) : (view?.value ?? null);
    return { task: key, ...(view?.taskType ? { taskType: view.taskType } : {}), value };
  }

  /** Take what stands on the page into what was given. */
  private keep(): void {
    for (const [key, view] of this.stepViews()) if (view) this.given.set(key, view.value);
  }

  private listen(): void {
    const { form, back } = this.elements;
    back.addEventListener("click", () => {
      this.back();
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.next();
    });
    // While nothing can be answered, fields keep their focus and take nothing.
    for (const kind of ["click", "beforeinput", "mousedown", "keydown"])
      form.addEventListener(
        kind,
        (event) => {
          if (this.enabled || (event instanceof KeyboardEvent && event.key === "Tab")) return;
          event.preventDefault();
          event.stopPropagation();
        },
        { capture: true },
      );
  }

  private enter(): boolean {
    const focused = document.activeElement;
    if (this.elements.next.hidden || focused?.matches(TAKES_ENTER)) return false;
    this.next();
    return true;
  }

  private next(): void {
    if (!this.enabled || this.step.taskKeys.length === 0) return;
    const views = this.stepViews();
    if (views.some(([, view]) => !view)) return;
    const open = this.step.loose ? undefined : views.find(([, view]) => view?.missing());
    if (open?.[1]) {
      this.elements.missing.textContent = open[1].missing();
      open[1].focusMissing();
      return;
    }
    this.keep();
    const after = stepAfter(this.workflow, this.path, this.given);
    if (after) {
      this.goTo([...this.path, after]);
      this.events.onChange();
      return;
    }
    const summary = views.at(-1)?.[1]?.summary() ?? "";
    this.events.onChange();
    this.events.onComplete(this.annotations, summary);
  }

  /** A shortcut ends the walk: what was asked before it stays, what is being asked is left out. */
  private shortCut(key: string, index: number, label: string): void {
    if (!this.enabled) return;
    const before = this.path
      .slice(0, -1)
      .flatMap((step) => step.taskKeys.map((each) => this.annotation(each)));
    this.events.onChange();
    this.events.onComplete([...before, { task: key, value: [index] }], label);
  }

  private onChange(): void {
    this.elements.missing.textContent = "";
    this.keep();
    this.writeNext();
    this.events.onChange();
  }

  private goTo(path: Step[]): void {
    const same = path.length === this.path.length && path.at(-1)?.key === this.step.key;
    const focused = document.activeElement;
    // At the first step the button that leads back goes away.
    const inside =
      this.elements.form.contains(focused) || (path.length < 2 && focused === this.elements.back);
    if (!same) for (const [, view] of this.stepViews()) view?.hide?.();
    this.step = path.at(-1) ?? firstStep(this.workflow);
    this.passed = path.slice(0, -1);
    this.elements.missing.textContent = "";
    this.elements.back.hidden = path.length < 2;
    if (same) this.showAgain();
    else {
      this.render();
      this.lead(inside);
    }
  }

  /** The same step for another subject: nothing moves, only the answers are new. */
  private showAgain(): void {
    for (const [key, view] of this.stepViews()) view?.write(this.given.get(key));
    this.writeCaps();
    this.writeNext();
  }

  /** Whoever was in the questions is led to the new one; to others it is read. */
  private lead(inside: boolean): void {
    const heading = this.stepViews()[0]?.[1]?.heading;
    if (!heading) return;
    if (!inside) {
      this.announce(heading.textContent);
      return;
    }
    heading.focus({ preventScroll: true });
    if (heading.getBoundingClientRect().top < 0) heading.scrollIntoView({ block: "start" });
  }

  private render(): void {
    const { step } = this.elements;
    const views = this.stepViews();
    const shown = views.flatMap(([, view]) => (view ? [view] : []));
    for (const [key, view] of views) view?.write(this.given.get(key));
    step.replaceChildren(...shown.map((view) => view.element));
    if (shown.length < views.length) step.append(this.waiting());
    if (views.length === 0) step.append(t("This workflow asks nothing yet."));
    shown.forEach((view, place) => {
      view.heading.classList.toggle("further", place > 0);
      view.show?.();
    });
    this.writeCaps();
    this.writeShortcuts();
    this.writeNext();
    this.writeEnabled();
  }

  /** The digits, in the order of what they press. */
  private writeCaps(): void {
    const capped = this.choosers()
      .slice(0, KEYED)
      .flatMap((element) => element.closest<HTMLElement>("button, label") ?? []);
    if (capped.length === this.capped.length && capped.every((host, index) => host === this.capped[index]))
      return;
    for (const host of this.capped) {
      delete host.dataset.actionKey;
      host.removeAttribute("aria-keyshortcuts");
      const cap = host.querySelector("kbd");
      if (cap) cap.hidden = true;
    }
    this.capped = capped;
    // The page writes the keys themselves, which the volunteer may have changed.
    this.capped.forEach((host, index) => {
      host.dataset.actionKey = `answer-${index + 1}`;
    });
  }

  private writeShortcuts(): void {
    const { shortcuts } = this.elements;
    const buttons = shortcutsOf(this.workflow, this.step).flatMap((key) =>
      (this.workflow.tasks[key]?.answers ?? []).map((answer, index) => {
        const label = this.context.text(answer.label);
        const element = button(inline(label, { links: false }), "button quiet");
        element.addEventListener("click", () => {
          this.shortCut(key, index, label);
        });
        return element;
      }),
    );
    shortcuts.hidden = buttons.length === 0;
    shortcuts.replaceChildren(...buttons);
  }

  private writeNext(): void {
    const { next } = this.elements;
    const [first, ...others] = this.stepViews();
    const instant = others.length === 0 && first?.[1]?.instant === true;
    // An answer that was given before may be kept as it is.
    next.hidden = !first?.[1] || (instant && first[1].value === null);
    const values = new Map(this.given);
    for (const [key, view] of this.stepViews()) if (view) values.set(key, view.value);
    const label = stepAfter(this.workflow, this.path, values) ? t("Next") : t("Done");
    if (next.dataset.label === label) return;
    next.dataset.label = label;
    const cap = keyCap();
    next.dataset.actionKey = "task.next";
    next.replaceChildren(label, cap);
  }

  private writeEnabled(): void {
    this.elements.form.classList.toggle("waiting", !this.enabled);
    const buttons = this.elements.form.querySelectorAll("button");
    // aria-disabled keeps the focus where it is; `disabled` would throw it to the top of the page.
    for (const element of buttons) element.setAttribute("aria-disabled", String(!this.enabled));
  }

  private waiting(): HTMLElement {
    const note = document.createElement("p");
    note.className = "muted";
    note.setAttribute("role", "status");
    note.textContent = t("Fetching the tools for this question…");
    return note;
  }

  private async fetchKinds(): Promise<void> {
    const tasks: Task[] = Object.values(this.workflow.tasks);
    try {
      await fetchKinds(tasks, this.fetched);
    } catch {
      this.offerToFetch();
      return;
    }
    if (this.stepViews().length > this.elements.step.querySelectorAll(".asked").length) this.render();
  }

  /** The connection was gone while a kind of task was being fetched. */
  private offerToFetch(): void {
    const retry = button(t("Try again"));
    retry.addEventListener("click", () => {
      retry.remove();
      void this.fetchKinds();
    });
    this.elements.step
      .querySelector("[role=status]")
      ?.replaceChildren(t("The tools for this question could not be fetched."), " ", retry);
  }

  /** A key was pressed: what it means is seen at once. */
  private feel(element: HTMLElement): void {
    for (const other of this.pressed) other.classList.remove("felt");
    element.classList.add("felt");
    this.pressed = [element];
  }

  private announce(text: string): void {
    this.elements.status.textContent = text;
  }
}
