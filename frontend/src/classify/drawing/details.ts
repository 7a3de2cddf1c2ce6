// What is asked about one mark: a small window beside it, or below the tools where the screen is narrow.

import { t } from "../../shared/i18n";
import { plainView } from "../tasks/kinds";
import type { Task } from "../tasks/types";
import { button, type TaskContext, type TaskView } from "../tasks/view";
import type { ScreenBox } from "../viewport";

export interface DetailsEvents {
  onAnswer(values: unknown[]): void;
  onDone(): void;
  onDelete(): void;
}

const MARGIN_PX = 8;
const GAP_PX = 24;
/** Below this width of the stage the questions would hide the picture. */
const NARROW_PX = 560;

export class Details {
  private readonly element = document.createElement("div");
  private readonly title = document.createElement("h3");
  private views: TaskView[] = [];
  private events: DetailsEvents | null = null;

  constructor(
    private readonly stage: Element | null,
    private readonly fallback: HTMLElement,
    private readonly context: TaskContext,
    id: string,
  ) {
    this.element.className = "mark-details";
    this.element.setAttribute("role", "dialog");
    this.title.id = `${id}-details`;
    this.title.tabIndex = -1;
    this.element.setAttribute("aria-labelledby", this.title.id);
    // The stage zooms at the wheel and draws at a press; in here they scroll and choose.
    for (const kind of ["wheel", "pointerdown", "dblclick"])
      this.element.addEventListener(kind, (event) => {
        event.stopPropagation();
      });
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      this.events?.onDone();
    });
  }

  get open(): boolean {
    return this.element.isConnected;
  }

  get choosers(): HTMLElement[] {
    return this.views.flatMap((view) => view.choosers());
  }

  contains(node: Node | null): boolean {
    return this.element.contains(node);
  }

  show(name: string, tasks: readonly Task[], values: readonly unknown[], events: DetailsEvents): void {
    this.events = events;
    const context: TaskContext = {
      ...this.context,
      onChange: () => {
        events.onAnswer(this.views.map((view) => view.value));
      },
    };
    this.views = tasks.map((task, index) => {
      const view = plainView(task, context, false);
      view.write(values[index] ?? undefined);
      return view;
    });
    this.title.textContent = name;
    const form = document.createElement("form");
    form.noValidate = true;
    const done = button(t("Done"), "button");
    done.type = "submit";
    const remove = button(t("Delete this mark"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      events.onDone();
    });
    remove.addEventListener("click", () => {
      events.onDelete();
    });
    const actions = document.createElement("div");
    actions.className = "actions";
    actions.append(done, remove);
    form.append(...this.views.map((view) => view.element), actions);
    this.element.replaceChildren(this.title, form);
    const wide = this.stage instanceof HTMLElement && this.stage.clientWidth >= NARROW_PX;
    this.element.classList.toggle("beside", wide);
    (wide ? this.stage : this.fallback).append(this.element);
    this.focus();
  }

  /** Stand beside a mark, wholly inside the stage: towards the nearer edge, where it hides less of the middle. */
  stand(mark: ScreenBox | null): void {
    if (!mark || !this.element.classList.contains("beside") || !(this.stage instanceof HTMLElement)) return;
    const { clientWidth, clientHeight } = this.stage;
    const { offsetWidth: width, offsetHeight: height } = this.element;
    const left = mark.x - width - GAP_PX;
    const right = mark.x + mark.width + GAP_PX;
    const fits = { left: left >= MARGIN_PX, right: right + width + MARGIN_PX <= clientWidth };
    const outward = mark.x + mark.width / 2 < clientWidth / 2 ? "left" : "right";
    const side = fits[outward] ? outward : fits.left ? "left" : "right";
    const clamp = (value: number, most: number): number => Math.max(MARGIN_PX, Math.min(most, value));
    this.element.style.left = `${clamp(side === "left" ? left : right, clientWidth - width - MARGIN_PX)}px`;
    const middle = mark.y + mark.height / 2 - height / 2;
    this.element.style.top = `${clamp(middle, clientHeight - height - MARGIN_PX)}px`;
  }

  hide(): void {
    this.element.remove();
    this.views = [];
    this.events = null;
  }

  /** The first question that is not answered and must be; the title where there is none. */
  focus(): void {
    const open = this.views.find((view) => view.missing() !== "");
    if (open) open.focusMissing();
    else (this.views[0]?.choosers()[0] ?? this.title).focus({ preventScroll: true });
  }
}

/** Whether questions about a mark are left open that must be answered. */
export function isOpen(tasks: readonly Task[], values: readonly unknown[], context: TaskContext): boolean {
  return tasks.some((task, index) => {
    const view = plainView(task, context, false);
    view.write(values[index] ?? undefined);
    return view.missing() !== "";
  });
}
