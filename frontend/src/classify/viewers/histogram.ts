// How many samples have which value, and two handles for black and white. The handles are the browser's own sliders, so
// they work by mouse, finger and keyboard and are read aloud.

import { t } from "../../shared/i18n";
import { THEME_EVENT } from "../../shared/theme";
import type { Limits } from "./look";
import type { Plane } from "./plane";

const STEPS = 1000;
const BINS = 100;
/** In sky sigmas: where the axis turns from linear to logarithmic. */
const SOFTENING = 3;

function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export class Histogram {
  private plane: Plane | null = null;
  private counts = new Float64Array(BINS);
  private range: Limits = { low: 0, high: 1 };
  private limits: Limits = { low: 0, high: 1 };

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly black: HTMLInputElement,
    private readonly white: HTMLInputElement,
    private readonly write: (sample: number) => string,
    onLimits: (limits: Limits) => void,
    signal: AbortSignal,
  ) {
    for (const input of [black, white]) {
      input.min = "0";
      input.max = String(STEPS);
      input.addEventListener(
        "input",
        () => {
          this.keepApart(input);
          this.limits = { low: this.valueAt(Number(black.value)), high: this.valueAt(Number(white.value)) };
          this.draw();
          onLimits(this.limits);
        },
        { signal },
      );
    }
    new ResizeObserver(() => {
      this.draw();
    }).observe(canvas);
    document.addEventListener(
      THEME_EVENT,
      () => {
        this.draw();
      },
      { signal },
    );
  }

  show(plane: Plane, sorted: Float32Array, limits: Limits): void {
    if (plane !== this.plane) {
      this.plane = plane;
      const low = Math.min(plane.low, sorted[0] ?? 0);
      const high = Math.max(plane.high, sorted.at(-1) ?? 1);
      this.range = { low, high: high > low ? high : low + 1 };
      this.count(sorted);
    }
    this.limits = limits;
    this.black.value = String(Math.round(this.placeOf(limits.low)));
    this.white.value = String(Math.round(this.placeOf(limits.high)));
    this.draw();
  }

  /** Black stays below white. */
  private keepApart(moved: HTMLInputElement): void {
    const low = Number(this.black.value);
    const high = Number(this.white.value);
    if (low < high) return;
    if (moved === this.black) this.black.value = String(high - 1);
    else this.white.value = String(low + 1);
  }

  private bend(value: number): number {
    return this.plane?.of === "sky" ? Math.asinh(value / SOFTENING) : value;
  }

  private unbend(value: number): number {
    return this.plane?.of === "sky" ? Math.sinh(value) * SOFTENING : value;
  }

  /** A sample's place along the axis, 0 to STEPS. */
  private placeOf(sample: number): number {
    const low = this.bend(this.range.low);
    return ((this.bend(sample) - low) / (this.bend(this.range.high) - low)) * STEPS;
  }

  private valueAt(place: number): number {
    const low = this.bend(this.range.low);
    return this.unbend(low + (place / STEPS) * (this.bend(this.range.high) - low));
  }

  private count(samples: Float32Array): void {
    this.counts = new Float64Array(BINS);
    for (const sample of samples) {
      const bin = Math.floor((this.placeOf(sample) / STEPS) * BINS);
      const at = Math.min(BINS - 1, Math.max(0, bin));
      this.counts[at] = (this.counts[at] ?? 0) + 1;
    }
  }

  private draw(): void {
    this.black.setAttribute("aria-valuetext", t("{value}", { value: this.write(this.limits.low) }));
    this.white.setAttribute("aria-valuetext", t("{value}", { value: this.write(this.limits.high) }));
    const { canvas } = this;
    const context = canvas.getContext("2d");
    if (!context || canvas.clientWidth === 0) return;
    const ratio = devicePixelRatio || 1;
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(canvas.clientHeight * ratio);
    const { counts } = this;
    const most = Math.log1p(Math.max(...counts));
    const from = this.placeOf(this.limits.low) / STEPS;
    const to = this.placeOf(this.limits.high) / STEPS;
    const step = canvas.width / BINS;
    const inside = token("--data");
    const outside = token("--line-strong");
    counts.forEach((count, bin) => {
      const height = (Math.log1p(count) / (most || 1)) * (canvas.height - 2 * ratio);
      const middle = (bin + 0.5) / BINS;
      context.fillStyle = middle >= from && middle <= to ? inside : outside;
      context.globalAlpha = middle >= from && middle <= to ? 0.85 : 0.35;
      context.fillRect(bin * step, canvas.height - height, Math.max(1, step - ratio), height);
    });
    context.globalAlpha = 1;
    context.fillStyle = token("--accent");
    for (const place of [from, to])
      context.fillRect(
        Math.min(canvas.width - 2 * ratio, Math.max(0, place * canvas.width - ratio)),
        0,
        2 * ratio,
        canvas.height,
      );
  }
}
