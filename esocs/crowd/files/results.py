"""What an aggregation writes: the consensus, the volunteers and the summaries, as CSV and as Parquet.

The same input makes the same bytes. Texts stand as the volunteers gave them, in quotes: a spreadsheet that takes a
text for a formula does so on its own account.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from esocs.crowd.files.errors import VotesFileError
from esocs.crowd.files.tables import Names
from esocs.crowd.modes.consensus import Consensus
from esocs.crowd.skill import VolunteerSkill

FORMATS = ("csv", "parquet")

CSV_DECIMALS = 6
"""Of numbers in CSV; Parquet has all digits."""

CONSENSUS_SCHEMA = pa.schema(
    [
        ("subject", pa.string()),
        ("question", pa.string()),
        ("question_text", pa.string()),
        ("answer", pa.string()),
        ("probability", pa.float64()),
        ("probabilities", pa.map_(pa.string(), pa.float64())),
        ("votes", pa.map_(pa.string(), pa.int64())),
        ("n", pa.int64()),
        ("majority", pa.string()),
        ("flagged", pa.bool_()),
        ("expected_information_bits", pa.float64()),
        ("gold", pa.string()),
    ]
)
"""One row a subject and question; in CSV the two maps are JSON objects by answer. `majority` is empty on a tie."""

VOLUNTEERS_SCHEMA = pa.schema(
    [
        ("volunteer", pa.string()),
        ("anonymous", pa.bool_()),
        ("question", pa.string()),
        ("n", pa.int64()),
        ("skill_bits", pa.float64()),
        ("skill_lower_bits", pa.float64()),
        ("skill_upper_bits", pa.float64()),
        ("accuracy", pa.float64()),
        ("heard", pa.bool_()),
    ]
)
"""One row a volunteer and question; the bounds are one-sided, of 95 % each."""

SUMMARIES_SCHEMA = pa.schema(
    [
        ("subject", pa.string()),
        ("task", pa.string()),
        ("kind", pa.string()),
        ("seen_by", pa.int64()),
        ("rejected", pa.string()),
        ("summary", pa.string()),
    ]
)
"""One row a subject and task; `rejected` and `summary` are JSON."""

_SCHEMAS = {"consensus": CONSENSUS_SCHEMA, "volunteers": VOLUNTEERS_SCHEMA, "summaries": SUMMARIES_SCHEMA}


@dataclass(frozen=True, kw_only=True)
class QuestionResult:
    """The consensus on some subjects of one question.

    Attributes:
        key: of the question.
        text: what was asked.
        answers: K labels.
        subjects: (S,) names.
        consensus: of these subjects.
        n: (S,) first votes of each.
        information: (S,) bits that one more vote of somebody unknown is expected to bring.
        gold: (S,) the experts' answer, -1 where there is none; None: no gold.
    """

    key: str
    text: str
    answers: Sequence[str]
    subjects: Names
    consensus: Consensus
    n: NDArray[np.int64]
    information: NDArray[np.float64]
    gold: NDArray[np.int64] | None


class ResultFiles:
    """Writes the tables of one aggregation; what is not asked for has no file, and nothing is half written.

    Use as a context: the files get their names when it ends without an error.
    """

    def __init__(self, folder: Path, *, formats: Sequence[str] = FORMATS, metadata: Mapping[str, str]) -> None:
        """Files in `folder`, which is made.

        Args:
            folder: where; files of an earlier aggregation are replaced.
            formats: of `FORMATS`.
            metadata: of the Parquet files.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._formats = tuple(formats)
        self._metadata = {key.encode(): value.encode() for key, value in metadata.items()}
        self._writers: dict[str, pq.ParquetWriter | pa_csv.CSVWriter] = {}
        self.paths: list[Path] = []

    def __enter__(self) -> Self:
        for name in ("consensus", "volunteers"):
            self._write(name, _SCHEMAS[name].empty_table())
        return self

    def __exit__(self, *error: object) -> None:
        for writer in self._writers.values():
            writer.close()
        for name in self._writers:
            part = self._folder / f"{name}.part"
            if any(error):
                part.unlink(missing_ok=True)
            else:
                self.paths.append(part.rename(self._folder / name))
        if not any(error):
            for name in {f"{table}.{ending}" for table in _SCHEMAS for ending in FORMATS} - set(self._writers):
                (self._folder / name).unlink(missing_ok=True)

    def add_consensus(self, result: QuestionResult) -> None:
        labels, consensus, S = pa.array(result.answers, pa.string()), result.consensus, len(result.subjects)
        columns = [
            result.subjects,
            _constant(result.key, S),
            _constant(result.text, S),
            _labels(consensus.answer, labels),
            pa.array(consensus.probabilities[np.arange(S), consensus.answer]),
            _maps(consensus.probabilities, labels),
            _maps(consensus.counts, labels),
            pa.array(result.n),
            _labels(consensus.majority, labels),
            pa.array(consensus.flagged),
            pa.array(result.information),
            pa.nulls(S, pa.string()) if result.gold is None else _labels(result.gold, labels),
        ]
        self._write("consensus", pa.table(columns, schema=CONSENSUS_SCHEMA), answers=result.answers)

    def add_volunteers(
        self, *, key: str, volunteers: Names, anonymous: NDArray[np.bool_], skill: VolunteerSkill, n: NDArray[np.int64]
    ) -> None:
        columns = [
            volunteers,
            pa.array(anonymous),
            _constant(key, len(volunteers)),
            pa.array(n),
            *(pa.array(values) for values in (skill.bits, skill.lower_bits, skill.upper_bits, skill.accuracy)),
            pa.array(skill.weight > 0),
        ]
        self._write("volunteers", pa.table(columns, schema=VOLUNTEERS_SCHEMA))

    def add_summaries(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Rows with the members of `SUMMARIES_SCHEMA`; `rejected` and `summary` as what JSON can hold."""
        texts = [
            {**row, **{name: json.dumps(row[name], ensure_ascii=False) for name in ("rejected", "summary")}}
            for row in rows
        ]
        self._write("summaries", pa.Table.from_pylist(texts, schema=SUMMARIES_SCHEMA))

    def _write(self, name: str, table: pa.Table, *, answers: Sequence[str] = ()) -> None:
        for ending in self._formats:
            written = _for_csv(table, answers) if ending == "csv" else table
            writer = self._writers.get(f"{name}.{ending}") or self._open(f"{name}.{ending}", written.schema)
            if len(table):
                writer.write_table(written)

    def _open(self, name: str, schema: pa.Schema) -> pq.ParquetWriter | pa_csv.CSVWriter:
        path = self._folder / f"{name}.part"
        if name.endswith(".csv"):
            writer = pa_csv.CSVWriter(path, schema, write_options=pa_csv.WriteOptions(quoting_style="needed"))
        else:
            writer = pq.ParquetWriter(path, schema.with_metadata(self._metadata), compression="zstd")
        self._writers[name] = writer
        return writer


def describe(*, mode: str, source: str, sha256: str) -> dict[str, str]:
    """The metadata of the Parquet files: what was made of what, by which release."""
    return {"esocs.version": version("esocs"), "esocs.mode": mode, "esocs.input": source, "esocs.input_sha256": sha256}


def sha256_of(path: Path) -> str:
    """Of a file's bytes, or of all Parquet files of a folder one after another, by name.

    Raises:
        VotesFileError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        for part in sorted(path.glob("*.parquet")) if path.is_dir() else [path]:
            with part.open("rb") as file:
                while piece := file.read(1 << 20):
                    digest.update(piece)
    except OSError as error:
        raise VotesFileError(f"this cannot be read ({error.strerror}).", path=path) from error
    return digest.hexdigest()


def _constant(text: str, n: int) -> pa.Array:
    return pa.repeat(pa.scalar(text, pa.string()), n)


def _labels(index: NDArray[np.int64], labels: pa.Array) -> pa.Array:
    """The label of each index; null for -1."""
    return labels.take(pa.array(index, mask=index < 0))


def _maps(values: NDArray[Any], labels: pa.Array) -> pa.MapArray:
    """(S,) maps from answer to number, of (S, K) numbers."""
    S, K = values.shape
    keys = labels.take(pa.array(np.tile(np.arange(K), S)))
    return pa.MapArray.from_arrays(pa.array(np.arange(S + 1, dtype=np.int32) * K), keys, pa.array(values.ravel()))


def _for_csv(table: pa.Table, answers: Sequence[str]) -> pa.Table:
    """The same with numbers rounded and maps as JSON objects."""
    columns = []
    for column, field in zip(table.columns, table.schema, strict=True):
        if pa.types.is_map(field.type):
            columns.append(_json_objects(column.combine_chunks(), answers))
        elif pa.types.is_floating(field.type):
            columns.append(pc.round(column, CSV_DECIMALS))
        else:
            columns.append(column)
    return pa.table(columns, names=table.schema.names)


def _json_objects(maps: pa.Array, answers: Sequence[str]) -> pa.Array:
    """One JSON object a row, joined column by column: a million rows would be slow one at a time."""
    if not len(maps):
        return pa.array([], pa.string())
    values = maps.items.to_numpy().reshape(len(maps), len(answers))
    pieces: list[Any] = []
    for k, label in enumerate(answers):
        column = values[:, k] if values.dtype.kind in "iu" else np.round(values[:, k], CSV_DECIMALS)
        opening = ("{" if k == 0 else ", ") + json.dumps(label, ensure_ascii=False) + ": "
        pieces += [opening, pc.cast(pa.array(column), pa.string())]
    return pc.binary_join_element_wise(*pieces, "}", "")
