"""Volunteers' skill and subjects' answers from votes: a hierarchical Dawid–Skene fit on integer arrays.

The votes' rows are the source of truth; a fit is a pure function of them, whatever their order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from classifier.errors import EsocsError

Floats: TypeAlias = NDArray[np.float32]
Integers: TypeAlias = NDArray[Any]

DIAGONAL = 0.7
"""Share of right answers in the matrix that stands for a volunteer of whom nothing is known."""

BLOCK_VOTES = 1 << 18
"""Votes handled at once: their posteriors stay in the processor's cache between the E and the M step."""

SMALLEST = np.float32(1e-6)
"""Floor of a probability before its logarithm, so that no posterior is ever 0/0."""


class InvalidVotesError(EsocsError):
    """A row of the votes, the gold or the priors that cannot mean anything; `row` is its index, or -1."""

    code = "invalid_votes"
    status = 422

    def __init__(self, message: str, *, row: int = -1, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.row = row


@dataclass(frozen=True)
class Votes:
    """Votes sorted once by subject, as the rows of a sparse matrix (subjects × used columns) of ones.

    A column is one (volunteer, answer) pair that occurs: `column = volunteer * n_answers + answer`.

    Attributes:
        row_start: (S + 1,) int64, where each subject's votes start in `column`.
        column: (N,) int32, index into `pairs` of each vote.
        pairs: (U,) int64, the used (volunteer, answer) pairs, ascending.
        n_volunteers: V; a volunteer without a vote is allowed.
        n_answers: K.
    """

    row_start: NDArray[np.int64]
    column: NDArray[np.int32]
    pairs: NDArray[np.int64]
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
    ) -> Votes:
        """Sort the votes by subject in linear time.

        Args:
            subject: (N,) integers in [0, n_subjects).
            volunteer: (N,) integers in [0, n_volunteers).
            answer: (N,) integers in [0, n_answers).
            n_subjects: S.
            n_volunteers: V.
            n_answers: K, at least 1.

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
            raise InvalidVotesError(
                f"{len(subject)} subjects, {len(volunteer)} volunteers and {len(answer)} answers "
                "do not make rows.",
                row=min(len(subject), len(volunteer), len(answer)),
            )
        column, pairs = _used_pairs(volunteer, answer, n_pairs=n_volunteers * n_answers, n_answers=n_answers)
        row_start, column = _sorted_by_subject(subject, column, n_subjects=n_subjects)
        return cls(row_start, column, pairs, n_volunteers, n_answers)

    @property
    def n_subjects(self) -> int:
        return len(self.row_start) - 1

    @cached_property
    def answer(self) -> NDArray[np.int64]:
        """(U,) the answer of each used column."""
        return self.pairs % self.n_answers

    @cached_property
    def volunteer(self) -> NDArray[np.int64]:
        """(U,) the volunteer of each used column."""
        return self.pairs // self.n_answers

    def blocks(self) -> Iterator[tuple[slice, sparse.csr_array]]:
        """Consecutive subjects with their votes as a sparse matrix of ones; a view, nothing is copied."""
        size = max(BLOCK_VOTES, len(self.pairs))
        ones = np.ones(0, np.float32)
        first = 0
        while first < self.n_subjects:
            start = self.row_start[first]
            last = int(np.searchsorted(self.row_start, start + size, side="right")) - 1
            last = min(max(last, first + 1), first + size, self.n_subjects)
            stop = self.row_start[last]
            if len(ones) < stop - start:
                ones = np.ones(max(size, stop - start), np.float32)
            yield (
                slice(first, last),
                sparse.csr_array(
                    (
                        ones[: stop - start],
                        self.column[start:stop],
                        (self.row_start[first : last + 1] - start).astype(np.int32),
                    ),
                    shape=(last - first, len(self.pairs)),
                ),
            )
            first = last


@dataclass(frozen=True)
class Fit:
    """Skill of every volunteer and posterior of every subject; matrices are made when first asked for.

    Attributes:
        posterior: (S, K) float32, P(true answer); rows sum to 1; not tempered, so far too sure to retire on.
        class_prior: (K,) float32, how frequent each true answer is.
        pooled: (K, K) float32, the matrix of all volunteers together, rows = true answer.
        shrinkage: (K, K) float32, what a volunteer without a vote gets: ½ pooled + ½ diagonal.
        pairs: (U,) int64, used pairs volunteer * K + answer.
        pair_counts: (U, K) float32, expected votes of the pair on subjects of each true answer.
        volunteer_counts: (V, K) float32, expected votes of the volunteer on subjects of each true answer.
        strength: (V,) float32, pseudo-votes of the shrinkage matrix.
    """

    posterior: Floats
    class_prior: Floats
    pooled: Floats
    shrinkage: Floats
    pairs: NDArray[np.int64]
    pair_counts: Floats
    volunteer_counts: Floats
    strength: Floats

    @cached_property
    def counts(self) -> Floats:
        """(V, K, K) expected votes: volunteer, true answer, given answer."""
        V, K = self.volunteer_counts.shape
        counts = np.zeros((V * K, K), np.float32)
        counts[self.pairs] = self.pair_counts
        return np.ascontiguousarray(counts.reshape(V, K, K).transpose(0, 2, 1))

    @cached_property
    def confusion(self) -> Floats:
        """(V, K, K) float32, P(answer | true answer) of each volunteer; rows (axis 1 = true) sum to 1."""
        return shrunken_confusion(self.counts, shrinkage=self.shrinkage, strength=self.strength)


def fit(
    *,
    subject: Integers,
    volunteer: Integers,
    answer: Integers,
    n_subjects: int,
    n_volunteers: int,
    n_answers: int,
    gold: Integers | None = None,
    log_prior: NDArray[Any] | None = None,
    anonymous: NDArray[Any] | None = None,
    strength: float = 8.0,
    anonymous_strength: float = 16.0,
    iterations: int = 5,
    initial: Fit | None = None,
) -> Fit:
    """Fit every volunteer's confusion matrix and every subject's answer by expectation–maximisation.

    Dawid & Skene (1979, Appl. Statist. 28, 20) with each volunteer's matrix shrunk towards
    ½ pooled + ½ diagonal, which keeps a newcomer harmless; few iterations, as more are worse on real sets.

    Args:
        subject: (N,) integers in [0, n_subjects); votes in any order, one vote of a volunteer on a subject.
        volunteer: (N,) integers in [0, n_volunteers).
        answer: (N,) integers in [0, n_answers).
        n_subjects: S; a subject without votes gets its prior.
        n_volunteers: V; a volunteer without votes gets the shrinkage matrix.
        n_answers: K.
        gold: (S,) the experts' answer, -1 where there is none; such subjects are clamped to it.
        log_prior: (S, K) log prior of each subject (the machine's opinion), up to a constant; in its place
            the fitted class prior.
        anonymous: (V,) bool, sessions without an account.
        strength: pseudo-votes of the shrinkage matrix.
        anonymous_strength: the same for anonymous sessions.
        iterations: EM iterations.
        initial: an earlier fit whose volunteers have the same indices (more may have come) to start from; in
            its place each subject starts with the shares of its votes.

    Raises:
        InvalidVotesError: a value out of range or not a number; names the row.
    """
    votes = Votes.build(
        subject=subject,
        volunteer=volunteer,
        answer=answer,
        n_subjects=n_subjects,
        n_volunteers=n_volunteers,
        n_answers=n_answers,
    )
    return fit_votes(
        votes,
        gold=gold,
        log_prior=log_prior,
        strength=_strengths(
            anonymous, n_volunteers=n_volunteers, strength=strength, anonymous_strength=anonymous_strength
        ),
        iterations=iterations,
        initial=initial,
    )


def fit_votes(
    votes: Votes,
    *,
    gold: Integers | None,
    log_prior: NDArray[Any] | None,
    strength: Floats,
    iterations: int,
    initial: Fit | None = None,
) -> Fit:
    """`fit` on votes already sorted; `strength` is (V,)."""
    if iterations < 1:
        raise InvalidVotesError(f"{iterations} iterations fit nothing.", hint="At least one is needed.")
    gold = _checked_gold(gold, votes)
    log_prior = _checked_log_prior(log_prior, votes)
    posterior = np.empty((votes.n_subjects, votes.n_answers), np.float32)
    skill = _Skill.of(initial, votes) if initial is not None else None
    for _ in range(iterations):
        skill = _expect(votes, skill, gold=gold, log_prior=log_prior, posterior=posterior).maximise(strength)
    assert skill is not None
    _expect(votes, skill, gold=gold, log_prior=log_prior, posterior=posterior, counting=False)
    return Fit(
        posterior,
        skill.class_prior,
        skill.pooled,
        skill.shrinkage,
        votes.pairs,
        skill.pair_counts,
        skill.volunteer_counts,
        strength,
    )


def shrinkage_matrix(pooled: NDArray[Any]) -> Floats:
    """½ pooled + ½ (0.7 on the diagonal, the rest spread evenly); (K, K), rows sum to 1."""
    return np.asarray(0.5 * np.asarray(pooled) + 0.5 * diagonal_matrix(len(pooled)), np.float32)


def diagonal_matrix(n_answers: int) -> Floats:
    """(K, K) with 0.7 on the diagonal and the rest spread evenly; [[1]] for a single answer."""
    if n_answers == 1:
        return np.ones((1, 1), np.float32)
    matrix = np.full((n_answers, n_answers), (1 - DIAGONAL) / (n_answers - 1), np.float32)
    np.fill_diagonal(matrix, DIAGONAL)
    return matrix


def shrunken_confusion(counts: Floats, *, shrinkage: Floats, strength: Floats) -> Floats:
    """(counts + s · shrinkage) / (row sum + s); counts (V, K, K), shrinkage (K, K), strength (V,)."""
    pseudo = strength[:, None, None]
    total: Floats = counts.sum(axis=2, keepdims=True) + pseudo
    return np.asarray((counts + pseudo * shrinkage) / total, np.float32)


@dataclass(frozen=True)
class _Skill:
    """What the E step needs: log P(answer | true answer) of every used pair, and the class prior."""

    log_likelihood: Floats  # (U, K)
    class_prior: Floats
    pooled: Floats
    shrinkage: Floats
    pair_counts: Floats
    volunteer_counts: Floats

    @classmethod
    def of(cls, fit: Fit, votes: Votes) -> _Skill:
        """The skill of an earlier fit, on these votes' pairs; newcomers get the shrinkage matrix."""
        V, K = fit.volunteer_counts.shape
        if votes.n_answers != K or votes.n_volunteers < V:
            raise InvalidVotesError(
                f"The initial fit has {V} volunteers and {K} answers, "
                f"the votes {votes.n_volunteers} and {votes.n_answers}.",
                hint="Start without it, or keep the volunteers' indices.",
            )
        confusion = np.broadcast_to(fit.shrinkage.T, (votes.n_volunteers, K, K)).copy()
        confusion[:V] = fit.confusion.transpose(0, 2, 1)
        likelihood = confusion.reshape(-1, K)[votes.pairs]
        empty = np.zeros((0, K), np.float32)
        return cls(_log(likelihood), fit.class_prior, fit.pooled, fit.shrinkage, empty, empty)


@dataclass(frozen=True)
class Statistics:
    """Sufficient statistics of some subjects' votes under a skill: they add, over blocks and over machines.

    Attributes:
        pair_counts: (U, K) float64, expected votes of each used pair on subjects of each true answer.
        class_counts: (K,) float64, expected subjects of each true answer, among those with a vote or gold.
    """

    votes: Votes
    pair_counts: NDArray[np.float64]
    class_counts: NDArray[np.float64]

    def maximise(self, strength: Floats) -> _Skill:
        """The M step: posterior-mean class prior, pooled matrix and each volunteer's shrunken matrix."""
        votes, K = self.votes, self.votes.n_answers
        class_prior = (self.class_counts + 1) / (self.class_counts.sum() + K)
        pooled_counts = np.zeros((K, K))
        for given in range(K):
            pooled_counts[:, given] = self.pair_counts[votes.answer == given].sum(axis=0)
        pooled_counts += diagonal_matrix(K)
        pooled = pooled_counts / pooled_counts.sum(axis=1, keepdims=True)
        shrinkage = shrinkage_matrix(pooled)
        counts = self.pair_counts.astype(np.float32)
        volunteer_counts = _summed_by_volunteer(votes, counts)
        likelihood = shrinkage.T[votes.answer] * strength[votes.volunteer, None]
        likelihood += counts
        likelihood /= (volunteer_counts + strength[:, None])[votes.volunteer]
        return _Skill(
            _log(likelihood),
            class_prior.astype(np.float32),
            pooled.astype(np.float32),
            shrinkage,
            counts,
            volunteer_counts,
        )


def _expect(
    votes: Votes,
    skill: _Skill | None,
    *,
    gold: NDArray[np.int64] | None,
    log_prior: Floats | None,
    posterior: Floats,
    counting: bool = True,
) -> Statistics:
    """The E step into `posterior`, and in the same pass over each block the counts for the M step."""
    K = votes.n_answers
    pair_counts = np.zeros((len(votes.pairs), K))
    class_counts = np.zeros(K)
    given = np.eye(K, dtype=np.float32)[votes.answer] if skill is None else None
    for rows, matrix in votes.blocks():
        block = posterior[rows]
        if skill is None:
            _shares(matrix @ given, out=block, log_prior=None if log_prior is None else log_prior[rows])
        else:
            scores = matrix @ skill.log_likelihood
            scores += np.log(skill.class_prior) if log_prior is None else log_prior[rows]
            _softmax(scores, out=block)
        if gold is not None:
            known = np.flatnonzero(gold[rows] >= 0)
            block[known] = 0
            block[known, gold[rows][known]] = 1
        if counting:
            pair_counts += matrix.T @ block
            informed = np.diff(matrix.indptr) > 0
            if gold is not None:
                informed |= gold[rows] >= 0
            class_counts += block.T @ informed.astype(np.float32)
    return Statistics(votes, pair_counts, class_counts)


def _shares(counts: Floats, *, out: Floats, log_prior: Floats | None) -> None:
    """The start: each answer's share of the votes, one vote's worth of it the prior's."""
    prior = np.zeros_like(counts) + np.float32(1 / counts.shape[1])
    if log_prior is not None:
        _softmax(log_prior.copy(), out=prior)
    total = counts.sum(axis=1, keepdims=True)
    weight = np.where(total > 0, np.float32(0.0 if log_prior is None else 1.0), np.float32(1.0))
    np.divide(counts + weight * prior, total + weight, out=out)


def _softmax(scores: Floats, *, out: Floats) -> None:
    """Row-wise softmax into `out`; column by column, as rows are short and numpy reduces them slowly."""
    K = scores.shape[1]
    highest = scores[:, 0].copy()
    for k in range(1, K):
        np.maximum(highest, scores[:, k], out=highest)
    scores -= highest[:, None]
    np.exp(scores, out=scores)
    total = scores @ np.ones(K, np.float32)
    np.divide(scores, total[:, None], out=out)


def _log(likelihood: Floats) -> Floats:
    return np.log(np.maximum(likelihood, SMALLEST), dtype=np.float32)


def _summed_by_volunteer(votes: Votes, counts: Floats) -> Floats:
    """(V, K) sum of the (U, K) pair counts over each volunteer's pairs."""
    starts = np.searchsorted(votes.volunteer, np.arange(votes.n_volunteers + 1))
    indicator = sparse.csr_array(
        (np.ones(len(counts), np.float32), np.arange(len(counts)), starts),
        shape=(votes.n_volunteers, len(counts)),
    )
    return np.asarray(indicator @ counts, np.float32)


def _used_pairs(
    volunteer: Integers, answer: Integers, *, n_pairs: int, n_answers: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Each vote's index among the (volunteer, answer) pairs that occur, and those pairs, ascending."""
    wide = np.int64 if n_pairs > np.iinfo(np.int32).max else np.int32
    column: Integers = volunteer.astype(wide)
    np.multiply(column, n_answers, out=column)
    np.add(column, answer.astype(wide, copy=False), out=column)
    used = np.zeros(n_pairs, bool)
    used[column] = True
    pairs = np.flatnonzero(used)
    if len(pairs) == n_pairs:
        return column.astype(np.int32, copy=False), pairs
    lookup = np.cumsum(used, dtype=np.int32)
    lookup -= 1
    return lookup[column], pairs


def _sorted_by_subject(
    subject: Integers, column: NDArray[np.int32], *, n_subjects: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Counting sort: votes as the columns of a sparse matrix, turned to rows; linear and stable."""
    n = len(subject)
    if n and bool(np.all(subject[1:] >= subject[:-1])):
        return np.searchsorted(subject, np.arange(n_subjects + 1)).astype(np.int64), column
    by_vote = sparse.csc_array(
        (column, subject.astype(np.int32, copy=False), np.arange(n + 1, dtype=np.int32)),
        shape=(n_subjects, n),
    )
    by_subject = by_vote.tocsr()
    return by_subject.indptr.astype(np.int64), by_subject.data


def _strengths(
    anonymous: NDArray[Any] | None, *, n_volunteers: int, strength: float, anonymous_strength: float
) -> Floats:
    for value in (strength, anonymous_strength):
        if not (np.isfinite(value) and value > 0):
            raise InvalidVotesError(f"A shrinkage of {value} pseudo-votes is not a positive number.")
    if anonymous is None:
        return np.full(n_volunteers, strength, np.float32)
    anonymous = np.asarray(anonymous, bool)
    if anonymous.shape != (n_volunteers,):
        raise InvalidVotesError(f"`anonymous` has the shape {anonymous.shape} for {n_volunteers} volunteers.")
    return np.where(anonymous, np.float32(anonymous_strength), np.float32(strength))


def _checked(values: Integers, *, name: str, below: int) -> Integers:
    values = np.asarray(values)
    if values.ndim != 1 or (len(values) and values.dtype.kind not in "iu"):
        raise InvalidVotesError(f"`{name}` is not one row of integers but {values.dtype} {values.shape}.")
    if len(values) and (int(values.min()) < 0 or int(values.max()) >= below):
        row = int(np.argmax((values < 0) | (values >= below)))
        raise InvalidVotesError(
            f"Row {row}: {name} {int(values[row])} is not between 0 and {below - 1}.", row=row
        )
    return values if len(values) else values.astype(np.int64)


def _checked_gold(gold: Integers | None, votes: Votes) -> NDArray[np.int64] | None:
    if gold is None:
        return None
    gold = np.asarray(gold)
    if gold.shape != (votes.n_subjects,) or (len(gold) and gold.dtype.kind not in "iu"):
        raise InvalidVotesError(
            f"`gold` is {gold.dtype} {gold.shape}, not an integer for each of {votes.n_subjects} subjects."
        )
    wrong = (gold < -1) | (gold >= votes.n_answers)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InvalidVotesError(
            f"Row {row}: gold {int(gold[row])} is neither -1 (none) nor below {votes.n_answers}.", row=row
        )
    return gold.astype(np.int64)


def _checked_log_prior(log_prior: NDArray[Any] | None, votes: Votes) -> Floats | None:
    if log_prior is None:
        return None
    log_prior = np.asarray(log_prior)
    expected = (votes.n_subjects, votes.n_answers)
    if log_prior.shape != expected:
        raise InvalidVotesError(f"`log_prior` has the shape {log_prior.shape}, not {expected}.")
    wrong = ~np.isfinite(log_prior).all(axis=1)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InvalidVotesError(
            f"Row {row}: the log prior {log_prior[row].tolist()} is not finite.",
            row=row,
            hint="Clip probabilities before their logarithm.",
        )
    return log_prior.astype(np.float32)
