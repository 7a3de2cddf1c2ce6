"""The pre-scan: every HDU's structural cards and sizes, checked before any library sees the file."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from classifier.fits.cards import BLOCK_BYTES, CARD_BYTES, CardValue, Header, find_end
from classifier.fits.errors import (
    DecompressionBombError,
    EmptyFileError,
    ImplausibleSizeError,
    NotFitsError,
    TruncatedError,
    UnreadableError,
)
from classifier.fits.layouts import HeaderIndexer
from classifier.fits.limits import Limits
from classifier.fits.storage import Buffer, refuse_foreign

_BITPIX = frozenset({8, 16, 32, 64, -32, -64})
# No archive holds a data unit of this size: announcing one is damage or attack, not truncation.
_PLAUSIBLE_BYTES = 1 << 42
_STRUCTURAL = re.compile(
    rb"SIMPLE|XTENSION|Z?BITPIX|Z?NAXIS[0-9]*|Z?PCOUNT|Z?GCOUNT|GROUPS|TFIELDS|TFORM[0-9]+|ZIMAGE|ZTILE[0-9]+"
)
# A reader reads many files of one instrument, one after another.
_indexer = HeaderIndexer()
# As much as the longest headers have: one read, and small against the files.
_READ_AHEAD_BYTES = 96 * BLOCK_BYTES


@dataclass(slots=True, eq=False)
class Hdu:
    """One header-data unit whose sizes have been checked against the file.

    Attributes:
        index: Position in the file, from 0.
        extension: ``PRIMARY``, ``IMAGE``, ``BINTABLE``, ``TABLE`` or what XTENSION says.
        bitpix: Bits a value, negative for floating point; of the uncompressed image where compressed.
        shape: Axes in array order (slowest first); of the uncompressed image where compressed.
        data_offset: Where the data begin in the (decompressed) file.
        data_bytes: Their length without padding.
        compressed: Whether this is a tile-compressed image (ZIMAGE).
        header: All its cards.
    """

    index: int
    extension: str
    bitpix: int
    shape: tuple[int, ...]
    data_offset: int
    data_bytes: int
    compressed: bool
    header: Header

    @property
    def is_image(self) -> bool:
        return self.compressed or self.extension in {"PRIMARY", "IMAGE"}

    @property
    def is_table(self) -> bool:
        return self.extension == "BINTABLE" and not self.compressed


def scan_hdus(buffer: Buffer, *, limits: Limits) -> tuple[Hdu, ...]:
    """Scan all headers of a FITS file and check what they announce.

    Args:
        buffer: The whole file, decompressed.
        limits: Largest header, number of HDUs and expansion.

    Raises:
        NotFitsError: It does not begin as FITS.
        TruncatedError: It ends before a header's END card or before the announced data.
        ImplausibleSizeError: Axes or sizes that are negative, not integer, or too large.
        DecompressionBombError: A compressed image would expand beyond the limits.
        UnreadableError: Structural cards are missing, contradictory or senseless.
    """
    if buffer[:9] != b"SIMPLE  =":
        raise NotFitsError("The file does not begin with the SIMPLE card of FITS.")
    hdus: list[Hdu] = []
    position = 0
    header_bytes = 0
    while position < len(buffer):
        # Anything but another extension after the last HDU is padding ("special records", FITS 4.0, 3.5).
        if hdus and buffer[position : position + 9] != b"XTENSION=":
            break
        if len(hdus) >= limits.hdus:
            raise ImplausibleSizeError(f"The file has more than {limits.hdus:,} header-data units.")
        header = _indexer.expected(buffer, position, largest_bytes=limits.header_bytes)
        if header is None:
            header = _indexer.header(bytes(buffer[position : _find_end(buffer, position, limits=limits)]))
        size = len(header) * CARD_BYTES
        header_bytes += size
        if header_bytes > 16 * limits.header_bytes:
            raise ImplausibleSizeError(f"The headers together exceed {16 * limits.header_bytes:,} bytes.")
        hdu = _check_hdu(
            header,
            index=len(hdus),
            data_offset=position + _padded(size + CARD_BYTES),
            file_bytes=len(buffer),
            limits=limits,
        )
        hdus.append(hdu)
        position = hdu.data_offset + _padded(hdu.data_bytes)
    return tuple(hdus)


def read_keys(path: Path, names: Iterable[str]) -> dict[str, CardValue]:
    """Read chosen keywords of the primary header, touching no more of the file than it must.

    Args:
        path: A FITS file, plain or gzipped.
        names: Keywords, ESO ones without HIERARCH (``ESO OBS PROG ID``).

    Returns:
        The values found, keyed by the names as given.

    Raises:
        FitsError: The file is empty, no FITS, cut short or unreadable, as in the pre-scan.
    """
    header = read_header(path)
    values = ((name, header.get(name.removeprefix("HIERARCH "))) for name in names)
    return {name: value for name, value in values if value is not None}


def read_header(path: Path) -> Header:
    """Read the primary header, touching no more of the file than it must.

    Args:
        path: A FITS file, plain or gzipped.

    Raises:
        FitsError: The file is empty, no FITS, cut short or unreadable, as in the pre-scan.
    """
    return Header(*_primary_block(path))


def _padded(size_bytes: int) -> int:
    return -(-size_bytes // BLOCK_BYTES) * BLOCK_BYTES


def _find_end(buffer: Buffer, start: int, *, limits: Limits) -> int:
    """Where the END card of the header that begins at ``start`` lies."""
    stop = min(len(buffer), start + limits.header_bytes)
    # Growing steps: a short header before gigabytes of data costs no reading ahead, a long one few steps.
    step_bytes = _READ_AHEAD_BYTES
    position = start
    while position < stop:
        until = min(position + step_bytes, stop)
        end = find_end(buffer, position, until)
        if end >= 0:
            return end
        position += step_bytes
        step_bytes *= 2
    # An END card cut short by the end of the file still ends the header, and then no data can follow.
    if stop == len(buffer):
        raise TruncatedError("The file ends within a header.", hint="Fetch the file again.")
    raise ImplausibleSizeError(f"A header runs on for more than {limits.header_bytes:,} bytes.")


def _check_hdu(header: Header, *, index: int, data_offset: int, file_bytes: int, limits: Limits) -> Hdu:
    announced: _Announced = header.recall(
        ("announced", index == 0), _announced_by_primary if index == 0 else _announced_by_extension
    )
    extension, bitpix, shape, data_bytes, compressed = announced
    if data_bytes > _PLAUSIBLE_BYTES:
        raise ImplausibleSizeError(f"The header of HDU {index} announces {_short(data_bytes)} bytes of data.")
    if data_offset + data_bytes > file_bytes:
        missing = data_offset + data_bytes - file_bytes
        raise TruncatedError(
            f"The file ends {missing:,} bytes before the end of HDU {index}.", hint="Fetch the file again."
        )
    if compressed:
        bitpix, shape = _expanded(header, data_bytes=data_bytes, limits=limits)
    return Hdu(index, extension, bitpix, shape, data_offset, data_bytes, compressed, header)


# What `Hdu` calls so: extension, bitpix, shape, data_bytes, compressed; those of the table where compressed.
_Announced = tuple[str, int, tuple[int, ...], int, bool]


def _announced_by_primary(header: Header) -> _Announced:
    return _announced(header, primary=True)


def _announced_by_extension(header: Header) -> _Announced:
    return _announced(header, primary=False)


def _announced(header: Header, *, primary: bool) -> _Announced:
    """What a header says of its data, as far as the header alone can be checked."""
    for name in header.contradictions(_STRUCTURAL):
        raise UnreadableError(f"The card {name} stands twice with different values.")
    if primary and header.get("SIMPLE") is not True:
        raise NotFitsError("The SIMPLE card does not say that this is standard FITS.")
    extension = "PRIMARY" if primary else str(header.get("XTENSION") or "").strip().upper()
    bitpix = _integer(header, "BITPIX")
    if bitpix not in _BITPIX:
        raise UnreadableError(f"BITPIX = {bitpix} is none of 8, 16, 32, 64, -32, -64.")
    shape = _axes(header, "NAXIS")
    data_bytes = _data_bytes(header, bitpix=bitpix, shape=shape, primary=primary)
    return extension, bitpix, shape, data_bytes, extension == "BINTABLE" and header.get("ZIMAGE") is True


def _integer(header: Header, name: str, default: int | None = None) -> int:
    value = header.get(name)
    if value is None:
        if name not in header and default is not None:
            return default
        raise UnreadableError(f"The header has no value for {name}.")
    if isinstance(value, float):
        raise ImplausibleSizeError(f"{name} = {value:g} is not an integer.")
    if isinstance(value, bool) or not isinstance(value, int):
        raise UnreadableError(f"{name} = {value!r:.40} is not an integer.")
    return value


def _axes(header: Header, stem: str) -> tuple[int, ...]:
    """Axis lengths in array order."""
    count = _integer(header, stem)
    if not 0 <= count <= 999:
        raise ImplausibleSizeError(f"{stem} = {_short(count)}; the FITS standard allows 0 to 999 axes.")
    lengths = [_integer(header, f"{stem}{axis}") for axis in range(1, count + 1)]
    for axis, length in enumerate(lengths, start=1):
        if not 0 <= length <= _PLAUSIBLE_BYTES:
            raise ImplausibleSizeError(f"{stem}{axis} = {_short(length)} is no axis length.")
    return tuple(reversed(lengths))


def _data_bytes(header: Header, *, bitpix: int, shape: tuple[int, ...], primary: bool) -> int:
    """Length of the data unit (FITS 4.0, equations 1, 2 and 4)."""
    if not shape:
        return 0
    groups = primary and shape[-1] == 0 and header.get("GROUPS") is True
    pcount = _integer(header, "PCOUNT", 0) if not primary or groups else 0
    gcount = _integer(header, "GCOUNT", 1) if not primary or groups else 1
    if not (0 <= pcount <= _PLAUSIBLE_BYTES and 0 <= gcount <= _PLAUSIBLE_BYTES):
        raise ImplausibleSizeError(f"PCOUNT = {_short(pcount)}, GCOUNT = {_short(gcount)}.")
    values = _product(shape[:-1] if groups else shape)
    return abs(bitpix) // 8 * gcount * (pcount + values)


def _product(lengths: Iterable[int]) -> int:
    """Product that stops growing once it is implausible, so that 999 axes cost nothing; 0 if any is 0."""
    product = 1
    for length in lengths:
        if length == 0:
            return 0
        product = min(product * length, _PLAUSIBLE_BYTES + 1)
    return product


def _expanded(header: Header, *, data_bytes: int, limits: Limits) -> tuple[int, tuple[int, ...]]:
    """BITPIX and axes of the image in a tile-compressed table, checked for size."""
    bitpix = _integer(header, "ZBITPIX")
    if bitpix not in _BITPIX:
        raise UnreadableError(f"ZBITPIX = {bitpix} is none of 8, 16, 32, 64, -32, -64.")
    shape = _axes(header, "ZNAXIS")
    tiles = [_integer(header, f"ZTILE{axis}", 1) for axis in range(1, len(shape) + 1)]
    if any(tile < 1 for tile in tiles):
        raise UnreadableError("A compressed image has tiles without extent.")
    expanded = max(_product(shape), _product(tiles)) * abs(bitpix) // 8
    if limits.is_bomb(compressed_bytes=data_bytes, expanded_bytes=expanded):
        raise DecompressionBombError(
            f"A compressed image of {data_bytes:,} bytes would expand to {_short(expanded)} bytes."
        )
    return bitpix, shape


def _short(number: int) -> str:
    return f"{number:,}" if abs(number) < 10**15 else f"{float(number):.0e}"


def _primary_block(path: Path) -> tuple[bytes, int]:
    """The primary header, perhaps more of the file, and where its END card lies."""
    block = b""
    searched = 0
    for chunk in _chunks(path):
        if not block and chunk:
            refuse_foreign(chunk[:1024])
            if chunk[:9] != b"SIMPLE  =":
                raise NotFitsError("The file does not begin with the SIMPLE card of FITS.")
        block += chunk
        end = find_end(block, searched, len(block))
        if end >= 0:
            return block, end
        searched = len(block) // CARD_BYTES * CARD_BYTES  # a card in two chunks is looked at again
        if len(block) > Limits().header_bytes:
            raise ImplausibleSizeError("The primary header runs on.")
    if not block:
        raise EmptyFileError("The file is empty.", hint="Fetch it again.")
    raise TruncatedError("The file ends within its primary header.", hint="Fetch the file again.")


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb", buffering=0) as file:
            chunk = file.read(_READ_AHEAD_BYTES)
            inflater = zlib.decompressobj(16 + zlib.MAX_WBITS) if chunk[:2] == b"\x1f\x8b" else None
            while chunk:
                while inflater is not None and chunk:
                    yield inflater.decompress(chunk, _READ_AHEAD_BYTES)
                    chunk = inflater.unconsumed_tail
                if inflater is None:
                    yield chunk
                chunk = file.read(_READ_AHEAD_BYTES)
    except (OSError, zlib.error) as error:
        raise UnreadableError(f"The header cannot be read: {error}.") from error
