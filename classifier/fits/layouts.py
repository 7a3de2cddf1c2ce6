"""Headers of files that one program wrote: which keywords stand where, and what their values gave, is found once."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from classifier.fits.cards import CARD_BYTES, CardIndex, Header
from classifier.fits.memory import Memory
from classifier.fits.storage import Buffer

# Headers of HARPS spectra have 240 kB. What is kept of all indexed ones together stays below some ten MB.
_INDEXED_BYTES, _INDEXED_LENGTHS, _INDEXED_OF_A_LENGTH = 1 << 18, 16, 2
_END = b"END     "
_HIERARCH = b"HIERARCH"


class HeaderIndexer:
    """Headers in the order in which they come: keywords that stand where they stood in an earlier one are not searched
    again, and what is computed of cards that are as they were is not computed again. Whether they are is compared byte
    by byte.
    """

    def __init__(self) -> None:
        self._known: dict[int, list[_Layout]] = {}
        self._last_size = 0

    def header(self, block: bytes) -> Header:
        """The header of a block that ends before its END card."""
        size = len(block)
        if not 0 < size <= _INDEXED_BYTES or size % CARD_BYTES:
            return Header(block)
        known = self._known.get(size)
        if known is None:
            # The first of its length; what comes once is not worth more.
            if len(self._known) >= _INDEXED_LENGTHS:
                self._known.clear()
            self._known[size] = []
            return Header(block)
        words = np.frombuffer(block, dtype=np.uint64)
        for layout in known:
            if (header := layout.header(block, words)) is not None:
                self._last_size = size
                return header
        layout = _Layout.of(block, words)
        known.insert(0, layout)
        del known[_INDEXED_OF_A_LENGTH:]
        return Header(block, index=layout.index)

    def expected(self, buffer: Buffer, start: int, *, largest_bytes: int) -> Header | None:
        """The header that begins there, if it is laid out as the last one was; None leaves it to be searched.

        Args:
            buffer: A file.
            start: Where the header begins.
            largest_bytes: Of a header with its END card.
        """
        size = self._last_size
        end = start + size
        if not size or size + len(_END) > largest_bytes or buffer[end : end + len(_END)] != _END:
            return None
        block = bytes(buffer[start:end])
        words = np.frombuffer(block, dtype=np.uint64)
        for layout in self._known.get(size, ()):
            # A layout's keywords hold no END card, so this is the first.
            if (header := layout.header(block, words)) is not None:
                return header
        return None


@dataclass(slots=True)
class _Layout:
    """The bytes of a header that are keywords, the index of where they stand, and the last header that has them.

    Attributes:
        index: Where the keywords stand.
        mask: All bits of the keywords' bytes.
        words: The last header; None where something went wrong while it was looked at.
        last: The same; None before its first.
        memory: What its values gave.
    """

    index: CardIndex
    mask: NDArray[np.uint64]
    words: NDArray[np.uint64] | None
    last: Header | None = None
    memory: Memory = field(default_factory=Memory)

    @classmethod
    def of(cls, block: bytes, words: NDArray[np.uint64]) -> _Layout:
        mask = np.zeros((len(block) // CARD_BYTES, CARD_BYTES), dtype=np.uint8)
        mask[:, :8] = 0xFF
        for row in range(len(mask)):
            start = row * CARD_BYTES
            if block.startswith(_HIERARCH, start):
                equals = block.find(b"=", start, start + CARD_BYTES)
                mask[row, : equals + 1 - start if equals >= 0 else CARD_BYTES] = 0xFF
        return cls(CardIndex(block, len(block)), mask.reshape(-1).view(np.uint64), words)

    def header(self, block: bytes, words: NDArray[np.uint64]) -> Header | None:
        """The header of a block of this layout's length; None if it has other keywords."""
        before = self.words
        if before is None:
            return None
        differing = words != before
        places = differing.nonzero()[0]
        if places.size and ((words[places] ^ before[places]) & self.mask[places]).any():
            return None
        # Whatever fails below (memory may be short) leaves a layout that nothing matches.
        self.words = None
        if self.last is not None:
            self.last.detach()
        self.memory.forget(set((places // (CARD_BYTES // 8)).tolist()))
        self.last = Header(block, index=self.index, memory=self.memory)
        self.words = words
        return self.last
