"""A file's bytes, decompressed under a cap where it is gzipped; names what is not FITS at the first look."""

from __future__ import annotations

import hashlib
import mmap
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from classifier.fits.errors import (
    DecompressionBombError,
    EmptyFileError,
    HtmlInsteadOfFitsError,
    ImplausibleSizeError,
    NotFitsError,
    TruncatedError,
    UnreadableError,
)
from classifier.fits.limits import MIB, Limits

Buffer = bytes | bytearray | mmap.mmap

# Reading a small file costs less than the page faults of mapping it.
_MAP_FROM_BYTES = 4 * MIB
_CHUNK_BYTES = MIB
_GZIP_WBITS = 16 + zlib.MAX_WBITS

_BEGINNING = b"SIMPLE  ="
_FOREIGN = {
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x9d": "a compress (.Z) archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"%PDF": "a PDF document",
    b"\x89HDF": "an HDF5 file",
}


@dataclass(frozen=True, slots=True)
class Stored:
    """An open file.

    Attributes:
        buffer: The FITS bytes, decompressed.
        raw: The file as it lies on disk; the same object where it is not gzipped.
    """

    buffer: Buffer
    raw: Buffer

    @property
    def gzipped(self) -> bool:
        """Whether ``buffer`` is not what lies on disk."""
        return self.buffer is not self.raw

    @property
    def size_bytes(self) -> int:
        """Of the file as it lies on disk."""
        return len(self.raw)

    def sha256(self) -> str:
        """Of the file as it lies on disk, hexadecimal; reads all of it."""
        return hashlib.sha256(self.raw).hexdigest()


@contextmanager
def open_stored(path: Path, *, limits: Limits) -> Iterator[Stored]:
    """Open a file and give its FITS bytes.

    Raises:
        EmptyFileError, HtmlInsteadOfFitsError, NotFitsError: By its first bytes.
        DecompressionBombError, TruncatedError, UnreadableError: While decompressing.
        ImplausibleSizeError: The file is larger than the limits allow.
    """
    descriptor = _open(path)
    try:
        # A map keeps a descriptor of its own.
        raw = _load(descriptor, limits=limits)
    finally:
        os.close(descriptor)
    try:
        yield Stored(_fits_bytes(raw, limits=limits), raw)
    finally:
        if isinstance(raw, mmap.mmap):
            _close_map(raw)


def _fits_bytes(raw: Buffer, *, limits: Limits) -> Buffer:
    """The file's bytes, decompressed; they begin as FITS."""
    if raw[:9] == _BEGINNING:
        return raw
    refuse_foreign(bytes(raw[:1024]))
    if raw[:2] == b"\x1f\x8b":
        raw = decompress(raw, limits=limits)
        refuse_foreign(bytes(raw[:1024]))
    if raw[:9] != _BEGINNING:
        raise NotFitsError("The file does not begin with the SIMPLE card of FITS.")
    return raw


def _open(path: Path) -> int:
    """A descriptor: a file object would cost a small file a tenth of its reading."""
    try:
        # Without O_NONBLOCK a named pipe would be waited for; of a file it changes nothing.
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise UnreadableError(f"The file cannot be opened: {error.strerror}.") from error


def _load(descriptor: int, *, limits: Limits) -> Buffer:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise UnreadableError("It is no regular file.")
    size_bytes = found.st_size
    if size_bytes == 0:
        raise EmptyFileError("The file is empty.", hint="Fetch it again.")
    if size_bytes > limits.file_bytes:
        raise ImplausibleSizeError(f"The file has {size_bytes:,} bytes, more than the {limits.file_bytes:,} allowed.")
    if size_bytes >= _MAP_FROM_BYTES:
        return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    raw = os.read(descriptor, size_bytes)
    while len(raw) < size_bytes and (more := os.read(descriptor, size_bytes - len(raw))):
        raw += more
    return raw


def _close_map(mapped: mmap.mmap) -> None:
    """Close a map unless arrays still look into it; then it lives as long as they do."""
    try:
        mapped.close()
    except BufferError:
        return


def refuse_foreign(head: bytes) -> None:
    """Name what is plainly something else.

    Args:
        head: The first bytes of a file, up to 1,024.
    """
    if not head.strip(b"\0"):
        raise NotFitsError("The file begins with zero bytes only.", hint="Fetch it again.")
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<body", b"<votable")):
        raise HtmlInsteadOfFitsError(
            "The file is a web page or an XML answer, not FITS.",
            hint="An archive session that has expired answers so: log in again and fetch the file again.",
        )
    for magic, what in _FOREIGN.items():
        if head.startswith(magic):
            raise NotFitsError(f"The file is {what}, not FITS.")


def decompress(raw: Buffer, *, limits: Limits) -> bytearray:
    """Decompress gzip, one member after another, never beyond the limits.

    Raises:
        DecompressionBombError: At the first byte too many.
        TruncatedError: The stream ends early.
        UnreadableError: The stream is damaged.
    """
    expanded = bytearray()
    view = memoryview(raw)
    try:
        position = 0
        while position < len(view):
            if expanded and bytes(view[position : position + 2]) != b"\x1f\x8b":
                break  # padding after the last member
            position = _inflate_member(view, position, expanded, limits=limits)
    except zlib.error as error:
        raise UnreadableError(f"The gzip stream is damaged: {error}.") from error
    finally:
        view.release()
    if not expanded:
        raise EmptyFileError("The gzip file holds nothing.")
    return expanded


def _inflate_member(view: memoryview, position: int, expanded: bytearray, *, limits: Limits) -> int:
    """Append one gzip member to ``expanded``; return where it ends."""
    inflater = zlib.decompressobj(_GZIP_WBITS)
    while not inflater.eof:
        if position >= len(view) and not inflater.unconsumed_tail:
            raise TruncatedError("The gzip stream ends early.", hint="Fetch the file again.")
        chunk: bytes | memoryview = inflater.unconsumed_tail
        if not chunk:
            chunk = view[position : position + _CHUNK_BYTES]
            position += len(chunk)
        expanded += inflater.decompress(chunk, _CHUNK_BYTES)
        if limits.is_bomb(compressed_bytes=len(view), expanded_bytes=len(expanded)):
            raise DecompressionBombError(f"{len(view):,} compressed bytes expand to more than {len(expanded):,}.")
    return position - len(inflater.unused_data)
