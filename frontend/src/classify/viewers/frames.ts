// Subjects of several pictures: one after the other, by hand or playing, or all side by side.

import { t } from "../../shared/i18n";
import type { ViewerConfiguration } from "../types";
import { find } from "./find";
import type { PictureViewer } from "./picture-viewer";

const STEP_MS = 500;

export class Frames {
  private readonly bar: HTMLElement;
  private readonly place: HTMLElement;
  private timer = 0;

  constructor(
    private readonly tools: HTMLElement,
    private readonly picture: PictureViewer,
    private readonly configuration: ViewerConfiguration,
    sideBySide: boolean,
    signal: AbortSignal,
    private readonly onTogether: (together: boolean) => void,
  ) {
    this.bar = find(tools, "#frames", HTMLElement);
    this.place = find(tools, "#frame-place", HTMLElement);
    // Panoptes' name for it.
    picture.sideBySide = sideBySide || configuration.multi_image_mode === "separate";
    signal.addEventListener("abort", () => {
      this.stop();
    });
  }

  show(): void {
    this.stop();
    const several = this.picture.frameCount > 1;
    this.bar.hidden = !several;
    if (!several) return;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (this.configuration.flipbook_autoplay === true && !still) this.play();
    this.write();
  }

  run(id: string): void {
    if (this.picture.frameCount < 2) return;
    if (id === "previous-frame") this.step(-1);
    else if (id === "next-frame") this.step(1);
    else if (id === "play-frames") {
      if (this.timer) this.stop();
      else this.play();
    } else if (id === "side-by-side") {
      this.stop();
      this.picture.sideBySide = !this.picture.sideBySide;
      this.onTogether(this.picture.sideBySide);
    }
    this.write();
  }

  private step(by: number): void {
    this.stop();
    this.go(by);
  }

  private go(by: number): void {
    const { picture } = this;
    const count = picture.frameCount;
    for (let tried = 1; tried <= count; tried++) {
      const frame = (((picture.frame + by * tried) % count) + count) % count;
      if (!picture.frameNumber(frame)) continue;
      picture.showFrame(frame);
      break;
    }
    this.write();
  }

  private play(): void {
    this.picture.sideBySide = false;
    this.timer = window.setInterval(() => {
      this.go(1);
    }, STEP_MS);
  }

  private stop(): void {
    clearInterval(this.timer);
    this.timer = 0;
  }

  private write(): void {
    const { picture } = this;
    const number = { frame: picture.frame + 1, count: picture.frameCount };
    this.place.textContent = picture.sideBySide ? t("all {count}", number) : t("{frame} of {count}", number);
    const press = (id: string, pressed: boolean): void => {
      this.tools.querySelector(`[data-view-action="${id}"]`)?.setAttribute("aria-pressed", String(pressed));
    };
    press("play-frames", this.timer !== 0);
    press("side-by-side", picture.sideBySide);
  }
}
