"""Strata and rare answers have thresholds of their own, and all of them hold together."""

from __future__ import annotations

from dataclasses import replace

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
    certify_threshold,
    grid_from_calibration,
)
from classifier.strata import Scored, assign, certify_groups, divide


def blind(scores, correct, **changes):
    made = CalibrationSample(
        subject_ids=np.arange(len(scores)),
        scores=np.asarray(scores),
        correct=np.asarray(correct),
        model_version="7",
        reserved_for="7",
    )
    return replace(made, **changes)


def scored(scores, strata, answers=None):
    return Scored(
        scores=np.asarray(scores, dtype=float),
        answers=np.zeros(len(scores), dtype=int) if answers is None else np.asarray(answers),
        strata=list(strata),
    )


# Dividing


def test_without_strata_there_is_one_group_and_it_is_certified_as_ever():
    scores = np.random.default_rng(0).random(800)
    correct = np.random.default_rng(1).random(800) < 0.5 + scores / 2
    one = scored(scores, [""] * 800)
    groups = divide(one, alpha=0.05, delta=0.05)
    assert [(g.strata, g.answer, g.sample_size, g.pooled) for g in groups] == [(("",), None, 800, False)]
    (certificate,) = certify_groups(blind(scores, correct), one, groups=groups, delta=0.05, trained_ids=[])
    assert certificate == certify_threshold(blind(scores, correct), alpha=0.05, delta=0.05, trained_ids=[])


def test_large_strata_stand_alone_and_small_ones_are_pooled():
    strata = ["UVES"] * 200 + ["FORS2"] * 130 + ["HARPS"] * 40 + ["ISAAC"] * 7
    groups = divide(scored(np.ones(377), strata), alpha=0.05, delta=0.05)
    assert [(g.strata, g.sample_size) for g in groups] == [
        (("FORS2",), 130),
        (("UVES",), 200),
        (("HARPS", "ISAAC"), 47),
    ]
    assert [g.pooled for g in groups] == [False, False, True]


def test_what_other_rules_forbid_makes_no_stratum_large():
    strata = ["A"] * 200 + ["B"] * 200
    scores = np.where(np.arange(400) < 150, -1.0, 0.9)
    groups = divide(scored(scores, strata), alpha=0.05, delta=0.05)
    assert [(g.strata, g.sample_size) for g in groups] == [(("B",), 200), (("A",), 50)]


def test_an_answer_with_a_level_of_its_own_has_groups_of_its_own():
    answers = [0] * 300 + [1] * 200 + [2] * 100
    strata = (["A", "B"] * 300)[:600]
    groups = divide(scored(np.ones(600), strata, answers), alpha=0.05, delta=0.05, alpha_by_answer={2: 0.2})
    assert [(g.strata, g.answer, g.alpha) for g in groups] == [
        (("A",), None, 0.05),
        (("B",), None, 0.05),
        (("A",), 2, 0.2),
        (("B",), 2, 0.2),
    ]
    assert assign(groups, answers=[0, 1, 2, 2, 0], strata=["A", "B", "A", "B", "C"]).tolist() == [0, 1, 2, 3, -1]


@given(seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_every_calibration_subject_is_in_exactly_one_group(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 400))
    strata = [f"s{i}" for i in rng.integers(0, 6, n)]
    one = scored(rng.random(n), strata, rng.integers(0, 4, n))
    groups = divide(one, alpha=0.1, delta=0.05, alpha_by_answer={1: 0.2, 3: 0.05})
    members = assign(groups, answers=one.answers, strata=one.strata)
    assert (members >= 0).all()
    assert np.bincount(members, minlength=len(groups)).tolist() == [g.sample_size for g in groups]


def test_lists_of_different_lengths_are_refused():
    with pytest.raises(SelectionInputError):
        scored(np.ones(3), ["A"] * 2)


# Certifying


def test_delta_is_divided_among_the_groups_that_can_certify_anything():
    strata = ["A"] * 300 + ["B"] * 300 + ["C"] * 20
    correct = np.ones(620, dtype=bool)
    correct[250:300] = correct[550:600] = False
    one = scored(np.concatenate([np.linspace(1, 0, 300), np.linspace(1, 0, 300), np.ones(20)]), strata)
    groups = divide(one, alpha=0.05, delta=0.05)
    assert [g.strata for g in groups] == [("A",), ("B",), ("C",)]
    certificates = certify_groups(blind(one.scores, correct), one, groups=groups, delta=0.05, trained_ids=[])
    assert [c.delta for c in certificates[:2]] == [0.025, 0.025]
    assert certificates[2].threshold is None
    assert all(c.threshold is not None and c.threshold > 0.1 for c in certificates[:2])


def test_a_stratum_that_passes_whole_hands_its_share_to_the_others():
    strata = ["easy"] * 300 + ["hard"] * 300
    correct = np.ones(600, dtype=bool)
    correct[500:600:2] = False
    one = scored(np.concatenate([np.linspace(1, 0.5, 300), np.linspace(1, 0, 300)]), strata)
    groups = divide(one, alpha=0.05, delta=0.05)
    easy, hard = certify_groups(blind(one.scores, correct), one, groups=groups, delta=0.05, trained_ids=[])
    assert easy.accepted == 300
    assert (easy.delta, hard.delta) == (0.025, 0.05)
    alone = blind(one.scores[300:], correct[300:])
    grid = grid_from_calibration(alone.scores, alpha=0.05, delta=0.025)
    assert hard.accepted == certify_threshold(alone, alpha=0.05, delta=0.05, trained_ids=[], grid=grid).accepted
    assert hard.accepted >= certify_threshold(alone, alpha=0.05, delta=0.025, trained_ids=[], grid=grid).accepted


def test_a_sample_that_was_trained_on_or_not_reserved_is_refused_whole():
    one = scored(np.ones(400), ["A", "B"] * 200)
    groups = divide(one, alpha=0.05, delta=0.05)
    given_ = blind(np.ones(400), np.ones(400, dtype=bool))
    with pytest.raises(ContaminatedCalibrationError, match="2 of 400"):
        certify_groups(given_, one, groups=groups, delta=0.05, trained_ids=[3, 8])
    with pytest.raises(UnreservedCalibrationError):
        certify_groups(replace(given_, reserved_for=None), one, groups=groups, delta=0.05, trained_ids=[])


# The joint guarantee, over whole campaigns


def test_all_thresholds_hold_together_where_one_threshold_for_all_would_not():
    rng = np.random.default_rng(3)
    n = 60_000
    strata = rng.choice(["sharp", "blurred", "faint"], n, p=[0.5, 0.3, 0.2])
    bias = np.select([strata == "sharp", strata == "blurred"], [2.0, 0.0], -2.0)
    score = rng.random(n)
    chance = stats.logistic.cdf(7 * score - 1 + bias)
    answers = (rng.random(n) < 0.25).astype(int)
    alpha, rare = 0.05, 0.1

    def errors(accepted):
        return float(1 - chance[accepted].mean()) if accepted.any() else 0.0

    any_false = one_false = certified = 0
    for _ in range(200):
        drawn = rng.choice(n, 2500, replace=False)
        sample = blind(score[drawn], rng.random(2500) < chance[drawn], subject_ids=drawn)
        one = scored(score[drawn], strata[drawn], answers[drawn])
        groups = divide(one, alpha=alpha, delta=0.05, alpha_by_answer={1: rare})
        certificates = certify_groups(sample, one, groups=groups, delta=0.05, trained_ids=[])
        members = assign(groups, answers=answers, strata=strata.tolist())
        worst = [
            errors((members == i) & (score >= c.threshold)) > g.alpha
            for i, (g, c) in enumerate(zip(groups, certificates, strict=True))
            if c.threshold is not None
        ]
        certified += len(worst)
        any_false += any(worst)
        single = certify_threshold(sample, alpha=alpha, delta=0.05, trained_ids=[])
        one_false += errors((strata == "faint") & (score >= (single.threshold or 1))) > alpha
    assert certified > 200 * 3
    assert any_false <= stats.binom.ppf(0.999, 200, 0.05)
    assert one_false > 100
