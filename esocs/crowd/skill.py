"""What a volunteer's answers are worth: skill in bits, its upper bound, and when a volunteer is not heard.

The fit's expected counts are the source of truth; a weight of 0 keeps the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

USELESS_BITS = 0.02
"""Below this a volunteer tells nothing: a thousand such answers are worth less than twenty good ones."""

JUDGED_AFTER = 20
"""Classifications (or gold answers) before anyone is judged."""

CONTRAST = 5
"""Expected answers outside the class seen most, before anyone is judged by bits."""

ONE_SIDED_95 = 1.6448536269514722


@dataclass(frozen=True)
class VolunteerSkill:
    """Arrays over volunteers.

    Attributes:
        bits: mutual information of truth and answer under the class prior, from the shrunken matrix.
        lower_bits: lower 95 % bound, from the expected counts alone.
        upper_bits: upper 95 % bound, likewise; infinite without a classification.
        accuracy: expected share of right answers under the class prior.
        chance: the share that the same answers given at random would get right.
        n: classifications.
        gold_seen: gold subjects answered.
        gold_right: of those, answered as the experts did.
        weight: 1, or 0 for who tells nothing, is worse than chance on gold, or answers inversely.
    """

    bits: NDArray[np.float64]
    lower_bits: NDArray[np.float64]
    upper_bits: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    chance: NDArray[np.float64]
    n: NDArray[np.float64]
    gold_seen: NDArray[np.float64]
    gold_right: NDArray[np.float64]
    weight: NDArray[np.float64]


def volunteer_skill(
    *,
    confusion: NDArray[Any],
    counts: NDArray[Any],
    class_prior: NDArray[Any],
    gold_right: NDArray[Any] | None = None,
    gold_seen: NDArray[Any] | None = None,
) -> VolunteerSkill:
    """Judge every volunteer.

    Args:
        confusion: (V, K, K) shrunken matrices, rows = true answer.
        counts: (V, K, K) expected votes: true answer, given answer.
        class_prior: (K,).
        gold_right: (V,) gold subjects answered as the experts did; None: no gold.
        gold_seen: (V,) gold subjects answered.
    """
    confusion = np.asarray(confusion, np.float64)
    counts = np.asarray(counts, np.float64)
    prior = np.asarray(class_prior, np.float64)
    prior = prior / prior.sum()
    K = len(prior)
    n = counts.sum(axis=(1, 2))
    joint = prior[None, :, None] * confusion
    bits = mutual_information_bits(joint)
    lower, upper = information_interval_bits(counts)
    accuracy = np.einsum("vkk->v", joint)
    chance = (prior[None, :] * joint.sum(axis=1)).sum(axis=1)
    # Who has seen little but one class cannot have shown to tell it from others.
    contrast = n - counts.sum(axis=2).max(axis=1, initial=0.0)
    silent = (n >= JUDGED_AFTER) & (contrast >= CONTRAST) & (upper < USELESS_BITS)
    silent |= accuracy < chance
    right, seen = (
        np.zeros(len(n)) if gold is None else np.asarray(gold, np.float64) for gold in (gold_right, gold_seen)
    )
    silent |= (seen >= JUDGED_AFTER) & (right * K < seen)
    return VolunteerSkill(bits, lower, upper, accuracy, chance, n, seen, right, np.where(silent, 0.0, 1.0))


def mutual_information_bits(joint: NDArray[Any]) -> NDArray[np.float64]:
    """I(true; given) in bits of (…, K, K) joint probabilities or counts; 0 where they are all zero."""
    total = joint.sum(axis=(-2, -1), keepdims=True)
    p = np.divide(joint, total, out=np.zeros(np.shape(joint)), where=total > 0)
    independent = p.sum(axis=-1, keepdims=True) * p.sum(axis=-2, keepdims=True)
    ratio = np.divide(p, independent, out=np.ones(p.shape), where=p > 0)
    return np.asarray(np.maximum((p * np.log2(ratio)).sum(axis=(-2, -1)), 0.0))


def information_interval_bits(
    counts: NDArray[Any], *, z: float = ONE_SIDED_95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper bound of the mutual information behind (V, K, K) counts, each at one-sided confidence Φ(z).

    2 n ln 2 · I is the likelihood-ratio statistic G, close to a noncentral χ² with (K−1)² degrees of freedom
    whose noncentrality λ is 2 n ln 2 times the true information. λ solves G = df + λ ∓ z √(2 df + 4 λ).
    True answers that were not met (less than one expected vote) are left out of the degrees of freedom.
    A volunteer without votes, or who met one true answer alone, has the bounds 0 and infinity.
    """
    met = (counts.sum(axis=-1) >= 1).sum(axis=-1)
    n = np.where(met > 1, counts.sum(axis=(-2, -1)), 0.0)
    df = np.maximum(met - 1, 1) * float(counts.shape[-1] - 1)
    scale = 2 * n * np.log(2)
    excess = scale * mutual_information_bits(counts) - df
    z2 = z * z
    spread = np.sqrt(np.maximum(4 * z2 * excess + 4 * z2 * z2 + 2 * z2 * df, 0.0))
    upper = np.divide(excess + 2 * z2 + spread, scale, out=np.full(np.shape(n), np.inf), where=n > 0)
    # Below G = df + z √(2 df) even λ = 0 is not refuted.
    lower = np.divide(excess + 2 * z2 - spread, scale, out=np.zeros(np.shape(n)), where=(n > 0) & (excess > 0))
    return np.maximum(lower, 0.0), np.maximum(upper, 0.0)
