"""Sums over votes that every mode needs: by subject, by pair (volunteer, answer) and by volunteer.

Sparse products over the votes' blocks in float64 or whole numbers; the order of the votes cannot matter.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from esocs.crowd.shrinkage import DIAGONAL, diagonal_matrix
from esocs.crowd.votes import Votes

Doubles: TypeAlias = NDArray[np.float64]


def count_votes(votes: Votes) -> NDArray[np.int64]:
    """(S, K) how many votes each subject has for each answer."""
    K = votes.n_answers
    counts = np.zeros((votes.n_subjects, K), np.int64)
    for block in votes.blocks:
        cell = block.matrix.row * np.int64(K) + votes.answer[block.pairs][block.matrix.col]
        within = block.subjects.stop - block.subjects.start
        counts[block.subjects] = np.bincount(cell, minlength=within * K).reshape(within, K)
    return counts


def sum_of_terms(votes: Votes, table: Doubles) -> Doubles:
    """(S, K) the sum over each subject's votes of their pairs' rows in a (U, K) table."""
    total = np.zeros((votes.n_subjects, votes.n_answers))
    for block in votes.blocks:
        total[block.subjects] = block.matrix @ table[block.pairs]
    return total


def count_pairs(votes: Votes, p: Doubles) -> Doubles:
    """(U, K) expected votes of each pair on subjects of each true answer, from (S, K) probabilities or indicators."""
    counts = np.zeros((len(votes.pairs), votes.n_answers))
    for block in votes.blocks:
        counts[block.pairs] += block.transposed @ p[block.subjects]
    return counts


def sum_by_volunteer(votes: Votes, values: NDArray[Any]) -> Doubles:
    """(V, …) the sum over each volunteer's pairs of (U, …) values."""
    # The pairs ascend, so a volunteer's stand together.
    bounds = np.searchsorted(votes.volunteer, np.arange(votes.n_volunteers + 1))
    U = len(votes.pairs)
    matrix = sparse.csr_array((np.ones(U), np.arange(U), bounds), shape=(votes.n_volunteers, U))
    return np.asarray(matrix @ values)


def agreement_of_pairs(votes: Votes, counts: Doubles) -> Doubles:
    """(U,) expected right votes of each pair, from its (U, K) expected votes by true answer."""
    return np.asarray(counts[np.arange(len(votes.pairs)), votes.answer])


def pooled_matrix(votes: Votes, counts: Doubles) -> Doubles:
    """(K, K) P(answer | true answer) of all volunteers together; what stands for one of whom nothing is known.

    One pseudo-vote a row, right in 0.7 of cases, keeps it defined where there are no votes.
    """
    K = votes.n_answers
    pooled = diagonal_matrix(K).astype(np.float64)
    for k in range(K):
        pooled[k] += np.bincount(votes.answer, counts[:, k], K)
    return np.asarray(pooled / pooled.sum(axis=1, keepdims=True))


def pooled_accuracy(*, right: float, n: float, n_answers: int) -> float:
    """The share of right answers of all volunteers together, with the same one pseudo-vote."""
    return (right + (DIAGONAL if n_answers > 1 else 1.0)) / (n + 1)


def one_coin_matrices(accuracy: Doubles, *, n_answers: int) -> Doubles:
    """(n, K, K) with the accuracy (n,) on the diagonal and the errors spread evenly; [[1]] for a single answer."""
    if n_answers == 1:
        return np.ones((len(accuracy), 1, 1))
    wrong = (1 - accuracy) / (n_answers - 1)
    matrices = np.repeat(wrong, n_answers**2).reshape(-1, n_answers, n_answers)
    matrices[:, np.arange(n_answers), np.arange(n_answers)] = accuracy[:, None]
    return matrices


def smoothed_shares(p: Doubles, *, informed: NDArray[np.bool_], pseudo: float = 1.0) -> Doubles:
    """(K,) how frequent each answer is among the informed subjects, with pseudo-subjects of each; sums to 1."""
    counts = informed.astype(np.float64) @ p + pseudo
    return np.asarray(counts / counts.sum())


def leading(counts: NDArray[Any]) -> NDArray[np.bool_]:
    """(S, K) which answers have a subject's most votes; none where there are no votes, several on a tie."""
    most = counts.max(axis=1, keepdims=True)
    return np.asarray((counts == most) & (most > 0))


def majority_of(counts: NDArray[Any]) -> NDArray[np.int64]:
    """(S,) the answer with the most votes, -1 on a tie or without votes."""
    leaders = leading(counts)
    return np.where(leaders.sum(axis=1) == 1, leaders.argmax(axis=1), -1).astype(np.int64)


def shares_of(counts: NDArray[Any]) -> Doubles:
    """(S, K) rows divided by their sum; even where that is zero."""
    weights = np.asarray(counts, np.float64)
    total = weights.sum(axis=1, keepdims=True)
    even = np.full(weights.shape, 1 / weights.shape[1])
    return np.asarray(np.divide(weights, total, out=even, where=total > 0))


def pick(values: Doubles, volunteers: NDArray[np.int64], *, newcomer: float) -> Doubles:
    """(n,) the values of some volunteers; a newcomer's for index -1."""
    volunteers = np.asarray(volunteers, np.int64)
    found = np.full(len(volunteers), newcomer)
    known = volunteers >= 0
    found[known] = values[volunteers[known]]
    return found


def clamp(p: Doubles, known: NDArray[np.int64], answers: NDArray[np.int64]) -> None:
    """Set the known subjects' probabilities to certainty of their answers, in place."""
    p[known] = 0
    p[known, answers] = 1
