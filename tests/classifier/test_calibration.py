"""Temperature, reliability and out-of-distribution p-values against what is known of them."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from classifier.calibration import (
    CalibrationInputError,
    Temperature,
    fit_temperature,
    measure_reliability,
    out_of_distribution_p_values,
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


def test_known_subjects_get_uniform_p_values():
    rng = np.random.default_rng(0)
    # The mean over held-out samples is what is promised; a single one scatters around it.
    rates = [
        (out_of_distribution_p_values(rng.normal(size=500), rng.normal(size=199)) <= 0.01).mean() for _ in range(200)
    ]
    assert 0.007 < np.mean(rates) < 0.0115
    assert abs(out_of_distribution_p_values(rng.normal(size=5000), rng.normal(size=5000)).mean() - 0.5) < 0.02


@given(
    held_out=st.lists(st.floats(-50, 50), min_size=1, max_size=30),
    strangeness=st.lists(st.floats(-60, 60), min_size=1, max_size=10),
)
@settings(max_examples=50, deadline=None)
def test_a_p_value_is_the_share_of_the_known_that_are_as_strange(held_out, strangeness):
    expected = [(1 + sum(known >= value for known in held_out)) / (len(held_out) + 1) for value in strangeness]
    assert out_of_distribution_p_values(strangeness, held_out) == pytest.approx(expected)


def test_what_was_never_measured_is_taken_for_the_strangest():
    assert out_of_distribution_p_values([np.nan, 0.0], [-1.0, 1.0, 2.0]).tolist() == [0.25, 0.75]


@pytest.mark.parametrize("held_out", [[], [0.0, np.nan], [np.inf], [[1.0, 2.0]]])
def test_p_values_need_known_subjects_that_were_measured(held_out):
    with pytest.raises(CalibrationInputError, match="known subjects"):
        out_of_distribution_p_values([0.0], held_out)


def test_calibration_selection_and_evaluation_do_not_import_torch():
    program = (
        "import classifier.calibration, classifier.selection, classifier.evaluation, classifier.data, "
        "classifier.weights, sys; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
