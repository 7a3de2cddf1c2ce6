"""Votes as a sparse matrix of ones, sorted once: the form in which the skill fit and the batch posterior run.

The classifications' rows are the source of truth. The sorted form depends on what was voted, not on its order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from classifier.errors import EsocsError

Integers: TypeAlias = NDArray[Any]
Float = TypeVar("Float", bound=np.floating[Any])

BLOCK_VOTES = 1 << 17
"""Votes handled at once, at most."""

BLOCK_CELLS = 1 << 17
"""Subjects × answers handled at once, at most: 512 kB of posteriors stay in a core's own cache."""

LEAST_LOG_PRIOR = -1024.0
"""Nats by which an answer's prior may lie below the likeliest one's: what is less is as good as excluded."""


VOTES_FOR_ALL_PAIRS = 8
"""Votes for each pair that can occur from which on looking for those that do costs more than carrying them all."""

WHOLE_SHARE = 0.4
"""Share of all pairs in the blocks above which a block reads all of them as they lie, in place of gathering its own."""


class InvalidVotesError(EsocsError):
    """A row of the votes, the gold or the priors that cannot mean anything; `row` is its index, or -1."""

    code = "invalid_votes"
    status = 422

    def __init__(self, message: str, *, row: int = -1, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.row = row


@dataclass(frozen=True)
class Votes:
    """Votes in blocks of consecutive subjects, within a block by volunteer and answer.

    A block's columns are the (volunteer, answer) pairs that occur in it, ascending, so a product with a table of
    the pairs reads the (large) table in order, and only the block's (small) subjects at random. Where most pairs
    occur in most blocks, every block has all of them.

    Attributes:
        row: (N,) int32, subject of each vote, counted from its block's first subject.
        column: (N,) int32, pair of each vote, counted from its block's first pair.
        run_start: (sum of the blocks' pairs + 1,) int64, where the votes of each block's pairs start.
        first_vote: (B + 1,) int64, where each block's votes start.
        first_subject: (B + 1,) int64, where each block's subjects start.
        block_pairs: (sum of the blocks' pairs,) int64, each block's pairs as indices into `pairs`.
        first_pair: (B + 1,) int64, where each block's pairs start in `block_pairs`.
        pairs: (U,) int64, the pairs that occur, volunteer * n_answers + answer, ascending; all that can, where votes
            are so many that most of them do.
        per_subject: (S,) int64, votes of each subject.
        per_pair: (U,) int64, votes of each pair.
        n_volunteers: V; a volunteer without a vote is allowed.
        n_answers: K.
    """

    row: NDArray[np.int32]
    column: NDArray[np.int32]
    run_start: NDArray[np.int64]
    first_vote: NDArray[np.int64]
    first_subject: NDArray[np.int64]
    block_pairs: NDArray[np.int64]
    first_pair: NDArray[np.int64]
    pairs: NDArray[np.int64]
    per_subject: NDArray[np.int64]
    per_pair: NDArray[np.int64]
    n_volunteers: int
    n_answers: int

    @classmethod
    def build(
        cls,
        *,
        subject: Integers,
        volunteer: Integers,
        answer: Integers,
        n_subjects: int,
        n_volunteers: int,
        n_answers: int,
        pairs: NDArray[np.int64] | None = None,
    ) -> Votes:
        """Check and sort the votes.

        Args:
            subject: (N,) integers in [0, n_subjects).
            volunteer: (N,) integers in [0, n_volunteers).
            answer: (N,) integers in [0, n_answers).
            n_subjects: S.
            n_volunteers: V.
            n_answers: K, at least 1.
            pairs: a superset of the pairs that occur, as several parts of one fit share it; None: those here.

        Raises:
            InvalidVotesError: arrays of different length, not integers, or out of range; names the row.
        """
        if n_answers < 1 or n_subjects < 0 or n_volunteers < 0:
            raise InvalidVotesError(
                f"{n_subjects} subjects, {n_volunteers} volunteers and {n_answers} answers cannot be fitted.",
                hint="A task needs at least one answer.",
            )
        subject = _checked(subject, name="subject", below=n_subjects)
        volunteer = _checked(volunteer, name="volunteer", below=n_volunteers)
        answer = _checked(answer, name="answer", below=n_answers)
        if not len(subject) == len(volunteer) == len(answer):
            shortest = min(len(subject), len(volunteer), len(answer))
            raise InvalidVotesError(
                f"Row {shortest}: {len(subject)} subjects, {len(volunteer)} volunteers and {len(answer)} "
                "answers do not make rows.",
                row=shortest,
            )
        n_pairs = n_volunteers * n_answers
        pair: Integers = volunteer.astype(np.int32 if n_pairs <= np.iinfo(np.int32).max else np.int64)
        np.multiply(pair, n_answers, out=pair)
        np.add(pair, answer, out=pair, casting="unsafe")
        if pairs is None and n_pairs * VOTES_FOR_ALL_PAIRS <= len(pair):
            pairs = np.arange(n_pairs)
        elif pairs is None:
            used = np.zeros(n_pairs, bool)
            used[pair] = True
            pairs = np.flatnonzero(used)
        column = _columns(pair, pairs=pairs, n_pairs=n_pairs)
        per_subject = np.bincount(subject, minlength=n_subjects).astype(np.int64, copy=False)
        first_subject = _blocks(per_subject, n_answers=n_answers)
        first_vote = np.concatenate([[0], np.cumsum(per_subject)])[first_subject]
        key, row_bits, column_bits = _key(subject, column, first_subject=first_subject, n_columns=len(pairs))
        row = (key & ((1 << row_bits) - 1)).astype(np.int32)
        key >>= row_bits
        new = np.ones(len(key), bool)
        np.not_equal(key[1:], key[:-1], out=new[1:])
        run_start = np.append(np.flatnonzero(new), len(key))
        block_pairs = (key[run_start[:-1]] & ((1 << column_bits) - 1)).astype(np.int64)
        per_pair = np.bincount(block_pairs, np.diff(run_start), len(pairs)).astype(np.int64)
        first_pair = np.searchsorted(run_start, first_vote)
        B, U = len(first_subject) - 1, len(pairs)
        if len(block_pairs) > WHOLE_SHARE * B * U:
            votes_of_pair = np.zeros(B * U, np.int64)
            votes_of_pair[np.repeat(np.arange(B), np.diff(first_pair)) * U + block_pairs] = np.diff(run_start)
            run_start = np.concatenate([[0], np.cumsum(votes_of_pair)])
            block_pairs, first_pair = np.tile(np.arange(U), B), np.arange(B + 1) * U
        place = np.arange(len(block_pairs)) - np.repeat(first_pair[:-1], np.diff(first_pair))
        return cls(
            row=row,
            column=np.repeat(place.astype(np.int32), np.diff(run_start)),
            run_start=run_start,
            first_vote=first_vote,
            first_subject=first_subject,
            block_pairs=block_pairs,
            first_pair=first_pair,
            pairs=pairs,
            per_subject=per_subject,
            per_pair=per_pair,
            n_volunteers=n_volunteers,
            n_answers=n_answers,
        )

    @property
    def n_subjects(self) -> int:
        return len(self.per_subject)

    @cached_property
    def answer(self) -> NDArray[np.int64]:
        """(U,) the answer of each column."""
        return self.pairs % self.n_answers

    @cached_property
    def volunteer(self) -> NDArray[np.int64]:
        """(U,) the volunteer of each column."""
        return self.pairs // self.n_answers

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The subjects in consecutive blocks, with ones of float32; the votes are views, nothing is copied."""
        return self.blocks_of(np.float32)

    def blocks_of(self, dtype: type[np.float32 | np.int64]) -> tuple[Block, ...]:
        """`blocks` with ones of another type."""
        ones = np.ones(int(np.diff(self.first_vote).max(initial=0)), dtype)
        blocks = []
        for b in range(len(self.first_vote) - 1):
            votes = slice(self.first_vote[b], self.first_vote[b + 1])
            pairs = self.block_pairs[self.first_pair[b] : self.first_pair[b + 1]]
            subjects = slice(int(self.first_subject[b]), int(self.first_subject[b + 1]))
            runs = self.run_start[self.first_pair[b] : self.first_pair[b + 1] + 1] - votes.start
            shape = (subjects.stop - subjects.start, len(pairs))
            data = ones[: votes.stop - votes.start]
            matrix = sparse.coo_array((data, (self.row[votes], self.column[votes])), shape=shape)
            transposed = sparse.csr_array((data, self.row[votes], runs.astype(np.int32)), shape=shape[::-1])
            blocks.append(Block(subjects, pairs, matrix, transposed, len(pairs) == len(self.pairs)))
        return tuple(blocks)


@dataclass(frozen=True)
class Block:
    """Consecutive subjects and their votes.

    Attributes:
        subjects: which subjects.
        pairs: (P,) int64, which of `Votes.pairs` occur, ascending, each once.
        matrix: sparse (subjects of the block, P) of ones.
        transposed: the same, turned.
        whole: `pairs` are all of `Votes.pairs`.
    """

    subjects: slice
    pairs: NDArray[np.int64]
    matrix: sparse.coo_array
    transposed: sparse.csr_array
    whole: bool


def first_votes(subject: Integers, volunteer: Integers) -> NDArray[np.bool_]:
    """(N,) which rows are a volunteer's first vote on a subject: repeats are kept as rows and do not count."""
    order = np.lexsort((np.arange(len(subject)), volunteer, subject))
    s, v = np.asarray(subject)[order], np.asarray(volunteer)[order]
    first = np.ones(len(s), bool)
    first[1:] = (s[1:] != s[:-1]) | (v[1:] != v[:-1])
    keep = np.zeros(len(s), bool)
    keep[order] = first
    return keep


def pair_matrices(volunteers: Integers, *, pairs: NDArray[np.int64], counts: NDArray[Float]) -> NDArray[Float]:
    """(n, K, K) counts of some volunteers, true answer by given answer, from those of the pairs that occur.

    Args:
        volunteers: (n,) indices; zeros for who has no pair, and for -1, a newcomer.
        pairs: (U,) int64, volunteer * K + answer, ascending.
        counts: (U, K) of each pair, by true answer.
    """
    K = counts.shape[1]
    wanted = (np.asarray(volunteers, np.int64)[:, None] * K + np.arange(K)).ravel()
    place = np.searchsorted(pairs, wanted)
    place[place == len(pairs)] = 0
    known = pairs[place] == wanted if len(pairs) else np.zeros(len(wanted), bool)
    found = np.zeros((len(wanted), K), counts.dtype)
    found[known] = counts[place[known]]
    return np.ascontiguousarray(found.reshape(-1, K, K).transpose(0, 2, 1))


def checked_gold(gold: Integers | None, votes: Votes) -> NDArray[np.int64] | None:
    """(S,) the experts' answers, -1 where there is none.

    Raises:
        InvalidVotesError: not an integer for each subject, or out of range; names the row.
    """
    if gold is None:
        return None
    gold = np.asarray(gold)
    if gold.shape != (votes.n_subjects,) or (len(gold) and gold.dtype.kind not in "iu"):
        row = _first_non_integer(gold)
        raise InvalidVotesError(
            f"`gold` is {gold.dtype} {gold.shape}, not an integer for each of {votes.n_subjects} subjects."
            if row < 0
            else f"Row {row}: gold {gold[row]} is not an integer.",
            row=row,
        )
    wrong = (gold < -1) | (gold >= votes.n_answers)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InvalidVotesError(
            f"Row {row}: gold {int(gold[row])} is neither -1 (none) nor below {votes.n_answers}.", row=row
        )
    return gold.astype(np.int64)


def checked_log_prior(log_prior: NDArray[Any] | None, votes: Votes) -> NDArray[np.float64] | None:
    """(S, K) log prior of each subject, its largest 0 and none below -1024 nats.

    Raises:
        InvalidVotesError: not K finite numbers for each subject; names the row.
    """
    if log_prior is None:
        return None
    log_prior = np.asarray(log_prior)
    expected = (votes.n_subjects, votes.n_answers)
    if log_prior.shape != expected or log_prior.dtype.kind not in "fiu":
        raise InvalidVotesError(f"`log_prior` is {log_prior.dtype} {log_prior.shape}, not numbers {expected}.")
    wrong = ~np.isfinite(log_prior).all(axis=1)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InvalidVotesError(
            f"Row {row}: the log prior {log_prior[row].tolist()} is not finite.",
            row=row,
            hint="Clip probabilities before their logarithm.",
        )
    # Halved first, as the difference of two finite numbers need not be finite.
    halves = log_prior.astype(np.float64) / 2
    halves -= halves.max(axis=1, keepdims=True)
    return np.asarray(np.maximum(halves, LEAST_LOG_PRIOR / 2) * 2)


def _columns(pair: Integers, *, pairs: NDArray[np.int64], n_pairs: int) -> Integers:
    """(N,) index of each vote's pair in `pairs`."""
    if len(pairs) == n_pairs:
        return pair
    lookup = np.full(n_pairs, -1, np.int32)
    lookup[pairs] = np.arange(len(pairs), dtype=np.int32)
    column: Integers = lookup.take(pair)
    if len(column) and int(column.min()) < 0:
        row = int(np.argmax(column < 0))
        raise InvalidVotesError(f"Row {row}: its volunteer and answer are not among the pairs.", row=row)
    return column


def _blocks(per_subject: NDArray[np.int64], *, n_answers: int) -> NDArray[np.int64]:
    """(B + 1,) bounds of runs of subjects that stay within both limits (or of a single subject)."""
    most_subjects = max(BLOCK_CELLS // n_answers, 1)
    work = np.concatenate([[0], np.cumsum(per_subject)])
    bounds = [0]
    while bounds[-1] < len(per_subject):
        here = bounds[-1]
        within = int(np.searchsorted(work, work[here] + BLOCK_VOTES, side="right")) - 1
        bounds.append(min(max(within, here + 1), here + most_subjects, len(per_subject)))
    return np.array(bounds, np.int64)


def _key(
    subject: Integers, column: Integers, *, first_subject: NDArray[np.int64], n_columns: int
) -> tuple[Integers, int, int]:
    """Each vote as one number, block · column · row, sorted; and the bits of row and of column.

    32 bits where they suffice: that sort is twice as fast.
    """
    row_bits = max(int(np.diff(first_subject).max(initial=1)) - 1, 1).bit_length()
    column_bits = max(n_columns - 1, 1).bit_length()
    n_blocks = len(first_subject) - 1
    wide = max(n_blocks - 1, 1).bit_length() + column_bits + row_bits > 32
    dtype = np.int64 if wide else np.uint32
    block = np.repeat(np.arange(n_blocks), np.diff(first_subject))
    base = ((block << (row_bits + column_bits)) + (np.arange(len(block)) - first_subject[block])).astype(dtype)
    key: Integers = base.take(subject)
    shifted = column.astype(dtype)
    np.left_shift(shifted, row_bits, out=shifted)
    key += shifted
    del shifted
    key.sort()
    return key, row_bits, column_bits


def _checked(values: Integers, *, name: str, below: int) -> Integers:
    values = np.asarray(values)
    if values.ndim != 1 or (len(values) and values.dtype.kind not in "iu"):
        row = _first_non_integer(values)
        raise InvalidVotesError(
            f"`{name}` is not one row of integers but {values.dtype} {values.shape}."
            if row < 0
            else f"Row {row}: {name} {values[row]} is not an integer.",
            row=row,
        )
    if len(values) and (int(values.min()) < 0 or int(values.max()) >= below):
        row = int(np.argmax((values < 0) | (values >= below)))
        raise InvalidVotesError(f"Row {row}: {name} {int(values[row])} is not between 0 and {below - 1}.", row=row)
    return values if len(values) else values.astype(np.int64)


def _first_non_integer(values: Integers) -> int:
    """The first row that no integer could stand in, -1 if it is the type alone that is wrong."""
    if values.ndim != 1:
        return -1
    if values.dtype.kind == "f":
        wrong = ~np.isfinite(values) | (values != np.round(values))
        return int(np.argmax(wrong)) if wrong.any() else -1
    integral = (int, np.integer)
    return next((row for row, value in enumerate(values.tolist()) if not isinstance(value, integral)), -1)
