// Which tasks stand on the page together, and which come next. Pure.

import type { Asked, Task } from "./types";

/** Tasks that are asked at the same time; the key is a task's own, a combination's, or a step's. */
export interface Step {
  key: string;
  taskKeys: string[];
  /** None of the tasks must be answered. */
  loose: boolean;
}

export type Values = ReadonlyMap<string, unknown>;

function inSteps(workflow: Asked): boolean {
  return (workflow.steps?.length ?? 0) > 0;
}

/** The step that a `next` leads to: a step's key, or that of one of its tasks. Null where there is none such. */
export function stepOf(workflow: Asked, key: string | null | undefined): Step | null {
  if (!key) return null;
  const known = (keys: string[] | undefined): string[] => (keys ?? []).filter((each) => workflow.tasks[each]);
  if (inSteps(workflow)) {
    const found = workflow.steps?.find(([name, step]) => name === key || step.taskKeys?.includes(key));
    return found ? { key: found[0], taskKeys: known(found[1].taskKeys), loose: false } : null;
  }
  const task = workflow.tasks[key];
  if (!task) return null;
  if (task.type === "combo")
    return { key, taskKeys: known(task.tasks), loose: task.loosen_requirements === true };
  return { key, taskKeys: [key], loose: false };
}

export function firstStep(workflow: Asked): Step {
  const shown = Object.keys(workflow.tasks).filter((key) => workflow.tasks[key]?.type !== "shortcut");
  return (
    stepOf(workflow, workflow.first_task) ??
    stepOf(workflow, workflow.steps?.[0]?.[0]) ??
    stepOf(workflow, shown[0]) ?? { key: "", taskKeys: [], loose: false }
  );
}

/** Where the answers given on a step lead; null at the end. A step that was passed already is not asked again. */
export function stepAfter(workflow: Asked, path: readonly Step[], values: Values): Step | null {
  const step = path.at(-1);
  if (!step) return null;
  const own = workflow.steps?.find(([key]) => key === step.key)?.[1].next;
  const tasks = step.taskKeys.map((key): [string, Task | undefined] => [key, workflow.tasks[key]]);
  const byAnswer = tasks
    .map(([key, task]) => chosenAnswer(task, values.get(key))?.next)
    .find((next) => stepOf(workflow, next));
  const next =
    byAnswer ?? own ?? workflow.tasks[step.key]?.next ?? tasks.find(([, task]) => task?.next)?.[1]?.next;
  const found = stepOf(workflow, next);
  return found && !path.some((passed) => passed.key === found.key) ? found : null;
}

function chosenAnswer(task: Task | undefined, value: unknown): { next?: string | null } | undefined {
  return task?.type === "single" && typeof value === "number" ? task.answers?.[value] : undefined;
}

/** The path that these answers took: the steps from the first on, as far as one of their tasks was answered. */
export function pathOf(workflow: Asked, values: Values): Step[] {
  const path = [firstStep(workflow)];
  for (;;) {
    const next = stepAfter(workflow, path, values);
    if (!next?.taskKeys.some((key) => values.has(key))) return path;
    path.push(next);
  }
}

/** Shortcuts offered beside a step: those that its tasks name, and those that are offered beside every task. */
export function shortcutsOf(workflow: Asked, step: Step): string[] {
  const named = [step.key, ...step.taskKeys].map((key) => workflow.tasks[key]?.unlinkedTask);
  const always = Object.keys(workflow.tasks).filter((key) => workflow.tasks[key]?.always === true);
  const keys = [...named, ...always].filter(
    (key): key is string => key !== undefined && workflow.tasks[key]?.type === "shortcut",
  );
  return [...new Set(keys)];
}
