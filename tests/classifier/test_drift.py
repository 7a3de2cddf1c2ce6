"""Drift's statistics: control limits, differences of distributions, reliability with what chance does to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from classifier import drift

SCORES = st.lists(st.floats(0, 1), max_size=60)


@given(SCORES, SCORES)
def test_every_score_is_counted_once_and_counts_of_parts_add_up(some: list[float], others: list[float]) -> None:
    counts = drift.count_scores(some + others)
    assert counts.shape == (drift.SCORE_BINS,)
    assert counts.sum() == len(some) + len(others)
    assert (counts == drift.count_scores(some) + drift.count_scores(others)).all()


def test_a_bin_holds_its_lower_edge_and_a_score_of_one_is_in_the_last() -> None:
    edges = drift.score_edges()
    assert (drift.count_scores(edges)[1:] == 1).all()
    assert drift.count_scores([1.0])[-1] == 1
    assert drift.count_scores([0.0])[0] == 1
    assert edges[3] == pytest.approx(0.9)


@settings(max_examples=60)
@given(n=st.integers(1, 1500), hits=st.integers(0, 40), others=st.integers(0, 2000))
def test_limits_are_those_of_the_beta_binomial(n: int, hits: int, others: int) -> None:
    limits = drift.control_limits(n, reference_hits=hits, reference_n=hits + others)
    exact = stats.betabinom(n, hits + 0.5, others + 0.5)
    counts = np.arange(n + 1)
    inside = exact.pmf(counts)[(counts / n >= limits.low - 1e-12) & (counts / n <= limits.high + 1e-12)].sum()
    # The approximation beyond a thousand keeps nearly the same share inside.
    assert inside >= 1 - 2 * drift.LIMIT_TAIL - (1e-9 if n <= drift.EXACT_UP_TO else 2e-3)
    assert 0 <= limits.low <= limits.high <= 1


def test_with_a_large_reference_the_limits_are_the_binomials() -> None:
    limits = drift.control_limits(500, reference_hits=10**6, reference_n=10**8)
    assert limits.high * 500 == pytest.approx(stats.binom.isf(drift.LIMIT_TAIL, 500, 0.01), abs=1)


def test_unchanged_nights_leave_the_limits_as_seldom_as_promised() -> None:
    random = np.random.default_rng(1)
    left, nights = 0, 1500
    for _ in range(nights):
        level = random.beta(5.5, 495.5)
        hits = random.binomial(1000, level)
        limits = drift.control_limits(300, reference_hits=hits, reference_n=1000)
        share = random.binomial(300, level) / 300
        left += share < limits.low or share > limits.high
    assert left <= stats.binom.isf(1e-4, nights, 2 * drift.LIMIT_TAIL)


@pytest.mark.parametrize(("hits", "n", "new"), [(-1, 10, 5), (11, 10, 5), (1, 10, 0)])
def test_counts_that_cannot_be_have_no_limits(hits: int, n: int, new: int) -> None:
    with pytest.raises(drift.DriftInputError) as refused:
        drift.control_limits(new, reference_hits=hits, reference_n=n)
    assert refused.value.code == "drift_input"


def test_samples_of_one_distribution_seldom_differ_and_others_do() -> None:
    random = np.random.default_rng(2)

    def draw(size: int, *, doubt: float) -> np.ndarray:
        return drift.count_scores(1 - 10 ** -random.gamma(3, doubt, size))

    same = [drift.measure_shift(draw(2000, doubt=0.6), draw(500, doubt=0.6)) for _ in range(200)]
    assert sum(shift.index_p < 0.05 for shift in same) <= stats.binom.isf(1e-4, 200, 0.05)
    assert sum(shift.distance_p < 0.05 for shift in same) <= stats.binom.isf(1e-4, 200, 0.05)
    assert {shift.verdict for shift in same} == {"same"}
    moved = drift.measure_shift(draw(2000, doubt=0.4), draw(500, doubt=0.6))
    assert moved.verdict == "changed"
    assert moved.index_p < 1e-6
    assert moved.distance_p < 1e-6


def test_the_distance_is_kolmogorovs_of_the_binned_scores() -> None:
    random = np.random.default_rng(3)
    edges = np.concatenate([[0.0], drift.score_edges()])
    a, b = (edges[random.integers(0, drift.SCORE_BINS, n)] for n in (300, 200))
    shift = drift.measure_shift(drift.count_scores(a), drift.count_scores(b))
    peer = stats.ks_2samp(a, b, method="asymp")
    assert shift.distance == pytest.approx(peer.statistic)
    assert shift.distance_p == pytest.approx(peer.pvalue, rel=0.2)


@given(SCORES.filter(bool), SCORES.filter(bool))
def test_the_index_is_never_negative_and_the_same_from_both_sides(some: list[float], others: list[float]) -> None:
    a, b = drift.count_scores(some), drift.count_scores(others)
    shift, back = drift.measure_shift(a, b), drift.measure_shift(b, a)
    assert shift.index >= 0
    assert shift.index == pytest.approx(back.index)
    assert 0 <= shift.distance_p <= 1
    assert drift.measure_shift(a, a).index == pytest.approx(0)


@pytest.mark.parametrize("counts", [[1, 2], [-1] * drift.SCORE_BINS, [0] * drift.SCORE_BINS])
def test_counts_of_other_bins_or_of_nothing_are_refused(counts: list[int]) -> None:
    with pytest.raises(drift.DriftInputError):
        drift.measure_shift(counts, [1] * drift.SCORE_BINS)


def test_a_calibrated_machine_is_no_surprise_and_an_overconfident_one_is() -> None:
    random = np.random.default_rng(4)
    surprises = 0
    for _ in range(200):
        n = random.integers(0, 200, 15)
        p = (np.arange(15) + 0.5) / 15
        check = drift.check_reliability(n, random.binomial(n, p), n * p)
        surprises += check.surprising
    assert surprises <= stats.binom.isf(1e-4, 200, 0.05)
    n = np.full(15, 200)
    assert drift.check_reliability(n, random.binomial(n, p * 0.8), n * p).surprising


def test_the_error_by_chance_is_what_a_calibrated_machine_shows_on_average() -> None:
    random = np.random.default_rng(5)
    n, p = np.array([0, 12, 40, 300]), np.array([0.2, 0.5, 0.8, 0.97])
    found = [drift.check_reliability(n, random.binomial(n, p), n * p) for _ in range(1000)]
    mean = np.mean([check.expected_calibration_error for check in found])
    assert found[0].error_by_chance == pytest.approx(mean, rel=0.05)
    assert len(found[0].bins) == 3


def test_intervals_are_exact_and_an_empty_bin_is_left_out() -> None:
    check = drift.check_reliability([0, 10, 3], [0, 10, 0], [0.0, 9.5, 1.0])
    sure, unsure = check.bins
    assert (sure.low, sure.high) == pytest.approx((0.6915, 1.0), abs=1e-4)
    assert (unsure.low, unsure.high) == pytest.approx((0.0, 0.7076), abs=1e-4)
    assert drift.clopper_pearson(0, 0) == (0.0, 1.0)
    assert np.isnan(drift.check_reliability([0], [0], [0.0]).expected_calibration_error)
    with pytest.raises(drift.DriftInputError):
        drift.check_reliability([1], [2], [0.5])
