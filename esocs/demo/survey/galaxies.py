"""Undisturbed galaxies and stars as light on the fine grid: ellipticals, spirals, edge-on discs.

Each function returns unit-flux light without seeing or noise. ``ambiguity`` in [0, 1] carries the object from
the plain example of its class (0) into the overlap with ``second_class``; docs/simulated-survey.md says how.
"""

from __future__ import annotations

import math

import galsim
import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import expit, k1

from esocs.demo.survey.optics import FINE_ARCSEC, FINE_SIZE_PX, Grid, Light, draw_profile, sersic

Rng = np.random.Generator


def normalised(light: Light) -> Light:
    """The same light with unit flux."""
    return np.asarray(light / light.sum())


def elliptical(grid: Grid, rng: Rng, *, ambiguity: float, second_class: str | None, seeing_arcsec: float) -> Light:
    """An E0-E4, a Sérsic body; near ``star`` within the seeing, near ``spiral`` with a faint ring."""
    angle = rng.uniform(0, 180)
    if second_class == "star":
        radius = seeing_arcsec * (0.55 - 0.4 * ambiguity)
        return normalised(
            sersic(grid, index=2.5, radius_arcsec=radius, axis_ratio=rng.uniform(0.8, 1), angle_deg=angle)
        )
    axis_ratio = rng.uniform(0.62, 1.0)
    if second_class == "spiral":
        body = sersic(
            grid,
            index=rng.uniform(1.6, 2.4),
            radius_arcsec=rng.uniform(1.3, 2.2),
            axis_ratio=axis_ratio,
            angle_deg=angle,
        )
        radius_map, azimuth = disc_plane(grid, axis_ratio=axis_ratio, angle_deg=angle)
        ring = np.exp(-0.5 * ((radius_map - 3.0) / 0.8) ** 2) * (1 + 0.4 * np.cos(azimuth - 1.0))
        return normalised(normalised(body) + (0.05 + 0.15 * ambiguity) * normalised(ring))
    return normalised(
        sersic(
            grid,
            index=rng.uniform(2.8, 5.0),
            radius_arcsec=max(1.7 * seeing_arcsec, rng.uniform(1.4, 3.2)),
            axis_ratio=axis_ratio,
            angle_deg=angle,
        )
    )


def disc_plane(grid: Grid, *, axis_ratio: float, angle_deg: float) -> tuple[Light, Light]:
    """Radius (arcsec) and azimuth (rad) in the plane of a tilted disc, its major axis at ``angle_deg``."""
    angle = math.radians(angle_deg)
    along = grid.x * math.cos(angle) + grid.y * math.sin(angle)
    across = (grid.y * math.cos(angle) - grid.x * math.sin(angle)) / axis_ratio
    return np.hypot(along, across), np.arctan2(across, along)


def tilted_axis_ratio(inclination_deg: float, *, thickness: float = 0.15) -> float:
    """Apparent axis ratio of an oblate disc (Hubble 1926)."""
    cos2 = math.cos(math.radians(inclination_deg)) ** 2
    return math.sqrt(cos2 * (1 - thickness**2) + thickness**2)


def clouds(rng: Rng, *, scale_arcsec: float) -> Light:
    """Smooth random structure of zero mean and unit variance: the irregularity of star formation."""
    coarse = rng.standard_normal((FINE_SIZE_PX // 4, FINE_SIZE_PX // 4), dtype=np.float32)
    smooth = gaussian_filter(coarse, scale_arcsec / FINE_ARCSEC / 4, mode="wrap")
    smooth = (smooth - smooth.mean()) / smooth.std()
    return np.asarray(smooth.repeat(4, axis=0).repeat(4, axis=1))


def spiral_arms(
    radius: Light, azimuth: Light, rng: Rng, *, arms: int, pitch_deg: float, start_arcsec: float, phase: float
) -> Light:
    """Arm density in [0, 1] along logarithmic spirals, r = r0 exp(azimuth tan(pitch)), from ``start`` on."""
    winding = float(rng.choice([-1.0, 1.0]))
    turn = np.log(np.maximum(radius, 0.05) / start_arcsec) / math.tan(math.radians(pitch_deg))
    wobble = 0.3 * clouds(rng, scale_arcsec=1.3)
    wave = np.cos(arms * (winding * azimuth - turn - phase) + wobble)
    sharpness = rng.uniform(2.0, 4.5)
    opening = expit((radius - 0.8 * start_arcsec) / (0.12 * start_arcsec + 0.1))
    return np.asarray((0.5 + 0.5 * wave) ** sharpness * opening)


def star_forming_knots(arms: Light, disc: Light, rng: Rng, *, count: int) -> Light:
    """Compact bright regions strewn along the arms, brighter ones rarer; unit flux."""
    cumulative = np.cumsum(arms**2 * np.sqrt(disc), dtype=np.float64)
    places = np.searchsorted(cumulative, rng.random(count) * cumulative[-1])
    knots = np.zeros(arms.size, dtype=np.float32)
    np.add.at(knots, places, rng.pareto(2.0, size=count) + 0.2)
    return normalised(gaussian_filter(knots.reshape(arms.shape), rng.uniform(1.2, 2.2)))


def disc_with_arms(radius: Light, arms: Light, rng: Rng, *, scale: float, contrast: float) -> Light:
    """Old stars in an exponential disc, young ones in its arms, and in four of five knots along them."""
    disc = np.exp(-radius / scale) * expit((4.3 * scale - radius) / (0.3 * scale))
    # arms live on a flatter disc than the old stars do, which is what makes them stand out at the rim
    young = np.exp(-radius / (1.5 * scale)) * expit((4.0 * scale - radius) / (0.35 * scale))
    texture = np.exp(0.25 * clouds(rng, scale_arcsec=0.6))
    light = (1 - 0.62 * contrast) * normalised(disc) + 0.62 * contrast * normalised(young * arms * texture)
    if rng.random() < 0.8:
        light = light + 0.1 * contrast * star_forming_knots(arms, disc, rng, count=int(rng.integers(15, 60)))
    return np.asarray(light)


def spiral(grid: Grid, rng: Rng, *, ambiguity: float, second_class: str | None) -> Light:
    """A disc with a bulge, log-spiral arms, knots and in two of five a bar.

    Near ``edge-on`` it is tilted by 71-79 degrees; near ``elliptical`` its arms fade into a small disc;
    near ``merger`` it is lopsided and has a companion in projection.
    """
    hard = second_class is not None
    inclination = rng.uniform(8, 56)
    if second_class == "edge-on":
        inclination = 71 + 8 * ambiguity
    elif second_class == "elliptical":
        inclination = rng.uniform(0, 35)
    axis_ratio = tilted_axis_ratio(inclination)
    angle = rng.uniform(0, 180)
    scale = rng.uniform(1.5, 2.2) if hard else rng.uniform(2.0, 2.9)
    radius, azimuth = disc_plane(grid, axis_ratio=axis_ratio, angle_deg=angle)
    barred = not hard and rng.random() < 0.4
    bar_length = scale * rng.uniform(0.9, 1.3) if barred else 0.0
    phase = rng.uniform(0, 2 * np.pi)
    arms = spiral_arms(
        radius,
        azimuth,
        rng,
        arms=2 if barred else int(rng.choice([2, 2, 2, 3, 4])),
        pitch_deg=rng.uniform(13, 27),
        start_arcsec=bar_length if barred else 0.55 * scale,
        phase=phase,
    )
    contrast = rng.uniform(0.75, 0.95)
    if second_class == "elliptical":
        contrast = 0.45 - 0.3 * ambiguity
    elif hard:
        contrast = 0.7 - 0.3 * ambiguity
    light = disc_with_arms(radius, arms, rng, scale=scale, contrast=contrast)
    bulge = rng.uniform(0.25, 0.45) if second_class == "elliptical" else rng.uniform(0.05, 0.2)
    light = (1 - bulge) * light + bulge * sersic(
        grid,
        index=rng.uniform(1.2, 2.6),
        radius_arcsec=0.22 * scale,
        axis_ratio=max(axis_ratio, 0.7),
        angle_deg=angle,
    )
    if barred:
        light = 0.82 * light + 0.18 * bar(
            grid, length_arcsec=bar_length, phase=phase, angle_deg=angle, axis_ratio=axis_ratio
        )
    return disturbed(grid, rng, light, scale=scale) if second_class == "merger" else normalised(light)


def disturbed(grid: Grid, rng: Rng, light: Light, *, scale: float) -> Light:
    """A disc made lopsided, with a small companion on its brighter side; unit flux."""
    where = rng.uniform(0, 2 * math.pi)
    lopsided = light * (1 + 0.5 * np.tanh((grid.x * math.cos(where) + grid.y * math.sin(where)) / scale))
    distance = rng.uniform(2.6, 3.6) * scale
    companion = sersic(
        grid,
        index=2.0,
        radius_arcsec=rng.uniform(0.5, 0.9),
        axis_ratio=0.7,
        angle_deg=rng.uniform(0, 180),
        x=distance * math.cos(where),
        y=distance * math.sin(where),
    )
    return normalised(normalised(lopsided) + rng.uniform(0.08, 0.2) * companion)


def bar(grid: Grid, *, length_arcsec: float, phase: float, angle_deg: float, axis_ratio: float) -> Light:
    """A flat-topped bar in the disc's plane whose ends lie where the arms begin; unit flux."""
    angle = math.radians(angle_deg)
    along = grid.x * math.cos(angle) + grid.y * math.sin(angle)
    across = (grid.y * math.cos(angle) - grid.x * math.sin(angle)) / axis_ratio
    u = along * math.cos(phase) + across * math.sin(phase)
    v = across * math.cos(phase) - along * math.sin(phase)
    shape = (np.abs(u) / length_arcsec) ** 2.5 + (np.abs(v) / (0.27 * length_arcsec)) ** 2.5
    return normalised(np.exp(-1.2 * shape))


def edge_on(grid: Grid, rng: Rng, *, ambiguity: float, second_class: str | None) -> Light:
    """A disc seen from its side, (R/h) K1(R/h) sech²(z/z0) (van der Kruit & Searle 1981), with a bulge.

    Half of the plain ones have a dust lane. Near ``spiral`` it is a disc tilted by 74-80 degrees, near
    ``elliptical`` short and thick under a large bulge.
    """
    angle = rng.uniform(0, 180)
    if second_class == "spiral":
        return inclined_smooth_disc(grid, rng, inclination_deg=81 - 7 * ambiguity, angle_deg=angle)
    turn = math.radians(angle)
    along = grid.x * math.cos(turn) + grid.y * math.sin(turn)
    across = grid.y * math.cos(turn) - grid.x * math.sin(turn)
    scale = rng.uniform(1.9, 3.0)
    height = scale * rng.uniform(0.1, 0.2)
    bulge = rng.uniform(0.05, 0.3)
    if second_class == "elliptical":
        scale = rng.uniform(1.1, 1.5)
        height = scale * (0.4 + 0.2 * ambiguity)
        bulge = 0.35 + 0.25 * ambiguity
    across = across + (rng.normal(0, 0.012) / scale) * along * np.abs(along)
    distance = np.maximum(np.abs(along), 0.02) / scale
    rim = expit((3.8 - distance) / 0.25)
    table = np.linspace(0.005, 14, 1500)
    radial = np.interp(distance, table, table * k1(table)).astype(np.float32)
    disc = radial * rim / np.cosh(np.clip(across / height, -40, 40)) ** 2
    body = sersic(
        grid,
        index=rng.uniform(1.5, 3.0),
        radius_arcsec=0.28 * scale,
        axis_ratio=rng.uniform(0.65, 0.9),
        angle_deg=angle,
    )
    light = (1 - bulge) * normalised(disc) + bulge * body
    if second_class is None and rng.random() < 0.5:
        lane = np.exp(-0.5 * ((across - rng.normal(0, 0.25) * height) / (0.45 * height)) ** 2)
        light *= 1 - rng.uniform(0.5, 0.85) * lane * np.exp(-((distance / 2.6) ** 4))
    return normalised(light)


def inclined_smooth_disc(grid: Grid, rng: Rng, *, inclination_deg: float, angle_deg: float) -> Light:
    """A tilted exponential disc whose arms are too foreshortened to see."""
    scale = rng.uniform(1.7, 2.4)
    axis_ratio = tilted_axis_ratio(inclination_deg, thickness=0.18)
    radius, _ = disc_plane(grid, axis_ratio=axis_ratio, angle_deg=angle_deg)
    body = sersic(grid, index=1.5, radius_arcsec=0.25 * scale, axis_ratio=0.7, angle_deg=angle_deg)
    disc = np.exp(-radius / scale) * np.exp(0.2 * clouds(rng, scale_arcsec=0.8))
    return normalised(0.85 * normalised(disc) + 0.15 * body)


def star(grid: Grid, rng: Rng, *, second_class: str | None, seeing_arcsec: float) -> Light:
    """A point on the fine grid, before seeing; near ``elliptical`` in half the cases a close pair."""
    light = point(grid, x=0.0, y=0.0)
    if second_class == "elliptical" and rng.random() < 0.5:
        where = rng.uniform(0, 2 * np.pi)
        distance = rng.uniform(0.45, 0.7) * seeing_arcsec
        partner = point(grid, x=distance * math.cos(where), y=distance * math.sin(where))
        light = light + rng.uniform(0.5, 0.9) * partner
    return normalised(light)


def point(grid: Grid, *, x: float, y: float) -> Light:
    """Unit flux at x, y arcsec from the target: a Gaussian well inside the seeing."""
    return draw_profile(galsim.Gaussian(sigma=0.8 * FINE_ARCSEC), grid, x=x, y=y)


def diffraction_spikes(grid: Grid, *, angle_deg: float, seeing_arcsec: float) -> Light:
    """Four spikes of a secondary mirror's spider, falling as r^-1.5 and as wide as the seeing; unit flux."""
    angle = math.radians(angle_deg)
    u = grid.x * math.cos(angle) + grid.y * math.sin(angle)
    v = grid.y * math.cos(angle) - grid.x * math.sin(angle)
    width = 0.28 * seeing_arcsec
    spikes = np.zeros_like(u)
    for along, across in ((u, v), (v, u)):
        spikes += np.exp(-0.5 * (across / width) ** 2) / (np.abs(along) + 0.6) ** 1.5
    return normalised(spikes * np.exp(-np.hypot(u, v) / 9.0))
