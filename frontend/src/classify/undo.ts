// For half a minute an answer can be taken back. The answer itself is on its way already and is kept; what is given
// instead goes out as its revision, and of the two the last one counts.

import type { Annotation, Subject } from "./types";

export const UNDO_MS = 30_000;

/** An answer that was given: what is needed to ask again. */
export interface Given {
  subject: Subject;
  annotations: Annotation[];
  /** Key of the first answer to this subject. */
  first: string;
  /** How many revisions of it there have been. */
  revision: number;
}

export class Undo {
  private given: Given | null = null;
  private timer: number | undefined;

  constructor(private readonly button: HTMLButtonElement) {
    this.write();
  }

  /** Offer to take an answer back, instead of the one before. */
  offer(given: Given): void {
    clearTimeout(this.timer);
    this.given = given;
    this.timer = window.setTimeout(() => {
      this.forget();
    }, UNDO_MS);
    this.write();
  }

  /** The answer that can be taken back, which then is no longer on offer. */
  take(): Given | null {
    const given = this.given;
    this.forget();
    return given;
  }

  forget(): void {
    clearTimeout(this.timer);
    this.given = null;
    this.write();
  }

  private write(): void {
    // aria-disabled keeps the focus where it is; `disabled` would throw it to the top of the page.
    this.button.setAttribute("aria-disabled", String(this.given === null));
  }
}
