// Wavelengths in vacuum and in air, observed and at rest, in nm and ångström. Inside, a wavelength is in nm, in vacuum
// and as observed; what the axis and the readings show is made of it here.

/** Air and vacuum part only where the atmosphere is looked through. */
const AIR_FROM_NM = 200;

export interface Shown {
  unit: "nm" | "angstrom";
  medium: "vacuum" | "air";
  /** The redshift that is taken out; 0 shows wavelengths as observed. */
  redshift: number;
}

/** In standard air: Morton 2000 (ApJS 130, 403), equation 8, the IAU standard. */
export function vacuumToAir(nm: number): number {
  if (nm < AIR_FROM_NM) return nm;
  const s2 = (1e3 / nm) ** 2;
  return nm / (1 + 8.34254e-5 + 2.406147e-2 / (130 - s2) + 1.5998e-4 / (38.9 - s2));
}

/** The inverse of it by N. Piskunov, as the VALD database uses it: right to 1e-6 nm in the optical. */
export function airToVacuum(nm: number): number {
  if (nm < AIR_FROM_NM) return nm;
  const s2 = (1e3 / nm) ** 2;
  const index =
    1 +
    0.00008336624212083 +
    0.02408926869968 / (130.1065924522 - s2) +
    0.0001599740894897 / (38.92568793293 - s2);
  return nm * index;
}

/** From nm in vacuum, as observed, to what is shown. */
export function toShown(nm: number, { unit, medium, redshift }: Shown): number {
  const rest = nm / (1 + redshift);
  return (medium === "air" ? vacuumToAir(rest) : rest) * (unit === "angstrom" ? 10 : 1);
}

export function fromShown(value: number, { unit, medium, redshift }: Shown): number {
  const rest = unit === "angstrom" ? value / 10 : value;
  return (medium === "air" ? airToVacuum(rest) : rest) * (1 + redshift);
}

/** Round numbers from `low` to `high`, about `count` of them, and how many digits they need. */
export function roundSteps(low: number, high: number, count: number): { steps: number[]; digits: number } {
  const rough = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((one) => one * power >= rough) ?? 10) * power;
  const steps: number[] = [];
  for (let at = Math.ceil(low / step); at * step <= high; at++) steps.push(at * step);
  return { steps, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}
