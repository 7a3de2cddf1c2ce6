"""What the classical modes share: a matrix for everybody, independent votes, and Bayes' rule, untempered."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from esocs.crowd import posterior
from esocs.crowd.modes.counting import Doubles
from esocs.crowd.modes.interface import Floats, Learned
from esocs.crowd.posterior import Fixed, ReadOut


@dataclass(frozen=True, kw_only=True)
class BayesSkill(Learned):
    """Matrices and class prior, taken at their word.

    Attributes:
        shares: (K,) class prior.
        iterations: that the fit took; 0 for a model without.
    """

    n_answers: int
    n_volunteers: int
    shares: Doubles
    iterations: int = 0

    @property
    def read_out(self) -> ReadOut:
        return ReadOut.BAYES

    @property
    def class_prior(self) -> Doubles:
        return self.shares

    @property
    def start(self) -> Fixed:
        return posterior.to_fixed(np.log(self.shares))

    def confusion(self, volunteers: NDArray[np.int64]) -> Floats:
        return self._matrices(volunteers).astype(np.float32)

    def terms(self, volunteers: NDArray[np.int64]) -> Fixed:
        return posterior.log_likelihood_terms(self._matrices(volunteers), largest_log_ratio=posterior.LARGEST_LOG)

    @abstractmethod
    def _matrices(self, volunteers: NDArray[np.int64]) -> Doubles:
        """(n, K, K) P(answer | true answer); index -1 is a newcomer."""
