// Paints frames from their samples with the look that the volunteer chose: by WebGL2 on a canvas of its own above the
// picture's, or, where there is none, into a canvas that the picture viewer draws.

import type { PictureFrame } from "../prepare";
import type { ScreenBox } from "../viewport";
import type { Affine, Size } from "./geometry";
import { GlPainter } from "./gl-painter";
import { develop, isAsSent, limitsOf, PLAIN, sortedSample, type Limits, type Look } from "./look";
import { planeOfPicture, type Plane } from "./plane";

/** A frame made by the processor, and what it shows. */
interface Print {
  canvas: HTMLCanvasElement;
  shows: string;
}

export class Darkroom {
  private chosen: Look = PLAIN;
  private painter: GlPainter | null = null;
  private readonly taken = new WeakMap<PictureFrame, Plane>();
  private readonly sorted = new WeakMap<Plane, Float32Array>();
  private readonly prints = new WeakMap<Plane, Print>();

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

  /** Begin painting: forget the planes of frames that are gone. */
  begin(frames: readonly (PictureFrame | null)[], width: number, height: number): void {
    if (!this.painter) return;
    const planes = frames.map((frame) => frame && (frame.plane ?? this.taken.get(frame)));
    this.painter.keepOnly(new Set(planes.filter((plane) => plane != null)));
    this.painter.begin(width, height);
  }

  /**
   * Paint a frame.
   *
   * @param map from picture pixels to CSS pixels
   * @returns "done", or what is to be drawn in the place of the bitmap, or null for the bitmap itself
   */
  paint(
    frame: PictureFrame,
    map: Affine,
    size: Size,
    box: ScreenBox,
    ratio: number,
  ): "done" | HTMLCanvasElement | null {
    if (!frame.plane && isAsSent(this.chosen)) return null;
    const plane = this.planeOf(frame);
    const limits = this.limits(plane);
    if (!this.painter) return this.print(plane, limits);
    const x = size.width / plane.width;
    const y = size.height / plane.height;
    const fromPlane = { ...map, a: map.a * x, b: map.b * x, c: map.c * y, d: map.d * y };
    try {
      this.painter.paint(plane, this.chosen, limits, fromPlane, box, ratio);
      return "done";
    } catch {
      this.useProcessor();
      return this.print(plane, limits);
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
    canvas.width = plane.width;
    canvas.height = plane.height;
    const pixels = develop(plane, this.chosen, limits);
    canvas.getContext("2d")?.putImageData(new ImageData(pixels, plane.width, plane.height), 0, 0);
    this.prints.set(plane, { canvas, shows });
    return canvas;
  }
}
