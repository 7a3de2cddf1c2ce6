// The spectrum's controls: smoothing, lines and their redshift, what the axis shows.

import { t } from "../../shared/i18n";
import type { ViewerConfiguration } from "../types";
import { find } from "./find";
import { LINE_LISTS } from "./line-lists";
import {
  defaultSettings,
  loadSettings,
  saveSettings,
  type SpectrumSettings,
  type ViewerSettings,
} from "./settings";

const LEAST_REDSHIFT = -0.01;
const MOST_REDSHIFT = 7;
/** The slider runs along ln(1 + z), on which a step moves every line by the same share of its wavelength. */
const SLIDER_STEPS = 4000;
const KEY_STEP = 0.0005;
const TOLD_AFTER_MS = 500;

export class SpectrumTools {
  settings: SpectrumSettings;
  redshift = 0;
  /** Dragging moves the spectrum instead of choosing what to zoom to. */
  dragPans = false;
  private readonly defaults: ViewerSettings;
  private all: ViewerSettings;
  private readonly slider: HTMLInputElement;
  private readonly field: HTMLInputElement;
  private readonly smoothing: HTMLInputElement;
  private readonly kernel: HTMLSelectElement;
  private readonly unit: HTMLSelectElement;
  private readonly medium: HTMLSelectElement;
  private readonly lists: HTMLInputElement[];
  private timer = 0;

  constructor(
    private readonly tools: HTMLElement,
    private readonly workflowId: string,
    configuration: ViewerConfiguration,
    private readonly signal: AbortSignal,
    private readonly onChange: (what: "data" | "lines") => void,
  ) {
    this.defaults = defaultSettings(configuration);
    this.all = loadSettings(workflowId, this.defaults);
    this.settings = this.all.spectrum;
    this.slider = find(tools, "#redshift-slider", HTMLInputElement);
    this.field = find(tools, "#redshift", HTMLInputElement);
    this.smoothing = find(tools, "#smoothing", HTMLInputElement);
    this.kernel = find(tools, "#kernel", HTMLSelectElement);
    this.unit = find(tools, "#wavelength-unit", HTMLSelectElement);
    this.medium = find(tools, "#wavelength-medium", HTMLSelectElement);
    this.lists = [...tools.querySelectorAll<HTMLInputElement>("[data-lines]")];
    this.slider.max = String(SLIDER_STEPS);
    this.listen();
    this.write();
  }

  /** A new spectrum: it is as far away as nobody knows. */
  begin(hasError: boolean): void {
    this.redshift = 0;
    this.button("error-band").hidden = !hasError;
    this.write();
  }

  setRedshift(redshift: number): void {
    if (!Number.isFinite(redshift)) return;
    this.redshift = Math.min(MOST_REDSHIFT, Math.max(LEAST_REDSHIFT, redshift));
    this.write();
    this.onChange("lines");
  }

  /** After dragging: say where it ended. */
  settleRedshift(): void {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => {
      find(this.tools, "#spectrum-told", HTMLElement).textContent = t("Redshift {z}", {
        z: this.redshift.toFixed(4),
      });
    }, TOLD_AFTER_MS);
  }

  stepRedshift(steps: number): void {
    this.setRedshift((1 + this.redshift) * (1 + KEY_STEP) ** steps - 1);
    this.settleRedshift();
  }

  run(id: string): boolean {
    if (id === "rest-frame") this.change({ restFrame: !this.settings.restFrame });
    else if (id === "error-band") this.change({ errorBand: !this.settings.errorBand });
    else if (id === "plain-look") {
      this.redshift = 0;
      this.change(this.defaults.spectrum);
    } else if (id === "drag-pans") {
      this.dragPans = !this.dragPans;
      this.write();
    } else return false;
    return true;
  }

  read(text: string, hint: boolean): void {
    const readout = find(this.tools, "#readout", HTMLElement);
    readout.textContent = text;
    readout.classList.toggle("muted", hint);
  }

  private change(part: Partial<SpectrumSettings>): void {
    this.settings = { ...this.settings, ...part };
    this.all = { ...this.all, spectrum: this.settings };
    saveSettings(this.workflowId, this.all);
    this.write();
    this.onChange("data");
  }

  private on(element: HTMLElement, type: "input" | "change", act: () => void): void {
    element.addEventListener(type, act, { signal: this.signal });
  }

  private listen(): void {
    this.on(this.smoothing, "input", () => {
      this.change({ smoothing: Number(this.smoothing.value) });
    });
    this.on(this.kernel, "change", () => {
      this.change({ kernel: this.kernel.value === "boxcar" ? "boxcar" : "gaussian" });
    });
    this.on(this.unit, "change", () => {
      this.change({ unit: this.unit.value === "angstrom" ? "angstrom" : "nm" });
    });
    this.on(this.medium, "change", () => {
      this.change({ medium: this.medium.value === "air" ? "air" : "vacuum" });
    });
    for (const list of this.lists)
      this.on(list, "change", () => {
        const chosen = this.lists.filter((one) => one.checked).map((one) => one.dataset.lines);
        this.change({ lines: LINE_LISTS.filter((name) => chosen.includes(name)) });
      });
    this.on(this.slider, "input", () => {
      this.setRedshift(Math.exp(fromSlider(Number(this.slider.value))) - 1);
    });
    this.on(this.field, "change", () => {
      this.setRedshift(Number(this.field.value));
    });
  }

  /** The controls say what is set. */
  private write(): void {
    const { settings } = this;
    this.smoothing.value = String(settings.smoothing);
    const said = settings.smoothing <= 1 ? t("off") : t("{count} samples", { count: settings.smoothing });
    find(this.tools, "#smoothing-value", HTMLElement).textContent = said;
    this.smoothing.setAttribute("aria-valuetext", said);
    this.kernel.value = settings.kernel;
    this.unit.value = settings.unit;
    this.medium.value = settings.medium;
    for (const list of this.lists) list.checked = settings.lines.some((name) => name === list.dataset.lines);
    const z = this.redshift.toFixed(4);
    if (document.activeElement !== this.field) this.field.value = z;
    this.slider.value = String(Math.round(toSlider(Math.log1p(this.redshift))));
    this.slider.setAttribute("aria-valuetext", t("Redshift {z}", { z }));
    const movable = settings.lines.some((name) => name !== "night-sky");
    find(this.tools, "#redshift-tools", HTMLElement).hidden = !movable && !settings.restFrame;
    this.button("rest-frame").setAttribute("aria-pressed", String(settings.restFrame));
    this.button("error-band").setAttribute("aria-pressed", String(settings.errorBand));
    this.button("drag-pans").setAttribute("aria-pressed", String(this.dragPans));
  }

  private button(id: string): HTMLElement {
    return find(this.tools, `[data-view-action="${id}"]`, HTMLElement);
  }
}

const LOW = Math.log1p(LEAST_REDSHIFT);
const HIGH = Math.log1p(MOST_REDSHIFT);

function fromSlider(step: number): number {
  return LOW + (step / SLIDER_STEPS) * (HIGH - LOW);
}

function toSlider(logarithm: number): number {
  return ((logarithm - LOW) / (HIGH - LOW)) * SLIDER_STEPS;
}
