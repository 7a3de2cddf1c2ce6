// What the page says to a volunteer when something went wrong: kind, short, and never a code.

import type { RefusedError } from "./api";

const BY_CODE: Record<string, string> = {
  subject_retired:
    "Enough people had already looked at that one, so your last answer was not needed. Thank you all the same.",
  subject_not_in_workflow:
    "That one has been taken out of this question since you opened it. Your next answers count as usual.",
  experts_only: "That one is waiting for an expert now, so your answer could not be taken.",
  unknown_answer:
    "The question was changed while you were answering. Please reload the page to see it as it is now.",
  unknown_task:
    "The question was changed while you were answering. Please reload the page to see it as it is now.",
  workflow_version_unknown:
    "The question was changed while you were answering. Please reload the page to see it as it is now.",
  workflow_inactive: "This question has just been closed. Thank you for every answer you gave.",
  workflow_not_found: "This question is no longer here. Thank you for every answer you gave.",
};

/** Codes after which no further answer can be taken on this page. */
export const CLOSING_CODES = new Set(["workflow_inactive", "workflow_not_found"]);

export function sentenceFor(error: RefusedError): string {
  return BY_CODE[error.code] ?? "One of your answers could not be taken. The others are safe; please go on.";
}

export function waitingSentence(count: number, reachable: boolean): string {
  if (count === 0) return "All answers saved";
  const answers = count === 1 ? "1 answer" : `${count} answers`;
  return reachable ? `Saving ${answers}…` : `${answers} kept here until the connection is back`;
}
