// Smoothing for the eye: it changes what is drawn, never what is stored.

export interface Smoothed {
  flux: (number | null)[];
  error: (number | null)[] | null;
}

export type Kernel = "boxcar" | "gaussian";

/** Of a gaussian's full width at half maximum. */
const SIGMAS_PER_FWHM = 1 / (2 * Math.sqrt(2 * Math.LN2));

/** The kernel's weights from its middle outwards, and as far again on the other side. */
export function kernelWeights(width: number, kernel: Kernel): number[] {
  if (kernel === "boxcar") return Array.from({ length: Math.floor(width / 2) + 1 }, () => 1);
  const sigma = width * SIGMAS_PER_FWHM;
  return Array.from({ length: Math.ceil(3 * sigma) + 1 }, (_, i) => Math.exp(-0.5 * (i / sigma) ** 2));
}

/**
 * The weighted mean around each sample. Where errors are known a sample counts by the inverse of its variance as well, so
 * that a noisy one spoils nothing, and the mean's error is that of independent values. Missing samples stay missing, so
 * gaps are not bridged.
 *
 * @param width samples: odd of a boxcar, of a gaussian its full width at half maximum; 1 changes nothing
 */
export function smooth(
  flux: (number | null)[],
  error: (number | null)[] | null,
  width: number,
  kernel: Kernel = "boxcar",
): Smoothed {
  if (width <= 1) return { flux, error };
  const weights = kernelWeights(width, kernel);
  const reach = weights.length - 1;
  const meanFlux: (number | null)[] = [];
  const meanError: (number | null)[] = [];
  // A sample without an error beside others with one counts as an average one of them.
  const known = error?.filter((sigma) => sigma !== null && sigma > 0) as number[] | undefined;
  const usual = known?.length ? 1 / median(known) ** 2 : 1;
  for (let i = 0; i < flux.length; i++) {
    let sum = 0;
    let total = 0;
    let variance = 0;
    for (let at = Math.max(0, i - reach); at <= Math.min(flux.length - 1, i + reach); at++) {
      const value = flux[at] ?? null;
      if (value === null) continue;
      const sigma = error?.[at] ?? null;
      const precision = sigma !== null && sigma > 0 ? 1 / sigma ** 2 : usual;
      const weight = weights[Math.abs(at - i)] ?? 0;
      sum += weight * precision * value;
      total += weight * precision;
      variance += weight * weight * precision;
    }
    const missing = flux[i] == null || total === 0;
    meanFlux.push(missing ? null : sum / total);
    meanError.push(missing || error?.[i] == null ? null : Math.sqrt(variance) / total);
  }
  return { flux: meanFlux, error: error ? meanError : null };
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 1;
}
