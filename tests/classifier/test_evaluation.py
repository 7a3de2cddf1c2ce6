"""Comparing two networks, and the rule of promotion."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from classifier.evaluation import (
    EvaluationInputError,
    accuracy,
    confusion_matrix,
    log_loss,
    mcnemar,
    verdict,
)
from classifier.selection import (
    CalibrationSample,
    ContaminatedCalibrationError,
    UnreservedCalibrationError,
)


def test_accuracy_confusion_and_log_loss_of_a_small_example():
    probabilities = np.array([[0.8, 0.2], [0.4, 0.6], [0.7, 0.3]])
    labels = [0, 1, 1]
    assert accuracy(probabilities, labels) == pytest.approx(2 / 3)
    assert log_loss(probabilities, labels) == pytest.approx(-np.log([0.8, 0.6, 0.3]).mean())
    assert confusion_matrix(probabilities.argmax(axis=1), labels, answers=2).tolist() == [[1, 0], [1, 1]]


def test_a_log_loss_stays_finite_at_probability_zero():
    assert np.isfinite(log_loss(np.array([[1.0, 0.0]]), [1]))


@pytest.mark.parametrize("labels", [[0], [0, 2], [0, -1]])
def test_labels_that_do_not_fit_are_refused(labels):
    with pytest.raises(EvaluationInputError):
        accuracy(np.full((2, 2), 0.5), labels)


@given(b=st.integers(0, 30), c=st.integers(0, 30))
def test_mcnemar_is_the_exact_binomial_test_of_scipy(b, c):
    champion = np.array([False] * b + [True] * c + [True])
    challenger = np.array([True] * b + [False] * c + [True])
    test = mcnemar(champion, challenger)
    assert (test.only_champion_wrong, test.only_challenger_wrong) == (b, c)
    expected = stats.binomtest(c, b + c, alternative="greater").pvalue if b + c else 1.0
    assert test.p_more_errors == pytest.approx(expected)
    assert test.p_two_sided == pytest.approx(stats.binomtest(c, b + c).pvalue if b + c else 1.0)


def blind(version, wrong, *, count=500, ids=None, scores=None, reserved_for="same"):
    correct = np.ones(count, dtype=bool)
    correct[list(wrong)] = False
    return CalibrationSample(
        subject_ids=np.arange(count) if ids is None else ids,
        scores=np.linspace(1, 0.5, count) if scores is None else scores,
        correct=correct,
        model_version=version,
        reserved_for=version if reserved_for == "same" else reserved_for,
    )


def judge(champion, challenger, *, trained_ids=(10_000,)):
    return verdict(
        champion=champion,
        challenger=challenger,
        champion_trained_ids=[10_000],
        challenger_trained_ids=list(trained_ids),
        alpha=0.05,
        delta=0.05,
    )


def test_it_promotes_a_challenger_with_fewer_errors_that_accepts_more():
    decision = judge(blind("1", range(300, 400)), blind("2", range(400, 460)))
    assert decision.promoted
    assert decision.reasons == ()
    assert (decision.champion_errors, decision.challenger_errors) == (100, 60)
    assert json.loads(json.dumps(decision.as_json()))["promoted"] is True


def test_an_equal_is_promoted():
    assert judge(blind("1", [400]), blind("2", [410])).promoted


def test_it_keeps_the_champion_when_the_challenger_makes_one_more_error():
    decision = judge(blind("1", [490]), blind("2", [490, 495]))
    assert not decision.promoted
    assert "errors" in decision.reasons[0]
    assert decision.test.p_more_errors == 0.5


def test_it_keeps_the_champion_when_the_challenger_accepts_less():
    decision = judge(blind("1", range(450, 500)), blind("2", range(20, 60)))
    assert not decision.promoted
    assert decision.challenger_errors < decision.champion_errors
    assert "accept" in decision.reasons[0]


def test_the_order_of_the_subjects_does_not_matter():
    order = np.random.default_rng(0).permutation(500)
    other = blind("2", [400])
    shuffled = CalibrationSample(
        subject_ids=other.subject_ids[order],
        scores=other.scores[order],
        correct=other.correct[order],
        model_version="2",
        reserved_for="2",
    )
    assert judge(blind("1", [410]), shuffled).as_json() == judge(blind("1", [410]), other).as_json()


def test_different_blind_sets_are_not_compared():
    with pytest.raises(EvaluationInputError):
        judge(blind("1", []), blind("2", [], ids=np.arange(1, 501)))


def test_a_challenger_trained_on_the_blind_set_is_refused():
    with pytest.raises(ContaminatedCalibrationError):
        judge(blind("1", []), blind("2", []), trained_ids=[3])


def test_a_blind_set_reserved_for_another_version_is_refused():
    with pytest.raises(UnreservedCalibrationError):
        judge(blind("1", []), blind("2", [], reserved_for="1"))
