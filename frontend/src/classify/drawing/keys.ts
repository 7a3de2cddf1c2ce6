// Drawing without a pointer: the commands, and the keys that give them. The list is on the page before the tools are.

import { t } from "../../shared/i18n";
import type { Action } from "../keyboard";

export type Command =
  | { kind: "move"; dx: number; dy: number; far: boolean }
  | { kind: "go" | "set" | "finish" | "cancel" | "delete" | "undo" | "handle" | "details" };

/** `run` gives a command to the drawing that is on the page; false when there is none, or nothing to do. */
export function drawingActions(run: (command: Command) => boolean): Action[] {
  const group = t("Drawing");
  const arrows: [string, string, string, number, number][] = [
    ["left", t("Cursor or mark to the left"), t("Far to the left"), -1, 0],
    ["right", t("Cursor or mark to the right"), t("Far to the right"), 1, 0],
    ["up", t("Cursor or mark up"), t("Far up"), 0, -1],
    ["down", t("Cursor or mark down"), t("Far down"), 0, 1],
  ];
  const moves = arrows.flatMap(([name, near, far, dx, dy]): Action[] => {
    const key = `Arrow${name[0]?.toUpperCase() ?? ""}${name.slice(1)}`;
    return [false, true].map((isFar) => ({
      id: `draw-${name}${isFar ? "-far" : ""}`,
      label: isFar ? far : near,
      group,
      defaultKeys: [isFar ? `Shift+${key}` : key],
      scope: "drawing",
      repeats: true,
      run: () => run({ kind: "move", dx, dy, far: isFar }),
    }));
  });
  const one = (
    kind: Exclude<Command["kind"], "move">,
    label: string,
    defaultKeys: string[],
    scope: "page" | "drawing" = "drawing",
  ): Action => ({ id: `draw-${kind}`, label, group, defaultKeys, scope, run: () => run({ kind }) });
  return [
    one("go", t("Go to the drawing"), ["d"], "page"),
    ...moves,
    one("set", t("Set a point; on a mark, its questions"), ["Enter"]),
    one("finish", t("Finish the shape"), ["f"]),
    one("handle", t("Next handle of the mark"), ["h"]),
    one("details", t("Questions about the mark"), ["o"]),
    one("cancel", t("Leave the shape or the mark"), ["Escape"]),
    one("delete", t("Delete the mark"), ["Delete", "Backspace"]),
    one("undo", t("Take back the last step of the drawing"), ["Ctrl+z"]),
  ];
}
