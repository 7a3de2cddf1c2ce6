"""One simulated image: a target of its class among faint neighbours, through seeing, on the detector."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import galsim
import numpy as np
from numpy.typing import NDArray

from esocs.demo.survey import artifacts, galaxies
from esocs.demo.survey.difficulty import Draw
from esocs.demo.survey.encounters import merger
from esocs.demo.survey.observing import ImageConditions
from esocs.demo.survey.optics import (
    SIZE_PX,
    Grid,
    Light,
    Seeing,
    bin_pixels,
    draw_profile,
    expose,
    moffat,
    scale_to_signal,
    signal_to_noise,
)

Rng = np.random.Generator

SECOND_CLASSES: Final[dict[str, tuple[str, ...]]] = {
    "elliptical": ("star", "spiral"),
    "spiral": ("edge-on", "elliptical", "merger"),
    "edge-on": ("spiral", "elliptical"),
    "merger": ("spiral", "elliptical"),
    "star": ("elliptical",),
    "artifact": ("elliptical", "spiral", "edge-on", "star"),
}
"""The classes that a careful reader might take a hard one for; equally likely."""

EASY_SIGNAL: Final[dict[str, tuple[float, float]]] = {
    "elliptical": (110, 700),
    "spiral": (170, 700),
    "edge-on": (120, 700),
    "merger": (190, 700),
    "star": (70, 6000),
    "artifact": (15, 70),
}
"""Range of an easy target's matched-filter signal-to-noise; for an artifact, of what lies under it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SimulatedImage:
    """Pixels in ADU (144, 144) float32 and what is true of them; ``detail`` is the kind of an artifact."""

    pixels: NDArray[np.float32]
    second_class: str
    detail: str
    signal_to_noise: float
    noise_area_px: float


def target_light(
    class_name: str, grid: Grid, rng: Rng, *, ambiguity: float, overlap: str | None, seeing_arcsec: float
) -> Light:
    """Unit-flux light of a target that is no artifact; ``overlap`` is None for an easy one."""
    if class_name == "elliptical":
        return galaxies.elliptical(grid, rng, ambiguity=ambiguity, second_class=overlap, seeing_arcsec=seeing_arcsec)
    if class_name == "spiral":
        return galaxies.spiral(grid, rng, ambiguity=ambiguity, second_class=overlap)
    if class_name == "edge-on":
        return galaxies.edge_on(grid, rng, ambiguity=ambiguity, second_class=overlap)
    if class_name == "merger":
        return merger(grid, rng, ambiguity=ambiguity, second_class=overlap)
    return galaxies.star(grid, rng, second_class=overlap, seeing_arcsec=seeing_arcsec)


def draw_signal(draw: Draw, rng: Rng, *, overlap: str | None) -> float:
    """Matched-filter signal-to-noise: log-uniform in the class's range, lower the harder a hard one is."""
    low, high = np.log(EASY_SIGNAL[draw.class_name])
    if draw.class_name == "artifact":
        low, high = (low, high) if not draw.is_hard else np.log((60, 150))
    elif draw.is_hard:
        middle = 100 - 55 * draw.ambiguity
        if draw.class_name == "star" or overlap == "star":
            middle = 45 - 25 * draw.ambiguity
        low, high = np.log((0.7 * middle, 1.4 * middle))
    return float(np.exp(rng.uniform(low, high)))


def neighbours(target_px: tuple[float, float], rng: Rng, *, noise_area_px: float, crowding: float) -> Light:
    """Faint stars and galaxies of the field before seeing, on (144, 144) pixels, scaled to a sky noise of 1.

    Args:
        target_px: Where the target is; its surroundings are left free.
        rng: The object's stream.
        noise_area_px: The area over which a point's light spreads.
        crowding: Expected number of neighbours in the field.
    """
    light = np.zeros((SIZE_PX, SIZE_PX), dtype=np.float32)
    reach = 12
    for _ in range(int(rng.poisson(crowding))):
        signal = min(5.0 * (rng.pareto(1.4) + 1.0), 120.0)
        x, y = rng.uniform(reach, SIZE_PX - reach, size=2)
        away = math.hypot(x - target_px[0], y - target_px[1])
        if away < 16 or (signal > 25 and away < 34):
            continue
        column, row = int(x), int(y)
        dx = np.arange(column - reach, column + reach, dtype=np.float32) - np.float32(x)
        dy = (np.arange(row - reach, row + reach, dtype=np.float32) - np.float32(y))[:, None]
        flux = signal * math.sqrt(noise_area_px)
        if rng.random() < 0.6:
            shape = np.exp(-0.5 * (dx**2 + dy**2) / 0.5**2)
        else:
            angle, axis_ratio = rng.uniform(0, math.pi), rng.uniform(0.4, 1.0)
            u = dx * math.cos(angle) + dy * math.sin(angle)
            v = (dy * math.cos(angle) - dx * math.sin(angle)) / axis_ratio
            shape = np.exp(-np.hypot(u, v) / rng.uniform(0.75, 2.0))
            flux *= 1.6
        light[row - reach : row + reach, column - reach : column + reach] += (flux / shape.sum()) * shape
    return light


def simulate_image(draw: Draw, rng: Rng, conditions: ImageConditions) -> SimulatedImage:
    """Draw one image; everything random comes from ``rng``.

    Args:
        draw: Class and difficulty.
        rng: The object's stream.
        conditions: Night, detector and where the target falls on it.
    """
    confused_with = str(rng.choice(SECOND_CLASSES[draw.class_name]))
    overlap = confused_with if draw.is_hard else None
    grid = Grid.around(conditions.target_px)
    seeing_arcsec = conditions.seeing_arcsec
    seeing = Seeing(
        moffat(
            seeing_arcsec=seeing_arcsec,
            beta=conditions.moffat_beta,
            ellipticity=conditions.psf_ellipticity,
            angle_deg=conditions.psf_angle_deg,
        )
    )
    noise = conditions.detector.noise_adu
    signal = draw_signal(draw, rng, overlap=overlap)

    body = draw.class_name
    if body == "artifact":
        # a hard artifact is a faint defect over a plain object of the class that a reader would call it
        body = overlap if overlap is not None else str(rng.choice(["elliptical", "star"]))
    light = target_light(
        body,
        grid,
        rng,
        ambiguity=draw.ambiguity,
        overlap=None if draw.class_name == "artifact" else overlap,
        seeing_arcsec=seeing_arcsec,
    )
    flux = scale_to_signal(seeing.blur(light), signal=signal, noise=noise)
    if body == "star" and signal > 700:
        flux += bright_star_halo(grid, rng, conditions, flux=float(flux.sum()))
    field = neighbours(conditions.target_px, rng, noise_area_px=seeing.noise_area_px, crowding=conditions.crowding)
    flux += noise * seeing.blur_pixels(field)
    detail = ""
    if draw.class_name == "artifact":
        detail = str(rng.choice(artifacts.KINDS))
        defect = artifacts.draw_artifact(
            detail,
            rng,
            conditions.target_px,
            ambiguity=draw.ambiguity,
            seeing_arcsec=seeing_arcsec,
        )
        flux += noise * defect
        signal = signal_to_noise(defect, 1.0)
    flux += noise * background(grid, rng)
    pixels = expose(flux, detector=conditions.detector, seed=int(rng.integers(1, 2**31 - 1)))
    return SimulatedImage(
        pixels=pixels,
        second_class=confused_with,
        detail=detail,
        signal_to_noise=signal,
        noise_area_px=seeing.noise_area_px,
    )


def background(grid: Grid, rng: Rng) -> Light:
    """What flat fielding left: a gentle gradient on a small pedestal, (144, 144) in units of the sky noise."""
    slope_x, slope_y = rng.normal(0, 0.004, size=2).tolist()
    return np.asarray(5.0 + slope_x * grid.x[::2, ::2] + slope_y * grid.y[::2, ::2])


def bright_star_halo(grid: Grid, rng: Rng, conditions: ImageConditions, *, flux: float) -> Light:
    """The spikes and the wide halo that a bright star shows; (144, 144) in the flux's unit."""
    spikes = galaxies.diffraction_spikes(
        grid, angle_deg=conditions.spider_angle_deg, seeing_arcsec=conditions.seeing_arcsec
    )
    halo = draw_profile(galsim.Moffat(beta=1.6, fwhm=3.0), grid)
    share = rng.uniform(0.02, 0.04)
    return bin_pixels(flux * (share * spikes + 0.015 * galaxies.normalised(halo)))
