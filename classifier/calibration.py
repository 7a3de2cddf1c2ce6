"""Making scores honest: temperature, reliability, p-values of being like what is known. Pure; no torch here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize
from scipy.special import log_softmax, softmax

from classifier.errors import EsocsError

Floats = NDArray[np.float64]

SMALLEST_PROBABILITY = 1e-7  # float32 softmaxes reach zero; their logarithm must not
TEMPERATURE_RANGE = (0.05, 20.0)
LOG_TEMPERATURE_SCATTER = 0.5  # of the prior: networks ask for temperatures between a half and three
RELIABILITY_BINS = 15


class CalibrationInputError(EsocsError):
    """Probabilities, labels or strangeness of the wrong shape or range, or too few of them."""

    code = "calibration_input"
    status = 422


@dataclass(frozen=True, kw_only=True)
class Temperature:
    """One positive number by which log-probabilities are divided: above one, less sure.

    Attributes:
        value: The temperature.
        count: Validated subjects it was fitted on.
        log_loss_before: Mean -log p of their answers at temperature one, nat.
        log_loss_after: The same at `value`.
    """

    value: float = 1.0
    count: int = 0
    log_loss_before: float = float("nan")
    log_loss_after: float = float("nan")

    def apply(self, probabilities: ArrayLike) -> NDArray[np.float32]:
        """(N, K) probabilities to (N, K) float32: softmax(log p / T). The order of the answers stays."""
        return apply_temperature(probabilities, self.value)


def apply_temperature(probabilities: ArrayLike, temperature: float) -> NDArray[np.float32]:
    """(N, K) calibrated probabilities of (N, K) mean softmaxes; the order of the answers stays."""
    return np.asarray(softmax(_log(probabilities) / temperature, axis=1), dtype=np.float32)


def fit_temperature(probabilities: ArrayLike, answers: ArrayLike) -> Temperature:
    """The temperature with the least log-loss on validated subjects.

    Source: Guo, Pleiss, Sun & Weinberger (2017, "On calibration of modern neural networks",
    arXiv:1706.04599), on the logarithm of the mean softmax, which stands for the logits of an ensemble. Its logarithm
    has a normal prior around 0, so that eight lucky answers do not make a network five times as sure; five hundred
    outweigh it.

    Args:
        probabilities: (N, K) before scaling, of subjects the network was not trained on.
        answers: (N,) right answers, or (N, K) soft ones whose rows are weights >= 0.

    Raises:
        CalibrationInputError: No subjects, or shapes that do not fit.
    """
    log_p = _log(probabilities)
    count, width = log_p.shape
    given = np.asarray(answers)
    if given.shape == (count,) and count:
        labels = given.astype(np.int64)
        if labels.min() < 0 or labels.max() >= width:
            raise CalibrationInputError(f"An answer is not one of the {width}.")
        targets = np.eye(width)[labels]
    else:
        targets = given.astype(np.float64)
    if targets.shape != log_p.shape or targets.sum() <= 0:
        raise CalibrationInputError("A temperature needs subjects, with one answer for each.")

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(log_p / np.exp(log_temperature), axis=1)
        return float(-(targets * scaled).sum() / targets.sum())

    low, high = np.log(TEMPERATURE_RANGE)
    best = optimize.minimize_scalar(
        lambda log_t: loss(log_t) + (log_t / LOG_TEMPERATURE_SCATTER) ** 2 / (2 * count),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-5},
    )
    return Temperature(
        value=float(np.exp(best.x)),
        count=count,
        log_loss_before=loss(0.0),
        log_loss_after=loss(float(best.x)),
    )


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """A reliability diagram of the top answer, in bins of equal width over [0, 1].

    Attributes:
        edges: (B + 1,) of the bins; a bin holds its upper edge.
        counts: (B,) subjects.
        confidence: (B,) mean probability of the top answer; NaN in an empty bin.
        accuracy: (B,) share of right top answers; NaN in an empty bin.
    """

    edges: Floats
    counts: NDArray[np.int64]
    confidence: Floats
    accuracy: Floats

    @property
    def expected_calibration_error(self) -> float:
        """ECE: mean |accuracy - confidence| over bins, weighted by their counts (Naeini et al. 2015)."""
        filled = self.counts > 0
        if not filled.any():
            return float("nan")
        gaps = np.abs(self.accuracy - self.confidence)[filled]
        return float(np.average(gaps, weights=self.counts[filled]))


def measure_reliability(probabilities: ArrayLike, labels: ArrayLike, *, bins: int = RELIABILITY_BINS) -> Reliability:
    """How often the top answer is right, as a function of its probability.

    Args:
        probabilities: (N, K).
        labels: (N,) right answers.
        bins: Of equal width; 15, as is the custom since Guo et al. (2017), unless told.
    """
    p = _checked(probabilities)
    truth = np.asarray(labels, dtype=np.int64)
    if truth.shape != (len(p),):
        raise CalibrationInputError("There must be one label for each subject.")
    confidence = p.max(axis=1)
    right = p.argmax(axis=1) == truth
    edges = np.linspace(0, 1, bins + 1)
    position = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    counts = np.bincount(position, minlength=bins)
    filled = np.where(counts > 0, counts, np.nan)
    return Reliability(
        edges=edges,
        counts=counts.astype(np.int64),
        confidence=np.bincount(position, weights=confidence, minlength=bins) / filled,
        accuracy=np.bincount(position, weights=right, minlength=bins) / filled,
    )


def out_of_distribution_p_values(strangeness: ArrayLike, held_out: ArrayLike) -> Floats:
    """(N,) conformal p = (1 + number of held-out at least as strange) / (n + 1) for "this is like those known".

    For a subject drawn like the held-out ones, P(p <= u) <= u; the smallest p is 1 / (n + 1), so 1 % takes 99
    held-out subjects. Source: Bates, Candès, Lei, Romano & Sesia (2023, Ann. Stat. 51, 149).

    Args:
        strangeness: (N,) of subjects; NaN, where a network measured none, is the strangest.
        held_out: (n,) of known subjects that taught the network nothing of what is known.

    Raises:
        CalibrationInputError: No held-out subject, or not all have a finite strangeness.
    """
    known = np.sort(np.asarray(held_out, dtype=np.float64))
    if known.ndim != 1 or not len(known) or not np.isfinite(known).all():
        raise CalibrationInputError(
            "A p-value of being in distribution needs the strangeness of known subjects.",
            hint="Train the model version anew, on more subjects.",
        )
    n = len(known)
    below = np.searchsorted(known, np.asarray(strangeness, dtype=np.float64), side="left")
    return np.asarray((1 + n - below) / (n + 1), dtype=np.float64)


def _checked(probabilities: ArrayLike) -> Floats:
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or p.shape[1] < 2:
        raise CalibrationInputError("Probabilities must have shape (N, K) with K >= 2.")
    if not np.isfinite(p).all() or (p < 0).any():
        raise CalibrationInputError("Probabilities must be finite and not negative.")
    return p


def _log(probabilities: ArrayLike) -> Floats:
    return np.asarray(np.log(np.maximum(_checked(probabilities), SMALLEST_PROBABILITY)), dtype=np.float64)
