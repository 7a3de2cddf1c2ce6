// Where a point of the subject lies on the screen. Everything that is laid over a picture or a spectrum (marks, lines,
// readings) is placed through this and through nothing else, so it follows zoom, pan, turning and flipping.

/**
 * A point of the subject.
 *
 * Of a picture: pixels of the picture as it was sent, from its top left corner (the edge, not the middle of the first
 * pixel), y downwards, as Panoptes writes marks. Of a spectrum: x the wavelength in nm, in vacuum and as observed,
 * whatever the axis shows at present; y the flux in the file's unit.
 */
export interface SubjectPoint {
  x: number;
  y: number;
  /** Which of the subject's pictures, from 0; always 0 of a spectrum. */
  frame: number;
}

/** CSS pixels from the top left corner of the overlay. */
export interface ScreenPoint {
  x: number;
  y: number;
}

export interface ScreenBox extends ScreenPoint {
  width: number;
  height: number;
}

/**
 * Who gets a press of the pointer on the picture: the viewer, which pans (or zooms, on a spectrum), or whoever draws
 * into the overlay. Wheel and two fingers zoom in both cases; while drawing, the space bar held down pans.
 */
export type PointerUse = "view" | "draw";

/** One object for the whole sitting; what it shows changes. */
export interface Viewport {
  /** What is shown; null while there is nothing. */
  readonly kind: "picture" | "spectrum" | null;
  /** Lies over the whole stage, one unit a CSS pixel. Its children are the caller's; empty it when the subject changes. */
  readonly overlay: SVGSVGElement;
  /** Size of a picture in its own pixels; 0 × 0 of a spectrum and while nothing is shown. */
  naturalSize(frame?: number): { width: number; height: number };
  readonly frameCount: number;
  /** The frame that is shown, or that was pointed at last where all stand side by side. */
  readonly frame: number;
  showFrame(frame: number): void;
  /** The part of the stage in which a frame is painted, for clipping; null while that frame is not shown. */
  boxOf(frame: number): ScreenBox | null;
  /** Null where the point's frame is not shown. A point outside the box has a place too. */
  toScreen(point: SubjectPoint): ScreenPoint | null;
  /** The point under a place of the screen, which may lie outside the picture; null outside every box. */
  toSubject(place: ScreenPoint): SubjectPoint | null;
  /** CSS pixels a picture pixel; of a spectrum 1. Marks' handles keep their size with it. */
  readonly scale: number;
  /** A pointer event's place in the overlay. */
  placeOf(event: { clientX: number; clientY: number }): ScreenPoint;
  /** Move the view so that a point is inside the box, as when a mark is reached by keyboard. */
  reveal(point: SubjectPoint): void;
  setPointerUse(use: PointerUse): void;
  readonly pointerUse: PointerUse;
  /**
   * Called after every change of the above, once a frame of the screen at most, and at once for a new subject.
   * Returns what ends it.
   */
  onChange(listener: () => void): () => void;
}
