"""Expectation maximisation of the classical models: likeliest skill and answers, each from the other, to convergence.

A pure function of the votes, gold and the machine's opinion; what a model knows of a volunteer is its own affair.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from esocs.crowd.modes.counting import (
    Doubles,
    clamp,
    count_pairs,
    count_votes,
    shares_of,
    smoothed_shares,
    sum_of_terms,
)
from esocs.crowd.modes.interface import Gathered
from esocs.crowd.votes import Votes, checked_gold, checked_log_prior

MOST_ITERATIONS = 100
"""Iterations at most, as crowd-kit's implementations are used."""

TOLERANCE = 1e-5
"""Rise of the log-likelihood, in nats a vote, below which the fit has converged."""

NEXT_TO_NOTHING = 1e-10
"""Pseudo-votes of each answer: too few to move an estimate, enough to define one where there are no votes."""

LogTable = Callable[[Votes, Doubles], Doubles]
"""A model's M step: from the votes and (U, K) expected votes of each pair to their (U, K) log P(answer | true)."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Where the iterations ended.

    Attributes:
        posterior: (S, K) P(true answer) under the last skill but one; rows sum to 1; gold is clamped.
        class_prior: (K,) how frequent each true answer is among the subjects with a vote or gold.
        pair_counts: (U, K) expected votes of each pair on subjects of each true answer.
        iterations: how many it took.
    """

    posterior: Doubles
    class_prior: Doubles
    pair_counts: Doubles
    iterations: int


def maximise_likelihood(
    gathered: Gathered,
    log_table: LogTable,
    *,
    most_iterations: int = MOST_ITERATIONS,
    tolerance: float = TOLERANCE,
) -> Estimate:
    """Dempster, Laird & Rubin (1977, J. R. Statist. Soc. B 39, 1), from the shares of the votes.

    A machine's opinion takes the place of the class prior, and at the start counts as one vote more.

    Args:
        gathered: the votes, gold, and the machine's opinion.
        log_table: the model.
        most_iterations: at most so many.
        tolerance: see `TOLERANCE`.

    Raises:
        InvalidVotesError: gold or priors out of range or not a number; names the row.
    """
    votes = gathered.votes
    known, answers = gold_of(gathered)
    log_prior = checked_log_prior(gathered.log_prior, votes)
    informed = votes.per_subject > 0
    informed[known] = True

    def maximise(p: Doubles) -> tuple[Doubles, Doubles]:
        clamp(p, known, answers)
        return smoothed_shares(p, informed=informed, pseudo=NEXT_TO_NOTHING), count_pairs(votes, p)

    counts = count_votes(votes).astype(np.float64)
    p = shares_of(counts if log_prior is None else counts + _softmax(log_prior.copy())[0])
    class_prior, pair_counts = maximise(p)
    likelihood, iteration = -np.inf, 0
    while iteration < most_iterations:
        iteration += 1
        scores = sum_of_terms(votes, log_table(votes, pair_counts))
        scores += np.log(class_prior) if log_prior is None else log_prior
        before, likelihood = likelihood, float(scores[known, answers].sum())
        p, log_total = _softmax(scores)
        log_total[known] = 0
        likelihood += float(log_total.sum())
        class_prior, pair_counts = maximise(p)
        if likelihood - before < tolerance * max(len(votes.row), 1):
            break
    return Estimate(posterior=p, class_prior=class_prior, pair_counts=pair_counts, iterations=iteration)


def gold_of(gathered: Gathered) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(G,) which subjects have gold, and (G,) its answers.

    Raises:
        InvalidVotesError: gold out of range or no integer; names the row.
    """
    gold = checked_gold(gathered.gold, gathered.votes)
    if gold is None:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    known = np.flatnonzero(gold >= 0)
    return known, gold[known]


def _softmax(scores: Doubles) -> tuple[Doubles, Doubles]:
    """Row-wise softmax, in place of the scores, and (S,) the logarithm of each row's sum of exponentials."""
    highest = scores.max(axis=1, keepdims=True)
    scores -= highest
    np.exp(scores, out=scores)
    total = scores.sum(axis=1, keepdims=True)
    scores /= total
    return scores, (highest + np.log(total))[:, 0]
