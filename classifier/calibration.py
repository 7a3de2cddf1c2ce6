"""Making scores honest: temperature, reliability, distance from all that is known. Pure; no torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg, optimize
from scipy.special import log_softmax, softmax

from classifier.errors import EsocsError

Floats = NDArray[np.float64]

SMALLEST_PROBABILITY = 1e-7  # float32 softmaxes reach zero; their logarithm must not
TEMPERATURE_RANGE = (0.05, 20.0)
LOG_TEMPERATURE_SCATTER = 0.5  # of the prior: networks ask for temperatures between a half and three
RELIABILITY_BINS = 15
SMALLEST_SCATTER = 1e-3  # of an embedding's axis: what half-precision storage alone makes of it


class CalibrationInputError(EsocsError):
    """Probabilities, labels or embeddings of the wrong shape or range, or too few of them."""

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


@dataclass(frozen=True, kw_only=True)
class OutOfDistribution:
    """Conformal p-values for "this subject is like those known", from distances to the groups of the known.

    Attributes:
        centres: (K, D) mean embedding of each group.
        whiteners: (K, D, D) W such that |(x - centre) W| is the Mahalanobis distance.
        held_out_distances: (n,) sorted distances of known subjects that are not in the reference.
    """

    centres: Floats
    whiteners: Floats
    held_out_distances: Floats

    def distances(self, embeddings: ArrayLike) -> Floats:
        """(N, D) embeddings to (N,) Mahalanobis distances to the nearest group."""
        return _group_distances(np.asarray(embeddings, dtype=np.float64), self.centres, self.whiteners)

    def p_values(self, embeddings: ArrayLike) -> Floats:
        """(N,) p = (1 + number of held-out distances at least as large) / (n + 1).

        For a subject drawn like the held-out ones, P(p <= u) <= u; the smallest p is 1 / (n + 1), so 1 %
        takes 99 held-out subjects. Source: Bates, Candès, Lei, Romano & Sesia (2023, Ann. Stat. 51, 149).
        """
        return self.p_values_at(self.distances(embeddings))

    def p_values_at(self, distances: ArrayLike) -> Floats:
        """(N,) the p-values of (N,) distances, where these are wanted as well."""
        below = np.searchsorted(self.held_out_distances, np.asarray(distances), side="left")
        n = len(self.held_out_distances)
        return np.asarray((1 + n - below) / (n + 1), dtype=np.float64)

    def save(self, path: Path) -> None:
        """Writes one .npz; `OutOfDistribution.load` is its inverse."""
        with path.open("wb") as file:
            np.savez(file, centres=self.centres, whiteners=self.whiteners, held_out_distances=self.held_out_distances)

    @classmethod
    def load(cls, path: Path) -> OutOfDistribution:
        """Reads what `save` wrote; pickled arrays are refused."""
        names = ("centres", "whiteners", "held_out_distances")
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return cls(**{name: arrays[name] for name in names})
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise CalibrationInputError(f"{path.name} is not a saved reference: {error}") from error


def fit_out_of_distribution(
    reference: ArrayLike, held_out: ArrayLike, *, groups: ArrayLike | None = None
) -> OutOfDistribution:
    """Remembers what known subjects look like, and how far from them known subjects can lie.

    The distance is Mahalanobis' to the nearest group (Lee, Lee, Lee & Shin 2018, arXiv:1807.03888), each with a
    covariance of its own: stars are alike, mergers are not. A group of n_k subjects shares a part D / (D + n_k) of
    its covariance with the others (Friedman 1989, J. Am. Stat. Assoc. 84, 165).

    Args:
        reference: (M, D) embeddings, which may be those trained on.
        held_out: (n, D) embeddings of known subjects neither trained on nor in the reference.
        groups: (M,) integers >= 0, such as the predicted answers; one group when omitted.

    Raises:
        CalibrationInputError: Too few, or of different D.
    """
    known, apart = (np.asarray(given, dtype=np.float64) for given in (reference, held_out))
    if known.ndim != 2 or apart.ndim != 2 or known.shape[1] != apart.shape[1]:
        raise CalibrationInputError("Reference and held-out embeddings must have shapes (M, D) and (n, D).")
    if len(apart) < 1 or len(known) < 2:
        raise CalibrationInputError(
            f"{len(known)} reference and {len(apart)} held-out subjects are too few.",
            hint="Validate more subjects first.",
        )
    member = np.zeros(len(known), dtype=np.int64) if groups is None else np.asarray(groups, dtype=np.int64)
    if member.shape != (len(known),):
        raise CalibrationInputError("Every reference embedding must have one group.")
    centres, whiteners = _groups(known, member)
    distances = np.sort(_group_distances(apart, centres, whiteners))
    return OutOfDistribution(centres=centres, whiteners=whiteners, held_out_distances=distances)


def _groups(known: Floats, member: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Centre and whitener of each group, from covariances in units of each axis' scatter over all."""
    scatter = np.maximum(known.std(axis=0), SMALLEST_SCATTER)
    _, member, counts = np.unique(member, return_inverse=True, return_counts=True)
    centres = np.stack([known[member == k].mean(axis=0) for k in range(len(counts))])
    residuals = (known - centres[member]) / scatter
    width = known.shape[1]
    identity = np.eye(width)
    shared = residuals.T @ residuals / len(known)
    trust = len(known) / (len(known) + 0.5 * width)
    shared = trust * shared + ((1 - trust) * np.trace(shared) / width + SMALLEST_SCATTER) * identity
    whiteners = np.empty((len(counts), width, width))
    for k, count in enumerate(counts):
        own = residuals[member == k].T @ residuals[member == k] / count
        covariance = (count * own + width * shared) / (count + width) + SMALLEST_SCATTER * identity
        factor = linalg.solve_triangular(np.linalg.cholesky(covariance), identity, lower=True)
        whiteners[k] = factor.T / scatter[:, None]
    return centres, whiteners


def _group_distances(embeddings: Floats, centres: Floats, whiteners: Floats) -> Floats:
    if embeddings.ndim != 2 or embeddings.shape[1] != centres.shape[1]:
        raise CalibrationInputError(f"Embeddings must have shape (N, {centres.shape[1]}).")
    nearest = np.full(len(embeddings), np.inf)
    for centre, whitener in zip(centres, whiteners, strict=True):
        np.minimum(nearest, np.linalg.norm((embeddings - centre) @ whitener, axis=1), out=nearest)
    return nearest


def _checked(probabilities: ArrayLike) -> Floats:
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or p.shape[1] < 2:
        raise CalibrationInputError("Probabilities must have shape (N, K) with K >= 2.")
    if not np.isfinite(p).all() or (p < 0).any():
        raise CalibrationInputError("Probabilities must be finite and not negative.")
    return p


def _log(probabilities: ArrayLike) -> Floats:
    return np.asarray(np.log(np.maximum(_checked(probabilities), SMALLEST_PROBABILITY)), dtype=np.float64)
