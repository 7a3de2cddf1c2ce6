"""Rows of an export file, one at a time, each checked before anything is stored: the file may be anybody's. Pure."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from classifier.errors import EsocsError
from esocs.crowd.files.errors import VotesFileError
from esocs.crowd.files.reading import open_text

LARGEST_CELL = 8 << 20
"""Characters; a larger one comes of a quote that is never closed. Genuine survey tasks have some hundred thousand."""

NOTHING = frozenset({"", "NA"})
"""An empty cell; NA is R's word for it, and many published files went through R."""

LARGEST_ID = (1 << 63) - 1
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(\.\d{1,6})?\d*(?: ?UTC|Z|\+00:?00)?")


class ImportFileError(EsocsError):
    """A file, column or row of an import that cannot be read; names the line."""

    code = "import_file"
    status = 422

    def __init__(self, problem: str, *, path: Path, line: int = 0, hint: str = "") -> None:
        where = f"{path.name}, line {line}" if line else path.name
        super().__init__(f"{where}: {problem}", hint=hint)
        self.line = line


@dataclass(frozen=True)
class Line:
    """One row: its cells by column, and the line of the file that it ends on."""

    path: Path
    number: int
    cells: dict[str, str]

    def error(self, problem: str, *, hint: str = "") -> ImportFileError:
        return ImportFileError(problem, path=self.path, line=self.number, hint=hint)

    def text(self, column: str) -> str:
        """The cell, empty where there is nothing."""
        cell = self.cells.get(column, "")
        return "" if cell in NOTHING else cell

    def whole(self, column: str, *, least: int = 0) -> int | None:
        """The cell as an integer; None where there is nothing."""
        cell = self.text(column).removesuffix(".0")
        if not cell:
            return None
        if not re.fullmatch(r"-?[0-9]{1,19}", cell) or not least <= int(cell) <= LARGEST_ID:
            raise self.error(f"`{column}` holds {cell[:40]!r}, which is no number of that kind.")
        return int(cell)

    def identifier(self, column: str) -> int:
        """The cell as a foreign id, which must be there."""
        found = self.whole(column)
        if found is None:
            raise self.error(f"`{column}` is empty.")
        return found

    def time(self, column: str) -> datetime | None:
        """The cell as a time; None where there is nothing."""
        cell = self.text(column)
        return read_time(cell, line=self, what=column) if cell else None

    def json(self, column: str, kind: type[Any], *, default: str = "") -> Any:
        """The cell as JSON of a kind; `default` is what an empty cell means."""
        return read_json(self.text(column) or default, kind, line=self, what=column)


def read_time(text: Any, *, line: Line, what: str) -> datetime:
    """A time in UTC as Panoptes writes it, in columns and in JSON."""
    found = _TIME.fullmatch(text) if isinstance(text, str) else None
    try:
        if found is not None:
            year, month, day, hour, minute, second = map(int, found.groups()[:6])
            microsecond = int((found.group(7) or ".0")[1:].ljust(6, "0"))
            return datetime(year, month, day, hour, minute, second, microsecond, UTC)
    except ValueError:  # the 31st of February
        pass
    raise line.error(f"`{what}` holds {str(text)[:40]!r}, which is no time.", hint="Such as 2026-01-31 12:00:00 UTC.")


def read_json(text: str, kind: type[Any], *, line: Line, what: str) -> Any:
    """JSON of a kind, without what a JSON column of the database cannot hold."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise line.error(f"`{what}` is nested too deep.") from None
    except ValueError as error:
        raise line.error(f"`{what}` is not JSON ({error}).") from None
    if not isinstance(value, kind):
        raise line.error(f"`{what}` is JSON of another kind.", hint=f"It should be: {kind.__name__}.")
    if "\\u" in text and not _is_storable(text, value):
        raise line.error(f"`{what}` holds a character that no text can hold.")
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _is_storable(text: str, value: Any) -> bool:
    if "\\u0000" in text and "\0" in json.dumps(value, ensure_ascii=False).replace("\\u0000", "\0"):
        return False
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def read_lines(path: Path, *, needed: Sequence[str]) -> Iterator[Line]:
    """The rows of a CSV, gzipped or not, by column name; columns may stand in any order, and more than are needed.

    Raises:
        ImportFileError: no such file, no CSV in UTF-8, a missing column, a row of another length, a cell that is too
            large or holds a NUL; names the line.
    """
    csv.field_size_limit(max(csv.field_size_limit(), LARGEST_CELL))
    line = 1
    try:
        with open_text(path) as file:
            rows = csv.reader(_bounded(file), strict=True)
            header = [name.strip() for name in next(rows, [])]
            missing = [name for name in needed if name not in header]
            if missing:
                raise ImportFileError(
                    f"the columns {', '.join(missing)} are missing.",
                    path=path,
                    line=1,
                    hint="Give the files as they are.",
                )
            for cells in rows:
                line = rows.line_num
                if cells:
                    yield _line(path, line, header, cells)
    except VotesFileError as error:
        raise ImportFileError("there is no such file.", path=path) from error
    except (csv.Error, EOFError, OSError, UnicodeDecodeError) as error:
        raise ImportFileError(f"this is no CSV in UTF-8 ({error}).", path=path, line=line) from error


def _bounded(file: Any) -> Iterator[str]:
    """The lines; without a bound, one line without an end is read into memory whole."""
    while text := file.readline(LARGEST_CELL * 2):
        yield text


def _line(path: Path, number: int, header: list[str], cells: list[str]) -> Line:
    if len(cells) != len(header):
        raise ImportFileError(f"{len(cells)} cells, the header has {len(header)}.", path=path, line=number)
    for name, cell in zip(header, cells, strict=True):
        if len(cell) > LARGEST_CELL:
            raise ImportFileError(f"`{name}` holds {len(cell):,} characters.", path=path, line=number)
        if "\0" in cell:
            raise ImportFileError(f"`{name}` holds a NUL.", path=path, line=number)
    return Line(path, number, dict(zip(header, cells, strict=True)))


def pieces(lines: Iterator[Line], *, size: int, on_piece: Callable[[int], None]) -> Iterator[list[Line]]:
    """The lines by so many; tells after each how many were read."""
    piece: list[Line] = []
    count = 0
    for line in lines:
        piece.append(line)
        if len(piece) == size:
            yield piece
            count += size
            on_piece(count)
            piece = []
    if piece:
        yield piece
        on_piece(count + len(piece))
