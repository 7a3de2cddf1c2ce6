// Carries letters from the outbox to the server, one tab at a time, and tries again until the server has answered.

import { RefusedError, renewSession, sendClassification, type Refill } from "./api";
import type { Letter, Outbox } from "./outbox";
import type { Subject } from "./types";

const LOCK = "esocs-outbox";
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 60_000;
const KEY_REUSED = "idempotency_key_reused";

export interface SenderEvents {
  /** What waits in the outbox now; `reachable` is false while the server cannot be reached. */
  onWaiting(letters: Letter[], reachable: boolean): void;
  /** The server refused a letter for good. */
  onRefused(letter: Letter, error: RefusedError): void;
  /** More subjects came with an answer. */
  onRefill(subjects: Subject[]): void;
  /** What the next answer may bring. */
  wantedRefill(): Refill;
}

export class Sender {
  private waitMs = FIRST_WAIT_MS;
  private timer: number | undefined;
  private running = false;
  private again = false;

  constructor(
    private readonly outbox: Outbox,
    private readonly csrfUrl: string,
    private readonly events: SenderEvents,
  ) {
    addEventListener("online", () => {
      this.waitMs = FIRST_WAIT_MS;
      void this.drain();
    });
  }

  get busy(): boolean {
    return this.running;
  }

  /** Send everything that waits. Calls while it runs are folded into one more round. */
  async drain(): Promise<void> {
    if (this.running) {
      this.again = true;
      return;
    }
    this.running = true;
    clearTimeout(this.timer);
    this.timer = undefined;
    try {
      let finished = true;
      do finished = await this.round();
      while (finished && this.takeAgain());
      if (!finished) this.tryLater();
    } finally {
      this.running = false;
    }
  }

  private takeAgain(): boolean {
    const again = this.again;
    this.again = false;
    return again;
  }

  private async round(): Promise<boolean> {
    // Web Locks exist on secure addresses only; without them a doubled send is harmless (the key is the same).
    const locks = (navigator as { locks?: LockManager }).locks;
    return locks ? locks.request(LOCK, () => this.sendAll()) : this.sendAll();
  }

  /** Returns whether nothing is left to send. */
  private async sendAll(): Promise<boolean> {
    for (;;) {
      const letters = await this.outbox.pending();
      this.events.onWaiting(letters, true);
      const letter = letters[0];
      if (!letter) return true;
      if (!(await this.send(letter))) {
        this.events.onWaiting(letters, false);
        return false;
      }
      this.waitMs = FIRST_WAIT_MS;
    }
  }

  /** Returns whether the server has answered for good. */
  private async send(letter: Letter): Promise<boolean> {
    try {
      const subjects = await sendClassification(
        letter.url,
        letter.id,
        letter.body,
        this.events.wantedRefill(),
      );
      await this.outbox.remove(letter.id);
      if (subjects) this.events.onRefill(subjects);
      return true;
    } catch (error) {
      if (!(error instanceof RefusedError) || error.temporary) {
        if (error instanceof RefusedError && error.isSessionTrouble) await this.renew();
        return false;
      }
      // A key is one answer's own: if the server has seen it, the answer is stored, under whichever name.
      if (error.code === KEY_REUSED) {
        await this.outbox.remove(letter.id);
        return true;
      }
      await this.outbox.put({ ...letter, refused: { status: error.status, code: error.code } });
      this.events.onRefused(letter, error);
      return true;
    }
  }

  private async renew(): Promise<void> {
    try {
      await renewSession(this.csrfUrl);
    } catch {
      // Not reachable: the next try renews again.
    }
  }

  private tryLater(): void {
    // Half fixed, half random, so that many browsers do not return in the same second after an outage.
    const wait = this.waitMs * (0.5 + Math.random() / 2);
    this.waitMs = Math.min(this.waitMs * 2, LONGEST_WAIT_MS);
    this.timer = window.setTimeout(() => {
      this.timer = undefined;
      void this.drain();
    }, wait);
  }
}
