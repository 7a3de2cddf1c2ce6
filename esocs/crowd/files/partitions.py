"""Votes as Parquet partitions by subject: written in one pass, read one at a time, however many there are.

A partition holds all votes on its subjects, so a subject's posterior needs no other partition. The folder's manifest
is written last: without it the partitions are not whole.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from esocs.crowd.files.errors import PartitionsError
from esocs.crowd.files.tables import NameIndex, Names, gold_of, is_anonymous, natural_key
from esocs.crowd.votes import Votes, first_votes

MANIFEST = "partitions.json"
VOLUNTEERS = "volunteers.parquet"
PLACES = "places.npy"

BUFFERED_ROWS = 1 << 20
"""Rows that wait before they are written: what the writing needs of memory, beside the volunteers' names."""

VOTES_SCHEMA = pa.schema([("subject", pa.string()), ("volunteer", pa.int32()), ("answer", pa.int32())])
PRIORS_SCHEMA = pa.schema([("subject", pa.string()), ("log_prior", pa.list_(pa.float64()))])


@dataclass(frozen=True, kw_only=True)
class PartitionVotes:
    """One partition in memory.

    Attributes:
        subjects: (S,) names, in natural order.
        votes: first votes only; the volunteers' indices are those of all partitions.
        log_prior: (S, K) nats, where the partitions have one.
        repeats: votes left out, as the volunteer had voted on the subject before.
    """

    subjects: Names
    votes: Votes
    log_prior: NDArray[np.float64] | None
    repeats: int

    def gold(self, gold: Mapping[str, str], answers: Sequence[str]) -> NDArray[np.int64] | None:
        """(S,) the experts' answers, -1 where there is none; None where there is none in this partition."""
        known = gold_of(self.subjects, gold=gold, answers=answers)
        return known if known is not None and (known >= 0).any() else None


@dataclass(frozen=True, kw_only=True)
class Partitions:
    """A folder of partitions; small, and sent to workers as it is.

    Attributes:
        folder: which every worker must see under the same name.
        n_partitions: P.
        rows: votes in all, repeats included.
        n_volunteers: V.
        answers: K labels, in natural order.
        answer_places: where each answer's number in the files stands in `answers`.
        has_priors: whether each subject has a log prior.
    """

    folder: Path
    n_partitions: int
    rows: int
    n_volunteers: int
    answers: tuple[str, ...]
    answer_places: tuple[int, ...]
    has_priors: bool

    @classmethod
    def open(cls, folder: Path) -> Partitions:
        """The partitions that `write_partitions` has written.

        Raises:
            PartitionsError: no manifest, or one of another kind.
        """
        try:
            about = json.loads((folder / MANIFEST).read_text("utf-8"))
            return cls(
                folder=folder,
                n_partitions=int(about["n_partitions"]),
                rows=int(about["rows"]),
                n_volunteers=int(about["n_volunteers"]),
                answers=tuple(about["answers"]),
                answer_places=tuple(about["answer_places"]),
                has_priors=bool(about["has_priors"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PartitionsError(
                f"{folder} holds no whole set of partitions ({error}).", hint="Write them again."
            ) from error

    def volunteers(self) -> Names:
        """(V,) names, in natural order."""
        return pq.read_table(self.folder / VOLUNTEERS).column("volunteer").combine_chunks()

    def anonymous(self) -> NDArray[np.bool_]:
        """(V,) sessions without an account."""
        return is_anonymous(self.volunteers())

    def load(self, index: int) -> PartitionVotes:
        """One partition, its first votes sorted.

        Raises:
            PartitionsError: the file is missing or damaged, or a subject has no log prior.
        """
        table = _read(_votes_path(self.folder, index))
        encoded = table.column("subject").combine_chunks().dictionary_encode()
        labels = encoded.dictionary.to_pylist()
        order = sorted(range(len(labels)), key=lambda i: natural_key(labels[i]))
        place = np.empty(len(labels), np.int32)
        place[order] = np.arange(len(labels), dtype=np.int32)
        subjects = pa.array([labels[i] for i in order], pa.string())
        subject = place[encoded.indices.to_numpy()] if len(labels) else np.zeros(0, np.int32)
        places = np.load(self.folder / PLACES, mmap_mode="r")
        volunteer = np.asarray(places[table.column("volunteer").to_numpy()], np.int32)
        answer = np.array(self.answer_places, np.int32)[table.column("answer").to_numpy()]
        keep = first_votes(subject, volunteer)
        votes = _build(
            subject=subject[keep],
            volunteer=volunteer[keep],
            answer=answer[keep],
            n_subjects=len(subjects),
            n_volunteers=self.n_volunteers,
            n_answers=len(self.answers),
        )
        prior = self._log_prior(index, subjects) if self.has_priors else None
        return PartitionVotes(subjects=subjects, votes=votes, log_prior=prior, repeats=int((~keep).sum()))

    def _log_prior(self, index: int, subjects: Names) -> NDArray[np.float64]:
        table = _read(_priors_path(self.folder, index))
        place = pc.index_in(subjects, value_set=table.column("subject").combine_chunks())
        if place.null_count:
            missing = subjects.filter(pc.is_null(place))[0].as_py()
            raise PartitionsError(f"Subject {missing} has no log prior.", hint="Give one for each subject, or none.")
        K = len(self.answers)
        values = table.column("log_prior").combine_chunks().flatten().to_numpy()
        if len(values) != len(table) * K:
            raise PartitionsError(f"A log prior has not {K} numbers.", hint=f"The answers are {self.answers}.")
        return np.asarray(values.reshape(-1, K)[place.to_numpy()], np.float64)


def write_partitions(
    batches: Iterable[pa.RecordBatch],
    folder: Path,
    *,
    n_partitions: int,
    more_answers: Iterable[str] = (),
    log_priors: Iterable[pa.RecordBatch] | None = None,
) -> Partitions:
    """Spread votes over partitions by a hash of the subject's name, in one pass and bounded memory.

    Memory holds a million rows that wait, one Parquet writer a partition, and the volunteers' names. The same votes in
    the same order make the same files.

    Args:
        batches: columns subject, volunteer, answer of text (`reading.stream_votes`), of any lengths.
        folder: new or empty.
        n_partitions: so many that one partition's votes fit into memory many times.
        more_answers: labels that count as answers though nobody gave them.
        log_priors: columns subject (text) and log_prior (list of K numbers, nats, in the order of `answers`).

    Raises:
        PartitionsError: a folder with other files, or less than one partition.
    """
    if n_partitions < 1:
        raise PartitionsError(f"{n_partitions} partitions hold nothing.", hint="At least one is needed.")
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise PartitionsError(f"{folder} is not empty.", hint="Give a new folder.")
    volunteers, answers, rows = NameIndex(), NameIndex(), 0
    with _Writers([_votes_path(folder, p) for p in range(n_partitions)], VOTES_SCHEMA) as writers:
        for batch in batches:
            rows += batch.num_rows
            subject = batch.column("subject").dictionary_encode()
            columns = [
                subject.dictionary_decode(),
                pa.array(volunteers.numbers(batch.column("volunteer"))),
                pa.array(answers.numbers(batch.column("answer"))),
            ]
            writers.add(pa.Table.from_arrays(columns, schema=VOTES_SCHEMA), _partition_of(subject, n_partitions))
    for label in more_answers:
        answers.number(label)
    if log_priors is not None:
        with _Writers([_priors_path(folder, p) for p in range(n_partitions)], PRIORS_SCHEMA) as writers:
            for batch in log_priors:
                subject = batch.column("subject").dictionary_encode()
                columns = [subject.dictionary_decode(), batch.column("log_prior").cast(PRIORS_SCHEMA.types[1])]
                writers.add(pa.Table.from_arrays(columns, schema=PRIORS_SCHEMA), _partition_of(subject, n_partitions))
    names, places = volunteers.in_order()
    pq.write_table(pa.table({"volunteer": pa.array(names, pa.string())}), folder / VOLUNTEERS)
    np.save(folder / PLACES, places)
    labels, answer_places = answers.in_order()
    about = {
        "n_partitions": n_partitions,
        "rows": rows,
        "n_volunteers": len(names),
        "answers": labels,
        "answer_places": answer_places.tolist(),
        "has_priors": log_priors is not None,
    }
    (folder / MANIFEST).write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return Partitions.open(folder)


class _Writers:
    """One Parquet file a partition; rows wait until there are enough for a row group of some size."""

    def __init__(self, paths: Sequence[Path], schema: pa.Schema) -> None:
        self._writers = [pq.ParquetWriter(path, schema, compression="zstd") for path in paths]
        self._tables: list[pa.Table] = []
        self._partitions: list[NDArray[np.int64]] = []
        self._waiting = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if not any(error):
            self._flush()
        for writer in self._writers:
            writer.close()

    def add(self, table: pa.Table, partition: NDArray[np.int64]) -> None:
        self._tables.append(table)
        self._partitions.append(partition)
        self._waiting += len(table)
        if self._waiting >= BUFFERED_ROWS:
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        partition = np.concatenate(self._partitions)
        order = np.argsort(partition, kind="stable")
        table = pa.concat_tables(self._tables).combine_chunks().take(pa.array(order))
        bounds = np.searchsorted(partition[order], np.arange(len(self._writers) + 1))
        for writer, low, high in zip(self._writers, bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            if high > low:
                writer.write_table(table.slice(low, high - low))
        self._tables, self._partitions, self._waiting = [], [], 0


def _partition_of(subject: pa.DictionaryArray, n_partitions: int) -> NDArray[np.int64]:
    """(n,) the partition of each row: a checksum of the name, the same on every machine and in every release."""
    codes = [zlib.crc32(name.encode()) % n_partitions for name in subject.dictionary.to_pylist()]
    return np.array(codes, np.int64)[subject.indices.to_numpy()] if codes else np.zeros(0, np.int64)


def _build(
    *,
    subject: NDArray[np.int32],
    volunteer: NDArray[np.int32],
    answer: NDArray[np.int32],
    n_subjects: int,
    n_volunteers: int,
    n_answers: int,
) -> Votes:
    """`Votes.build` among the partition's own volunteers, then under the numbers of all: no table of all pairs."""
    here, local = np.unique(volunteer, return_inverse=True)
    votes = Votes.build(
        subject=subject,
        volunteer=local,
        answer=answer,
        n_subjects=n_subjects,
        n_volunteers=len(here),
        n_answers=n_answers,
    )
    pairs = here.astype(np.int64)[votes.volunteer] * n_answers + votes.answer
    return replace(votes, pairs=pairs, n_volunteers=n_volunteers)


def _votes_path(folder: Path, index: int) -> Path:
    return folder / f"votes-{index:05d}.parquet"


def _priors_path(folder: Path, index: int) -> Path:
    return folder / f"priors-{index:05d}.parquet"


def _read(path: Path) -> Any:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise PartitionsError(f"{path} is missing or damaged ({error}).", hint="Write the partitions again.") from error
