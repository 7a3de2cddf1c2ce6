"""Memory that a reader shares with one child: arrays pass without a copy through a pipe, and a count outlives a crash.

The child alone writes, the reader alone reads. What a hostile file may have made of the child stands in here as well,
so nothing in it is believed but numbers of pixels.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Two batches are in flight: one is read while the other is taken.
SLOTS = 2
# Thirty-two cut-outs of 128 pixels a side are 1 MiB; what does not fit goes through the pipe.
SLOT_BYTES = 2 << 20
_COUNT = struct.Struct("<Q")
_PAGE_BYTES = 4096
_ALIGNMENT = 64
_F_SEAL_FUTURE_WRITE = 0x10  # Linux 5.1; absent from fcntl


class SharedBlock:
    """Slots for the arrays of a batch each, behind a page with the number of files that the child has begun."""

    def __init__(self, descriptor: int, *, writable: bool = False) -> None:
        """Map a block; the descriptor may be closed afterwards."""
        access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
        self._map = mmap.mmap(descriptor, _PAGE_BYTES + SLOTS * SLOT_BYTES, access=access)
        if writable:
            # The map keeps a descriptor of its own: what writes into descriptors at random shall not reach the count.
            with contextlib.suppress(OSError):
                fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _F_SEAL_FUTURE_WRITE)

    @staticmethod
    def create() -> int:
        """A descriptor of an empty block, for the reader to map and for the child to inherit."""
        descriptor = os.memfd_create("fits-arrays", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(descriptor, _PAGE_BYTES + SLOTS * SLOT_BYTES)
        return descriptor

    @property
    def begun(self) -> int:
        """How many files the child has begun since it started."""
        (count,) = _COUNT.unpack_from(self._map)
        return int(count)

    @begun.setter
    def begun(self, count: int) -> None:
        _COUNT.pack_into(self._map, 0, count)

    def take(self, slot: int, *, dtype: str, shape: tuple[int, ...], offset: int) -> NDArray[Any]:
        """A copy of an array in a slot: the child writes there again.

        Raises:
            ValueError, TypeError: It does not lie within the slot.
        """
        if not 0 <= offset <= SLOT_BYTES or not 0 <= slot < SLOTS:
            raise ValueError(offset)
        size_bytes = np.dtype(dtype).itemsize
        for length in shape:
            size_bytes *= length
        if min(shape, default=0) < 0 or offset + size_bytes > SLOT_BYTES:
            raise ValueError(shape)
        start = _PAGE_BYTES + slot * SLOT_BYTES + offset
        return np.ndarray(shape, dtype=dtype, buffer=self._map, offset=start).copy()

    def close(self) -> None:
        """Give the memory back."""
        self._map.close()


class SlotWriter:
    """The child's side: arrays one behind the other in one slot."""

    def __init__(self, block: SharedBlock, slot: int) -> None:
        self._map = block._map  # noqa: SLF001 - the other half of the same thing
        self._start = _PAGE_BYTES + slot * SLOT_BYTES
        self._used = 0

    def has_room(self, arrays: Sequence[NDArray[Any]]) -> bool:
        """Whether all of them fit."""
        needed = sum(-(-array.nbytes // _ALIGNMENT) * _ALIGNMENT for array in arrays)
        return self._used + needed <= SLOT_BYTES

    def put(self, array: NDArray[Any]) -> int:
        """Write an array for which there is room; returns its offset in the slot."""
        offset = self._used
        np.ndarray(array.shape, dtype=array.dtype, buffer=self._map, offset=self._start + offset)[...] = array
        self._used += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
        return offset
