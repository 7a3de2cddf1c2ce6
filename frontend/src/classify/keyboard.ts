// One hand on the keyboard: digits answer, arrows walk, a few letters work the viewer.

export interface KeyActions {
  choose: (index: number) => void;
  moveFocus: (step: number) => void;
  pan: (right: number, down: number) => void;
  zoomIn: () => void;
  zoomOut: () => void;
  reset: () => void;
  invert: () => void;
  skip: () => void;
  back: () => void;
  help: () => void;
}

const ARROWS: Record<string, [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches("input, textarea, select, [contenteditable]");
}

export function listenToKeys(viewer: HTMLElement, actions: KeyActions): void {
  const letters: Record<string, () => void> = {
    "+": actions.zoomIn,
    "=": actions.zoomIn,
    "-": actions.zoomOut,
    r: actions.reset,
    i: actions.invert,
    s: actions.skip,
    b: actions.back,
    "?": actions.help,
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    const arrow = ARROWS[event.key];
    if (arrow) {
      if (document.activeElement === viewer) actions.pan(...arrow);
      else if (arrow[1] !== 0) actions.moveFocus(arrow[1]);
      else return;
      event.preventDefault();
      return;
    }
    // A key held down must not answer for subjects that nobody has looked at.
    if (event.repeat && event.key !== "+" && event.key !== "-") return;
    if (/^[1-9]$/.test(event.key)) actions.choose(Number(event.key) - 1);
    else letters[event.key.toLowerCase()]?.();
  });
}
