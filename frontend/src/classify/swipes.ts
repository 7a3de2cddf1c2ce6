// A finger swept across the picture does what the volunteer chose for it. Everything it can do has a button as well
// (WCAG 2.5.1), and a picture that is zoomed in is moved instead.

export type Direction = "left" | "right";
export const DIRECTIONS: readonly Direction[] = ["left", "right"];

/** What can be taken back, until the volunteer chooses: a slip of the finger must not answer. */
const DEFAULTS: Record<Direction, string> = { left: "skip", right: "undo" };
const STORAGE_KEY = "esocs.swipes";
const SHORTEST_PX = 60;
const LONGEST_MS = 700;
/** Much more sideways than up or down. */
const STEEPEST = 0.5;

/** The direction of a way across the screen, if it is a swipe. */
export function directionOf(dx: number, dy: number, ms: number): Direction | null {
  if (ms > LONGEST_MS || Math.abs(dx) < SHORTEST_PX || Math.abs(dy) > STEEPEST * Math.abs(dx)) return null;
  return dx < 0 ? "left" : "right";
}

export class Swipes {
  private chosen: Record<Direction, string> = { ...DEFAULTS };

  /**
   * @param host where a finger sweeps
   * @param isFree whether a finger there has nothing else to do
   * @param run does the action of an id
   */
  constructor(host: HTMLElement, isFree: () => boolean, run: (action: string) => void) {
    this.read();
    let start: { id: number; x: number; y: number; at: number } | null = null;
    // Before the viewer, which keeps what it uses to itself.
    const onDown = (event: PointerEvent): void => {
      const alone = event.pointerType === "touch" && event.isPrimary && isFree();
      start = alone ? { id: event.pointerId, x: event.clientX, y: event.clientY, at: event.timeStamp } : null;
    };
    const onUp = (event: PointerEvent): void => {
      if (start?.id !== event.pointerId) return;
      const { x, y, at } = start;
      const direction = directionOf(event.clientX - x, event.clientY - y, event.timeStamp - at);
      start = null;
      if (direction && this.chosen[direction]) run(this.chosen[direction]);
    };
    host.addEventListener("pointerdown", onDown, { capture: true });
    host.addEventListener("pointerup", onUp, { capture: true });
  }

  /** What a swipe does: an action's id, or nothing. */
  of(direction: Direction): string {
    return this.chosen[direction];
  }

  choose(direction: Direction, action: string): void {
    this.chosen[direction] = action;
    try {
      localStorage.setItem(STORAGE_KEY, JSON.stringify(this.chosen));
    } catch {
      // No storage: the choice holds until the page is left.
    }
  }

  reset(): void {
    for (const direction of DIRECTIONS) this.choose(direction, DEFAULTS[direction]);
  }

  private read(): void {
    try {
      const stored = JSON.parse(localStorage.getItem(STORAGE_KEY) ?? "{}") as Record<string, unknown>;
      for (const direction of DIRECTIONS) {
        const action = stored[direction];
        if (typeof action === "string") this.chosen[direction] = action;
      }
    } catch {
      // Nothing stored, or nothing of ours.
    }
  }
}
