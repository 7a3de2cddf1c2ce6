"""The routing decision, the workflow's demands on it, and the audit's draw."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esocs.machine import rules

SHARE = st.floats(0, 1)
SURE: dict[str, Any] = {
    "score": 0.99,
    "threshold": 0.9,
    "ood_p": 0.5,
    "ood_p_min": 0.01,
    "usable": True,
}


def decide(*, reserved: bool = False, audit: bool = False, **given_: Any) -> tuple[str, str]:
    return rules.decide_route(rules.judge(**given_), reserved=reserved, audit=audit)


def test_what_is_left_out_takes_its_default() -> None:
    assert rules.read_settings({}) == rules.RoutingSettings()
    assert rules.read_settings({"alpha": 0.05}).alpha == 0.05
    assert rules.read_settings({"audit_share": 0, "ood_p_min": 1}).audit_share == 0


@pytest.mark.parametrize(
    "routing",
    [
        {"alfa": 0.01},
        {"alpha": 0},
        {"alpha": 1},
        {"delta": -0.1},
        {"audit_share": 1.1},
        {"alpha": "0.01"},
        {"alpha": None},
        {"alpha": True},
        {"audit_share": True},
        {"alpha": float("nan")},
        {"alarm_delta": 0},
        {"stratify_by": "colour"},
        {"stratify_by": None},
        {"alpha_by_answer": ["Lens"]},
        {"alpha_by_answer": {"Lens": 0}},
        {"alpha_by_answer": {"Lens": "0.1"}},
        {"votes_per_day": -1},
        {"votes_per_day": 2.5},
        {"votes_per_day": True},
        {"votes_per_day": "100"},
    ],
)
def test_settings_that_cannot_be_followed_are_refused_by_name_with_what_to_do(routing: dict[str, Any]) -> None:
    with pytest.raises(rules.InvalidRoutingError) as refused:
        rules.read_settings(routing)
    assert next(iter(routing)) in refused.value.message
    assert refused.value.hint
    assert (refused.value.code, refused.value.status) == ("invalid_routing", 422)


def test_an_answer_that_the_workflow_does_not_offer_is_refused_and_the_offered_ones_are_named() -> None:
    routing = {"alpha_by_answer": {"Lens": 0.1}}
    assert rules.read_settings(routing, answers=["Galaxy", "Lens"]).alphas(["Galaxy", "Lens"]) == {1: 0.1}
    with pytest.raises(rules.InvalidRoutingError, match="Galaxy, Star"):
        rules.read_settings(routing, answers=["Galaxy", "Star"])


@pytest.mark.parametrize(
    ("changed", "decision"),
    [
        ({}, ("accept", "certified")),
        ({"score": 0.9}, ("accept", "certified")),
        ({"score": 0.89}, ("volunteers", "unsure")),
        ({"threshold": None}, ("volunteers", "not_certified")),
        ({"ood_p": 0.009}, ("volunteers", "out_of_distribution")),
        ({"usable": False}, ("experts", "quality")),
        ({"calibrated": False, "threshold": None}, ("volunteers", "not_calibrated")),
        ({"audit": True}, ("audit", "audit")),
        ({"audit": True, "usable": False, "ood_p": 0.0}, ("audit", "audit")),
        ({"reserved": True, "audit": True}, ("experts", "reserved")),
    ],
)
def test_a_prediction_is_routed(changed: dict[str, Any], decision: tuple[str, str]) -> None:
    assert decide(**{**SURE, **changed}) == decision


@given(
    score=SHARE,
    threshold=st.none() | SHARE,
    ood_p=SHARE,
    ood_p_min=SHARE,
    usable=st.booleans(),
    reserved=st.booleans(),
    audit=st.booleans(),
)
def test_only_a_sure_usable_undrawn_prediction_in_distribution_is_accepted(**given_: Any) -> None:
    decision, reason = decide(**given_)
    sure = given_["threshold"] is not None and given_["score"] >= given_["threshold"]
    known = given_["ood_p"] >= given_["ood_p_min"]
    fit = given_["usable"] and not given_["reserved"] and not given_["audit"]
    assert (decision == "accept") == (sure and known and fit)
    assert reason


@given(st.integers(1, 2**40), st.integers(1, 2**40))
def test_the_audits_draw_is_a_share_and_repeats(subject: int, policy: int) -> None:
    drawn = rules.audit_draw(subject, policy)
    assert 0 <= drawn < 1
    assert rules.audit_draw(subject, policy) == drawn


def test_the_audits_draws_are_uniform_and_differ_between_policies() -> None:
    draws = np.array([[rules.audit_draw(subject, policy) for subject in range(4000)] for policy in (1, 2)])
    # Kolmogorov and Smirnov: 1.95 / sqrt(n) is exceeded once in a thousand.
    for row in np.sort(draws, axis=1):
        assert np.abs(row - (np.arange(4000) + 0.5) / 4000).max() < 1.95 / np.sqrt(4000)
    assert abs(np.corrcoef(draws)[0, 1]) < 0.06


def test_the_calibration_sample_follows_from_alpha_and_delta_and_stays_a_quarter_of_a_small_workflow() -> None:
    assert rules.calibration_size(subjects=100_000, alpha=0.01, delta=0.05) == 4 * 299
    assert rules.calibration_size(subjects=100_000, alpha=0.05, delta=0.05) == 4 * 59
    assert rules.calibration_size(subjects=1000, alpha=0.01, delta=0.05) == 250


@pytest.mark.parametrize(
    ("size", "said"),
    [(298, "Nothing will be accepted"), (299, "fewer than 1,196"), (1196, "at a risk of 0.05.")],
)
def test_whoever_reserves_is_told_what_the_sample_can_certify(size: int, said: str) -> None:
    assert said in rules.describe_calibration(size=size, alpha=0.01, delta=0.05)
