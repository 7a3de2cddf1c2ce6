// The lists of spectral lines that there are; the lines themselves are loaded with the plot.

export const LINE_LISTS = ["galaxy-emission", "galaxy-absorption", "quasar", "star", "night-sky"] as const;
export type LineList = (typeof LINE_LISTS)[number];
