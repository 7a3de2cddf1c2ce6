// The subjects that wait in this tab: at least three queued, the first two decoded ahead (DESIGN §6).

import { fetchAhead } from "./files";
import { prepare, type PictureFrame, type Prepared } from "./prepare";
import type { Subject } from "./types";

export interface QueuedSubject {
  subject: Subject;
  prepared: Promise<Prepared>;
  /** Set as soon as it can be painted without waiting. */
  ready: Prepared | null;
}

interface Waiting {
  subject: Subject;
  entry: QueuedSubject | null;
  fetched?: boolean;
}

function start(subject: Subject): QueuedSubject {
  const entry: QueuedSubject = { subject, prepared: prepare(subject), ready: null };
  void entry.prepared.then((prepared) => (entry.ready = prepared));
  return entry;
}

export class SubjectQueue {
  private waiting: Waiting[] = [];
  private readonly known: Set<string>;
  private fetching = false;
  /** The subject being looked at: its picture has the line to itself. */
  private front: Promise<unknown> = Promise.resolve();

  /** `skipped`: subjects that this volunteer has put aside and does not want to see again now. */
  constructor(
    private readonly decodeAhead: number,
    skipped: string[],
  ) {
    this.known = new Set(skipped);
  }

  get length(): number {
    return this.waiting.length;
  }

  get ids(): string[] {
    return this.waiting.map((item) => item.subject.id);
  }

  /** The pictures that are decoded already. */
  get frames(): PictureFrame[] {
    return this.waiting.flatMap(({ entry }) =>
      entry?.ready?.kind === "picture" ? entry.ready.frames.filter((frame) => frame !== null) : [],
    );
  }

  /** Adds the subjects that this tab has not had before; returns how many were new. */
  add(subjects: Subject[]): number {
    const fresh = subjects.filter((subject) => !this.known.has(subject.id));
    for (const subject of fresh) {
      this.known.add(subject.id);
      this.waiting.push({ subject, entry: null });
    }
    this.warm();
    return fresh.length;
  }

  /** The next subject, decoded or being decoded. */
  take(): QueuedSubject | null {
    const first = this.waiting.shift();
    if (!first) return null;
    const entry = first.entry ?? start(first.subject);
    this.front = entry.prepared;
    this.warm();
    return entry;
  }

  /** A subject that was taken and not answered: it is the next one again. */
  putBack(subject: Subject): void {
    // Its picture is let go of when another is shown, so it is decoded anew.
    this.waiting.unshift({ subject, entry: null });
    this.warm();
  }

  /** Fetch the files of what comes after that, one subject after another, so that a lost connection stops nobody. */
  private async fetchFiles(): Promise<void> {
    if (this.fetching) return;
    this.fetching = true;
    try {
      for (;;) {
        const item = this.waiting.find((each) => !each.entry && !each.fetched);
        if (!item) break;
        item.fetched = true;
        await fetchFiles(item.subject);
      }
    } catch {
      // No connection: it is tried again when the subject is to be shown.
    } finally {
      this.fetching = false;
    }
  }

  /** Decode what comes next while the volunteer looks at the present one. */
  private warm(): void {
    // In a microtask, so that whoever has just added subjects can first take the one to look at.
    queueMicrotask(() => {
      void this.front.then(() => {
        for (const item of this.waiting.slice(0, this.decodeAhead)) item.entry ??= start(item.subject);
        if (this.decodeAhead > 0) void this.fetchFiles();
      });
    });
  }
}

async function fetchFiles(subject: Subject): Promise<void> {
  const pictures = subject.locations.flatMap((location) => Object.values(location));
  for (const url of subject.spectrumUrl ? [subject.spectrumUrl] : pictures) await fetchAhead(url);
}

/** Prepare a subject once more, after its picture failed. */
export function prepareAgain(subject: Subject): QueuedSubject {
  return start(subject);
}
