// A mark as Panoptes' older classifier writes it (v1), and the marks of one drawing with what was done to them. Pure.

/** A place on the subject: picture pixels, or nm and flux of a spectrum. */
export interface Place {
  x: number;
  y: number;
}

/** The geometry of a mark, in the keys of its tool: see `shapes.ts`. */
export interface Geometry {
  [key: string]: number | boolean | Place[] | undefined;
  points?: Place[];
}

export interface Mark {
  tool: number;
  frame: number;
  geometry: Geometry;
  /** An answer for each of the tool's questions. */
  details: unknown[];
}

/** How many pixels, or nm, are told apart. */
const DIGITS = { picture: 2, spectrum: 4 };

function rounded(value: number, digits: number): number {
  const factor = 10 ** digits;
  return Math.round(value * factor) / factor;
}

/** The marks as they are sent. */
export function writeMarks(
  marks: readonly Mark[],
  kind: keyof typeof DIGITS,
  more: (mark: Mark) => Record<string, unknown>,
): Record<string, unknown>[] {
  const digits = DIGITS[kind];
  return marks.map((mark) => ({
    tool: mark.tool,
    frame: mark.frame,
    ...Object.fromEntries(
      Object.entries(mark.geometry).map(([key, value]) => [
        key,
        typeof value === "number"
          ? rounded(value, digits)
          : Array.isArray(value)
            ? value.map(({ x, y }) => ({ x: rounded(x, digits), y: rounded(y, digits) }))
            : value,
      ]),
    ),
    ...more(mark),
    details: mark.details.map((value) => ({ value })),
  }));
}

const NOT_GEOMETRY = new Set(["tool", "frame", "details", "toolType", "zoomLevelOnCreation"]);

/** Marks that were sent before, as far as they can be read. */
export function readMarks(value: unknown, tools: number): Mark[] {
  const sent: unknown[] = Array.isArray(value) ? value : [];
  return sent.flatMap((one) => {
    if (typeof one !== "object" || one === null) return [];
    const { tool, frame, details, ...rest } = one as Record<string, unknown>;
    if (typeof tool !== "number" || tool < 0 || tool >= tools) return [];
    const geometry = Object.fromEntries(
      Object.entries(rest).filter(([key]) => !NOT_GEOMETRY.has(key)),
    ) as Geometry;
    const given: unknown[] = Array.isArray(details) ? details : [];
    return [
      {
        tool,
        frame: typeof frame === "number" ? frame : 0,
        geometry,
        details: given.map((detail) => (detail as { value?: unknown } | null)?.value ?? null),
      },
    ];
  });
}

const MOST_STEPS = 100;

/** The marks of one drawing; every change can be taken back. */
export class MarkSet {
  private now: readonly Mark[] = [];
  private before: (readonly Mark[])[] = [];

  constructor(private readonly onChange: () => void) {}

  get all(): readonly Mark[] {
    return this.now;
  }

  count(tool: number): number {
    return this.now.filter((mark) => mark.tool === tool).length;
  }

  /** Other marks, and no way back to those before. */
  reset(marks: readonly Mark[]): void {
    this.now = marks;
    this.before = [];
  }

  add(mark: Mark): void {
    this.change([...this.now, mark]);
  }

  remove(mark: Mark): void {
    this.change(this.now.filter((each) => each !== mark));
  }

  /** A mark as it is now, in the place of what it was. `noted` false: a step of a movement that is noted already. */
  replace(old: Mark, mark: Mark, noted = true): void {
    const marks = this.now.map((each) => (each === old ? mark : each));
    if (noted) this.change(marks);
    else {
      this.now = marks;
      this.onChange();
    }
  }

  get canUndo(): boolean {
    return this.before.length > 0;
  }

  undo(): void {
    const last = this.before.pop();
    if (!last) return;
    this.now = last;
    this.onChange();
  }

  private change(marks: readonly Mark[]): void {
    this.before = [...this.before, this.now].slice(-MOST_STEPS);
    this.now = marks;
    this.onChange();
  }
}
