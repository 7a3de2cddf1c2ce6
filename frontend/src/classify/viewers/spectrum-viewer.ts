// The spectrum as a plot: zoomed and moved along wavelength, its height fitted to what is seen, smoothed, with its error
// as a band and with lines at a redshift that can be dragged.

import type uPlot from "uplot";
import { THEME_EVENT } from "../../shared/theme";
import type { SpectrumData, ViewerConfiguration } from "../types";
import type { PointerUse, ScreenBox, ScreenPoint } from "../viewport";
import { find } from "./find";
import { Gestures, type Grip } from "./gestures";
import { drawLines, lineNear, markLines, type MarkedLine } from "./line-marks";
import type { SpectrumSettings } from "./settings";
import { smooth, type Smoothed } from "./smoothing";
import { fillPlot, makePlot, sizeIn, type Ticks } from "./spectrum-plot";
import { SpectrumTools } from "./spectrum-tools";
import { hint, readingOf, xLabel, yLabel } from "./spectrum-words";
import { axisPower } from "./units";
import { fromShown, roundSteps, toShown, type Shown } from "./wavelengths";

/** Share of the flux values that the first view leaves out at either end, so that one cosmic ray does not flatten it. */
const CLIPPED_SHARE = 0.002;
const MARGIN_SHARE = 0.08;
/** Room for the lines' names above the flux. */
const LABEL_SHARE = 0.16;
const BUTTON_STEP = 1.4;
const KEY_STEP = 0.1;
const LEAST_SAMPLES = 8;
const TICK_PX = 68;
const LINE_REACH_PX = { mouse: 5, touch: 18 };
export interface SpectrumViewerOptions {
  host: HTMLElement;
  tools: HTMLElement;
  workflowId: string;
  configuration: ViewerConfiguration;
  /** What the pointer is for; null while no spectrum is shown. */
  use: () => PointerUse | null;
  onChange: () => void;
  signal: AbortSignal;
}

function quantile(sorted: number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.round(share * (sorted.length - 1))))] ?? 0;
}

export class SpectrumViewer {
  private readonly plotHost: HTMLElement;
  private readonly plot: uPlot;
  private readonly controls: SpectrumTools;
  private data: SpectrumData | null = null;
  private smoothed: Smoothed = { flux: [], error: null };
  private marked: MarkedLine[] = [];
  /** The flux axis follows what is seen until somebody sets it. */
  private heightSet = false;

  constructor(private readonly options: SpectrumViewerOptions) {
    const { host, tools, workflowId, configuration, signal } = options;
    this.plotHost = find(host, "#spectrum", HTMLElement);
    this.controls = new SpectrumTools(tools, workflowId, configuration, signal, (what) => {
      this.onControls(what);
    });
    this.plot = makePlot(this.plotHost, {
      xLabel: () => xLabel(this.data, this.shown, this.settings.restFrame),
      yLabel: () => yLabel(this.data, this.fluxPower()),
      fluxPower: () => this.fluxPower(),
      ticks: (from, to) => this.ticks(from, to),
      onDraw: (plot) => {
        drawLines(plot, this.marked);
        options.onChange();
      },
    });
    new Gestures(
      host,
      {
        pan: (dx, dy) => {
          this.panBy(dx, dy);
        },
        zoom: (factor, place, event) => {
          if (event?.shiftKey) this.zoomHeight(factor, place);
          else this.zoomBy(factor, this.toData(place).x);
        },
        turn: () => {
          // A spectrum does not turn.
        },
        reset: () => {
          this.reset();
        },
        hover: (place) => {
          this.hover(place);
        },
        grab: (place, event) => this.grab(place, event),
      },
      options.use,
      signal,
    );
    new ResizeObserver(() => {
      this.plot.setSize(sizeIn(this.plotHost));
    }).observe(this.plotHost);
    document.addEventListener(
      THEME_EVENT,
      () => {
        this.plot.redraw(false, true);
      },
      { signal },
    );
  }

  show(data: SpectrumData): void {
    this.data = data;
    this.heightSet = false;
    this.options.tools.dataset.axis = data.labels ? "plain" : "wavelength";
    this.controls.begin(data.error !== null);
    this.compute();
    this.reset();
  }

  reset(): void {
    const x = this.data?.wavelength_nm ?? [];
    this.heightSet = false;
    this.setRange(x[0] ?? 0, x.at(-1) ?? 1);
    this.writeReadout(null);
  }

  zoomIn(): void {
    this.zoomBy(BUTTON_STEP);
  }

  zoomOut(): void {
    this.zoomBy(1 / BUTTON_STEP);
  }

  /** What an action does; false where it is none of a spectrum's. */
  run(id: string): boolean {
    return this.controls.run(id);
  }

  /** The arrow keys: along wavelength; up and down change the redshift of the lines. */
  move(right: number, down: number): boolean {
    if (right !== 0) this.panBy(-right * KEY_STEP * this.box().width, 0);
    else if (this.marked.some((line) => line.moves)) this.controls.stepRedshift(-down);
    else return false;
    return true;
  }

  /** Where the plot's inside lies, in CSS pixels from the top left corner of the stage. */
  box(): ScreenBox {
    const stage = this.options.host.getBoundingClientRect();
    const over = this.plot.over.getBoundingClientRect();
    const { clientLeft, clientTop } = this.options.host;
    return {
      x: over.left - stage.left - clientLeft,
      y: over.top - stage.top - clientTop,
      width: over.width,
      height: over.height,
    };
  }

  /** `point`: wavelength in nm (of other series, x), flux. */
  toScreen(point: ScreenPoint): ScreenPoint {
    const box = this.box();
    return { x: box.x + this.plot.valToPos(point.x, "x"), y: box.y + this.plot.valToPos(point.y, "y") };
  }

  toData(place: ScreenPoint): ScreenPoint {
    const box = this.box();
    return { x: this.plot.posToVal(place.x - box.x, "x"), y: this.plot.posToVal(place.y - box.y, "y") };
  }

  /** Move the view so that a wavelength is inside it. */
  reveal(wavelength: number): void {
    const { min, max } = this.range();
    if (wavelength >= min && wavelength <= max) return;
    const half = (max - min) / 2;
    this.setRange(wavelength - half, wavelength + half);
  }

  private get settings(): SpectrumSettings {
    return this.controls.settings;
  }

  private get shown(): Shown {
    const { unit, medium, restFrame } = this.settings;
    return { unit, medium, redshift: restFrame ? this.controls.redshift : 0 };
  }

  private onControls(what: "data" | "lines"): void {
    if (!this.data) return;
    if (what === "data") this.compute();
    const before = this.marked.length > 0;
    this.marked = this.data.labels ? [] : markLines(this.settings.lines, this.controls.redshift);
    if (what === "data" || before !== this.marked.length > 0) this.fitHeight();
    this.plot.redraw(false, true);
  }

  /** Smooth the data anew and hand them to the plot, the view as it is. */
  private compute(): void {
    const { data } = this;
    if (!data) return;
    const { smoothing, kernel, errorBand } = this.settings;
    this.smoothed = smooth(data.flux, data.error, smoothing, kernel);
    fillPlot(this.plot, data, this.smoothed, errorBand);
    this.marked = data.labels ? [] : markLines(this.settings.lines, this.controls.redshift);
  }

  private range(): { min: number; max: number } {
    const { min, max } = this.plot.scales.x ?? {};
    return { min: min ?? 0, max: max ?? 1 };
  }

  /** Show from one wavelength to another, within the data. */
  private setRange(from: number, to: number): void {
    const x = this.data?.wavelength_nm ?? [];
    const first = x[0] ?? 0;
    const last = x.at(-1) ?? 1;
    const least = ((last - first) * LEAST_SAMPLES) / Math.max(LEAST_SAMPLES, x.length - 1);
    const width = Math.min(last - first, Math.max(least, to - from));
    const start = Math.min(last - width, Math.max(first, (from + to - width) / 2));
    this.plot.batch(() => {
      this.plot.setScale("x", { min: start, max: start + width });
      this.fitHeight(start, start + width);
    });
  }

  private fitHeight(from = this.range().min, to = this.range().max): void {
    if (this.heightSet || !this.data) return;
    const x = this.data.wavelength_nm;
    const seen: number[] = [];
    this.smoothed.flux.forEach((value, i) => {
      const at = x[i] ?? 0;
      if (value !== null && at >= from && at <= to) seen.push(value);
    });
    if (seen.length === 0) return;
    seen.sort((a, b) => a - b);
    const low = quantile(seen, CLIPPED_SHARE);
    const high = quantile(seen, 1 - CLIPPED_SHARE);
    const height = high - low || Math.abs(high) || 1;
    const above = this.marked.length > 0 ? LABEL_SHARE : MARGIN_SHARE;
    this.plot.setScale("y", { min: low - height * MARGIN_SHARE, max: high + height * above });
  }

  private zoomBy(factor: number, about = (this.range().min + this.range().max) / 2): void {
    const { min, max } = this.range();
    this.setRange(about - (about - min) / factor, about + (max - about) / factor);
  }

  private zoomHeight(factor: number, place: ScreenPoint): void {
    const { min, max } = this.plot.scales.y ?? {};
    if (min == null || max == null) return;
    const { y } = this.toData(place);
    this.heightSet = true;
    this.plot.setScale("y", { min: y - (y - min) / factor, max: y + (max - y) / factor });
  }

  private panBy(dx: number, dy: number): void {
    const box = this.box();
    const { min, max } = this.range();
    const by = (-dx / Math.max(1, box.width)) * (max - min);
    this.setRange(min + by, max + by);
    const y = this.plot.scales.y;
    if (!this.heightSet || y?.min == null || y.max == null) return;
    const rise = (dy / Math.max(1, box.height)) * (y.max - y.min);
    this.plot.setScale("y", { min: y.min + rise, max: y.max + rise });
  }

  /** A press takes hold of a line, or of a range to be zoomed to; else it moves the view. */
  private grab(place: ScreenPoint, event: PointerEvent): Grip | null {
    const box = this.box();
    const reach = LINE_REACH_PX[event.pointerType === "touch" ? "touch" : "mouse"];
    const movable = this.marked.filter((line) => line.moves);
    const line = lineNear(this.plot, movable, place.x - box.x, reach);
    if (line)
      return {
        move: (at) => {
          this.controls.setRedshift(this.toData(at).x / (line.angstrom / 10) - 1);
        },
        end: () => {
          this.controls.settleRedshift();
        },
      };
    if (event.pointerType === "touch" || event.shiftKey || this.controls.dragPans) return null;
    return this.selection(place);
  }

  private selection(start: ScreenPoint): Grip {
    const box = this.box();
    const inside = (x: number): number => Math.min(box.width, Math.max(0, x - box.x));
    const from = inside(start.x);
    return {
      move: (place) => {
        const to = inside(place.x);
        const shape = { left: Math.min(from, to), width: Math.abs(to - from), top: 0, height: box.height };
        this.plot.setSelect(shape, false);
      },
      end: (place) => {
        this.plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
        if (!place || Math.abs(inside(place.x) - from) < 4) return;
        const ends = [from, inside(place.x)].map((left) => this.plot.posToVal(left, "x"));
        this.setRange(Math.min(...ends), Math.max(...ends));
      },
    };
  }

  private hover(place: ScreenPoint | null): void {
    const box = this.box();
    const movable = this.marked.filter((line) => line.moves);
    const near = place && lineNear(this.plot, movable, place.x - box.x, LINE_REACH_PX.mouse);
    this.plotHost.classList.toggle("on-line", Boolean(near));
    this.plotHost.classList.toggle("drag-pans", this.controls.dragPans);
    if (!place || !this.data || place.x < box.x || place.x > box.x + box.width) {
      this.writeReadout(null);
      return;
    }
    this.writeReadout(this.plot.posToIdx(place.x - box.x), near);
  }

  private writeReadout(index: number | null, near: MarkedLine | null = null): void {
    const { data, smoothed, shown } = this;
    const read = data && index !== null ? readingOf(data, smoothed, index, shown, near) : null;
    this.controls.read(read ?? hint(), read === null);
  }

  /** What the axis leaves to its title. The plain plot of other quantities never has it: its titles are the file's own. */
  private fluxPower(): number {
    const { min, max } = this.plot.scales.y ?? {};
    if (this.data?.labels) return 0;
    return axisPower(Math.max(Math.abs(min ?? 0), Math.abs(max ?? 0)));
  }

  private ticks(from: number, to: number): Ticks {
    const plain = this.data?.labels !== undefined;
    const low = plain ? from : toShown(from, this.shown);
    const high = plain ? to : toShown(to, this.shown);
    const { steps, digits } = roundSteps(low, high, this.plot.bbox.width / (devicePixelRatio || 1) / TICK_PX);
    return { places: plain ? steps : steps.map((step) => fromShown(step, this.shown)), digits, shown: steps };
  }
}
