"""Certificates: how wrong a crowd's consensus can be, from a random sample that experts answered. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """Among the subjects retired at `threshold` or above, the error is at most `bound`, with this confidence.

    Attributes:
        threshold: τ.
        audited: retired subjects that were drawn by chance and answered by an expert.
        errors: of those, how many the consensus had wrong.
        bound: upper bound of the error rate; 1 without an audited subject.
        confidence: of the bound.
        covered: all retired subjects that it speaks of.
    """

    threshold: float
    audited: int
    errors: int
    bound: float
    confidence: float
    covered: int


def upper_error_bound(errors: int, audited: int, *, confidence: float = CONFIDENCE) -> float:
    """The exact one-sided upper bound of an error rate (Clopper & Pearson 1934, Biometrika 26, 404).

    The p for which Binomial(audited, p) has at most `errors` with probability 1 − confidence: 1 for an empty audit;
    59 without an error certify 5 %, 299 certify 1 %.

    Raises:
        ValueError: errors are not between 0 and audited.
    """
    if not 0 <= errors <= audited:
        raise ValueError(f"{errors} errors among {audited} cannot be.")
    if errors == audited:
        return 1.0
    return float(beta.ppf(confidence, errors + 1, audited - errors))


def certify(
    *,
    p: NDArray[np.float64],
    wrong: NDArray[np.bool_],
    retired_p: NDArray[np.float64],
    thresholds: Sequence[float],
    confidence: float = CONFIDENCE,
) -> list[Certificate]:
    """One certificate for each τ.

    Each holds by itself at its confidence: who picks the best-looking τ among them should use a stricter one.

    Args:
        p: (n,) probability at retirement of the audited subjects.
        wrong: (n,) whether the experts' answer is another.
        retired_p: (N,) probability at retirement of all subjects that it is about.
        thresholds: each τ.
        confidence: of every bound.
    """
    certificates = []
    for threshold in thresholds:
        among = p >= threshold - 1e-12
        errors, audited = int(wrong[among].sum()), int(among.sum())
        certificates.append(
            Certificate(
                threshold=threshold,
                audited=audited,
                errors=errors,
                bound=upper_error_bound(errors, audited, confidence=confidence),
                confidence=confidence,
                covered=int((retired_p >= threshold - 1e-12).sum()),
            )
        )
    return certificates
