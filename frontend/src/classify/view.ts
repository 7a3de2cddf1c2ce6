// The page's elements, found once. A missing one is a mistake in the template and fails at once.

import { t } from "../shared/i18n";

function find<T extends Element>(selector: string, type: new () => T): T {
  const element = document.querySelector(selector);
  if (!(element instanceof type)) throw new Error(`The page has no ${selector}.`);
  return element;
}

export type Stage = "loading" | "picture" | "spectrum" | "damaged" | "offline" | "exhausted" | "closed";

export class View {
  readonly root = find("#classify", HTMLElement);
  readonly viewer = find("#classify .viewer", HTMLElement);
  readonly task = find("#classify .task", HTMLElement);
  readonly tools = find("#classify .tools", HTMLElement);
  readonly canvas = find("#picture", HTMLCanvasElement);
  readonly skip = find("#skip", HTMLButtonElement);
  readonly undo = find("#undo", HTMLButtonElement);
  readonly retry = find("#retry", HTMLButtonElement);
  readonly skipDamaged = find("#skip-damaged", HTMLButtonElement);
  readonly lookAgain = find("#look-again", HTMLButtonElement);
  readonly facts = find("#facts", HTMLElement);
  readonly count = find("#count", HTMLElement);
  readonly saving = find("#saving", HTMLElement);
  readonly announcement = find("#announcement", HTMLElement);
  readonly notice = find("#notice", HTMLElement);
  readonly closedReason = find("#closed-reason", HTMLElement);
  readonly companion = find("#companion", HTMLElement);
  readonly keys = find("#keys", HTMLDialogElement);
  readonly showKeys = find("#show-keys", HTMLButtonElement);

  /** What the volunteer sees: the styles show the parts that belong to a stage. */
  setStage(stage: Stage): void {
    this.root.dataset.stage = stage;
  }

  /** The facts that volunteers may see: keys with #, ! or // in front are kept from them (Panoptes' rule). */
  writeFacts(metadata: Record<string, unknown>): void {
    const visible = Object.entries(metadata).filter(([key]) => !/^(#|!|\/\/)/.test(key.trim()));
    this.facts.replaceChildren(
      ...visible.flatMap(([key, value]) => {
        const term = document.createElement("dt");
        term.textContent = key;
        const definition = document.createElement("dd");
        definition.textContent = typeof value === "string" ? value : JSON.stringify(value);
        return [term, definition];
      }),
    );
    this.facts.dataset.empty = String(visible.length === 0);
  }

  writeNotice(text: string, remedy?: HTMLButtonElement): void {
    this.notice.replaceChildren(text, ...(remedy ? [" ", remedy] : []));
    this.notice.hidden = text === "";
  }

  /** A script that is fetched late did not come: the connection is gone, or the site was renewed since. */
  writePartMissing(): void {
    const again = document.createElement("button");
    again.type = "button";
    again.className = "button quiet";
    again.textContent = t("Load the page again");
    again.addEventListener("click", () => {
      location.reload();
    });
    this.writeNotice(t("A part of this page could not be fetched. Your answers are kept."), again);
  }
}
