// What a training subject tells once it is answered. Its right answers come ahead, so that nothing is waited for.

import { t } from "../../shared/i18n";
import type { Annotation, Subject, Workflow } from "../types";
import type { Lesson } from "./types";

/** Per task what is right: an answer's index, and the words for right and wrong if the project wrote any. */
export type Truth = Record<string, { answer: number; success?: string; failure?: string }>;

/** Panoptes' mark of a training subject: its answers never count, and it may tell what was right. */
export function isTraining(subject: Subject): boolean {
  const mark = subject.metadata["#training_subject"];
  return mark === true || mark === 1 || (typeof mark === "string" && /^(true|1|yes)$/i.test(mark.trim()));
}

export async function fetchTruth(address: string): Promise<Truth | null> {
  try {
    const response = await fetch(address, {
      credentials: "same-origin",
      signal: AbortSignal.timeout(10_000),
    });
    return response.ok && response.status === 200 ? ((await response.json()) as Truth) : null;
  } catch {
    // Without it the subject is answered like any other.
    return null;
  }
}

/** What is to be said about the answers: one lesson for each task of which the truth is known. */
export function compare(workflow: Workflow, truth: Truth, annotations: readonly Annotation[]): Lesson[] {
  return annotations.flatMap((annotation) => {
    const known = truth[annotation.task];
    if (!known) return [];
    const right = annotation.value === known.answer;
    const key = workflow.tasks[annotation.task]?.answers?.[known.answer]?.label;
    const label = key === undefined ? "" : (workflow.strings[key] ?? key);
    const words = right
      ? (known.success ?? t("Experts say so too: {answer}.", { answer: label }))
      : (known.failure ??
        t("Experts say: {answer}. This one was for practice and counts for nothing.", { answer: label }));
    return [{ task: annotation.task, right, message: words }];
  });
}
