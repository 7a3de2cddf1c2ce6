// The plot as uPlot draws it: axes, series, the band of the errors, and what it is filled with.

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { SpectrumData } from "../types";
import type { Smoothed } from "./smoothing";
import { writeTick } from "./spectrum-words";

const MOST_SERIES = 6;
const SERIES_TOKENS = ["--data", "--accent", "--consensus", "--danger", "--machine", "--muted"];
const FONT = '12px "IBM Plex Mono", ui-monospace, monospace';
/** The wavelengths, the flux and the two edges of its error band; further series follow. */
const OWN_SERIES = 4;

export interface Ticks {
  /** Where they stand, in the data's own x. */
  places: number[];
  /** What they say. */
  shown: number[];
  digits: number;
}

export interface PlotFace {
  xLabel: () => string;
  yLabel: () => string;
  /** Of ten, that the flux axis's numbers leave to its title. */
  fluxPower: () => number;
  ticks: (from: number, to: number) => Ticks;
  onDraw: (plot: uPlot) => void;
}

function colour(name: string): () => string {
  return () => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** The size that a plot has in its place, in CSS pixels. */
export function sizeIn({ clientWidth, clientHeight }: HTMLElement): { width: number; height: number } {
  return { width: Math.max(200, clientWidth), height: Math.max(160, clientHeight) };
}

export function makePlot(host: HTMLElement, face: PlotFace): uPlot {
  const axis = {
    stroke: colour("--muted"),
    grid: { stroke: colour("--grid"), width: 1 },
    ticks: { stroke: colour("--grid"), width: 1 },
    font: FONT,
    labelFont: FONT,
    labelSize: 22,
  };
  const options: uPlot.Options = {
    ...sizeIn(host),
    legend: { show: false },
    cursor: {
      y: false,
      drag: { x: false, y: false, setScale: false },
      points: { show: false },
      // The viewer's gestures do it.
      bind: { dblclick: () => null },
    },
    // The axes are set by the viewer alone, so that one outlier or a wide error band cannot flatten the spectrum.
    scales: { x: { time: false, auto: false }, y: { auto: false } },
    axes: [
      {
        ...axis,
        label: face.xLabel,
        size: 34,
        splits: (_plot, _axis, min, max) => face.ticks(min, max).places,
        values: (plot, places) => {
          const { min, max } = plot.scales.x ?? {};
          const { shown, digits } = face.ticks(min ?? 0, max ?? 1);
          return places.map((_, i) => (shown[i] ?? 0).toFixed(digits));
        },
      },
      {
        ...axis,
        label: face.yLabel,
        size: 64,
        space: 44,
        values: (_plot, ticks) => ticks.map((tick) => writeTick(tick / 10 ** face.fluxPower())),
      },
    ],
    series: [
      {},
      { stroke: colour("--data"), width: 1, points: { show: false }, spanGaps: false },
      { stroke: "transparent", points: { show: false } },
      { stroke: "transparent", points: { show: false } },
    ],
    bands: [{ series: [2, 3], fill: colour("--data-band") }],
    hooks: { draw: [face.onDraw] },
  };
  return new uPlot(options, [[], [], [], []], host);
}

/** Hand a plot its numbers, the view as it is. */
export function fillPlot(plot: uPlot, data: SpectrumData, smoothed: Smoothed, errorBand: boolean): void {
  const { flux, error } = smoothed;
  const edge = (sign: number): (number | null)[] =>
    flux.map((value, i) =>
      !errorBand || value === null || error?.[i] == null ? null : value + sign * error[i],
    );
  const more = (data.more ?? []).slice(0, MOST_SERIES - 1).map((one) => one.flux);
  // Series of different x are one table with holes; a spectrum's holes mean something.
  const [, main] = plot.series;
  if (main) main.spanGaps = data.labels !== undefined;
  while (plot.series.length > OWN_SERIES) plot.delSeries(OWN_SERIES);
  more.forEach((_, i) => {
    const token = SERIES_TOKENS[(i + 1) % SERIES_TOKENS.length] ?? "--muted";
    plot.addSeries(
      { stroke: colour(token), width: 1, points: { show: false }, spanGaps: true },
      OWN_SERIES + i,
    );
  });
  plot.setData([data.wavelength_nm, flux, edge(1), edge(-1), ...more], false);
}
