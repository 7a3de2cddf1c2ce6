// A mark in words, for those who hear it.

import { t, tn } from "../../shared/i18n";
import type { Geometry, Place } from "./marks";

function whole(value: unknown, digits = 0): string {
  const number = typeof value === "number" ? value : 0;
  return number.toFixed(digits);
}

/** Where a mark is and how large, in the subject's units. */
export function describeShape(type: string, shape: Geometry, spectrum: boolean): string {
  const digits = spectrum ? 1 : 0;
  const at = { x: whole(shape.x, digits), y: whole(shape.y, digits) };
  const points = shape.points ?? [];
  switch (type) {
    case "line":
      return t("from {x1}, {y1} to {x2}, {y2}", {
        x1: whole(shape.x1, digits),
        y1: whole(shape.y1, digits),
        x2: whole(shape.x2, digits),
        y2: whole(shape.y2, digits),
      });
    case "circle":
      return t("around {x}, {y}, radius {r}", { ...at, r: whole(shape.r, digits) });
    case "ellipse":
      return t("around {x}, {y}, half axes {rx} and {ry}, turned by {angle}°", {
        ...at,
        rx: whole(shape.rx, digits),
        ry: whole(shape.ry, digits),
        angle: whole(shape.angle),
      });
    case "rectangle":
      return t("from {x}, {y}, {width} by {height}", { ...at, ...sides(shape, digits) });
    case "rotateRectangle":
      return t("from {x}, {y}, {width} by {height}, turned by {angle}°", {
        ...at,
        ...sides(shape, digits),
        angle: whole(shape.angle),
      });
    case "polygon":
      return tn(
        "one corner around {x}, {y}",
        "{count} corners around {x}, {y}",
        points.length,
        middle(points),
      );
    case "freehandLine":
      return t("a path around {x}, {y}", middle(points));
    case "column":
      return fromTo(shape, 0, digits);
    case "graph2dRangeX":
      return fromTo(shape, 0.5, digits);
    case "fullWidthLine":
      return t("at height {y}", at);
    case "fullHeightLine":
      return t("at {x}", at);
    default:
      return t("at {x}, {y}", at);
  }
}

function sides(shape: Geometry, digits: number): { width: string; height: string } {
  return { width: whole(shape.width, digits), height: whole(shape.height, digits) };
}

/** A range whose x stands at this share of its width. */
function fromTo(shape: Geometry, share: number, digits: number): string {
  const [x, width] = [Number(shape.x), Number(shape.width)];
  return t("from {from} to {to}", {
    from: whole(x - share * width, digits),
    to: whole(x + (1 - share) * width, digits),
  });
}

function middle(points: readonly Place[]): { x: string; y: string } {
  const n = Math.max(1, points.length);
  return {
    x: whole(points.reduce((sum, point) => sum + point.x, 0) / n),
    y: whole(points.reduce((sum, point) => sum + point.y, 0) / n),
  };
}

/** What a tool draws, where its task gives it no name. */
export function nameOfShape(type: string): string {
  const names: Record<string, string> = {
    point: t("Point"),
    line: t("Line"),
    circle: t("Circle"),
    ellipse: t("Ellipse"),
    rectangle: t("Rectangle"),
    rotateRectangle: t("Turned rectangle"),
    polygon: t("Polygon"),
    freehandLine: t("Freehand line"),
    column: t("Column"),
    graph2dRangeX: t("Range"),
    fullWidthLine: t("Horizontal line"),
    fullHeightLine: t("Vertical line"),
  };
  return names[type] ?? t("Mark");
}

/** How a tool is used, in a sentence. */
export function howTo(type: string): string {
  switch (type) {
    case "point":
    case "fullWidthLine":
    case "fullHeightLine":
      return t("Press where it is.");
    case "circle":
    case "ellipse":
      return t("Drag from the middle outwards, or press twice.");
    case "polygon":
      return t("Press at each corner; at the first one again to close it.");
    case "freehandLine":
      return t("Draw along it without letting go.");
    default:
      return t("Drag from one end to the other, or press twice.");
  }
}
