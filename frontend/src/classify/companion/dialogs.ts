// The tutorial and the field guide: dialogs of the browser's own, made when they are first opened.

import { t } from "../../shared/i18n";
import { blocks, safeImage } from "../tasks/markdown";
import type { GuideItem, Tutorial } from "./types";

function element<K extends keyof HTMLElementTagNameMap>(
  name: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function button(text: string, run: () => void, quiet = false): HTMLButtonElement {
  const made = element("button", { type: "button", className: quiet ? "button quiet" : "button" }, text);
  made.addEventListener("click", run);
  return made;
}

function picture(address: string | null): HTMLImageElement | null {
  const src = safeImage(address ?? undefined);
  return src ? element("img", { src, alt: "", loading: "lazy", decoding: "async" }) : null;
}

function dialog(
  title: string,
  id: string,
): { root: HTMLDialogElement; heading: HTMLElement; body: HTMLElement } {
  const heading = element("h2", { id: `${id}-title`, tabIndex: -1 }, title);
  const body = element("div", { className: "companion-body" });
  const root = element("dialog", { className: "companion-dialog", id }, heading, body);
  root.setAttribute("aria-labelledby", heading.id);
  document.body.append(root);
  return { root, heading, body };
}

/** The steps one by one. `onDone` is called when it is closed, however. */
export class TutorialDialog {
  private readonly parts: ReturnType<typeof dialog>;
  private readonly count = element("p", { className: "small muted" });
  private readonly back: HTMLButtonElement;
  private readonly next: HTMLButtonElement;
  private step = 0;

  constructor(
    private readonly tutorial: Tutorial,
    onDone: () => void,
  ) {
    this.parts = dialog(tutorial.title || t("Tutorial"), "tutorial");
    const { root } = this.parts;
    this.back = button(
      t("Back"),
      () => {
        this.show(this.step - 1);
      },
      true,
    );
    this.next = button(t("Next"), () => {
      if (this.step + 1 < tutorial.steps.length) this.show(this.step + 1);
      else root.close();
    });
    const close = button(
      t("Close"),
      () => {
        root.close();
      },
      true,
    );
    root.append(this.count, element("div", { className: "actions" }, this.back, this.next, close));
    root.addEventListener("close", onDone);
  }

  open(): void {
    this.parts.root.showModal();
    this.show(0);
  }

  private show(step: number): void {
    this.step = step;
    const shown = this.tutorial.steps[step];
    if (!shown) return;
    const image = picture(shown.media);
    this.parts.body.replaceChildren(...(image ? [image] : []), blocks(shown.content));
    this.count.textContent = t("Step {number} of {all}", {
      number: step + 1,
      all: this.tutorial.steps.length,
    });
    this.back.hidden = step === 0;
    this.next.textContent = step + 1 < this.tutorial.steps.length ? t("Next") : t("Start");
    // The heading takes the focus, so that the new step is read from its beginning.
    this.parts.heading.focus();
    this.parts.root.scrollTop = 0;
  }
}

/** All entries, each opened by its title. */
export class GuideDialog {
  private readonly root: HTMLDialogElement;

  constructor(items: GuideItem[]) {
    const { root, body } = dialog(t("Field guide"), "field-guide");
    this.root = root;
    body.append(
      ...items.map((item) => {
        const icon = picture(item.icon);
        const title = element("summary", {}, ...(icon ? [icon] : []), item.title);
        return element("details", { className: "guide-item" }, title, blocks(item.content));
      }),
    );
    root.append(
      element(
        "div",
        { className: "actions" },
        button(t("Close"), () => {
          root.close();
        }),
      ),
    );
  }

  open(): void {
    this.root.showModal();
  }
}
