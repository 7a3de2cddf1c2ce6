"""Planes and spectra for eyes: robust limits, stretch, JPEG, the numbers of a spectrum.

Everything here takes planes in units of sky noise (``classifier.fits.content.Cutout``) or a ``DisplaySpectrum``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Literal

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d
from scipy.sparse import csr_matrix

from classifier.fits.content import DisplaySpectrum
from classifier.spectrum_picture import render_spectrum

__all__ = [
    "Stretch",
    "encode_jpeg",
    "enlarge",
    "render_bands",
    "render_planes",
    "render_spectrum",
    "sky_limits",
    "spectrum_json",
    "stretch_bands",
    "stretch_planes",
    "zscale_limits",
]

DISPLAY_SIZE_PX = 424
JPEG_QUALITY = 90

Stretch = Literal["asinh", "linear", "log"]

# In sky sigmas: linear within the noise, logarithmic above it (Lupton et al. 2004, PASP 116, 133).
_SOFTENING = 2.0
_LOW_SIGMAS = -2.5
_LEAST_RANGE_SIGMAS = 10.0
_HIGH_QUANTILE = 0.9985
_SAMPLE_STEP = 3
_ZSCALE_SAMPLE = 1000


def _lookup(function: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> NDArray[np.float32]:
    """A function of every float16 there is, by its bits: a stretch becomes one table look-up a pixel."""
    values = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        stretched = function(np.clip(values, -1e3, 6.5e4))
    return np.where(np.isnan(stretched), np.float32(0.0), stretched)


_CURVES: dict[Stretch, NDArray[np.float32]] = {
    "asinh": _lookup(lambda value: np.arcsinh(value / _SOFTENING)),
    "linear": _lookup(lambda value: value),
    "log": _lookup(lambda value: np.log1p(np.maximum(value, 0.0))),
}


def sky_limits(planes: NDArray[np.float16]) -> NDArray[np.float32]:
    """Black and white points from a robust sample of each plane.

    Black lies 2.5 sigma below the sky, so that the noise stays visible; white at the 99.85th percentile of a
    ninth of the pixels, at least 10 sigma above black, so that a blank field is not stretched into texture.

    Args:
        planes: float16 (N, H, W), in sky sigmas.

    Returns:
        float32 (N, 2): black, white, in sky sigmas.
    """
    sample = planes[:, ::_SAMPLE_STEP, ::_SAMPLE_STEP].reshape(planes.shape[0], -1).astype(np.float32)
    rank = min(int(_HIGH_QUANTILE * sample.shape[1]), sample.shape[1] - 1)
    high = np.partition(sample, rank, axis=1)[:, rank]
    low = np.full_like(high, _LOW_SIGMAS)
    return np.stack([low, np.maximum(high, low + _LEAST_RANGE_SIGMAS)], axis=1)


def zscale_limits(planes: NDArray[np.float16], *, contrast: float = 0.25) -> NDArray[np.float32]:
    """Black and white points as IRAF's zscale finds them: around the median, by the slope of the sorted values.

    A line is fitted to a sorted sample of some 1,000 pixels, values further than 2.5 standard deviations from it are
    left out with their neighbours, and again, up to five times; the slope divided by the contrast spans the limits
    (the ``display`` task of IRAF, NOAO). All planes at once.

    Args:
        planes: float16 (N, H, W), in sky sigmas, finite.
        contrast: In (0, 1]; 1 shows the sky alone.

    Returns:
        float32 (N, 2): black, white, in sky sigmas.
    """
    flat = planes.reshape(planes.shape[0], -1)
    sample = np.sort(flat[:, :: max(1, flat.shape[1] // _ZSCALE_SAMPLE)][:, :_ZSCALE_SAMPLE].astype(np.float64), axis=1)
    count = sample.shape[1]
    least = max(5, count // 2)
    place = np.arange(count, dtype=np.float64)
    grow = max(1, int(count * 0.01))
    good = np.ones(sample.shape, dtype=bool)
    slope = np.zeros(len(sample))
    active = np.full(len(sample), count >= least)
    for _ in range(5):
        if not active.any():
            break
        slope[active], flat_residual = _fit_lines(place, sample[active], good[active])
        kept = good[active]
        spread = np.sqrt(_masked_mean(flat_residual**2, kept) - _masked_mean(flat_residual, kept) ** 2)
        rejected = ~kept | (np.abs(flat_residual) > 2.5 * spread[:, None])
        before = kept.sum(axis=1)
        good[active] = ~maximum_filter1d(rejected, grow, axis=1, mode="constant", cval=0)
        after = good.sum(axis=1)
        settled = (after[active] >= before) | (after[active] < least)
        active[np.flatnonzero(active)[settled]] = False
    fitted = good.sum(axis=1) >= least
    median, centre = np.median(sample, axis=1), (count - 1) // 2
    low = np.maximum(sample[:, 0], median - (centre - 1) * slope / contrast)
    high = np.minimum(sample[:, -1], median + (count - centre) * slope / contrast)
    limits = np.where(fitted[:, None], np.stack([low, high], axis=1), sample[:, [0, -1]])
    return limits.astype(np.float32)


def _fit_lines(
    place: NDArray[np.float64], sample: NDArray[np.float64], good: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least-squares lines through the good values of each row: slopes (N,), residuals of all values (N, n)."""
    mean_place, mean_value = _masked_mean(np.broadcast_to(place, good.shape), good), _masked_mean(sample, good)
    offset = place - mean_place[:, None]
    variance = _masked_mean(offset**2, good)
    slope = _masked_mean(offset * sample, good) / np.where(variance > 0.0, variance, 1.0)
    return slope, sample - mean_value[:, None] - slope[:, None] * offset


def _masked_mean(values: NDArray[np.float64], good: NDArray[np.bool_]) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = np.einsum("ij,ij->i", values, good) / np.maximum(good.sum(axis=1), 1)
    return mean


def stretch_planes(
    planes: NDArray[np.float16], *, limits: NDArray[np.float32] | None = None, stretch: Stretch = "asinh"
) -> NDArray[np.uint8]:
    """Stretch a batch of planes for display, the sky up: row 0 of a picture is the last of the file.

    Args:
        planes: float16 (N, H, W), in sky sigmas.
        limits: float32 (N, 2), black and white; None takes ``sky_limits``.
        stretch: The curve between them.

    Returns:
        uint8 (N, H, W), 0 black to 255 white.
    """
    limits = sky_limits(planes) if limits is None else limits
    curve = _CURVES[stretch]
    ends = curve[limits.astype(np.float16).view(np.uint16)]
    low, span = ends[:, 0, None, None], np.maximum(ends[:, 1] - ends[:, 0], 1e-6)[:, None, None]
    level = curve[np.ascontiguousarray(planes[:, ::-1]).view(np.uint16)]
    level -= low
    level *= 255.0 / span
    level += 0.5
    np.clip(level, 0.0, 255.0, out=level)
    return level.astype(np.uint8)


def enlarge(picture: NDArray[np.uint8], *, size_px: int) -> NDArray[np.uint8]:
    """A picture resampled bicubically (Keys 1981, IEEE Trans. ASSP 29, 1153, a = -1/2), edges repeated.

    The weights are sparse matrices, kept from call to call: less than half the time of Pillow's resize.

    Args:
        picture: uint8 (H, W).
        size_px: Longer side of the result, at least that of the picture.

    Returns:
        uint8 (h, w) of the same proportions.
    """
    height, width = picture.shape
    scale = size_px / max(height, width)
    if scale == 1.0:
        return picture
    rows = _cubic_weights(height, max(1, round(height * scale)))
    columns = _cubic_weights(width, max(1, round(width * scale)))
    # A product of the sparse matrix runs along contiguous rows, hence the two transpositions.
    # The weights of a sample add up to one, so that the half that rounds may be added to the smaller picture.
    wide = columns @ (picture.T + np.float32(0.5))
    level = rows @ np.ascontiguousarray(wide.T)
    np.clip(level, 0.0, 255.0, out=level)
    enlarged: NDArray[np.uint8] = level.astype(np.uint8)
    return enlarged


@lru_cache(maxsize=32)
def _cubic_weights(count: int, wanted: int) -> csr_matrix:
    """Sparse (wanted, count) float32: each sample of the result from its four neighbours."""
    centre = (np.arange(wanted) + 0.5) * count / wanted - 0.5
    first = np.floor(centre).astype(int) - 1
    neighbours = first[:, None] + np.arange(4)
    distance = np.abs(centre[:, None] - neighbours)
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1.0
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4.0 * distance + 2.0
    weights = np.where(distance < 1.0, near, far).astype(np.float32)
    return csr_matrix(
        (weights.ravel(), (np.repeat(np.arange(wanted), 4), np.clip(neighbours, 0, count - 1).ravel())),
        shape=(wanted, count),
    )


def stretch_bands(bands: NDArray[np.float16]) -> NDArray[np.uint8]:
    """Three bands as colour, the sky up, after Lupton et al. (2004, PASP 116, 133).

    The mean of the bands is stretched as a plane is; each pixel's bands keep their ratio to it, so that a source has
    one colour from its core to its outskirts, and where a band would pass white all three are lowered together.

    Args:
        bands: float16 (N, 3, H, W), red, green, blue, each in its own sky sigmas.

    Returns:
        uint8 (N, H, W, 3).
    """
    colour = bands[:, :, ::-1].astype(np.float32)
    brightness = colour.mean(axis=1)
    limits = sky_limits(brightness.astype(np.float16))
    low, high = limits[:, :1, None], limits[:, 1:, None]
    black = np.arcsinh(low / _SOFTENING)
    level = (np.arcsinh(brightness / _SOFTENING) - black) / (np.arcsinh(high / _SOFTENING) - black)
    share = np.clip(level, 0.0, 1.0) / np.maximum(brightness - low, 1e-3)
    colour = np.maximum(colour - low[:, None], 0.0) * share[:, None]
    colour /= np.maximum(colour.max(axis=1, keepdims=True), 1.0)
    return np.moveaxis((colour * 255.0 + 0.5).astype(np.uint8), 1, -1)


def encode_jpeg(picture: NDArray[np.uint8], *, size_px: int = DISPLAY_SIZE_PX) -> bytes:
    """One stretched plane as a JPEG.

    Args:
        picture: uint8 (H, W) for grey, (H, W, 3) for colour; row 0 on top.
        size_px: Longer side of the result.
    """
    channels = [picture] if picture.ndim == 2 else [picture[..., channel] for channel in range(3)]
    enlarged = np.stack([enlarge(channel, size_px=size_px) for channel in channels], axis=-1)
    encoded: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(enlarged),
        quality=JPEG_QUALITY,
        colorspace="GRAY" if picture.ndim == 2 else "RGB",
        colorsubsampling="444",
    )
    return encoded


def render_planes(
    planes: NDArray[np.float16],
    *,
    size_px: int = DISPLAY_SIZE_PX,
    limits: NDArray[np.float32] | None = None,
    stretch: Stretch = "asinh",
) -> list[bytes]:
    """A batch of planes as JPEGs.

    Args:
        planes: float16 (N, H, W), in sky sigmas.
        size_px: Longer side of the pictures.
        limits: float32 (N, 2), black and white; None takes ``sky_limits``.
        stretch: The curve.
    """
    pictures = stretch_planes(planes, limits=limits, stretch=stretch)
    return [encode_jpeg(picture, size_px=size_px) for picture in pictures]


def render_bands(bands: NDArray[np.float16], *, size_px: int = DISPLAY_SIZE_PX) -> list[bytes]:
    """A batch of colour pictures as JPEGs.

    Args:
        bands: float16 (N, 3, H, W), red, green, blue, each in its own sky sigmas.
        size_px: Longer side of the pictures.
    """
    return [encode_jpeg(picture, size_px=size_px) for picture in stretch_bands(bands)]


def spectrum_json(spectrum: DisplaySpectrum) -> bytes:
    """A spectrum for the browser: lists ``wavelength_nm``, ``flux``, ``error`` (or null); missing is null.

    Wavelengths have seven significant digits, fluxes and errors five.
    """
    return json.dumps(
        {
            "wavelength_nm": _rounded(spectrum.wavelength_nm.tolist(), digits=7),
            "flux": _rounded(spectrum.flux.tolist(), digits=5),
            "error": None if spectrum.error is None else _rounded(spectrum.error.tolist(), digits=5),
            "flux_unit": spectrum.flux_unit,
            "medium": "vacuum",
        },
        separators=(",", ":"),
        allow_nan=False,
    ).encode()


def _rounded(values: Iterable[float], *, digits: int) -> list[float | None]:
    return [float(f"{value:.{digits}g}") if math.isfinite(value) else None for value in values]
