"""What a volunteer's matrix is shrunk towards, and how hard: guessed at first, then learned from the votes.

A pure function of the fit's expected counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from esocs.crowd.votes import Votes

Floats: TypeAlias = NDArray[np.float32]

DIAGONAL = 0.7
"""Share of right answers in the matrix that stands for a volunteer of whom nothing is known."""

POOLED_SHARE = 0.5
"""Share of the pooled matrix in what a volunteer is shrunk towards, before it is learned."""

POOLED_SHARES = (0.5, 0.8)
"""Shares tried: never 1, as the diagonal keeps answers from trading places."""

FACTORS = (0.125, 0.25, 0.375, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)
"""Multiples of the guessed strength that are tried."""

ROUNDS_OF_SHARES = 2
"""Rounds after which the share is settled, and only the factor still moves."""

ROUNDS_OF_FACTORS = 3
"""Rounds after which the factor is settled too."""

SAMPLE = 1 << 12
"""Counts from which strength and share are learned: enough to tell the grid's points apart."""


@dataclass(frozen=True)
class Shrinkage:
    """Dirichlet prior of every volunteer's rows.

    Attributes:
        matrix: (K, K) float32, rows = true answer, sum to 1.
        factor: multiplies the strength guessed for each volunteer.
        share: of the pooled matrix in `matrix`.
        rounds: how often factor and share were learned.
    """

    matrix: Floats
    factor: float
    share: float = POOLED_SHARE
    rounds: int = 0


def diagonal_matrix(n_answers: int) -> Floats:
    """(K, K) with 0.7 on the diagonal and the rest spread evenly; [[1]] for a single answer."""
    if n_answers == 1:
        return np.ones((1, 1), np.float32)
    matrix = np.full((n_answers, n_answers), (1 - DIAGONAL) / (n_answers - 1), np.float32)
    np.fill_diagonal(matrix, DIAGONAL)
    return matrix


def shrinkage_matrix(pooled: NDArray[Any], share: float = POOLED_SHARE) -> Floats:
    """Mix share · pooled + (1 − share) · diagonal matrix; (K, K), rows sum to 1."""
    diagonal = diagonal_matrix(len(pooled))
    return np.asarray(share * np.asarray(pooled) + (1 - share) * diagonal, np.float32)


def shrunken_confusion(counts: Floats, *, shrinkage: Floats, strength: Floats) -> Floats:
    """(counts + s · shrinkage) / (row sum + s); counts (V, K, K), shrinkage (K, K), strength (V,)."""
    pseudo = strength[:, None, None]
    total: Floats = counts.sum(axis=2, keepdims=True) + pseudo
    return np.asarray((counts + pseudo * shrinkage) / total, np.float32)


def learn(
    votes: Votes,
    *,
    counts: Floats,
    volunteer_counts: Floats,
    pooled: Floats,
    strength: Floats,
    before: Shrinkage | None = None,
) -> Shrinkage:
    """Empirical Bayes: the strength and share under which the volunteers' counts are most probable.

    Volunteers' rows are Dirichlet-multinomial around the shrinkage matrix (Minka 2000, "Estimating a Dirichlet
    distribution"); a log-normal prior (one octave) around the guess decides where few votes tell nothing.

    Args:
        votes: their pairs.
        counts: (U, K) expected votes of each pair.
        volunteer_counts: (V, K) their sum over each volunteer's pairs.
        pooled: (K, K).
        strength: (V,) guessed pseudo-votes.
        before: what the last round learned: there the climb begins, and after some rounds its share is kept.
    """
    nearby, rounds = (before.factor, before.rounds) if before else (1.0, 0)
    if before and rounds >= ROUNDS_OF_FACTORS:
        return replace(before, matrix=shrinkage_matrix(pooled, before.share), rounds=rounds + 1)
    K = votes.n_answers
    occurs = counts @ np.ones(K, np.float32) > 0.5  # pairs that were carried along without a vote tell nothing
    active = np.unique(votes.volunteer[occurs])
    stride = max(1, math.ceil(np.count_nonzero(occurs) * K / SAMPLE))
    chosen = np.zeros(votes.n_volunteers, bool)
    chosen[active[::stride]] = True
    pair = np.flatnonzero(chosen[votes.volunteer])
    n = volunteer_counts[chosen].astype(np.float64)
    observed = counts[pair].astype(np.float64)
    guesses, kind = np.unique(strength, return_inverse=True)
    guess_of_row = guesses[kind[chosen], None].astype(np.float64)
    cell = kind[votes.volunteer[pair]] * K + votes.answer[pair]  # all pairs of a cell have the same prior
    pairs_of_cell = np.bincount(cell, minlength=len(guesses) * K)[:, None]

    def evidence(share: float, factor: float) -> float:
        s = factor * guess_of_row
        prior = shrinkage_matrix(pooled, share).T.astype(np.float64)
        alpha = (factor * guesses[:, None, None] * prior).reshape(-1, K)
        rows = (gammaln(s) - gammaln(s + n)).sum()
        cells = gammaln(alpha[cell] + observed).sum() - (pairs_of_cell * gammaln(alpha)).sum()
        return float(rows + cells) - 0.5 * math.log2(factor) ** 2

    shares = (before.share,) if before and rounds >= ROUNDS_OF_SHARES else POOLED_SHARES
    (_, factor), share = max((_climb(partial(evidence, share), nearby), share) for share in shares)
    return Shrinkage(shrinkage_matrix(pooled, share), factor, share, rounds + 1)


def _climb(evidence: Callable[[float], float], nearby: float) -> tuple[float, float]:
    """The best evidence and its factor: uphill on the grid, as there is one summit."""
    at = FACTORS.index(nearby)
    height = evidence(FACTORS[at])
    for step in (1, -1):
        while 0 <= at + step < len(FACTORS):
            ahead = evidence(FACTORS[at + step])
            if ahead <= height:
                break
            at, height = at + step, ahead
    return height, FACTORS[at]
