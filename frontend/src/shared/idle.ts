// Work that nobody waits for.

/** At the latest after this long, even on a page that never rests. */
const LATEST_MS = 1_000;
/** For browsers that do not tell when they rest: by then the frame that is being made is on the screen. */
const A_FEW_FRAMES_MS = 50;

/** Do something once the page rests: no frame is to be made and nothing was pressed. */
export function whenIdle(task: () => void): void {
  if ("requestIdleCallback" in window) requestIdleCallback(task, { timeout: LATEST_MS });
  else setTimeout(task, A_FEW_FRAMES_MS);
}
