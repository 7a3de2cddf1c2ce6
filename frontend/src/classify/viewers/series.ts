// Series of numbers in the forms in which Zooniverse's viewers read them from `application/json`: {x, y}, perhaps under
// `data`, or `data` as a list of series of points with errors; the axes' names stand beside them.

import type { SpectrumData } from "../types";

interface Point {
  x: number;
  y: number;
  error: number | null;
}

interface Series {
  label: string;
  points: Point[];
}

type Fields = Record<string, unknown>;

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

function readPoints(value: unknown): Point[] {
  if (!Array.isArray(value)) return [];
  return value
    .filter(isFields)
    .flatMap(({ x, y, y_error: error }) =>
      isNumber(x) && isNumber(y) ? [{ x, y, error: isNumber(error) && error > 0 ? error : null }] : [],
    );
}

function readColumns({ x, y }: Fields): Point[] {
  if (!Array.isArray(x) || !Array.isArray(y) || x.length !== y.length) return [];
  return x.flatMap((at: unknown, i) => {
    const value: unknown = y[i];
    return isNumber(at) && isNumber(value) ? [{ x: at, y: value, error: null }] : [];
  });
}

function readAll(body: unknown): Series[] {
  if (!isFields(body)) return [];
  const data = body.data ?? body;
  if (isFields(data)) return [{ label: "", points: readColumns(data) }];
  if (!Array.isArray(data)) return [];
  return data.filter(isFields).map((one) => {
    const options = isFields(one.seriesOptions) ? one.seriesOptions : {};
    const label = typeof options.label === "string" ? options.label : "";
    return { label, points: readPoints(one.seriesData) };
  });
}

/** A series as the plot shows it; null where there are no two points to draw. */
export function readSeries(body: unknown): SpectrumData | null {
  const all = readAll(body).filter(({ points }) => points.length > 0);
  const x = [...new Set(all.flatMap(({ points }) => points.map((point) => point.x)))].sort((a, b) => a - b);
  if (x.length < 2) return null;
  const place = new Map(x.map((at, i) => [at, i]));
  const columns = all.map(({ label, points }) => {
    const flux = x.map((): number | null => null);
    const error = x.map((): number | null => null);
    for (const point of points) {
      const at = place.get(point.x) ?? 0;
      flux[at] = point.y;
      error[at] = point.error;
    }
    return { label, flux, error };
  });
  const [first, ...more] = columns;
  if (!first) return null;
  const fields = isFields(body) ? body : {};
  const options = [fields.chartOptions, fields.options].find(isFields) ?? {};
  const text = (value: unknown): string => (typeof value === "string" ? value : "");
  return {
    wavelength_nm: x,
    flux: first.flux,
    error: first.error.some((error) => error !== null) ? first.error : null,
    flux_unit: "",
    labels: { x: text(options.xAxisLabel) || "x", y: text(options.yAxisLabel) || "y" },
    more: more.map(({ label, flux }) => ({ label, flux })),
  };
}
