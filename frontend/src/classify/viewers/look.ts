// How samples become light: the stretch, the cut levels, the colour map. Pure.

import { colourTable, COLOUR_MAPS, type ColourMap } from "./colour-maps";
import { halfFloats, MISSING, type Plane } from "./plane";

export const STRETCHES = ["linear", "asinh", "log", "sqrt"] as const;
export type Stretch = (typeof STRETCHES)[number];

/** `auto`: as the picture is; `percentile`: half a percent of the samples cut off; `zscale`: as IRAF does; `all`. */
export const CUTS = ["auto", "percentile", "zscale", "all"] as const;
export type Cut = (typeof CUTS)[number];

export interface Limits {
  low: number;
  high: number;
}

/** Limits that the volunteer set, and of what kind of samples. */
export interface FixedLimits extends Limits {
  of: Plane["of"];
}

export interface Look {
  /** `auto`: as the picture is stretched that the server made. */
  stretch: Stretch | "auto";
  /** How the limits are found, or the limits themselves, in samples. */
  cuts: Cut | FixedLimits;
  map: ColourMap;
  inverted: boolean;
  /** Samples are drawn as squares. */
  pixelated: boolean;
  /** Which of red, green and blue are seen. */
  bands: readonly [boolean, boolean, boolean];
}

export const PLAIN: Look = {
  stretch: "auto",
  cuts: "auto",
  map: "grey",
  inverted: false,
  pixelated: false,
  bands: [true, true, true],
};

/** In sky sigmas: linear within the noise, logarithmic above it (Lupton et al. 2004, PASP 116, 133). */
const SKY_SOFTENING = 2;
/** Of what has no noise to measure by: a tenth of the range. */
const SOFT_SHARE = 0.1;
const LOG_STEPS = 1000;
const ZSCALE_SAMPLE = 1000;
const ZSCALE_CONTRAST = 0.25;

/** The curve of `asinh`: where it is linear, and how far. */
export function softening(plane: Plane, limits: Limits): { zero: number; soft: number } {
  return plane.of === "sky"
    ? { zero: 0, soft: SKY_SOFTENING }
    : { zero: limits.low, soft: SOFT_SHARE * (limits.high - limits.low) };
}

/** The stretch that `auto` stands for: samples of the sky as the server stretches them, a picture's levels not at all. */
export function stretchOf(plane: Plane, look: Look): Stretch {
  return look.stretch !== "auto" ? look.stretch : plane.of === "sky" ? "asinh" : "linear";
}

/** From a sample to [0, 1] between the limits; the shader in gl-painter.ts says the same. */
export function curve(plane: Plane, look: Look, limits: Limits): (sample: number) => number {
  const stretch = stretchOf(plane, look);
  const span = limits.high - limits.low;
  const share = (sample: number): number => Math.min(1, Math.max(0, (sample - limits.low) / span));
  if (stretch === "sqrt") return (sample) => Math.sqrt(share(sample));
  if (stretch === "log") return (sample) => Math.log1p(LOG_STEPS * share(sample)) / Math.log1p(LOG_STEPS);
  if (stretch === "linear") return share;
  const { zero, soft } = softening(plane, limits);
  const black = Math.asinh((limits.low - zero) / soft);
  const white = Math.asinh((limits.high - zero) / soft);
  return (sample) => Math.min(1, Math.max(0, (Math.asinh((sample - zero) / soft) - black) / (white - black)));
}

/** Some of the samples that are there, sorted. */
export function sortedSample(plane: Plane, most = 20_000): Float32Array {
  const floats = halfFloats();
  const step = Math.max(1, Math.floor(plane.samples.length / most)) | 1;
  const kept: number[] = [];
  for (let i = 0; i < plane.samples.length; i += step) {
    const bits = plane.samples[i] ?? MISSING;
    const value = floats[bits] ?? NaN;
    if (bits !== MISSING && Number.isFinite(value)) kept.push(value);
  }
  return Float32Array.from(kept).sort();
}

function quantile(sorted: Float32Array, share: number): number {
  return sorted[Math.round(share * (sorted.length - 1))] ?? 0;
}

/** Black and white of a plane, in samples; white lies above black whatever the samples are. */
export function limitsOf(plane: Plane, cuts: Look["cuts"], sorted: Float32Array): Limits {
  let limits: Limits = { low: plane.low, high: plane.high };
  if (typeof cuts === "object") limits = cuts;
  else if (sorted.length > 0 && cuts !== "auto") {
    if (cuts === "all") limits = { low: quantile(sorted, 0), high: quantile(sorted, 1) };
    else if (cuts === "percentile")
      limits = { low: quantile(sorted, 0.0025), high: quantile(sorted, 0.9975) };
    else limits = zscale(sorted);
  }
  return limits.high > limits.low ? limits : { low: limits.low, high: limits.low + 1 };
}

/**
 * IRAF's zscale (the `display` task, NOAO): a line fitted to the sorted sample, values further than 2.5 standard
 * deviations from it left out, up to five times; its slope over the contrast spans the limits about the median.
 */
export function zscale(sorted: Float32Array): Limits {
  const count = Math.min(ZSCALE_SAMPLE, sorted.length);
  const sample = Array.from({ length: count }, (_, i) => quantile(sorted, i / Math.max(1, count - 1)));
  const first = sample[0] ?? 0;
  const last = sample.at(-1) ?? 1;
  let good = sample.map((_, i) => i);
  let slope = 0;
  for (let round = 0; round < 5 && good.length > Math.max(5, count / 2); round++) {
    const meanX = good.reduce((sum, i) => sum + i, 0) / good.length;
    const meanY = good.reduce((sum, i) => sum + (sample[i] ?? 0), 0) / good.length;
    const xx = good.reduce((sum, i) => sum + (i - meanX) ** 2, 0);
    slope = good.reduce((sum, i) => sum + (i - meanX) * ((sample[i] ?? 0) - meanY), 0) / (xx || 1);
    const off = (i: number): number => (sample[i] ?? 0) - meanY - slope * (i - meanX);
    const spread = Math.sqrt(good.reduce((sum, i) => sum + off(i) ** 2, 0) / good.length);
    const kept = good.filter((i) => Math.abs(off(i)) <= 2.5 * spread);
    if (kept.length === good.length) break;
    good = kept;
  }
  if (good.length <= count / 2) return { low: first, high: last };
  const middle = Math.floor((count - 1) / 2);
  const median = sample[middle] ?? 0;
  const reach = slope / ZSCALE_CONTRAST;
  return {
    low: Math.max(first, median - (middle - 1) * reach),
    high: Math.min(last, median + (count - middle) * reach),
  };
}

/** Whether a decoded picture already looks so by itself. */
export function isAsSent(look: Look): boolean {
  const untouched = look.stretch === "auto" || look.stretch === "linear";
  return (
    untouched && !look.inverted && look.cuts === "auto" && look.map === "grey" && look.bands.every(Boolean)
  );
}

/** The one band that is seen, or -1 where two or three mix. */
export function soleBand(plane: Plane, look: Look): number {
  if (plane.bands === 1) return 0;
  const seen = [0, 1, 2].filter((band) => look.bands[band]);
  return seen.length === 1 ? (seen[0] ?? 0) : -1;
}

/** Put the picture that a look makes of a plane into `out`: RGBA, a pixel a sample. */
export function develop(plane: Plane, look: Look, limits: Limits, out: Uint32Array): void {
  const band = soleBand(plane, look);
  if (band >= 0) {
    const colours = colourTableOfBits(plane, look, limits);
    const count = plane.width * plane.height;
    const from = band * count;
    for (let i = 0; i < count; i++) out[i] = colours[plane.samples[from + i] ?? 0] ?? 0;
  } else if (plane.of === "picture") mixLevels(plane, look, levelTable(plane, look, limits), out);
  else mixBands(plane, look, limits, out);
}

// One for all: while a handle is dragged each frame fills it anew.
const coloursByBits = new Uint32Array(65536);

/** The colour of every float16 there is, by its bits. */
function colourTableOfBits(plane: Plane, look: Look, limits: Limits): Uint32Array {
  const { low, high } = limits;
  const toLevel = curve(plane, look, limits);
  const floats = halfFloats();
  const table = new Uint32Array(colourTable(look.map, look.inverted).buffer);
  const black = table[0] ?? 0;
  const white = table[255] ?? 0;
  // Beyond the limits nothing changes, and most float16 lie there.
  for (let bits = 0; bits < coloursByBits.length; bits++) {
    const value = floats[bits] ?? 0;
    coloursByBits[bits] =
      value <= low ? black : value >= high ? white : (table[Math.round((toLevel(value) || 0) * 255)] ?? 0);
  }
  return coloursByBits;
}

/** The level in [0, 1] of every float16 there is, by its bits. */
function levelTable(plane: Plane, look: Look, limits: Limits): Float32Array {
  const toLevel = curve(plane, look, limits);
  const floats = halfFloats();
  const level = new Float32Array(floats.length);
  // Beyond the limits nothing changes, and most float16 lie there.
  for (let bits = 0; bits < floats.length; bits++) {
    const value = floats[bits] ?? 0;
    level[bits] = value <= limits.low ? 0 : value >= limits.high ? 1 : toLevel(value) || 0;
  }
  return level;
}

/** A picture's own colours, each stretched by itself. */
function mixLevels(plane: Plane, look: Look, level: Float32Array, out: Uint32Array): void {
  const count = plane.width * plane.height;
  for (let i = 0; i < count; i++) {
    let pixel = 0xff000000;
    for (let band = 0; band < 3; band++) {
      const value = look.bands[band] ? (level[plane.samples[band * count + i] ?? 0] ?? 0) : 0;
      pixel |= Math.round(255 * (look.inverted ? 1 - value : value)) << (8 * band);
    }
    out[i] = pixel >>> 0;
  }
}

/** Three bands as colour: their mean is stretched and they keep their ratio to it (Lupton et al. 2004). */
function mixBands(plane: Plane, look: Look, limits: Limits, out: Uint32Array): void {
  const count = plane.width * plane.height;
  const floats = halfFloats();
  const toLevel = curve(plane, look, limits);
  const seen = Math.max(1, look.bands.filter(Boolean).length);
  const colour = [0, 0, 0];
  for (let i = 0; i < count; i++) {
    let sum = 0;
    for (let band = 0; band < 3; band++) {
      const value = look.bands[band] ? (floats[plane.samples[band * count + i] ?? 0] ?? 0) : limits.low;
      colour[band] = Math.max(0, value - limits.low);
      if (look.bands[band]) sum += value;
    }
    const share = toLevel(sum / seen) / Math.max(sum / seen - limits.low, 1e-3);
    const most = Math.max(1, ...colour.map((value) => value * share));
    let pixel = 0xff000000;
    for (let band = 0; band < 3; band++) {
      const value = ((colour[band] ?? 0) * share) / most;
      pixel |= Math.round(255 * (look.inverted ? 1 - value : value)) << (8 * band);
    }
    out[i] = pixel >>> 0;
  }
}

export function isColourMap(value: unknown): value is ColourMap {
  return COLOUR_MAPS.some((map) => map === value);
}
