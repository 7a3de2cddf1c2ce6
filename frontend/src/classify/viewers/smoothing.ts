// A running mean for the eye: it changes what is drawn, never what is stored.

export interface Smoothed {
  flux: (number | null)[];
  error: (number | null)[] | null;
}

/**
 * The mean of the known values in a window of `width` samples (odd) around each sample; its error is that of a mean of
 * independent values. Missing samples stay missing, so gaps are not bridged.
 */
export function smooth(flux: (number | null)[], error: (number | null)[] | null, width: number): Smoothed {
  if (width <= 1) return { flux, error };
  const half = Math.floor(width / 2);
  const n = flux.length;
  const sums = new Float64Array(n + 1);
  const counts = new Float64Array(n + 1);
  const squares = new Float64Array(n + 1);
  for (let i = 0; i < n; i++) {
    const value = flux[i] ?? null;
    const sigma = error?.[i] ?? null;
    sums[i + 1] = (sums[i] ?? 0) + (value ?? 0);
    counts[i + 1] = (counts[i] ?? 0) + (value === null ? 0 : 1);
    squares[i + 1] = (squares[i] ?? 0) + (value === null || sigma === null ? 0 : sigma * sigma);
  }
  const meanFlux: (number | null)[] = [];
  const meanError: (number | null)[] = [];
  for (let i = 0; i < n; i++) {
    const from = Math.max(0, i - half);
    const to = Math.min(n, i + half + 1);
    const count = (counts[to] ?? 0) - (counts[from] ?? 0);
    const missing = flux[i] === null || count === 0;
    meanFlux.push(missing ? null : ((sums[to] ?? 0) - (sums[from] ?? 0)) / count);
    const variance = Math.max(0, (squares[to] ?? 0) - (squares[from] ?? 0));
    meanError.push(missing || error?.[i] == null ? null : Math.sqrt(variance) / count);
  }
  return { flux: meanFlux, error: error ? meanError : null };
}
