"""Vacuum wavelengths (nm) and strengths of the spectral lines, sky lines and telluric bands the survey draws.

Wavelengths follow the SDSS and NIST line lists; the OH lines follow Osterbrock et al. (1996).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BALMER: Final = (
    (656.46, 1.0),
    (486.27, 1.0),
    (434.17, 0.95),
    (410.29, 0.9),
    (397.12, 0.8),
    (389.02, 0.7),
    (383.65, 0.55),
)
"""(wavelength, relative strength in absorption)."""

CALCIUM_HK: Final = ((393.48, 1.0), (396.96, 0.85))
CALCIUM_TRIPLET: Final = ((850.04, 0.6), (854.44, 1.0), (866.45, 0.8))
SODIUM_D: Final = ((589.16, 1.0), (589.76, 0.85))
MAGNESIUM_B: Final = ((516.87, 0.8), (517.41, 0.9), (518.50, 1.0))
G_BAND: Final = ((430.6, 1.0),)
IRON: Final = (
    (438.5, 0.8),
    (452.9, 0.4),
    (466.9, 0.4),
    (489.2, 0.4),
    (495.8, 0.4),
    (527.1, 1.0),
    (532.9, 0.7),
    (540.7, 0.4),
    (570.9, 0.3),
    (578.4, 0.3),
    (614.3, 0.3),
    (649.7, 0.5),
)
HELIUM: Final = (
    (402.73, 0.8),
    (447.27, 1.0),
    (471.45, 0.3),
    (492.33, 0.4),
    (501.71, 0.4),
    (587.73, 0.7),
    (667.99, 0.6),
)
TITANIUM_OXIDE_HEADS: Final = (
    (476.3, 0.5),
    (495.5, 0.7),
    (516.8, 0.9),
    (545.0, 0.7),
    (585.0, 0.6),
    (615.9, 0.8),
    (665.3, 0.7),
    (705.6, 1.0),
    (759.2, 0.8),
    (820.8, 0.5),
    (843.4, 0.6),
    (886.2, 0.5),
)
"""Band heads; each band is deepest at its head and recovers to the red."""

NARROW_EMISSION: Final[dict[str, tuple[float, ...]]] = {
    "OII": (372.71, 372.99),
    "NeIII": (386.99,),
    "Hdelta": (410.29,),
    "Hgamma": (434.17,),
    "Hbeta": (486.27,),
    "OIII4959": (496.03,),
    "OIII5007": (500.82,),
    "HeI": (587.73,),
    "OI": (630.20,),
    "NII6548": (654.99,),
    "Halpha": (656.46,),
    "NII6583": (658.53,),
    "SII6717": (671.83,),
    "SII6731": (673.27,),
}

BROAD_EMISSION: Final = (
    (103.4, 1.0, 0.9),
    (121.57, 8.0, 1.0),
    (124.0, 1.8, 0.9),
    (139.8, 0.9, 0.9),
    (154.91, 3.4, 0.9),
    (164.0, 0.5, 1.2),
    (190.87, 2.1, 1.0),
    (279.91, 3.2, 0.75),
    (410.29, 0.6, 0.8),
    (434.17, 1.4, 0.8),
    (486.27, 4.6, 0.8),
    (656.46, 19.0, 0.7),
)
"""(wavelength, rest equivalent width in nm, relative velocity width): Vanden Berk et al. (2001), table 2."""

IRON_COMPLEXES: Final = ((250.0, 14.0, 0.28), (320.0, 18.0, 0.1), (457.0, 6.0, 0.14), (527.0, 7.0, 0.12))
"""(centre, standard deviation in nm, height over the continuum) of the Fe II pseudo-continuum."""

SKY_LINES: Final = (
    (557.89, 10.0), (589.16, 2.5), (630.2, 5.0), (636.55, 2.0), (686.5, 1.2), (691.4, 1.0), (724.2, 1.5),
    (727.8, 2.0), (731.8, 1.8), (734.3, 1.6), (771.8, 1.2), (775.2, 2.2), (779.6, 2.5), (782.3, 2.0),
    (791.5, 2.4), (796.6, 2.6), (799.5, 2.0), (806.4, 1.2), (828.2, 2.0), (830.1, 1.6), (834.7, 3.4),
    (840.2, 3.4), (843.3, 3.4), (846.8, 2.4), (849.6, 2.0), (850.7, 1.6), (876.3, 2.4), (878.0, 3.4),
    (882.9, 3.8), (885.2, 4.0), (886.9, 3.8), (890.6, 3.2), (892.2, 3.6), (894.5, 2.8), (896.0, 3.6),
    (899.0, 3.0), (900.4, 2.6), (903.8, 3.0), (905.0, 2.2), (931.5, 3.8), (937.8, 4.4), (942.2, 4.0),
    (944.2, 4.6),
)  # fmt: skip
"""(wavelength, strength in units of the continuum's noise)."""

TELLURIC_BANDS: Final = (
    (686.9, 691.5, 0.35),
    (716.5, 732.0, 0.18),
    (759.4, 769.0, 0.75),
    (814.0, 834.0, 0.2),
    (895.0, 925.0, 0.35),
    (929.0, 950.0, 0.55),
)
"""(from, to, depth at unit air mass): O2 B, H2O, O2 A, H2O, H2O, H2O."""


def gaussian_lines(wavelength: Array, lines: tuple[tuple[float, float], ...], *, sigma_nm: float) -> Array:
    """The sum of Gaussians of unit height times each line's strength."""
    total = np.zeros_like(wavelength)
    for centre, strength in lines:
        low, high = np.searchsorted(wavelength, (centre - 5 * sigma_nm, centre + 5 * sigma_nm))
        offset = (wavelength[low:high] - centre) / sigma_nm
        total[low:high] += strength * np.exp(-0.5 * offset**2)
    return total


def lorentzian_lines(wavelength: Array, lines: tuple[tuple[float, float], ...], *, width_nm: float) -> Array:
    """The sum of pressure-broadened profiles, flattened in the wings as Stark broadening is; unit height."""
    total = np.zeros_like(wavelength)
    for centre, strength in lines:
        total += strength / (1.0 + (np.abs(wavelength - centre) / width_nm) ** 1.7)
    return total


def telluric_transmission(wavelength: Array, *, airmass: float, texture: Array) -> Array:
    """Transmission of the Earth's atmosphere in [0, 1].

    Args:
        wavelength: (N,) observed nm.
        airmass: Path through the atmosphere, 1 at the zenith.
        texture: (N,) numbers near 1 that make the bands' unresolved lines uneven.
    """
    depth = np.zeros_like(wavelength)
    for start, end, strength in TELLURIC_BANDS:
        inside = np.clip((wavelength - start) / 0.4, 0, 1) * np.clip((end - wavelength) / (0.35 * (end - start)), 0, 1)
        depth += strength * inside
    return np.asarray(np.clip(1.0 - depth * texture * airmass**0.6, 0.02, 1.0))
