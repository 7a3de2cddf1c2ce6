"""Temperature, reliability and out-of-distribution p-values against what is known of them."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import distance
from scipy.special import softmax

from classifier.calibration import (
    CalibrationInputError,
    OutOfDistribution,
    Temperature,
    fit_out_of_distribution,
    fit_temperature,
    measure_reliability,
)


def drawn(*, count=4000, answers=4, sharpness=1.0, seed=0):
    """Probabilities that are `sharpness` times too sure in the log, and labels drawn from the honest ones."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(count, answers))
    honest = softmax(logits, axis=1)
    labels = (honest.cumsum(axis=1) > rng.random((count, 1))).argmax(axis=1)
    return softmax(sharpness * logits, axis=1), labels


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_too_much_or_too_little_confidence(sharpness):
    probabilities, labels = drawn(sharpness=sharpness)
    fitted = fit_temperature(probabilities, labels)
    assert fitted.value == pytest.approx(sharpness, rel=0.08)
    assert fitted.log_loss_after <= fitted.log_loss_before
    assert measure_reliability(fitted.apply(probabilities), labels).expected_calibration_error < 0.02


def test_soft_answers_fit_like_the_hard_ones_they_stand_for():
    probabilities, labels = drawn(sharpness=2)
    assert fit_temperature(probabilities, np.eye(4)[labels]).value == fit_temperature(probabilities, labels).value


@given(seed=st.integers(0, 10**6), value=st.floats(0.1, 10))
@settings(max_examples=30, deadline=None)
def test_a_temperature_keeps_sums_and_the_order_of_the_answers(seed, value):
    probabilities, _ = drawn(count=20, seed=seed)
    scaled = Temperature(value=value).apply(probabilities)
    np.testing.assert_allclose(scaled.sum(axis=1), 1, rtol=1e-5)
    assert scaled.dtype == np.float32
    assert (scaled.argmax(axis=1) == probabilities.argmax(axis=1)).all()


def test_temperature_one_changes_nothing():
    probabilities, _ = drawn(count=50)
    np.testing.assert_allclose(Temperature().apply(probabilities), probabilities, rtol=1e-4, atol=1e-6)


def test_a_probability_of_zero_for_the_right_answer_is_survived():
    probabilities = np.array([[1.0, 0.0], [0.0, 1.0]])
    fitted = fit_temperature(probabilities, [1, 1])
    assert np.isfinite(fitted.log_loss_after)
    assert np.isfinite(fitted.apply(probabilities)).all()


@pytest.mark.parametrize(
    ("probabilities", "answers"),
    [
        (np.empty((0, 3)), np.empty(0)),
        (np.full((2, 3), 1 / 3), [0, 3]),
        (np.full((2, 3), 1 / 3), [0]),
        (np.full((2, 3), np.nan), [0, 1]),
        (np.full(3, 1 / 3), [0]),
    ],
)
def test_a_temperature_is_not_fitted_on_nonsense(probabilities, answers):
    with pytest.raises(CalibrationInputError):
        fit_temperature(probabilities, answers)


def test_the_calibration_error_is_the_weighted_gap_over_equal_bins():
    probabilities = np.array([[0.9, 0.1]] * 10 + [[0.6, 0.4]] * 10)
    labels = np.array([0] * 8 + [1] * 2 + [0] * 6 + [1] * 4)
    reliability = measure_reliability(probabilities, labels, bins=10)
    assert reliability.counts.tolist() == [0, 0, 0, 0, 0, 10, 0, 0, 10, 0]
    assert reliability.expected_calibration_error == pytest.approx(0.5 * 0.1)


def test_a_certain_answer_falls_into_the_last_bin():
    reliability = measure_reliability(np.array([[1.0, 0.0]]), [0])
    assert reliability.counts[-1] == 1
    assert reliability.expected_calibration_error == 0


def sphere(count, *, centre, spread=0.2, seed=0):
    points = np.eye(8)[centre] + spread * np.random.default_rng(seed).normal(size=(count, 8))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def known():
    return fit_out_of_distribution(sphere(500, centre=0), sphere(300, centre=0, seed=1))


def test_known_subjects_get_uniform_p_values(known):
    p = known.p_values(sphere(2000, centre=0, seed=2))
    assert 0.005 < (p <= 0.01).mean() < 0.02 or (p <= 0.01).mean() < 0.015
    assert abs(p.mean() - 0.5) < 0.05


def test_a_cluster_never_seen_gets_the_smallest_p_value(known):
    assert (known.p_values(sphere(50, centre=3, seed=3)) == 1 / 301).all()


def test_the_distance_is_the_one_of_mahalanobis_where_there_are_many_subjects():
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(4, 4))
    reference = rng.normal(size=(100_000, 4)) @ mixing
    subjects = 3 * rng.normal(size=(20, 4)) @ mixing
    measured = fit_out_of_distribution(reference, reference[:100]).distances(subjects)
    inverse = np.linalg.inv(np.cov(reference.T))
    expected = [distance.mahalanobis(subject, reference.mean(axis=0), inverse) for subject in subjects]
    assert measured == pytest.approx(expected, rel=0.01)


def test_a_wide_group_does_not_hide_what_is_odd_beside_a_narrow_one():
    narrow, wide = sphere(400, centre=0, spread=0.02), sphere(400, centre=3, spread=0.5)
    held_out = np.concatenate([sphere(100, centre=0, spread=0.02, seed=1), sphere(100, centre=3, spread=0.5, seed=2)])
    odd = sphere(50, centre=0, spread=0.02, seed=3) + 0.3 * np.eye(8, dtype=np.float32)[1]
    reference = np.concatenate([narrow, wide])
    groups = np.repeat([0, 1], 400)
    apart = fit_out_of_distribution(reference, held_out, groups=groups).p_values(odd)
    together = fit_out_of_distribution(reference, held_out).p_values(odd)
    assert apart.max() < 0.05
    assert together.min() > 0.4


@given(count=st.integers(2, 40), width=st.integers(1, 30), kinds=st.integers(1, 5), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_few_subjects_of_many_dimensions_still_have_finite_distances(count, width, kinds, seed):
    rng = np.random.default_rng(seed)
    reference = rng.normal(size=(count, width)) * rng.integers(0, 2, size=width)
    known = fit_out_of_distribution(reference, reference[:1], groups=rng.integers(0, kinds, size=count))
    assert np.isfinite(known.distances(rng.normal(size=(5, width)))).all()


def test_a_saved_reference_gives_the_same_p_values(known, tmp_path):
    known.save(tmp_path / "reference.npz")
    subjects = sphere(20, centre=0, seed=4)
    loaded = OutOfDistribution.load(tmp_path / "reference.npz")
    assert (loaded.p_values(subjects) == known.p_values(subjects)).all()


def test_a_file_that_is_no_reference_is_refused(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"nothing")
    with pytest.raises(CalibrationInputError):
        OutOfDistribution.load(tmp_path / "x.npz")


def test_a_reference_needs_subjects_of_one_dimension():
    with pytest.raises(CalibrationInputError):
        fit_out_of_distribution(sphere(10, centre=0), np.empty((0, 8)))
    with pytest.raises(CalibrationInputError):
        fit_out_of_distribution(sphere(10, centre=0), np.zeros((5, 7)))
    with pytest.raises(CalibrationInputError):
        fit_out_of_distribution(sphere(10, centre=0), sphere(5, centre=0), groups=[0, 1])


def test_calibration_selection_and_evaluation_do_not_import_torch():
    program = (
        "import classifier.calibration, classifier.selection, classifier.evaluation, classifier.data, "
        "classifier.weights, sys; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
