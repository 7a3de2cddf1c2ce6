"""One simulated spectrum: a template through the atmosphere and the spectrograph, with its error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from esocs.demo.survey import defects, lines, templates
from esocs.demo.survey.difficulty import Draw
from esocs.demo.survey.lines import Array, gaussian_lines

Rng = np.random.Generator

SECOND_CLASSES: Final[dict[str, tuple[str, ...]]] = {
    "star": ("galaxy", "quasar"),
    "galaxy": ("emission-line galaxy", "star"),
    "emission-line galaxy": ("galaxy", "quasar"),
    "quasar": ("star", "emission-line galaxy"),
    "bad": ("star", "galaxy", "quasar"),
}
"""The classes that a careful reader might take a hard one for; equally likely."""

EASY_SIGNAL: Final[dict[str, tuple[float, float]]] = {
    "star": (12, 80),
    "galaxy": (11, 60),
    "emission-line galaxy": (4, 50),
    "quasar": (7, 60),
    "bad": (14, 60),
}
"""Range of the median signal-to-noise a pixel of an easy spectrum, log-uniform."""

MIN_NM: Final = 370.0
MAX_NM: Final = 950.0


@dataclass(frozen=True, kw_only=True, slots=True)
class SimulatedSpectrum:
    """A spectrum as observed and what is true of it.

    Attributes:
        wavelength_nm: (N,) vacuum.
        flux: (N,) flux per wavelength, the template's median at ``flux_scale``'s unit of 1.
        error: (N,) standard deviation of ``flux``.
        telluric: (N,) transmission of the atmosphere, still in ``flux``.
        continuum: (N,) smooth running level of ``flux``.
        sky: (N,) quality flag, 1 within a strong sky line.
        resolution: Resolving power at 600 nm.
        second_class: What it might be taken for.
        detail: The defect's kind, for a bad one.
        redshift: Of the template; 0 for stars.
        signal_to_noise: Median a pixel that a healthy spectrum of this exposure has.
    """

    wavelength_nm: Array
    flux: Array
    error: Array
    telluric: Array
    continuum: Array
    sky: Array
    resolution: float
    second_class: str
    detail: str
    redshift: float
    signal_to_noise: float


def draw_redshift(class_name: str, rng: Rng) -> float:
    """Redshift of an easy one, where the class shows at least two of its features between 370 and 950 nm."""
    if class_name == "galaxy":
        return float(rng.uniform(0.02, 0.55))
    if class_name == "emission-line galaxy":
        return float(rng.uniform(0.02, 0.82))
    if class_name == "quasar":
        return float(rng.uniform(0.25, 0.6) if rng.random() < 0.2 else rng.uniform(1.1, 3.9))
    return 0.0


def draw_shared_redshift(pair: set[str], rng: Rng) -> float:
    """Redshift of a hard one, where its two candidate classes look most alike."""
    if pair == {"star", "galaxy"}:
        return 0.002
    if pair == {"star", "quasar"}:
        # no broad line but Mg II is well inside
        return float(rng.uniform(0.75, 1.0))
    if pair == {"emission-line galaxy", "quasar"}:
        return float(rng.uniform(0.3, 0.8))
    return float(rng.uniform(0.02, 0.55))


def template(
    class_name: str,
    wavelength_nm: Array,
    rng: Rng,
    *,
    sigma_nm: float,
    redshift: float,
    overlap: str | None,
    ambiguity: float,
) -> Array:
    """The noise-free spectrum of a class that is not ``bad``; median 1."""
    if class_name == "star":
        return templates.star(wavelength_nm, rng, sigma_nm=sigma_nm, overlap=overlap)
    if class_name == "galaxy":
        return templates.galaxy(wavelength_nm, rng, sigma_nm=sigma_nm, redshift=redshift, overlap=overlap)
    if class_name == "emission-line galaxy":
        return templates.emission_line_galaxy(
            wavelength_nm, rng, sigma_nm=sigma_nm, redshift=redshift, overlap=overlap, ambiguity=ambiguity
        )
    return templates.quasar(
        wavelength_nm, rng, sigma_nm=sigma_nm, redshift=redshift, overlap=overlap, ambiguity=ambiguity
    )


def clean_spectrum(
    class_name: str, wavelength_nm: Array, rng: Rng, *, sigma_nm: float, overlap: str | None, ambiguity: float
) -> tuple[Array, float]:
    """Noise-free flux of median 1, and its redshift.

    A hard one is a blend: from 85 % its own class near difficulty 0.5 to an even mixture with the class it is
    confused with at 1, where the spectrum itself no longer says which of the two it is.
    """
    if overlap is None:
        redshift = draw_redshift(class_name, rng)
        flux = template(
            class_name, wavelength_nm, rng, sigma_nm=sigma_nm, redshift=redshift, overlap=None, ambiguity=0.0
        )
        return flux, redshift
    redshift = draw_shared_redshift({class_name, overlap}, rng)
    own, other = (
        template(
            name,
            wavelength_nm,
            rng,
            sigma_nm=sigma_nm,
            redshift=redshift,
            overlap=rival,
            ambiguity=ambiguity,
        )
        for name, rival in ((class_name, overlap), (overlap, class_name))
    )
    share = 0.15 + 0.35 * ambiguity
    return templates.unit_median((1 - share) * own + share * other), 0.0 if class_name == "star" else redshift


def noise_profile(wavelength_nm: Array, flux: Array, *, sigma_nm: float) -> Array:
    """Shape of the noise: photons, a falling throughput at both ends, and the bright sky lines."""
    throughput = np.clip(np.minimum((wavelength_nm - 340) / 80, (1010 - wavelength_nm) / 130), 0.08, 1.0)
    sky = 1.0 + 0.55 * gaussian_lines(wavelength_nm, lines.SKY_LINES, sigma_nm=1.2 * sigma_nm)
    return np.asarray(np.sqrt(0.5 + 0.5 * np.clip(flux, 0.0, 20.0)) * sky / throughput**0.75)


def running_level(flux: Array, *, pieces: int = 24) -> Array:
    """A smooth level: the medians of some twenty pieces, joined."""
    n = flux.size // pieces
    medians = np.median(flux[: n * pieces].reshape(pieces, n), axis=1)
    return np.interp(np.arange(flux.size), (np.arange(pieces) + 0.5) * n, medians)


def draw_signal(draw: Draw, rng: Rng) -> float:
    """Median signal-to-noise a pixel: log-uniform in the class's range, lower the harder a hard one is."""
    low, high = np.log(EASY_SIGNAL[draw.class_name])
    if draw.is_hard:
        middle = {"bad": 12.0, "emission-line galaxy": 5.0 - 2.5 * draw.ambiguity}.get(
            draw.class_name, 6.0 - 4.0 * draw.ambiguity
        )
        low, high = math.log(0.75 * middle), math.log(1.35 * middle)
    return float(np.exp(rng.uniform(low, high)))


def simulate_spectrum(draw: Draw, rng: Rng, *, airmass: float) -> SimulatedSpectrum:
    """Draw one spectrum; everything random comes from ``rng``.

    Args:
        draw: Class and difficulty.
        rng: The object's stream.
        airmass: Path through the atmosphere, for the telluric bands.
    """
    confused_with = str(rng.choice(SECOND_CLASSES[draw.class_name]))
    overlap = confused_with if draw.is_hard else None
    points = int(rng.integers(2500, 4001))
    wavelength = np.linspace(MIN_NM + rng.uniform(0, 3), MAX_NM - rng.uniform(0, 3), points)
    resolution = float(rng.uniform(1100, 2600))
    sigma_nm = 600.0 / resolution / 2.355

    body = draw.class_name
    bad = body == "bad"
    if bad:
        body = overlap if overlap is not None else str(rng.choice(SECOND_CLASSES["bad"]))
    clean, redshift = clean_spectrum(
        body,
        wavelength,
        rng,
        sigma_nm=sigma_nm,
        overlap=None if bad else overlap,
        ambiguity=draw.ambiguity,
    )
    signal = draw_signal(draw, rng)

    texture = np.clip(1 + 0.5 * np.convolve(rng.standard_normal(points), np.ones(4) / 2, mode="same"), 0.2, 1.8)
    telluric = lines.telluric_transmission(wavelength, airmass=airmass, texture=texture)
    observed = clean * telluric
    shape = noise_profile(wavelength, observed, sigma_nm=sigma_nm)
    error = shape * (float(np.median(observed / shape)) / signal)
    noise = error * rng.standard_normal(points)
    flux, detail = observed + noise, ""
    if bad:
        detail = str(rng.choice(defects.KINDS))
        # a full well clips the noise too; every other defect is in the light itself
        after_noise = detail == "saturated"
        damaged = defects.draw_defect(
            detail,
            wavelength,
            flux if after_noise else observed,
            rng,
            ambiguity=draw.ambiguity,
            sigma_nm=sigma_nm,
        )
        flux = damaged if after_noise else damaged + noise
    sky = (gaussian_lines(wavelength, lines.SKY_LINES, sigma_nm=1.2 * sigma_nm) > 1.5).astype(np.float64)
    return SimulatedSpectrum(
        wavelength_nm=wavelength,
        flux=flux,
        error=error,
        telluric=telluric,
        continuum=running_level(flux),
        sky=sky,
        resolution=resolution,
        second_class=confused_with,
        detail=detail,
        redshift=redshift,
        signal_to_noise=signal,
    )
