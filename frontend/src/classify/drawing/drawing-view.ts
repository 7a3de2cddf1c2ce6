// A drawing task: its tools beside the picture, the marks on it, and what is asked about each.

import "./drawing.css";
import { t, tn } from "../../shared/i18n";
import type { DrawingTool, Task } from "../tasks/types";
import { AskedView, asNumber, type TaskContext } from "../tasks/view";
import type { SubjectPoint } from "../viewport";
import { Details, isOpen } from "./details";
import type { Command } from "./keys";
import { readMarks, writeMarks, type Mark } from "./marks";
import { Painter } from "./painter";
import { drawnOn, middleOf, stepped } from "./places";
import { Pointer } from "./pointer";
import { MOST_MARKS, Sketch, type Tool } from "./sketch";
import { ToolPanel } from "./tool-panel";
import { describeShape, howTo, nameOfShape } from "./words";

/** Bright, and told apart by most who see colours differently. */
const COLOURS = ["#ffb000", "#4cc9f0", "#ff7ab8", "#9be15d", "#c7a6ff", "#ff8a5c"];

export class DrawingView extends AskedView {
  readonly taskType?: string;
  private readonly sketch: Sketch;
  private readonly panel: ToolPanel;
  private readonly painter: Painter | null = null;
  private readonly pointer: Pointer | null = null;
  private readonly details: Details;
  private active = false;
  /** The volunteer moves the picture and draws nothing. */
  private looking = false;
  private cursor: SubjectPoint | null = null;
  private scheduled = 0;
  private stopWatching: (() => void) | null = null;

  constructor(task: Task, context: TaskContext) {
    super(task, context, t("Mark what you see"));
    if (task.type === "dataVisAnnotation") this.taskType = "dataVisAnnotation";
    const { viewport } = context;
    this.group();
    const tools = (task.tools ?? []).map((tool, index) => this.readTool(tool, index));
    this.sketch = new Sketch(tools, {
      onChange: () => {
        this.paintSoon();
      },
      onMarks: () => {
        this.context.onChange();
      },
      onCreated: (mark) => {
        this.onCreated(mark);
      },
      onFull: (tool) => {
        context.announce(
          tn("One is enough of “{name}”.", "{count} are enough of “{name}”.", tool.most, {
            name: tool.label,
          }),
        );
      },
    });
    this.panel = new ToolPanel(this.fields, this.sketch, {
      onTool: () => {
        this.look(false);
      },
      onLook: (looking) => {
        this.look(looking);
      },
      onUndo: () => {
        this.command({ kind: "undo" });
      },
      onDelete: () => {
        this.command({ kind: "delete" });
      },
      onDetails: () => {
        this.command({ kind: "details" });
      },
    });
    this.details = new Details(viewport?.overlay.parentElement ?? null, this.fields, context, this.id);
    if (!viewport) return;
    this.painter = new Painter(viewport, this.sketch, (mark) => this.describe(mark), this.id);
    this.pointer = new Pointer(
      viewport,
      this.sketch,
      () => this.active && !this.looking,
      () => {
        this.closeDetails(false);
      },
    );
    this.painter.root.addEventListener("focusin", (event) => {
      this.onFocus(event.target as Element);
    });
    this.painter.root.addEventListener("focusout", () => {
      this.paintSoon();
    });
  }

  get value(): unknown {
    const { viewport } = this.context;
    return writeMarks(this.sketch.marks.all, viewport ? drawnOn(viewport) : "picture", (mark) =>
      this.taskType ? { toolType: this.sketch.tools[mark.tool]?.type } : {},
    );
  }

  write(value: unknown): void {
    this.closeDetails(false);
    this.cursor = null;
    this.sketch.reset(readMarks(value, this.sketch.tools.length));
  }

  override missing(): string {
    if (this.sketch.draft) return t("Please finish the shape that you began, or leave it with Escape.");
    const short = this.sketch.tools.findIndex((tool, index) => this.sketch.marks.count(index) < tool.least);
    const tool = this.sketch.tools[short];
    if (tool)
      return tn(
        "Please mark at least one “{name}”.",
        "Please mark at least {count} of “{name}”.",
        tool.least,
        {
          name: tool.label,
        },
      );
    const open = this.openMark();
    if (open) return t("Please answer the questions about “{name}”.", { name: this.nameOf(open) });
    return super.missing();
  }

  override focusMissing(): void {
    const open = this.openMark();
    if (open) {
      this.sketch.select(open);
      this.openDetails(open);
    } else super.focusMissing();
  }

  override choosers(): HTMLElement[] {
    return this.details.open ? this.details.choosers : this.panel.tools.filter((tool) => !tool.hidden);
  }

  summary(): string {
    const count = this.sketch.marks.all.length;
    return count === 0 ? t("no marks") : tn("one mark", "{count} marks", count);
  }

  show(): void {
    const { viewport } = this.context;
    if (!viewport || !this.painter) return;
    this.active = true;
    viewport.overlay.append(this.painter.root);
    this.stopWatching ??= viewport.onChange(() => {
      this.paintSoon();
    });
    this.look(this.looking);
    this.paint();
  }

  /** The marks stay to be seen while other questions are asked. */
  hide(): void {
    this.closeDetails(false);
    this.sketch.cancel();
    this.sketch.select(null);
    this.active = false;
    this.context.viewport?.setPointerUse("view");
    this.paint();
  }

  /** A command of the keyboard; false where there was nothing to do. */
  command(command: Command): boolean {
    const { viewport } = this.context;
    if (!this.active || !viewport || !this.pointer) return false;
    switch (command.kind) {
      case "go":
        this.look(false);
        this.painter?.root.focus();
        return true;
      case "move":
        return this.moveBy(command);
      case "set":
        return this.set();
      case "finish":
        return this.sketch.finish(this.pointer.least);
      case "cancel":
        return this.cancel();
      case "delete":
        return this.deleteMark();
      case "undo":
        return this.sketch.undo();
      case "handle":
        return this.nextHandle();
      case "details":
        return this.sketch.selected !== null && this.openDetails(this.sketch.selected);
    }
  }

  private readTool(tool: DrawingTool, index: number): Tool {
    const colour = tool.color ?? "";
    return {
      type: tool.type,
      label: this.context.text(tool.label) || nameOfShape(tool.type),
      colour: CSS.supports("color", colour) ? colour : (COLOURS[index % COLOURS.length] ?? "#ffb000"),
      least: Math.max(0, asNumber(tool.min) ?? 0),
      most: Math.min(MOST_MARKS, asNumber(tool.max) ?? MOST_MARKS),
      size: tool.size === "small" ? "small" : "large",
      presets: (tool.presets ?? []).filter((size) => size > 0),
      questions: tool.details?.length ?? 0,
      how: howTo(tool.type),
    };
  }

  private questions(mark: Mark): Task[] {
    return this.task.tools?.[mark.tool]?.details ?? [];
  }

  private openMark(): Mark | undefined {
    return this.sketch.marks.all.find((mark) => isOpen(this.questions(mark), mark.details, this.context));
  }

  private nameOf(mark: Mark): string {
    return `${this.sketch.tools[mark.tool]?.label ?? ""} ${this.sketch.numberOf(mark)}`;
  }

  private describe(mark: Mark): string {
    const { viewport } = this.context;
    const spectrum = viewport !== null && drawnOn(viewport) === "spectrum";
    const shape = describeShape(this.sketch.tools[mark.tool]?.type ?? "", mark.geometry, spectrum);
    return `${this.nameOf(mark)} ${shape}`;
  }

  private look(looking: boolean): void {
    this.looking = looking;
    this.panel.looking = looking;
    if (looking) this.closeDetails(false);
    if (this.active) this.context.viewport?.setPointerUse(looking ? "view" : "draw");
    this.paintSoon();
  }

  private onCreated(mark: Mark): void {
    this.context.announce(this.describe(mark));
    if (this.questions(mark).length > 0) this.openDetails(mark);
  }

  private openDetails(mark: Mark): boolean {
    const tasks = this.questions(mark);
    if (tasks.length === 0) return false;
    let current = mark;
    this.paint();
    this.details.show(this.nameOf(mark), tasks, mark.details, {
      onAnswer: (values) => {
        current = this.sketch.answer(current, values);
      },
      onDone: () => {
        this.closeDetails(true);
      },
      onDelete: () => {
        this.sketch.select(current);
        this.closeDetails(true);
        this.sketch.remove();
      },
    });
    this.details.stand(this.painter?.boxOf(mark) ?? null);
    this.context.onChoosers();
    return true;
  }

  private closeDetails(lead: boolean): void {
    if (!this.details.open) return;
    const inside = this.details.contains(document.activeElement);
    this.details.hide();
    this.context.onChoosers();
    if (!lead) return;
    if (inside) this.painter?.root.focus({ preventScroll: true });
    // On a narrow screen the questions stood below the picture.
    this.context.viewport?.overlay.parentElement?.scrollIntoView({ block: "nearest" });
  }

  private onFocus(target: Element): void {
    const index = target.closest<SVGGElement>("[data-mark]")?.dataset.mark;
    const mark = index === undefined ? null : (this.sketch.marks.all[Number(index)] ?? null);
    const { viewport } = this.context;
    if (mark) {
      this.sketch.select(mark);
      const shape = this.sketch.shape(mark).outline(mark.geometry, { left: 0, top: 0, right: 0, bottom: 0 });
      const [first] = shape.points;
      if (first) viewport?.reveal({ ...first, frame: mark.frame });
    } else if (viewport) this.cursor ??= middleOf(viewport);
    this.paintSoon();
  }

  /** The mark that has the focus, if one has. */
  private get focusedMark(): Mark | null {
    const mark = this.sketch.selected;
    return mark && this.painter?.elementOf(mark) === document.activeElement ? mark : null;
  }

  private moveBy(step: { dx: number; dy: number; far: boolean }): boolean {
    const { viewport } = this.context;
    if (!viewport) return false;
    const mark = this.focusedMark;
    if (mark) return this.moveMark(mark, step);
    const from = this.cursor ?? middleOf(viewport);
    if (!from) return false;
    this.cursor = stepped(viewport, from, step);
    viewport.reveal(this.cursor);
    this.sketch.stretch(this.cursor);
    const digits = drawnOn(viewport) === "spectrum" ? 1 : 0;
    this.context.announce(`${this.cursor.x.toFixed(digits)}, ${this.cursor.y.toFixed(digits)}`);
    this.paintSoon();
    return true;
  }

  private moveMark(mark: Mark, step: { dx: number; dy: number; far: boolean }): boolean {
    const { viewport } = this.context;
    if (!viewport || !this.painter) return false;
    const shape = this.sketch.shape(mark);
    const handles = this.painter.handlesOf(mark);
    const handle = handles.find(({ id }) => id === (this.sketch.handle ?? "move"));
    if (!handle) return false;
    const to = stepped(viewport, { x: handle.x, y: handle.y, frame: mark.frame }, step);
    const geometry =
      handle.id === "move"
        ? shape.move(mark.geometry, to.x - handle.x, to.y - handle.y)
        : shape.drag(mark.geometry, handle.id, to);
    this.sketch.reshape(geometry, true);
    viewport.reveal(to);
    if (this.sketch.selected) this.context.announce(this.describe(this.sketch.selected));
    return true;
  }

  private set(): boolean {
    const mark = this.focusedMark;
    if (mark) return this.openDetails(mark) || this.nextHandle();
    const { viewport } = this.context;
    this.cursor ??= viewport && middleOf(viewport);
    if (!this.cursor || !this.pointer) return false;
    const drafting = this.sketch.draft !== null;
    // From the keyboard every step is meant, however small.
    this.sketch.press(this.cursor, this.pointer.least / 4);
    if (!drafting && this.sketch.draft) this.context.announce(t("Begun. Move on and press Enter again."));
    return true;
  }

  private cancel(): boolean {
    if (this.sketch.cancel()) {
      this.context.announce(t("Left."));
      return true;
    }
    if (this.sketch.handle !== null) {
      this.sketch.arm(null);
      return true;
    }
    const mark = this.focusedMark;
    this.sketch.select(null);
    if (mark) this.painter?.root.focus({ preventScroll: true });
    return mark !== null;
  }

  private deleteMark(): boolean {
    const mark = this.sketch.selected;
    if (!mark) return false;
    const name = this.nameOf(mark);
    const focused = this.focusedMark !== null;
    this.closeDetails(true);
    this.sketch.remove();
    this.context.announce(t("“{name}” is deleted.", { name }));
    if (focused) this.painter?.root.focus({ preventScroll: true });
    return true;
  }

  private nextHandle(): boolean {
    const mark = this.sketch.selected;
    const handles = mark ? (this.painter?.handlesOf(mark) ?? []) : [];
    if (handles.length < 2) return false;
    const at = handles.findIndex(({ id }) => id === (this.sketch.handle ?? "move"));
    const next = handles[(at + 1) % handles.length];
    this.sketch.arm(!next || next.id === "move" ? null : next.id);
    const names = {
      move: t("all of it"),
      size: t("its size"),
      turn: t("its direction"),
      vertex: t("a corner"),
    };
    if (next) this.context.announce(t("Arrow keys now move {what}.", { what: names[next.kind] }));
    return true;
  }

  private paintSoon(): void {
    this.scheduled ||= requestAnimationFrame(() => {
      this.paint();
    });
  }

  private paint(): void {
    cancelAnimationFrame(this.scheduled);
    this.scheduled = 0;
    const { painter, sketch } = this;
    this.panel.paint();
    if (!painter) return;
    const held = painter.root === document.activeElement;
    painter.paint(held ? this.cursor : null, this.active);
    if (this.details.open && sketch.selected) this.details.stand(painter.boxOf(sketch.selected));
    if (!this.active && sketch.marks.all.length === 0) painter.root.remove();
  }
}
