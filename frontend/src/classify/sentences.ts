// What the page says to a volunteer when something went wrong: kind, short, and never a code.

import { t, tn } from "../shared/i18n";
import type { RefusedError } from "./api";

function changedQuestion(): string {
  return t(
    "The question was changed while you were answering. Please reload the page to see it as it is now.",
  );
}

const BY_CODE: Record<string, () => string> = {
  subject_retired: () =>
    t(
      "Enough people had already looked at that one, so your last answer was not needed. Thank you all the same.",
    ),
  subject_not_in_workflow: () =>
    t("That one has been taken out of this question since you opened it. Your next answers count as usual."),
  experts_only: () => t("That one is waiting for an expert now, so your answer could not be taken."),
  unknown_answer: changedQuestion,
  unknown_task: changedQuestion,
  workflow_version_unknown: changedQuestion,
  workflow_inactive: () => t("This question has just been closed. Thank you for every answer you gave."),
  workflow_not_found: () => t("This question is no longer here. Thank you for every answer you gave."),
};

/** Codes after which no further answer can be taken on this page. */
export const CLOSING_CODES = new Set(["workflow_inactive", "workflow_not_found"]);

export function sentenceFor(error: RefusedError): string {
  const say = BY_CODE[error.code];
  return say ? say() : t("One of your answers could not be taken. The others are safe; please go on.");
}

export function waitingSentence(count: number, reachable: boolean): string {
  if (count === 0) return t("All answers saved");
  return reachable
    ? tn("Saving 1 answer…", "Saving {count} answers…", count)
    : tn(
        "1 answer kept here until the connection is back",
        "{count} answers kept here until the connection is back",
        count,
      );
}
