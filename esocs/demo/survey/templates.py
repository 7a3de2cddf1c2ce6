"""Noise-free spectra of stars, galaxies, emission-line galaxies and quasars on any observed wavelength grid.

Each function returns flux per wavelength with a median of 1. ``overlap`` is the class a hard one is confused
with (None for an easy one), ``ambiguity`` in [0, 1] how far it has gone there: docs/simulated-survey.md.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from scipy.ndimage import gaussian_filter1d

from esocs.demo.survey import lines
from esocs.demo.survey.lines import Array, gaussian_lines, lorentzian_lines

Rng = np.random.Generator

LIGHT_KM_S: Final = 299_792.458
SPECTRAL_TYPES: Final = {
    "B": (16000, 0.08),
    "A": (9300, 0.17),
    "F": (6900, 0.2),
    "G": (5750, 0.2),
    "K": (4500, 0.2),
    "M": (3350, 0.15),
}
"""Effective temperature in kelvin and share among the stars."""


# drawn once for all: a star's lines are where nature put them, only their strengths differ from star to star
_forest = np.random.default_rng(1996)
_FOREST_NM: Final = 262 + 440 * _forest.random(380) ** 1.25
_FOREST_STRENGTH: Final = _forest.gamma(1.2, 0.5, size=380) * np.exp(-np.maximum(_FOREST_NM - 370, 0) / 160)


def unit_median(flux: Array) -> Array:
    """The same spectrum with a median of 1."""
    return np.asarray(flux / np.median(flux))


def black_body(wavelength_nm: Array, temperature_k: float) -> Array:
    """Planck's law per wavelength, in arbitrary units."""
    x = 1.4387769e7 / (wavelength_nm * temperature_k)
    return np.asarray(1e12 / (wavelength_nm**5 * np.expm1(np.minimum(x, 200.0))))


def metal_forest(wavelength_nm: Array, *, depth: float, sigma_nm: float) -> Array:
    """Transmission of the hundreds of weak metal lines of a cool star, the same lines in every star.

    Args:
        wavelength_nm: (N,) rest wavelengths, evenly spaced.
        depth: Optical depth scale.
        sigma_nm: Line width.
    """
    step = (wavelength_nm[-1] - wavelength_nm[0]) / (wavelength_nm.size - 1)
    places = np.round((_FOREST_NM - wavelength_nm[0]) / step).astype(np.int64)
    inside = (places >= 0) & (places < wavelength_nm.size)
    blend = np.bincount(places[inside], weights=_FOREST_STRENGTH[inside], minlength=wavelength_nm.size)
    sigma_px = max(sigma_nm, 0.35) / step
    blend = gaussian_filter1d(blend, sigma_px, truncate=3.5) * sigma_px * math.sqrt(2 * math.pi)
    return np.asarray(np.exp(-depth * blend))


def stellar_spectrum(wavelength_nm: Array, *, temperature_k: float, sigma_nm: float, metals: float = 1.0) -> Array:
    """A star's photosphere: a black body under the lines that its temperature excites.

    Args:
        wavelength_nm: (N,) rest wavelengths, vacuum.
        temperature_k: Effective temperature, 3000 to 25,000.
        sigma_nm: Line width, instrument and velocities together.
        metals: Strength of the metal lines; 1 is solar.
    """
    # hydrogen is strongest where its first excited level is filled but not yet ionised, near 9,500 K
    hydrogen = 0.72 * math.exp(-0.5 * (math.log(temperature_k / 9500) / 0.33) ** 2) + (
        0.08 if temperature_k < 6500 else 0.12
    )
    cool = 1.0 / (1.0 + math.exp((temperature_k - 5600) / 450))
    warm = 1.0 / (1.0 + math.exp((temperature_k - 7300) / 500))
    width = sigma_nm + 1.5 * max(hydrogen - 0.12, 0.0)
    optical_depth = hydrogen * lorentzian_lines(wavelength_nm, lines.BALMER, width_nm=width)
    optical_depth += (
        warm * metals * 1.3 * lorentzian_lines(wavelength_nm, lines.CALCIUM_HK, width_nm=0.45 + 0.6 * cool + sigma_nm)
    )
    for group, strength, broad in (
        (lines.G_BAND, 0.5 * warm, 1.1),
        (lines.MAGNESIUM_B, 0.22 * warm + 0.35 * cool, 0.6),
        (lines.SODIUM_D, 0.08 * warm + 0.6 * cool, 0.25),
        (lines.CALCIUM_TRIPLET, 0.45 * warm, 0.3),
        (lines.IRON, 0.12 * warm + 0.2 * cool, 0.5),
    ):
        optical_depth += metals * strength * gaussian_lines(wavelength_nm, group, sigma_nm=math.hypot(sigma_nm, broad))
    if temperature_k > 11000:
        optical_depth += 0.3 * gaussian_lines(wavelength_nm, lines.HELIUM, sigma_nm=math.hypot(sigma_nm, 0.3))
    flux = black_body(wavelength_nm, temperature_k) * np.exp(-optical_depth)
    flux *= metal_forest(wavelength_nm, depth=metals * (0.15 * warm + 0.4 * cool), sigma_nm=sigma_nm)
    if temperature_k < 4200:
        oxide = (4200 - temperature_k) / 800
        for head, strength in lines.TITANIUM_OXIDE_HEADS:
            redward = wavelength_nm - head
            flux *= np.exp(-np.where(redward > 0, oxide * strength * np.exp(-np.maximum(redward, 0) / 14.0), 0.0))
    return flux


def star(wavelength_nm: Array, rng: Rng, *, sigma_nm: float, overlap: str | None) -> Array:
    """A star of type B to M; near ``galaxy`` a K dwarf, near ``quasar`` an almost featureless white dwarf."""
    names = list(SPECTRAL_TYPES)
    kind = str(rng.choice(names, p=[SPECTRAL_TYPES[name][1] for name in names]))
    temperature = SPECTRAL_TYPES[kind][0] * rng.uniform(0.93, 1.08)
    rest = wavelength_nm / (1 + rng.normal(0, 60) / LIGHT_KM_S)
    if overlap == "galaxy":
        temperature = rng.uniform(4600, 5300)
    flux = stellar_spectrum(rest, temperature_k=temperature, sigma_nm=sigma_nm, metals=rng.uniform(0.7, 1.15))
    if overlap == "quasar":
        flux = black_body(rest, rng.uniform(9000, 16000)) * np.exp(
            -0.06 * lorentzian_lines(rest, lines.BALMER[:2], width_nm=4.0)
        )
    return unit_median(flux)


def old_stars(rest_nm: Array, rng: Rng, *, sigma_nm: float, young_share: float) -> Array:
    """The light of a passive galaxy: giants, a 4000 Å break, lines broadened by its velocities."""
    giants = stellar_spectrum(rest_nm, temperature_k=rng.uniform(4550, 4900), sigma_nm=sigma_nm, metals=0.85)
    turn_off = stellar_spectrum(rest_nm, temperature_k=5900, sigma_nm=sigma_nm)
    hot = stellar_spectrum(rest_nm, temperature_k=9000, sigma_nm=sigma_nm)
    at_550 = int(np.argmin(np.abs(rest_nm - 550)))
    flux = 0.65 * giants / giants[at_550] + 0.35 * turn_off / turn_off[at_550]
    step = 1.0 - 0.42 / (1.0 + np.exp(np.clip((rest_nm - 398.5) / 1.6, -50, 50)))
    cyanogen = 1 - 0.12 * np.exp(-0.5 * ((rest_nm - 384.5) / 3.5) ** 2)
    return np.asarray((1 - young_share) * flux * step * cyanogen + young_share * hot / hot[at_550])


def galaxy(wavelength_nm: Array, rng: Rng, *, sigma_nm: float, redshift: float, overlap: str | None) -> Array:
    """A passive galaxy; near ``emission-line galaxy`` with weak lines, near ``star`` without a redshift."""
    rest = wavelength_nm / (1 + redshift)
    velocities = rng.uniform(140, 280) / LIGHT_KM_S * 500.0
    width = math.hypot(sigma_nm / (1 + redshift), velocities)
    flux = unit_median(old_stars(rest, rng, sigma_nm=width, young_share=rng.uniform(0.0, 0.1)))
    if overlap == "emission-line galaxy":
        flux = add_emission(flux, rest, rng, sigma_nm=width, halpha_nm=rng.uniform(0.25, 0.5))
    return flux


def add_emission(flux: Array, rest_nm: Array, rng: Rng, *, sigma_nm: float, halpha_nm: float) -> Array:
    """Nebular lines over a continuum, in ratios between a star-forming disc's and a metal-poor dwarf's.

    Args:
        flux: (N,) continuum.
        rest_nm: (N,) rest wavelengths.
        rng: The object's stream.
        sigma_nm: Line width in the rest frame.
        halpha_nm: Rest equivalent width of Halpha.
    """
    excitation = rng.random()
    halpha = 1.0
    ratios = {
        "OII": 0.45 * halpha * rng.uniform(0.7, 1.3),
        "NeIII": 0.12 * excitation,
        "Hdelta": 0.06,
        "Hgamma": 0.13,
        "Hbeta": 0.3,
        "OIII4959": 0.1 + 0.4 * excitation,
        "OIII5007": 0.3 + 1.2 * excitation,
        "HeI": 0.03 + 0.03 * excitation,
        "OI": 0.03,
        "NII6548": 0.13 * (1.1 - excitation),
        "Halpha": halpha,
        "NII6583": 0.4 * (1.1 - excitation),
        "SII6717": 0.2 - 0.1 * excitation,
        "SII6731": 0.15 - 0.07 * excitation,
    }
    level = float(np.interp(656.46, rest_nm, flux)) if rest_nm[-1] > 656 else float(np.median(flux))
    line_flux = 0.6 * level * halpha_nm + 0.4 * halpha_nm * float(np.median(flux))
    height = line_flux / (sigma_nm * math.sqrt(2 * math.pi))
    pairs = tuple(
        (centre, ratios[name] * height) for name, centres in lines.NARROW_EMISSION.items() for centre in centres
    )
    return flux + gaussian_lines(rest_nm, pairs, sigma_nm=sigma_nm)


def emission_line_galaxy(
    wavelength_nm: Array, rng: Rng, *, sigma_nm: float, redshift: float, overlap: str | None, ambiguity: float
) -> Array:
    """Halpha 3-18 nm wide; near ``galaxy`` under 1 nm over old stars, near ``quasar`` broadened."""
    rest = wavelength_nm / (1 + redshift)
    velocities = rng.uniform(70, 160)
    width = math.hypot(sigma_nm / (1 + redshift), velocities / LIGHT_KM_S * 500.0)
    young, halpha = rng.uniform(0.35, 0.8), math.exp(rng.uniform(math.log(3.0), math.log(18.0)))
    if overlap == "galaxy":
        young, halpha = 0.15, 0.9 - 0.5 * ambiguity
    stars = unit_median(old_stars(rest, rng, sigma_nm=width, young_share=0.9 if overlap == "quasar" else young))
    if overlap == "quasar":
        width, halpha = width + 1.0 + 0.8 * ambiguity, 4.0
    return unit_median(add_emission(stars, rest, rng, sigma_nm=width, halpha_nm=halpha))


def quasar(
    wavelength_nm: Array, rng: Rng, *, sigma_nm: float, redshift: float, overlap: str | None, ambiguity: float
) -> Array:
    """A power law under broad lines, eaten by the Lyman-alpha forest; hard ones have weak or narrow lines."""
    rest = wavelength_nm / (1 + redshift)
    slope = -rng.normal(1.55, 0.25)
    flux = (rest / 250.0) ** slope
    velocity = rng.uniform(1600, 3200)
    strength = rng.uniform(0.8, 1.5)
    if overlap is not None:
        strength *= 0.45 - 0.35 * ambiguity
    if overlap == "emission-line galaxy":
        velocity, strength = 700.0, 0.35
    total = np.ones_like(rest)
    for centre, width_nm, relative in lines.BROAD_EMISSION:
        sigma = math.hypot(velocity * relative / LIGHT_KM_S * centre, sigma_nm / (1 + redshift))
        height = strength * width_nm / (sigma * math.sqrt(2 * math.pi))
        # a broad core on a broader base: more peaked than one Gaussian, as real lines are
        pair = ((centre, 1.0),)
        total += height * (
            0.7 * gaussian_lines(rest, pair, sigma_nm=0.75 * sigma)
            + 0.25 * gaussian_lines(rest, pair, sigma_nm=1.9 * sigma)
        )
    for centre, spread, height in lines.IRON_COMPLEXES:
        total += strength * height * np.exp(-0.5 * ((rest - centre) / spread) ** 2)
    flux = flux * total
    narrow = 0.5 * strength
    pairs = ((496.03, narrow / 3), (500.82, narrow))
    flux += (rest / 250.0) ** slope * gaussian_lines(rest, pairs, sigma_nm=math.hypot(sigma_nm / (1 + redshift), 0.6))
    return unit_median(flux * lyman_forest(rest, rng, redshift=redshift))


def lyman_forest(rest_nm: Array, rng: Rng, *, redshift: float) -> Array:
    """Transmission of the intergalactic hydrogen; mean optical depth of Faucher-Giguère et al. (2008)."""
    transmission = np.ones_like(rest_nm)
    forest = rest_nm < 121.0
    if not forest.any():
        return transmission
    observed_z = rest_nm[forest] / 121.567 * (1 + redshift) - 1
    mean_depth = 0.0018 * np.maximum(1 + observed_z, 0.5) ** 3.92
    clumps = rng.gamma(0.6, 1 / 0.6, size=int(forest.sum()))
    kernel = np.array([0.15, 0.35, 0.35, 0.15])
    transmission[forest] = np.exp(-mean_depth * 1.5 * np.convolve(clumps, kernel)[: clumps.size])
    transmission[rest_nm < 91.2] *= 0.08
    return transmission
