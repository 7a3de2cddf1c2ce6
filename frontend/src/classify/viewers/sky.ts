// From a picture's pixels to the sky and how positions are written. Formulas: Calabretta & Greisen 2002 (A&A 395, 1077),
// section 5.1.3.

import type { SkyPlane } from "./plane";

const DEGREE = Math.PI / 180;

export interface SkyPosition {
  /** In [0, 360). */
  ra: number;
  dec: number;
}

/** The sky at a place of the picture: (0, 0) is the centre of its top left pixel. */
export function toSky(plane: SkyPlane, x: number, y: number): SkyPosition {
  const dx = x - plane.x_px;
  const dy = y - plane.y_px;
  const xi = (plane.cd11 * dx + plane.cd12 * dy) * DEGREE;
  const eta = (plane.cd21 * dx + plane.cd22 * dy) * DEGREE;
  const dec0 = plane.dec_deg * DEGREE;
  const below = Math.cos(dec0) - eta * Math.sin(dec0);
  const ra = plane.ra_deg + Math.atan2(xi, below) / DEGREE;
  const dec = Math.atan2(Math.sin(dec0) + eta * Math.cos(dec0), Math.hypot(xi, below)) / DEGREE;
  return { ra: ((ra % 360) + 360) % 360, dec };
}

/** Side of a pixel in arcseconds, the root of its area. */
export function pixelScale(plane: SkyPlane): number {
  return 3600 * Math.sqrt(Math.abs(plane.cd11 * plane.cd22 - plane.cd12 * plane.cd21));
}

/** Digits after the point so that a step of the last is about a tenth of a pixel. */
function digitsFor(step: number): number {
  return Math.min(6, Math.max(0, Math.ceil(-Math.log10(step / 10))));
}

function sexagesimal(value: number, digits: number, wide: number): string {
  const unit = 10 ** digits;
  let rest = Math.round(value * 3600 * unit);
  const seconds = (rest % (60 * unit)) / unit;
  rest = Math.floor(rest / (60 * unit));
  const width = digits > 0 ? digits + 3 : 2;
  return [
    String(Math.floor(rest / 60)).padStart(wide, "0"),
    String(rest % 60).padStart(2, "0"),
    seconds.toFixed(digits).padStart(width, "0"),
  ].join(":");
}

/** Hours and degrees, such as `10:00:12.34 −30:00:12.1`, as precise as the pixels are. */
export function writeSexagesimal({ ra, dec }: SkyPosition, pixelArcsec: number): string {
  const digits = digitsFor(pixelArcsec);
  // Twenty-four hours are no hours.
  const hours = sexagesimal(ra / 15, digits + 1, 2).replace(/^24/, "00");
  return `${hours} ${dec < 0 ? "−" : "+"}${sexagesimal(Math.abs(dec), digits, 2)}`;
}

/** Degrees, such as `150.05142 −30.00336`. */
export function writeDegrees({ ra, dec }: SkyPosition, pixelArcsec: number): string {
  const digits = digitsFor(pixelArcsec / 3600);
  return `${ra.toFixed(digits)} ${dec < 0 ? "−" : "+"}${Math.abs(dec).toFixed(digits)}`;
}
