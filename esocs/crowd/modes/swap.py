"""SWAP of the Space Warps project: skill from gold (training) subjects alone, and Bayes' rule; untempered.

Source: Marshall et al. 2016, MNRAS 455, 1171. There a subject is a lens or is none, and a volunteer starts with ½ in
each cell; here there are K answers, and a volunteer starts with 1/K.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from esocs.crowd.modes.counting import clamp, count_pairs, smoothed_shares
from esocs.crowd.modes.em import gold_of
from esocs.crowd.modes.interface import Gathered
from esocs.crowd.modes.plain_dawid_skene import MatrixSkill
from esocs.crowd.posterior import ReadOut
from esocs.crowd.votes import checked_log_prior

PSEUDO_VOTES = 1.0
"""Of each answer in each row: even before the first gold subject, then the counts.

Space Warps gives a start of P the weight of 1/P votes: two a row at its ½, K a row at 1/K.
"""


@dataclass(frozen=True, kw_only=True)
class SwapSkill(MatrixSkill):
    """Matrices from the answers to gold subjects.

    Attributes:
        gold_votes: votes on gold subjects that the matrices rest on.
    """

    gold_votes: int

    @property
    def remark(self) -> str:
        if self.gold_votes:
            return ""
        return "No volunteer has answered a gold standard subject yet: nobody's skill is known, no vote tells anything."


class Swap:
    """Skill from gold alone: whole-set SWAP, where the final matrices weigh all votes, the earlier ones too."""

    name = "swap"
    read_out = ReadOut.BAYES
    title = "SWAP"
    description = (
        "The method of Space Warps: a volunteer's confusion matrix is counted on gold standard subjects alone, and"
        " Bayes' rule weighs every vote by it, from a prior that is the machine's opinion or else the answers' shares"
        " among the gold. Choose it where many gold subjects are mixed in, such as simulated rare objects. Who has met"
        " no gold is not heard at all; without any gold every subject stays at its prior and none is retired."
    )

    def learn(self, gathered: Gathered) -> SwapSkill:
        votes, K = gathered.votes, gathered.votes.n_answers
        known, answers = gold_of(gathered)
        checked_log_prior(gathered.log_prior, votes)
        p = np.zeros((votes.n_subjects, K))
        clamp(p, known, answers)
        is_gold = np.zeros(votes.n_subjects, bool)
        is_gold[known] = True
        return SwapSkill(
            n_answers=K,
            n_volunteers=votes.n_volunteers,
            pairs=votes.pairs,
            pair_counts=count_pairs(votes, p),
            pseudo=PSEUDO_VOTES,
            newcomer=np.full((K, K), 1 / K),
            shares=smoothed_shares(p, informed=is_gold),
            gold_votes=int(votes.per_subject[known].sum()),
        )
