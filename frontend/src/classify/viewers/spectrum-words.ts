// What is written about a spectrum: the reading under the pointer, and what its axes say.

import { t } from "../../shared/i18n";
import type { SpectrumData } from "../types";
import type { MarkedLine } from "./line-marks";
import type { Smoothed } from "./smoothing";
import { withPower, writeUnit } from "./units";
import { toShown, type Shown } from "./wavelengths";

/** What stands where nothing is pointed at. */
export function hint(): string {
  return matchMedia("(hover: none)").matches
    ? t("Zoom with two fingers, move with one.")
    : t("Drag across the plot to zoom; double-click to see all of it.");
}

/** One sample: where it lies, what it is worth, and which line is near; null where there is none. */
export function readingOf(
  data: SpectrumData,
  smoothed: Smoothed,
  index: number,
  shown: Shown,
  near: MarkedLine | null,
): string | null {
  const x = data.wavelength_nm[index];
  if (x === undefined) return null;
  const flux = smoothed.flux[index];
  const error = smoothed.error?.[index];
  const value =
    flux == null ? t("no data") : writeNumber(flux, 4) + (error == null ? "" : ` ± ${writeNumber(error, 2)}`);
  const unit = data.flux_unit && flux != null ? ` ${writeUnit(data.flux_unit)}` : "";
  const line = near ? `\u2003${near.name}` : "";
  const place = data.labels ? writeNumber(x, 6) : writeWavelength(x, shown);
  return `${place}\u2003${value}${unit}${line}`;
}

function writeWavelength(nm: number, shown: Shown): string {
  const { unit } = shown;
  return `${toShown(nm, shown).toFixed(unit === "nm" ? 3 : 2)} ${unit === "nm" ? "nm" : "Å"}`;
}

export function xLabel(data: SpectrumData | null, shown: Shown, restFrame: boolean): string {
  if (data?.labels) return data.labels.x;
  const { unit, medium, redshift } = shown;
  const parts = [unit === "nm" ? "nm" : "Å", medium === "air" ? t("in air") : t("in vacuum")];
  if (restFrame) parts.push(t("at rest for z = {z}", { z: redshift.toFixed(4) }));
  return t("Wavelength ({unit})", { unit: parts.join(", ") });
}

/** `power`: of ten, that the axis's numbers leave to its title. */
export function yLabel(data: SpectrumData | null, power: number): string {
  if (data?.labels) return data.labels.y;
  const unit = withPower(power, writeUnit(data?.flux_unit ?? ""));
  return unit ? t("Flux ({unit})", { unit }) : t("Flux");
}

function writeNumber(value: number, digits: number): string {
  const size = Math.abs(value);
  const text =
    size !== 0 && (size >= 1e5 || size < 1e-3) ? value.toExponential(digits - 1) : value.toPrecision(digits);
  return text.replace("-", "−");
}

export function writeTick(value: number): string {
  const size = Math.abs(value);
  if (value === 0) return "0";
  return size >= 1e4 || size < 1e-2 ? value.toExponential(1) : String(Number(value.toPrecision(4)));
}
