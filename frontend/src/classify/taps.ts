// A finger's tap on a button. Chromium makes no click of a tap that comes right after a quick drag elsewhere, as when a
// mark is drawn and "Done" is pressed: so a button is pressed as soon as the finger leaves it.

/** A finger that went further did something else. */
const MOST_MOVED_PX = 10;
/** One that stayed longer asked for the browser's own menu. */
const LONGEST_MS = 500;

interface Press {
  button: HTMLButtonElement;
  x: number;
  y: number;
  at: number;
}

export function pressOnTap(host: HTMLElement): void {
  let press: Press | null = null;
  host.addEventListener(
    "touchstart",
    (event) => {
      const [touch] = event.touches;
      const button = (event.target as Element).closest("button");
      press =
        touch && button && event.touches.length === 1
          ? { button, x: touch.clientX, y: touch.clientY, at: event.timeStamp }
          : null;
    },
    { passive: true },
  );
  host.addEventListener("touchcancel", () => {
    press = null;
  });
  host.addEventListener("touchend", (event) => {
    const [touch] = event.changedTouches;
    const begun = press;
    press = null;
    // A touch that scrolls cannot be cancelled.
    if (!begun || !touch || event.touches.length > 0 || !event.cancelable) return;
    const moved = Math.hypot(touch.clientX - begun.x, touch.clientY - begun.y);
    if (moved > MOST_MOVED_PX || event.timeStamp - begun.at > LONGEST_MS) return;
    // Then the browser makes no click of its own.
    event.preventDefault();
    begun.button.click();
  });
}
