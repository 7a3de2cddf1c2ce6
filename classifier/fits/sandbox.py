"""Untrusted FITS files, read in a pool of limited child processes that are reused from file to file.

A child is a fresh interpreter over pipes, not a fork: that works inside a Celery prefork worker, it inherits
neither connections nor secrets, and its death is one file's error. Files are handed to it by the batch, since a
message costs both sides what a small file does; which of a batch it has begun stands in memory that outlives it.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from classifier.fits.content import CutSpec, FitsContent
from classifier.fits.errors import FitsError
from classifier.fits.keeper import LARGEST_REQUEST_BYTES, Batch, Child
from classifier.fits.limits import Limits
from classifier.fits.wire import encode_file

# A batch is over at so many files, or when they are so large that one child should not have them all.
_BATCH_FILES, _BATCH_BYTES = 32, 8 << 20

Spec = CutSpec | Callable[[Path], CutSpec]


class FitsReader:
    """Reads FITS files in limited children. A context manager; for one thread at a time.

    Children start at the first file, are killed and replaced when a file makes them exceed a limit or crash,
    and are left behind (not killed) when the owner has forked.
    """

    def __init__(self, *, children: int = 1, limits: Limits | None = None, spec: Spec | None = None) -> None:
        """Prepare a reader; nothing starts yet.

        Args:
            children: Processes that read at once, at least 1.
            limits: Limits on each file.
            spec: Cut-outs to take, or a function from path to cut-outs; by default the target or the frame.
        """
        self._limits = limits or Limits()
        self._spec: Spec = spec or CutSpec()
        self._size = max(1, children)
        self._children: list[Child] = []
        self._owner_pid = os.getpid()
        self._reading = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the children."""
        if self._owner_pid == os.getpid():
            for child in self._children:
                child.close()
        self._children = []

    def read(self, path: Path, *, spec: Spec | None = None) -> FitsContent:
        """Read one file.

        Args:
            path: The file.
            spec: Cut-outs to take from this one; None takes the reader's.

        Raises:
            FitsError: One of the errors of ``classifier.fits.errors``.
            ReaderUnavailableError: No child can start.
        """
        for _, answer in self.read_many([path], spec=spec):
            if isinstance(answer, FitsContent):
                return answer
            raise answer
        raise AssertionError

    def read_many(
        self, paths: Iterable[Path], *, spec: Spec | None = None
    ) -> Iterator[tuple[Path, FitsContent | FitsError]]:
        """Read files over all children, answers in the order of the paths; a bad file never stops the batch.

        Args:
            paths: The files; taken one by one, a few ahead of the answers.
            spec: Cut-outs to take; None takes the reader's.

        Yields:
            The path and its content or the error that refuses it.

        Raises:
            ReaderUnavailableError: No child can start.
        """
        if self._reading:
            raise RuntimeError("A FitsReader reads one batch at a time.")
        spec = spec or self._spec
        self._reading = True
        try:
            yield from self._read_in_order(iter(paths), spec)
        finally:
            self._reading = False
            for child in self._children:
                child.forget()

    def _read_in_order(self, paths: Iterator[Path], spec: Spec) -> Iterator[tuple[Path, FitsContent | FitsError]]:
        children = self._ready_children()
        batches = _batches(paths, spec)
        order: deque[tuple[Batch, Child]] = deque()
        waiting: Batch | None = None
        turn = 0
        while True:
            while waiting is not None or (waiting := next(batches, None)) is not None:
                child = children[turn % len(children)]
                if not child.accepts(waiting):
                    break
                child.send(waiting)
                order.append((waiting, child))
                waiting = None
                turn += 1
            if not order:
                return
            batch, child = order.popleft()
            for path in batch.paths:
                yield path, child.receive()

    def _ready_children(self) -> list[Child]:
        if self._owner_pid != os.getpid():
            # We are a fork: the pipes are shared with our parent, whose children these are.
            self._children, self._owner_pid = [], os.getpid()
        if not self._children:
            self._children = [Child(self._limits) for _ in range(self._size)]
        return self._children


def _batches(paths: Iterator[Path], spec: Spec) -> Iterator[Batch]:
    """Files taken one by one into batches; a large file, or a large request, ends its batch."""
    batch = Batch([], [])
    files_bytes = request_bytes = 0
    for path in paths:
        absolute = path if path.is_absolute() else path.absolute()
        request = encode_file(str(absolute), spec(path) if callable(spec) else spec)
        if batch.paths and request_bytes + len(request) > LARGEST_REQUEST_BYTES:
            yield batch
            batch, files_bytes, request_bytes = Batch([], []), 0, 0
        batch.paths.append(path)
        batch.requests.append(request)
        request_bytes += len(request)
        with contextlib.suppress(OSError):  # the child says what is wrong with it
            files_bytes += os.stat(absolute).st_size  # noqa: PTH116 - a third of the time of Path.stat
        if len(batch.paths) == _BATCH_FILES or files_bytes > _BATCH_BYTES:
            yield batch
            batch, files_bytes, request_bytes = Batch([], []), 0, 0
    if batch.paths:
        yield batch
