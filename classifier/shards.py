"""Packed shards: one .npy file of planes, float16 (N, …), written once, mapped for reading, never pickled."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifier.errors import EsocsError

# The least that POSIX lets a system allow is 16; Linux allows 1,024 (writev(2)).
_PARTS_A_CALL = min(os.sysconf("SC_IOV_MAX"), 256)


class DamagedShardError(EsocsError):
    """A shard that is not what the ledger says; it is written anew from its products."""

    code = "damaged_shard"
    status = 500


def digest_of(planes: Sequence[NDArray[np.float16]]) -> str:
    """SHA-256 of the shard of these planes, hexadecimal.

    Raises:
        ValueError: No planes, or planes of different shape or type.
    """
    digest = hashlib.sha256()
    for part in _parts(planes):
        digest.update(part)
    return digest.hexdigest()


def write_shard(path: Path, planes: Sequence[NDArray[np.float16]], *, sha256: str | None = None) -> str:
    """Write planes into a shard, whole or not at all.

    Args:
        path: Where to; an older shard there is replaced in one step.
        planes: At least one float16 plane, all of one shape, or an array of them.
        sha256: Of the shard, where it is known.

    Returns:
        SHA-256 of the file, hexadecimal.

    Raises:
        ValueError: No planes, or planes of different shape or type.
    """
    sha256 = sha256 or digest_of(planes)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        try:
            _write(descriptor, list(_parts(planes)))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return sha256


def open_shard(path: Path, *, sha256: str | None = None) -> NDArray[np.float16]:
    """Map a shard for reading.

    Args:
        path: The shard.
        sha256: What the ledger says; None trusts the file.

    Returns:
        float16 (N, …), mapped: a plane is read when it is touched.

    Raises:
        DamagedShardError: Missing, cut short, of another type, or of another sum.
    """
    try:
        found = sha256 and _sha256(path)
        shard = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DamagedShardError(f"The shard {path.name} cannot be opened: {error!s:.200}") from error
    if found != sha256:
        raise DamagedShardError(f"The shard {path.name} has another SHA-256 than recorded.")
    if shard.dtype != np.float16 or shard.ndim < 2:
        raise DamagedShardError(f"The shard {path.name} holds {shard.dtype} {shard.shape}, not float16 planes.")
    planes: NDArray[np.float16] = shard
    return planes


def _write(descriptor: int, parts: list[bytes | memoryview]) -> None:
    """All parts, hundreds a call: one by one each would cost half as much again."""
    views = deque(memoryview(part) for part in parts)
    while views:
        written = os.writev(descriptor, list(islice(views, _PARTS_A_CALL)))
        while views and written >= len(views[0]):
            written -= len(views.popleft())
        if written:
            views[0] = views[0][written:]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _parts(planes: Sequence[NDArray[np.float16]]) -> Iterator[bytes | memoryview]:
    """The file's header and its planes, little-endian."""
    if len(planes) == 0:
        raise ValueError("A shard holds at least one plane.")
    shape = planes[0].shape
    yield _header(count=len(planes), shape=shape)
    for number, plane in enumerate(planes):
        if plane.shape != shape or plane.dtype != np.float16:
            raise ValueError(f"Plane {number} is {plane.dtype} {plane.shape}, not float16 {shape}.")
        yield np.ascontiguousarray(plane, dtype="<f2").data.cast("B")


def _header(*, count: int, shape: tuple[int, ...]) -> bytes:
    """The .npy header, version 1.0, 128 bytes."""
    described = f"{{'descr': '<f2', 'fortran_order': False, 'shape': {(count, *shape)!r}, }}"
    text = described.ljust(117) + "\n"
    assert len(text) == 118
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()
