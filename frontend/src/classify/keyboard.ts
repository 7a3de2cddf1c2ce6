// One hand on the keyboard: digits answer, arrows walk, a few letters work the viewer.

import type { ViewerAction } from "./viewers/stage";

export interface KeyActions {
  choose: (index: number) => void;
  moveFocus: (step: number) => void;
  viewer: readonly ViewerAction[];
  skip: () => void;
  back: () => void;
  help: () => void;
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches("input, textarea, select, [contenteditable]");
}

export function listenToKeys(viewer: HTMLElement, actions: KeyActions): void {
  const letters: Record<string, () => void> = {
    s: actions.skip,
    b: actions.back,
    "?": actions.help,
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    const focused = document.activeElement === viewer;
    const view = actions.viewer.find(
      (action) => action.defaultKeys.includes(event.key) && (action.scope !== "viewer" || focused),
    );
    if (view) {
      if (view.repeats || !event.repeat) view.run();
      event.preventDefault();
      return;
    }
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (step) {
      actions.moveFocus(step);
      event.preventDefault();
      return;
    }
    // A key held down must not answer for subjects that nobody has looked at.
    if (event.repeat) return;
    if (/^[1-9]$/.test(event.key)) actions.choose(Number(event.key) - 1);
    else letters[event.key.toLowerCase()]?.();
  });
}
