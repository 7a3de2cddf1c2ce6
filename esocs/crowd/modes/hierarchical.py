"""The default mode: hierarchical Dawid–Skene skill, one submission's weight bounded, the read-out tempered."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from esocs.crowd import posterior
from esocs.crowd.dawid_skene import Fit, fit_votes, prior_strengths
from esocs.crowd.modes.consensus import sum_votes
from esocs.crowd.modes.interface import CHUNK_CELLS, Floats, Gathered, Learned
from esocs.crowd.posterior import Fixed, ReadOut
from esocs.crowd.skill import VolunteerSkill, volunteer_skill
from esocs.crowd.votes import Votes, checked_gold


@dataclass(frozen=True, kw_only=True)
class HierarchicalSkill(Learned):
    """A fit, and who is not heard."""

    fit: Fit
    skill: VolunteerSkill
    temper: float = posterior.UNFITTED_TEMPER

    @property
    def n_answers(self) -> int:  # type: ignore[override]
        return len(self.fit.class_prior)

    @property
    def n_volunteers(self) -> int:  # type: ignore[override]
        return len(self.fit.strength)

    @property
    def read_out(self) -> ReadOut:
        return ReadOut.TEMPERED

    @property
    def class_prior(self) -> NDArray[np.float64]:
        return np.asarray(self.fit.class_prior, np.float64)

    @property
    def start(self) -> Fixed:
        return posterior.to_fixed(np.log(self.fit.class_prior))

    def confusion(self, volunteers: NDArray[np.int64]) -> Floats:
        return self.fit.confusion_of(volunteers)

    def terms(self, volunteers: NDArray[np.int64]) -> Fixed:
        weight = np.ones(len(volunteers))
        known = volunteers >= 0
        weight[known] = self.skill.weight[volunteers[known]]
        return posterior.log_likelihood_terms(self.confusion(volunteers), weight=weight)


class Hierarchical:
    """See `esocs.crowd.dawid_skene.fit`."""

    name = "hierarchical"
    read_out = ReadOut.TEMPERED
    title = "Hierarchical skill"
    description = (
        "Every volunteer's confusion matrix, shrunk towards everybody's; who tells nothing is not heard; probabilities"
        " calibrated on gold. The most accurate and the best calibrated, with or without gold and machine."
    )

    def learn(self, gathered: Gathered) -> HierarchicalSkill:
        return replace(self.learn_skill(gathered), temper=self.learn_temper(gathered))

    def learn_skill(self, gathered: Gathered) -> HierarchicalSkill:
        """Everybody's skill, with the gold; the temper is not fitted."""
        votes = gathered.votes
        fitted = fit_votes(
            votes,
            strength=prior_strengths(gathered.anonymous, n_volunteers=votes.n_volunteers),
            gold=gathered.gold,
            log_prior=gathered.log_prior,
        )
        return HierarchicalSkill(fit=fitted, skill=judge(fitted, votes=votes, gold=gathered.gold))

    def learn_temper(self, gathered: Gathered) -> float:
        """The temper that suits the gold best under a fit that has not seen it.

        Volunteers look better on the gold that their own skill was learned from than on anything else: a temper fitted
        there would be too sure everywhere else.
        """
        gold = checked_gold(gathered.gold, gathered.votes)
        if gold is None or not (gold >= 0).any():
            return posterior.UNFITTED_TEMPER
        blind = replace(gathered, gold=None)
        sums, opinion = sum_votes(blind, self.learn_skill(blind))
        return posterior.fit_temper(sums, gold, votes=gathered.votes.per_subject, opinion=opinion)


def judge(fit: Fit, *, votes: Votes, gold: NDArray[np.int64] | None = None) -> VolunteerSkill:
    """Every volunteer's skill and whether they are heard, in bounded memory."""
    right, seen = _on_gold(votes, gold)
    step = max(1, CHUNK_CELLS // votes.n_answers**2)
    parts = []
    for low in range(0, max(votes.n_volunteers, 1), step):
        volunteers = np.arange(low, min(low + step, votes.n_volunteers))
        parts.append(
            volunteer_skill(
                confusion=fit.confusion_of(volunteers),
                counts=fit.counts_of(volunteers),
                class_prior=fit.class_prior,
                gold_right=right[volunteers],
                gold_seen=seen[volunteers],
            )
        )
    names = [field.name for field in fields(VolunteerSkill)]
    return VolunteerSkill(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _on_gold(votes: Votes, gold: NDArray[np.int64] | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(V,) gold subjects that each volunteer answered as the experts did, and (V,) that they answered at all."""
    V, K = votes.n_volunteers, votes.n_answers
    right, seen = np.zeros(V), np.zeros(V)
    if gold is None or not (gold >= 0).any():
        return right, seen
    for block in votes.blocks:
        truth = np.asarray(gold[block.subjects])
        expected = np.zeros((len(truth), K), np.float32)
        known = np.flatnonzero(truth >= 0)
        expected[known, truth[known]] = 1
        agreed = block.transposed @ expected  # (pairs, K): votes of the pair on gold of each answer
        pair = votes.pairs[block.pairs]
        np.add.at(right, pair // K, agreed[np.arange(len(pair)), pair % K])
        np.add.at(seen, pair // K, agreed.sum(axis=1))
    return right, seen
