"""The night an object was observed in: when, through which air, with which detector; it knows no class."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from esocs.demo.survey.optics import SIZE_PX, Detector

Rng = np.random.Generator

MAX_JITTER_PX: Final = 7.4
"""How far the target may lie from the image's centre: a 128-pixel cut-out around it then always fits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pointing:
    """Time and place of an observation: MJD (UTC) of its start and end, J2000 degrees, air mass, exposure."""

    mjd_start: float
    exposure_s: float
    exposures: int
    ra_deg: float
    dec_deg: float
    airmass: float
    ambient_seeing_arcsec: float

    @property
    def mjd_end(self) -> float:
        """The end of the last exposure; 40 s are lost between two."""
        seconds = self.exposures * self.exposure_s + 40.0 * (self.exposures - 1)
        return self.mjd_start + seconds / 86400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageConditions:
    """What an image's pixels depend on besides its target."""

    pointing: Pointing
    detector: Detector
    target_px: tuple[float, float]
    seeing_arcsec: float
    moffat_beta: float
    psf_ellipticity: float
    psf_angle_deg: float
    spider_angle_deg: float
    crowding: float


def draw_pointing(rng: Rng, *, first_mjd: float, nights: float, exposure_range_s: tuple[int, int]) -> Pointing:
    """A moment of a Paranal night and a southern field."""
    night = int(rng.uniform(0, nights))
    airmass = 1.0 + rng.gamma(2.0, 0.12)
    return Pointing(
        mjd_start=first_mjd + night + rng.uniform(0.02, 0.38),
        exposure_s=float(rng.choice(np.arange(*exposure_range_s, 30))),
        exposures=int(rng.integers(2, 6)),
        ra_deg=round(float(rng.uniform(0, 360)), 7),
        dec_deg=round(math.degrees(math.asin(rng.uniform(-0.94, 0.087))), 7),
        airmass=float(min(airmass, 2.2)),
        ambient_seeing_arcsec=float(np.clip(rng.lognormal(np.log(0.82), 0.25), 0.5, 1.6)),
    )


def draw_image_conditions(rng: Rng) -> ImageConditions:
    """Seeing with a median near 0.85 arcsec, between 0.55 and 1.5; sky and gain as the VST has them."""
    pointing = draw_pointing(rng, first_mjd=58849.0, nights=1100, exposure_range_s=(60, 601))
    seeing = pointing.ambient_seeing_arcsec * pointing.airmass**0.6 * rng.uniform(0.9, 1.05)
    centre = (SIZE_PX - 1) / 2
    return ImageConditions(
        pointing=pointing,
        detector=Detector(
            sky_adu=float(rng.lognormal(np.log(450), 0.45)),
            gain=float(rng.uniform(2.1, 2.8)),
            read_noise_e=float(rng.uniform(4.5, 6.5)),
        ),
        target_px=(
            float(centre + rng.uniform(-MAX_JITTER_PX, MAX_JITTER_PX)),
            float(centre + rng.uniform(-MAX_JITTER_PX, MAX_JITTER_PX)),
        ),
        seeing_arcsec=float(np.clip(seeing, 0.55, 1.5)),
        moffat_beta=float(rng.uniform(2.6, 4.0)),
        psf_ellipticity=float(rng.uniform(0, 0.03)),
        psf_angle_deg=float(rng.uniform(0, 180)),
        spider_angle_deg=float(rng.uniform(0, 90)),
        crowding=float(rng.uniform(4, 12)),
    )
