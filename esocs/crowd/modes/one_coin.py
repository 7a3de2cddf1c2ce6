"""One number for every volunteer: how often they are right; untempered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from esocs.crowd.modes.bayes import BayesSkill
from esocs.crowd.modes.counting import (
    Doubles,
    agreement_of_pairs,
    one_coin_matrices,
    pick,
    pooled_accuracy,
    sum_by_volunteer,
)
from esocs.crowd.modes.em import MOST_ITERATIONS, NEXT_TO_NOTHING, TOLERANCE, maximise_likelihood
from esocs.crowd.modes.interface import Gathered
from esocs.crowd.posterior import ReadOut
from esocs.crowd.votes import Votes


@dataclass(frozen=True, kw_only=True)
class OneCoinSkill(BayesSkill):
    """Accuracies, and Bayes' rule for independent votes.

    Attributes:
        accuracy: (V,) expected share of right answers, within [1e-10, 1 − 1e-10].
        newcomer: the accuracy of somebody without a vote.
    """

    accuracy: Doubles
    newcomer: float

    def _matrices(self, volunteers: NDArray[np.int64]) -> Doubles:
        accuracy = pick(self.accuracy, volunteers, newcomer=self.newcomer)
        return one_coin_matrices(accuracy, n_answers=self.n_answers)


@dataclass(frozen=True, kw_only=True)
class OneCoin:
    """The one-coin Dawid–Skene model (Zhang et al. 2016, J. Mach. Learn. Res. 17, 102).

    Attributes:
        most_iterations: of the expectation maximisation.
        tolerance: rise of the log-likelihood, in nats a vote, at which it ends.
    """

    most_iterations: int = MOST_ITERATIONS
    tolerance: float = TOLERANCE

    name = "one_coin"
    read_out = ReadOut.BAYES
    title = "One coin"
    description = (
        "Every volunteer is right with one probability whatever the true answer, and errs evenly among the others; "
        "accuracies and answers are estimated together by expectation maximisation. Choose it where votes are few or "
        "answers many, so that whole confusion matrices cannot be learned. Votes count as independent, so its "
        "probabilities are too sure to retire subjects on."
    )

    def learn(self, gathered: Gathered) -> OneCoinSkill:
        votes = gathered.votes
        found = maximise_likelihood(
            gathered, _log_table, most_iterations=self.most_iterations, tolerance=self.tolerance
        )
        agreement = agreement_of_pairs(votes, found.pair_counts)
        newcomer = pooled_accuracy(
            right=float(agreement.sum()), n=float(votes.per_pair.sum()), n_answers=votes.n_answers
        )
        return OneCoinSkill(
            n_answers=votes.n_answers,
            n_volunteers=votes.n_volunteers,
            accuracy=_accuracy(votes, found.pair_counts, newcomer=newcomer),
            newcomer=newcomer,
            shares=found.class_prior,
            iterations=found.iterations,
        )


def _accuracy(votes: Votes, pair_counts: Doubles, *, newcomer: float) -> Doubles:
    """(V,) expected share of right answers, a little inside [0, 1]."""
    right = sum_by_volunteer(votes, agreement_of_pairs(votes, pair_counts))
    n = sum_by_volunteer(votes, votes.per_pair)
    share = np.divide(right, n, out=np.full(votes.n_volunteers, newcomer), where=n > 0)
    return np.asarray(np.clip(share, NEXT_TO_NOTHING, 1 - NEXT_TO_NOTHING))


def _log_table(votes: Votes, pair_counts: Doubles) -> Doubles:
    """(U, K) log P(answer | true): the accuracy where the answer is the true one, else an even part of the rest."""
    K, U = votes.n_answers, len(votes.pairs)
    accuracy = _accuracy(votes, pair_counts, newcomer=1 / K)[votes.volunteer]
    table = np.repeat(np.log((1 - accuracy) / max(K - 1, 1)), K).reshape(U, K)
    table[np.arange(U), votes.answer] = np.log(accuracy)
    return table
