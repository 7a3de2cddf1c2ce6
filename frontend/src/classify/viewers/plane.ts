// A picture's own samples, 16 bits each: read from the file that the server wrote (classifier/display_plane.py), or
// taken from a decoded picture, whose 8 bits fit into them.

/** The tangent plane (TAN) of a picture's pixels, 0-based from the centre of the top left one, y downwards. */
export interface SkyPlane {
  ra_deg: number;
  dec_deg: number;
  x_px: number;
  y_px: number;
  cd11: number;
  cd12: number;
  cd21: number;
  cd22: number;
  tolerance_px: number;
}

export interface Plane {
  width: number;
  height: number;
  /** 1, or 3: red, green, blue. */
  bands: 1 | 3;
  /** float16 bits, band after band, row 0 on top. */
  samples: Uint16Array<ArrayBuffer>;
  /** Samples of a file are in sigmas of the sky's noise; those of a picture are its levels, 0 to 255. */
  of: "sky" | "picture";
  /** background + noise × sample is the value in `unit`. */
  background: number;
  noise: number;
  unit: string;
  /** Black and white as the picture beside it has them, in samples. */
  low: number;
  high: number;
  sky: SkyPlane | null;
}

const MAGIC = "ESOCSPL\u0001";
/** A sample of this value, -0.0, is missing in the file. */
export const MISSING = 0x8000;
const MOST_PIXELS = 64_000_000;

let floats: Float32Array | null = null;

/** Every float16 by its bits. */
export function halfFloats(): Float32Array {
  if (floats) return floats;
  floats = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    const size =
      exponent === 0
        ? fraction * 2 ** -24
        : exponent === 31
          ? fraction
            ? NaN
            : Infinity
          : (1 + fraction / 1024) * 2 ** (exponent - 15);
    floats[bits] = bits & 0x8000 ? -size : size;
  }
  return floats;
}

/** The float16 of an integer from 0 to 255, exactly. */
function halfOf(level: number): number {
  if (level === 0) return 0;
  const exponent = Math.floor(Math.log2(level));
  return ((exponent + 15) << 10) | ((level / 2 ** exponent - 1) * 1024);
}

function isFinite(...values: unknown[]): boolean {
  return values.every((value) => typeof value === "number" && Number.isFinite(value));
}

function readSky(value: unknown): SkyPlane | null {
  if (typeof value !== "object" || value === null) return null;
  const sky = value as SkyPlane;
  const numbers = [sky.ra_deg, sky.dec_deg, sky.x_px, sky.y_px, sky.cd11, sky.cd12, sky.cd21, sky.cd22];
  return isFinite(...numbers, sky.tolerance_px) ? sky : null;
}

/** Reads a plane. Throws when it is none or a damaged one. */
export async function decodePlane(file: ArrayBuffer): Promise<Plane> {
  const start = new Uint8Array(file, 0, MAGIC.length);
  if (String.fromCharCode(...start) !== MAGIC) throw new Error("It is no plane.");
  const length = new DataView(file).getUint32(MAGIC.length, true);
  const from = MAGIC.length + 4;
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(file, from, length))) as Record<
    string,
    unknown
  >;
  const { width, height, bands, background, noise, low, high, unit } = head as unknown as Omit<
    Plane,
    "bands"
  > & { bands: number };
  if (!isFinite(width, height, background, noise, low, high) || (bands !== 1 && bands !== 3))
    throw new Error("The plane's head makes no sense.");
  const count = width * height;
  if (count < 1 || count > MOST_PIXELS || low >= high) throw new Error("The plane's head makes no sense.");
  const packed = new Blob([new Uint8Array(file, from + length)]).stream();
  const unpacked = packed.pipeThrough(new DecompressionStream("deflate-raw"));
  const octets = new Uint8Array(await new Response(unpacked).arrayBuffer());
  if (octets.length !== count * bands * 2) throw new Error("The plane is damaged.");
  const samples = new Uint16Array(count * bands);
  for (let band = 0; band < bands; band++) {
    const at = band * count * 2;
    for (let i = 0; i < count; i++)
      samples[band * count + i] = ((octets[at + i] ?? 0) << 8) | (octets[at + count + i] ?? 0);
  }
  const text = typeof unit === "string" ? unit : "";
  const sky = readSky(head.sky);
  return { width, height, bands, samples, of: "sky", background, noise, unit: text, low, high, sky };
}

/** The levels of a decoded picture: one band where it is grey. */
export function planeOfPicture(bitmap: ImageBitmap): Plane {
  const { width, height } = bitmap;
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("This browser has no canvas.");
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const count = width * height;
  let grey = true;
  for (let i = 0; grey && i < data.length; i += 4) grey = data[i] === data[i + 1] && data[i] === data[i + 2];
  const halves = Uint16Array.from({ length: 256 }, (_, level) => halfOf(level));
  const bands = grey ? 1 : 3;
  const samples = new Uint16Array(count * bands);
  for (let band = 0; band < bands; band++)
    for (let i = 0; i < count; i++) samples[band * count + i] = halves[data[i * 4 + band] ?? 0] ?? 0;
  return {
    width,
    height,
    bands,
    samples,
    of: "picture",
    background: 0,
    noise: 1,
    unit: "",
    low: 0,
    high: 255,
    sky: null,
  };
}

/** The bits of a band's sample; null outside. */
export function sampleAt(plane: Plane, x: number, y: number, band: number): number | null {
  if (x < 0 || y < 0 || x >= plane.width || y >= plane.height) return null;
  return plane.samples[(band * plane.height + y) * plane.width + x] ?? null;
}
