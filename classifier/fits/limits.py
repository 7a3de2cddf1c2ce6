"""How much of a machine one untrusted file may use. The defaults suit ESO Phase 3 products of a few GB."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024

# Below this, expansion harms nobody: a blank 128 px cut-out compresses a thousandfold and is no attack.
HARMLESS_EXPANSION_BYTES = 64 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits on one file; sizes in bytes, times in seconds.

    Attributes:
        file_bytes: Largest file that is opened at all.
        header_bytes: Largest header of one HDU (80 bytes a card).
        hdus: Most header-data units in one file.
        expanded_bytes: Largest result of decompressing a file or a tile-compressed image.
        expansion_ratio: Largest expanded ÷ compressed size, beyond 64 MiB expanded.
        memory_bytes: Address space of a child (RLIMIT_AS).
        cpu_s: Processor time of a child for one file (RLIMIT_CPU).
        wall_s: Time the parent waits for one file before it kills the child.
        cutouts: Most cut-outs taken from one file.
    """

    file_bytes: int = 16 * 1024 * MIB
    header_bytes: int = 4 * MIB
    hdus: int = 2048
    expanded_bytes: int = 768 * MIB
    expansion_ratio: float = 250.0
    memory_bytes: int = 3072 * MIB
    cpu_s: int = 20
    wall_s: float = 30.0
    cutouts: int = 10_000

    def is_bomb(self, *, compressed_bytes: int, expanded_bytes: int) -> bool:
        """Whether an expansion is beyond what is harmless or plausible."""
        if expanded_bytes > self.expanded_bytes:
            return True
        if expanded_bytes <= HARMLESS_EXPANSION_BYTES:
            return False
        return expanded_bytes > self.expansion_ratio * max(compressed_bytes, 1)
