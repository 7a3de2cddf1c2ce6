// Pictures on a canvas: one frame, or all side by side, zoomed, moved, turned and flipped together. The bitmaps are
// already decoded, so showing the next subject is a single draw.

import type { PictureFrame } from "../prepare";
import type { Dimensions } from "../types";
import type { ScreenBox, ScreenPoint } from "../viewport";
import type { Darkroom } from "./darkroom";
import {
  apply,
  applyInverse,
  fitScale,
  keepInside,
  layOut,
  pictureToScreen,
  turnAbout,
  WHOLE,
  zoomAbout,
  type Affine,
  type Size,
  type View,
} from "./geometry";

const MOST_ZOOM = 32;
const BUTTON_STEP = 1.4;
const GAP_PX = 4;
/** After this long without a change the picture is painted as finely as the browser can. */
const REST_MS = 150;
const NOTHING: Size = { width: 0, height: 0 };

export class PictureViewer {
  private frames: (PictureFrame | null)[] = [];
  private view: View = WHOLE;
  private shownFrame = 0;
  private together = false;
  private readonly context: CanvasRenderingContext2D;
  private scheduled = 0;
  /** While the view or the look changes, frames must come quickly: fine interpolation takes longer than a frame. */
  private moving = 0;
  private darkroom: Darkroom | null = null;
  private measured: Size | null = null;

  constructor(
    readonly canvas: HTMLCanvasElement,
    private readonly onChange: () => void,
  ) {
    const context = canvas.getContext("2d", { alpha: true });
    if (!context) throw new Error("This browser has no canvas.");
    this.context = context;
    new ResizeObserver(() => {
      this.measured = null;
      this.moveTo(this.view);
      this.draw();
    }).observe(canvas);
  }

  /** The canvas in CSS pixels. Asking the browser in the midst of a change would make it lay the page out at once. */
  private get area(): Size {
    return (this.measured ??= { width: this.canvas.clientWidth, height: this.canvas.clientHeight });
  }

  /** Paint frames now; a frame that is null could not be loaded. The viewer closes them when the next ones come. */
  show(frames: (PictureFrame | null)[]): void {
    for (const frame of this.frames) if (!frames.includes(frame)) frame?.bitmap.close();
    this.frames = frames;
    this.view = WHOLE;
    clearTimeout(this.moving);
    this.moving = 0;
    this.shownFrame = Math.max(
      0,
      frames.findIndex((frame) => frame !== null),
    );
    this.draw();
  }

  /** From now on frames are painted from their samples where they have any. */
  useDarkroom(darkroom: Darkroom): void {
    this.darkroom = darkroom;
    this.repaint();
  }

  /** Paint again soon, the view as it is. */
  repaint(): void {
    clearTimeout(this.moving);
    this.moving = window.setTimeout(() => {
      this.moving = 0;
      this.draw();
    }, REST_MS);
    this.scheduled ||= requestAnimationFrame(() => {
      this.draw();
    });
  }

  /** The frame that is shown. */
  get shown(): PictureFrame | null {
    return this.frames[this.shownFrame] ?? null;
  }

  frameNumber(frame: number): PictureFrame | null {
    return this.frames[frame] ?? null;
  }

  get frameCount(): number {
    return this.frames.length;
  }

  get frame(): number {
    return this.shownFrame;
  }

  showFrame(frame: number): void {
    if (frame === this.shownFrame || frame < 0 || frame >= this.frames.length) return;
    this.shownFrame = frame;
    this.changed();
  }

  /** All frames at once, or one after the other. */
  set sideBySide(together: boolean) {
    this.together = together;
    this.moveTo(this.view);
  }

  get sideBySide(): boolean {
    return this.together && this.frames.length > 1;
  }

  get zoom(): number {
    return this.view.zoom;
  }

  get angle(): number {
    return this.view.angle;
  }

  get flipped(): boolean {
    return this.view.flipped;
  }

  zoomIn(): void {
    this.zoomBy(BUTTON_STEP);
  }

  zoomOut(): void {
    this.zoomBy(1 / BUTTON_STEP);
  }

  /** Zoom so that the point under a place of the stage stays where it is; about the middle unless told otherwise. */
  zoomBy(factor: number, place?: ScreenPoint): void {
    this.moveTo(zoomAbout(this.view, factor, this.fromMiddle(place), MOST_ZOOM));
  }

  turnBy(degrees: number, place?: ScreenPoint): void {
    this.moveTo(turnAbout(this.view, degrees, this.fromMiddle(place)));
  }

  flip(): void {
    // Mirrored on the screen, whatever the turn: a turned picture mirrors about its own axis, then turns back.
    this.moveTo({ ...this.view, flipped: !this.view.flipped, angle: -this.view.angle, x: -this.view.x });
  }

  panBy(dx: number, dy: number): void {
    this.moveTo({ ...this.view, x: this.view.x + dx, y: this.view.y + dy });
  }

  reset(): void {
    this.moveTo(WHOLE);
  }

  sizeOf(frame: number): Size {
    const bitmap = this.frames[frame]?.bitmap;
    return bitmap ? { width: bitmap.width, height: bitmap.height } : NOTHING;
  }

  boxOf(frame: number): ScreenBox | null {
    if (frame < 0 || frame >= this.frames.length) return null;
    const area = { x: 0, y: 0, ...this.area };
    if (!this.sideBySide) return frame === this.shownFrame ? area : null;
    return layOut(area, this.frames.length, this.sizeOf(this.shownFrame), GAP_PX)[frame] ?? null;
  }

  frameAt(place: ScreenPoint): number | null {
    const at = this.frames.findIndex((_, frame) => {
      const box = this.boxOf(frame);
      return (
        box !== null &&
        place.x >= box.x &&
        place.x < box.x + box.width &&
        place.y >= box.y &&
        place.y < box.y + box.height
      );
    });
    return at < 0 ? null : at;
  }

  mapOf(frame: number): Affine | null {
    const box = this.boxOf(frame);
    const size = this.sizeOf(frame);
    return box && size.width > 0 ? pictureToScreen(this.view, size, box) : null;
  }

  toScreen(point: ScreenPoint, frame: number): ScreenPoint | null {
    const map = this.mapOf(frame);
    return map && apply(map, point);
  }

  toPicture(place: ScreenPoint, frame: number): ScreenPoint | null {
    const map = this.mapOf(frame);
    return map && applyInverse(map, place);
  }

  /** CSS pixels a picture pixel. */
  get scale(): number {
    const box = this.boxOf(this.shownFrame);
    const size = this.sizeOf(this.shownFrame);
    return box && size.width > 0 ? fitScale(size, box, this.view.angle) * this.view.zoom : 1;
  }

  /** Panoptes' subject_dimensions of each frame. */
  dimensions(): (Dimensions | null)[] {
    return this.frames.map((frame, index) => {
      const box = this.boxOf(index) ?? this.boxOf(this.shownFrame);
      if (!frame || !box) return null;
      return {
        clientWidth: Math.round(box.width),
        clientHeight: Math.round(box.height),
        naturalWidth: frame.bitmap.width,
        naturalHeight: frame.bitmap.height,
      };
    });
  }

  private fromMiddle(place: ScreenPoint | undefined): ScreenPoint {
    const frame = place ? (this.frameAt(place) ?? this.shownFrame) : this.shownFrame;
    const box = this.boxOf(frame);
    if (!place || !box) return { x: 0, y: 0 };
    return { x: place.x - box.x - box.width / 2, y: place.y - box.y - box.height / 2 };
  }

  private moveTo(view: View): void {
    const box = this.boxOf(this.shownFrame);
    this.view = box ? keepInside(view, this.sizeOf(this.shownFrame), box) : view;
    this.changed();
  }

  private changed(): void {
    this.repaint();
    this.onChange();
  }

  private draw(): void {
    cancelAnimationFrame(this.scheduled);
    this.scheduled = 0;
    const { context, canvas } = this;
    const ratio = devicePixelRatio || 1;
    const width = Math.max(1, Math.round(this.area.width * ratio));
    const height = Math.max(1, Math.round(this.area.height * ratio));
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    this.darkroom?.begin(this.frames, width, height);
    const pixelated = this.darkroom?.look.pixelated ?? false;
    this.frames.forEach((frame, index) => {
      const box = this.boxOf(index);
      const map = this.mapOf(index);
      if (!frame || !box || !map) return;
      const size = this.sizeOf(index);
      const magnified = this.view.zoom > 1;
      const print = this.darkroom?.paint(frame, { map, size, box, ratio, magnified }) ?? frame.bitmap;
      if (print === "done") return;
      context.save();
      context.beginPath();
      context.rect(box.x * ratio, box.y * ratio, box.width * ratio, box.height * ratio);
      context.clip();
      context.setTransform(
        map.a * ratio,
        map.b * ratio,
        map.c * ratio,
        map.d * ratio,
        map.e * ratio,
        map.f * ratio,
      );
      context.imageSmoothingEnabled = !pixelated;
      context.imageSmoothingQuality = this.moving ? "low" : "high";
      context.drawImage(print, 0, 0, size.width, size.height);
      context.restore();
    });
  }
}
