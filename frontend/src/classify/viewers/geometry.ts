// Where a picture lies on the screen: fitted into its box, enlarged, moved, turned and flipped. Pure; the viewer keeps
// one `View` for all frames, so that frames side by side move together.

import type { ScreenBox, ScreenPoint } from "../viewport";

export interface Size {
  width: number;
  height: number;
}

export interface View {
  /** 1 shows the whole picture, as large as its box allows. */
  zoom: number;
  /** Shift of the picture's centre from that of its box, in CSS pixels. */
  x: number;
  y: number;
  /** Clockwise on the screen, in degrees. */
  angle: number;
  /** Mirrored left to right, before it is turned. */
  flipped: boolean;
}

export const WHOLE: View = { zoom: 1, x: 0, y: 0, angle: 0, flipped: false };

/** A point (x, y) goes to (a·x + c·y + e, b·x + d·y + f), as a canvas's transform does. */
export interface Affine {
  a: number;
  b: number;
  c: number;
  d: number;
  e: number;
  f: number;
}

/** Cosine and sine of an angle in degrees, exact at quarter turns. */
function turn(angle: number): { cos: number; sin: number } {
  const quarters = angle / 90;
  if (Number.isInteger(quarters)) {
    const at = ((quarters % 4) + 4) % 4;
    return { cos: [1, 0, -1, 0][at] ?? 1, sin: [0, 1, 0, -1][at] ?? 0 };
  }
  const radians = (angle * Math.PI) / 180;
  return { cos: Math.cos(radians), sin: Math.sin(radians) };
}

/** The upright rectangle that a turned picture fills, in picture pixels. */
export function turnedSize(size: Size, angle: number): Size {
  const { cos, sin } = turn(angle);
  return {
    width: size.width * Math.abs(cos) + size.height * Math.abs(sin),
    height: size.width * Math.abs(sin) + size.height * Math.abs(cos),
  };
}

/** CSS pixels a picture pixel when the whole turned picture just fits its box. */
export function fitScale(size: Size, box: Size, angle: number): number {
  const turned = turnedSize(size, angle);
  if (turned.width <= 0 || turned.height <= 0) return 1;
  return Math.min(box.width / turned.width, box.height / turned.height);
}

/** From picture pixels (top left corner of the picture) to CSS pixels of the overlay. */
export function pictureToScreen(view: View, size: Size, box: ScreenBox): Affine {
  const scale = fitScale(size, box, view.angle) * view.zoom;
  const { cos, sin } = turn(view.angle);
  const mirror = view.flipped ? -1 : 1;
  const a = scale * cos * mirror;
  const b = scale * sin * mirror;
  const c = -scale * sin;
  const d = scale * cos;
  return {
    a,
    b,
    c,
    d,
    e: box.x + box.width / 2 + view.x - (a * size.width + c * size.height) / 2,
    f: box.y + box.height / 2 + view.y - (b * size.width + d * size.height) / 2,
  };
}

export function apply(map: Affine, point: ScreenPoint): ScreenPoint {
  return { x: map.a * point.x + map.c * point.y + map.e, y: map.b * point.x + map.d * point.y + map.f };
}

export function applyInverse(map: Affine, point: ScreenPoint): ScreenPoint {
  const determinant = map.a * map.d - map.b * map.c;
  const x = point.x - map.e;
  const y = point.y - map.f;
  return { x: (map.d * x - map.c * y) / determinant, y: (map.a * y - map.b * x) / determinant };
}

/** The view zoomed by `factor` so that `place`, in CSS pixels from the box's centre, stays where it is. */
export function zoomAbout(view: View, factor: number, place: ScreenPoint, most: number): View {
  const zoom = Math.min(most, Math.max(1, view.zoom * factor));
  const applied = zoom / view.zoom;
  return {
    ...view,
    zoom,
    x: place.x - (place.x - view.x) * applied,
    y: place.y - (place.y - view.y) * applied,
  };
}

/** The view turned by `degrees` about `place`, in CSS pixels from the box's centre. */
export function turnAbout(view: View, degrees: number, place: ScreenPoint): View {
  const { cos, sin } = turn(degrees);
  const x = view.x - place.x;
  const y = view.y - place.y;
  return {
    ...view,
    angle: normalise(view.angle + degrees),
    x: place.x + x * cos - y * sin,
    y: place.y + x * sin + y * cos,
  };
}

/** An angle in (-180, 180]. */
export function normalise(angle: number): number {
  const positive = ((angle % 360) + 360) % 360;
  return positive > 180 ? positive - 360 : positive;
}

/** The view moved as little as keeps the picture in its box: no empty margin while it is larger than the box. */
export function keepInside(view: View, size: Size, box: Size): View {
  const scale = fitScale(size, box, view.angle) * view.zoom;
  const turned = turnedSize(size, view.angle);
  const slackX = Math.max(0, (turned.width * scale - box.width) / 2);
  const slackY = Math.max(0, (turned.height * scale - box.height) / 2);
  return {
    ...view,
    x: Math.min(slackX, Math.max(-slackX, view.x)),
    y: Math.min(slackY, Math.max(-slackY, view.y)),
  };
}

/** Boxes for `count` pictures side by side in the area, in the grid that shows them largest. */
export function layOut(area: ScreenBox, count: number, shape: Size, gap: number): ScreenBox[] {
  let best = { columns: 1, scale: 0 };
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const cell = cellOf(area, columns, rows, gap);
    const scale = fitScale(shape, cell, 0);
    if (scale > best.scale) best = { columns, scale };
  }
  const rows = Math.ceil(count / best.columns);
  const cell = cellOf(area, best.columns, rows, gap);
  return Array.from({ length: count }, (_, i) => ({
    x: area.x + (i % best.columns) * (cell.width + gap),
    y: area.y + Math.floor(i / best.columns) * (cell.height + gap),
    ...cell,
  }));
}

function cellOf(area: Size, columns: number, rows: number, gap: number): Size {
  return {
    width: Math.max(1, (area.width - gap * (columns - 1)) / columns),
    height: Math.max(1, (area.height - gap * (rows - 1)) / rows),
  };
}
