// What the volunteer looks at: the viewers of pictures and of spectra behind one face, which is also the viewport that
// drawing and reading are placed by.

import type { Prepared } from "../prepare";
import type { Dimensions } from "../types";
import type { PointerUse, ScreenBox, ScreenPoint, SubjectPoint, Viewport } from "../viewport";
import { Gestures } from "./gestures";
import { PictureViewer } from "./picture-viewer";
import { SpectrumViewer } from "./spectrum-viewer";

const PAN_STEP_PX = 40;

/** Something a viewer does, for whoever gives keys to actions. */
export interface ViewerAction {
  /** Stable. */
  id: string;
  label: string;
  group: string;
  defaultKeys: readonly string[];
  /** Returns false when there was nothing to do. */
  run: () => unknown;
  /** "viewer": only while the picture or the plot has the focus. */
  scope?: "page" | "viewer";
  /** Whether a key held down does it again and again. */
  repeats?: boolean;
}

function find<T extends Element>(root: ParentNode, selector: string, type: new () => T): T {
  const element = root.querySelector(selector);
  if (!(element instanceof type)) throw new Error(`The page has no ${selector}.`);
  return element;
}

export class Stage implements Viewport {
  readonly overlay: SVGSVGElement;
  readonly actions: readonly ViewerAction[];
  private readonly picture: PictureViewer;
  private readonly plotHost: HTMLElement;
  private plot: SpectrumViewer | null = null;
  private shown: "picture" | "spectrum" | null = null;
  private use: PointerUse = "view";
  private readonly gestures: Gestures;
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
  ) {
    this.plotHost = find(host, "#spectrum", HTMLElement);
    this.picture = new PictureViewer(find(host, "#picture", HTMLCanvasElement), () => {
      this.writeZoom();
      this.changed();
    });
    this.overlay = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    this.overlay.id = "overlay";
    this.plotHost.after(this.overlay);
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
        hover: () => {
          // Nothing is read from the picture yet.
        },
      },
      // The plot has gestures of its own.
      () => (this.shown === "picture" ? this.use : null),
      this.ending.signal,
    );
    this.actions = this.listActions();
    this.setUpTools();
  }

  /** Paint a prepared subject now. What it holds is closed when the next one comes. */
  show(prepared: Prepared): void {
    this.shown = prepared.kind === "damaged" ? null : prepared.kind;
    this.picture.show(prepared.kind === "picture" ? prepared.frames : []);
    if (prepared.kind === "spectrum") {
      this.plot ??= new SpectrumViewer(this.plotHost, find(this.tools, "#readout", HTMLElement), () => {
        this.changed();
      });
      this.plot.show(prepared.data);
    }
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
    this.overlay.remove();
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

  private writeZoom(): void {
    find(this.tools, "#zoom-readout", HTMLElement).textContent = `${this.picture.zoom.toFixed(1)}×`;
  }

  private setUpTools(): void {
    const { signal } = this.ending;
    for (const button of this.tools.querySelectorAll<HTMLButtonElement>("[data-view-action]")) {
      const action = this.actions.find((one) => one.id === button.dataset.viewAction);
      button.addEventListener("click", () => action?.run(), { signal });
    }
    const smoothing = find(this.tools, "#smoothing", HTMLInputElement);
    const apply = (): void => {
      const width = Number(smoothing.value);
      find(this.tools, "#smoothing-value", HTMLElement).textContent =
        width === 1 ? "off" : `${width} samples`;
      this.plot?.setSmoothing(width);
    };
    smoothing.addEventListener("input", apply, { signal });
    for (const id of ["#brightness", "#contrast"])
      find(this.tools, id, HTMLInputElement).addEventListener(
        "input",
        () => {
          this.applyLook();
        },
        { signal },
      );
    find(this.tools, "#plain", HTMLButtonElement).addEventListener(
      "click",
      () => {
        find(this.tools, "#invert", HTMLButtonElement).setAttribute("aria-pressed", "false");
        for (const id of ["#brightness", "#contrast"]) find(this.tools, id, HTMLInputElement).value = "100";
        this.applyLook();
      },
      { signal },
    );
    apply();
  }

  private listActions(): ViewerAction[] {
    const group = "Viewer";
    const pan = (id: string, label: string, key: string, right: number, down: number): ViewerAction => ({
      id,
      label,
      group,
      defaultKeys: [key],
      scope: "viewer",
      repeats: true,
      run: () => {
        this.picture.panBy(-right * PAN_STEP_PX, -down * PAN_STEP_PX);
      },
    });
    return [
      {
        id: "zoom-in",
        label: "Zoom in",
        group,
        defaultKeys: ["+", "="],
        repeats: true,
        run: () => {
          this.picture.zoomIn();
        },
      },
      {
        id: "zoom-out",
        label: "Zoom out",
        group,
        defaultKeys: ["-"],
        repeats: true,
        run: () => {
          this.picture.zoomOut();
        },
      },
      {
        id: "reset-view",
        label: "Show all of it",
        group,
        defaultKeys: ["r"],
        run: () => {
          this.reset();
        },
      },
      {
        id: "invert",
        label: "Invert",
        group,
        defaultKeys: ["i"],
        run: () => {
          this.invert();
        },
      },
      pan("pan-left", "Look further left", "ArrowLeft", -1, 0),
      pan("pan-right", "Look further right", "ArrowRight", 1, 0),
      pan("pan-up", "Look further up", "ArrowUp", 0, -1),
      pan("pan-down", "Look further down", "ArrowDown", 0, 1),
    ];
  }

  private invert(): void {
    const button = find(this.tools, "#invert", HTMLButtonElement);
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    this.applyLook();
  }

  private applyLook(): void {
    const inverted = find(this.tools, "#invert", HTMLButtonElement).getAttribute("aria-pressed") === "true";
    const brightness = find(this.tools, "#brightness", HTMLInputElement).value;
    const contrast = find(this.tools, "#contrast", HTMLInputElement).value;
    this.picture.canvas.style.filter = `${inverted ? "invert(1) " : ""}brightness(${brightness}%) contrast(${contrast}%)`;
  }
}
