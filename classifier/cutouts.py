"""Cut a plane out of an image, in units of its sky noise; resample a spectrum to the network's grid."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

PLANE_MIN = -1e3
PLANE_MAX = 6e4  # float16 ends at 65,504
FLUX_CLIP = 50.0

_CLIP_SIGMAS = 3.0
_SKY_SAMPLE_PX = 4096
_LEAST_SKY_SAMPLE_PX = 256
_LOWER_SIGMA_QUANTILE = 0.158655  # a Gaussian's share below mean - 1 sigma
_STRIP_VALUES = 1 << 22
_TO_HALF = np.float32(2.0**-112)


class PixelSource(Protocol):
    """An image of which regions can be read without reading all of it."""

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""

    def region(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Native float32 pixels, missing ones NaN; the slices lie within the shape."""


def find_extremes(pixels: NDArray[np.float32]) -> tuple[float, float] | None:
    """The least and the largest value; None where a value is not finite."""
    low, high = np.minimum.reduce(pixels, axis=None), np.maximum.reduce(pixels, axis=None)
    return (float(low), float(high)) if math.isfinite(low) and math.isfinite(high) else None


def measure_sky(pixels: NDArray[np.float32], *, complete: bool = False) -> tuple[float, float]:
    """Sky level and noise: the median and the lower-side standard deviation, clipped until they settle.

    Only the side below the median tells the noise, since sources add to the other (the same reasoning as
    clipping in SExtractor, Bertin & Arnouts 1996, A&AS 117, 393, section 4).

    Args:
        pixels: Any shape; not finite values are ignored.
        complete: That there are none, where it is known already.

    Returns:
        (background, noise) in the pixels' unit; noise > 0 and finite. (0, 1) where no value is finite.
    """
    flat = pixels.ravel()
    # An odd step walks through columns and rows alike.
    sample = flat[:: max(1, flat.size // _SKY_SAMPLE_PX) | 1]
    if not complete:
        sample = sample[np.isfinite(sample)]
        if sample.size < _LEAST_SKY_SAMPLE_PX:
            sample = flat[np.isfinite(flat)]
    if sample.size == 0:
        return 0.0, 1.0
    ordered = np.sort(sample)
    # Its values one by one, in double precision: arrays of one would cost more than the look-up.
    values: memoryview[float] = memoryview(ordered.data)
    low, high = 0, len(values)
    background, noise = values[high // 2], 0.0
    for _ in range(12):
        background = values[(low + high) // 2]
        noise = background - values[low + int(_LOWER_SIGMA_QUANTILE * (high - low))]
        new_low = bisect_left(values, background - _CLIP_SIGMAS * noise)
        new_high = bisect_right(values, background + _CLIP_SIGMAS * noise)
        if noise <= 0.0 or new_high - new_low < 16 or (new_low, new_high) == (low, high):
            break
        low, high = new_low, new_high
    if noise <= 0.0:
        noise = float(ordered.std(dtype=np.float64))
    return background, noise if math.isfinite(noise) and noise > 0.0 else 1.0


def normalise_plane(
    pixels: NDArray[np.float32], *, background: float, noise: float, extremes: tuple[float, float] | None = None
) -> NDArray[np.float16]:
    """Pixels in units of the sky noise.

    Args:
        pixels: float32 (H, W); NaN where missing.
        background: Sky level, same unit.
        noise: Its standard deviation, > 0.
        extremes: The least and the largest pixel, where none is missing and they are known already.

    Returns:
        float16 (H, W) in [-1e3, 6e4]; missing pixels are -0.0: the sky to whoever calculates, and yet told from it
        by whoever looks at the bits.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        offset, unit = np.float32(background), np.float32(noise)
        plane = pixels - offset
        plane /= unit
        if extremes is None:
            np.clip(plane, PLANE_MIN, PLANE_MAX, out=plane)
            missing = np.isnan(plane)
            if missing.any():
                plane[missing] = -0.0
        else:
            # Of steps that keep the order, the ends tell whether anything lies beyond.
            low, high = ((np.float32(end) - offset) / unit for end in extremes)
            if low < PLANE_MIN or high > PLANE_MAX:
                np.clip(plane, PLANE_MIN, PLANE_MAX, out=plane)
        plane *= _TO_HALF
    return _half_of(plane)


def to_half(values: NDArray[np.float32]) -> NDArray[np.float16]:
    """What ``astype(np.float16)`` gives, rounded to nearest, ties to even, in half of its time.

    Scaled by 2^-112 a number has the bits of its half-precision form 13 places further left, subnormal ones included;
    those, below 6e-5, are rounded twice, so that a tie may go the other way.

    Args:
        values: Finite, at most 65,504 in size.
    """
    with np.errstate(under="ignore"):
        return _half_of(values * _TO_HALF)


def _half_of(scaled: NDArray[np.float32]) -> NDArray[np.float16]:
    """The half-precision form of numbers scaled by 2^-112, which are overwritten."""
    bits = scaled.view(np.uint32)
    sign = bits >> 16
    sign &= 0x8000
    rest = bits >> 13
    rest &= 1
    rest += 0xFFF
    # The sign, far above, is not reached by rounding; and what lies above sixteen bits is cut off in the end.
    bits += rest
    bits >>= 13
    bits |= sign
    return bits.astype(np.uint16).view(np.float16)


def corner_of_cut(*, x_px: float, y_px: float, size_px: int) -> tuple[int, int]:
    """The image's pixel (column, row) that is the first of a cut around a position."""
    return round(x_px - (size_px - 1) / 2), round(y_px - (size_px - 1) / 2)


def corner_of_average(shape: tuple[int, int], *, size_px: int, scale: int) -> tuple[int, int]:
    """The image's pixel (column, row), or one beyond its edge, at which an averaged frame's first block begins."""
    height, width = shape
    rows_out, columns_out = -(-height // scale), -(-width // scale)
    return -((size_px - columns_out) // 2) * scale, -((size_px - rows_out) // 2) * scale


def cut_around(source: PixelSource, *, x_px: float, y_px: float, size_px: int) -> tuple[NDArray[np.float32], bool]:
    """A square of native pixels whose centre lies nearest to a position.

    Args:
        source: The image.
        x_px: Column of the centre, 0-based; 0 is the centre of the first pixel.
        y_px: Row of the centre, likewise.
        size_px: Side.

    Returns:
        float32 (size_px, size_px), NaN beyond the edge; and whether any of it is beyond the edge.
    """
    height, width = source.shape
    left, bottom = corner_of_cut(x_px=x_px, y_px=y_px, size_px=size_px)
    rows = slice(max(bottom, 0), min(bottom + size_px, height))
    columns = slice(max(left, 0), min(left + size_px, width))
    inside = rows.start < rows.stop and columns.start < columns.stop
    whole = inside and rows.stop - rows.start == size_px and columns.stop - columns.start == size_px
    if whole:
        return source.region(rows, columns), False
    square = np.full((size_px, size_px), np.nan, dtype=np.float32)
    if inside:
        square[rows.start - bottom : rows.stop - bottom, columns.start - left : columns.stop - left] = source.region(
            rows, columns
        )
    return square, True


def average_frame(source: PixelSource, *, size_px: int) -> tuple[NDArray[np.float32], int]:
    """The whole frame in one square: averaged in blocks until it fits, centred, padded with NaN.

    Reads in strips, so that memory stays flat however large the frame is.

    Args:
        source: The image.
        size_px: Side of the square.

    Returns:
        float32 (size_px, size_px) and the side of a block in pixels.
    """
    height, width = source.shape
    if height == width == size_px:
        return source.region(slice(0, height), slice(0, width)), 1
    scale = max(1, -(-max(height, width) // size_px))
    rows_out, columns_out = -(-height // scale), -(-width // scale)
    square = np.full((size_px, size_px), np.nan, dtype=np.float32)
    left, bottom = (-first // scale for first in corner_of_average(source.shape, size_px=size_px, scale=scale))
    rows_a_strip = max(1, _STRIP_VALUES // max(1, width * scale))
    for first in range(0, rows_out, rows_a_strip):
        last = min(first + rows_a_strip, rows_out)
        strip = source.region(slice(first * scale, min(last * scale, height)), slice(0, width))
        square[bottom + first : bottom + last, left : left + columns_out] = block_mean(strip, scale=scale)
    return square, scale


def block_mean(pixels: NDArray[np.float32], *, scale: int) -> NDArray[np.float32]:
    """Means of square blocks over the finite pixels; NaN without any. Blocks at the far edges may be smaller.

    Args:
        pixels: float32 (H, W).
        scale: Side of a block.

    Returns:
        float32 (ceil(H / scale), ceil(W / scale)).
    """
    if scale == 1:
        return pixels
    finite = np.isfinite(pixels)
    rows, columns = (np.arange(0, length, scale) for length in pixels.shape)
    total = np.where(finite, pixels, 0.0).astype(np.float64)
    total = np.add.reduceat(np.add.reduceat(total, rows, axis=0), columns, axis=1)
    count = np.add.reduceat(np.add.reduceat(finite, rows, axis=0, dtype=np.int64), columns, axis=1)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return (total / count).astype(np.float32)


def saturated_share(
    pixels: NDArray[np.float32],
    *,
    saturation_level: float | None,
    background: float,
    noise: float,
    top: float | None = None,
) -> float:
    """Share of pixels at saturation.

    Args:
        pixels: float32, any shape.
        saturation_level: What the header or the integer type says; None looks for a flat top: at least five
            pixels at exactly the maximum, 50 sigma above the sky.
        background: Sky level.
        noise: Standard deviation of the sky.
        top: The largest pixel, where it is known already.
    """
    if saturation_level is not None:
        if top is not None and top < saturation_level:
            return 0.0
        return float(np.count_nonzero(pixels >= saturation_level)) / pixels.size
    if top is None:
        top = float(np.fmax.reduce(pixels, axis=None))
    if not top - background >= 50 * noise:
        return 0.0
    count = int(np.count_nonzero(pixels == np.float32(top)))
    return count / pixels.size if count >= 5 else 0.0


def resample_spectrum(
    *, wavelength_nm: NDArray[np.float64], flux: NDArray[np.float32], grid_nm: NDArray[np.float64]
) -> NDArray[np.float16]:
    """A spectrum on the network's grid: the mean of the elements in each bin.

    Where the file's own sampling is coarser than the grid, a bin between two elements is interpolated.

    Args:
        wavelength_nm: (n,), ascending, vacuum.
        flux: (n,), NaN where missing, any unit.
        grid_nm: (m,), bin centres, ascending, evenly spaced in the logarithm.

    Returns:
        float16 (2, m): flux divided by its median absolute value, clipped to [-50, 50], 0 where missing;
        validity 0 or 1.
    """
    plane = np.zeros((2, grid_nm.size), dtype=np.float32)
    good = np.isfinite(flux) & np.isfinite(wavelength_nm)
    wavelength, value = wavelength_nm[good], flux[good].astype(np.float64)
    if wavelength.size < 2:
        return plane.astype(np.float16)
    half_step = math.sqrt(grid_nm[1] / grid_nm[0])
    edges = np.append(grid_nm / half_step, grid_nm[-1] * half_step)
    first = np.searchsorted(wavelength, edges)
    count = np.diff(first)
    cumulative = np.concatenate(([0.0], np.cumsum(value)))
    mean = np.diff(cumulative[first]) / np.maximum(count, 1)
    valid = count > 0
    # Fill an empty bin only where the file's own sampling is that coarse, not in a gap.
    nearest = np.clip(np.searchsorted(wavelength, grid_nm), 1, wavelength.size - 1)
    gap = wavelength[nearest] - wavelength[nearest - 1]
    inside = (grid_nm >= wavelength[0]) & (grid_nm <= wavelength[-1])
    between = ~valid & inside & (gap <= 1.5 * np.median(np.diff(wavelength)))
    mean[between] = np.interp(grid_nm[between], wavelength, value)
    valid |= between
    if valid.any():
        unit = float(np.median(np.abs(mean[valid]))) or float(np.abs(mean[valid]).max()) or 1.0
        plane[0, valid] = np.clip(mean[valid] / unit, -FLUX_CLIP, FLUX_CLIP)
        plane[1, valid] = 1.0
    return plane.astype(np.float16)
