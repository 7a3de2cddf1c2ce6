// Turns a queued subject into something that can be painted at once: a decoded bitmap or parsed numbers.

import type { SpectrumData, Subject } from "./types";

export type Prepared =
  | { kind: "picture"; bitmap: ImageBitmap; url: string }
  | { kind: "spectrum"; data: SpectrumData }
  | { kind: "damaged" };

const DRAWABLE = /^image\/(jpeg|png|gif|svg\+xml|webp|avif)$/;

async function loadPicture(url: string): Promise<Prepared> {
  const image = new Image();
  image.decoding = "async";
  image.src = url;
  await image.decode();
  return { kind: "picture", bitmap: await createImageBitmap(image), url };
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
  const response = await fetch(url, { credentials: "same-origin" });
  if (!response.ok) return null;
  const data = readSpectrum(await response.json());
  return data ? { kind: "spectrum", data } : null;
}

/** Never rejects: what cannot be shown is `damaged`, and the volunteer may skip it or try again. */
export async function prepare(subject: Subject): Promise<Prepared> {
  if (subject.spectrumUrl) {
    try {
      const spectrum = await loadSpectrum(subject.spectrumUrl);
      if (spectrum) return spectrum;
    } catch {
      // The drawn picture below shows the same spectrum.
    }
  }
  for (const location of subject.locations) {
    for (const [mediaType, url] of Object.entries(location)) {
      if (!DRAWABLE.test(mediaType)) continue;
      try {
        return await loadPicture(url);
      } catch {
        // Perhaps another frame can be shown.
      }
    }
  }
  return { kind: "damaged" };
}
