// One sitting of one volunteer: what is shown, what was answered, what comes next.

import { t } from "../shared/i18n";
import type { Companion } from "./companion/companion";
import type { Lesson } from "./companion/types";
import { fetchQueue, RefusedError, type Refill } from "./api";
import { newKey, type Letter, type Outbox } from "./outbox";
import type { Prepared } from "./prepare";
import { prepareAgain, SubjectQueue, type QueuedSubject } from "./queue";
import { Sender } from "./sender";
import { CLOSING_CODES, sentenceFor, waitingSentence } from "./sentences";
import { Tabs } from "./tabs";
import { findTaskElements } from "./tasks/elements";
import { TaskWalk } from "./tasks/walk";
import type { Annotation, ClassificationBody, PageData, Subject } from "./types";
import { Undo, type Given } from "./undo";
import type { View } from "./view";
import { Stage } from "./viewers/stage";

/** Below this many waiting subjects the queue is asked for more even if no answer is on its way. */
const LOW_WATER = 3;
const RETRY_QUEUE_MS = 5_000;
const SKIPPED_KEPT = 50;
/** As many as the server reads. */
const MOST_HELD = 200;

/** What was told, in the form in which Zooniverse's classifier keeps it. */
function feedbackOf(lessons: Lesson[]): Record<string, unknown[]> {
  const told: Record<string, unknown[]> = {};
  for (const { task, right } of lessons)
    (told[task] ??= []).push({ id: "gold", strategy: "singleAnswerQuestion", success: right });
  return told;
}

const storage = {
  read(key: string): string {
    try {
      return sessionStorage.getItem(`esocs.${key}`) ?? "";
    } catch {
      return "";
    }
  },
  write(key: string, value: string): void {
    try {
      sessionStorage.setItem(`esocs.${key}`, value);
    } catch {
      // Only the count and the skips are lost at a reload.
    }
  },
};

export class Session {
  readonly stage: Stage;
  readonly walk: TaskWalk;
  readonly sender: Sender;
  private readonly queue: SubjectQueue;
  private current: QueuedSubject | null = null;
  private companion: Companion | null = null;
  private readonly undoable: Undo;
  /** The answer that is being given anew; null while a subject is asked for the first time. */
  private revising: Given | null = null;
  private startedAt = new Date();
  private count = Number(storage.read("count")) || 0;
  private skipped = storage.read("skipped").split(",").filter(Boolean);
  /** Subjects whose answers are on their way into the outbox, and those whose answers lie in it. */
  private readonly keeping = new Set<string>();
  private waiting: string[] = [];
  private reachable = true;
  private fetching = false;
  private exhausted = false;
  private closed = false;
  private readonly tabs = new Tabs(newKey());
  private sequence = Date.now();
  private readonly id = storage.read("session") || newKey().replaceAll("-", "").repeat(2);

  constructor(
    private readonly page: PageData,
    private readonly view: View,
    private readonly outbox: Outbox,
  ) {
    storage.write("session", this.id);
    this.undoable = new Undo(view.undo);
    this.queue = new SubjectQueue(page.queue.decode_ahead, this.skipped);
    this.stage = new Stage(view.viewer, view.tools, {
      workflowId: page.workflow.id,
      configuration: page.viewer,
      upcoming: () => this.queue.frames,
    });
    this.walk = new TaskWalk(page.workflow, findTaskElements(), this.stage, {
      onComplete: (annotations, summary) => {
        this.answer(annotations, summary);
      },
      onChange: () => {
        // Nothing here depends on an answer that is not complete.
      },
    });
    this.sender = new Sender(outbox, page.urls.csrf, {
      onWaiting: (letters, reachable) => {
        this.waiting = letters.flatMap(subjectsOf);
        this.reachable = reachable;
        this.writeSaving();
      },
      onRefused: (letter, error) => {
        this.onRefused(letter, error);
      },
      onRefill: (subjects) => {
        this.exhausted = subjects.length === 0;
        this.add(subjects);
      },
      wantedRefill: () => this.wantedRefill(),
    });
    this.writeCount();
  }

  async start(): Promise<void> {
    this.waiting = (await this.outbox.pending()).flatMap(subjectsOf);
    await Promise.all([this.fetchMore(), this.sender.drain()]);
  }

  /** Whether a picture is shown whole, and a finger on it neither draws nor moves it. */
  get showsAll(): boolean {
    const { stage } = this;
    if (stage.kind !== "picture" || stage.pointerUse !== "view") return false;
    const { width, height } = stage.naturalSize();
    const box = stage.boxOf(stage.frame);
    // A few percent more: where a picture is zoomed in, a finger moves it.
    return box !== null && stage.scale <= 1.05 * Math.max(box.width / width, box.height / height);
  }

  /** Put the present subject aside without an answer. */
  skip(): void {
    if (!this.current || this.closed) return;
    if (this.companion?.goOn()) return;
    if (this.revising) {
      this.view.announcement.textContent = t("Your answer stays as it was.");
      this.next();
      return;
    }
    this.skipped = [...this.skipped, this.current.subject.id].slice(-SKIPPED_KEPT);
    storage.write("skipped", this.skipped.join(","));
    this.view.announcement.textContent = t("Skipped.");
    this.next();
    void this.fetchIfLow();
  }

  /** Try once more to load a picture that failed. */
  retry(): void {
    if (!this.current) return;
    const entry = prepareAgain(this.current.subject);
    this.current = entry;
    this.view.setStage("loading");
    void this.showWhenReady(entry);
  }

  /** Show the subject that was answered last, and its answer, to be given anew; false when it is too late. */
  undo(): boolean {
    const given = this.closed ? null : this.undoable.take();
    if (!given) return false;
    if (this.current) this.queue.putBack(this.current.subject);
    this.revising = given;
    const entry = prepareAgain(given.subject);
    this.current = entry;
    this.walk.restart();
    this.walk.restore(given.annotations);
    this.walk.setEnabled(false);
    this.view.setStage("loading");
    this.view.writeNotice(t("Give your answer anew, or skip to leave it as it was."));
    this.publish();
    void this.showWhenReady(entry);
    return true;
  }

  private answer(annotations: Annotation[], label: string): void {
    const entry = this.current;
    if (!entry) return;
    const answeredAt = performance.now();
    const { revising } = this;
    const lessons = revising ? [] : (this.companion?.onAnswered(entry.subject, annotations) ?? []);
    const key = newKey();
    const given: Given = revising
      ? { ...revising, annotations, revision: revising.revision + 1 }
      : { subject: entry.subject, annotations, first: key, revision: 0 };
    const body = this.bodyFor(entry, given, lessons);
    this.keeping.add(entry.subject.id);
    if (!revising) this.count += 1;
    // Who has been told how it was answered before has nothing to take back.
    if (lessons.length > 0) this.undoable.forget();
    else this.undoable.offer(given);
    if (lessons.length > 0) {
      this.walk.setEnabled(false);
      this.companion?.tell(lessons, () => {
        this.next();
      });
    } else this.next(answeredAt);
    // Everything below may take its time: the volunteer already looks at the next picture.
    this.publish();
    storage.write("count", String(this.count));
    this.writeCount();
    this.writeSaving();
    this.view.writeNotice("");
    this.view.announcement.textContent = t("Answered {label}.", { label });
    void this.keep(entry.subject.id, key, body);
    if (this.page.gold) void this.fetchIfLow();
  }

  private async keep(subjectId: string, key: string, body: ClassificationBody): Promise<void> {
    this.sequence += 1;
    await this.outbox.put({
      id: key,
      sequence: this.sequence,
      url: this.page.urls.classifications,
      body,
    });
    this.keeping.delete(subjectId);
    this.waiting.push(subjectId);
    if (!this.outbox.durable)
      this.view.writeNotice(
        t("Your browser cannot store answers, so please keep this tab open until all are saved."),
      );
    await this.sender.drain();
    await this.fetchIfLow();
  }

  /** Paint the next subject. `answeredAt` starts the measure from answer to painted picture. */
  private next(answeredAt?: number): void {
    this.revising = null;
    this.current = this.queue.take();
    this.walk.restart();
    const entry = this.current;
    if (!entry) {
      this.stage.clear();
      this.walk.setEnabled(false);
      delete this.view.root.dataset.subject;
      this.view.writeFacts({});
      void this.lookAgain();
      return;
    }
    if (entry.ready) this.show(entry, entry.ready);
    else {
      this.view.setStage("loading");
      this.walk.setEnabled(false);
      void this.showWhenReady(entry);
    }
    if (answeredAt !== undefined)
      void entry.prepared.then(() => {
        measurePaint(answeredAt);
      });
  }

  private async showWhenReady(entry: QueuedSubject): Promise<void> {
    const prepared = await entry.prepared;
    if (this.current === entry) this.show(entry, prepared);
  }

  private show(entry: QueuedSubject, prepared: Prepared): void {
    this.startedAt = new Date();
    this.view.writeFacts(entry.subject.metadata);
    this.view.root.dataset.subject = entry.subject.id;
    this.view.setStage(prepared.kind);
    this.stage.show(prepared);
    this.walk.setEnabled(prepared.kind !== "damaged");
    this.companion?.onShown(entry.subject);
  }

  /** Tutorial, field guide, favourites and feedback come once the first picture is there. */
  accompany(companion: Companion): void {
    this.companion = companion;
    if (this.current) companion.onShown(this.current.subject);
  }

  /** Ask the server whether there is anything for an empty page; subjects become free as others let go of them. */
  async lookAgain(): Promise<void> {
    if (this.closed || this.current) return;
    this.view.setStage("loading");
    await this.fetchMore();
  }

  /** New subjects came: keep them, and go on if the page was waiting for them. */
  private add(subjects: Subject[]): void {
    const elsewhere = new Set(this.tabs.heldElsewhere());
    this.queue.add(subjects.filter((subject) => !elsewhere.has(subject.id)));
    if (!this.current && this.queue.length > 0) this.next();
    this.publish();
  }

  private publish(): void {
    this.view.root.dataset.queued = String(this.queue.length);
    this.tabs.publish(this.current ? [this.current.subject.id, ...this.queue.ids] : this.queue.ids);
  }

  /** How many more subjects to ask for now. */
  private get wanted(): number {
    const { depth, at_once, refill_from } = this.page.queue;
    const missing = depth - this.queue.length;
    return missing < refill_from ? 0 : Math.min(at_once, missing);
  }

  private wantedRefill(): Refill {
    // An answer's refill brings volunteers' subjects; an expert's page asks for its own.
    const count = this.exhausted || this.closed || this.page.gold ? 0 : this.wanted;
    return { count, held: this.held() };
  }

  /** Subjects that must not be handed out again: here or in another tab, put aside, or answered and not yet sent. */
  private held(): string[] {
    const here = this.current ? [this.current.subject.id] : [];
    return [
      ...new Set([
        ...here,
        ...this.queue.ids,
        ...this.unsent(),
        ...this.tabs.heldElsewhere(),
        ...this.skipped,
      ]),
    ].slice(0, MOST_HELD);
  }

  private async fetchIfLow(): Promise<void> {
    if (this.queue.length < LOW_WATER && !this.exhausted && !this.closed && !this.sender.busy)
      await this.fetchMore();
  }

  private async fetchMore(): Promise<void> {
    if (this.fetching || this.closed || this.wanted === 0) return;
    this.fetching = true;
    try {
      const { workflow, urls } = this.page;
      const subjects = await fetchQueue(urls.queue, workflow.id, this.wanted, this.held());
      this.exhausted = subjects.length === 0;
      this.add(subjects);
      if (!this.current) this.view.setStage("exhausted");
    } catch (error) {
      if (error instanceof RefusedError && !error.temporary) this.close(sentenceFor(error));
      else {
        if (!this.current) this.view.setStage("offline");
        setTimeout(() => void this.fetchMore(), RETRY_QUEUE_MS);
      }
    } finally {
      this.fetching = false;
    }
  }

  private unsent(): string[] {
    return [...new Set([...this.keeping, ...this.waiting])];
  }

  private writeSaving(): void {
    const count = this.unsent().length;
    this.view.saving.textContent = waitingSentence(count, this.reachable);
    this.view.saving.dataset.state = count === 0 ? "saved" : this.reachable ? "saving" : "waiting";
  }

  private onRefused(letter: Letter, error: RefusedError): void {
    const sentence = sentenceFor(error);
    const here = letter.body.classifications.links.workflow === this.page.workflow.id;
    // Another question's letter that is refused again waits on; nobody needs to be told twice.
    if (!CLOSING_CODES.has(error.code)) this.view.writeNotice(sentence);
    else if (here) this.close(sentence);
  }

  private close(reason: string): void {
    this.closed = true;
    this.view.closedReason.textContent = reason;
    this.current = null;
    this.walk.setEnabled(false);
    this.view.setStage("closed");
  }

  private writeCount(): void {
    this.view.count.textContent = String(this.count);
  }

  private bodyFor(entry: QueuedSubject, given: Given, lessons: Lesson[]): ClassificationBody {
    const { project, workflow } = this.page;
    return {
      classifications: {
        annotations: given.annotations,
        metadata: {
          source: "esocs",
          session: this.id,
          started_at: this.startedAt.toISOString(),
          finished_at: new Date().toISOString(),
          user_agent: navigator.userAgent,
          user_language: navigator.language,
          workflow_version: workflow.version,
          // Panoptes sends seconds, west of Greenwich positive, as text.
          utc_offset: String(new Date().getTimezoneOffset() * 60),
          viewport: { width: innerWidth, height: innerHeight },
          subject_dimensions: this.stage.dimensions(),
          ...(given.revision > 0 ? { revises: given.first, revision: given.revision } : {}),
          ...(lessons.length > 0 ? { feedback: feedbackOf(lessons) } : {}),
        },
        links: { project: project.id, workflow: workflow.id, subjects: [entry.subject.id] },
        completed: true,
        ...(this.page.gold ? { gold_standard: true as const } : {}),
      },
    };
  }
}

function subjectsOf(letter: Letter): string[] {
  return letter.body.classifications.links.subjects;
}

/** Records the time from an answer to the frame that shows the next subject, for anyone who measures the page. */
function measurePaint(answeredAt: number): void {
  requestAnimationFrame(() => {
    // The message comes after the frame has been handed to the screen.
    const channel = new MessageChannel();
    channel.port1.onmessage = () => {
      performance.measure("esocs:next-picture", { start: answeredAt, end: performance.now() });
    };
    channel.port2.postMessage(null);
  });
}
