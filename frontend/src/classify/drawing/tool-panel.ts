// The tools of a drawing task, and what can be done with its marks.

import { t } from "../../shared/i18n";
import { button, keyCap } from "../tasks/view";
import { SHAPES } from "./shapes";
import { MOST_MARKS, type Sketch, type Tool } from "./sketch";

export interface ToolPanelEvents {
  onTool(): void;
  onLook(looking: boolean): void;
  onUndo(): void;
  onDelete(): void;
  onDetails(): void;
}

const ICONS: Record<string, string> = {
  point: "M12 12m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0M12 3v3M12 18v3M3 12h3M18 12h3",
  line: "M5 19L19 5",
  circle: "M12 12m-8 0a8 8 0 1 0 16 0a8 8 0 1 0-16 0",
  ellipse: "M5.6 16.5a8.5 4.5-25 1 0 12.8-9a8.5 4.5-25 1 0-12.8 9",
  rectangle: "M4 6h16v12H4z",
  rotateRectangle: "M3 14L14 4l7 6L10 20z",
  polygon: "M12 3l8 6-3 11H7L4 9z",
  freehandLine: "M3 17c3-9 6-9 8-4s5 5 10-6",
  column: "M8 3v18M16 3v18",
  graph2dRangeX: "M8 3v18M16 3v18M8 12h8",
  fullWidthLine: "M3 12h18",
  fullHeightLine: "M12 3v18",
};

export class ToolPanel {
  readonly tools: HTMLButtonElement[];
  private readonly counts: HTMLElement[];
  private readonly how = document.createElement("p");
  private readonly sizes = document.createElement("div");
  private readonly lookButton: HTMLButtonElement;
  private readonly undo: HTMLButtonElement;
  private readonly remove: HTMLButtonElement;
  private readonly details: HTMLButtonElement;
  private lookingNow = false;
  private sizesOf = -1;

  constructor(
    fields: HTMLElement,
    private readonly sketch: Sketch,
    private readonly events: ToolPanelEvents,
  ) {
    const list = document.createElement("div");
    list.className = "draw-tools";
    this.counts = sketch.tools.map(() => {
      const count = document.createElement("span");
      count.className = "tool-count";
      return count;
    });
    this.tools = sketch.tools.map((tool, index) => this.toolButton(tool, index));
    list.append(...this.tools);
    this.how.className = "draw-how muted small";
    this.sizes.className = "draw-sizes";
    this.sizes.setAttribute("role", "group");
    this.sizes.setAttribute("aria-label", t("Size of what one press draws"));
    const press = (label: string, run: () => void): HTMLButtonElement => {
      const made = button(label, "button quiet small");
      made.addEventListener("click", run);
      return made;
    };
    this.lookButton = press(t("Move the picture"), () => {
      events.onLook(!this.lookingNow);
    });
    this.undo = press(t("Undo step"), () => {
      events.onUndo();
    });
    this.remove = press(t("Delete mark"), () => {
      events.onDelete();
    });
    this.details = press(t("About this mark"), () => {
      events.onDetails();
    });
    const actions = document.createElement("div");
    actions.className = "draw-actions";
    actions.append(this.undo, this.remove, this.details, this.lookButton);
    fields.append(list, this.how, this.sizes, actions);
  }

  set looking(looking: boolean) {
    this.lookingNow = looking;
    this.paint();
  }

  paint(): void {
    const { sketch } = this;
    this.tools.forEach((element, index) => {
      element.setAttribute("aria-pressed", String(!this.lookingNow && index === sketch.tool));
    });
    sketch.tools.forEach((tool, index) => {
      const count = this.counts[index];
      if (count) count.textContent = countOf(tool, sketch.marks.count(index));
    });
    this.how.textContent = this.lookingNow
      ? t("Drag to move the picture. Choose a tool to draw again.")
      : (sketch.tools[sketch.tool]?.how ?? "");
    this.lookButton.setAttribute("aria-pressed", String(this.lookingNow));
    const { selected } = sketch;
    enable(this.undo, sketch.marks.canUndo || sketch.draft !== null);
    enable(this.remove, selected !== null);
    this.details.hidden = sketch.tools.every((tool) => tool.questions === 0);
    enable(this.details, selected !== null && (sketch.tools[selected.tool]?.questions ?? 0) > 0);
    this.paintSizes();
  }

  private toolButton(tool: Tool, index: number): HTMLButtonElement {
    const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    icon.setAttribute("viewBox", "0 0 24 24");
    icon.setAttribute("class", "tool-icon");
    icon.setAttribute("aria-hidden", "true");
    icon.style.setProperty("--mark", tool.colour);
    for (const name of ["halo", "line"]) {
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("class", name);
      path.setAttribute("d", ICONS[tool.type] ?? "M5 5l14 14M19 5L5 19");
      icon.append(path);
    }
    const element = button(keyCap(), "answer tool");
    // Of another classifier, and not drawn on this page.
    element.hidden = !(tool.type in SHAPES);
    const label = document.createElement("span");
    label.className = "tool-label";
    label.textContent = tool.label;
    element.append(icon, label, this.counts[index] ?? "");
    element.addEventListener("click", () => {
      this.sketch.tool = index;
      this.events.onTool();
    });
    return element;
  }

  /** Sizes to choose from, where the tool in hand has them. */
  private paintSizes(): void {
    const { sketch } = this;
    const presets = sketch.tools[sketch.tool]?.presets ?? [];
    this.sizes.hidden = presets.length === 0;
    if (this.sizesOf !== sketch.tool) {
      this.sizesOf = sketch.tool;
      this.sizes.replaceChildren(
        ...[null, ...presets].map((size) => {
          const element = button(size === null ? t("free") : String(size), "button quiet small");
          element.dataset.size = String(size);
          element.addEventListener("click", () => {
            sketch.preset = size;
            this.paint();
          });
          return element;
        }),
      );
    }
    for (const element of this.sizes.querySelectorAll("button"))
      element.setAttribute("aria-pressed", String(element.dataset.size === String(sketch.preset)));
  }
}

function enable(element: HTMLButtonElement, enabled: boolean): void {
  element.classList.toggle("idle", !enabled);
}

/** How many of its marks there are, and how many there may or must be. */
function countOf(tool: Tool, count: number): string {
  if (tool.most < MOST_MARKS) return `${count}/${tool.most}`;
  if (count < tool.least) return `${count}/${tool.least}+`;
  return count === 0 ? "" : String(count);
}
