// The spectrum as a plot: drag to zoom, double-click to see all of it again, a slider that smooths, the error as a band.

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { THEME_EVENT } from "../../shared/theme";
import { smooth } from "./smoothing";
import type { SpectrumData } from "../types";
import type { ScreenBox, ScreenPoint } from "../viewport";

/** Share of the flux values that the first view leaves out at either end, so that one cosmic ray does not flatten it. */
const CLIPPED_SHARE = 0.002;
const MARGIN_SHARE = 0.08;

function colour(name: string): () => string {
  return () => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function quantile(sorted: number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.round(share * (sorted.length - 1))))] ?? 0;
}

export class SpectrumViewer {
  private readonly plot: uPlot;
  private data: SpectrumData | null = null;
  private smoothing = 1;
  private fluxRange: [number, number] = [0, 1];

  constructor(
    private readonly host: HTMLElement,
    private readonly readout: HTMLElement,
    private readonly onChange: () => void,
  ) {
    this.plot = new uPlot(this.options(), [[], [], [], []], host);
    new ResizeObserver(() => {
      this.plot.setSize(this.size());
    }).observe(host);
    document.addEventListener(THEME_EVENT, () => {
      this.plot.redraw(false, true);
    });
  }

  show(data: SpectrumData | null): void {
    this.data = data;
    if (data) this.fluxRange = this.rangeOf(smooth(data.flux, null, this.smoothing).flux);
    this.update(true);
  }

  /** `width`: samples averaged, odd; 1 shows the data as they are. */
  setSmoothing(width: number): void {
    this.smoothing = width;
    this.update(false);
  }

  reset(): void {
    this.update(true);
  }

  /** Where the plot's inside lies, in CSS pixels from the top left corner of the host's parent. */
  box(): ScreenBox {
    const { offsetLeft, offsetTop } = this.host;
    const over = this.plot.over;
    return {
      x: offsetLeft + this.plot.root.offsetLeft + (over.offsetLeft || 0),
      y: offsetTop + this.plot.root.offsetTop + (over.offsetTop || 0),
      width: over.clientWidth,
      height: over.clientHeight,
    };
  }

  /** `point`: wavelength in nm, flux. */
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
    const { min, max } = this.plot.scales.x ?? {};
    if (min == null || max == null || (wavelength >= min && wavelength <= max)) return;
    const half = (max - min) / 2;
    this.plot.setScale("x", { min: wavelength - half, max: wavelength + half });
  }

  private update(fit: boolean): void {
    if (!this.data) {
      this.plot.setData([[], [], [], []]);
      return;
    }
    const { flux, error } = smooth(this.data.flux, this.data.error, this.smoothing);
    const low = flux.map((value, i) => (value === null || error?.[i] == null ? null : value - error[i]));
    const high = flux.map((value, i) => (value === null || error?.[i] == null ? null : value + error[i]));
    const wavelength = this.data.wavelength_nm;
    const { min, max } = this.plot.scales.x ?? {};
    this.plot.batch(() => {
      this.plot.setData([wavelength, flux, high, low], fit);
      if (fit || min == null || max == null) {
        this.plot.setScale("x", { min: wavelength[0] ?? 0, max: wavelength.at(-1) ?? 1 });
        this.plot.setScale("y", { min: this.fluxRange[0], max: this.fluxRange[1] });
      } else {
        this.plot.setScale("x", { min, max });
      }
    });
    this.writeReadout(null);
  }

  private rangeOf(flux: (number | null)[]): [number, number] {
    const known = flux.filter((value) => value !== null).sort((a, b) => a - b);
    const low = quantile(known, CLIPPED_SHARE);
    const high = quantile(known, 1 - CLIPPED_SHARE);
    const margin = (high - low || Math.abs(high) || 1) * MARGIN_SHARE;
    return [low - margin, high + margin];
  }

  private size(): { width: number; height: number } {
    return { width: Math.max(200, this.host.clientWidth), height: Math.max(160, this.host.clientHeight) };
  }

  private writeReadout(index: number | null): void {
    const wavelength = index === null ? null : this.data?.wavelength_nm[index];
    if (index === null || wavelength == null) {
      this.readout.textContent = "Drag across the plot to zoom; double-click to see all of it.";
      return;
    }
    const flux = this.data?.flux[index];
    const error = this.data?.error?.[index];
    const value =
      flux == null ? "no data" : flux.toPrecision(4) + (error == null ? "" : ` ± ${error.toPrecision(2)}`);
    this.readout.textContent = `${wavelength.toFixed(2)} nm · flux ${value}`;
  }

  private options(): uPlot.Options {
    const axis = {
      stroke: colour("--muted"),
      grid: { stroke: colour("--grid"), width: 1 },
      ticks: { stroke: colour("--grid"), width: 1 },
    };
    const font = '12px "IBM Plex Mono", ui-monospace, monospace';
    return {
      ...this.size(),
      legend: { show: false },
      cursor: {
        drag: { x: true, y: false, setScale: true },
        points: { show: false },
        bind: {
          dblclick: () => () => {
            this.reset();
            return null;
          },
        },
      },
      // The flux axis is set here alone, so that one outlier or a wide error band cannot flatten the spectrum.
      scales: { x: { time: false, auto: false }, y: { auto: false } },
      axes: [
        { ...axis, font, label: "Wavelength (nm)", labelFont: font, labelSize: 22, size: 34 },
        {
          ...axis,
          font,
          label: (): string => (this.data?.flux_unit ? `Flux (${this.data.flux_unit})` : "Flux"),
          labelFont: font,
          labelSize: 22,
          size: 64,
          values: (_plot, ticks) => ticks.map(formatTick),
        },
      ],
      series: [
        {},
        { stroke: colour("--data"), width: 1, points: { show: false }, spanGaps: false },
        { stroke: "transparent", points: { show: false } },
        { stroke: "transparent", points: { show: false } },
      ],
      bands: [{ series: [2, 3], fill: colour("--data-band") }],
      hooks: {
        draw: [
          (): void => {
            this.onChange();
          },
        ],
        setCursor: [
          (plot): void => {
            this.writeReadout(plot.cursor.idx ?? null);
          },
        ],
        setSelect: [
          (plot): void => {
            if (plot.select.width > 0) this.fitHeight(plot);
          },
        ],
      },
    };
  }

  /** After a zoom along wavelength, the flux axis fits what is visible. */
  private fitHeight(plot: uPlot): void {
    const from = plot.posToVal(plot.select.left, "x");
    const to = plot.posToVal(plot.select.left + plot.select.width, "x");
    const flux = plot.data[1] as (number | null)[];
    const visible = flux.filter((_, i) => {
      const at = plot.data[0][i] ?? 0;
      return at >= from && at <= to;
    });
    if (!visible.some((value) => value !== null)) return;
    const [min, max] = this.rangeOf(visible);
    queueMicrotask(() => {
      plot.setScale("y", { min, max });
    });
  }
}

function formatTick(value: number): string {
  const size = Math.abs(value);
  if (value === 0) return "0";
  return size >= 1e4 || size < 1e-2 ? value.toExponential(1) : String(Number(value.toPrecision(4)));
}
