// Turns a queued subject into something that can be painted at once: a decoded bitmap or parsed numbers.

import { heldFile } from "./files";
import type { SpectrumData, Subject } from "./types";
import { decodePlane, type Plane } from "./viewers/plane";
import { readSeries } from "./viewers/series";
import type { SpectrumViewer } from "./viewers/spectrum-viewer";

/** One picture of a subject, decoded. */
export interface PictureFrame {
  bitmap: ImageBitmap;
  url: string;
  /** Its own samples, once they are there; null for a picture without, or while they come. */
  plane: Plane | null;
  /** Settles, never fails, when `plane` is as it will stay. */
  planeLoaded: Promise<void>;
}

export type Prepared =
  /** A frame that could not be loaded is null; at least one is not. */
  | { kind: "picture"; frames: (PictureFrame | null)[] }
  | { kind: "spectrum"; data: SpectrumData; viewer: typeof SpectrumViewer }
  | { kind: "damaged" };

const DRAWABLE = /^image\/(jpeg|png|gif|svg\+xml|webp|avif)$/;

async function loadPicture(url: string): Promise<PictureFrame> {
  const image = new Image();
  image.decoding = "async";
  const blob = heldFile(url);
  const address = blob ? URL.createObjectURL(blob) : url;
  try {
    image.src = address;
    await image.decode();
  } finally {
    if (blob) URL.revokeObjectURL(address);
  }
  return { bitmap: await createImageBitmap(image), url, plane: null, planeLoaded: Promise.resolve() };
}

/** Fetch a frame's samples while its picture is looked at. Damaged or missing, the picture stays as it is. */
async function loadPlane(frame: PictureFrame, url: string): Promise<void> {
  try {
    const response = await fetch(url, { credentials: "same-origin" });
    if (response.ok) frame.plane = await decodePlane(await response.arrayBuffer());
  } catch {
    // The picture shows the same sky.
  }
}

/** The frame at a location: of the addresses it names, the first that can be drawn; null where none can. */
async function loadFrame(location: Record<string, string>): Promise<PictureFrame | null> {
  for (const [mediaType, url] of Object.entries(location)) {
    if (!DRAWABLE.test(mediaType)) continue;
    try {
      return await loadPicture(url);
    } catch {
      // Perhaps the same frame can be shown in another form.
    }
  }
  return null;
}

function isColumn(value: unknown, length: number): value is (number | null)[] {
  return (
    Array.isArray(value) &&
    value.length === length &&
    value.every((item) => item === null || (typeof item === "number" && Number.isFinite(item)))
  );
}

/** The spectrum in `body`; null unless its columns are of one length, with finite rising wavelengths. */
export function readSpectrum(body: unknown): SpectrumData | null {
  if (typeof body !== "object" || body === null) return null;
  const { wavelength_nm: wavelength, flux, error, flux_unit: unit } = body as Record<string, unknown>;
  if (!Array.isArray(wavelength) || wavelength.length < 2) return null;
  const n = wavelength.length;
  if (!isColumn(wavelength, n) || wavelength.includes(null) || !isColumn(flux, n)) return null;
  const rising = wavelength as number[];
  for (let i = 1; i < n; i++) if ((rising[i] ?? 0) <= (rising[i - 1] ?? 0)) return null;
  if (flux.every((value) => value === null)) return null;
  return {
    wavelength_nm: rising,
    flux,
    error: isColumn(error, n) ? error : null,
    flux_unit: typeof unit === "string" ? unit : "",
  };
}

async function loadSpectrum(url: string): Promise<Prepared | null> {
  // The plot's script comes beside the numbers, not after them.
  const loading = import("./viewers/spectrum-viewer");
  const held = heldFile(url);
  const response = held ? new Response(held) : await fetch(url, { credentials: "same-origin" });
  if (!response.ok) return null;
  const body: unknown = await response.json();
  const data = readSpectrum(body) ?? readSeries(body);
  if (!data) return null;
  const { SpectrumViewer: viewer } = await loading;
  return { kind: "spectrum", data, viewer };
}

/** Where a subject's numbers lie: a spectrum of the archive, or series that somebody uploaded. */
function numbersOf(subject: Subject): string[] {
  const uploaded = subject.locations.flatMap((location) => location["application/json"] ?? []);
  return subject.spectrumUrl ? [subject.spectrumUrl, ...uploaded] : uploaded;
}

/** Never rejects: what cannot be shown is `damaged`, and the volunteer may skip it or try again. */
export async function prepare(subject: Subject): Promise<Prepared> {
  for (const url of numbersOf(subject)) {
    try {
      const spectrum = await loadSpectrum(url);
      if (spectrum) return spectrum;
    } catch {
      // The drawn picture below shows the same spectrum.
    }
  }
  const frames = await Promise.all(subject.locations.map(loadFrame));
  const [first] = frames;
  // Only now: the picture is what is waited for.
  if (first && subject.planeUrl) first.planeLoaded = loadPlane(first, subject.planeUrl);
  return frames.some((frame) => frame !== null) ? { kind: "picture", frames } : { kind: "damaged" };
}
