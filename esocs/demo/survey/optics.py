"""From light on the sky to counts on the detector: sampling, seeing and noise of a VST-like camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import galsim
import numpy as np
import scipy.fft
from numpy.typing import NDArray

Light = NDArray[np.floating[Any]]
"""Surface brightness on the fine grid, (288, 288) float32, in flux a fine pixel; row 0 is in the south."""

PIXEL_ARCSEC: Final = 0.21
SIZE_PX: Final = 144
OVERSAMPLING: Final = 2
FINE_ARCSEC: Final = PIXEL_ARCSEC / OVERSAMPLING
FINE_SIZE_PX: Final = SIZE_PX * OVERSAMPLING
SATURATION_ADU: Final = 60_000.0

_FFT_SIZE: Final = 324
_COARSE_FFT_SIZE: Final = 180
_KERNEL_PX: Final = 145


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """Where each fine pixel lies.

    Attributes:
        target_px: (x, y) of the target in detector pixels, 0-based, (0, 0) the centre of the first pixel.
        x: (288, 288) arcsec to the right of the target.
        y: (288, 288) arcsec above the target.
    """

    target_px: tuple[float, float]
    x: Light
    y: Light

    @classmethod
    def around(cls, target_px: tuple[float, float]) -> Grid:
        centres = ((np.arange(FINE_SIZE_PX) + 0.5) / OVERSAMPLING - 0.5).astype(np.float32)
        x, y = np.meshgrid(
            (centres - np.float32(target_px[0])) * np.float32(PIXEL_ARCSEC),
            (centres - np.float32(target_px[1])) * np.float32(PIXEL_ARCSEC),
        )
        return cls(target_px=target_px, x=x, y=y)


@dataclass(frozen=True, kw_only=True, slots=True)
class Detector:
    """What turns flux into noise: sky in ADU, gain in electrons an ADU, read noise in electrons."""

    sky_adu: float
    gain: float
    read_noise_e: float

    @property
    def noise_adu(self) -> float:
        """Standard deviation of an empty pixel."""
        return float(np.sqrt(self.sky_adu * self.gain + self.read_noise_e**2) / self.gain)


def moffat(*, seeing_arcsec: float, beta: float, ellipticity: float, angle_deg: float) -> galsim.GSObject:
    """The atmosphere's point-spread function (Moffat 1969), slightly elliptical as the VST's is."""
    profile = galsim.Moffat(beta=beta, fwhm=seeing_arcsec)
    return profile.shear(g=ellipticity, beta=angle_deg * galsim.degrees)


def draw_profile(profile: galsim.GSObject, grid: Grid, *, x: float = 0.0, y: float = 0.0) -> Light:
    """A GalSim profile of unit flux sampled on the fine grid, its centre x, y arcsec from the target."""
    image = galsim.ImageF(FINE_SIZE_PX, FINE_SIZE_PX, scale=FINE_ARCSEC)
    middle = (FINE_SIZE_PX + 1) / 2
    offset = (
        (grid.target_px[0] + 0.5) * OVERSAMPLING + 0.5 + x / FINE_ARCSEC - middle,
        (grid.target_px[1] + 0.5) * OVERSAMPLING + 0.5 + y / FINE_ARCSEC - middle,
    )
    profile.drawImage(image=image, method="no_pixel", offset=offset, use_true_center=True)
    return np.asarray(image.array)


def sersic(
    grid: Grid,
    *,
    index: float,
    radius_arcsec: float,
    axis_ratio: float = 1.0,
    angle_deg: float = 0.0,
    x: float = 0.0,
    y: float = 0.0,
) -> Light:
    """A Sérsic body of unit flux: half-light radius along its mean axis, position angle from the x axis."""
    profile = galsim.Sersic(n=index, half_light_radius=radius_arcsec)
    return draw_profile(profile.shear(q=axis_ratio, beta=angle_deg * galsim.degrees), grid, x=x, y=y)


class Seeing:
    """One exposure's point-spread function, transformed once and applied to any light."""

    def __init__(self, profile: galsim.GSObject) -> None:
        kernel = galsim.ImageF(_KERNEL_PX, _KERNEL_PX, scale=FINE_ARCSEC)
        profile.drawImage(image=kernel, method="no_pixel")
        fine = kernel.array / kernel.array.sum()
        coarse = bin_pixels(fine[:-1, :-1])
        self._fine_transform = _centred_transform(fine, _FFT_SIZE)
        self._coarse_transform = _centred_transform(coarse, _COARSE_FFT_SIZE)
        # the number of detector pixels that a star's light effectively covers
        self.noise_area_px = float(1.0 / np.sum(coarse**2))

    def blur(self, light: Light) -> Light:
        """Light after the atmosphere, on the detector's pixels: (288, 288) → (144, 144), flux kept."""
        size = (_FFT_SIZE, _FFT_SIZE)
        blurred = scipy.fft.irfft2(scipy.fft.rfft2(light, s=size) * self._fine_transform, s=size)
        return bin_pixels(blurred[:FINE_SIZE_PX, :FINE_SIZE_PX])

    def blur_pixels(self, light: Light) -> Light:
        """The same for light on the detector's pixels, (144, 144): quicker, a quarter of a pixel off."""
        size = (_COARSE_FFT_SIZE, _COARSE_FFT_SIZE)
        blurred = scipy.fft.irfft2(scipy.fft.rfft2(light, s=size) * self._coarse_transform, s=size)
        return np.asarray(blurred[:SIZE_PX, :SIZE_PX])


def _centred_transform(kernel: Light, size: int) -> NDArray[np.complexfloating[Any, Any]]:
    """The transform of a kernel whose middle is moved to the origin."""
    padded = np.zeros((size, size), dtype=np.float32)
    padded[: kernel.shape[0], : kernel.shape[1]] = kernel
    middle = kernel.shape[0] // 2
    return np.asarray(scipy.fft.rfft2(np.roll(padded, (-middle, -middle), axis=(0, 1))))


def bin_pixels(light: Light) -> Light:
    """Sum the two by two fine pixels of each detector pixel: (288, 288) → (144, 144)."""
    columns = light[:, 0::2] + light[:, 1::2]
    return np.asarray(columns[0::2] + columns[1::2])


def signal_to_noise(flux: Light, noise: float) -> float:
    """The signal-to-noise of a known shape against an empty sky: sqrt(sum of squares) / noise."""
    return float(np.sqrt(np.sum(flux**2)) / noise)


def scale_to_signal(flux: Light, *, signal: float, noise: float) -> Light:
    """The same shape, as bright as its matched-filter signal-to-noise says."""
    return np.asarray(flux * (signal / signal_to_noise(flux, noise)))


def expose(flux: Light, *, detector: Detector, seed: int) -> NDArray[np.float32]:
    """Photon and read noise (``galsim.CCDNoise``) on flux above the sky, then saturation.

    Args:
        flux: (144, 144) ADU above the sky.
        detector: Sky level, gain and read noise.
        seed: Positive seed of GalSim's generator.

    Returns:
        (144, 144) float32 ADU, the sky included.
    """
    image = galsim.ImageD(np.ascontiguousarray(np.maximum(flux, 0.0) + detector.sky_adu))
    noise = galsim.CCDNoise(
        galsim.BaseDeviate(seed), sky_level=0.0, gain=detector.gain, read_noise=detector.read_noise_e
    )
    image.addNoise(noise)
    return np.asarray(np.minimum(image.array, SATURATION_ADU), dtype=np.float32)
