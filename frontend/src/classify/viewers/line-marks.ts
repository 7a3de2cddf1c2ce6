// Spectral lines over the plot: drawn at a redshift, found under the pointer.

import type uPlot from "uplot";
import type { LineList } from "./line-lists";
import { SPECTRAL_LINES, type SpectralLine } from "./spectral-lines";

const LABEL_ROWS = 3;
const LABEL_ROW_PX = 13;
const LABEL_GAP_PX = 4;
const FONT_PX = 11;

export interface MarkedLine extends SpectralLine {
  /** Where it is observed, in nm in vacuum. */
  nm: number;
  moves: boolean;
  token: string;
}

/** The lines of some lists at a redshift, by wavelength. A line that several lists have is drawn once. */
export function markLines(lists: readonly LineList[], redshift: number): MarkedLine[] {
  const marked = new Map<string, MarkedLine>();
  for (const list of lists) {
    const { lines, moves, token } = SPECTRAL_LINES[list];
    for (const line of lines) {
      const key = `${line.name} ${Math.round(line.angstrom)} ${String(moves)}`;
      if (!marked.has(key))
        marked.set(key, { ...line, nm: (line.angstrom / 10) * (moves ? 1 + redshift : 1), moves, token });
    }
  }
  return [...marked.values()].sort((a, b) => a.nm - b.nm);
}

/** The movable line nearest to a place along the plot, in CSS pixels, if there is one within reach. */
export function lineNear(plot: uPlot, marked: MarkedLine[], left: number, reach: number): MarkedLine | null {
  let best: MarkedLine | null = null;
  let nearest = reach;
  for (const line of marked) {
    const off = Math.abs(plot.valToPos(line.nm, "x") - left);
    if (off > nearest) continue;
    best = line;
    nearest = off;
  }
  return best;
}

export function drawLines(plot: uPlot, marked: MarkedLine[]): void {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio || 1;
  const style = getComputedStyle(document.documentElement);
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.font = `${FONT_PX * ratio}px "IBM Plex Sans Variable", system-ui, sans-serif`;
  ctx.textBaseline = "top";
  ctx.textAlign = "center";
  const named = new Map<string, number>();
  const taken: number[] = Array.from({ length: LABEL_ROWS }, () => -Infinity);
  for (const line of marked) {
    const x = plot.valToPos(line.nm, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    const half = ctx.measureText(line.name).width / 2;
    // The second of a doublet needs no name of its own.
    const twin = x - (named.get(line.name) ?? -Infinity) < 2 * half;
    const row = twin ? -1 : taken.findIndex((end) => x - half > end + LABEL_GAP_PX * ratio);
    const top = bbox.top + 3 * ratio + Math.max(0, row) * LABEL_ROW_PX * ratio;
    ctx.strokeStyle = ctx.fillStyle = style.getPropertyValue(line.token).trim();
    ctx.lineWidth = ratio;
    ctx.setLineDash(line.moves ? [] : [3 * ratio, 3 * ratio]);
    ctx.globalAlpha = 0.55;
    ctx.beginPath();
    ctx.moveTo(
      Math.round(x) + 0.5,
      bbox.top + (row < 0 ? LABEL_ROWS * LABEL_ROW_PX + 3 : LABEL_ROW_PX * (row + 1) + 3) * ratio,
    );
    ctx.lineTo(Math.round(x) + 0.5, bbox.top + bbox.height);
    ctx.stroke();
    if (row < 0) continue;
    ctx.globalAlpha = 1;
    // A name at the plot's edge stays whole.
    const middle = Math.min(bbox.left + bbox.width - half, Math.max(bbox.left + half, x));
    ctx.fillText(line.name, middle, top);
    taken[row] = middle + half;
    named.set(line.name, x);
  }
  ctx.restore();
}
