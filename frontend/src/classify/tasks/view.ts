// What every kind of task has in common on the page: its question, its help, its answer, and what is missing in it.

import { t } from "../../shared/i18n";
import type { Viewport } from "../viewport";
import { blocks, inline } from "./markdown";
import { isRequired, type Task } from "./types";

export interface TaskContext {
  /** Text of a workflow's key; the key itself where it has none. */
  text(key: string | undefined): string;
  /** An answer changed. */
  onChange(): void;
  /** The task stands alone, and its one answer was given: go on. */
  onAnswered(element: HTMLElement): void;
  /** What the digits press is another now. */
  onChoosers(): void;
  /** Say something to those who do not see it. */
  announce(text: string): void;
  viewport: Viewport | null;
}

/** A task on the page. It lives as long as the page: `write` gives it another subject's answer. */
export interface TaskView {
  readonly element: HTMLElement;
  readonly heading: HTMLElement;
  /** What is sent; null or empty where nothing was answered. */
  readonly value: unknown;
  /** Written beside the value where a reader needs it. */
  readonly taskType?: string;
  /** Its answer leads on by itself. */
  readonly instant?: boolean;
  /** Take up an answer; `undefined` begins anew. Tells the context nothing. */
  write(value: unknown): void;
  /** Why the walk cannot go on yet, as a sentence; "" when it can. */
  missing(): string;
  /** What the digits press, in their order. */
  choosers(): HTMLElement[];
  /** The answer in a few words. */
  summary(): string;
  /** Where the focus goes when something is missing. */
  focusMissing(): void;
  /** The task comes onto the page, or leaves it. */
  show?(): void;
  hide?(): void;
}

let views = 0;

/** The question and the help, into which each kind of task puts its fields. */
export abstract class AskedView implements TaskView {
  readonly element = document.createElement("section");
  readonly heading = document.createElement("h2");
  protected readonly fields = document.createElement("div");
  protected readonly id = `task-view-${(views += 1)}`;

  constructor(
    protected readonly task: Task,
    protected readonly context: TaskContext,
    fallback = "",
  ) {
    this.element.className = "asked";
    this.heading.className = "question";
    this.heading.tabIndex = -1;
    this.heading.id = `${this.id}-question`;
    const question = context.text(task.question) || context.text(task.instruction) || fallback;
    // A picture in a question stands below its words.
    const [first = "", ...rest] = question.split(/\n\s*\n/);
    this.heading.append(inline(first.replace(/^#+ +/, "")));
    this.element.append(this.heading);
    if (rest.length > 0) this.element.append(prose(rest.join("\n\n"), "task-words"));
    const help = this.help();
    if (help) this.element.append(help);
    this.fields.className = "fields";
    this.element.append(this.fields);
  }

  abstract readonly value: unknown;
  abstract write(value: unknown): void;
  abstract summary(): string;

  missing(): string {
    return isRequired(this.task) && this.isEmpty() ? t("Please answer this question first.") : "";
  }

  choosers(): HTMLElement[] {
    return [];
  }

  focusMissing(): void {
    const field = this.fields.querySelector<HTMLElement>("input, select, textarea, button");
    (field ?? this.heading).focus();
  }

  protected isEmpty(): boolean {
    const value = this.value;
    return value === null || value === "" || (Array.isArray(value) && value.length === 0);
  }

  /** Names the fields as one group by the question. */
  protected group(role: "group" | "radiogroup" = "group"): void {
    this.fields.setAttribute("role", role);
    this.fields.setAttribute("aria-labelledby", this.heading.id);
    const help = this.element.querySelector(".task-help");
    if (help?.id) this.fields.setAttribute("aria-describedby", help.id);
    if (isRequired(this.task) && role === "radiogroup") this.fields.setAttribute("aria-required", "true");
  }

  private help(): HTMLElement | null {
    const key = this.task.help;
    const text = this.context.text(key).trim();
    // Panoptes keeps a key for a help that was never written.
    if (!text || (text === key && /^[A-Za-z]+\d*\.help$/.test(text))) return null;
    const short = text.length <= 240 && !/!\[|\n\s*\n/.test(text);
    const words = prose(text, short ? "task-help" : "task-help long");
    words.id = `${this.id}-help`;
    if (short) return words;
    const details = document.createElement("details");
    details.className = "task-more";
    const summary = document.createElement("summary");
    summary.textContent = t("Help with this question");
    details.append(summary, words);
    return details;
  }
}

export function prose(text: string, className: string): HTMLElement {
  const element = document.createElement("div");
  element.className = className;
  element.append(blocks(text));
  return element;
}

export function button(label: string | Node, className = "button quiet"): HTMLButtonElement {
  const element = document.createElement("button");
  element.type = "button";
  element.className = className;
  element.append(label);
  return element;
}

/** A place for the key that presses an element; `number` is written by the page's list of keys. */
export function keyCap(): HTMLElement {
  const cap = document.createElement("kbd");
  cap.setAttribute("aria-hidden", "true");
  cap.hidden = true;
  return cap;
}

export function asNumber(value: unknown): number | null {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) ? number : null;
}
