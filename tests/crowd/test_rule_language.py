"""The language of rules: what it says, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esocs.crowd.rule_language import DEEPEST, MOST_NODES, InvalidRuleError, check, evaluate

FACTS = {"votes.T0.0": 3, "votes.T0.1": 0, "count.classifications": 3, "machine.answer": None, "name": "Ring"}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (["const", 3], 3),
        (["lookup", "votes.T0.0", 0], 3),
        (["lookup", "votes.T9.0", 7], 7),
        (["lookup", "machine.answer", -1], -1),
        (["gte", ["lookup", "votes.T0.0", 0], ["const", 3]], True),
        (["gt", ["lookup", "votes.T0.0", 0], ["const", 3]], False),
        (["lt", ["const", 1], ["const", 2], ["const", 3]], True),
        (["lt", ["const", 1], ["const", 3], ["const", 2]], False),
        (["eq", ["const", 1], ["const", 1.0]], True),
        (["not", ["const", False]], True),
        (["and", ["const", True], ["const", False]], False),
        (["or", ["const", True], ["gt", ["const", "a"], ["const", 1]]], True),
        (["/", ["lookup", "votes.T0.0", 0], ["const", 2]], 1.5),
        (["+", ["const", 1], ["const", 2], ["const", 3]], 6),
        (["%", ["const", 7], ["const", 4]], 3),
        (["upcase", ["lookup", "name", ""]], "RING"),
        (["int", ["const", "3"]], 3),
    ],
)
def test_it_says_what_is_written(expression: Any, value: Any) -> None:
    check(expression)
    assert evaluate(expression, FACTS) == value


@pytest.mark.parametrize(
    "expression",
    [
        None,
        [],
        "gte",
        3,
        {"gte": 1},
        ["nonsense", ["const", 1]],
        ["const"],
        ["const", [1]],
        ["lookup", "votes.T0.0"],
        ["lookup", 3, 0],
        ["gte", ["const", 1]],
        ["not", ["const", 1], ["const", 2]],
        ["gte", 1, 2],
        ["and"],
        [["const", 1]],
    ],
)
def test_it_refuses_what_it_cannot_read(expression: Any) -> None:
    with pytest.raises(InvalidRuleError):
        check(expression)


def test_it_refuses_an_expression_that_would_keep_a_volunteer_waiting() -> None:
    with pytest.raises(InvalidRuleError):
        check(["and", *[["const", True]] * MOST_NODES])
    deep: list[Any] = ["const", True]
    for _ in range(DEEPEST):
        deep = ["and", deep]
    with pytest.raises(InvalidRuleError):
        check(deep)


@pytest.mark.parametrize(
    "expression",
    [
        ["/", ["const", 1], ["const", 0]],
        ["lt", ["const", "a"], ["const", 1]],
        ["int", ["const", "three"]],
        ["+", ["const", 1], ["const", "a"]],
        ["int", ["const", float("inf")]],
        ["*", ["const", "a"], ["const", 1_000_000_000_000]],
    ],
)
def test_what_cannot_be_worked_out_is_an_error_of_the_rule(expression: Any) -> None:
    check(expression)
    with pytest.raises(InvalidRuleError):
        evaluate(expression, FACTS)


@given(
    st.recursive(
        st.one_of(st.none(), st.integers(), st.text(max_size=5), st.floats()),
        lambda parts: st.lists(st.one_of(parts, st.sampled_from(["and", "gte", "const", "lookup", "+"])), max_size=4),
        max_leaves=12,
    )
)
def test_anything_is_refused_or_worked_out_and_never_crashes(expression: Any) -> None:
    try:
        check(expression)
        evaluate(expression, FACTS)
    except InvalidRuleError:
        pass
