"""What every way of weighing votes offers: learn from all votes, then say what any one vote adds to a sum.

The live path, the refit and the aggregation of files know only this. Whatever the mode, a subject's consensus is a sum
of 64-bit integers (crowd.posterior) and a read-out, so arrival in any order ends in the same bits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from esocs.crowd.posterior import UNFITTED_TEMPER, Fixed, ReadOut
from esocs.crowd.skill import VolunteerSkill
from esocs.crowd.votes import Votes

Floats: TypeAlias = NDArray[np.float32]

CHUNK_CELLS = 1 << 22
"""Cells of the volunteers' matrices that are made at once: a million volunteers do not need them all."""


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """Everything a mode may learn from.

    Attributes:
        votes: first votes only, sorted.
        gold: (S,) int64, the experts' answer, -1 where there is none; None: no gold at all.
        log_prior: (S, K) the machine's opinion of each subject (nats, up to a constant); None: no machine.
        heard: (S,) bool, where `log_prior` is the machine's opinion and not a stand-in for the classes' shares; None:
            everywhere.
        anonymous: (V,) bool, sessions without an account; None: nobody.
    """

    votes: Votes
    gold: NDArray[np.int64] | None = None
    log_prior: NDArray[Any] | None = None
    heard: NDArray[np.bool_] | None = None
    anonymous: NDArray[np.bool_] | None = None


class Learned(ABC):
    """What a mode has learned from the votes."""

    n_answers: int
    n_volunteers: int
    skill: VolunteerSkill | None = None
    """Everybody's skill in bits and who is heard, where the mode judges."""
    temper: float = UNFITTED_TEMPER
    """Of a tempered read-out."""

    @property
    @abstractmethod
    def read_out(self) -> ReadOut:
        """How a sum becomes probabilities."""

    @property
    @abstractmethod
    def class_prior(self) -> NDArray[np.float64]:
        """(K,) how frequent each true answer is; sums to 1."""

    @abstractmethod
    def confusion(self, volunteers: NDArray[np.int64]) -> Floats:
        """(n, K, K) P(answer | true answer), axis 1 = true; index -1 is somebody without a vote."""

    @abstractmethod
    def terms(self, volunteers: NDArray[np.int64]) -> Fixed:
        """(n, K, K) int64: what each answer (axis 2) of these volunteers adds to the sum of each true answer (axis 1).

        Args:
            volunteers: (n,) indices in [0, V); -1 is somebody without a vote.
        """

    @property
    @abstractmethod
    def start(self) -> Fixed:
        """(K,) int64: the sum of a subject without votes and without a machine's opinion."""

    @property
    def hears_the_machine(self) -> bool:
        """Whether a subject's sum may start at the machine's opinion: not where votes are only counted."""
        return self.read_out != ReadOut.SHARES

    @property
    def remark(self) -> str:
        """What a scientist should know before trusting it, such as that there is no gold yet; mostly empty."""
        return ""

    def pair_terms(self, pairs: NDArray[np.int64]) -> Fixed:
        """(U, K) int64: `terms` of the given pairs (volunteer * K + answer) alone, in bounded memory."""
        K = self.n_answers
        out = np.empty((len(pairs), K), np.int64)
        step = max(1, CHUNK_CELLS // (K * K))
        for low in range(0, len(pairs), step):
            part = pairs[low : low + step]
            volunteers, place = np.unique(part // K, return_inverse=True)
            out[low : low + step] = self.terms(volunteers)[place, :, part % K]
        return out


class Mode(Protocol):
    """One way of weighing votes. Stateless: everything it learns is in what `learn` returns."""

    name: str
    read_out: ReadOut
    title: str
    description: str

    def learn(self, gathered: Gathered) -> Learned:
        """Learn from all votes.

        Raises:
            InvalidVotesError: gold or priors out of range or not a number; names the row.
        """
        ...
