// What the volunteer looks at: the viewers of pictures and of spectra behind one face, which is also the viewport that
// drawing and reading are placed by. What is not needed for the first picture is loaded after it.

import { t } from "../../shared/i18n";
import type { PictureFrame, Prepared } from "../prepare";
import type { Dimensions, ViewerConfiguration } from "../types";
import type { PointerUse, ScreenBox, ScreenPoint, SubjectPoint, Viewport } from "../viewport";
import { listActions, type ViewerAction } from "./actions";
import { find } from "./find";
import { Gestures } from "./gestures";
import type { PictureTools } from "./picture-tools";
import { PictureViewer } from "./picture-viewer";
import type { SpectrumViewer } from "./spectrum-viewer";

const PAN_STEP_PX = 40;

export interface StageOptions {
  workflowId: string;
  configuration: ViewerConfiguration;
  /** The frames of the subjects that come next, as far as they are decoded. */
  upcoming: () => PictureFrame[];
}

export class Stage implements Viewport {
  readonly overlay: SVGSVGElement;
  readonly actions: readonly ViewerAction[];
  private readonly picture: PictureViewer;
  private plot: SpectrumViewer | null = null;
  private shown: "picture" | "spectrum" | null = null;
  private use: PointerUse = "view";
  private readonly gestures: Gestures;
  private pictureTools: PictureTools | null = null;
  private loading = false;
  /** What was asked of the picture's tools before they were there. */
  private waiting: string[] = [];
  private readonly listeners = new Set<() => void>();
  private scheduled = 0;
  private readonly ending = new AbortController();

  /**
   * @param host the part of the page that holds `#picture` and `#spectrum`
   * @param tools the part that holds the viewers' buttons and sliders
   */
  constructor(
    private readonly host: HTMLElement,
    private readonly tools: HTMLElement,
    private readonly options: StageOptions,
  ) {
    this.picture = new PictureViewer(find(host, "#picture", HTMLCanvasElement), () => {
      this.writeZoom();
      this.pictureTools?.follow();
      this.changed();
    });
    this.overlay = find(host, "#overlay", SVGSVGElement);
    this.gestures = new Gestures(
      host,
      {
        pan: (dx, dy) => {
          this.picture.panBy(dx, dy);
        },
        zoom: (factor, place) => {
          this.picture.zoomBy(factor, place);
        },
        turn: (degrees, place) => {
          this.picture.turnBy(degrees, place);
        },
        reset: () => {
          this.reset();
        },
        hover: (place) => {
          this.pictureTools?.hover(place);
        },
        press: (place) => {
          this.pictureTools?.press(place);
        },
      },
      // The plot has gestures of its own.
      () => (this.shown === "picture" ? this.use : null),
      this.ending.signal,
    );
    this.actions = listActions(this);
    this.setUpTools();
  }

  /** Paint a prepared subject now. What it holds is closed when the next one comes. */
  show(prepared: Prepared): void {
    this.shown = prepared.kind === "damaged" ? null : prepared.kind;
    this.picture.show(prepared.kind === "picture" ? prepared.frames : []);
    if (prepared.kind === "spectrum") this.plotWith(prepared.viewer).show(prepared.data);
    if (prepared.kind === "picture") this.loadPictureTools();
    this.pictureTools?.show();
    this.writeZoom();
    this.tell();
  }

  /** Show nothing. */
  clear(): void {
    this.show({ kind: "damaged" });
  }

  /** Show all of it, upright. */
  reset(): void {
    if (this.shown === "spectrum") this.plot?.reset();
    else this.picture.reset();
  }

  /** Panoptes' subject_dimensions: one for each frame. */
  dimensions(): (Dimensions | null)[] {
    return this.shown === "picture" ? this.picture.dimensions() : [null];
  }

  destroy(): void {
    this.clear();
    this.ending.abort();
    this.listeners.clear();
  }

  get kind(): "picture" | "spectrum" | null {
    return this.shown;
  }

  naturalSize(frame = this.frame): { width: number; height: number } {
    return this.picture.sizeOf(frame);
  }

  get frameCount(): number {
    return this.shown === "spectrum" ? 1 : this.picture.frameCount;
  }

  get frame(): number {
    return this.shown === "spectrum" ? 0 : this.picture.frame;
  }

  showFrame(frame: number): void {
    this.picture.showFrame(frame);
  }

  boxOf(frame: number): ScreenBox | null {
    if (this.shown === "spectrum") return frame === 0 ? (this.plot?.box() ?? null) : null;
    return this.picture.boxOf(frame);
  }

  toScreen(point: SubjectPoint): ScreenPoint | null {
    if (this.shown === "spectrum") return point.frame === 0 ? (this.plot?.toScreen(point) ?? null) : null;
    return this.picture.toScreen(point, point.frame);
  }

  toSubject(place: ScreenPoint): SubjectPoint | null {
    if (this.shown === "spectrum") {
      const box = this.plot?.box();
      const inside =
        box &&
        place.x >= box.x &&
        place.x <= box.x + box.width &&
        place.y >= box.y &&
        place.y <= box.y + box.height;
      const point = inside ? this.plot?.toData(place) : undefined;
      return point ? { ...point, frame: 0 } : null;
    }
    const frame = this.picture.frameAt(place);
    const point = frame === null ? null : this.picture.toPicture(place, frame);
    return frame === null || !point ? null : { ...point, frame };
  }

  get scale(): number {
    return this.shown === "picture" ? this.picture.scale : 1;
  }

  placeOf(event: { clientX: number; clientY: number }): ScreenPoint {
    return this.gestures.placeOf(event);
  }

  reveal(point: SubjectPoint): void {
    if (this.shown === "spectrum") {
      this.plot?.reveal(point.x);
      return;
    }
    this.picture.showFrame(point.frame);
    const place = this.picture.toScreen(point, point.frame);
    const box = this.picture.boxOf(point.frame);
    if (!place || !box) return;
    const margin = Math.min(PAN_STEP_PX, box.width / 4, box.height / 4);
    const dx = place.x - Math.min(box.x + box.width - margin, Math.max(box.x + margin, place.x));
    const dy = place.y - Math.min(box.y + box.height - margin, Math.max(box.y + margin, place.y));
    if (dx !== 0 || dy !== 0) this.picture.panBy(-dx, -dy);
  }

  get pointerUse(): PointerUse {
    return this.use;
  }

  setPointerUse(use: PointerUse): void {
    if (use === this.use) return;
    this.use = use;
    this.host.dataset.pointer = use;
    this.changed();
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  }

  private changed(): void {
    this.scheduled ||= requestAnimationFrame(() => {
      this.tell();
    });
  }

  private tell(): void {
    cancelAnimationFrame(this.scheduled);
    this.scheduled = 0;
    for (const listener of this.listeners) listener();
  }

  private plotWith(Viewer: typeof SpectrumViewer): SpectrumViewer {
    this.plot ??= new Viewer({
      host: this.host,
      tools: this.tools,
      ...this.options,
      use: () => (this.shown === "spectrum" ? this.use : null),
      onChange: () => {
        this.changed();
      },
      signal: this.ending.signal,
    });
    return this.plot;
  }

  /** Stretch, colours and readings: fetched when the first picture has been painted. */
  private loadPictureTools(): void {
    if (this.loading) return;
    this.loading = true;
    const { host, tools, picture } = this;
    import("./picture-tools").then(
      ({ PictureTools: Tools }) => {
        if (this.ending.signal.aborted) return;
        const made = new Tools({ host, tools, picture, ...this.options, signal: this.ending.signal });
        this.pictureTools = made;
        for (const id of this.waiting.splice(0)) made.run(id);
      },
      () => {
        // Without them the picture can still be looked at; the next one tries again.
        this.loading = false;
      },
    );
  }

  /** What an action of `actions.ts` does. */
  run(id: string): unknown {
    const { picture } = this;
    const onSpectrum = this.shown === "spectrum";
    const viewer = onSpectrum ? this.plot : picture;
    if (id === "zoom-in") viewer?.zoomIn();
    else if (id === "zoom-out") viewer?.zoomOut();
    else if (id === "reset-view") this.reset();
    else if (onSpectrum) return this.plot?.run(id) ?? false;
    else if (id === "turn-left") picture.turnBy(-90);
    else if (id === "turn-right") picture.turnBy(90);
    else if (id === "flip") picture.flip();
    else if (this.pictureTools) this.pictureTools.run(id);
    else this.waiting.push(id);
    return this.shown !== null;
  }

  /** The arrow keys: the crosshair, the redshift or the view. */
  move(right: number, down: number): unknown {
    if (this.shown === "spectrum") return this.plot?.move(right, down);
    if (!this.pictureTools?.moveCrosshair(right, down))
      this.picture.panBy(-right * PAN_STEP_PX, -down * PAN_STEP_PX);
    return this.shown !== null;
  }

  private writeZoom(): void {
    find(this.tools, "#zoom-readout", HTMLElement).textContent = `${this.picture.zoom.toFixed(1)}×`;
    const angle = find(this.tools, "#angle", HTMLInputElement);
    angle.value = String(Math.round(this.picture.angle));
    angle.setAttribute("aria-valuetext", t("{angle}°", { angle: Math.round(this.picture.angle) }));
    this.tools
      .querySelector('[data-view-action="flip"]')
      ?.setAttribute("aria-pressed", String(this.picture.flipped));
  }

  private setUpTools(): void {
    const { signal } = this.ending;
    for (const button of this.tools.querySelectorAll<HTMLButtonElement>("[data-view-action]"))
      button.addEventListener("click", () => this.run(button.dataset.viewAction ?? ""), { signal });
    const angle = find(this.tools, "#angle", HTMLInputElement);
    angle.addEventListener(
      "input",
      () => {
        this.picture.turnBy(Number(angle.value) - this.picture.angle);
      },
      { signal },
    );
    // On a small screen the finer tools would push the page's end away; they are one press off.
    if (matchMedia("(max-width: 54rem)").matches)
      for (const details of this.tools.querySelectorAll("details")) details.open = false;
  }
}
