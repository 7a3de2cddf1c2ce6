"""An export as a Parquet file: the same columns with types, complete and on disk before its name appears."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from esocs.releases.writing import Row, WrittenFile, partial_file, publish_file

ROWS_AT_ONCE = 20_000
TIME = pa.timestamp("ms", tz="UTC")
"""Milliseconds: Parquet knows no longer unit."""
TYPES: dict[str, pa.DataType] = {
    **dict.fromkeys(
        ("classification_id", "user_id", "workflow_id", "project_id", "subject_set_id", "subject_id",
         "classifications_count", "version", "minor_version", "tutorial_subject_id", "annotation", "parts", "votes",
         "retired_set_member_subjects_count", "model_version"),
        pa.int64(),
    ),
    **dict.fromkeys(("ra", "dec", "probability", "machine_probability"), pa.float64()),
    **dict.fromkeys(
        ("active", "flagged", "gold_standard", "grouped", "machine_data", "pairwise", "prioritized"), pa.bool_()
    ),
    **dict.fromkeys(("classification_at", "created_at", "retired_at", "updated_at"), TIME),
}  # fmt: skip
"""By column name; one that is not here, and does not count votes, is text (`workflow_version`: 16.50 is not 16.5)."""


def write_parquet(
    *,
    folder: Path,
    name: str,
    header: Sequence[str],
    rows: Iterable[Row],
    on_progress: Callable[[int], None] | None = None,
) -> WrittenFile:
    """Write rows as Parquet (zstd) into `folder`, and publish it under its name and content's hash.

    Args:
        folder: made when absent.
        name: of the file, before `-<hash>.parquet`.
        header: the column names, which also say the types (`TYPES`).
        rows: of what the CSV would hold.
        on_progress: called now and then with the number of rows written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    schema = pa.schema([(column, _type(column)) for column in header])
    count = 0
    with partial_file(folder, suffix=".parquet") as partial:
        with pq.ParquetWriter(partial, schema, compression="zstd") as writer:
            for batch in _batches(rows):
                writer.write_batch(_record_batch(batch, schema))
                count += len(batch)
                if on_progress is not None:
                    on_progress(count)
        with partial.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        size_bytes = partial.stat().st_size
        path = publish_file(partial, folder / f"{name}-{sha256[:16]}.parquet")
    return WrittenFile(path=path, row_count=count, sha256=sha256, size_bytes=size_bytes)


def _type(column: str) -> pa.DataType:
    return TYPES.get(column, pa.int64() if column.startswith("votes_") else pa.string())


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, ROWS_AT_ONCE)):
        yield batch


def _record_batch(batch: list[Row], schema: pa.Schema) -> pa.RecordBatch:
    columns = zip(*batch, strict=True)
    arrays = [_array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """What the CSV would hold as a column of a type; an empty cell is null where the type is no text."""
    if kind == pa.string():
        return pa.array([None if value is None else str(value) for value in values], kind)
    texts = pa.array([None if value is None or value == "" else str(value) for value in values], pa.string())
    if kind == TIME:
        return pc.strptime(texts, format="%Y-%m-%d %H:%M:%S UTC", unit="s", error_is_null=True).cast(TIME)
    return _cast(texts, kind)


def _cast(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    try:
        return texts.cast(kind)
    except pa.ArrowInvalid:  # a cell as an import has read it: "NA" for an empty one
        return pa.array([_one(text, kind) for text in texts.to_pylist()], kind)


def _one(text: str | None, kind: pa.DataType) -> Any:
    try:
        return None if text is None else pa.scalar(text).cast(kind).as_py()
    except pa.ArrowInvalid:
        return None
