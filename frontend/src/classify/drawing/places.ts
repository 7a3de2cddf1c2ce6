// Where drawing meets the view: extents, limits and steps, all by way of the viewport.

import type { ScreenPoint, SubjectPoint, Viewport } from "../viewport";
import type { Extent } from "./shapes";

/** How far a coarse step of the keyboard goes, in fine ones. */
const FAR = 20;

export type Drawn = "picture" | "spectrum";

export function drawnOn(viewport: Viewport): Drawn {
  return viewport.kind === "spectrum" ? "spectrum" : "picture";
}

/** All of a frame: the whole picture, or what is seen of a spectrum. */
export function extentOf(viewport: Viewport, frame: number): Extent {
  if (drawnOn(viewport) === "picture") {
    const { width, height } = viewport.naturalSize(frame);
    return { left: 0, top: 0, right: width, bottom: height };
  }
  const box = viewport.boxOf(frame);
  const first = box && viewport.toSubject({ x: box.x, y: box.y });
  const last = box && viewport.toSubject({ x: box.x + box.width, y: box.y + box.height });
  return { left: first?.x ?? 0, top: first?.y ?? 0, right: last?.x ?? 0, bottom: last?.y ?? 0 };
}

/** A place of a picture, drawn back into it. */
export function within(viewport: Viewport, point: SubjectPoint): SubjectPoint {
  if (drawnOn(viewport) === "spectrum") return point;
  const { width, height } = viewport.naturalSize(point.frame);
  const clamp = (value: number, most: number): number => Math.max(0, Math.min(most, value));
  return { frame: point.frame, x: clamp(point.x, width), y: clamp(point.y, height) };
}

/** The point under a place, drawn back into the frame's box where it lies outside. */
export function subjectAt(viewport: Viewport, place: ScreenPoint, frame?: number): SubjectPoint | null {
  const box = viewport.boxOf(frame ?? viewport.frame);
  const near = box && {
    x: Math.max(box.x + 0.01, Math.min(box.x + box.width - 0.01, place.x)),
    y: Math.max(box.y + 0.01, Math.min(box.y + box.height - 0.01, place.y)),
  };
  const direct = viewport.toSubject(place);
  const found = frame === undefined || direct?.frame === frame ? direct : null;
  const point = found ?? (frame === undefined || !near ? null : viewport.toSubject(near));
  return point && within(viewport, point);
}

/** Where a step of the keyboard leads, in the directions of the screen: a pixel of the picture, or of the screen. */
export function stepped(
  viewport: Viewport,
  from: SubjectPoint,
  step: { dx: number; dy: number; far: boolean },
): SubjectPoint {
  const place = viewport.toScreen(from);
  if (!place) return from;
  const length = Math.max(1, viewport.scale) * (step.far ? FAR : 1);
  const to = { x: place.x + step.dx * length, y: place.y + step.dy * length };
  const found = viewport.toSubject(to) ?? subjectAt(viewport, to, from.frame);
  if (found?.frame !== from.frame) return from;
  // A whole pixel for each step on an upright picture, whatever is lost in between.
  const whole = drawnOn(viewport) === "picture";
  const tidy = (value: number): number => (whole ? Math.round(value * 100) / 100 : value);
  return within(viewport, { frame: from.frame, x: tidy(found.x), y: tidy(found.y) });
}

/** The middle of what is seen of a frame, in whole pixels. */
export function middleOf(viewport: Viewport): SubjectPoint | null {
  const box = viewport.boxOf(viewport.frame);
  const middle = box && viewport.toSubject({ x: box.x + box.width / 2, y: box.y + box.height / 2 });
  if (!middle || drawnOn(viewport) === "spectrum") return middle;
  return within(viewport, { frame: middle.frame, x: Math.round(middle.x), y: Math.round(middle.y) });
}
