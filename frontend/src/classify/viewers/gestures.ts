// Fingers, mouse and wheel on the stage, told as moves of a view. While somebody draws, one finger or the mouse's button
// is theirs; wheel, two fingers and the space bar held down still move the view.

import type { PointerUse, ScreenPoint } from "../viewport";

/** What a press took hold of, until the pointer lets go; `end(null)` where it was taken away. */
export interface Grip {
  move(place: ScreenPoint): void;
  end(place: ScreenPoint | null): void;
}

export interface GestureEvents {
  /** A press of one pointer, or of one more: where it is now. */
  pan(dx: number, dy: number, place: ScreenPoint): void;
  /** Zoom by a factor about a place of the stage. */
  zoom(factor: number, place: ScreenPoint, event?: WheelEvent): void;
  /** Two fingers turned, in degrees clockwise, about a place. */
  turn(degrees: number, place: ScreenPoint): void;
  /** A double click, or two quick taps. */
  reset(): void;
  /** The pointer is over the stage, pressed or not; null when it left. */
  hover(place: ScreenPoint | null): void;
  /** A pointer came down, which may become a drag. */
  press?(place: ScreenPoint): void;
  /** A press: what it takes hold of, or null where it moves the view. */
  grab?(place: ScreenPoint, event: PointerEvent): Grip | null;
}

const WHEEL_STEP = 1.0015;
/** A wheel that counts lines or pages instead of pixels. */
const LINE_PX = 20;
/** Two fingers turn the picture only when they mean it. */
const TURN_AFTER_DEG = 12;
const TYPED = "input, textarea, select, button, summary, a, [contenteditable]";

export class Gestures {
  private readonly pointers = new Map<number, ScreenPoint>();
  private grip: Grip | null = null;
  private spaceHeld = false;
  private turned = 0;
  private turning = false;

  constructor(
    private readonly host: HTMLElement,
    private readonly events: GestureEvents,
    private readonly use: () => PointerUse | null,
    signal: AbortSignal,
  ) {
    const capture = { signal, capture: true };
    host.addEventListener("wheel", this.onWheel, { signal, passive: false });
    host.addEventListener("pointerdown", this.onDown, capture);
    host.addEventListener("pointermove", this.onMove, capture);
    host.addEventListener("pointerup", this.onUp, capture);
    host.addEventListener("pointercancel", this.onUp, capture);
    host.addEventListener(
      "pointerleave",
      () => {
        this.events.hover(null);
      },
      { signal },
    );
    host.addEventListener(
      "dblclick",
      () => {
        if (this.use() === "view") this.events.reset();
      },
      { signal },
    );
    document.addEventListener("keydown", this.onKey, { signal });
    document.addEventListener("keyup", this.onKey, { signal });
    addEventListener(
      "blur",
      () => {
        this.holdSpace(false);
      },
      { signal },
    );
  }

  /** A place of the screen in CSS pixels from the stage's top left corner. */
  placeOf(event: { clientX: number; clientY: number }): ScreenPoint {
    const box = this.host.getBoundingClientRect();
    return {
      x: event.clientX - box.left - this.host.clientLeft,
      y: event.clientY - box.top - this.host.clientTop,
    };
  }

  private readonly onWheel = (event: WheelEvent): void => {
    if (this.use() === null) return;
    event.preventDefault();
    // With shift some browsers turn the wheel's movement sideways.
    const moved = event.deltaY || event.deltaX;
    const pixels = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? moved : moved * LINE_PX;
    this.events.zoom(WHEEL_STEP ** -pixels, this.placeOf(event), event);
  };

  private readonly onDown = (event: PointerEvent): void => {
    const use = this.use();
    if (use === null || event.button !== 0) return;
    this.events.hover(this.placeOf(event));
    const fingers = event.pointerType === "touch" ? this.pointers.size + 1 : 1;
    this.pointers.set(event.pointerId, this.placeOf(event));
    if (use === "draw" && fingers < 2 && !this.spaceHeld) return;
    if (use === "draw" && fingers === 2) this.takeBack();
    this.grip?.end(null);
    this.grip =
      this.pointers.size === 1 && !this.spaceHeld
        ? (this.events.grab?.(this.placeOf(event), event) ?? null)
        : null;
    if (this.pointers.size === 1) this.events.press?.(this.placeOf(event));
    this.turned = 0;
    this.turning = false;
    event.stopPropagation();
    this.host.setPointerCapture(event.pointerId);
  };

  /** Whoever began to draw with the first finger learns that it was the first of two. */
  private takeBack(): void {
    for (const pointerId of this.pointers.keys()) {
      const target = this.host.querySelector("#overlay") ?? this.host;
      target.dispatchEvent(new PointerEvent("pointercancel", { pointerId, bubbles: false }));
    }
  }

  private readonly onMove = (event: PointerEvent): void => {
    const place = this.placeOf(event);
    this.events.hover(place);
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, place);
    if (!other && this.use() === "draw" && !this.spaceHeld) return;
    event.stopPropagation();
    if (this.grip) {
      this.grip.move(place);
      return;
    }
    if (other) this.pinch(before, place, other);
    const share = other ? 0.5 : 1;
    this.events.pan((place.x - before.x) * share, (place.y - before.y) * share, place);
  };

  private pinch(before: ScreenPoint, now: ScreenPoint, other: ScreenPoint): void {
    const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
    const ratio =
      Math.hypot(now.x - other.x, now.y - other.y) / Math.hypot(before.x - other.x, before.y - other.y);
    if (!Number.isFinite(ratio) || ratio <= 0) return;
    this.events.zoom(ratio, middle);
    const angle =
      Math.atan2(now.y - other.y, now.x - other.x) - Math.atan2(before.y - other.y, before.x - other.x);
    const degrees = (Math.atan2(Math.sin(angle), Math.cos(angle)) * 180) / Math.PI;
    this.turned += degrees;
    this.turning ||= Math.abs(this.turned) > TURN_AFTER_DEG;
    if (this.turning) this.events.turn(degrees, middle);
  }

  private readonly onUp = (event: PointerEvent): void => {
    // What takes back a beginning comes by here too, and the finger is still down.
    if (!event.isTrusted || !this.pointers.delete(event.pointerId)) return;
    this.grip?.end(event.type === "pointerup" ? this.placeOf(event) : null);
    this.grip = null;
  };

  private readonly onKey = (event: KeyboardEvent): void => {
    if (event.key !== " ") return;
    const down = event.type === "keydown";
    if (down && (this.use() !== "draw" || (event.target as Element).matches(TYPED))) return;
    if (down) event.preventDefault();
    this.holdSpace(down);
  };

  private holdSpace(held: boolean): void {
    this.spaceHeld = held;
    this.host.toggleAttribute("data-panning", held);
  }
}
