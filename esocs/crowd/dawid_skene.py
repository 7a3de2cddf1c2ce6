"""Volunteers' skill and subjects' answers from votes: a hierarchical Dawid–Skene fit on integer arrays.

The votes' rows are the source of truth; a fit is a pure function of them, bit for bit, whatever their order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from esocs.crowd.blockwise import Floats, Tally, digamma, in_order, product, shares, softmax, sum_rows
from esocs.crowd.shrinkage import (
    Shrinkage,
    diagonal_matrix,
    learn,
    shrinkage_matrix,
    shrunken_confusion,
)
from esocs.crowd.votes import (
    Block,
    InvalidVotesError,
    Votes,
    checked_gold,
    checked_log_prior,
    first_votes,
    pair_matrices,
)

__all__ = [
    "Fit",
    "InvalidVotesError",
    "Statistics",
    "Votes",
    "diagonal_matrix",
    "first_votes",
    "fit",
    "fit_votes",
    "prior_strengths",
    "shrinkage_matrix",
    "shrunken_confusion",
]

Integers: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class Fit:
    """Skill of every volunteer and posterior of every subject; matrices are made when first asked for.

    Attributes:
        posterior: (S, K) float32, P(true answer); rows sum to 1; not tempered, so far too sure to retire on.
        class_prior: (K,) float32, how frequent each true answer is.
        pooled: (K, K) float32, the matrix of all volunteers together, rows = true answer.
        shrinkage: (K, K) float32, what a volunteer without a vote gets.
        pairs: (U,) int64, the pairs volunteer * K + answer that occur.
        pair_counts: (U, K) float32, expected votes of the pair on subjects of each true answer.
        volunteer_counts: (V, K) float32, expected votes of the volunteer on subjects of each true answer.
        strength: (V,) float32, pseudo-votes of the shrinkage matrix.
        factor: what the guessed strength was multiplied with to give `strength`.
    """

    posterior: Floats
    class_prior: Floats
    pooled: Floats
    shrinkage: Floats
    pairs: NDArray[np.int64]
    pair_counts: Floats
    volunteer_counts: Floats
    strength: Floats
    factor: float

    def counts_of(self, volunteers: Integers) -> Floats:
        """(n, K, K) expected votes of some volunteers: true answer, given answer; zero for index -1, a newcomer."""
        return pair_matrices(volunteers, pairs=self.pairs, counts=self.pair_counts)

    def confusion_of(self, volunteers: Integers) -> Floats:
        """(n, K, K) P(answer | true answer) of some volunteers; index -1 is a newcomer. Rows (axis 1) sum to 1."""
        volunteers = np.asarray(volunteers, np.int64)
        strength = np.where(volunteers < 0, np.float32(1), self.strength[volunteers] if len(self.strength) else 1)
        return shrunken_confusion(self.counts_of(volunteers), shrinkage=self.shrinkage, strength=strength)

    @cached_property
    def counts(self) -> Floats:
        """(V, K, K) expected votes: volunteer, true answer, given answer."""
        return self.counts_of(np.arange(len(self.strength)))

    @cached_property
    def confusion(self) -> Floats:
        """(V, K, K) float32, P(answer | true answer) of each volunteer; rows (axis 1 = true) sum to 1."""
        return self.confusion_of(np.arange(len(self.strength)))


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
    learn_strength: bool = True,
    iterations: int = 5,
    initial: Fit | None = None,
    threads: int | None = None,
) -> Fit:
    """Fit every volunteer's confusion matrix and every subject's answer.

    Dawid & Skene (1979, Appl. Statist. 28, 20) with each volunteer's rows under a common Dirichlet prior of `s`
    pseudo-votes on ½ pooled + ½ diagonal matrix; the E step takes the expected logarithm of a volunteer's
    matrix (variational Bayes; Kim & Ghahramani 2012, AISTATS), which heeds how little a few votes tell.

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
        strength: s, guessed.
        anonymous_strength: the same for anonymous sessions.
        learn_strength: learn from the votes which multiple of s (⅛ to 4), and which share of the pooled
            matrix, fits the volunteers' diversity best; False keeps s and ½.
        iterations: few, as more are worse on real sets.
        initial: an earlier fit whose volunteers have the same indices (more may have come) to start from; in
            its place each subject starts with the shares of its votes.
        threads: at most; None: one a core. The result does not depend on it.

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
        strength=prior_strengths(
            anonymous, n_volunteers=n_volunteers, strength=strength, anonymous_strength=anonymous_strength
        ),
        learn_strength=learn_strength,
        iterations=iterations,
        initial=initial,
        threads=threads,
    )


def fit_votes(
    votes: Votes,
    *,
    strength: Floats,
    gold: Integers | None = None,
    log_prior: NDArray[Any] | None = None,
    learn_strength: bool = True,
    iterations: int = 5,
    initial: Fit | None = None,
    threads: int | None = None,
) -> Fit:
    """`fit` on votes already sorted; `strength` is (V,)."""
    if iterations < 1:
        raise InvalidVotesError(f"{iterations} iterations fit nothing.", hint="At least one is needed.")
    gold = checked_gold(gold, votes)
    opinion = checked_log_prior(log_prior, votes)
    prior = None if opinion is None else opinion.astype(np.float32)
    posterior = np.empty((votes.n_subjects, votes.n_answers), np.float32)

    def expectation(skill: Skill | None) -> Statistics:
        table = None if skill is None else skill.expected_log_likelihood(votes)
        class_prior = None if skill is None else skill.class_prior
        return expect(
            votes,
            log_likelihood=table,
            class_prior=class_prior,
            gold=gold,
            log_prior=prior,
            posterior=posterior,
            threads=threads,
        )

    skill = None if initial is None else Skill.of(initial, votes, strength)
    if skill is None:
        skill = expectation(None).maximise(strength, learning=False)
    for _ in range(iterations):
        skill = expectation(skill).maximise(strength, learning=learn_strength, before=skill)
    return skill.to_fit(posterior, pairs=votes.pairs)


@dataclass(frozen=True)
class Skill:
    """What the E step needs to know: expected counts and the prior over them."""

    class_prior: Floats
    pooled: Floats
    shrinkage: Shrinkage
    pair_counts: Floats  # (U, K)
    volunteer_counts: Floats  # (V, K)
    strength: Floats  # (V,), guessed

    def to_fit(self, posterior: Floats, *, pairs: NDArray[np.int64]) -> Fit:
        """The result of a fit that ends with this skill."""
        return Fit(
            posterior,
            self.class_prior,
            self.pooled,
            self.shrinkage.matrix,
            pairs,
            self.pair_counts,
            self.volunteer_counts,
            np.asarray(self.strength * np.float32(self.shrinkage.factor)),
            self.shrinkage.factor,
        )

    @classmethod
    def of(cls, fit: Fit, votes: Votes, strength: Floats) -> Skill:
        """The skill of an earlier fit, on these votes' pairs; newcomers have no counts."""
        V, K = fit.volunteer_counts.shape
        if votes.n_answers != K or votes.n_volunteers < V:
            raise InvalidVotesError(
                f"The initial fit has {V} volunteers and {K} answers, "
                f"the votes {votes.n_volunteers} and {votes.n_answers}.",
                hint="Start without it, or keep the volunteers' indices.",
            )
        pair_counts = np.zeros((len(votes.pairs), K), np.float32)
        _, here, there = np.intersect1d(votes.pairs, fit.pairs, assume_unique=True, return_indices=True)
        pair_counts[here] = fit.pair_counts[there]
        volunteer_counts = np.zeros((votes.n_volunteers, K), np.float32)
        volunteer_counts[:V] = fit.volunteer_counts
        shrinkage = Shrinkage(fit.shrinkage, fit.factor)
        return cls(fit.class_prior, fit.pooled, shrinkage, pair_counts, volunteer_counts, strength)

    def expected_log_likelihood(self, votes: Votes) -> Floats:
        """(U, K) E log P(answer | true answer) of each pair: ψ(count + s · shrinkage) − ψ(row sum + s)."""
        strength = self.strength * np.float32(self.shrinkage.factor)
        alpha = self.shrinkage.matrix.T[votes.answer]
        alpha *= strength[votes.volunteer, None]
        alpha += self.pair_counts
        rows = digamma(self.volunteer_counts + strength[:, None])
        found = digamma(alpha)
        found -= rows[votes.volunteer]
        return found


@dataclass(frozen=True)
class Statistics:
    """Sufficient statistics of some subjects' votes under a skill: they add, over blocks and over machines.

    Attributes:
        votes: whose columns the counts have.
        pair_counts: (U, K) float64, expected votes of each pair on subjects of each true answer.
        class_counts: (K,) float64, expected subjects of each true answer, among those with a vote or gold.
    """

    votes: Votes
    pair_counts: NDArray[np.float64]
    class_counts: NDArray[np.float64]

    def maximise(self, strength: Floats, *, learning: bool, before: Skill | None = None) -> Skill:
        """The M step: class prior, pooled matrix, each volunteer's counts, and the prior over them.

        Args:
            strength: (V,) guessed pseudo-votes.
            learning: learn which multiple of them, and which share of the pooled matrix, fits best.
            before: the skill that the E step used: where to look first.
        """
        votes, K = self.votes, self.votes.n_answers
        class_prior = (self.class_counts + 1) / (self.class_counts.sum() + K)
        by_answer = sum_rows(votes.answer, n=K)
        pooled_counts = (by_answer @ self.pair_counts).T + diagonal_matrix(K)
        pooled = (pooled_counts / pooled_counts.sum(axis=1, keepdims=True)).astype(np.float32)
        counts = self.pair_counts.astype(np.float32)
        volunteer_counts = np.asarray(sum_rows(votes.volunteer, n=votes.n_volunteers) @ self.pair_counts, np.float32)
        shrinkage = Shrinkage(shrinkage_matrix(pooled), 1.0)
        if learning and len(votes.pairs):
            shrinkage = learn(
                votes,
                counts=counts,
                volunteer_counts=volunteer_counts,
                pooled=pooled,
                strength=strength,
                before=before.shrinkage if before else None,
            )
        return Skill(class_prior.astype(np.float32), pooled, shrinkage, counts, volunteer_counts, strength)


def expect(
    votes: Votes,
    *,
    log_likelihood: Floats | None,
    class_prior: Floats | None,
    gold: NDArray[np.int64] | None,
    log_prior: Floats | None,
    posterior: Floats,
    threads: int | None = None,
) -> Statistics:
    """The E step into `posterior`, and in the same pass over each block the counts for the M step.

    Args:
        votes: all votes on some subjects.
        log_likelihood: (U, K) `Skill.expected_log_likelihood` of the votes' pairs; None: start from the shares.
        class_prior: (K,), together with `log_likelihood`.
        gold: (S,), -1 where there is none.
        log_prior: (S, K).
        posterior: (S, K), written.
        threads: at most; None: one a core.
    """
    K = votes.n_answers
    tally, class_counts = Tally(len(votes.pairs), K - 1), np.zeros(K)
    if log_likelihood is None or class_prior is None:
        table, base = np.eye(K, dtype=np.float32)[votes.answer], np.zeros(K, np.float32)
    else:
        table, base = log_likelihood - log_likelihood[:, :1], np.log(class_prior)
    table = np.ascontiguousarray(table[:, 1:])

    def one(block: Block) -> tuple[Floats, Floats]:
        """A block's posteriors, its pairs' expected votes on all true answers but the first, and its classes'."""
        rows = block.subjects
        out, prior = posterior[rows], None if log_prior is None else log_prior[rows]
        scores = np.zeros_like(out)
        own = table if block.whole else table.take(block.pairs, axis=0)
        scores[:, 1:] = product(block.matrix, own)
        if log_likelihood is None:
            scores[:, 0] = votes.per_subject[rows] - scores @ np.ones(K, np.float32)
            shares(scores, prior=prior, out=out)
        else:
            scores += base if prior is None else prior
            softmax(scores, out=out)
        informed = votes.per_subject[rows] > 0
        if gold is not None:
            known = np.flatnonzero(gold[rows] >= 0)
            out[known] = 0
            out[known, gold[rows][known]] = 1
            informed[known] = True
        expected = product(block.transposed, np.ascontiguousarray(out[:, 1:]))
        return expected, informed.astype(np.float32) @ out

    # Added in the blocks' order, whoever finishes first: the number of threads does not change a bit.
    for block, (expected, classes) in in_order(one, votes.blocks, threads=threads):
        tally.add(None if block.whole else block.pairs, expected)
        class_counts += classes
    pair_counts = np.empty((len(votes.pairs), K))
    pair_counts[:, 1:] = tally.total()
    pair_counts[:, 0] = np.maximum(votes.per_pair - pair_counts[:, 1:].sum(axis=1), 0)
    return Statistics(votes, pair_counts, class_counts)


def prior_strengths(
    anonymous: NDArray[Any] | None, *, n_volunteers: int, strength: float = 8.0, anonymous_strength: float = 16.0
) -> Floats:
    """(V,) pseudo-votes that are guessed for each volunteer: twice as many for a session without an account.

    Raises:
        InvalidVotesError: a strength that is not positive, or not one flag a volunteer.
    """
    for value in (strength, anonymous_strength):
        if not (np.isfinite(value) and value > 0):
            raise InvalidVotesError(f"A shrinkage of {value} pseudo-votes is not a positive number.")
    if anonymous is None:
        return np.full(n_volunteers, strength, np.float32)
    anonymous = np.asarray(anonymous, bool)
    if anonymous.shape != (n_volunteers,):
        raise InvalidVotesError(f"`anonymous` has the shape {anonymous.shape} for {n_volunteers} volunteers.")
    return np.where(anonymous, np.float32(anonymous_strength), np.float32(strength))
