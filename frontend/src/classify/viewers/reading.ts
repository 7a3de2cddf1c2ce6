// The value and the sky position under the pointer or under the crosshair that the arrow keys move.

import { t } from "../../shared/i18n";
import type { PictureFrame } from "../prepare";
import type { ScreenPoint } from "../viewport";
import type { Darkroom } from "./darkroom";
import { find } from "./find";
import type { PictureViewer } from "./picture-viewer";
import { halfFloats, MISSING, sampleAt, type Plane } from "./plane";
import { pixelScale, toSky, writeDegrees, writeSexagesimal } from "./sky";

/** Steps of the crosshair are told to a screen reader when they have ended. */
const TOLD_AFTER_MS = 400;
/** A tangent plane further off than this many pixels says nothing of a position. */
const MOST_TOLERANCE_PX = 1;
const COLOURS = ["R", "G", "B"];

/** A value as the file has it, with the digits that 16 bits can tell. */
export function writeValue(plane: Plane, sample: number): string {
  const value = plane.background + plane.noise * sample;
  const size = Math.abs(value);
  const digits = plane.of === "picture" ? 3 : 4 + (Math.abs(plane.background) > 10 * plane.noise ? 1 : 0);
  const text =
    size !== 0 && (size >= 1e6 || size < 1e-3)
      ? value.toExponential(digits - 1)
      : String(Number(value.toPrecision(digits)));
  return text.replace("-", "−");
}

export class Reading {
  private readonly value: HTMLElement;
  private readonly sky: HTMLElement;
  private readonly copy: HTMLButtonElement;
  private readonly told: HTMLElement;
  private readonly cross: SVGSVGElement;
  /** In picture pixels of the shown frame; null while it is off. */
  private crosshair: ScreenPoint | null = null;
  private readonly onCrosshair: (on: boolean) => void;
  private timer = 0;

  constructor(
    host: HTMLElement,
    tools: HTMLElement,
    private readonly picture: PictureViewer,
    private readonly darkroom: Darkroom,
    onCrosshair: (on: boolean) => void,
  ) {
    this.onCrosshair = onCrosshair;
    this.value = find(tools, "#pixel-value", HTMLElement);
    this.sky = find(tools, "#sky-position", HTMLElement);
    this.copy = find(tools, "#copy-position", HTMLButtonElement);
    this.told = find(tools, "#position-told", HTMLElement);
    this.cross = find(host, "#crosshair", SVGSVGElement);
  }

  /** A new subject: nothing is pointed at. */
  clear(): void {
    this.setCrosshair(null);
    this.write(null);
  }

  hover(place: ScreenPoint | null): void {
    if (this.crosshair) return;
    const frame = place && this.picture.frameAt(place);
    const point = place && frame !== null ? this.picture.toPicture(place, frame) : null;
    this.write(point, frame ?? undefined);
  }

  /** A press on the picture takes the crosshair there. */
  press(place: ScreenPoint): void {
    if (!this.crosshair || this.picture.frameAt(place) !== this.picture.frame) return;
    const point = this.picture.toPicture(place, this.picture.frame);
    const { width, height } = this.picture.sizeOf(this.picture.frame);
    if (!point || point.x < 0 || point.y < 0 || point.x >= width || point.y >= height) return;
    this.crosshair = point;
    this.centreOnPixel();
    this.follow();
    this.tell();
  }

  get crosshairOn(): boolean {
    return this.crosshair !== null;
  }

  toggleCrosshair(): void {
    const { width, height } = this.picture.sizeOf(this.picture.frame);
    if (width === 0) return;
    this.setCrosshair(this.crosshair ? null : { x: width / 2, y: height / 2 });
    if (this.crosshair) this.centreOnPixel();
    this.follow();
    this.tell();
  }

  /** Steps of one sample as the eye sees the picture: right and down on the screen. */
  moveCrosshair(right: number, down: number): void {
    const frame = this.picture.shown;
    const { crosshair, picture } = this;
    if (!crosshair || !frame) return;
    const size = picture.sizeOf(picture.frame);
    const plane = this.darkroom.planeOf(frame);
    const map = picture.mapOf(picture.frame);
    if (!map) return;
    // Which way the picture's own axes run on the screen; the nearer of the two is taken.
    const length = Math.hypot(map.a, map.b) || 1;
    const step = {
      x: Math.round((map.a * right + map.b * down) / length),
      y: Math.round((map.c * right + map.d * down) / length),
    };
    const stepX = size.width / plane.width;
    const stepY = size.height / plane.height;
    this.crosshair = {
      x: Math.min(size.width - stepX / 2, Math.max(stepX / 2, crosshair.x + step.x * stepX)),
      y: Math.min(size.height - stepY / 2, Math.max(stepY / 2, crosshair.y + step.y * stepY)),
    };
    this.follow();
    this.tell();
  }

  /** The view changed: the crosshair stays on its pixel. */
  follow(): void {
    const { crosshair, picture, cross } = this;
    const place = crosshair && picture.toScreen(crosshair, picture.frame);
    cross.toggleAttribute("hidden", !place);
    if (!place) return;
    cross.style.transform = `translate(${place.x}px, ${place.y}px)`;
    this.write(crosshair);
  }

  /** Copies the position, sexagesimal and in degrees; resolves to what is to be said. */
  async copyPosition(): Promise<string> {
    const text = this.sky.dataset.copy ?? "";
    if (text === "") return t("There is no position to copy: point at the picture first.");
    try {
      await navigator.clipboard.writeText(text);
      return t("Copied: {position}", { position: text });
    } catch {
      return t("The browser does not let this page copy.");
    }
  }

  private centreOnPixel(): void {
    const frame = this.picture.shown;
    if (!frame || !this.crosshair) return;
    const size = this.picture.sizeOf(this.picture.frame);
    const plane = this.darkroom.planeOf(frame);
    const stepX = size.width / plane.width;
    const stepY = size.height / plane.height;
    this.crosshair = {
      x: (Math.floor(this.crosshair.x / stepX) + 0.5) * stepX,
      y: (Math.floor(this.crosshair.y / stepY) + 0.5) * stepY,
    };
  }

  private setCrosshair(point: ScreenPoint | null): void {
    if ((point === null) !== (this.crosshair === null)) this.onCrosshair(point !== null);
    this.crosshair = point;
    this.cross.toggleAttribute("hidden", point === null);
  }

  private tell(): void {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => {
      this.told.textContent = this.crosshair ? `${this.value.textContent}. ${this.sky.textContent}` : "";
    }, TOLD_AFTER_MS);
  }

  private write(point: ScreenPoint | null, number = this.picture.frame): void {
    const frame = point && this.picture.frameNumber(number);
    const read = frame ? this.read(frame, point, number) : null;
    this.value.textContent = read?.value ?? t("Point at the picture to read it");
    this.value.classList.toggle("muted", !read);
    this.sky.textContent = read?.sky ?? "";
    if (read) this.sky.dataset.copy = read.copy;
    this.copy.hidden = !this.crosshair || !read?.copy;
  }

  private read(
    frame: PictureFrame,
    point: ScreenPoint,
    number: number,
  ): { value: string; sky: string; copy: string } | null {
    const plane = this.darkroom.planeOf(frame);
    const size = this.picture.sizeOf(number);
    const x = (point.x / size.width) * plane.width;
    const y = (point.y / size.height) * plane.height;
    const column = Math.floor(x);
    const row = Math.floor(y);
    if (column < 0 || row < 0 || column >= plane.width || row >= plane.height) return null;
    const at = `x ${column + 1} y ${plane.height - row}`;
    const { sky } = plane;
    const value = `${this.valueAt(plane, column, row)}\u2003${at}`;
    if (!sky || sky.tolerance_px > MOST_TOLERANCE_PX) return { value, sky: "", copy: "" };
    const position = toSky(sky, x - 0.5, y - 0.5);
    const scale = pixelScale(sky);
    const written = writeSexagesimal(position, scale);
    const degrees = writeDegrees(position, scale);
    return { value, sky: `${written}\u2003${degrees}`, copy: `${written} (${degrees})`.replaceAll("−", "-") };
  }

  private valueAt(plane: Plane, column: number, row: number): string {
    const floats = halfFloats();
    const values = Array.from({ length: plane.bands }, (_, band) => {
      const bits = sampleAt(plane, column, row, band);
      if (bits === null || (bits === MISSING && plane.of === "sky")) return t("no data");
      return writeValue(plane, floats[bits] ?? 0);
    });
    const unit = plane.unit === "sigma" ? "σ" : plane.unit;
    const text =
      plane.bands === 1
        ? (values[0] ?? "")
        : values.map((one, band) => `${COLOURS[band] ?? ""} ${one}`).join(" ");
    return unit ? `${text} ${unit}` : text;
  }
}
