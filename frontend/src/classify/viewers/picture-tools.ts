// What can be done with a picture beyond moving it: loaded once the first picture is painted.

import { t } from "../../shared/i18n";
import { whenIdle } from "../../shared/idle";
import type { PictureFrame } from "../prepare";
import type { ViewerConfiguration } from "../types";
import type { ScreenPoint } from "../viewport";
import { COLOUR_MAPS } from "./colour-maps";
import { Darkroom } from "./darkroom";
import { find } from "./find";
import { Frames } from "./frames";
import { Histogram } from "./histogram";
import { CUTS, isAsSent, STRETCHES, type Look } from "./look";
import type { PictureViewer } from "./picture-viewer";
import { Reading, writeValue } from "./reading";
import { defaultSettings, loadSettings, saveSettings, type ViewerSettings } from "./settings";

export interface PictureToolsOptions {
  host: HTMLElement;
  tools: HTMLElement;
  picture: PictureViewer;
  workflowId: string;
  configuration: ViewerConfiguration;
  /** The frames of the subjects that come next, as far as they are decoded. */
  upcoming: () => PictureFrame[];
  signal: AbortSignal;
}

function choose<T extends string>(value: string, allowed: readonly T[], otherwise: T): T {
  return allowed.find((one) => one === value) ?? otherwise;
}

export class PictureTools {
  private readonly darkroom: Darkroom;
  private readonly histogram: Histogram;
  private readonly reading: Reading;
  private readonly frames: Frames;
  private readonly defaults: ViewerSettings;
  private settings: ViewerSettings;
  private readonly stretch: HTMLSelectElement;
  private readonly map: HTMLSelectElement;
  private readonly cuts: HTMLSelectElement;
  private readonly bands: HTMLInputElement[];
  private readonly told: HTMLElement;
  /** Frames whose samples are there, or will not come. */
  private readonly settled = new WeakSet<PictureFrame>();
  private resting = false;
  private saving = false;

  constructor(private readonly options: PictureToolsOptions) {
    const { host, tools, picture, signal, configuration, workflowId } = options;
    this.defaults = defaultSettings(configuration);
    this.settings = loadSettings(workflowId, this.defaults);
    this.darkroom = new Darkroom(find(host, "#developed", HTMLCanvasElement), () => {
      picture.repaint();
    });
    this.reading = new Reading(host, tools, picture, this.darkroom, (on) => {
      this.mark("crosshair", on);
    });
    this.frames = new Frames(tools, picture, configuration, this.settings.sideBySide, signal, (together) => {
      this.settings = { ...this.settings, sideBySide: together };
      this.save();
    });
    this.stretch = find(tools, "#look-stretch", HTMLSelectElement);
    this.map = find(tools, "#look-map", HTMLSelectElement);
    this.cuts = find(tools, "#look-cuts", HTMLSelectElement);
    this.told = find(tools, "#position-told", HTMLElement);
    this.bands = [...tools.querySelectorAll<HTMLInputElement>("[data-band]")];
    this.histogram = new Histogram(
      find(tools, "#histogram", HTMLCanvasElement),
      find(tools, "#cut-black", HTMLInputElement),
      find(tools, "#cut-white", HTMLInputElement),
      (sample) => this.writeSample(sample),
      (limits) => {
        const of = this.plane?.of;
        if (of) this.change({ cuts: { ...limits, of } });
      },
      signal,
    );
    this.listen();
    this.darkroom.look = this.settings.look;
    picture.useDarkroom(this.darkroom);
    host.dataset.painter = this.darkroom.usesCard ? "webgl2" : "canvas";
    this.write();
    this.show();
  }

  /** A new subject. What costs time is done once it is on the screen. */
  show(): void {
    const { picture } = this.options;
    this.reading.clear();
    this.frames.show();
    for (let number = 0; number < picture.frameCount; number++) {
      const frame = picture.frameNumber(number);
      void frame?.planeLoaded.then(() => {
        this.settled.add(frame);
        if (picture.frameNumber(number) !== frame) return;
        if (!this.darkroom.showsBitmap(frame, picture.zoom > 1)) picture.repaint();
        this.rest();
      });
    }
  }

  /** While the page rests: the levels of what is shown, and the look of what comes next. */
  private rest(): void {
    if (this.resting) return;
    this.resting = true;
    whenIdle(() => {
      this.resting = false;
      this.writeLevels();
      const { picture, upcoming } = this.options;
      if (picture.shown && this.settled.has(picture.shown)) this.darkroom.develop(picture.shown);
      const next = upcoming();
      this.darkroom.expect(next);
      if (isAsSent(this.settings.look)) return;
      for (const frame of next)
        void frame.planeLoaded.then(() => {
          whenIdle(() => {
            if (upcoming().includes(frame)) this.darkroom.develop(frame);
          });
        });
    });
  }

  hover(place: ScreenPoint | null): void {
    this.reading.hover(place);
  }

  press(place: ScreenPoint): void {
    this.reading.press(place);
  }

  /** The view moved. */
  follow(): void {
    this.reading.follow();
  }

  /** Moves the crosshair if it is there; false when it is not. */
  moveCrosshair(right: number, down: number): boolean {
    if (!this.reading.crosshairOn) return false;
    this.reading.moveCrosshair(right, down);
    return true;
  }

  /** What the buttons and keys do, by the action's id. */
  run(id: string): void {
    const { look } = this.settings;
    if (id === "invert") this.change({ inverted: !look.inverted });
    else if (id === "pixelate") this.change({ pixelated: !look.pixelated });
    else if (id === "crosshair") this.reading.toggleCrosshair();
    else if (id === "next-colours") this.change({ map: next(COLOUR_MAPS, look.map) });
    else if (id === "next-stretch")
      this.change({ stretch: next(["auto", ...STRETCHES] as const, look.stretch) });
    else if (id === "plain-look") this.setLook(this.defaults.look);
    else if (id === "copy-position")
      void this.reading.copyPosition().then((said) => {
        this.told.textContent = said;
      });
    else this.frames.run(id);
  }

  private get plane(): ReturnType<Darkroom["planeOf"]> | null {
    const frame = this.options.picture.shown;
    return frame && this.darkroom.planeOf(frame);
  }

  private change(part: Partial<Look>): void {
    this.setLook({ ...this.settings.look, ...part });
  }

  private setLook(look: Look): void {
    this.settings = { ...this.settings, look };
    this.darkroom.look = look;
    this.write();
    this.writeLevels();
    this.rest();
    this.save();
  }

  /** A dragged handle says a new value a frame; the last one is kept. */
  private save(): void {
    if (this.saving) return;
    this.saving = true;
    whenIdle(() => {
      this.saving = false;
      saveSettings(this.options.workflowId, this.settings);
    });
  }

  private listen(): void {
    const { tools, signal } = this.options;
    this.stretch.addEventListener(
      "change",
      () => {
        this.change({ stretch: choose(this.stretch.value, ["auto", ...STRETCHES] as const, "auto") });
      },
      { signal },
    );
    this.map.addEventListener(
      "change",
      () => {
        this.change({ map: choose(this.map.value, COLOUR_MAPS, "grey") });
      },
      { signal },
    );
    this.cuts.addEventListener(
      "change",
      () => {
        this.change({ cuts: choose(this.cuts.value, CUTS, "auto") });
      },
      { signal },
    );
    for (const band of this.bands)
      band.addEventListener(
        "change",
        () => {
          const [red, green, blue] = this.bands.map((one) => one.checked);
          this.change({ bands: [red ?? true, green ?? true, blue ?? true] });
        },
        { signal },
      );
    const more = find(tools, "#look", HTMLDetailsElement);
    more.addEventListener(
      "toggle",
      () => {
        this.writeLevels();
      },
      { signal },
    );
  }

  /** The controls say what the look is. */
  private write(): void {
    const { look } = this.settings;
    this.mark("invert", look.inverted);
    this.mark("pixelate", look.pixelated);
    this.stretch.value = look.stretch;
    this.map.value = look.map;
    this.cuts.value = typeof look.cuts === "string" ? look.cuts : "own";
    this.bands.forEach((band, i) => {
      band.checked = look.bands[i] ?? true;
    });
  }

  /** How many samples have which value: read out of a picture only where it is seen. */
  private writeLevels(): void {
    const { tools, picture } = this.options;
    const frame = picture.shown;
    if (!frame || !this.settled.has(frame) || !find(tools, "#look", HTMLDetailsElement).open) return;
    const plane = this.darkroom.planeOf(frame);
    find(tools, "#bands", HTMLElement).hidden = plane.bands !== 3;
    this.histogram.show(plane, this.darkroom.sample(plane), this.darkroom.limits(plane));
    find(tools, "#cut-range", HTMLElement).textContent = this.rangeText();
  }

  private rangeText(): string {
    const { plane } = this;
    if (!plane) return "";
    const { low, high } = this.darkroom.limits(plane);
    return t("{low} to {high}", { low: writeValue(plane, low), high: this.writeSample(high) });
  }

  private writeSample(sample: number): string {
    const { plane } = this;
    if (!plane) return "";
    const unit = plane.unit === "sigma" ? "σ" : plane.unit;
    return `${writeValue(plane, sample)}${unit ? ` ${unit}` : ""}`;
  }

  private mark(id: string, pressed: boolean): void {
    const button = this.options.tools.querySelector(`[data-view-action="${id}"]`);
    button?.setAttribute("aria-pressed", String(pressed));
  }
}

function next<T>(all: readonly T[], present: T): T {
  const at = (all.indexOf(present) + 1) % all.length;
  return all[at] ?? present;
}
