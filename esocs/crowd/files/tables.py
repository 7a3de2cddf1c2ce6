"""What every source of votes becomes before it is weighed: one table per question, indices and the names behind them.

The source's rows (a file's, or our own) are the source of truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from esocs.crowd.modes.interface import Gathered
from esocs.crowd.votes import Votes

Names: TypeAlias = pa.Array
"""Text, one name an index."""

ANONYMOUS_PREFIX = "not-logged-in-"
"""How Panoptes calls a session without an account, where it says a volunteer's name."""

NO_GOLD = -1


@dataclass(frozen=True, kw_only=True)
class QuestionTable:
    """All first votes on one question, of the subjects on which it was reached.

    Attributes:
        key: `T0`, or `T1.2` for label 2 of a task of several answers (0 not chosen, 1 chosen).
        text: what was asked, "" where the source does not say.
        answers: K labels.
        subjects: (S,) names, each with at least one vote.
        volunteers: (V,) names, each with at least one vote.
        anonymous: (V,) bool, sessions without an account.
        subject: (N,) int32, index into `subjects`.
        volunteer: (N,) int32, index into `volunteers`.
        answer: (N,) int32, index into `answers`.
        gold: (S,) int64, the experts' answer, -1 where there is none; None: no gold at all.
        log_prior: (S, K) nats, the machine's opinion; None: no machine.
        heard: (S,) bool, where it has one; None: everywhere.
    """

    key: str
    text: str
    answers: Sequence[str]
    subjects: Names
    volunteers: Names
    anonymous: NDArray[np.bool_]
    subject: NDArray[np.int32]
    volunteer: NDArray[np.int32]
    answer: NDArray[np.int32]
    gold: NDArray[np.int64] | None = None
    log_prior: NDArray[np.float64] | None = None
    heard: NDArray[np.bool_] | None = None

    def gathered(self) -> Gathered:
        """The table in the form from which a mode learns.

        Raises:
            InvalidVotesError: an index out of range; names the row.
        """
        votes = Votes.build(
            subject=self.subject,
            volunteer=self.volunteer,
            answer=self.answer,
            n_subjects=len(self.subjects),
            n_volunteers=len(self.volunteers),
            n_answers=len(self.answers),
        )
        return Gathered(
            votes=votes, gold=self.gold, log_prior=self.log_prior, heard=self.heard, anonymous=self.anonymous
        )


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A row that was not used: its number (the header is row 1) and why."""

    row: int
    reason: str


@dataclass(kw_only=True)
class ReadReport:
    """What reading a source came to.

    Attributes:
        rows: read, the header not counted.
        repeats: rows of a volunteer who had already classified the subject; kept by nobody, counted here.
        gold_rows: experts' rows, which are no votes.
        other_workflows: rows of workflows (or versions) that were not asked for.
        skipped: the first rows that could not be used.
        n_skipped: how many there were.
        notes: what else a person should know, each a sentence.
    """

    rows: int = 0
    repeats: int = 0
    gold_rows: int = 0
    other_workflows: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    n_skipped: int = 0
    notes: list[str] = field(default_factory=list)

    def skip(self, row: int, reason: str) -> None:
        self.n_skipped += 1
        if len(self.skipped) < 20:
            self.skipped.append(Skipped(row=row, reason=reason))


class NameIndex:
    """Gives each new name the next number, in bounded memory: one entry a name, however many rows."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._numbers: dict[str, int] = {}
        for name in names:
            self.number(name)

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def number(self, name: str) -> int:
        return self._numbers.setdefault(name, len(self._numbers))

    def numbers(self, column: pa.Array) -> NDArray[np.int32]:
        """(n,) int32 of a column of text without nulls."""
        encoded = column if pa.types.is_dictionary(column.type) else pc.dictionary_encode(column)
        known = np.array([self.number(name) for name in encoded.dictionary.to_pylist()], np.int32)
        indices = encoded.indices.to_numpy(zero_copy_only=False)
        return known[indices] if len(known) else np.zeros(0, np.int32)

    def in_order(self) -> tuple[list[str], NDArray[np.int32]]:
        """The names in natural order, and (n,) int32 the place of each number in it."""
        names = list(self._numbers)
        order = sorted(range(len(names)), key=lambda i: natural_key(names[i]))
        place = np.empty(len(names), np.int32)
        place[order] = np.arange(len(names), dtype=np.int32)
        return [names[i] for i in order], place


def natural_key(name: str) -> tuple[int, int, str]:
    """Sorts whole numbers by size, before all other text."""
    if name.isascii() and name.isdigit() and len(name) < 40:
        return (0, int(name), name)
    return (1, 0, name)


def is_anonymous(volunteers: Sequence[str] | Names) -> NDArray[np.bool_]:
    """(V,) which names are of sessions without an account."""
    names = volunteers if isinstance(volunteers, pa.Array) else pa.array(volunteers, pa.string())
    flags = pc.starts_with(names, ANONYMOUS_PREFIX).to_numpy(zero_copy_only=False)
    return np.asarray(flags, bool)


def gold_of(subjects: Names, *, gold: Mapping[str, str], answers: Sequence[str]) -> NDArray[np.int64] | None:
    """(S,) the experts' answers as indices, -1 where there is none; None where there is none at all."""
    if not gold:
        return None
    number: dict[str, int] = {label: k for k, label in enumerate(answers)}
    known = {subject: number[label] for subject, label in gold.items() if label in number}
    keys = pa.array(list(known), pa.string())
    place = pc.index_in(subjects, value_set=keys).fill_null(len(known)).to_numpy(zero_copy_only=False)
    values = np.array([*known.values(), NO_GOLD], np.int64)
    return np.asarray(values[place], np.int64)


def compact(
    *, names: Names, index: NDArray[np.int32], anonymous: NDArray[np.bool_] | None = None
) -> tuple[Names, NDArray[np.int32], NDArray[Any] | None]:
    """Keep only the names that occur: them, the indices into them, and their flags."""
    used = np.zeros(len(names), bool)
    used[index] = True
    if used.all():
        return names, index, anonymous
    place = np.cumsum(used, dtype=np.int32) - np.int32(1)
    return names.filter(pa.array(used)), place[index], None if anonymous is None else anonymous[used]
