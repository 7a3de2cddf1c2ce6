"""Every vote counts the same: the shares of the votes."""

from __future__ import annotations

import numpy as np

from esocs.crowd.modes.interface import Gathered
from esocs.crowd.modes.shares import WeighedVotes, agreement_with_majority
from esocs.crowd.posterior import ReadOut


class Majority:
    """Plain vote counting; every volunteer is as good as all together."""

    name = "majority"
    read_out = ReadOut.SHARES
    title = "Majority vote"
    description = (
        "Every vote counts the same, and an answer's probability is its share of the votes. It learns nothing from"
        " gold, the machine or the volunteers' past, so it is the easiest to explain and the baseline that every other"
        " mode has to beat. A share of the votes is no calibrated probability."
    )

    def learn(self, gathered: Gathered) -> WeighedVotes:
        found = agreement_with_majority(gathered)
        V = gathered.votes.n_volunteers
        return WeighedVotes(
            n_answers=gathered.votes.n_answers,
            n_volunteers=V,
            weight=np.ones(V),
            newcomer_weight=1.0,
            accuracy=np.full(V, found.pooled),
            newcomer_accuracy=found.pooled,
            shares=found.shares,
        )
