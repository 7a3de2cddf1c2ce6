"""Thresholds keep their promise over many campaigns, and votes go where they tell most."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from classifier.selection import (
    CalibrationSample,
    ContaminatedCalibrationError,
    SelectionInputError,
    UnreservedCalibrationError,
    binomial_p_value,
    certify_threshold,
    default_first_errors,
    expected_information,
    grid_from_calibration,
    grid_from_pool,
    information_order,
    least_accepted,
)


def sample(scores, correct, *, version="7", reserved_for="7"):
    return CalibrationSample(
        subject_ids=np.arange(len(scores)),
        scores=np.asarray(scores),
        correct=np.asarray(correct),
        model_version=version,
        reserved_for=reserved_for,
    )


# The smallest samples


def test_one_percent_at_five_needs_299_without_an_error_473_with_one_and_628_with_two():
    assert [least_accepted(errors=k, alpha=0.01, delta=0.05) for k in range(3)] == [299, 473, 628]


@given(errors=st.integers(0, 20), alpha=st.floats(0.002, 0.5), delta=st.floats(0.001, 0.5))
@settings(max_examples=60, deadline=None)
def test_the_least_number_passes_and_one_fewer_does_not(errors, alpha, delta):
    n = least_accepted(errors=errors, alpha=alpha, delta=delta)
    assert stats.binom.cdf(errors, n, alpha) <= delta
    assert n == errors + 1 or stats.binom.cdf(errors, n - 1, alpha) > delta


@given(errors=st.integers(0, 10), extra=st.integers(0, 300), alpha=st.floats(0.01, 0.4))
def test_the_p_value_is_a_binomial_tail(errors, extra, alpha):
    n = errors + extra
    expected = sum(stats.binom.pmf(k, n, alpha) for k in range(errors + 1))
    assert float(binomial_p_value(errors, n, alpha)) == pytest.approx(expected, rel=1e-6)


# Grids


def test_the_grid_starts_where_the_least_number_is_accepted():
    scores = np.random.default_rng(0).random(1000)
    grid = grid_from_calibration(scores, alpha=0.01, delta=0.05, first_errors=0)
    assert (scores >= grid[0]).sum() == 299
    assert (scores >= grid[-1]).sum() == 1000
    assert (np.diff(grid) < 0).all()
    assert (scores >= grid_from_calibration(scores, alpha=0.01, delta=0.05, first_errors=1)[0]).sum() == 473


def test_a_sample_below_the_least_number_has_no_grid_and_no_threshold():
    scores = np.linspace(0, 1, 298)
    assert len(grid_from_calibration(scores, alpha=0.01, delta=0.05)) == 0
    certificate = certify_threshold(sample(scores, scores >= 0), alpha=0.01, delta=0.05, trained_ids=[])
    assert certificate.threshold is None
    assert certificate.steps == ()
    assert certificate.accepted == 0


def test_what_other_rules_forbid_is_never_accepted():
    scores = np.where(np.arange(1000) < 400, -1.0, 0.9)
    certificate = certify_threshold(sample(scores, np.ones(1000)), alpha=0.01, delta=0.05, trained_ids=[])
    assert certificate.threshold == 0.9
    assert certificate.accepted == 600


def test_a_grid_from_the_pool_expects_more_than_the_least_number():
    pool = np.random.default_rng(0).random(20_000)
    grid = grid_from_pool(pool, sample_size=1000, alpha=0.01, delta=0.05, first_errors=0)
    assert 299 < 1000 * (pool >= grid[0]).mean() < 350
    assert len(grid_from_pool(pool, sample_size=300, alpha=0.01, delta=0.05)) == 0


@given(pool=st.integers(1, 10_000), size=st.integers(300, 2000))
@settings(max_examples=60, deadline=None)
def test_a_grid_from_a_pool_of_any_size_ends_at_its_lowest_score(pool, size):
    scores = np.linspace(0.1, 1, pool)
    grid = grid_from_pool(scores, sample_size=size, alpha=0.05, delta=0.05)
    assert grid[-1] == scores[0]
    assert (np.diff(grid) < 0).all()


def test_the_first_step_forgives_what_a_quarter_of_the_sample_allows_and_one_if_half_does():
    scores = np.random.default_rng(0).random(2000)
    grid = grid_from_calibration(scores, alpha=0.01, delta=0.05)
    assert (scores >= grid[0]).sum() == 473
    assert default_first_errors(1000, alpha=0.01, delta=0.05) == 1  # 473 of 500
    assert default_first_errors(900, alpha=0.01, delta=0.05) == 0
    assert default_first_errors(1000, alpha=0.05, delta=0.05) == 6


# The walk


def test_the_walk_stops_at_the_first_failure_and_keeps_its_evidence():
    scores = np.linspace(1, 0, 1000)
    correct = np.ones(1000, dtype=bool)
    correct[600:640] = False
    certificate = certify_threshold(sample(scores, correct), alpha=0.01, delta=0.05, trained_ids=[5000])
    *passed, last = certificate.steps
    assert all(step.p_value <= 0.05 for step in passed)
    assert last.p_value > 0.05
    assert certificate.threshold == passed[-1].threshold
    assert (certificate.accepted, certificate.errors) == (passed[-1].accepted, passed[-1].errors)
    assert 560 < certificate.accepted < 650
    for step in certificate.steps:
        accepted = scores >= step.threshold
        assert step.accepted == accepted.sum()
        assert step.errors == (~correct[accepted]).sum()
        assert step.p_value == pytest.approx(stats.binom.cdf(step.errors, step.accepted, 0.01))
    assert json.loads(json.dumps(certificate.as_json()))["threshold"] == certificate.threshold


def test_errors_at_the_very_top_end_the_walk_at_its_start():
    correct = np.ones(1000, dtype=bool)
    correct[:2] = False  # one is forgiven
    certificate = certify_threshold(sample(np.linspace(1, 0, 1000), correct), alpha=0.01, delta=0.05, trained_ids=[])
    assert certificate.threshold is None
    assert len(certificate.steps) == 1


def test_without_errors_everything_is_accepted():
    scores = np.linspace(1, 0.2, 400)
    certificate = certify_threshold(sample(scores, np.ones(400)), alpha=0.01, delta=0.05, trained_ids=[])
    assert certificate.threshold == pytest.approx(0.2)
    assert certificate.accepted == 400


@given(seed=st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_the_order_of_the_sample_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 30, 400) / 30
    correct = rng.random(400) < 0.9 + 0.1 * scores
    order = rng.permutation(400)
    one = certify_threshold(sample(scores, correct), alpha=0.05, delta=0.1, trained_ids=[])
    two = certify_threshold(sample(scores[order], correct[order]), alpha=0.05, delta=0.1, trained_ids=[])
    assert one == two


def test_a_grid_that_does_not_fall_is_refused():
    with pytest.raises(SelectionInputError):
        certify_threshold(sample([0.5] * 400, [True] * 400), alpha=0.01, delta=0.05, trained_ids=[], grid=[0.4, 0.5])


@pytest.mark.parametrize("levels", [(0, 0.05), (1, 0.05), (0.01, 0), (0.01, 1)])
def test_levels_lie_between_zero_and_one(levels):
    with pytest.raises(SelectionInputError):
        certify_threshold(sample([0.5], [True]), alpha=levels[0], delta=levels[1], trained_ids=[])


# Refusals


@pytest.mark.parametrize("reserved_for", [None, "6"])
def test_a_sample_not_reserved_for_this_version_is_refused(reserved_for):
    leftover = sample(np.ones(400), np.ones(400), reserved_for=reserved_for)
    with pytest.raises(UnreservedCalibrationError):
        certify_threshold(leftover, alpha=0.01, delta=0.05, trained_ids=[])


def test_a_sample_that_was_trained_on_is_refused_and_its_first_subject_named():
    with pytest.raises(ContaminatedCalibrationError, match="is 17"):
        certify_threshold(sample(np.ones(400), np.ones(400)), alpha=0.01, delta=0.05, trained_ids=[900, 17, 30])


@pytest.mark.parametrize(
    "changes",
    [
        {"scores": np.ones(3)},
        {"correct": np.ones(5)},
        {"subject_ids": np.zeros(4)},
        {"scores": np.array([np.nan, 1, 1, 1])},
    ],
)
def test_a_sample_that_contradicts_itself_is_refused(changes):
    with pytest.raises(SelectionInputError):
        replace(sample(np.ones(4), np.ones(4)), **changes)


# The guarantee, over whole campaigns


@dataclass
class Archive:
    """Subjects whose hidden hardness drives both the scores of two model versions and the chance of an error."""

    score: np.ndarray
    earlier_score: np.ndarray
    chance: np.ndarray

    def true_error(self, threshold: float) -> float:
        accepted = self.score >= threshold
        return float(1 - self.chance[accepted].mean()) if accepted.any() else 0.0


@pytest.fixture(scope="module")
def archive():
    rng = np.random.default_rng(1)
    hardness = rng.random(60_000)

    def scored():
        return stats.logistic.cdf(8 - 8 * hardness + rng.normal(size=len(hardness)))

    return Archive(score=scored(), earlier_score=scored(), chance=stats.logistic.cdf(12 - 14 * hardness))


def violations(archive, drawn_from, *, alpha, size, campaigns=250, grid_of=None):
    """How many campaigns, calibrating on draws from these subjects, err more than alpha on the archive."""
    rng = np.random.default_rng(2)
    count, certified = 0, 0
    for _ in range(campaigns):
        subjects = rng.choice(drawn_from, size, replace=False)
        calibration = sample(archive.score[subjects], rng.random(size) < archive.chance[subjects])
        grid = None if grid_of is None else grid_of(size)
        certificate = certify_threshold(calibration, alpha=alpha, delta=0.05, trained_ids=[], grid=grid)
        if certificate.threshold is not None:
            certified += 1
            count += archive.true_error(certificate.threshold) > alpha
    assert certified > 0.5 * campaigns, "a guarantee kept by accepting nothing proves nothing"
    return count


@pytest.mark.parametrize(("alpha", "size"), [(0.01, 1600), (0.05, 400)])
def test_the_guarantee_holds_on_a_reserved_sample(archive, alpha, size):
    everything = np.arange(len(archive.score))
    count = violations(archive, everything, alpha=alpha, size=size)
    assert count <= stats.binom.ppf(0.999, 250, 0.05)


def test_the_guarantee_holds_on_a_grid_from_the_pool(archive):
    everything = np.arange(len(archive.score))

    def grid_of(size):
        return grid_from_pool(archive.score, sample_size=size, alpha=0.05, delta=0.05)

    count = violations(archive, everything, alpha=0.05, size=400, grid_of=grid_of)
    assert count <= stats.binom.ppf(0.999, 250, 0.05)


def test_calibrating_on_what_active_learning_left_over_breaks_the_guarantee(archive):
    # The earlier version sent its least certain half to the volunteers; what is left is easier than the archive.
    leftover = np.flatnonzero(archive.earlier_score > np.median(archive.earlier_score))
    count = violations(archive, leftover, alpha=0.05, size=400)
    assert count > stats.binom.ppf(0.999, 250, 0.05)
    assert count > 0.5 * 250


# The order of the routed


def test_a_vote_tells_most_about_an_even_belief_and_nothing_about_a_certain_one():
    bits = expected_information([[0.5, 0.5], [0.9, 0.1], [1.0, 0.0]])
    assert bits[0] > bits[1] > bits[2] == pytest.approx(0, abs=1e-12)
    assert bits[0] == pytest.approx(1 - stats.entropy([0.7, 0.3], base=2))


def test_a_volunteer_who_guesses_tells_nothing():
    assert expected_information([[0.5, 0.3, 0.2]], skill=1 / 3)[0] == pytest.approx(0, abs=1e-12)


def test_a_perfect_volunteer_tells_the_entropy_of_the_belief():
    belief = [0.5, 0.3, 0.2]
    assert expected_information([belief], skill=1.0)[0] == pytest.approx(stats.entropy(belief, base=2))


@given(seed=st.integers(0, 10**6), answers=st.integers(2, 6))
@settings(max_examples=50, deadline=None)
def test_information_is_between_zero_and_the_entropy_of_the_belief(seed, answers):
    rng = np.random.default_rng(seed)
    beliefs = rng.dirichlet(np.ones(answers), size=5)
    confusion = rng.dirichlet(np.ones(answers), size=answers)
    bits = expected_information(beliefs, confusion_matrix=confusion)
    assert (bits >= 0).all()
    assert (bits <= stats.entropy(beliefs, axis=1, base=2) + 1e-9).all()


def test_the_most_informative_comes_first_and_equals_keep_their_order():
    assert information_order([[0.9, 0.1], [0.5, 0.5], [0.1, 0.9], [0.6, 0.4]]).tolist() == [1, 3, 0, 2]


@pytest.mark.parametrize("confusion", [np.eye(3), np.ones((2, 3))])
def test_a_confusion_matrix_of_another_size_is_refused(confusion):
    with pytest.raises(SelectionInputError):
        expected_information([[0.5, 0.5]], confusion_matrix=confusion)
