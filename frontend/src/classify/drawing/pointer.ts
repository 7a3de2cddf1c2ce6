// Drawing with mouse, pen or finger. Whatever can be dragged can be pressed instead: a shape's other end, or a handle
// and then its new place.

import type { ScreenPoint, SubjectPoint, Viewport } from "../viewport";
import type { Geometry, Mark } from "./marks";
import { subjectAt } from "./places";
import { shapeOf } from "./shapes";
import type { Sketch } from "./sketch";

/** A movement shorter than this is a press, in CSS pixels. */
export const PRESS_PX = 4;

interface Drag {
  pointer: number;
  start: ScreenPoint;
  moved: boolean;
  /** What is dragged; null while a shape is drawn. */
  handle: string | null;
  /** The chosen mark as it was. */
  before: Mark | null;
  origin: SubjectPoint | null;
  /** A handle was pressed, not the mark's line. */
  onHandle: boolean;
  /** The mark on which a shape was begun. */
  beneath: Mark | null;
}

export class Pointer {
  private drag: Drag | null = null;

  constructor(
    private readonly viewport: Viewport,
    private readonly sketch: Sketch,
    private readonly isActive: () => boolean,
    private readonly onTouched: () => void,
  ) {
    const { overlay } = viewport;
    overlay.addEventListener("pointerdown", this.onDown);
    overlay.addEventListener("pointermove", this.onMove);
    overlay.addEventListener("pointerup", this.onUp);
    overlay.addEventListener("pointercancel", this.onCancel);
    overlay.addEventListener("dblclick", (event) => {
      if (!this.isActive()) return;
      event.preventDefault();
      const draft = this.sketch.draft;
      if (draft && this.sketch.shape(draft.mark).manner === "vertices") this.sketch.finish(this.least);
    });
  }

  /** The length of a press in the subject's units, where it has pixels. */
  get least(): number {
    return this.viewport.kind === "picture" ? PRESS_PX / this.viewport.scale : this.spectrumLeast();
  }

  private spectrumLeast(): number {
    const box = this.viewport.boxOf(0);
    const a = box && this.viewport.toSubject({ x: box.x + 1, y: box.y + 1 });
    const b = box && this.viewport.toSubject({ x: box.x + 1 + PRESS_PX, y: box.y + 1 });
    return a && b ? Math.abs(b.x - a.x) : 0;
  }

  private readonly onDown = (event: PointerEvent): void => {
    if (!this.isActive() || event.button !== 0 || this.drag) return;
    const place = this.viewport.placeOf(event);
    const target = event.target as Element;
    const handle = target.closest<SVGGElement>("[data-handle]")?.dataset.handle ?? null;
    const marked = target.closest<SVGGElement>("[data-mark]")?.dataset.mark;
    const frame =
      this.sketch.draft?.mark.frame ?? (handle === null ? undefined : this.sketch.selected?.frame);
    const at = subjectAt(this.viewport, place, frame);
    if (!at) return;
    // The focus stays where it is, and the page does not begin to select or to scroll.
    event.preventDefault();
    this.onTouched();
    this.drag = {
      pointer: event.pointerId,
      start: place,
      moved: false,
      handle: null,
      before: null,
      origin: at,
      onHandle: handle !== null,
      beneath: null,
    };
    this.viewport.overlay.setPointerCapture(event.pointerId);
    if (this.sketch.draft) {
      this.sketch.stretch(at);
      return;
    }
    if (handle !== null) {
      this.drag.handle = handle;
      this.drag.before = this.sketch.selected;
      return;
    }
    const { manner } = shapeOf(this.sketch.tools[this.sketch.tool]?.type);
    const mark = marked === undefined ? undefined : this.sketch.marks.all[Number(marked)];
    const setByPress = manner === "press" || manner === "vertices";
    // What one press does is done when the pointer goes up: until then a second finger may come.
    if (this.sketch.handle !== null && this.sketch.selected) return;
    if (mark && (mark === this.sketch.selected || (setByPress && mark.tool === this.sketch.tool))) {
      this.sketch.select(mark);
      this.drag.handle = "move";
      this.drag.before = mark;
      return;
    }
    // A shape may begin on another mark: only a press that goes nowhere chooses that one.
    if (mark && !setByPress) this.drag.beneath = mark;
    if (manner !== "press") this.sketch.press(at, this.least);
  };

  private readonly onMove = (event: PointerEvent): void => {
    const place = this.viewport.placeOf(event);
    const drag = this.drag?.pointer === event.pointerId ? this.drag : null;
    if (!drag) {
      const draft = this.sketch.draft;
      const at = draft && this.isActive() && subjectAt(this.viewport, place, draft.mark.frame);
      if (at && this.sketch.shape(draft.mark).manner !== "trail") this.sketch.stretch(at);
      return;
    }
    drag.moved ||= Math.hypot(place.x - drag.start.x, place.y - drag.start.y) >= PRESS_PX;
    if (!drag.moved) return;
    if (drag.before && drag.handle !== null) {
      const to = subjectAt(this.viewport, place, drag.before.frame);
      if (to) this.place(drag.before, drag.handle, to, drag.origin, false);
      return;
    }
    const draft = this.sketch.draft;
    if (!draft) return;
    const trail = this.sketch.shape(draft.mark).manner === "trail";
    for (const each of trail ? samples(event) : [event]) {
      const at = subjectAt(this.viewport, this.viewport.placeOf(each), draft.mark.frame);
      if (at) this.sketch.stretch(at);
    }
  };

  private readonly onUp = (event: PointerEvent): void => {
    const drag = this.drag;
    if (drag?.pointer !== event.pointerId) return;
    this.drag = null;
    if (drag.before && drag.handle !== null) {
      if (drag.moved) this.noteDrag(drag.before);
      // Pressed and not dragged: the next press says where it goes.
      else if (drag.onHandle) this.sketch.arm(this.sketch.handle === drag.handle ? null : drag.handle);
      return;
    }
    const draft = this.sketch.draft;
    if (!draft) {
      this.pressed(event);
      return;
    }
    if (drag.beneath && !drag.moved) {
      this.sketch.cancel();
      this.sketch.select(drag.beneath);
      return;
    }
    const { manner } = this.sketch.shape(draft.mark);
    if (manner === "span" || manner === "trail") this.sketch.finish(this.least);
    else if (drag.origin && manner === "vertices" && draft.mark.geometry.points) {
      const at = subjectAt(this.viewport, this.viewport.placeOf(event), draft.mark.frame);
      if (at) this.sketch.press(at, this.least);
    }
  };

  /** One press: a handle that was pressed before goes there, or a point is set. */
  private pressed(event: PointerEvent): void {
    const { selected, handle, tool, tools } = this.sketch;
    const at = subjectAt(
      this.viewport,
      this.viewport.placeOf(event),
      handle === null ? undefined : selected?.frame,
    );
    if (!at) return;
    if (handle !== null && selected) {
      this.place(selected, handle, at, null, true);
      this.sketch.arm(null);
    } else if (shapeOf(tools[tool]?.type).manner === "press") this.sketch.press(at, this.least);
  }

  /** A second finger came, or the system took the pointer: as if it had not been put down. */
  private readonly onCancel = (event: PointerEvent): void => {
    const drag = this.drag;
    if (drag?.pointer !== event.pointerId) return;
    this.drag = null;
    if (drag.before && drag.moved) this.sketch.reshape(drag.before.geometry, false);
    // Of an outline only this corner is forgotten.
    const { draft } = this.sketch;
    if (!drag.before && draft && (draft.mark.geometry.points?.length ?? 0) <= 1) this.sketch.cancel();
  };

  /** The whole movement is one step to take back. */
  private noteDrag(before: Mark): void {
    const after = this.sketch.selected?.geometry;
    if (!after) return;
    this.sketch.reshape(before.geometry, false);
    this.sketch.reshape(after, true);
  }

  private place(
    mark: Mark,
    handle: string,
    to: SubjectPoint,
    from: SubjectPoint | null,
    noted: boolean,
  ): void {
    const shape = this.sketch.shape(mark);
    let geometry: Geometry;
    if (handle === "move") {
      const own = shape.handles(mark.geometry, { left: 0, top: 0, right: 0, bottom: 0 }, 0)[0];
      const origin = from ?? own;
      geometry = origin ? shape.move(mark.geometry, to.x - origin.x, to.y - origin.y) : mark.geometry;
    } else geometry = shape.drag(mark.geometry, handle, to);
    this.sketch.reshape(geometry, noted);
  }
}

/** Where the pointer was since the last frame, as finely as the browser knows. */
function samples(event: PointerEvent): PointerEvent[] {
  const fine = event.getCoalescedEvents();
  return fine.length > 0 ? fine : [event];
}
