"""Image HDUs, plain or tile-compressed: any region as native float32, and which of them hold science."""

from __future__ import annotations

import math
import os
import re
import tempfile
from collections.abc import Iterable, Sequence
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from classifier.fits.cards import BLOCK_BYTES, CARD_BYTES, CardValue, Header
from classifier.fits.errors import UnreadableError
from classifier.fits.headers import Hdu
from classifier.fits.limits import Limits
from classifier.fits.storage import Buffer, Stored
from classifier.fits.tables import check_tiles

# A cube becomes the mean of at most so many planes, evenly spaced: its white light, not its first plane.
CUBE_PLANES = 16

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
        self._scaling = Scaling(hdu)

    def close(self) -> None:
        """Nothing was opened."""

    @property
    def shape(self) -> tuple[int, int]:
        return self._data.shape[-2], self._data.shape[-1]

    def region(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        if self._data.ndim == 2:
            return self._scaling.apply(self._data[rows, columns])
        return mean_plane(self.plane_region(plane, rows, columns) for plane in _spread(self._data.shape[0]))

    def plane_region(self, plane: int, rows: slice, columns: slice) -> NDArray[np.float32]:
        """The same of one plane of a cube."""
        return self._scaling.apply(self._data[plane, rows, columns])


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
        self._blank = Scaling(hdu).blank_value
        self._opened: tuple[Any, Any] | None = None

    def close(self) -> None:
        """Close what CFITSIO opened."""
        if self._opened is not None:
            self._opened[0].close()

    @property
    def _hdu(self) -> Any:
        if self._opened is None:
            self._opened = _open_tiles(self._buffer, self._described, limits=self._limits)
        return self._opened[1]

    @property
    def shape(self) -> tuple[int, int]:
        return self._axes[-2], self._axes[-1]

    def region(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        if len(self._axes) == 2:
            return self._read((rows, columns))
        return mean_plane(self.plane_region(plane, rows, columns) for plane in _spread(self._axes[-3]))

    def plane_region(self, plane: int, rows: slice, columns: slice) -> NDArray[np.float32]:
        """The same of one plane of a cube."""
        leading = (0,) * (len(self._axes) - 3)
        return np.squeeze(self._read((*leading, slice(plane, plane + 1), rows, columns)), axis=0)

    def _read(self, place: tuple[int | slice, ...]) -> NDArray[np.float32]:
        try:
            return self._native(self._hdu[place])
        except (OSError, ValueError, IndexError, TypeError) as error:
            raise UnreadableError(f"The compressed image cannot be decompressed: {_first_line(error)}") from error

    def _native(self, values: NDArray[Any]) -> NDArray[np.float32]:
        with np.errstate(over="ignore", invalid="ignore"):
            pixels = values.astype(np.float32, copy=self._blank is not None)
        if self._blank is not None:
            pixels[values == self._blank] = np.nan
        return pixels


class OnePlane:
    """One plane of a cube as an image."""

    def __init__(self, cube: PlainImage | TiledImage, plane: int) -> None:
        self._cube, self._plane = cube, plane

    @property
    def shape(self) -> tuple[int, int]:
        return self._cube.shape

    def region(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        return self._cube.plane_region(self._plane, rows, columns)


class Scaling:
    """BSCALE, BZERO and BLANK (FITS 4.0, section 4.4.2.5)."""

    def __init__(self, hdu: Hdu) -> None:
        self._scale, self._zero, blank, compressed_blank = hdu.header.recall("scaling", _scaling_told)
        if blank is None and hdu.compressed:
            blank = compressed_blank
        self._blank = blank if hdu.bitpix > 0 and isinstance(blank, int) else None

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


def _scaling_told(header: Header) -> tuple[float, float, CardValue | None, CardValue | None]:
    """BSCALE, BZERO, and what is a blank pixel in a plain and in a compressed image."""
    scale = header.number("BSCALE")
    scale = 1.0 if scale is None or scale == 0.0 else scale
    return scale, header.number("BZERO") or 0.0, header.get("BLANK"), header.get("ZBLANK")


def is_science_image(hdu: Hdu) -> bool:
    """Whether an HDU is an image of at least two axes and not a companion (variance, quality, weight)."""
    if not hdu.is_image or len(hdu.shape) < 2 or 0 in hdu.shape or min(hdu.shape[-2:]) < 2:
        return False
    return not hdu.header.recall("companion", _is_companion)


def _is_companion(header: Header) -> bool:
    role = str(header.get("HDUCLAS2") or "").strip().upper()
    name = str(header.get("EXTNAME") or "").strip()
    return role in {"ERROR", "QUALITY"} or _COMPANION.fullmatch(name) is not None


def open_images(stored: Stored, hdus: Sequence[Hdu], *, limits: Limits) -> list[PlainImage | TiledImage]:
    """The pixels of image HDUs, to be read region by region, and to be closed.

    Args:
        stored: The open file.
        hdus: Images of at least two axes, as the pre-scan found them.
        limits: Largest compressed data handed to CFITSIO.

    Raises:
        UnreadableError: A compressed image's table of tiles is damaged.
    """
    return [
        TiledImage(stored.buffer, hdu, limits=limits) if hdu.compressed else PlainImage(stored.buffer, hdu)
        for hdu in hdus
    ]


def _open_tiles(buffer: Buffer, hdu: Hdu, *, limits: Limits) -> tuple[Any, Any]:
    """One compressed image as a file of its own for CFITSIO, with no other cards than those that the pre-scan checked.

    A hundred ESO cards would cost CFITSIO more than a small image's pixels, and the name of an open file holds
    nothing of its extended file name syntax.

    Returns:
        The file, to be closed, and its image.
    """
    import fitsio
    from fitsio.hdu import ImageHDU

    if hdu.data_bytes > limits.expanded_bytes:
        raise UnreadableError("The compressed image is larger than any that it could expand to.")
    parts = (
        _block(_EMPTY_PRIMARY),
        _block(hdu.header.matching(_TILE_CARDS)),
        memoryview(buffer)[hdu.data_offset : hdu.data_offset + hdu.data_bytes],
        bytes(-hdu.data_bytes % BLOCK_BYTES),
    )
    with _anonymous_file(hdu.data_bytes) as file:
        file.writelines(parts)
        file.flush()
        try:
            opened = fitsio.FITS(f"/proc/self/fd/{file.fileno()}")
            # By its number, since fitsio would read the headers of all parts to find one by their list.
            return opened, ImageHDU(opened._FITS, 1)  # noqa: SLF001 - the list's own way to make one
        except (OSError, ValueError, RuntimeError) as error:
            raise UnreadableError(f"The compressed image cannot be opened: {_first_line(error)}") from error


def _anonymous_file(size_bytes: int) -> IO[bytes]:
    """A file without a name that vanishes when nobody has it open: in memory where it is small."""
    if size_bytes <= _IN_MEMORY_BYTES:
        return os.fdopen(os.memfd_create("tiles"), "wb")
    return tempfile.TemporaryFile(prefix="tiles-")


def _block(cards: bytes) -> bytes:
    """Cards as a header: closed by END, padded."""
    return (cards + b"END").ljust(-(-(len(cards) + CARD_BYTES) // BLOCK_BYTES) * BLOCK_BYTES)


def _spread(count: int) -> list[int]:
    """Up to CUBE_PLANES indices, evenly spaced over a cube's planes."""
    if count <= CUBE_PLANES:
        return list(range(count))
    return [math.floor((k + 0.5) * count / CUBE_PLANES) for k in range(CUBE_PLANES)]


def mean_plane(planes: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
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
