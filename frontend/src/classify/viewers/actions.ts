// What the viewers can do, as a list that keys are given to.

import { t } from "../../shared/i18n";

/** Something a viewer does. */
export interface ViewerAction {
  /** Stable. */
  id: string;
  label: string;
  group: string;
  defaultKeys: readonly string[];
  /** Returns false when there was nothing to do. */
  run: () => unknown;
  /** "viewer": only while the picture or the plot has the focus. */
  scope?: "page" | "viewer";
  /** Whether a key held down does it again and again. */
  repeats?: boolean;
}

/** Who does it. */
interface Doer {
  run(id: string): unknown;
  move(right: number, down: number): unknown;
}

export function listActions(doer: Doer): ViewerAction[] {
  const group = t("Viewer");
  const action = (id: string, label: string, keys: readonly string[], repeats = false): ViewerAction => ({
    id,
    label,
    group,
    defaultKeys: keys,
    repeats,
    run: () => doer.run(id),
  });
  const move = (id: string, label: string, key: string, right: number, down: number): ViewerAction => ({
    id,
    label,
    group,
    defaultKeys: [key],
    scope: "viewer",
    repeats: true,
    run: () => doer.move(right, down),
  });
  return [
    action("zoom-in", t("Zoom in"), ["+", "="], true),
    action("zoom-out", t("Zoom out"), ["-"], true),
    action("reset-view", t("Show all of it"), ["r"]),
    action("turn-left", t("Turn left"), ["["]),
    action("turn-right", t("Turn right"), ["]"]),
    action("flip", t("Flip left to right"), ["v"]),
    action("invert", t("Invert"), ["i"]),
    action("pixelate", t("Show the pixels"), ["p"]),
    action("next-stretch", t("Next stretch"), ["t"]),
    action("next-colours", t("Next colours"), ["m"]),
    action("plain-look", t("Look as it was"), ["n"]),
    action("crosshair", t("Crosshair to read values"), ["x"]),
    action("copy-position", t("Copy the sky position"), ["c"]),
    action("previous-frame", t("Previous picture of this subject"), [","], true),
    action("next-frame", t("Next picture of this subject"), ["."], true),
    action("play-frames", t("Play the pictures"), []),
    action("side-by-side", t("Pictures side by side"), []),
    action("rest-frame", t("Wavelengths at rest"), ["w"]),
    action("error-band", t("Error band"), ["e"]),
    move("pan-left", t("Further left"), "ArrowLeft", -1, 0),
    move("pan-right", t("Further right"), "ArrowRight", 1, 0),
    move("pan-up", t("Further up"), "ArrowUp", 0, -1),
    move("pan-down", t("Further down"), "ArrowDown", 0, 1),
    move("stride-left", t("Much further left"), "Shift+ArrowLeft", -10, 0),
    move("stride-right", t("Much further right"), "Shift+ArrowRight", 10, 0),
    move("stride-up", t("Much further up"), "Shift+ArrowUp", 0, -10),
    move("stride-down", t("Much further down"), "Shift+ArrowDown", 0, 10),
  ];
}
