"""An export's file: gzip, complete and on disk before its name appears, however large it is in little memory."""

from __future__ import annotations

import gzip
import hashlib
import os
import queue
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

# Of this much text at a time; a few such pieces are all that is ever in memory. Smaller ones are slower: whenever the
# compressing thread wants to go on it must wait until the one that makes the rows lets it.
PIECE_BYTES = 1 << 20
PIECES_WAITING = 4
LINES_AT_ONCE = 100
# Half of level 9's time for a tenth more bytes (measured on classifications).
GZIP_LEVEL = 3
PROGRESS_EVERY_ROWS = 5_000
PARTIAL_KEPT_S = 24 * 60 * 60

Row = Sequence[Any]


@dataclass(frozen=True, kw_only=True)
class WrittenFile:
    """A published file and what is true of it."""

    path: Path
    row_count: int
    sha256: str
    size_bytes: int


def write_csv(
    *,
    folder: Path,
    name: str,
    header: Row,
    rows: Iterable[Row],
    on_progress: Callable[[int], None] | None = None,
) -> WrittenFile:
    """Write rows as CSV into a new gzip file of `folder`, and publish it under its name and content's hash.

    The format is RFC 4180 with line feeds, UTF-8, and nothing else: a value that begins with `=`, `+`, `-` or `@` is
    written as it is, because programs read these files and any escape would be a change of the data
    (docs/decisions/0007-exports-are-byte-correct.md).

    Args:
        folder: made when absent.
        name: of the file, before `-<hash>.csv.gz`.
        header: the column names.
        rows: of text, numbers and None; may be endless in memory's terms.
        on_progress: called now and then with the number of rows written.
    """
    return write_lines(folder=folder, name=name, header=header, lines=map(csv_line, rows), on_progress=on_progress)


def write_lines(
    *,
    folder: Path,
    name: str,
    header: Row,
    lines: Iterable[str],
    on_progress: Callable[[int], None] | None = None,
) -> WrittenFile:
    """The same for rows that are lines of CSV already, each with its line feed."""
    folder.mkdir(parents=True, exist_ok=True)
    piece, count, source = bytearray(csv_line(header).encode()), 0, iter(lines)
    with partial_file(folder, suffix=".csv.gz") as partial, _Compressor(partial) as compressor:
        while some := [line.encode() for line in islice(source, LINES_AT_ONCE)]:
            # Line by line: one letter beyond the first 65,536 would make four bytes of each letter of a joined text.
            piece += b"".join(some)
            if len(piece) >= PIECE_BYTES:
                compressor.put(bytes(piece))
                piece.clear()
            count += len(some)
            if on_progress is not None and count % PROGRESS_EVERY_ROWS == 0:
                on_progress(count)
        compressor.put(bytes(piece))
        path = compressor.publish(name)
    return WrittenFile(
        path=path, row_count=count, sha256=compressor.sha256.hexdigest(), size_bytes=compressor.size_bytes
    )


_NEEDS_QUOTES = re.compile('[",\r\n]').search


def csv_line(row: Row) -> str:
    """A row of at least two fields as one line of CSV, its line feed included.

    What `csv.writer` writes (a test compares them), in a sixth of its time on long JSON fields: an export of a million
    rows spent most of its time in that writer, which copies character by character.
    """
    return ",".join([csv_field(value) for value in row]) + "\n"


def csv_field(value: Any) -> str:
    """A field of a line of at least two; nothing for None."""
    if value is None:
        return ""
    text = value if value.__class__ is str else str(value)
    return '"' + text.replace('"', '""') + '"' if _NEEDS_QUOTES(text) else text


@contextmanager
def partial_file(folder: Path, *, suffix: str) -> Iterator[Path]:
    """A file of `folder` that goes when its writer fails; those that killed writers left go after a day.

    A job that is killed begins again from the first row, as of the instant it first had: half a file is worth less
    than the seconds that it takes to make the same one anew.
    """
    for old in folder.glob(".partial-*"):
        with suppress(FileNotFoundError):
            if old.stat().st_mtime < time.time() - PARTIAL_KEPT_S:
                old.unlink()
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".partial-", suffix=suffix)
    os.close(descriptor)
    path = Path(name)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def publish_file(partial: Path, path: Path) -> Path:
    """The file under its final name, once all of it is on disk."""
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.chmod(0o644)
    partial.replace(path)
    _fsync_folder(path.parent)
    return path


class _Compressor:
    """Hashes and compresses in a thread of its own, beside the one that makes the rows; both let go of the GIL."""

    def __init__(self, partial: Path) -> None:
        self._partial = partial
        self._file = partial.open("wb")
        # No time and no name inside: the same rows are the same bytes.
        self._gzip = gzip.GzipFile(filename="", mode="wb", fileobj=self._file, compresslevel=GZIP_LEVEL, mtime=0)
        self.sha256 = hashlib.sha256()
        self.size_bytes = 0
        self._pieces: queue.Queue[bytes | None] = queue.Queue(maxsize=PIECES_WAITING)
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="export-gzip", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finish()
        self._file.close()

    def put(self, piece: bytes) -> None:
        if self._error is not None:
            raise self._error
        self._pieces.put(piece)

    def publish(self, name: str) -> Path:
        """The file under its final name, once all of it is on disk."""
        self._finish()
        if self._error is not None:
            raise self._error
        self._gzip.close()
        self._file.close()
        return publish_file(self._partial, self._partial.with_name(f"{name}-{self.sha256.hexdigest()[:16]}.csv.gz"))

    def _finish(self) -> None:
        if self._thread.is_alive():
            self._pieces.put(None)
            self._thread.join()

    def _work(self) -> None:
        while (piece := self._pieces.get()) is not None:
            if self._error is not None:
                continue  # keeps emptying the queue, so that nobody waits for room in it
            try:
                self.sha256.update(piece)
                self.size_bytes += len(piece)
                self._gzip.write(piece)
            except OSError as error:  # a full disk
                self._error = error


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
