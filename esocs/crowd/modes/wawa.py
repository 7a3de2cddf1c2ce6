"""Worker agreement with aggregate: votes weighed by how often their volunteer agrees with the majority."""

from __future__ import annotations

from esocs.crowd.modes.interface import Gathered
from esocs.crowd.modes.shares import WeighedVotes, agreement_with_majority
from esocs.crowd.posterior import ReadOut


class Wawa:
    """Appen's "Worker Agreement With Aggregate", as Ustalov et al. (2024, J. Open Source Softw. 9, 6227) give it.

    On a tie of m answers a vote for one of them agrees to 1/m, so that no answer is favoured for its number.
    """

    name = "wawa"
    read_out = ReadOut.SHARES
    title = "Agreement with the majority (Wawa)"
    description = (
        "Two rounds of counting: a volunteer's weight is the share of their votes that agree with the majority, and an"
        " answer's probability is its share of the weighted votes. It discounts those who answer at random and is as"
        " easy to explain as a count, but it hears neither gold nor the machine, and cannot tell who is right where"
        " most are wrong."
    )

    def learn(self, gathered: Gathered) -> WeighedVotes:
        found = agreement_with_majority(gathered)
        return WeighedVotes(
            n_answers=gathered.votes.n_answers,
            n_volunteers=gathered.votes.n_volunteers,
            weight=found.by_volunteer,
            newcomer_weight=found.pooled,
            accuracy=found.by_volunteer,
            newcomer_accuracy=found.pooled,
            shares=found.shares,
        )
