// Which view shows which kind of task. Drawing and surveys come with scripts of their own, fetched where a workflow
// has such a task.

import { t } from "../../shared/i18n";
import type { SurveyView } from "../survey/survey-view";
import type { DrawingView } from "../drawing/drawing-view";
import { InstantView, PickView } from "./choices";
import { DropdownView, SliderView, TextView } from "./fields";
import type { Task } from "./types";
import { AskedView, type TaskContext, type TaskView } from "./view";

export const DRAWN = new Set(["drawing", "dataVisAnnotation"]);

/** What was fetched for the kinds of tasks that not every workflow has. */
export interface Fetched {
  drawing?: typeof DrawingView;
  survey?: typeof SurveyView;
}

export async function fetchKinds(tasks: readonly Task[], fetched: Fetched): Promise<void> {
  const drawing = !fetched.drawing && tasks.some((task) => DRAWN.has(task.type));
  const survey = !fetched.survey && tasks.some((task) => task.type === "survey");
  await Promise.all([
    drawing &&
      import("../drawing/drawing-view").then((module) => {
        fetched.drawing = module.DrawingView;
      }),
    survey &&
      import("../survey/survey-view").then((module) => {
        fetched.survey = module.SurveyView;
      }),
  ]);
}

/** The view of a task; null while what shows it has not been fetched. `alone`: no other task stands beside it. */
export function viewOf(task: Task, context: TaskContext, fetched: Fetched, alone: boolean): TaskView | null {
  if (DRAWN.has(task.type)) return fetched.drawing ? new fetched.drawing(task, context) : null;
  if (task.type === "survey") return fetched.survey ? new fetched.survey(task, context) : null;
  return plainView(task, context, alone);
}

/** The view of a task that may also be asked about a mark. */
export function plainView(task: Task, context: TaskContext, alone: boolean): TaskView {
  switch (task.type) {
    case "single":
      return alone ? new InstantView(task, context) : new PickView(task, context);
    case "multiple":
      return new PickView(task, context);
    case "text":
      return new TextView(task, context);
    case "slider":
      return new SliderView(task, context);
    case "dropdown":
    case "dropdown-simple":
      return new DropdownView(task, context);
    default:
      return new UnknownView(task, context);
  }
}

/** A kind of task that this page does not know: said, and never in the way. */
class UnknownView extends AskedView {
  readonly value = null;

  constructor(task: Task, context: TaskContext) {
    super(task, context, t("A question"));
    this.fields.textContent = t(
      "This kind of question cannot be shown on this page. Please go on without it.",
    );
    this.fields.className = "muted";
  }

  write(): void {
    // There is nothing to show.
  }

  override missing(): string {
    return "";
  }

  summary(): string {
    return "";
  }
}
