// Questions with a field to fill in: a text, a number on a slider, lists to choose from.

import { t } from "../../shared/i18n";
import type { Select, SelectOption, Task } from "./types";
import { AskedView, asNumber, button, type TaskContext } from "./view";

/** As many characters as the crowd's summary of texts reads. */
const LONGEST_TEXT = 10_000;

export class TextView extends AskedView {
  private readonly area = document.createElement("textarea");

  constructor(task: Task, context: TaskContext) {
    super(task, context);
    this.area.className = "input";
    this.area.rows = 2;
    this.area.maxLength = LONGEST_TEXT;
    this.area.setAttribute("aria-labelledby", this.heading.id);
    this.area.addEventListener("input", () => {
      this.fit();
      context.onChange();
    });
    this.fields.append(this.area);
    const tags = task.text_tags ?? [];
    if (tags.length > 0) this.fields.append(this.tagRow(tags));
  }

  get value(): string {
    return this.area.value;
  }

  write(value: unknown): void {
    this.area.value = typeof value === "string" ? value : "";
    this.fit();
  }

  summary(): string {
    const text = this.area.value.trim();
    return text.length > 40 ? `${text.slice(0, 39)}…` : text || t("nothing written");
  }

  protected override isEmpty(): boolean {
    return this.area.value.trim() === "";
  }

  /** Buttons that put a tag around the selected words, as transcribers mark what they cannot read. */
  private tagRow(tags: string[]): HTMLElement {
    const row = document.createElement("div");
    row.className = "tags";
    row.setAttribute("role", "group");
    row.setAttribute("aria-label", t("Tags for the selected words"));
    row.append(
      ...tags.map((tag) => {
        const element = button(tag, "button quiet small");
        element.addEventListener("click", () => {
          this.wrap(tag);
        });
        return element;
      }),
    );
    return row;
  }

  private wrap(tag: string): void {
    const { selectionStart: start, selectionEnd: end, value } = this.area;
    const [open, close] = [`[${tag}]`, `[/${tag}]`];
    if (value.length + open.length + close.length > LONGEST_TEXT) return;
    this.area.setRangeText(`${open}${value.slice(start, end)}${close}`, start, end, "end");
    if (start === end) this.area.setSelectionRange(start + open.length, start + open.length);
    this.area.focus();
    this.fit();
    this.context.onChange();
  }

  /** As high as its text. */
  private fit(): void {
    this.area.rows = Math.min(12, Math.max(2, this.area.value.split("\n").length + 1));
  }
}

export class SliderView extends AskedView {
  private readonly range = document.createElement("input");
  private readonly output = document.createElement("output");
  private touched = false;
  private readonly low: number;
  private readonly high: number;

  constructor(task: Task, context: TaskContext) {
    super(task, context);
    this.low = asNumber(task.min) ?? 0;
    this.high = Math.max(this.low, asNumber(task.max) ?? 100);
    this.range.type = "range";
    this.range.min = String(this.low);
    this.range.max = String(this.high);
    this.range.step = String(asNumber(task.step) ?? "any");
    this.range.id = `${this.id}-range`;
    this.range.setAttribute("aria-labelledby", this.heading.id);
    this.range.addEventListener("input", () => {
      this.touched = true;
      this.tell();
      context.onChange();
    });
    this.output.htmlFor.add(this.range.id);
    const scale = document.createElement("div");
    scale.className = "slider-scale";
    scale.setAttribute("aria-hidden", "true");
    const [from, to] = [document.createElement("span"), document.createElement("span")];
    from.textContent = String(this.low);
    to.textContent = String(this.high);
    scale.append(from, to);
    this.fields.classList.add("slider-field");
    this.fields.append(this.output, this.range, scale);
    this.write(undefined);
  }

  /** A number; null while nobody moved it and it has no default. */
  get value(): number | null {
    return this.touched ? Number(this.range.value) : null;
  }

  write(value: unknown): void {
    const start = asNumber(this.task.defaultValue);
    const given = asNumber(value);
    this.touched = given !== null || (value === undefined && start !== null);
    this.range.value = String(given ?? start ?? (this.low + this.high) / 2);
    this.tell();
  }

  summary(): string {
    return this.touched ? this.range.value : t("not set");
  }

  private tell(): void {
    this.output.textContent = this.touched ? this.range.value : "–";
    this.range.classList.toggle("untouched", !this.touched);
    if (this.touched) this.range.removeAttribute("aria-valuetext");
    else this.range.setAttribute("aria-valuetext", t("not set yet"));
  }
}

interface List {
  select: Select;
  element: HTMLSelectElement;
  written: HTMLInputElement | null;
}

const WRITTEN = "written";

/** Lists of options, which may depend on one another. `dropdown-simple` has one, and sends the option's place. */
export class DropdownView extends AskedView {
  readonly taskType?: string;
  private readonly lists: List[];

  constructor(task: Task, context: TaskContext) {
    super(task, context);
    if (task.type === "dropdown-simple") this.taskType = "dropdown-simple";
    const selects = task.selects ?? [];
    this.lists = (this.taskType ? selects.slice(0, 1) : selects).map((select, place) =>
      this.list(select, place),
    );
    this.group();
    this.write(undefined);
  }

  get value(): unknown {
    const values = this.lists.map(({ element, written }) => {
      if (written && element.value === WRITTEN) return { value: written.value.trim() || null, option: false };
      return element.value === ""
        ? { value: null, option: false }
        : { value: element.selectedOptions[0]?.dataset.value ?? null, option: true };
    });
    if (!this.taskType) return values;
    const [one] = values;
    if ((one?.value ?? null) === null || !one) return null;
    return { selection: one.option ? Number(this.lists[0]?.element.value) : one.value, option: one.option };
  }

  write(value: unknown): void {
    const given: unknown[] = Array.isArray(value) ? value : [value];
    this.lists.forEach((list, place) => {
      this.fill(list);
      const one = given[place] as
        { value?: unknown; selection?: unknown; option?: boolean } | undefined | null;
      const { element, written } = list;
      const wanted = one?.value ?? one?.selection ?? null;
      const option = [...element.options].find(
        (each) => each.value !== "" && (each.dataset.value === wanted || Number(each.value) === wanted),
      );
      element.value = option && one?.option ? option.value : "";
      if (written) {
        const free = one?.option === false && typeof wanted === "string";
        if (free) element.value = WRITTEN;
        written.value = free ? wanted : "";
      }
      this.showWritten(list);
    });
  }

  override missing(): string {
    const open = this.lists.find((list) => this.isOpen(list));
    if (!open) return super.missing();
    const title = this.context.text(open.select.title);
    return title ? t("Please choose something for “{title}”.", { title }) : t("Please choose something.");
  }

  override focusMissing(): void {
    (this.lists.find((list) => this.isOpen(list)) ?? this.lists[0])?.element.focus();
  }

  summary(): string {
    const chosen = this.lists.flatMap(({ element, written }) => {
      if (element.value === "") return [];
      return [element.value === WRITTEN ? (written?.value ?? "") : (element.selectedOptions[0]?.text ?? "")];
    });
    return chosen.filter(Boolean).join(", ") || t("nothing chosen");
  }

  protected override isEmpty(): boolean {
    return this.lists.every(({ element }) => element.value === "");
  }

  private isOpen({ select, element, written }: List): boolean {
    const empty = element.value === "" || (element.value === WRITTEN && !written?.value.trim());
    // A list that has no options under what was chosen before cannot be answered.
    return select.required === true && empty && element.options.length > 1;
  }

  private list(select: Select, place: number): List {
    const row = document.createElement("div");
    row.className = "field";
    const element = document.createElement("select");
    element.className = "input";
    element.id = `${this.id}-${place}`;
    const title = document.createElement("label");
    title.htmlFor = element.id;
    title.textContent = this.context.text(select.title) || t("List {number}", { number: place + 1 });
    title.classList.toggle("visually-hidden", !select.title);
    row.append(title, element);
    const list: List = { select, element, written: null };
    if (select.allowCreate) {
      const written = document.createElement("input");
      written.type = "text";
      written.className = "input";
      written.maxLength = 500;
      written.setAttribute("aria-label", t("Something else: {title}", { title: title.textContent }));
      written.addEventListener("input", () => {
        this.refill(select);
        this.context.onChange();
      });
      row.append(written);
      list.written = written;
    }
    element.addEventListener("change", () => {
      this.showWritten(list);
      if (element.value === WRITTEN) list.written?.focus();
      this.refill(select);
      this.context.onChange();
    });
    this.fields.append(row);
    return list;
  }

  /** Lists that depend on this one, and those that depend on them, begin anew. */
  private refill(changed: Select): void {
    for (const list of this.lists)
      if (this.parentOf(list.select)?.select === changed) {
        this.fill(list);
        list.element.value = "";
        if (list.written) list.written.value = "";
        this.showWritten(list);
        this.refill(list.select);
      }
  }

  private fill(list: List): void {
    const { element, select } = list;
    const options = this.optionsOf(select);
    element.replaceChildren(
      new Option(options.length > 0 || select.allowCreate ? t("Choose…") : t("Nothing to choose"), ""),
      ...options.map((option, index) => {
        const entry = new Option(this.context.text(option.label), String(index));
        entry.dataset.value = option.value;
        return entry;
      }),
    );
    if (select.allowCreate) element.append(new Option(t("Something else…"), WRITTEN));
    element.disabled = element.options.length <= 1;
  }

  private optionsOf(select: Select): SelectOption[] {
    const options = select.options ?? {};
    if (select.condition === undefined) return options["*"] ?? Object.values(options).flat();
    const chain = this.chain(select);
    return options[chain.join(";")] ?? options[chain.at(-1) ?? ""] ?? options["*"] ?? [];
  }

  /** The list that this one depends on, if it stands before it. */
  private parentOf(select: Select): List | undefined {
    const before = this.lists.slice(
      0,
      Math.max(
        0,
        this.lists.findIndex((list) => list.select === select),
      ),
    );
    return before.find((list) => list.select.id !== undefined && list.select.id === select.condition);
  }

  /** What was chosen in the lists that this one depends on, the first of them first. */
  private chain(select: Select): string[] {
    const parent = this.parentOf(select);
    if (!parent) return [];
    return [...this.chain(parent.select), parent.element.selectedOptions[0]?.dataset.value ?? ""];
  }

  private showWritten({ element, written }: List): void {
    if (written) written.hidden = element.value !== WRITTEN;
  }
}
