"""The child process that opens untrusted files: ``python -m classifier.fits.child``. It limits itself first.

Standard input brings the requests of a batch of files in one frame; standard output takes frames with the answers of
the whole batch, or of a part of it when reading takes long. It ends when its input does.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import sys
import time
import warnings
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from classifier.fits.block import SharedBlock, SlotWriter
from classifier.fits.content import CutSpec
from classifier.fits.errors import FitsError, TooMuchMemoryError, UnreadableError
from classifier.fits.limits import Limits
from classifier.fits.parsing import parse_file
from classifier.fits.wire import LENGTHS, Answers, decode_requests
from classifier.kept_memory import keep_freed_memory

READY = b"esocs-fits-child-2\n"

_TOLERATED_LEAK_BYTES = 256 * 1024 * 1024
# Freed memory that is kept for the next file; more would look like a leak.
_KEPT_BYTES, _MAPPED_FROM_BYTES = 64 * 1024 * 1024, 4 * 1024 * 1024
# Answers wait for the rest of their batch so long, or until they are so large.
_HELD_S, _HELD_BYTES = 0.2, 1 << 20
# Reading makes hardly any cycles, and a thousand files a second would have them looked for thrice a file.
_FEW_COLLECTIONS = 50_000
# The clock of the processor's time is set anew once so much of it has been used.
_CLOCK_STEP_S = 0.25


def main() -> None:
    """Answer requests until the input ends, or until memory has leaked: then exit with 0 to be replaced."""
    limits = Limits(**json.loads(sys.argv[1]))
    block = SharedBlock(int(sys.argv[2]), writable=True)
    os.close(int(sys.argv[2]))
    requests, answers = _private_pipes()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle; it closes our input
    warnings.simplefilter("ignore")
    keep_freed_memory(kept_bytes=_KEPT_BYTES, mapped_from_bytes=_MAPPED_FROM_BYTES)
    _limit_process(limits)
    gc.freeze()  # what the imports made lives as long as we do
    gc.set_threshold(_FEW_COLLECTIONS)
    answers.write(READY)
    answers.flush()
    reader = _Reader(limits, block, answers)
    while len(lengths := requests.read(LENGTHS.size)) == LENGTHS.size:
        slot, files = decode_requests(requests.read(LENGTHS.unpack(lengths)[0]))
        if not reader.answer(slot, files):
            return


class _Reader:
    """Files into answers, one batch after the other."""

    def __init__(self, limits: Limits, block: SharedBlock, answers: BinaryIO) -> None:
        self._limits = limits
        self._block = block
        self._answers = answers
        self._begun = 0
        self._clock_set_s = -_CLOCK_STEP_S
        self._ceiling_bytes = _address_space_bytes() + min(_TOLERATED_LEAK_BYTES, limits.memory_bytes // 4)

    def answer(self, slot: int, files: list[tuple[str, CutSpec]]) -> bool:
        """Read a batch; False where memory has leaked, which must not count against the next file."""
        waiting = Answers(SlotWriter(self._block, slot))
        since = time.monotonic()
        for path, spec in files:
            # Before anything else: if we die of this file, it is known which it was.
            self._begun += 1
            self._block.begun = self._begun
            self._limit_next_file()
            self._read(path, spec, waiting)
            leaked = _address_space_bytes() > self._ceiling_bytes
            if leaked or waiting.size_bytes > _HELD_BYTES or time.monotonic() - since > _HELD_S:
                self._send(waiting)
                since = time.monotonic()
            if leaked:
                return False
        if len(waiting):
            self._send(waiting)
        return True

    def _read(self, path: str, spec: CutSpec, waiting: Answers) -> None:
        try:
            waiting.add(parse_file(Path(path), spec=spec, limits=self._limits))
        except FitsError as error:
            waiting.refuse(error)
        except ValueError as error:  # a number that is none, which no reader of files should have let pass
            waiting.refuse(UnreadableError(f"The file's content makes no sense: {error!s:.200}"))
        except MemoryError:
            waiting.refuse(TooMuchMemoryError("Reading the file needs more memory than is allowed."))

    def _send(self, waiting: Answers) -> None:
        self._answers.write(waiting.take_frame())
        self._answers.flush()

    def _limit_next_file(self) -> None:
        """RLIMIT_CPU counts a process's whole life, so it moves on with the files; the kernel sends SIGXCPU."""
        used_s = time.process_time()
        if used_s - self._clock_set_s >= _CLOCK_STEP_S:
            self._clock_set_s = used_s
            _lower(resource.RLIMIT_CPU, int(used_s) + self._limits.cpu_s + 1)


def _private_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Our two pipes, out of reach of libraries that print."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    return requests, answers


def _limit_process(limits: Limits) -> None:
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, limits.expanded_bytes + (1 << 20))
    _lower(resource.RLIMIT_NOFILE, 128)
    _lower(resource.RLIMIT_AS, limits.memory_bytes)


def _address_space_bytes() -> int:
    """What RLIMIT_AS counts; 0 where the system does not tell."""
    descriptor = _statm()
    if descriptor < 0:
        return 0
    return int(os.pread(descriptor, 64, 0).split(maxsplit=1)[0]) * resource.getpagesize()


@lru_cache(maxsize=1)
def _statm() -> int:
    """The kernel's count of our pages, held open: it is asked after every file."""
    try:
        return os.open("/proc/self/statm", os.O_RDONLY)
    except OSError:
        return -1


def _lower(kind: int, soft: int) -> None:
    """Set a soft limit; where the system has no such limit (RLIMIT_AS on macOS) the others remain."""
    hard = resource.getrlimit(kind)[1]
    wanted = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
    try:
        resource.setrlimit(kind, (wanted, hard))
    except (ValueError, OSError):
        return


if __name__ == "__main__":
    main()
