"""What is wrong with a bad spectrum: fringes, sky residuals, no light, a jump between arms, saturation."""

from __future__ import annotations

from typing import Final

import numpy as np

from esocs.demo.survey.lines import SKY_LINES, Array, gaussian_lines

Rng = np.random.Generator

KINDS: Final = ("fringing", "sky-residual", "dead", "jump", "saturated")


def fringing(wavelength_nm: Array, flux: Array, rng: Rng, *, strength: float) -> Array:
    """Interference within the detector, beyond 600 nm, stronger to the red: order 2 n t / wavelength."""
    path_nm = rng.uniform(60_000, 140_000)
    envelope = np.clip((wavelength_nm - 600) / 250, 0, 1) ** 0.8
    beat = 0.75 + 0.25 * np.sin(wavelength_nm / rng.uniform(12, 30))
    pattern = np.sin(2 * np.pi * path_nm / wavelength_nm + rng.uniform(0, 6.28))
    return np.asarray(flux * (1 + strength * rng.uniform(0.45, 0.8) * envelope * beat * pattern))


def sky_residual(wavelength_nm: Array, flux: Array, rng: Rng, *, strength: float, sigma_nm: float) -> Array:
    """Sky lines subtracted with a shifted wavelength scale: each leaves a peak beside a trough."""
    shift = rng.choice([-1.0, 1.0]) * 0.7 * sigma_nm
    scale = strength * rng.uniform(0.5, 1.0)
    pairs = tuple((centre, height * scale) for centre, height in SKY_LINES)
    late = tuple((centre + shift, height * scale * rng.uniform(0.7, 1.0)) for centre, height in SKY_LINES)
    return np.asarray(
        flux
        + gaussian_lines(wavelength_nm, pairs, sigma_nm=sigma_nm)
        - gaussian_lines(wavelength_nm, late, sigma_nm=sigma_nm)
    )


def dead(wavelength_nm: Array, flux: Array, rng: Rng, *, strength: float) -> Array:
    """No light: the fibre or shutter failed, for the whole range or from some wavelength on."""
    if rng.random() < 0.5:
        return np.asarray(flux * (1 - strength))
    border = rng.uniform(480, 640)
    gone = (wavelength_nm > border) if rng.random() < 0.5 else (wavelength_nm < border + 60)
    return np.where(gone, flux * (1 - strength), flux)


def jump(wavelength_nm: Array, flux: Array, rng: Rng, *, strength: float) -> Array:
    """Two spectrograph arms of different flux scale, joined where the dichroic divides them."""
    border = rng.uniform(545, 570) if rng.random() < 0.6 else rng.uniform(660, 700)
    factor = 1 + strength * rng.uniform(0.9, 2.2)
    factor = factor if rng.random() < 0.5 else 1 / factor
    ripple = 1 + 0.3 * strength * np.exp(-np.abs(wavelength_nm - border) / 6) * np.sin(wavelength_nm * 2.1)
    return np.asarray(np.where(wavelength_nm > border, flux * factor, flux) * ripple)


def saturated(wavelength_nm: Array, flux: Array, rng: Rng, *, strength: float) -> Array:
    """Counts beyond full well: a flat top, and beyond it wrap-around that turns the peak into a hole."""
    throughput = np.exp(-0.5 * ((wavelength_nm - rng.uniform(520, 760)) / rng.uniform(90, 140)) ** 2)
    counts = flux * (0.2 + throughput)
    ceiling = float(np.quantile(counts, 1 - 0.45 * strength))
    clipped = np.minimum(counts, ceiling)
    excess = counts - ceiling
    if rng.random() < 0.5:
        deep = excess > 0.45 * max(float(excess.max()), 1e-9)
        clipped = np.where(deep, 0.05 * ceiling, clipped)
    return np.asarray(clipped)


def draw_defect(kind: str, wavelength_nm: Array, flux: Array, rng: Rng, *, ambiguity: float, sigma_nm: float) -> Array:
    """A healthy spectrum of median 1 made bad; a hard one so slightly that it could pass for healthy."""
    strength = 1.0 if ambiguity == 0 else 0.45 - 0.35 * ambiguity
    if kind == "fringing":
        return fringing(wavelength_nm, flux, rng, strength=strength)
    if kind == "sky-residual":
        return sky_residual(wavelength_nm, flux, rng, strength=strength, sigma_nm=sigma_nm)
    if kind == "dead":
        return dead(wavelength_nm, flux, rng, strength=strength)
    if kind == "jump":
        return jump(wavelength_nm, flux, rng, strength=strength)
    return saturated(wavelength_nm, flux, rng, strength=strength)
