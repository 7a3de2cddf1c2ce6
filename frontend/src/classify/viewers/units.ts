// A file's unit and its powers of ten, written as people write them: erg cm⁻² s⁻¹ Å⁻¹.

const RAISED: Record<string, string> = {
  "-": "⁻",
  "0": "⁰",
  "1": "¹",
  "2": "²",
  "3": "³",
  "4": "⁴",
  "5": "⁵",
  "6": "⁶",
  "7": "⁷",
  "8": "⁸",
  "9": "⁹",
};

function raise(power: number): string {
  return String(power).replace(/[-\d]/g, (sign) => RAISED[sign] ?? sign);
}

/** The unit string of a FITS header (FITS standard 4.0, section 4.3: `**`, `^` or a bare exponent); others stay. */
export function writeUnit(fits: string): string {
  return fits
    .replace(/(?:\*\*|\^)\(?([+-]?\d{1,3})\)?/g, (_, power: string) => raise(Number(power)))
    .replace(
      /([a-z])([+-]?\d{1,2})(?![\w.])/gi,
      (_, letter: string, power: string) => letter + raise(Number(power)),
    )
    .replace(/\bangstroms?\b/gi, "Å")
    .replace(/\*/g, " ");
}

/** The power of ten that an axis up to `largest` leaves to its title; 0 where its numbers are short anyway. */
export function axisPower(largest: number): number {
  if (!(largest > 0) || (largest >= 1e-2 && largest < 1e4)) return 0;
  return Math.floor(Math.log10(largest));
}

/** "10⁻¹⁶ erg s⁻¹", and each of the two alone. */
export function withPower(power: number, unit: string): string {
  return [power === 0 ? "" : `10${raise(power)}`, unit].filter(Boolean).join(" ");
}
