// What the volunteer set on the viewers, kept in the browser for each workflow; what the workflow's people set comes
// first, and what makes no sense is left out.

import { COLOUR_MAPS } from "./colour-maps";
import { CUTS, PLAIN, STRETCHES, type Look } from "./look";
import { LINE_LISTS, type LineList } from "./line-lists";

export interface SpectrumSettings {
  /** Width of the smoothing in samples, odd; of a gaussian its full width at half maximum. 1 shows the data as they are. */
  smoothing: number;
  kernel: "boxcar" | "gaussian";
  lines: LineList[];
  unit: "nm" | "angstrom";
  medium: "vacuum" | "air";
  restFrame: boolean;
  errorBand: boolean;
}

export interface ViewerSettings {
  look: Look;
  sideBySide: boolean;
  spectrum: SpectrumSettings;
}

const PLAIN_SETTINGS: ViewerSettings = {
  look: PLAIN,
  sideBySide: false,
  spectrum: {
    smoothing: 1,
    kernel: "gaussian",
    lines: [],
    unit: "nm",
    medium: "vacuum",
    restFrame: false,
    errorBand: true,
  },
};

type Fields = Record<string, unknown>;

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function oneOf<T>(value: unknown, allowed: readonly T[], otherwise: T): T {
  return allowed.includes(value as T) ? (value as T) : otherwise;
}

function flag(value: unknown, otherwise: boolean): boolean {
  return typeof value === "boolean" ? value : otherwise;
}

function readCuts(value: unknown, otherwise: Look["cuts"]): Look["cuts"] {
  if (!isFields(value)) return oneOf<Look["cuts"]>(value, CUTS, otherwise);
  const { low, high, of } = value;
  const fits = typeof low === "number" && typeof high === "number" && low < high;
  return fits && (of === "sky" || of === "picture") ? { low, high, of } : otherwise;
}

/** What a text or a workflow says, over `base`. Both spellings of American and British are read. */
function merge(base: ViewerSettings, said: unknown): ViewerSettings {
  if (!isFields(said)) return base;
  const { look, spectrum } = base;
  const lines = Array.isArray(said.lines)
    ? LINE_LISTS.filter((list) => (said.lines as unknown[]).includes(list))
    : spectrum.lines;
  const smoothing = said.smoothing;
  return {
    look: {
      ...look,
      stretch: oneOf(said.stretch, ["auto", ...STRETCHES] as const, look.stretch),
      cuts: readCuts(said.cuts, look.cuts),
      map: oneOf(said.colormap, COLOUR_MAPS, look.map),
      inverted: flag(said.invert, look.inverted),
      pixelated: flag(said.pixelated, look.pixelated),
    },
    sideBySide: flag(said.side_by_side, base.sideBySide),
    spectrum: {
      smoothing:
        typeof smoothing === "number" && smoothing >= 1 && smoothing <= 51 ? smoothing : spectrum.smoothing,
      kernel: oneOf(said.kernel, ["boxcar", "gaussian"] as const, spectrum.kernel),
      lines,
      unit: oneOf(said.unit, ["nm", "angstrom"] as const, spectrum.unit),
      medium: oneOf(said.medium, ["vacuum", "air"] as const, spectrum.medium),
      restFrame: flag(said.rest_frame, spectrum.restFrame),
      errorBand: flag(said.error_band, spectrum.errorBand),
    },
  };
}

function keyOf(workflowId: string): string {
  return `esocs.viewer.${workflowId}`;
}

/** The workflow's own defaults, in which the viewers begin and to which "as it was" goes back. */
export function defaultSettings(configuration: unknown): ViewerSettings {
  return merge(PLAIN_SETTINGS, configuration);
}

export function loadSettings(workflowId: string, defaults: ViewerSettings): ViewerSettings {
  try {
    return merge(defaults, JSON.parse(localStorage.getItem(keyOf(workflowId)) ?? "null"));
  } catch {
    return defaults;
  }
}

export function saveSettings(workflowId: string, { look, sideBySide, spectrum }: ViewerSettings): void {
  const { map, inverted, stretch, cuts, pixelated } = look;
  const { restFrame, errorBand, ...plot } = spectrum;
  const said = {
    ...{ stretch, cuts, pixelated, colormap: map, invert: inverted, side_by_side: sideBySide },
    ...{ ...plot, rest_frame: restFrame, error_band: errorBand },
  };
  try {
    localStorage.setItem(keyOf(workflowId), JSON.stringify(said));
  } catch {
    // They hold until the page is closed.
  }
}
