// The picture on a canvas: zoom, pan, invert, brightness and contrast. The bitmap is already decoded, so showing the
// next one is a single draw.

const MAX_ZOOM = 16;
const WHEEL_STEP = 1.0015;
const BUTTON_STEP = 1.4;
const PAN_STEP_PX = 40;
/** Above this many screen pixels a picture pixel, pixels are drawn as squares instead of being smoothed. */
const CRISP_ABOVE = 2;

export interface Look {
  inverted: boolean;
  /** Percent; 100 leaves the picture as it is. */
  brightness: number;
  contrast: number;
}

export const PLAIN_LOOK: Look = { inverted: false, brightness: 100, contrast: 100 };

export class ImageViewer {
  private bitmap: ImageBitmap | null = null;
  private zoom = 1;
  /** Shift of the picture's centre from the canvas's, in CSS pixels. */
  private offset = { x: 0, y: 0 };
  private readonly pointers = new Map<number, { x: number; y: number }>();
  private readonly context: CanvasRenderingContext2D;
  private frame = 0;

  constructor(
    readonly canvas: HTMLCanvasElement,
    private readonly onZoom: (zoom: number) => void,
  ) {
    const context = canvas.getContext("2d", { alpha: true });
    if (!context) throw new Error("This browser has no canvas.");
    this.context = context;
    new ResizeObserver(() => {
      this.fitCanvas();
      this.draw();
    }).observe(canvas);
    canvas.addEventListener("wheel", this.onWheel, { passive: false });
    canvas.addEventListener("pointerdown", this.onPointerDown);
    canvas.addEventListener("pointermove", this.onPointerMove);
    for (const type of ["pointerup", "pointercancel"] as const) {
      canvas.addEventListener(type, (event) => this.pointers.delete(event.pointerId));
    }
    canvas.addEventListener("dblclick", () => {
      this.reset();
    });
  }

  /** Paint a picture now. The viewer closes the bitmap when the next one comes. */
  show(bitmap: ImageBitmap | null): void {
    if (this.bitmap !== bitmap) this.bitmap?.close();
    this.bitmap = bitmap;
    this.zoom = 1;
    this.offset = { x: 0, y: 0 };
    this.fitCanvas();
    this.draw();
    this.onZoom(1);
  }

  setLook(look: Look): void {
    const invert = look.inverted ? "invert(1) " : "";
    this.canvas.style.filter = `${invert}brightness(${look.brightness}%) contrast(${look.contrast}%)`;
  }

  zoomIn(): void {
    this.zoomBy(BUTTON_STEP);
  }

  zoomOut(): void {
    this.zoomBy(1 / BUTTON_STEP);
  }

  reset(): void {
    this.zoom = 1;
    this.offset = { x: 0, y: 0 };
    this.schedule();
    this.onZoom(1);
  }

  /** Move the picture by steps, as the arrow keys do. */
  pan(stepsRight: number, stepsDown: number): void {
    this.offset.x -= stepsRight * PAN_STEP_PX;
    this.offset.y -= stepsDown * PAN_STEP_PX;
    this.keepInside();
    this.schedule();
  }

  get size(): { naturalWidth: number; naturalHeight: number } {
    return { naturalWidth: this.bitmap?.width ?? 0, naturalHeight: this.bitmap?.height ?? 0 };
  }

  /** Zoom so that the point under (x, y), in CSS pixels from the canvas's centre, stays where it is. */
  private zoomBy(factor: number, x = 0, y = 0): void {
    const zoom = Math.min(MAX_ZOOM, Math.max(1, this.zoom * factor));
    const applied = zoom / this.zoom;
    this.offset.x = x - (x - this.offset.x) * applied;
    this.offset.y = y - (y - this.offset.y) * applied;
    this.zoom = zoom;
    this.keepInside();
    this.schedule();
    this.onZoom(zoom);
  }

  private readonly onWheel = (event: WheelEvent): void => {
    event.preventDefault();
    const box = this.canvas.getBoundingClientRect();
    const x = event.clientX - box.left - box.width / 2;
    const y = event.clientY - box.top - box.height / 2;
    this.zoomBy(WHEEL_STEP ** -event.deltaY, x, y);
  };

  private readonly onPointerDown = (event: PointerEvent): void => {
    if (event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  };

  private readonly onPointerMove = (event: PointerEvent): void => {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, now);
    if (other) {
      const box = this.canvas.getBoundingClientRect();
      const ratio =
        Math.hypot(now.x - other.x, now.y - other.y) / Math.hypot(before.x - other.x, before.y - other.y);
      const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
      if (Number.isFinite(ratio) && ratio > 0)
        this.zoomBy(ratio, middle.x - box.left - box.width / 2, middle.y - box.top - box.height / 2);
    }
    const share = other ? 0.5 : 1;
    this.offset.x += (now.x - before.x) * share;
    this.offset.y += (now.y - before.y) * share;
    this.keepInside();
    this.schedule();
  };

  private fitCanvas(): void {
    const ratio = devicePixelRatio || 1;
    const width = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
    const height = Math.max(1, Math.round(this.canvas.clientHeight * ratio));
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
  }

  /** CSS pixels a picture pixel when the whole picture just fits. */
  private fitScale(): number {
    if (!this.bitmap) return 1;
    return Math.min(
      this.canvas.clientWidth / this.bitmap.width,
      this.canvas.clientHeight / this.bitmap.height,
    );
  }

  private keepInside(): void {
    if (!this.bitmap) return;
    const scale = this.fitScale() * this.zoom;
    const slackX = Math.max(0, (this.bitmap.width * scale - this.canvas.clientWidth) / 2);
    const slackY = Math.max(0, (this.bitmap.height * scale - this.canvas.clientHeight) / 2);
    this.offset.x = Math.min(slackX, Math.max(-slackX, this.offset.x));
    this.offset.y = Math.min(slackY, Math.max(-slackY, this.offset.y));
  }

  private schedule(): void {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  private draw(): void {
    const { context, canvas, bitmap } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!bitmap) return;
    const ratio = canvas.width / Math.max(1, canvas.clientWidth);
    const scale = this.fitScale() * this.zoom * ratio;
    const width = bitmap.width * scale;
    const height = bitmap.height * scale;
    context.imageSmoothingEnabled = scale < CRISP_ABOVE;
    context.imageSmoothingQuality = "high";
    const left = (canvas.width - width) / 2 + this.offset.x * ratio;
    const top = (canvas.height - height) / 2 + this.offset.y * ratio;
    context.drawImage(bitmap, left, top, width, height);
  }
}
