// The marks as lines over the picture: a dark line under a bright one, so that they are seen on any ground, and wide
// invisible ones to catch the pointer.

import { t } from "../../shared/i18n";
import type { ScreenBox, ScreenPoint, Viewport } from "../viewport";
import type { Mark } from "./marks";
import { drawnOn, extentOf } from "./places";
import { shapeOf, type Handle } from "./shapes";
import type { Sketch } from "./sketch";

const SVG = "http://www.w3.org/2000/svg";
/** Room around a point, and the way from a rectangle to the handle that turns it, in CSS pixels. */
const REACH_PX = 32;
const RADIUS_PX = { small: 6, large: 12 };
const HIT_PX = 14;

function element<K extends keyof SVGElementTagNameMap>(
  name: K,
  attributes: Record<string, string | number> = {},
): SVGElementTagNameMap[K] {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

interface Group {
  root: SVGGElement;
  hit: SVGPathElement;
  halo: SVGPathElement;
  line: SVGPathElement;
}

export class Painter {
  /** Holds the focus for drawing by keyboard; the marks in it can be reached by Tab. */
  readonly root = element("g", { class: "drawing", role: "application", tabindex: 0 });
  private readonly edge = element("rect", { class: "drawing-edge", width: "100%", height: "100%" });
  private readonly marks = element("g");
  private readonly draft: Group;
  private readonly band = element("path", { class: "band" });
  private readonly handles = element("g", { class: "handles" });
  private readonly cursor = element("path", { class: "cursor" });
  private readonly clips = element("defs");
  private readonly groups: Group[] = [];

  constructor(
    private readonly viewport: Viewport,
    private readonly sketch: Sketch,
    private readonly describe: (mark: Mark) => string,
    private readonly id: string,
  ) {
    this.draft = group();
    this.root.setAttribute(
      "aria-label",
      t(
        "Drawing. Arrow keys move the cursor, Enter sets a point, Tab goes to the marks, Escape leaves a shape.",
      ),
    );
    this.root.append(
      this.clips,
      this.edge,
      this.marks,
      this.band,
      this.draft.root,
      this.handles,
      this.cursor,
    );
  }

  paint(cursor: { x: number; y: number; frame: number } | null, active: boolean): void {
    this.root.classList.toggle("resting", !active);
    if (active) this.root.setAttribute("tabindex", "0");
    else this.root.removeAttribute("tabindex");
    this.paintClips();
    const { all } = this.sketch.marks;
    while (this.groups.length > all.length) this.groups.pop()?.root.remove();
    all.forEach((mark, index) => {
      this.paintMark(this.groupAt(index), mark, index, active);
    });
    this.paintDraft();
    this.paintHandles(active);
    const place = cursor && active ? this.viewport.toScreen(cursor) : null;
    this.cursor.setAttribute("d", place ? cross(place) : "");
  }

  /** The element of a mark, for the focus. */
  elementOf(mark: Mark): SVGGElement | null {
    return this.groups[this.sketch.marks.all.indexOf(mark)]?.root ?? null;
  }

  handlesOf(mark: Mark): Handle[] {
    const reach = drawnOn(this.viewport) === "picture" ? REACH_PX / this.viewport.scale : 0;
    return this.sketch.shape(mark).handles(mark.geometry, extentOf(this.viewport, mark.frame), reach);
  }

  /** What a mark takes up in the overlay. */
  boxOf(mark: Mark): ScreenBox | null {
    const points = this.screenPoints(mark);
    if (points.length === 0) return null;
    const [xs, ys] = [points.map(({ x }) => x), points.map(({ y }) => y)];
    const [x, y] = [Math.min(...xs), Math.min(...ys)];
    return { x, y, width: Math.max(...xs) - x, height: Math.max(...ys) - y };
  }

  private groupAt(index: number): Group {
    const known = this.groups[index];
    if (known) return known;
    const made = group();
    this.groups[index] = made;
    this.marks.append(made.root);
    return made;
  }

  private paintMark(parts: Group, mark: Mark, index: number, active: boolean): void {
    const { root } = parts;
    const selected = mark === this.sketch.selected;
    root.dataset.mark = String(index);
    root.setAttribute("class", selected ? "mark selected" : "mark");
    root.setAttribute("role", active ? "button" : "img");
    root.setAttribute("aria-label", this.describe(mark));
    if (active) {
      root.setAttribute("tabindex", "0");
      root.setAttribute("aria-pressed", String(selected));
    } else {
      root.removeAttribute("tabindex");
      root.removeAttribute("aria-pressed");
    }
    this.paintLines(parts, mark);
  }

  private paintDraft(): void {
    const { draft } = this.sketch;
    this.draft.root.setAttribute("class", "mark draft");
    this.draft.root.style.display = draft ? "" : "none";
    this.band.setAttribute("d", "");
    if (!draft) return;
    this.paintLines(this.draft, draft.mark);
    if (shapeOf(this.sketch.tools[draft.mark.tool]?.type).manner !== "vertices") return;
    const last = draft.mark.geometry.points?.at(-1);
    const ends = [last, draft.to].flatMap((place) => {
      const seen = place && this.viewport.toScreen({ ...place, frame: draft.mark.frame });
      return seen ? [seen] : [];
    });
    const open = this.screenPoints(draft.mark);
    // An outline that is being set is open, and its corners are seen.
    for (const part of [this.draft.halo, this.draft.line])
      part.setAttribute("d", path(open, false) + open.map((place) => dot(place, 4)).join(""));
    this.band.setAttribute("d", path(ends, false));
  }

  private paintLines(parts: Group, mark: Mark): void {
    const tool = this.sketch.tools[mark.tool];
    const points = this.screenPoints(mark);
    parts.root.style.display = points.length === 0 ? "none" : "";
    parts.root.style.setProperty("--mark", tool?.colour ?? "#ffb000");
    parts.root.setAttribute("clip-path", `url(#${this.id}-clip-${mark.frame})`);
    const [place] = points;
    if (tool?.type === "point" && place) {
      const radius = RADIUS_PX[tool.size];
      const drawn = dot(place, radius) + dot(place, 0.75);
      for (const part of [parts.halo, parts.line]) part.setAttribute("d", drawn);
      parts.hit.setAttribute("d", dot(place, HIT_PX));
      parts.hit.setAttribute("class", "hit filled");
      return;
    }
    const closed = shapeOf(tool?.type).outline(mark.geometry, extentOf(this.viewport, mark.frame)).closed;
    for (const part of [parts.hit, parts.halo, parts.line]) part.setAttribute("d", path(points, closed));
  }

  private screenPoints(mark: Mark): ScreenPoint[] {
    const { points } = this.sketch.shape(mark).outline(mark.geometry, extentOf(this.viewport, mark.frame));
    return points.flatMap((point) => this.viewport.toScreen({ ...point, frame: mark.frame }) ?? []);
  }

  private paintHandles(active: boolean): void {
    const mark = this.sketch.selected;
    if (!mark || !active || this.sketch.draft) {
      this.handles.replaceChildren();
      return;
    }
    const handles = this.handlesOf(mark);
    this.handles.style.setProperty("--mark", this.sketch.tools[mark.tool]?.colour ?? "#ffb000");
    // A pointer that holds a handle needs its element: as many as before are moved, not made anew.
    while (this.handles.childElementCount > handles.length) this.handles.lastElementChild?.remove();
    handles.forEach((handle, index) => {
      const place = this.viewport.toScreen({ x: handle.x, y: handle.y, frame: mark.frame });
      const known = this.handles.children[index];
      const made = known instanceof SVGGElement ? known : this.newHandle();
      made.dataset.handle = handle.id;
      made.setAttribute("class", `handle ${handle.kind}${this.sketch.handle === handle.id ? " armed" : ""}`);
      made.style.display = place ? "" : "none";
      if (place) made.setAttribute("transform", `translate(${place.x} ${place.y})`);
    });
  }

  private newHandle(): SVGGElement {
    const made = element("g");
    made.append(
      element("circle", { class: "handle-hit", r: HIT_PX }),
      element("circle", { class: "knob", r: 6 }),
    );
    this.handles.append(made);
    return made;
  }

  private paintClips(): void {
    const frames = Array.from({ length: Math.max(1, this.viewport.frameCount) }, (_, frame) => frame);
    this.clips.replaceChildren(
      ...frames.map((frame) => {
        const box = this.viewport.boxOf(frame) ?? { x: 0, y: 0, width: 0, height: 0 };
        const clip = element("clipPath", { id: `${this.id}-clip-${frame}` });
        clip.append(element("rect", { x: box.x, y: box.y, width: box.width, height: box.height }));
        return clip;
      }),
    );
  }
}

function group(): Group {
  const root = element("g");
  const [hit, halo, line] = ["hit", "halo", "line"].map((name) => element("path", { class: name })) as [
    SVGPathElement,
    SVGPathElement,
    SVGPathElement,
  ];
  root.append(hit, halo, line);
  return { root, hit, halo, line };
}

function short(value: number): string {
  return value.toFixed(2);
}

function path(points: readonly ScreenPoint[], closed: boolean): string {
  if (points.length === 0) return "";
  return `M${points.map(({ x, y }) => `${short(x)} ${short(y)}`).join("L")}${closed ? "Z" : ""}`;
}

function dot({ x, y }: ScreenPoint, radius: number): string {
  return `M${short(x - radius)} ${short(y)}a${radius} ${radius} 0 1 0 ${2 * radius} 0a${radius} ${radius} 0 1 0 ${-2 * radius} 0Z`;
}

/** A cross that leaves its middle free. */
function cross({ x, y }: ScreenPoint): string {
  return [
    [-18, 0, -5, 0],
    [5, 0, 18, 0],
    [0, -18, 0, -5],
    [0, 5, 0, 18],
  ]
    .map(([a = 0, b = 0, c = 0, d = 0]) => `M${short(x + a)} ${short(y + b)}L${short(x + c)} ${short(y + d)}`)
    .join("");
}
