"""Streams: how often each subject set is drawn from, by the rules that Designator reads."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esocs.crowd.as_panoptes.streams import Streams, draw, mix, read_streams

SIZES = {1: 100, 2: 300, 3: 50}


def shares(
    configuration: dict[str, Any], *, seen: int = 0, signed_in: bool = True, **settings: Any
) -> dict[int, float]:
    found = mix(read_streams(configuration, settings), sizes=SIZES, seen=seen, signed_in=signed_in)
    assert sum(found.values()) == pytest.approx(1.0)
    return {pk: round(share, 4) for pk, share in found.items()}


def test_without_rules_a_set_is_drawn_from_by_its_size() -> None:
    assert shares({}) == {1: 0.2222, 2: 0.6667, 3: 0.1111}


def test_a_chance_is_absolute_and_the_rest_goes_by_size() -> None:
    assert shares({"subject_set_chances": {"3": 0.6}}) == {3: 0.6, 1: 0.1, 2: 0.3}


def test_a_weight_multiplies_a_sets_size() -> None:
    assert shares({"subject_set_weights": {"1": 3, "3": "0"}}) == {1: 0.5, 2: 0.5}


@pytest.mark.parametrize(
    ("seen", "share"), [(0, 0.4), (20, 0.4), (21, 0.3), (40, 0.3), (41, 0.2), (60, 0.2), (61, 0.1)]
)
def test_gold_is_shown_less_the_more_somebody_has_seen(seen: int, share: float) -> None:
    assert shares({"gold_standard_sets": [3]}, seen=seen)[3] == share


@pytest.mark.parametrize(("seen", "share"), [(0, 0.33), (14, 0.33), (15, 0.2), (39, 0.2), (40, 0.1)])
def test_spacewarps_training_fades(seen: int, share: float) -> None:
    assert shares({"spacewarps_training_sets": ["3"]}, seen=seen)[3] == share


@pytest.mark.parametrize(("seen", "share"), [(0, 1.0), (1, 0.5), (2, 0.25), (3, 0.1), (999, 0.1)])
def test_training_has_a_chance_for_each_subject_seen(seen: int, share: float) -> None:
    rules = {"training_set_ids": [3], "training_chances": [1.0, 0.5, 0.25], "training_default_chance": 0.1}
    assert shares(rules, seen=seen)[3] == share


def test_nobody_without_an_account_is_trained_or_tried_by_gold() -> None:
    rules = {"training_set_ids": [3], "training_chances": [1.0], "gold_standard_sets": [1]}
    assert shares(rules, signed_in=False) == {2: 1.0}


def test_what_was_set_for_a_volunteer_takes_the_place_of_the_workflows() -> None:
    rules = {"subject_set_weights": {"1": 3}}
    assert shares(rules, subject_set_weights={"2": 0}) == {1: 0.6667, 3: 0.3333}
    assert shares(rules, designator={"subject_set_chances": {"2": 1}}) == {2: 1.0}


def test_more_than_everything_is_divided_by_its_sum() -> None:
    assert shares({"subject_set_chances": {"1": 1, "2": 1}}) == {1: 0.5, 2: 0.5}


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3) | st.just("1"), inner, max_size=4),
    max_leaves=10,
)


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            (
                "subject_set_chances",
                "subject_set_weights",
                "gold_standard_sets",
                "spacewarps_training_sets",
                "training_set_ids",
                "training_chances",
                "training_default_chance",
            ),
            ANYTHING,
        ),
    ),
    st.dictionaries(st.integers(0, 4), st.integers(0, 1000)),
    st.integers(0, 200),
    st.booleans(),
)
def test_whatever_is_configured_shares_are_probabilities(
    configuration: dict[str, Any], sizes: dict[int, int], seen: int, signed_in: bool
) -> None:
    found = mix(read_streams(configuration, configuration), sizes=sizes, seen=seen, signed_in=signed_in)
    assert all(0 < share <= 1 + 1e-9 for share in found.values())
    assert not found or sum(found.values()) == pytest.approx(1.0)
    assert sum(draw(found, limit=7, rng=random.Random(1)).values()) == (7 if found else 0)


def test_no_rules_are_recognised_as_such() -> None:
    assert read_streams({"selection": "panoptes", "subject_viewer": "lightcurve"}) == Streams()
