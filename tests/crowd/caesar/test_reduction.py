"""What each reducer makes of extracts; that neither order nor repetition changes it; and what it was given."""

from __future__ import annotations

import math
import random
import statistics
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esocs.crowd.caesar.configuration import read_reducer, reducer_of
from esocs.crowd.caesar.errors import ReductionError
from esocs.crowd.caesar.filters import Extract, Reducer, select
from esocs.crowd.caesar.reduction import REDUCERS, reduce

START = datetime(2026, 1, 1, tzinfo=UTC)


def an_extract(data: Any, number: int, **fields: Any) -> Extract:
    values = {
        "extractor_key": "e",
        "classification_id": number,
        "subject_id": 1,
        "user_id": number,
        "at": START + timedelta(seconds=number),
        **fields,
    }
    return Extract(data=data, **values)


def extracts_of(*data: Any) -> list[Extract]:
    return [an_extract(each, number) for number, each in enumerate(data, 1)]


def a_reducer(kind: str, **sent: Any) -> Reducer:
    return reducer_of(read_reducer({"key": "r", "type": kind, **sent}))


def reduced(kind: str, extracts: list[Extract], **sent: Any) -> Any:
    return reduce(a_reducer(kind, **sent), extracts)["_default"]


ZEBRAS = extracts_of({"ZEBRA": 1}, {"ZEBRA": 1}, {"AARDVARK": 1}, {"ZEBRA": 1})


@pytest.mark.parametrize(
    ("kind", "extracts", "sent", "data"),
    [
        ("consensus", ZEBRAS, {}, {"most_likely": "ZEBRA", "num_votes": 3, "agreement": 0.75}),
        ("count", ZEBRAS, {}, {"classifications": 4, "extracts": 4}),
        ("stats", ZEBRAS, {}, {"AARDVARK": 1, "ZEBRA": 3}),
        ("first_extract", ZEBRAS, {}, {"ZEBRA": 1}),
        ("consensus", [], {}, {"num_votes": 0}),
        ("count", [], {}, {"classifications": 0, "extracts": 0}),
        ("consensus", extracts_of({"b": 1, "a": 1}, {"a": 1, "b": 1}, {"a": 1}), {},
         {"most_likely": "a+b", "num_votes": 2, "agreement": 2 / 3}),
        ("consensus", extracts_of({"b": 1}, {"a": 1}), {}, {"most_likely": "a", "num_votes": 1, "agreement": 0.5}),
        ("stats", extracts_of({"blank": True}, {"blank": False}, {"blank": True}), {}, {"blank": 2}),
        ("stats", extracts_of({"x": 0.1}, {"x": 0.2}, {"x": 3}), {}, {"x": math.fsum([0.1, 0.2, 3])}),
        ("unique_count", extracts_of({"choices": ["N"]}, {"choices": ["R", "B"]}, {"choices": ["B", "R"]}, {}),
         {"field": "choices"}, 2),
        ("summary_stats", extracts_of({"n": 2}, {"n": "4"}, {"n": None}, {"n": 9}),
         {"summarize_field": "e.n", "operations": ["count", "min", "max", "sum", "product", "mean", "median", "first"]},
         {"count": 3, "min": 2, "max": 9, "sum": 15, "product": 72, "mean": 5, "median": 4, "first": 2}),
        ("summary_stats", extracts_of({"n": 2}), {"summarize_field": "n", "operations": "stdev"}, {"stdev": None}),
        ("summary_stats", extracts_of({"n": 2}), {"summarize_field": "f.n", "operations": ["mean"]}, {"mean": None}),
    ],
)  # fmt: skip
def test_each_type_makes_what_caesar_makes(kind: str, extracts: list[Extract], sent: Any, data: Any) -> None:
    assert reduced(kind, extracts, **sent) == data


def test_the_number_of_classifications_is_not_that_of_extracts() -> None:
    twice = [an_extract({}, 1), an_extract({}, 1, extractor_key="f"), an_extract({}, 2)]
    machine = an_extract({"0": 0.9}, 9, classification_id=None, user_id=None)
    assert reduced("count", [*twice, machine]) == {"classifications": 2, "extracts": 4}


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        ({}, [1, 2, 4, 5, 6]),
        ({"repeated_classifications": "keep_last"}, [2, 3, 4, 5, 6]),
        ({"repeated_classifications": "keep_all"}, [1, 2, 3, 4, 5, 6]),
        ({"from": 1}, [2, 4, 5, 6]),
        ({"to": 1}, [1, 2]),
        ({"from": 1, "to": 2}, [2, 4]),
        ({"from": -2}, [5, 6]),
        ({"to": -2}, [1, 2, 4, 5]),
        ({"from": 9}, []),
        ({"from": 3, "to": 1}, []),
        ({"extractor_keys": ["e"]}, [1, 2, 4, 5, 6]),
        ({"extractor_keys": "f"}, []),
        ({"training_behavior": "training_only"}, [6]),
        ({"training_behavior": "experiment_only"}, [1, 2, 4, 5]),
        ({"empty_extracts": "ignore_empty"}, [1, 2, 4, 6]),
    ],
)
def test_the_filters_leave_what_they_say(filters: dict[str, Any], kept: list[int]) -> None:
    given = [
        an_extract({"n": 1}, 1, user_id=7),
        an_extract({"n": 2}, 2, user_id=None),
        an_extract({"n": 3}, 3, user_id=7),
        an_extract({"n": 4}, 4, user_id=None),
        an_extract({}, 5),
        an_extract({"n": 6}, 6, training=True),
    ]
    random.Random(3).shuffle(given)
    chosen = select(a_reducer("count", filters=filters), given)["_default"]
    assert [extract.classification_id for extract in chosen] == kept


def test_somebody_who_is_known_counts_once_a_subject_and_not_once_for_all() -> None:
    of_user = [an_extract({"0": 1}, n, user_id=7, subject_id=n // 2) for n in range(6)]
    assert reduced("count", of_user, topic="reduce_by_user")["classifications"] == 3


def test_extracts_are_told_apart_by_the_value_of_a_field() -> None:
    given = [
        extract
        for number, (answer, where) in enumerate([("yes", "N"), ("no", "S"), ("yes", "N"), ("yes", None)], 1)
        for extract in (
            an_extract({answer: 1}, number),
            an_extract({} if where is None else {"half": where}, number, extractor_key="place"),
        )
    ]
    grouping = {"field_name": "place.half"}
    filters = {"extractor_keys": ["e"]}
    found = reduce(a_reducer("consensus", grouping=grouping, filters=filters), given)
    assert found == {
        "N": {"most_likely": "yes", "num_votes": 2, "agreement": 1},
        "S": {"most_likely": "no", "num_votes": 1, "agreement": 1},
    }
    with pytest.raises(ReductionError, match=r"place\.half"):
        reduce(a_reducer("consensus", grouping={**grouping, "if_missing": "error"}), given)


@pytest.mark.parametrize(
    ("kind", "data", "sent"),
    [
        ("stats", {"a": "text"}, {}),
        ("stats", {"a": None}, {}),
        ("summary_stats", {"n": "text"}, {"summarize_field": "n", "operations": ["mean"]}),
        ("summary_stats", {"n": "nan"}, {"summarize_field": "n", "operations": ["mean"]}),
        ("summary_stats", {"n": [1]}, {"summarize_field": "n", "operations": ["mean"]}),
        ("summary_stats", {"n": 1e200}, {"summarize_field": "n", "operations": ["product"]}),
        ("summary_stats", {"n": 1e308}, {"summarize_field": "n", "operations": ["sum"]}),
        ("rectangle", {"frame0": {"t_x": ["a"], "t_y": [1], "t_width": [1], "t_height": [1]}}, {}),
    ],
)
def test_what_cannot_be_reduced_is_said(kind: str, data: Any, sent: Any) -> None:
    with pytest.raises(ReductionError):
        reduced(kind, extracts_of(data, data), **sent)


CONFIGS: dict[str, dict[str, Any]] = {
    "unique_count": {"field": "a"},
    "summary_stats": {
        "summarize_field": "a",
        "operations": [
            "count",
            "min",
            "max",
            "sum",
            "product",
            "mean",
            "sse",
            "variance",
            "stdev",
            "median",
            "mode",
            "first",
        ],
    },
    "rectangle": {"min_samples": 2},
}
NUMBERS = st.integers(-5, 5) | st.floats(-9, 9, allow_nan=False)
DATA = st.dictionaries(st.sampled_from("abc"), NUMBERS, max_size=3)
BOXES = st.lists(st.tuples(*[st.integers(0, 40)] * 4), max_size=3)


@st.composite
def extract_lists(draw: st.DrawFn) -> tuple[str, list[Extract]]:
    kind = draw(st.sampled_from(sorted(REDUCERS)))
    made = []
    for number in range(1, draw(st.integers(0, 12)) + 1):
        data: Any = draw(DATA)
        if kind == "rectangle":
            boxes = draw(BOXES)
            names = ("x", "y", "width", "height")
            data = {"frame0": {f"T0_tool0_{name}": [box[i] for box in boxes] for i, name in enumerate(names)}}
        at = START + timedelta(seconds=draw(st.integers(0, 3)))
        user = draw(st.none() | st.integers(1, 3))
        made.append(an_extract(data, number, at=at, user_id=user, extractor_key=draw(st.sampled_from("ef"))))
    return kind, made


@settings(deadline=None)
@given(
    extract_lists(),
    st.randoms(use_true_random=False),
    st.sampled_from(["keep_first", "keep_last", "keep_all"]),
    st.integers(-3, 3),
)
def test_neither_the_order_of_arrival_nor_a_replay_changes_a_reduction(
    given_: tuple[str, list[Extract]], chance: random.Random, repeated: str, first: int
) -> None:
    kind, extracts = given_
    filters = {"repeated_classifications": repeated, "from": first}
    reducer = a_reducer(kind, filters=filters, **CONFIGS.get(kind, {}))
    once = reduce(reducer, extracts)
    shuffled = extracts.copy()
    chance.shuffle(shuffled)
    assert reduce(reducer, shuffled) == once
    assert reduce(reducer, extracts) == once


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_the_statistics_are_those_of_the_standard_library_and_numpy(values: list[float]) -> None:
    operations = ["mean", "median", "variance", "stdev", "min", "max", "sum", "count", "sse"]
    found = reduced(
        "summary_stats", extracts_of(*[{"n": v} for v in values]), summarize_field="n", operations=operations
    )
    assert found["mean"] == pytest.approx(statistics.fmean(values), rel=1e-9, abs=1e-6)
    assert found["median"] == pytest.approx(statistics.median(values))
    assert found["variance"] == pytest.approx(np.var(values, ddof=1), rel=1e-6, abs=1e-6)
    assert found["stdev"] == pytest.approx(np.std(values, ddof=1), rel=1e-6, abs=1e-3)
    assert (found["min"], found["max"], found["count"]) == (min(values), max(values), len(values))


def test_rectangles_of_several_people_become_one() -> None:
    def drawn(x: float, y: float) -> dict[str, Any]:
        return {"frame0": {"T0_tool0_x": [x], "T0_tool0_y": [y], "T0_tool0_width": [10], "T0_tool0_height": [20]}}

    found = reduced("rectangle", extracts_of(drawn(1, 1), drawn(2, 1), drawn(3, 1), drawn(90, 90)))["frame0"]
    assert found["T0_tool0_cluster_labels"] == [0, 0, 0, -1]
    assert found["T0_tool0_rec_x"] == [1, 2, 3, 90]
    assert (found["T0_tool0_clusters_count"], found["T0_tool0_clusters_x"], found["T0_tool0_clusters_width"]) == (
        [3],
        [2],
        [10],
    )
