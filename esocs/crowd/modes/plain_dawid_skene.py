"""The classical model: a confusion matrix for every volunteer, at its likeliest value; untempered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from esocs.crowd.modes.bayes import BayesSkill
from esocs.crowd.modes.counting import Doubles, pooled_matrix, sum_by_volunteer
from esocs.crowd.modes.em import MOST_ITERATIONS, NEXT_TO_NOTHING, TOLERANCE, maximise_likelihood
from esocs.crowd.modes.interface import Gathered
from esocs.crowd.posterior import ReadOut
from esocs.crowd.votes import Votes, pair_matrices

LEAST_PROBABILITY = 1e-12
"""As `posterior.log_likelihood_terms` has it, so that the fit and the sums agree."""


@dataclass(frozen=True, kw_only=True)
class MatrixSkill(BayesSkill):
    """Every volunteer's matrix from counts and evenly spread pseudo-votes, independent votes, Bayes' rule.

    Attributes:
        pairs: (U,) int64, the pairs volunteer * K + answer that occur.
        pair_counts: (U, K) expected votes of each pair on subjects of each true answer.
        pseudo: pseudo-votes of each answer in each row.
        newcomer: (K, K) the matrix of somebody without a vote.
    """

    pairs: NDArray[np.int64]
    pair_counts: Doubles
    pseudo: float
    newcomer: Doubles

    def _matrices(self, volunteers: NDArray[np.int64]) -> Doubles:
        """(n, K, K): (counts + pseudo) / (row sum + K · pseudo); pooled for a newcomer."""
        matrices = pair_matrices(volunteers, pairs=self.pairs, counts=self.pair_counts)
        unseen = matrices.sum(axis=(1, 2)) == 0
        matrices += self.pseudo
        matrices /= matrices.sum(axis=2, keepdims=True)
        matrices[unseen] = self.newcomer
        return matrices


@dataclass(frozen=True, kw_only=True)
class PlainDawidSkene:
    """Dawid & Skene (1979, Appl. Statist. 28, 20): expectation maximisation to the likeliest matrices.

    Attributes:
        most_iterations: of the expectation maximisation.
        tolerance: rise of the log-likelihood, in nats a vote, at which it ends.
    """

    most_iterations: int = MOST_ITERATIONS
    tolerance: float = TOLERANCE

    name = "dawid_skene"
    read_out = ReadOut.BAYES
    title = "Dawid–Skene"
    description = (
        "The classical model of 1979: every volunteer has a confusion matrix, estimated together with the answers by"
        " expectation maximisation, and votes count as independent. Choose it to compare with other work. Where"
        " volunteers give many votes it finds the right answers about as often as the hierarchical mode, but it trusts"
        " matrices that few votes support, and its probabilities are far too sure to retire subjects on."
    )

    def learn(self, gathered: Gathered) -> MatrixSkill:
        votes = gathered.votes
        found = maximise_likelihood(
            gathered, _log_table, most_iterations=self.most_iterations, tolerance=self.tolerance
        )
        return MatrixSkill(
            n_answers=votes.n_answers,
            n_volunteers=votes.n_volunteers,
            pairs=votes.pairs,
            pair_counts=found.pair_counts,
            pseudo=NEXT_TO_NOTHING,
            newcomer=pooled_matrix(votes, found.pair_counts),
            shares=found.class_prior,
            iterations=found.iterations,
        )


def _log_table(votes: Votes, pair_counts: Doubles) -> Doubles:
    """(U, K) log P(answer | true): a row's shares; a row without any expected vote is even."""
    total = sum_by_volunteer(votes, pair_counts) + votes.n_answers * NEXT_TO_NOTHING
    table = (pair_counts + NEXT_TO_NOTHING) / total[votes.volunteer]
    return np.asarray(np.log(np.maximum(table, LEAST_PROBABILITY)))
