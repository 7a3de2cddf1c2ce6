// Colour maps: 256 colours from black to white point. Viridis, magma and inferno are by S. van der Walt and N. Smith
// (2015, CC0), cividis by Nuñez, Anderton & Renslow (2018, PLoS ONE 13, e0199239, CC0): 35 of their colours at even
// steps, and straight lines between. Grey and heat are formulas.

export const COLOUR_MAPS = ["grey", "viridis", "magma", "inferno", "cividis", "heat"] as const;
export type ColourMap = (typeof COLOUR_MAPS)[number];

const ANCHORS: Partial<Record<ColourMap, string>> = {
  viridis:
    "440154470c5f481769482172472a7a463480433d844045883d4e8a39568c355e8d32658e2e6d8e2b748e297b8e26828e" +
    "23898e21908c1f978b1f9e8921a58526ac812eb37c39b97646c06f55c66765cb5e76d05389d5489cd93cb0dd2fc4e022" +
    "d8e219ebe51afde725",
  magma:
    "000004030311090720110c301a10422512543111653e0f724a107956147d6219806e1e81792282852781912b819d2f7f" +
    "aa337db63779c23b75ce4070d9466be44e65ec5860f3655cf7725cfa805ffc8e64fd9c6bfeaa74feb87ffec68afed496" +
    "fde2a3fcefb1fcfdbf",
  inferno:
    "0000040303110a0722130a331e0c452a0b56380962440a69510e6c5d126e69166e741b6e801f6c8c2369982766a42c61" +
    "b0315bbb3755c63d4dd04545d94d3de15734e9612bef6d22f47918f8860efa9407fca208fcb014fbbf24f8cd37f5dc4e" +
    "f2ea69f3f688fcffa4",
  cividis:
    "00224e00285a002d68003271163770243c6e2e416d37476c3f4c6c47516c4e566c555b6d5c616e62666f696b716f7073" +
    "7676767c7b788381798a8778928c78999277a09875a89e73afa471b7aa6ebfb06bc7b667cfbd62d7c45ddfca57e7d14f" +
    "f0d846f9df3bfee838",
};

function between(anchors: string, share: number): [number, number, number] {
  const at = share * (anchors.length / 6 - 1);
  const first = Math.min(anchors.length / 6 - 2, Math.floor(at));
  const colour = (place: number, channel: number): number =>
    parseInt(anchors.slice(place * 6 + channel * 2, place * 6 + channel * 2 + 2), 16);
  const mixed = (channel: number): number =>
    colour(first, channel) + (colour(first + 1, channel) - colour(first, channel)) * (at - first);
  return [mixed(0), mixed(1), mixed(2)];
}

const clamp = (value: number): number => Math.min(255, Math.max(0, value));

/** RGBA of 256 levels; inverted, white comes first. */
export function colourTable(map: ColourMap, inverted: boolean): Uint8Array<ArrayBuffer> {
  const table = new Uint8Array(1024);
  const anchors = ANCHORS[map];
  for (let level = 0; level < 256; level++) {
    const value = inverted ? 255 - level : level;
    const colour = anchors
      ? between(anchors, value / 255)
      : map === "heat"
        ? [clamp(value * 2.6667), clamp((value - 95.6) * 2.6667), clamp((value - 191.25) * 4)]
        : [value, value, value];
    table.set([...colour.map(Math.round), 255], level * 4);
  }
  return table;
}
