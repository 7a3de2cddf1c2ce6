"""Votes from plain files: subject, volunteer and answer in CSV (also compressed) or Parquet, batch by batch."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from esocs.crowd.files.errors import VotesFileError
from esocs.crowd.files.tables import NameIndex, QuestionTable, ReadReport, gold_of, is_anonymous
from esocs.crowd.votes import first_votes

COLUMNS: dict[str, tuple[str, ...]] = {
    "subject": ("subject", "subject_id", "task", "item"),
    "volunteer": ("volunteer", "user_name", "worker", "user"),
    "answer": ("answer", "label", "response", "truth", "gold"),
}
"""What each column may be called, in whatever case; the first that a file has is taken."""

SCHEMA = pa.schema([(name, pa.string()) for name in COLUMNS])
"""Of the batches: text, as ids need not be numbers; the rows' order is the file's."""

BLOCK_BYTES = 8 << 20
BATCH_ROWS = 1 << 18
DELIMITERS = (",", "\t", ";")


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """Where in a file the three columns are."""

    delimiter: str
    header: list[str]
    found: dict[str, str]


def is_parquet(path: Path) -> bool:
    """Whether the file (or a folder of such files) is Parquet: by its first bytes, not by its name."""
    if path.is_dir():
        return True
    with _existing(path).open("rb") as file:
        return file.read(4) == b"PAR1"


def stream_votes(
    path: Path, *, report: ReadReport, strict: bool = False, wanted: Sequence[str] = tuple(COLUMNS)
) -> Iterator[pa.RecordBatch]:
    """The file's votes in batches of `SCHEMA`; the memory needed does not depend on the file's size.

    A row with an empty cell is no vote: it is counted in the report and left out.

    Args:
        path: CSV (UTF-8, with or without byte order mark, any line ends, quoted or not; `.gz`, `.bz2` and `.zst` are
            decompressed), a Parquet file, or a folder of Parquet files.
        report: is told of the rows.
        strict: an empty cell is an error.
        wanted: the columns needed, of `COLUMNS`.

    Raises:
        VotesFileError: a missing file or column, a broken row, or no text in UTF-8; names file and row.
    """
    batches = _parquet_batches(path, wanted) if is_parquet(path) else _csv_batches(path, wanted)
    for first_row, batch in batches:
        report.rows += batch.num_rows
        yield _without_empty(batch, path=path, first_row=first_row, report=report, strict=strict)


def read_votes(
    path: Path,
    *,
    gold: Mapping[str, str] | None = None,
    strict: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[QuestionTable, ReadReport]:
    """All votes of a file as one table; a volunteer's first vote on a subject counts.

    Args:
        path: see `stream_votes`.
        gold: experts' answers by subject; subjects and answers that nobody voted on are allowed.
        strict: an empty cell is an error.
        on_progress: is told the number of rows read, of an unknown total (0).

    Raises:
        VotesFileError: see `stream_votes`.
    """
    report = ReadReport()
    indices = {name: NameIndex() for name in COLUMNS}
    parts: dict[str, list[NDArray[np.int32]]] = {name: [] for name in COLUMNS}
    for batch in stream_votes(path, report=report, strict=strict):
        for name in COLUMNS:
            parts[name].append(indices[name].numbers(batch.column(name)))
        if on_progress:
            on_progress(report.rows, 0)
    for label in (gold or {}).values():
        indices["answer"].number(label)
    names, columns = {}, {}
    for name in COLUMNS:
        names[name], place = indices[name].in_order()
        column = np.concatenate([np.zeros(0, np.int32), *parts.pop(name)])
        columns[name] = place[column] if len(column) else column
    keep = first_votes(columns["subject"], columns["volunteer"])
    report.repeats += int((~keep).sum())
    if not keep.all():
        columns = {name: column[keep] for name, column in columns.items()}
    subjects = pa.array(names["subject"], pa.string())
    table = QuestionTable(
        key="T0",
        text="",
        answers=tuple(names["answer"]),
        subjects=subjects,
        volunteers=pa.array(names["volunteer"], pa.string()),
        anonymous=is_anonymous(names["volunteer"]),
        gold=gold_of(subjects, gold=gold or {}, answers=names["answer"]),
        **columns,
    )
    return table, report


def read_gold(path: Path) -> dict[str, dict[str, str]]:
    """Experts' answers by question and subject: columns subject and answer, and `question` where there are several.

    Without the column, all are under "".

    Raises:
        VotesFileError: as `stream_votes`; or two answers for one subject.
    """
    gold: dict[str, dict[str, str]] = {}
    wanted = ("subject", "answer")
    row = 1
    with_question = "question" in {name.strip().lower() for name in column_names(path)}
    batches = (
        _parquet_batches(path, wanted, question=with_question)
        if is_parquet(path)
        else _csv_batches(path, wanted, question=with_question)
    )
    for _, batch in batches:
        columns = [batch.column(name).to_pylist() for name in (*wanted, *(["question"] if with_question else []))]
        for cells in zip(*columns, strict=True):
            row += 1
            subject, answer, *question = [(cell or "").strip() for cell in cells]
            if not subject or not answer:
                continue
            before = gold.setdefault("".join(question), {}).setdefault(subject, answer)
            if before != answer:
                raise VotesFileError(
                    f"subject {subject} has the answers {before!r} and {answer!r}.",
                    path=path,
                    row=row,
                    hint="Gold is one answer a subject.",
                )
    return gold


def column_names(path: Path) -> list[str]:
    """The columns' names, as they are written.

    Raises:
        VotesFileError: a missing or empty file, or one that is not text.
    """
    if is_parquet(path):
        return [str(name) for name in _schema(path).names]
    return _read_header(path)[1]


def open_text(path: Path, *, errors: str = "strict") -> TextIO:
    """A text file as it is, without its byte order mark, decompressed where its name ends in `.gz`.

    Raises:
        VotesFileError: no such file.
    """
    path = _existing(path)
    if path.suffix == ".gz":
        return cast("TextIO", gzip.open(path, "rt", encoding="utf-8-sig", errors=errors, newline=""))
    return path.open("r", encoding="utf-8-sig", errors=errors, newline="")


def _existing(path: Path) -> Path:
    if not path.exists():
        raise VotesFileError("there is no such file.", path=path)
    if path.is_dir():
        raise VotesFileError("this is a folder, not a file.", path=path)
    return path


def _read_header(path: Path) -> tuple[str, list[str]]:
    """The delimiter and the names of the first row."""
    try:
        with open_text(path) as file:
            line = file.readline(1 << 20)
    except (UnicodeDecodeError, OSError, EOFError) as error:
        raise VotesFileError(f"this is not text in UTF-8 ({error}).", path=path, row=1) from error
    if not line.strip():
        raise VotesFileError("the first row is empty, where the columns' names should be.", path=path, row=1)
    delimiter = max(DELIMITERS, key=line.count)
    return delimiter, next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter))


def _find_columns(path: Path, names: Sequence[str], wanted: Sequence[str]) -> dict[str, str]:
    """Which of the file's columns is which."""
    found: dict[str, str] = {}
    lower = {name.strip().lower(): name for name in reversed(list(names))}
    for column in wanted:
        if column == "question":
            found[column] = lower["question"]
            continue
        match = next((lower[alias] for alias in COLUMNS[column] if alias in lower), None)
        if match is None:
            raise VotesFileError(
                f"no column for the {column}, among {', '.join(names)}.",
                path=path,
                row=1,
                hint=f"It may be called {', '.join(COLUMNS[column])}.",
            )
        found[column] = match
    return found


def _csv_batches(path: Path, wanted: Sequence[str], *, question: bool = False) -> Iterator[tuple[int, pa.RecordBatch]]:
    delimiter, header = _read_header(path)
    wanted = (*wanted, "question") if question else wanted
    found = _find_columns(path, header, wanted)
    # Two columns of one name would be ambiguous to the reader below.
    numbered = [f"{i}" for i in range(len(header))]
    taken = {column: numbered[header.index(name)] for column, name in found.items()}
    broken: list[tuple[int, str]] = []

    def note(row: Any) -> str:
        broken.append((row.number or 0, f"{row.actual_columns} cells, the first row has {row.expected_columns}."))
        return "error"

    row = 2
    try:
        reader = pa_csv.open_csv(
            str(path),
            read_options=pa_csv.ReadOptions(
                use_threads=False, block_size=BLOCK_BYTES, column_names=numbered, skip_rows=1
            ),
            parse_options=pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=note),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(numbered, pa.string()),
                include_columns=list(taken.values()),
                strings_can_be_null=False,
            ),
        )
        for batch in reader:
            yield row, pa.RecordBatch.from_arrays([batch.column(name) for name in taken.values()], names=list(taken))
            row += batch.num_rows
    except (pa.ArrowInvalid, OSError) as error:
        at, why = broken[0] if broken else (0, str(error))
        if "Could not skip initial 1 rows" in why:  # a header without a line end, and nothing else
            return
        raise VotesFileError(why, path=path, row=at, hint="Quote cells that hold the separator.") from error


def _schema(path: Path) -> pa.Schema:
    files = _parquet_files(path)
    try:
        return pq.read_schema(files[0])
    except (pa.ArrowInvalid, OSError) as error:
        raise VotesFileError(f"this is no readable Parquet file ({error}).", path=files[0]) from error


def _parquet_files(path: Path) -> list[Path]:
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise VotesFileError("there is no *.parquet in this folder.", path=path)
    return files


def _parquet_batches(
    path: Path, wanted: Sequence[str], *, question: bool = False
) -> Iterator[tuple[int, pa.RecordBatch]]:
    wanted = (*wanted, "question") if question else wanted
    for part in _parquet_files(path):
        found = _find_columns(part, _schema(part).names, wanted)
        row = 2  # counted as in a CSV, where the first row is the header
        try:
            for batch in pq.ParquetFile(part).iter_batches(BATCH_ROWS, columns=list(found.values())):
                columns = [_as_text(batch.column(name), path=part) for name in found.values()]
                yield row, pa.RecordBatch.from_arrays(columns, names=list(found))
                row += batch.num_rows
        except (pa.ArrowInvalid, OSError) as error:
            raise VotesFileError(f"this is no readable Parquet file ({error}).", path=part) from error


def _as_text(column: pa.Array, *, path: Path) -> pa.Array:
    """Text of whole numbers, of text and of dictionaries of either; null stays null."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_floating(column.type):
        raise VotesFileError("a column holds numbers with a fraction, not ids or labels.", path=path)
    return pc.cast(column, pa.string())


def _without_empty(
    batch: pa.RecordBatch, *, path: Path, first_row: int, report: ReadReport, strict: bool
) -> pa.RecordBatch:
    """The batch with its cells trimmed, without the rows that have an empty one."""
    names, columns, whole = batch.schema.names, [], None
    for column in batch.columns:
        # Trimmed once per different text, of which there are few.
        encoded = pc.dictionary_encode(column)
        trimmed = pc.utf8_trim_whitespace(encoded.dictionary)
        text = pa.DictionaryArray.from_arrays(encoded.indices, trimmed).dictionary_decode()
        filled = pc.fill_null(pc.greater(pc.binary_length(text), 0), fill_value=False)
        whole = filled if whole is None else pc.and_(whole, filled)
        columns.append(text)
    full = np.asarray(whole.to_numpy(zero_copy_only=False) if whole is not None else [], bool)
    trimmed_batch = pa.RecordBatch.from_arrays(columns, names=names)
    if full.all():
        return trimmed_batch
    for index in np.flatnonzero(~full)[:20].tolist():
        empty = next(name for name, column in zip(names, columns, strict=True) if not column[index].as_py())
        if strict:
            raise VotesFileError(f"the {empty} is empty.", path=path, row=first_row + index)
        report.skip(first_row + index, f"the {empty} is empty")
    report.n_skipped += max(int((~full).sum()) - 20, 0)
    return trimmed_batch.filter(pa.array(full))
