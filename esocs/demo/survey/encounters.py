"""Mergers: two discs of test particles on a decaying encounter (after Toomre & Toomre 1972), seen as light.

Nothing is painted: tails, bridges and shells are what gravity makes of the two discs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from esocs.demo.survey.galaxies import Rng, normalised
from esocs.demo.survey.optics import FINE_ARCSEC, FINE_SIZE_PX, OVERSAMPLING, Grid, Light, sersic

Vectors = NDArray[np.float32]
"""(N, 3) positions or velocities; the first disc's radius and mass and the gravitational constant are 1."""

_STEP: Final = 0.07
_SOFTENING2: Final = 0.06
_PARTICLES: Final = 2600


@dataclass(frozen=True, kw_only=True, slots=True)
class Encounter:
    """The orbit and the two galaxies.

    Attributes:
        mass_ratio: Mass of the second galaxy over the first's.
        pericentre: Closest approach on a parabola, in disc radii.
        after_pericentre: How long after it the pair is seen; a disc's rim turns once in 2 pi.
        tilts_deg: Angle of each disc to the orbit's plane; small ones are prograde, with the longest tails.
        friction: Strength with which overlapping haloes brake each other.
    """

    mass_ratio: float
    pericentre: float
    after_pericentre: float
    tilts_deg: tuple[float, float]
    friction: float


def rotation(rng: Rng, *, tilt_deg: float) -> NDArray[np.float32]:
    """A rotation by ``tilt_deg`` about a random axis of the plane, after a random turn in the plane."""
    tilt, node, turn = np.deg2rad(tilt_deg), rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi)

    def about_z(angle: float) -> NDArray[np.float64]:
        c, s = np.cos(angle), np.sin(angle)
        return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])

    c, s = np.cos(tilt), np.sin(tilt)
    about_x = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    return np.asarray(about_z(node) @ about_x @ about_z(turn), dtype=np.float32)


def disc_particles(rng: Rng, *, count: int, mass: float, tilt_deg: float) -> tuple[Vectors, Vectors]:
    """Positions and circular velocities of an exponential disc of radius sqrt(mass)."""
    size = np.sqrt(mass)
    radius = np.clip(rng.gamma(2.0, 0.42, size=count), 0.08, 1.25) * size
    radius *= rng.uniform(0.92, 1.08, size=count)
    azimuth = rng.uniform(0, 2 * np.pi, size=count)
    speed = radius * np.sqrt(mass / (radius**2 + _SOFTENING2) ** 1.5)
    position = np.stack(
        [radius * np.cos(azimuth), radius * np.sin(azimuth), rng.normal(0, 0.03 * size, size=count)], axis=1
    )
    velocity = np.stack([-speed * np.sin(azimuth), speed * np.cos(azimuth), np.zeros(count)], axis=1)
    velocity += rng.normal(0, 0.06, size=velocity.shape)
    turned = rotation(rng, tilt_deg=tilt_deg).T
    return position.astype(np.float32) @ turned, velocity.astype(np.float32) @ turned


def run_encounter(encounter: Encounter, rng: Rng) -> tuple[Vectors, Vectors, Vectors]:
    """Leapfrog integration of both discs in the field of the two softened centres.

    Returns:
        Particles of the first disc, particles of the second, and the (2, 3) centres.
    """
    mass = np.array([1.0, encounter.mass_ratio], dtype=np.float32)
    total = float(mass.sum())
    before = 3.2
    # a parabola by Barker's equation, entered `before` time units ahead of pericentre
    mean = 1.5 * before * np.sqrt(total / (2 * encounter.pericentre**3))
    half = 2 * np.sinh(np.arcsinh(mean) / 3)
    distance = encounter.pericentre * (1 + half**2)
    anomaly = -2 * np.arctan(half)
    speed = np.sqrt(total / (2 * encounter.pericentre))
    relative = np.array([distance * np.cos(anomaly), distance * np.sin(anomaly), 0.0])
    drift = np.array([-speed * np.sin(anomaly), speed * (1 + np.cos(anomaly)), 0.0])
    share = np.array([-mass[1] / total, mass[0] / total])
    centres = (share[:, None] * relative).astype(np.float32)
    motion = (share[:, None] * drift).astype(np.float32)

    first = int(_PARTICLES / (1 + encounter.mass_ratio))
    counts = (first, _PARTICLES - first)
    discs = [
        disc_particles(rng, count=counts[which], mass=float(mass[which]), tilt_deg=encounter.tilts_deg[which])
        for which in (0, 1)
    ]
    position = np.concatenate([centres[which] + discs[which][0] for which in (0, 1)]).T.copy()
    velocity = np.concatenate([motion[which] + discs[which][1] for which in (0, 1)]).T.copy()

    for _ in range(int((before + encounter.after_pericentre) / _STEP)):
        position += (0.5 * _STEP) * velocity
        centres = centres + (0.5 * _STEP) * motion
        for which in (0, 1):
            away = centres[which][:, None] - position
            squared = away[0] ** 2 + away[1] ** 2 + away[2] ** 2 + _SOFTENING2
            velocity += away * (_STEP * mass[which] / (squared * np.sqrt(squared)))
        separation = centres[1] - centres[0]
        squared_separation = float(separation @ separation)
        pull = separation / (squared_separation + _SOFTENING2) ** 1.5
        approach = motion[1] - motion[0]
        brake = encounter.friction * np.exp(-squared_separation / 1.2) * approach
        motion = motion + _STEP * np.stack(
            [mass[1] * (pull + brake / total), -mass[0] * (pull + brake / total)]
        ).astype(np.float32)
        position += (0.5 * _STEP) * velocity
        centres = centres + (0.5 * _STEP) * motion
    particles = position.T
    return particles[: counts[0]], particles[counts[0] :], centres


def choose_view(rng: Rng, centres: Vectors) -> NDArray[np.float32]:
    """The (3, 3) rotation into one of six random views: the one that separates the two nuclei best."""
    views = [rotation(rng, tilt_deg=rng.uniform(0, 50)).T for _ in range(6)]
    separation = centres[1] - centres[0]
    return max(views, key=lambda view: float(np.hypot(*(separation @ view)[:2])))


def splat(grid: Grid, x: NDArray[np.floating[Any]], y: NDArray[np.floating[Any]]) -> Light:
    """Particles as smooth light: finely resolved where they are many, smoothed more where they are few."""
    edges = np.arange(FINE_SIZE_PX + 1) * FINE_ARCSEC
    left = (grid.target_px[0] + 0.5) * OVERSAMPLING * FINE_ARCSEC
    bottom = (grid.target_px[1] + 0.5) * OVERSAMPLING * FINE_ARCSEC
    counts, _, _ = np.histogram2d(y, x, bins=(edges - bottom, edges - left))
    fine = gaussian_filter(counts.astype(np.float32), 0.22 / FINE_ARCSEC, truncate=3)
    middle = gaussian_filter(fine, 0.3 / FINE_ARCSEC, truncate=3)
    coarse = gaussian_filter(middle, 0.55 / FINE_ARCSEC, truncate=3)
    dense = coarse / (coarse + 0.12)
    sparse = coarse / (coarse + 0.02)
    return np.asarray(dense * fine + (1 - dense) * (sparse * middle + (1 - sparse) * coarse))


def draw_encounter(rng: Rng, *, ambiguity: float, second_class: str | None) -> tuple[Encounter, tuple[float, float]]:
    """The encounter, and the share of light in each galaxy's bulge."""
    encounter = Encounter(
        mass_ratio=rng.uniform(0.45, 1.0),
        pericentre=rng.uniform(0.5, 0.9),
        after_pericentre=rng.uniform(1.6, 3.6),
        tilts_deg=(rng.uniform(0, 35), rng.uniform(0, 110)),
        friction=rng.uniform(0.0, 0.4),
    )
    bulges = (rng.uniform(0.05, 0.12), rng.uniform(0.05, 0.15))
    if second_class == "spiral":
        encounter = Encounter(
            mass_ratio=0.22 - 0.12 * ambiguity,
            pericentre=1.1 + 0.5 * ambiguity,
            after_pericentre=rng.uniform(1.2, 2.5),
            tilts_deg=(rng.uniform(0, 40), rng.uniform(40, 140)),
            friction=0.3,
        )
    elif second_class == "elliptical":
        encounter = Encounter(
            mass_ratio=rng.uniform(0.3, 0.6),
            pericentre=0.45,
            after_pericentre=rng.uniform(6.0, 8.0),
            tilts_deg=(rng.uniform(60, 150), rng.uniform(60, 150)),
            friction=4.0,
        )
        bulges = (0.4 + 0.25 * ambiguity, 0.4)
    return encounter, bulges


def merger(grid: Grid, rng: Rng, *, ambiguity: float, second_class: str | None) -> Light:
    """Two galaxies in an encounter; unit flux, the pair's middle on the target.

    A plain one is a prograde encounter of near equals seen after the first passage, with tails and a bridge.
    Near ``spiral`` the partner is light and its orbit wide, so one disc is only a little disturbed; near
    ``elliptical`` the two have merged and a round body keeps faint shells.
    """
    encounter, bulges = draw_encounter(rng, ambiguity=ambiguity, second_class=second_class)
    first, second, centres = run_encounter(encounter, rng)
    view = choose_view(rng, centres)
    first, second, centres = first @ view, second @ view, centres @ view

    middle = 0.5 * (np.median(first, axis=0) + np.median(second, axis=0))
    everything = np.concatenate([first, second])
    reach = float(np.percentile(np.hypot(*(everything - middle)[:, :2].T), 93))
    scale = min(rng.uniform(7.5, 9.5) / reach, 4.5)
    light = np.zeros_like(grid.x)
    weights = (1.0, encounter.mass_ratio)
    for particles, centre, weight, bulge in zip((first, second), centres, weights, bulges, strict=True):
        stars = (particles - middle) * scale
        x, y = (centre - middle)[:2] * scale
        nucleus = sersic(
            grid,
            index=2.0,
            radius_arcsec=0.17 * scale * np.sqrt(weight),
            axis_ratio=rng.uniform(0.6, 0.95),
            angle_deg=rng.uniform(0, 180),
            x=float(x),
            y=float(y),
        )
        disc = splat(grid, stars[:, 0], stars[:, 1])
        light += weight * ((1 - bulge) * normalised(disc) + bulge * nucleus)
    return normalised(light)
