"""Which predictions to accept, with a guaranteed error, and which of the rest to ask about first.

Pure numpy and scipy. The evidence that these functions return is what the machine room stores.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import xlogy

from classifier.errors import EsocsError

Floats = NDArray[np.float64]


class UnreservedCalibrationError(EsocsError):
    """The sample was not reserved blind for this very model version; on it the guarantee does not hold."""

    code = "calibration_not_reserved"
    status = 409


class ContaminatedCalibrationError(EsocsError):
    """Subjects of the calibration sample were trained on; on them the guarantee does not hold."""

    code = "calibration_contaminated"
    status = 409


class SelectionInputError(EsocsError):
    """Scores, labels or levels out of their ranges."""

    code = "selection_input"
    status = 422


@dataclass(frozen=True, kw_only=True)
class CalibrationSample:
    """A uniformly random sample, reserved before active learning took anything, scored by one model version.

    Attributes:
        subject_ids: (N,) distinct.
        scores: (N,) probability of the predicted answer, in [0, 1]; -1 where other rules forbid acceptance
            (out of distribution, quality flags), so that they are never accepted here either.
        correct: (N,) whether the predicted answer is the true one.
        model_version: The version that gave the scores.
        reserved_for: The version the sample was reserved blind for; None when it was not reserved.
    """

    subject_ids: NDArray[np.int64]
    scores: Floats
    correct: NDArray[np.bool_]
    model_version: str
    reserved_for: str | None

    def __post_init__(self) -> None:
        """Checks lengths and ranges."""
        object.__setattr__(self, "subject_ids", np.asarray(self.subject_ids, dtype=np.int64))
        object.__setattr__(self, "scores", np.asarray(self.scores, dtype=np.float64))
        object.__setattr__(self, "correct", np.asarray(self.correct, dtype=bool))
        count = len(self.subject_ids)
        if self.scores.shape != (count,) or self.correct.shape != (count,):
            raise SelectionInputError("Ids, scores and labels of a calibration sample must be as many.")
        if len(np.unique(self.subject_ids)) != count:
            raise SelectionInputError("A subject is twice in the calibration sample.")
        if not np.isfinite(self.scores).all():
            raise SelectionInputError("Scores must be finite.")


@dataclass(frozen=True)
class Step:
    """One tested threshold: `errors` wrong among the `accepted` with score >= threshold."""

    threshold: float
    accepted: int
    errors: int
    p_value: float


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """A threshold with its evidence: P(error among the accepted > alpha) <= delta.

    Attributes:
        threshold: Accept iff score >= threshold; None when not even the strictest could be certified.
        alpha: Largest error rate among the accepted.
        delta: Largest probability, over calibration samples, that the error rate is larger than that.
        sample_size: Subjects in the calibration sample.
        model_version: The only version whose scores the threshold is for.
        steps: Every test made, in order; all but the last have p <= delta, the last unless the grid ended.
    """

    threshold: float | None
    alpha: float
    delta: float
    sample_size: int
    model_version: str
    steps: tuple[Step, ...]

    @property
    def accepted(self) -> int:
        """How many of the calibration sample pass the threshold."""
        return max((s.accepted for s in self.steps if s.p_value <= self.delta), default=0)

    @property
    def errors(self) -> int:
        """How many of those are wrong."""
        return max((s.errors for s in self.steps if s.p_value <= self.delta), default=0)

    def as_json(self) -> dict[str, Any]:
        """The evidence as JSON."""
        return {
            "threshold": self.threshold,
            "alpha": self.alpha,
            "delta": self.delta,
            "sample_size": self.sample_size,
            "model_version": self.model_version,
            "steps": [[s.threshold, s.accepted, s.errors, s.p_value] for s in self.steps],
        }


def binomial_p_value(errors: ArrayLike, accepted: ArrayLike, alpha: float) -> Floats:
    """P(X <= errors) for X ~ Binomial(accepted, alpha): valid for "the error rate exceeds alpha".

    Source: Angelopoulos, Bates, Candès, Jordan & Lei (2021, arXiv:2110.01052); exact for a 0/1 loss.
    """
    return np.asarray(stats.binom.cdf(errors, accepted, alpha), dtype=np.float64)


@lru_cache(maxsize=4096)
def least_accepted(*, errors: int, alpha: float, delta: float) -> int:
    """The smallest n for which `errors` wrong among n accepted have p <= delta.

    With alpha 1 % and delta 5 %: 299 without an error, 473 with one.
    """
    _check_levels(alpha, delta)
    # P(Binomial(n, alpha) <= k) = P(n - k failures or more before success k + 1): its quantile is the start.
    n = max(errors + 1, int(stats.nbinom.isf(delta, errors + 1, alpha)) + errors - 1)
    while binomial_p_value(errors, n, alpha) > delta:
        n += 1
    while n > errors + 1 and binomial_p_value(errors, n - 1, alpha) <= delta:
        n -= 1
    return n


def default_first_errors(sample_size: int, *, alpha: float, delta: float) -> int:
    """How many errors the strictest threshold forgives: as many as a quarter of the sample allows, one if half does.

    With none forgiven, a single mistake among the surest, be it the network's or an audit label's, ends the walk before
    it begins. Where 1 % of all are such mistakes, 250 subjects at 5 % certified nothing in 47 % of simulated campaigns
    with none forgiven and in 26 % with one, and where there are none both reach 92 % of what an oracle accepts.
    """
    errors = 0
    while True:
        asked = least_accepted(errors=errors + 1, alpha=alpha, delta=delta)
        if asked > sample_size / (2 if errors == 0 else 4):
            return errors
        errors += 1


def enough_for_calibration(*, alpha: float, delta: float) -> int:
    """How many calibration subjects accept most of what can be accepted.

    Four times the least number that can certify anything: 1,196 at 1 % and 236 at 5 %, with delta 5 %. Over four
    simulated archives (`tests/benchmarks/accept_guarantee.py`, 100 campaigns each) these reach on average 92 % of what
    an oracle accepts, in the worst of the four 87 % and 86 %. Twice as many reach 95 %; 500 at 1 % only half.
    """
    return 4 * least_accepted(errors=0, alpha=alpha, delta=delta)


def grid_from_calibration(
    scores: ArrayLike, *, alpha: float, delta: float, first_errors: int | None = None, growth: float = 1.01
) -> Floats:
    """Thresholds from strict to loose, at ranks of the calibration sample's own scores; it sees no labels.

    The first is the score at which the n accepted can first pass with `first_errors` wrong (299 for none at
    1 % and 5 %, 473 for one); each next one accepts `growth` times as many. Given the score of rank n + 1, the
    n above it are independent draws from the subjects that score higher, so each single test is exact; the
    sequence is, when stricter thresholds do not err more often. Where that may fail, take `grid_from_pool`.

    Args:
        scores: (N,) as in `CalibrationSample`; negative ones are never accepted.
        alpha: Level of the error rate.
        delta: Level of the guarantee.
        first_errors: How many errors the first step forgives; `default_first_errors` when omitted.
        growth: Ratio of the numbers accepted at neighbouring steps, >= 1.

    Returns:
        Falling thresholds; empty when the sample is too small for the first step.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if first_errors is None:
        first_errors = default_first_errors(len(scores), alpha=alpha, delta=delta)
    ranks = _growing(least_accepted(errors=first_errors, alpha=alpha, delta=delta), len(scores), growth)
    thresholds = _unique_falling(np.sort(scores)[::-1][ranks - 1])
    return thresholds[thresholds >= 0]


def grid_from_pool(
    pool_scores: ArrayLike,
    *,
    sample_size: int,
    alpha: float,
    delta: float,
    first_errors: int | None = None,
    growth: float = 1.01,
) -> Floats:
    """Thresholds from strict to loose, at quantiles of scores that are independent of the calibration sample.

    A grid fixed beforehand: the guarantee then holds for any relation between score and error. The first step
    expects two standard deviations more than the least number, lest the sample has too few there by chance.

    Args:
        pool_scores: (M,) scores of the same model version on other subjects of the same stratum.
        sample_size: Subjects in the calibration sample.
        alpha: Level of the error rate.
        delta: Level of the guarantee.
        first_errors: How many errors the first step forgives; `default_first_errors` when omitted.
        growth: Ratio of the numbers accepted at neighbouring steps, >= 1.
    """
    pool_scores = np.asarray(pool_scores, dtype=np.float64)
    if first_errors is None:
        first_errors = default_first_errors(sample_size, alpha=alpha, delta=delta)
    least = least_accepted(errors=first_errors, alpha=alpha, delta=delta)
    counts = _growing(least + int(np.ceil(2 * np.sqrt(least))), sample_size, growth)
    if len(pool_scores) == 0 or len(counts) == 0:
        return np.empty(0)
    # In whole numbers: a rounded product may pass the pool's size.
    ranks = -(-counts * len(pool_scores) // sample_size)
    thresholds = _unique_falling(np.sort(pool_scores)[::-1][ranks - 1])
    return thresholds[thresholds >= 0]


def check_blind(sample: CalibrationSample, *, trained_ids: ArrayLike) -> None:
    """Refuses a sample on which no guarantee would hold.

    Args:
        sample: What is to calibrate a model version.
        trained_ids: Ids of all subjects that this version was trained or selected on.

    Raises:
        UnreservedCalibrationError: The sample was not reserved for this version.
        ContaminatedCalibrationError: Some of its subjects were trained on.
    """
    if sample.reserved_for is None or sample.reserved_for != sample.model_version:
        raise UnreservedCalibrationError(
            f"The calibration sample was not reserved blind for model version {sample.model_version}.",
            hint="Draw it before active learning takes anything: on what that leaves the guarantee breaks.",
        )
    shared = np.intersect1d(sample.subject_ids, np.asarray(trained_ids, dtype=np.int64))
    if len(shared):
        raise ContaminatedCalibrationError(
            f"{len(shared)} of {len(sample.subject_ids)} calibration subjects were trained on, "
            f"the first is {shared[0]}.",
            hint="Reserved subjects must never enter a training set.",
        )


def certify_threshold(
    sample: CalibrationSample,
    *,
    alpha: float,
    delta: float,
    trained_ids: ArrayLike,
    grid: ArrayLike | None = None,
) -> Certificate:
    """The loosest threshold of the grid that fixed-sequence Learn-then-Test certifies.

    From the strictest threshold on, the binomial p-value of the errors among the accepted is compared with
    delta; the first larger one ends the walk. By the closed order of the tests no correction is needed, and
    P(error rate among the accepted > alpha) <= delta over calibration samples. Source: Angelopoulos, Bates,
    Candès, Jordan & Lei (2021, "Learn then Test", arXiv:2110.01052), sections 2.3 and 3.1.

    Args:
        sample: Reserved blind for the version that scored it.
        alpha: Largest error rate among the accepted, in (0, 1).
        delta: Probability with which it may be exceeded, in (0, 1).
        trained_ids: Ids of all subjects that this version was trained or selected on.
        grid: Falling thresholds chosen without the sample's labels; `grid_from_calibration` when omitted.

    Raises:
        UnreservedCalibrationError: The sample was not reserved for this version.
        ContaminatedCalibrationError: Some of its subjects were trained on.
        SelectionInputError: Levels out of range or a grid that does not fall.
    """
    _check_levels(alpha, delta)
    check_blind(sample, trained_ids=trained_ids)
    if grid is None:
        grid = grid_from_calibration(sample.scores, alpha=alpha, delta=delta)
    thresholds = np.asarray(grid, dtype=np.float64)
    if (np.diff(thresholds) >= 0).any():
        raise SelectionInputError("The thresholds of a grid must fall.")

    order = np.argsort(-sample.scores, kind="stable")
    errors_up_to = np.concatenate([[0], np.cumsum(~sample.correct[order])])
    accepted = np.searchsorted(-sample.scores[order], -thresholds, side="right")
    errors = errors_up_to[accepted]
    p_values = binomial_p_value(errors, accepted, alpha)
    failed = np.flatnonzero(p_values > delta)
    passed = int(failed[0]) if len(failed) else len(thresholds)
    tested = slice(0, passed + 1)
    return Certificate(
        threshold=float(thresholds[passed - 1]) if passed else None,
        alpha=alpha,
        delta=delta,
        sample_size=len(sample.scores),
        model_version=sample.model_version,
        steps=tuple(
            Step(float(t), int(n), int(k), float(p))
            for t, n, k, p in zip(thresholds[tested], accepted[tested], errors[tested], p_values[tested], strict=True)
        ),
    )


def expected_information(
    probabilities: ArrayLike, *, confusion_matrix: ArrayLike | None = None, skill: float = 0.7
) -> Floats:
    """Bits about the answer that one more vote is expected to give: the order among the routed.

    The mutual information I(answer; vote) = H(sum_k p_k C_k) - sum_k p_k H(C_k) (Lindley 1956, Ann. Math.
    Stat. 27, 986). Zero where the answer is certain, and where nobody can tell.

    Args:
        probabilities: (N, K) current beliefs; a row's sum is one.
        confusion_matrix: (K, K) rows P(vote | answer) of a typical volunteer.
        skill: When there is no matrix: the diagonal of one whose other entries are equal.

    Returns:
        (N,) bits, >= 0.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or p.shape[1] < 2:
        raise SelectionInputError("Probabilities must have shape (N, K) with K >= 2.")
    answers = p.shape[1]
    if confusion_matrix is None:
        confusion = np.full((answers, answers), (1 - skill) / (answers - 1))
        np.fill_diagonal(confusion, skill)
    else:
        confusion = np.asarray(confusion_matrix, dtype=np.float64)
    if confusion.shape != (answers, answers):
        raise SelectionInputError(f"The confusion matrix must have shape ({answers}, {answers}).")
    vote = p @ confusion
    gain = -xlogy(vote, vote).sum(axis=1) + p @ xlogy(confusion, confusion).sum(axis=1)
    return np.asarray(np.maximum(gain, 0.0) / np.log(2), dtype=np.float64)


def information_order(probabilities: ArrayLike, **settings: Any) -> NDArray[np.int64]:
    """(N,) positions, the most informative vote first; equals keep their order. Settings as above."""
    return np.argsort(-expected_information(probabilities, **settings), kind="stable")


def _growing(first: int, last: int, growth: float) -> NDArray[np.int64]:
    counts: list[int] = []
    count = first
    while count <= last:
        counts.append(count)
        count = max(count + 1, int(count * growth))
    if counts and counts[-1] != last:
        counts.append(last)
    return np.array(counts, dtype=np.int64)


def _unique_falling(thresholds: Floats) -> Floats:
    return np.asarray(np.unique(thresholds)[::-1], dtype=np.float64)


def _check_levels(alpha: float, delta: float) -> None:
    if not (0 < alpha < 1 and 0 < delta < 1):
        raise SelectionInputError(f"alpha {alpha} and delta {delta} must lie between 0 and 1.")
