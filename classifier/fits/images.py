"""Image HDUs, plain or tile-compressed: regions as native float32, and the cut-outs that become subjects."""

from __future__ import annotations

import math
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from classifier.cutouts import (
    PixelSource,
    average_frame,
    cut_around,
    measure_sky,
    normalise_plane,
    saturated_share,
)
from classifier.fits.cards import BLOCK_BYTES, CARD_BYTES
from classifier.fits.content import Cutout, CutSpec, HeaderFacts
from classifier.fits.errors import NoFinitePixelsError, NoScienceDataError, UnreadableError
from classifier.fits.headers import Hdu
from classifier.fits.limits import Limits
from classifier.fits.storage import Buffer, Stored
from classifier.fits.tables import check_tiles
from classifier.fits.wcs import CelestialWcs, celestial_wcs

# A cube becomes the mean of at most so many planes, evenly spaced: its white light, not its first plane.
CUBE_PLANES = 16
# Up to this many times the cut-out's side a target is cut out; in larger frames it would be a guess.
TARGET_FRAME_RATIO = 4

_DTYPES = {8: ">u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
# Companions of the science plane: variance, quality, weight (MUSE, VISTA, HST and ESO's HDUCLAS2 alike).
_COMPANION = re.compile(
    r"STAT|VAR|VARIANCE|ERR|ERROR|SIGMA|NOISE|RMS|DQ|QUAL|QUALITY|MASK|BPM|FLAGS?|WEIGHT|WHT|CONF|CONFIDENCE|EXPMAP|BKG",
    re.IGNORECASE,
)
# All that CFITSIO needs of a table of tiles (FITS 4.0, section 10).
_TILE_CARDS = re.compile(
    rb"XTENSION|BITPIX|NAXIS[12]?|PCOUNT|GCOUNT|THEAP|TFIELDS|(?:TFORM|TTYPE|TSCAL|TZERO|TNULL|TDIM)[0-9]{1,3}"
    rb"|ZIMAGE|ZSIMPLE|ZTENSION|ZBITPIX|ZP?G?COUNT|ZNAXIS[0-9]*|ZTILE[0-9]+|ZCMPTYPE|ZNAME[0-9]+|ZVAL[0-9]+"
    rb"|ZMASKCMP|ZSCALE|ZZERO|ZBLANK|ZQUANTIZ|ZDITHER0|BSCALE|BZERO|BLANK"
)
_EMPTY_PRIMARY = b"".join(
    line.ljust(CARD_BYTES)
    for line in (
        b"SIMPLE  =                    T",
        b"BITPIX  =                    8",
        b"NAXIS   =                    0",
        b"EXTEND  =                    T",
    )
)
_IN_MEMORY_BYTES = 1 << 20


class PlainImage:
    """An uncompressed image, read in place from the file's bytes."""

    def __init__(self, buffer: Buffer, hdu: Hdu) -> None:
        data: NDArray[Any] = np.ndarray(hdu.shape, dtype=_DTYPES[hdu.bitpix], buffer=buffer, offset=hdu.data_offset)
        self._data = data[(0,) * max(0, data.ndim - 3)]
        self._scaling = _Scaling(hdu)

    @property
    def shape(self) -> tuple[int, int]:
        return self._data.shape[-2], self._data.shape[-1]

    def region(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        if self._data.ndim == 2:
            return self._scaling.apply(self._data[rows, columns])
        planes = _spread(self._data.shape[0])
        return _mean_plane(self._scaling.apply(self._data[plane, rows, columns]) for plane in planes)


class TiledImage:
    """A tile-compressed image, decompressed region by region by CFITSIO."""

    def __init__(self, buffer: Buffer, hdu: Hdu, *, limits: Limits) -> None:
        """Check the tiles; CFITSIO sees them when the first region is read.

        Raises:
            UnreadableError: The table of tiles is damaged.
        """
        check_tiles(buffer, hdu)
        self._buffer, self._described, self._limits = buffer, hdu, limits
        self._axes = hdu.shape
        self._blank = _Scaling(hdu).blank_value
        self._file: Any = None

    def close(self) -> None:
        """Close what CFITSIO opened."""
        if self._file is not None:
            self._file.close()

    @property
    def _hdu(self) -> Any:
        if self._file is None:
            self._file = _open_tiles(self._buffer, self._described, limits=self._limits)
        return self._file[1]

    @property
    def shape(self) -> tuple[int, int]:
        return self._axes[-2], self._axes[-1]

    def region(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        try:
            if len(self._axes) == 2:
                return self._native(self._hdu[rows, columns])
            leading = (0,) * (len(self._axes) - 3)
            planes = _spread(self._axes[-3])
            return _mean_plane(
                self._native(np.squeeze(self._hdu[(*leading, slice(plane, plane + 1), rows, columns)], axis=0))
                for plane in planes
            )
        except (OSError, ValueError, IndexError, TypeError) as error:
            raise UnreadableError(f"The compressed image cannot be decompressed: {_first_line(error)}") from error

    def _native(self, values: NDArray[Any]) -> NDArray[np.float32]:
        with np.errstate(over="ignore", invalid="ignore"):
            pixels = values.astype(np.float32)
        if self._blank is not None:
            pixels[values == self._blank] = np.nan
        return pixels


class _Scaling:
    """BSCALE, BZERO and BLANK (FITS 4.0, section 4.4.2.5)."""

    def __init__(self, hdu: Hdu) -> None:
        self._integers = hdu.bitpix > 0
        scale, zero = hdu.header.number("BSCALE"), hdu.header.number("BZERO")
        self._scale = 1.0 if scale is None or scale == 0.0 else scale
        self._zero = zero or 0.0
        blank = hdu.header.get("BLANK")
        if blank is None and hdu.compressed:
            blank = hdu.header.get("ZBLANK")
        self._blank = blank if self._integers and isinstance(blank, int) else None

    @property
    def blank_value(self) -> float | None:
        """What a blank pixel becomes once scaled."""
        return None if self._blank is None else self._blank * self._scale + self._zero

    def apply(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        with np.errstate(over="ignore", invalid="ignore"):
            if self._scale == 1.0 and self._zero == 0.0:
                pixels = raw.astype(np.float32)
            else:
                pixels = (raw.astype(np.float64) * self._scale + self._zero).astype(np.float32)
        if self._blank is not None:
            pixels[raw == self._blank] = np.nan
        return pixels


def is_science_image(hdu: Hdu) -> bool:
    """Whether an HDU is an image of at least two axes and not a companion (variance, quality, weight)."""
    if not hdu.is_image or len(hdu.shape) < 2 or 0 in hdu.shape or min(hdu.shape[-2:]) < 2:
        return False
    role = str(hdu.header.get("HDUCLAS2") or "").strip().upper()
    name = str(hdu.header.get("EXTNAME") or "").strip()
    return role not in {"ERROR", "QUALITY"} and _COMPANION.fullmatch(name) is None


def take_cutouts(
    *, stored: Stored, hdus: Sequence[Hdu], facts: HeaderFacts, spec: CutSpec, limits: Limits
) -> tuple[Cutout, ...]:
    """Cut the subjects out of a file's science images.

    With positions: each is cut at native resolution from the first image it lies on. Without: a plane around
    the header's target where that lies on an image of at most four times the plane's side; else the whole
    frame, averaged in blocks or padded, one subject an image.

    Args:
        stored: The open file.
        hdus: The science images.
        facts: The target's position.
        spec: Size and positions.
        limits: Most cut-outs.

    Raises:
        NoScienceDataError: Positions were asked and none lies on an image with a WCS.
        NoFinitePixelsError: No cut-out has a finite pixel.
        UnreadableError: The data are damaged.
    """
    if spec.positions is not None and len(spec.positions) > limits.cutouts:
        raise NoScienceDataError(f"{len(spec.positions):,} positions are more than {limits.cutouts:,}.")
    with open_images(stored, hdus, limits=limits) as sources:
        frames = [(hdu, source, celestial_wcs(hdu.header)) for hdu, source in zip(hdus, sources, strict=True)]
        if spec.positions is None:
            cutouts = tuple(_default_cut(*frame, facts, spec.size_px) for frame in frames)
        else:
            cutouts = tuple(_cuts_at(frames, spec))
    if not cutouts:
        raise NoScienceDataError("None of the positions lies on an image with celestial coordinates.")
    filled = tuple(cutout for cutout in cutouts if cutout.missing_share < 1.0)
    if not filled:
        raise NoFinitePixelsError("The image has no finite pixel.")
    return filled


def _cuts_at(frames: Sequence[tuple[Hdu, PixelSource, CelestialWcs | None]], spec: CutSpec) -> Iterator[Cutout]:
    for index, (ra_deg, dec_deg) in enumerate(spec.positions or ()):
        for hdu, source, wcs in frames:
            pixel = _inside(source, wcs, ra_deg, dec_deg)
            if pixel is not None:
                square, edge = cut_around(source, x_px=pixel[0], y_px=pixel[1], size_px=spec.size_px)
                yield _cutout(hdu, wcs, square, position_index=index, centre=pixel, scale=1, edge=edge)
                break


def _default_cut(hdu: Hdu, source: PixelSource, wcs: CelestialWcs | None, facts: HeaderFacts, size_px: int) -> Cutout:
    height, width = source.shape
    if max(height, width) <= TARGET_FRAME_RATIO * size_px and min(height, width) > size_px:
        target = None
        if facts.ra_deg is not None and facts.dec_deg is not None:
            target = _inside(source, wcs, facts.ra_deg, facts.dec_deg)
        if target is not None:
            square, edge = cut_around(source, x_px=target[0], y_px=target[1], size_px=size_px)
            return _cutout(hdu, wcs, square, position_index=None, centre=target, scale=1, edge=edge)
    square, scale = average_frame(source, size_px=size_px)
    centre = ((width - 1) / 2, (height - 1) / 2)
    padded = max(height, width) <= (size_px - 1) * scale or height != width
    return _cutout(hdu, wcs, square, position_index=None, centre=centre, scale=scale, edge=padded)


def _inside(source: PixelSource, wcs: CelestialWcs | None, ra_deg: float, dec_deg: float) -> tuple[float, float] | None:
    pixel = None if wcs is None else wcs.to_pixel(ra_deg, dec_deg)
    if pixel is None:
        return None
    height, width = source.shape
    return pixel if -0.5 <= pixel[0] < width - 0.5 and -0.5 <= pixel[1] < height - 0.5 else None


def _cutout(
    hdu: Hdu,
    wcs: CelestialWcs | None,
    square: NDArray[np.float32],
    *,
    position_index: int | None,
    centre: tuple[float, float],
    scale: int,
    edge: bool,
) -> Cutout:
    background, noise = measure_sky(square)
    sky = None if wcs is None else wcs.to_sky(*centre)
    level = hdu.header.number("SATURATE", "SATLEVEL", "ESO DET OUT1 SATURATE", "ABMAGSAT_ADU")
    if level is None and hdu.bitpix in {8, 16} and not hdu.compressed:
        ceiling = 255 if hdu.bitpix == 8 else 32767
        level = float(_Scaling(hdu).apply(np.array([ceiling]))[0])
    return Cutout(
        plane=normalise_plane(square, background=background, noise=noise),
        hdu=hdu.index,
        extension_name=hdu.header.text("EXTNAME") or "",
        position_index=position_index,
        x_px=centre[0],
        y_px=centre[1],
        ra_deg=None if sky is None else sky[0],
        dec_deg=None if sky is None else sky[1],
        size_px=square.shape[0],
        scale=scale,
        pixel_scale_arcsec=None if wcs is None else wcs.pixel_scale_arcsec * scale,
        background=background,
        noise=noise,
        unit=hdu.header.text("BUNIT") or "",
        saturated_share=saturated_share(square, saturation_level=level, background=background, noise=noise),
        missing_share=1.0 - float(np.count_nonzero(np.isfinite(square))) / square.size,
        edge=edge,
    )


@contextmanager
def open_images(stored: Stored, hdus: Sequence[Hdu], *, limits: Limits) -> Iterator[list[PixelSource]]:
    """The pixels of image HDUs, read region by region while the context lasts.

    Args:
        stored: The open file.
        hdus: Images of at least two axes, as the pre-scan found them.
        limits: Largest compressed data handed to CFITSIO.

    Raises:
        UnreadableError: A compressed image's table of tiles is damaged.
    """
    sources: list[PixelSource] = []
    with ExitStack() as opened:
        for hdu in hdus:
            if hdu.compressed:
                tiled = TiledImage(stored.buffer, hdu, limits=limits)
                opened.callback(tiled.close)
                sources.append(tiled)
            else:
                sources.append(PlainImage(stored.buffer, hdu))
        yield sources


def _open_tiles(buffer: Buffer, hdu: Hdu, *, limits: Limits) -> Any:
    """One compressed image as a file of its own for CFITSIO, with no other cards than those that the pre-scan checked.

    A hundred ESO cards would cost CFITSIO more than a small image's pixels, and the name of an open file holds
    nothing of its extended file name syntax.
    """
    import fitsio

    if hdu.data_bytes > limits.expanded_bytes:
        raise UnreadableError("The compressed image is larger than any that it could expand to.")
    cards = hdu.header.matching(_TILE_CARDS)
    with _anonymous_file(hdu.data_bytes) as file:
        file.write(_block(_EMPTY_PRIMARY) + _block(cards))
        file.write(memoryview(buffer)[hdu.data_offset : hdu.data_offset + hdu.data_bytes])
        file.write(bytes(-hdu.data_bytes % BLOCK_BYTES))
        file.flush()
        try:
            return fitsio.FITS(f"/proc/self/fd/{file.fileno()}")
        except (OSError, ValueError) as error:
            raise UnreadableError(f"The compressed image cannot be opened: {_first_line(error)}") from error


def _anonymous_file(size_bytes: int) -> IO[bytes]:
    """A file without a name that vanishes when nobody has it open: in memory where it is small."""
    if size_bytes <= _IN_MEMORY_BYTES:
        return os.fdopen(os.memfd_create("tiles"), "w+b", buffering=0)
    return tempfile.TemporaryFile(prefix="tiles-")


def _block(cards: bytes) -> bytes:
    """Cards as a header: closed by END, padded."""
    return (cards + b"END").ljust(-(-(len(cards) + CARD_BYTES) // BLOCK_BYTES) * BLOCK_BYTES)


def _spread(count: int) -> list[int]:
    """Up to CUBE_PLANES indices, evenly spaced over a cube's planes."""
    if count <= CUBE_PLANES:
        return list(range(count))
    return [math.floor((k + 0.5) * count / CUBE_PLANES) for k in range(CUBE_PLANES)]


def _mean_plane(planes: Iterator[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Mean over the finite values of each pixel; NaN where there is none."""
    total: NDArray[np.float64] | None = None
    count: NDArray[np.int64] | None = None
    for plane in planes:
        finite = np.isfinite(plane)
        if total is None or count is None:
            total, count = np.zeros(plane.shape), np.zeros(plane.shape, dtype=np.int64)
        total += np.where(finite, plane, 0.0)
        count += finite
    assert total is not None
    assert count is not None
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return (total / count).astype(np.float32)


def _first_line(error: Exception) -> str:
    """What CFITSIO says, without the names of our temporary files."""
    return (str(error).splitlines() or [""])[0][:200]
