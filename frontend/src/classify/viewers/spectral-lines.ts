// Where spectral lines lie, in ångström in vacuum and at rest.
//
// Single lines and the doublets of forbidden lines: NIST's Atomic Spectra Database (physics.nist.gov/asd), whose values
// in air are turned into vacuum by Morton (2000), as in wavelengths.ts. What a galaxy or a quasar blends into one (G,
// Mg b, the ultraviolet doublets): the table of lines that SDSS fits (classic.sdss.org/dr7/algorithms/linestable.html).
// TiO: the head of the γ (0-0) band at 7054 Å in air (Valenti, Piskunov & Johns-Krull 1998, ApJ 498, 851). O₂: the heads
// of the atmosphere's bands, Fraunhofer's A and B, at 7593.7 and 6867.2 Å in air.
// tests/browser/test_viewers.py compares each line above 2000 Å with its wavelength in air.

import type { LineList } from "./line-lists";

export interface SpectralLine {
  name: string;
  angstrom: number;
}

const lines = (text: string): SpectralLine[] =>
  text
    .trim()
    .split(/\s*;\s*/)
    .map((entry) => {
      const at = entry.lastIndexOf(" ");
      return { name: entry.slice(0, at), angstrom: Number(entry.slice(at + 1)) };
    });

const BALMER = "Hα 6564.61; Hβ 4862.69; Hγ 4341.69; Hδ 4102.89; Hε 3971.20; H8 3890.17";
const CALCIUM_NEAR_INFRARED = "Ca II 8500.36; Ca II 8544.44; Ca II 8664.52";

export const SPECTRAL_LINES: Record<LineList, { lines: SpectralLine[]; moves: boolean; token: string }> = {
  "galaxy-emission": {
    moves: true,
    token: "--accent",
    lines: lines(
      `Lyα 1215.67; [O II] 3727.09; [O II] 3729.88; [Ne III] 3869.86; ${BALMER}; [O III] 4364.44; [O III] 4960.30;
       [O III] 5008.24; He I 5877.25; [O I] 6302.05; [N II] 6549.86; [N II] 6585.27; [S II] 6718.29; [S II] 6732.67;
       [S III] 9071.1; [S III] 9533.2; He I 10833.3; Paγ 10941.1; Paβ 12821.6; Paα 18756.1; Brγ 21661.2`,
    ),
  },
  "galaxy-absorption": {
    moves: true,
    token: "--consensus",
    lines: lines(
      `Ca K 3934.78; Ca H 3969.59; Hδ 4102.89; G 4305.61; Hβ 4862.69; Mg b 5176.7; Na D 5891.58; Na D 5897.56;
       ${CALCIUM_NEAR_INFRARED}`,
    ),
  },
  quasar: {
    moves: true,
    token: "--crowd",
    lines: lines(
      `O VI 1033.82; Lyα 1215.67; N V 1240.81; O I 1305.53; C II 1335.31; Si IV 1397.61; C IV 1549.48; He II 1640.4;
       Al III 1857.4; C III] 1908.73; C II] 2326.0; [Ne IV] 2439.5; Mg II 2799.12; [Ne V] 3426.85; [O II] 3728.48;
       Hδ 4102.89; Hγ 4341.69; Hβ 4862.69; [O III] 4960.30; [O III] 5008.24; Hα 6564.61`,
    ),
  },
  star: {
    moves: true,
    token: "--machine",
    lines: lines(
      `Ca K 3934.78; Ca H 3969.59; ${BALMER}; G 4305.61; He I 4472.73; He II 4687.02; Mg b 5168.76; Mg b 5174.13;
       Mg b 5185.05; He I 5877.25; Na D 5891.58; Na D 5897.56; TiO 7056.0; ${CALCIUM_NEAR_INFRARED}`,
    ),
  },
  "night-sky": {
    moves: false,
    token: "--muted",
    lines: lines(
      `Hg 4359.56; Hg 5462.26; [O I] 5578.89; Na 5891.58; [O I] 6302.05; [O I] 6365.54; O₂ B 6869.1; O₂ A 7595.8`,
    ),
  },
};
