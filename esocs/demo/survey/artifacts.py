"""What is wrong with an image: cosmic rays, trails, bleeding columns, ghosts, in units of sky noise.

Cosmic rays and bleeding arise in the detector, after the seeing: they are drawn on its pixels, sharp.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.special import expit

from esocs.demo.survey.galaxies import Rng
from esocs.demo.survey.optics import PIXEL_ARCSEC, SIZE_PX, Light

KINDS: Final = ("cosmic-ray", "trail", "bleed", "ghost")


def detector_offsets(target_px: tuple[float, float]) -> tuple[Light, Light]:
    """(144, 144) offsets in pixels to the right of and above the target."""
    axis = np.arange(SIZE_PX, dtype=np.float64)
    x, y = np.meshgrid(axis - target_px[0], axis - target_px[1])
    return x, y


def cosmic_rays(rng: Rng, target_px: tuple[float, float], *, ambiguity: float) -> Light:
    """Sharp tracks of charged particles near the target, straight or curling; in units of sky noise."""
    defect = np.zeros((SIZE_PX, SIZE_PX))
    tracks = int(rng.integers(9, 22)) if ambiguity == 0 else 2
    strength = 1.0 - 0.85 * ambiguity
    for track in range(tracks):
        spread = 4.0 if track == 0 else 20.0
        x, y = rng.normal(target_px, spread)
        direction = rng.uniform(0, 2 * np.pi)
        curl = rng.normal(0, 0.22) if rng.random() < 0.35 else 0.0
        steps = int(rng.geometric(1 / 13) + 3) * 3
        deposit = strength * rng.lognormal(np.log(45), 0.7) / 3
        for _ in range(steps):
            direction += curl * rng.random()
            x += np.cos(direction) / 3
            y += np.sin(direction) / 3
            column, row = round(x), round(y)
            if 0 <= column < SIZE_PX and 0 <= row < SIZE_PX:
                defect[row, column] += deposit * rng.lognormal(0, 0.35)
    return defect


def satellite_trail(rng: Rng, target_px: tuple[float, float], *, ambiguity: float, seeing_arcsec: float) -> Light:
    """A line right across the field, as wide as a defocused satellite; sometimes two, or blinking."""
    x, y = detector_offsets(target_px)
    angle = rng.uniform(0, np.pi)
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle) - rng.normal(0, 5.0)
    width = 0.5 * seeing_arcsec / PIXEL_ARCSEC * rng.uniform(0.8, 1.6)
    brightness = max(9.0, rng.lognormal(np.log(18), 0.5)) if ambiguity == 0 else 2.2 - 1.5 * ambiguity
    trail = brightness * np.exp(-0.5 * (across / width) ** 2)
    style = rng.random()
    if style < 0.2:
        trail += 0.7 * brightness * np.exp(-0.5 * ((across - rng.uniform(8, 16)) / width) ** 2)
    elif style < 0.4:
        trail *= 1 + 0.9 * np.sin(2 * np.pi * along / rng.uniform(12, 50))
    return np.asarray(trail * (1 + 0.002 * rng.normal() * along))


def bleeding_columns(rng: Rng, target_px: tuple[float, float], *, ambiguity: float) -> Light:
    """Charge spilt along the columns of a saturated star, and the star's flat core; in units of sky noise."""
    x, y = detector_offsets(target_px)
    defect = np.zeros_like(x)
    level = 1.0 if ambiguity == 0 else 0.012 * (1.1 - ambiguity)
    full_well = level * rng.uniform(400, 1200)
    offset = rng.normal(0, 3.0)
    for column in range(int(rng.integers(2, 6)) if ambiguity == 0 else 1):
        reach_up, reach_down = rng.uniform(22, 110, size=2)
        near = np.abs(x - offset - column + 1.5) <= 0.5
        height = np.where(y > 0, np.exp(-((np.abs(y) / reach_up) ** 4)), np.exp(-((np.abs(y) / reach_down) ** 4)))
        defect += near * height * full_well * rng.uniform(0.6, 1.0)
    if ambiguity == 0:
        radius = np.hypot(x - offset, y)
        core = rng.uniform(4.0, 8.0)
        defect += full_well / (1 + (radius / core) ** 6) + 0.12 * full_well / (1 + (radius / (1.6 * core)) ** 3)
    return np.minimum(defect, full_well)


def ghost(rng: Rng, target_px: tuple[float, float], *, ambiguity: float) -> Light:
    """An out-of-focus image of the pupil: a ring with the secondary's hole and the spider's shadow."""
    x, y = detector_offsets(target_px)
    x = x - rng.normal(0, 6)
    y = y - rng.normal(0, 6)
    outer = rng.uniform(22, 48)
    brightness = rng.uniform(4, 11) if ambiguity == 0 else 1.0 - 0.65 * ambiguity
    shift = 0.12 * outer * rng.normal(size=2)
    edge = rng.uniform(0.8, 2.2)

    def inside(radius: Light, limit: float) -> Light:
        return np.asarray(expit((limit - radius) / edge))

    ring = inside(np.hypot(x, y), outer)
    hole = inside(np.hypot(x - shift[0], y - shift[1]), rng.uniform(0.3, 0.48) * outer)
    donut = ring * (1 - 0.93 * hole)
    angle = rng.uniform(0, np.pi / 2)
    for turn in (angle, angle + np.pi / 2):
        donut *= 1 - 0.5 * np.exp(-0.5 * ((y * np.cos(turn) - x * np.sin(turn)) / 1.3) ** 2)
    tilt = 1 + rng.uniform(-0.3, 0.3) * x / outer + rng.uniform(-0.3, 0.3) * y / outer
    return np.asarray(brightness * donut * np.clip(tilt, 0.3, 1.7))


def draw_artifact(
    kind: str, rng: Rng, target_px: tuple[float, float], *, ambiguity: float, seeing_arcsec: float
) -> Light:
    """One defect of the named kind on (144, 144) pixels, in units of the sky noise; never negative."""
    if kind == "cosmic-ray":
        return cosmic_rays(rng, target_px, ambiguity=ambiguity)
    if kind == "trail":
        return np.maximum(satellite_trail(rng, target_px, ambiguity=ambiguity, seeing_arcsec=seeing_arcsec), 0)
    if kind == "bleed":
        return bleeding_columns(rng, target_px, ambiguity=ambiguity)
    return ghost(rng, target_px, ambiguity=ambiguity)
