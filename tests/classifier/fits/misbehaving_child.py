"""A child whose parser does what the file's name says: what no test file could be relied on to provoke."""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

from classifier.fits import child
from classifier.fits.block import SharedBlock
from classifier.fits.content import FitsContent
from classifier.fits.parsing import parse_file
from classifier.fits.wire import Answers


def spin() -> None:
    while True:
        pass


def babble() -> None:
    for descriptor in range(3, 16):
        with contextlib.suppress(OSError):
            os.write(descriptor, b"\xff" * 64)


BLOCKS: list[SharedBlock] = []


class Kept(SharedBlock):
    """The block, where a deed finds it."""

    def __init__(self, descriptor: int, *, writable: bool = False) -> None:
        super().__init__(descriptor, writable=writable)
        BLOCKS.append(self)


def count_on() -> None:
    while True:
        BLOCKS[0].begun += 1
        signal.sigtimedwait([], 0.01)


LEAKED: list[mmap.mmap] = []

DEEDS = {
    "leak": lambda: LEAKED.append(mmap.mmap(-1, 512 * 1024**2)),
    "spin": spin,
    "babble": babble,
    "hang": signal.pause,
    "restless": count_on,
    "crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exit": lambda: os._exit(3),
    "memory": lambda: bytearray(4 * 1024**3),
}


def misbehave(path: Path, **options: Any) -> FitsContent:
    if path.name in DEEDS:
        DEEDS[path.name]()
    content = parse_file(path, **options)
    if path.name == "nan":
        return replace(content, images=tuple(replace(image, noise=math.nan) for image in content.images))
    return content


class Forging(Answers):
    """Sends as cards of an object called so a text that is no JSON, as only a child that a file took over would."""

    def add(self, content: FitsContent) -> None:
        super().add(content)
        if content.facts.object == "forged":
            cards = -1 - len(content.images)
            self._texts[cards] = b"}" * len(self._texts[cards])


if __name__ == "__main__":
    child.parse_file = misbehave
    child.Answers = Forging  # type: ignore[misc]
    child.SharedBlock = Kept  # type: ignore[misc]
    child.main()
