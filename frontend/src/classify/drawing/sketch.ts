// A drawing in the making: the marks, the tool in hand, the shape that is being drawn, the mark that is chosen.

import type { SubjectPoint } from "../viewport";
import { MarkSet, type Geometry, type Mark, type Place } from "./marks";
import { SHAPES, shapeOf, simplified, type Shape } from "./shapes";

/** As many as the crowd's summary of drawings reads. */
export const MOST_MARKS = 1000;

/** A tool, read from its task. */
export interface Tool {
  type: string;
  label: string;
  colour: string;
  least: number;
  most: number;
  size: "small" | "large";
  presets: number[];
  /** How many questions are asked about each mark. */
  questions: number;
  /** How it is used, in a sentence. */
  how: string;
}

/** A shape that is not finished. */
export interface Draft {
  mark: Mark;
  from: Place;
  /** Where the pointer or the cursor is. */
  to: Place;
}

export interface SketchEvents {
  /** Anything changed that is seen. */
  onChange(): void;
  /** The marks changed. */
  onMarks(): void;
  onCreated(mark: Mark): void;
  onFull(tool: Tool): void;
}

export class Sketch {
  readonly marks: MarkSet;
  draft: Draft | null = null;
  selected: Mark | null = null;
  /** The chosen mark's handle that the next move moves. */
  handle: string | null = null;
  /** Half width of what one press draws; null: the shape is spanned. */
  preset: number | null = null;
  private toolIndex: number;

  constructor(
    readonly tools: readonly Tool[],
    private readonly events: SketchEvents,
  ) {
    this.toolIndex = Math.max(
      0,
      tools.findIndex((tool) => tool.type in SHAPES),
    );
    this.marks = new MarkSet(() => {
      if (this.selected && !this.marks.all.includes(this.selected)) this.selected = null;
      events.onMarks();
      events.onChange();
    });
  }

  get tool(): number {
    return this.toolIndex;
  }

  set tool(index: number) {
    this.cancel();
    this.toolIndex = index;
    this.preset = null;
    this.events.onChange();
  }

  shape(mark: Mark): Shape {
    return shapeOf(this.tools[mark.tool]?.type);
  }

  /** Which of its tool's marks it is, from 1. */
  numberOf(mark: Mark): number {
    return this.marks.all.filter((each) => each.tool === mark.tool).indexOf(mark) + 1;
  }

  reset(marks: readonly Mark[]): void {
    this.draft = null;
    this.selected = null;
    this.handle = null;
    this.marks.reset(marks);
    this.events.onChange();
  }

  select(mark: Mark | null): void {
    if (this.selected === mark) return;
    this.selected = mark;
    this.handle = null;
    this.events.onChange();
  }

  arm(handle: string | null): void {
    this.handle = handle;
    this.events.onChange();
  }

  /** A press with the tool in hand begins a shape, sets its next point, or ends it. `least`: what counts as a span. */
  press(at: SubjectPoint, least: number): void {
    const draft = this.draft;
    if (!draft) {
      this.begin(at);
      return;
    }
    this.stretch(at);
    const manner = this.shape(draft.mark).manner;
    if (manner === "span") this.finish(least);
    if (manner === "vertices") this.addVertex(at, least);
    if (manner === "trail") this.finish(least);
  }

  /** The pointer or the cursor is at a place now. */
  stretch(to: Place): void {
    if (!this.draft) return;
    const shape = this.shape(this.draft.mark);
    const { mark, from } = this.draft;
    const geometry: Geometry =
      shape.manner === "span"
        ? shape.span(from, to)
        : shape.manner === "trail"
          ? { points: [...(mark.geometry.points ?? []), { x: to.x, y: to.y }] }
          : mark.geometry;
    this.draft = { mark: { ...mark, geometry }, from, to };
    this.events.onChange();
  }

  /** End the shape that is being drawn; false where it is too small and waits for its other end. */
  finish(least: number): boolean {
    const draft = this.draft;
    if (!draft) return false;
    const shape = this.shape(draft.mark);
    const { mark, from } = draft;
    let { geometry } = mark;
    if (shape.manner === "trail" && geometry.points)
      geometry = { ...geometry, points: simplified(geometry.points, least / 4) };
    if (shape.size(geometry) < least) {
      if (shape.manner === "trail") this.cancel();
      if (this.preset === null || !shape.preset) return false;
      geometry = shape.preset(from, this.preset);
    }
    this.draft = null;
    this.create({ ...mark, geometry });
    return true;
  }

  cancel(): boolean {
    if (!this.draft) return false;
    this.draft = null;
    this.events.onChange();
    return true;
  }

  /** Take back the last vertex or shape, or the last change of the marks. */
  undo(): boolean {
    const points = this.draft?.mark.geometry.points ?? [];
    if (this.draft && this.shape(this.draft.mark).manner === "vertices" && points.length > 1) {
      const mark = {
        ...this.draft.mark,
        geometry: { ...this.draft.mark.geometry, points: points.slice(0, -1) },
      };
      this.draft = { ...this.draft, mark };
      this.events.onChange();
      return true;
    }
    if (this.cancel()) return true;
    if (!this.marks.canUndo) return false;
    this.marks.undo();
    return true;
  }

  remove(): boolean {
    if (!this.selected) return false;
    this.marks.remove(this.selected);
    return true;
  }

  /** Change the chosen mark; `noted`: as a step that can be taken back. */
  reshape(geometry: Geometry, noted: boolean): void {
    this.revise({ geometry }, noted);
  }

  answer(mark: Mark, details: unknown[]): Mark {
    const revised = { ...mark, details };
    if (this.selected === mark) this.selected = revised;
    this.marks.replace(mark, revised, false);
    return revised;
  }

  private revise(change: Partial<Mark>, noted: boolean): void {
    const old = this.selected;
    if (!old) return;
    const revised = { ...old, ...change };
    this.selected = revised;
    this.marks.replace(old, revised, noted);
  }

  private begin(at: SubjectPoint): void {
    const tool = this.tools[this.toolIndex];
    if (!tool || !(tool.type in SHAPES)) return;
    if (this.marks.count(this.toolIndex) >= tool.most) {
      this.events.onFull(tool);
      return;
    }
    const shape = shapeOf(tool.type);
    const place = { x: at.x, y: at.y };
    const mark: Mark = {
      tool: this.toolIndex,
      frame: at.frame,
      geometry: shape.begin(place),
      details: Array.from({ length: tool.questions }, () => null),
    };
    this.selected = null;
    if (shape.manner === "press") this.create(mark);
    else {
      this.draft = { mark, from: place, to: place };
      this.events.onChange();
    }
  }

  /** A press near the first vertex, or on the last once more, closes the outline. */
  private addVertex(at: Place, least: number): void {
    if (!this.draft) return;
    const points = this.draft.mark.geometry.points ?? [];
    const near = (vertex: Place | undefined, reach: number): boolean =>
      vertex !== undefined && Math.hypot(vertex.x - at.x, vertex.y - at.y) < reach;
    if (points.length >= 3 && (near(points[0], 3 * least) || near(points.at(-1), least))) {
      this.finish(least);
      return;
    }
    if (near(points.at(-1), least)) return;
    const geometry = { ...this.draft.mark.geometry, points: [...points, { x: at.x, y: at.y }] };
    this.draft = { ...this.draft, mark: { ...this.draft.mark, geometry } };
    this.events.onChange();
  }

  private create(mark: Mark): void {
    this.marks.add(mark);
    this.select(mark);
    this.events.onCreated(mark);
  }
}
