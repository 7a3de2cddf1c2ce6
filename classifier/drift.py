"""Whether what comes in today is like what the machine was calibrated on. Pure: numbers of subjects in, verdicts out.

Three things are watched: the share out of distribution in each night, the scores of each batch, and how often the
machine is right at each probability. All three are compared as counts, so that what is stored is small and adds up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import betaincinv, betaln, gammaln, kolmogorov, xlog1py, xlogy

from classifier.errors import EsocsError

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

# Scores crowd at one, so a bin is a quarter of a power of ten of the doubt 1 − score: 0, 0.44, 0.68, 0.82, 0.9, …
BINS_PER_DECADE = 4
DECADES = 5
SCORE_BINS = BINS_PER_DECADE * DECADES + 1
# Shewhart's three standard deviations on each side of a normal distribution.
LIMIT_TAIL = float(stats.norm.sf(3.0))
# Below a tenth a population counts as unchanged, above a quarter as another one (Siddiqi 2006).
PSI_NOTICED, PSI_CHANGED = 0.1, 0.25
# A share of fewer subjects than this is too uncertain to be a bin of its own.
LEAST_EXPECTED = 5.0
EXACT_UP_TO = 1_000


class DriftInputError(EsocsError):
    """Counts that cannot be: negative, more of a part than of the whole, or of other bins."""

    code = "drift_input"
    status = 422


def score_edges() -> Floats:
    """(SCORE_BINS − 1,) the scores at which a new bin begins: 1 − 10^(−i/4), from the second bin on."""
    return np.asarray(1 - 10.0 ** -(np.arange(1, SCORE_BINS) / BINS_PER_DECADE), dtype=np.float64)


def count_scores(scores: ArrayLike) -> Counts:
    """(SCORE_BINS,) how many of (N,) scores in [0, 1] fall into each bin; a bin holds its lower edge."""
    places = np.searchsorted(score_edges(), np.asarray(scores, dtype=np.float64), side="right")
    return np.bincount(places, minlength=SCORE_BINS).astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Where a share of n subjects is expected to lie.

    Attributes:
        low: smallest share that is no surprise.
        high: largest.
    """

    low: float
    high: float


def control_limits(n: int, *, reference_hits: int, reference_n: int, tail: float = LIMIT_TAIL) -> Limits:
    """The control limits of a share among `n` new subjects, given how many of the reference were hits.

    A p-chart (Shewhart 1931, "Economic control of quality of manufactured product") with exact tails. The level is
    itself known from `reference_n` subjects only, so the count is beta-binomial: Binomial(n, q) with q of the
    posterior Beta(hits + ½, others + ½) under Jeffreys' prior (Brown, Cai & DasGupta 2001, Stat. Sci. 16, 101). With a
    large reference this is the binomial. Beyond a thousand subjects the Beta distribution of the same mean and
    variance stands for it.

    Args:
        n: subjects of the night.
        reference_hits: out of distribution in the reference.
        reference_n: subjects of the reference.
        tail: probability that an unchanged night lies above (and as much below).

    Raises:
        DriftInputError: counts that cannot be.
    """
    if not 0 <= reference_hits <= reference_n or n < 1:
        raise DriftInputError(f"{reference_hits} of {reference_n}, and {n} new ones: these counts cannot be.")
    a, b = reference_hits + 0.5, reference_n - reference_hits + 0.5
    if n <= EXACT_UP_TO:
        k = np.arange(n + 1)
        log = betaln(k + a, n - k + b) - betaln(a, b) - betaln(n - k + 1, k + 1) - np.log(n + 1)
        below = np.exp(log).cumsum()
        # The first count whose tail reaches `tail` is the smallest that is no surprise; likewise from above.
        low, high = int(np.searchsorted(below, tail)), int(np.searchsorted(below, 1 - tail))
        return Limits(low=low / n, high=min(high, n) / n)
    mean, spread = a / (a + b), 1 / (a + b + 1)
    # The variance of the share, and the Beta distribution that has it.
    size = n / (1 + (n - 1) * spread) - 1
    low_share, high_share = betaincinv(mean * size, (1 - mean) * size, [tail, 1 - tail])
    # Whole subjects, so that a night without any is inside where nothing is expected.
    return Limits(low=float(np.floor(low_share * n)) / n, high=float(np.ceil(high_share * n)) / n)


@dataclass(frozen=True, kw_only=True)
class Shift:
    """How far a distribution over bins lies from the reference's.

    Attributes:
        index: population stability index, ≥ 0; 0 where both are the same.
        index_p: probability of one as large without a change.
        distance: Kolmogorov–Smirnov: largest difference of the cumulative shares, in [0, 1].
        distance_p: probability of one as large without a change, at most.
        subjects: of the new counts.
        reference: of the reference's.
    """

    index: float
    index_p: float
    distance: float
    distance_p: float
    subjects: int
    reference: int

    @property
    def verdict(self) -> str:
        """`changed`, `noticed` or `same`: by the index's size, where chance alone does not explain it."""
        if self.index_p >= 0.001 or self.index < PSI_NOTICED:
            return "same"
        return "changed" if self.index >= PSI_CHANGED else "noticed"


def measure_shift(counts: ArrayLike, reference: ArrayLike) -> Shift:
    """Compare counts over the same bins.

    The index is Σ (a − b) ln(a / b) over the shares a and b (Siddiqi 2006, "Credit risk scorecards"); neighbouring
    bins are joined until each holds five expected subjects, and half a subject is added to each, so that no share is
    zero. Without a change it is near (1/n + 1/m) χ² with one degree of freedom less than bins (Yurdakul & Naranjo 2020,
    J. Risk Model Valid. 14(4)). The distance's p-value is Smirnov's limit (1939); counted in bins it is an upper bound.

    Raises:
        DriftInputError: other bins, or an empty side.
    """
    new, old = np.asarray(counts, dtype=np.int64), np.asarray(reference, dtype=np.int64)
    if new.shape != old.shape or new.ndim != 1 or (new < 0).any() or (old < 0).any():
        raise DriftInputError("Both must be counts over the same bins.")
    n, m = int(new.sum()), int(old.sum())
    if n == 0 or m == 0:
        raise DriftInputError("There is nothing to compare.")
    distance = float(np.abs(new.cumsum() / n - old.cumsum() / m).max())
    groups = _join_bins((new + old) * min(n, m) / (n + m))
    a = np.add.reduceat(new, groups) + 0.5
    b = np.add.reduceat(old, groups) + 0.5
    share, expected = a / a.sum(), b / b.sum()
    index = float(((share - expected) * np.log(share / expected)).sum())
    freedom = len(groups) - 1
    return Shift(
        index=index,
        index_p=float(stats.chi2.sf(index / (1 / n + 1 / m), freedom)) if freedom else 1.0,
        distance=distance,
        distance_p=float(kolmogorov(distance * np.sqrt(n * m / (n + m)))),
        subjects=n,
        reference=m,
    )


def _join_bins(expected: Floats) -> list[int]:
    """The first bin of each group of neighbours that holds at least `LEAST_EXPECTED`; what is left joins the last."""
    starts, held = [0], 0.0
    for place, value in enumerate(expected[:-1]):
        held += value
        if held >= LEAST_EXPECTED:
            starts.append(place + 1)
            held = 0.0
    if len(starts) > 1 and held + expected[-1] < LEAST_EXPECTED:
        starts.pop()
    return starts


@dataclass(frozen=True, kw_only=True)
class ReliabilityBin:
    """One bin of a reliability diagram.

    Attributes:
        subjects: in it.
        confidence: their mean probability.
        accuracy: share of right answers.
        low: lower end of the 95 % interval of the accuracy.
        high: its upper end.
        surprising: whether the confidence lies outside an interval that all bins keep together with 95 %.
    """

    subjects: int
    confidence: float
    accuracy: float
    low: float
    high: float
    surprising: bool


@dataclass(frozen=True, kw_only=True)
class ReliabilityCheck:
    """A reliability diagram with what chance does to it.

    Attributes:
        bins: those with subjects, from unsure to sure.
        subjects: of all.
        expected_calibration_error: mean |accuracy − confidence| weighted by subjects (Naeini et al. 2015).
        error_by_chance: what it would be on average for a machine that is calibrated perfectly.
    """

    bins: tuple[ReliabilityBin, ...]
    subjects: int
    expected_calibration_error: float
    error_by_chance: float

    @property
    def surprising(self) -> bool:
        """Whether some bin's accuracy is not what the machine says, beyond chance."""
        return any(one.surprising for one in self.bins)


def check_reliability(
    subjects: ArrayLike, right: ArrayLike, probability_sums: ArrayLike, *, confidence: float = 0.95
) -> ReliabilityCheck:
    """The diagram of counts over bins of the machine's probability.

    Intervals are Clopper & Pearson's (1934, Biometrika 26, 404). A bin is a surprise if its confidence lies outside
    the interval at Bonferroni's level, so that a calibrated machine has one with a probability of at most 5 %. The mean
    absolute deviation of a binomial is de Moivre's (Diaconis & Zabell 1991, Stat. Sci. 6, 284).

    Args:
        subjects: (B,) in each bin.
        right: (B,) of them, how often the machine was.
        probability_sums: (B,) their probabilities, added up.
        confidence: of the intervals.

    Raises:
        DriftInputError: counts that cannot be.
    """
    n = np.asarray(subjects, dtype=np.int64)
    k = np.asarray(right, dtype=np.int64)
    p_sum = np.asarray(probability_sums, dtype=np.float64)
    if not n.shape == k.shape == p_sum.shape or (k < 0).any() or (k > n).any() or (p_sum > n + 1e-6).any():
        raise DriftInputError("More right answers, or probability, than subjects.")
    filled = np.flatnonzero(n)
    total = int(n.sum())
    alpha = 1 - confidence
    bins = []
    for i in filled:
        mean = float(min(p_sum[i] / n[i], 1.0))
        low, high = clopper_pearson(int(k[i]), int(n[i]), alpha=alpha)
        least, most = clopper_pearson(int(k[i]), int(n[i]), alpha=alpha / len(filled))
        bins.append(
            ReliabilityBin(
                subjects=int(n[i]),
                confidence=mean,
                accuracy=float(k[i] / n[i]),
                low=low,
                high=high,
                surprising=not least - 1e-9 <= mean <= most + 1e-9,
            )
        )
    gap = float(np.abs(k - p_sum).sum() / total) if total else float("nan")
    chance = sum(_mean_deviation(one.subjects, one.confidence) for one in bins) / total if total else float("nan")
    return ReliabilityCheck(
        bins=tuple(bins), subjects=total, expected_calibration_error=gap, error_by_chance=float(chance)
    )


def clopper_pearson(hits: int, n: int, *, alpha: float = 0.05) -> tuple[float, float]:
    """The exact two-sided interval of a share at confidence 1 − alpha; (0, 1) without subjects."""
    low = float(stats.beta.ppf(alpha / 2, hits, n - hits + 1)) if hits else 0.0
    high = float(stats.beta.ppf(1 - alpha / 2, hits + 1, n - hits)) if hits < n else 1.0
    return low, high


def _mean_deviation(n: int, p: float) -> float:
    """E|X − n p| of X ~ Binomial(n, p): 2 m C(n, m) p^m (1 − p)^(n − m + 1) with m the smallest whole number > n p."""
    if not 0 < p < 1:
        return 0.0
    m = int(np.floor(n * p)) + 1
    log = gammaln(n + 1) - gammaln(m + 1) - gammaln(n - m + 1) + xlogy(m, p) + xlog1py(n - m + 1, -p)
    return float(2 * m * np.exp(log))
