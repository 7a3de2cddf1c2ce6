// Paints frames from their samples with the look that the volunteer chose: by WebGL2 on a canvas of its own above the
// picture's, or, where no card would do it, into a canvas that the picture viewer draws. A picture that already looks so
// is painted as it was sent: it is decoded, and the next subject waits for nothing.

import type { PictureFrame } from "../prepare";
import type { ScreenBox } from "../viewport";
import type { Affine, Size } from "./geometry";
import { GlPainter } from "./gl-painter";
import { develop, isAsSent, limitsOf, PLAIN, sortedSample, type Limits, type Look } from "./look";
import { planeOfPicture, type Plane } from "./plane";

/** Where a frame is painted. */
export interface Placing {
  /** From picture pixels to CSS pixels. */
  map: Affine;
  size: Size;
  box: ScreenBox;
  /** Device pixels a CSS pixel. */
  ratio: number;
  /** Zoomed in: what the picture's compression left out would be seen. */
  magnified: boolean;
}

/** A frame made by the processor, and what it shows. */
interface Print {
  canvas: HTMLCanvasElement;
  image: ImageData;
  shows: string;
}

export class Darkroom {
  private chosen: Look = PLAIN;
  private painter: GlPainter | null = null;
  private readonly taken = new WeakMap<PictureFrame, Plane>();
  private readonly sorted = new WeakMap<Plane, Float32Array>();
  private readonly prints = new WeakMap<Plane, Print>();
  /** Frames that are shown next: what was made for them is kept. */
  private upcoming: readonly PictureFrame[] = [];

  /**
   * @param above a canvas that lies exactly above the picture's
   * @param onChange called when what is shown should be painted again
   */
  constructor(
    private readonly above: HTMLCanvasElement,
    private readonly onChange: () => void,
  ) {
    try {
      this.painter = new GlPainter(above);
    } catch {
      // The processor does it.
    }
    above.addEventListener("webglcontextlost", (event) => {
      event.preventDefault();
      this.useProcessor();
    });
  }

  /** Whether the graphics card paints. */
  get usesCard(): boolean {
    return this.painter !== null;
  }

  get look(): Look {
    return this.chosen;
  }

  set look(look: Look) {
    this.chosen = look;
    this.onChange();
  }

  /** The frame's own samples, or its picture's levels. */
  planeOf(frame: PictureFrame): Plane {
    const own = frame.plane ?? this.taken.get(frame);
    if (own) return own;
    const taken = planeOfPicture(frame.bitmap);
    this.taken.set(frame, taken);
    return taken;
  }

  limits(plane: Plane, look: Look = this.chosen): Limits {
    // What is fixed in one picture's levels means nothing in another's sigmas.
    const cuts = typeof look.cuts === "object" && look.cuts.of !== plane.of ? "auto" : look.cuts;
    return limitsOf(plane, cuts, this.sample(plane));
  }

  sample(plane: Plane): Float32Array {
    const known = this.sorted.get(plane) ?? sortedSample(plane);
    this.sorted.set(plane, known);
    return known;
  }

  /** Whether the picture as it was sent shows what the look would make of its samples. */
  showsBitmap(frame: PictureFrame, magnified: boolean): boolean {
    if (!isAsSent(this.chosen)) return false;
    return !frame.plane || (this.chosen.stretch === "auto" && !this.chosen.pixelated && !magnified);
  }

  /** From now on these come next; what was made for others is forgotten. */
  expect(frames: readonly PictureFrame[]): void {
    this.upcoming = frames;
  }

  /** Do now what painting a frame will need, if it will need more than the bitmap at once or when it is touched. */
  develop(frame: PictureFrame): void {
    if (!frame.plane && isAsSent(this.chosen)) return;
    const plane = this.planeOf(frame);
    const limits = this.limits(plane);
    if (!this.painter) this.print(plane, limits);
    else
      this.onCard((painter) => {
        painter.prepare(plane, this.chosen, limits);
      });
  }

  /** Begin painting: forget the planes of frames that are gone. */
  begin(frames: readonly (PictureFrame | null)[], width: number, height: number): void {
    if (!this.painter) return;
    const planes = [...frames, ...this.upcoming].map(
      (frame) => frame && (frame.plane ?? this.taken.get(frame)),
    );
    this.painter.keepOnly(new Set(planes.filter((plane) => plane != null)));
    this.painter.begin(width, height);
  }

  /**
   * Paint a frame.
   *
   * @returns "done", or what is to be drawn in the place of the bitmap, or null for the bitmap itself
   */
  paint(
    frame: PictureFrame,
    { map, size, box, ratio, magnified }: Placing,
  ): "done" | HTMLCanvasElement | null {
    if (this.showsBitmap(frame, magnified)) return null;
    const plane = this.planeOf(frame);
    const limits = this.limits(plane);
    const x = size.width / plane.width;
    const y = size.height / plane.height;
    const fromPlane = { ...map, a: map.a * x, b: map.b * x, c: map.c * y, d: map.d * y };
    const painted = this.onCard((painter) => {
      painter.paint(plane, this.chosen, limits, fromPlane, box, ratio);
    });
    return painted ? "done" : this.print(plane, limits);
  }

  /** False where there is no card, or no longer. */
  private onCard(act: (painter: GlPainter) => void): boolean {
    if (!this.painter) return false;
    try {
      act(this.painter);
      return true;
    } catch {
      this.useProcessor();
      return false;
    }
  }

  private useProcessor(): void {
    this.painter = null;
    this.above.hidden = true;
    this.onChange();
  }

  private print(plane: Plane, limits: Limits): HTMLCanvasElement {
    const shows = JSON.stringify([this.chosen, limits]);
    const known = this.prints.get(plane);
    if (known?.shows === shows) return known.canvas;
    const canvas = known?.canvas ?? document.createElement("canvas");
    if (!known) {
      canvas.width = plane.width;
      canvas.height = plane.height;
    }
    const image = known?.image ?? new ImageData(plane.width, plane.height);
    develop(plane, this.chosen, limits, new Uint32Array(image.data.buffer));
    canvas.getContext("2d")?.putImageData(image, 0, 0);
    this.prints.set(plane, { canvas, image, shows });
    return canvas;
  }
}
