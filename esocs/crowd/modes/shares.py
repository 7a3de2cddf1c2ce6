"""What the modes that add up votes have in common: a weight for each volunteer, and the weighted shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from esocs.crowd import posterior
from esocs.crowd.modes.counting import (
    Doubles,
    agreement_of_pairs,
    count_pairs,
    count_votes,
    leading,
    one_coin_matrices,
    pick,
    pooled_accuracy,
    shares_of,
    smoothed_shares,
    sum_by_volunteer,
)
from esocs.crowd.modes.interface import Floats, Gathered, Learned
from esocs.crowd.posterior import Fixed, ReadOut
from esocs.crowd.votes import checked_gold, checked_log_prior


@dataclass(frozen=True, kw_only=True)
class WeighedVotes(Learned):
    """A vote adds its volunteer's weight to the answer that it gives, and nothing to the others.

    Attributes:
        weight: (V,) in [0, 1].
        newcomer_weight: of somebody without a vote.
        accuracy: (V,) share of votes that agree with the majority.
        newcomer_accuracy: the same of all volunteers together.
        shares: (K,) how frequent the answers are among the votes.
    """

    n_answers: int
    n_volunteers: int
    weight: Doubles
    newcomer_weight: float
    accuracy: Doubles
    newcomer_accuracy: float
    shares: Doubles

    @property
    def read_out(self) -> ReadOut:
        return ReadOut.SHARES

    @property
    def class_prior(self) -> Doubles:
        return self.shares

    @property
    def start(self) -> Fixed:
        return np.zeros(self.n_answers, np.int64)

    def confusion(self, volunteers: NDArray[np.int64]) -> Floats:
        accuracy = pick(self.accuracy, volunteers, newcomer=self.newcomer_accuracy)
        return one_coin_matrices(accuracy, n_answers=self.n_answers).astype(np.float32)

    def terms(self, volunteers: NDArray[np.int64]) -> Fixed:
        units = posterior.to_fixed(pick(self.weight, volunteers, newcomer=self.newcomer_weight))
        return np.asarray(units[:, None, None] * np.eye(self.n_answers, dtype=np.int64))


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How often volunteers agree with the majority.

    Attributes:
        by_volunteer: (V,) share of votes; everybody's for who has none.
        pooled: the share of all votes, with one pseudo-vote that agrees in 0.7 of cases.
        shares: (K,) mean shares of the answers among the subjects with votes, with one pseudo-subject each.
    """

    by_volunteer: Doubles
    pooled: float
    shares: Doubles


def agreement_with_majority(gathered: Gathered) -> Agreement:
    """Compare every vote with its subject's majority; on a tie of m answers, a vote for one agrees to 1/m.

    Gold and the machine's opinion are checked and not heard.

    Raises:
        InvalidVotesError: gold or priors out of range or not a number; names the row.
    """
    votes = gathered.votes
    checked_gold(gathered.gold, votes)
    checked_log_prior(gathered.log_prior, votes)
    counts = count_votes(votes)
    agreed = agreement_of_pairs(votes, count_pairs(votes, shares_of(leading(counts))))
    right, n = sum_by_volunteer(votes, agreed), sum_by_volunteer(votes, votes.per_pair)
    pooled = pooled_accuracy(right=float(right.sum()), n=float(n.sum()), n_answers=votes.n_answers)
    return Agreement(
        by_volunteer=np.divide(right, n, out=np.full(votes.n_volunteers, pooled), where=n > 0),
        pooled=pooled,
        shares=smoothed_shares(shares_of(counts), informed=votes.per_subject > 0),
    )
