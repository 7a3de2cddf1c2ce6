"""The language of rules: what it says, and what it refuses."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esocs.crowd.caesar.bindings import MOST_FACTS, bind
from esocs.crowd.rule_language import (
    ARITHMETIC,
    COMPARISONS,
    CONVERSIONS,
    DEEPEST,
    LARGEST_BITS,
    LONGEST_TEXT,
    MOST_ENTRIES,
    MOST_NODES,
    QUANTIFIERS,
    InvalidRuleError,
    check,
    evaluate,
)

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


@pytest.mark.parametrize(
    ("condition", "reductions", "holds"),
    [
        (["gte", ["lookup", "c.agreement", 0], ["const", 0.8]], [("c", {"agreement": 0.8})], True),
        (["gte", ["lookup", "c.agreement", 0], ["const", 0.8]], [("c", {"agreement": 0.79})], False),
        (["gte", ["lookup", "c.agreement", 0], ["const", 0.8]], [], False),
        (["gte", ["lookup", "complete.0", 0], ["const", 3]], [("complete", {"0": 3})], True),
        (["gte", ["lookup", "complete.0", 0], ["const", 3]], [("complete", {"1": 3})], False),
        (["gte", ["lookup", "count.classifications", 0], ["const", 30]], [("count", {"classifications": 30})], True),
        (["gte", ["lookup", "count.classifications", 0], ["const", 30]], [("count", {"classifications": 29})], False),
        (["eq", ["lookup", "c.most_likely", ""], ["const", "ZEBRA"]], [("c", {"most_likely": "ZEBRA"})], True),
        (["any", "survey", ["gte", ["lookup", "value", 0], ["const", 3]]], [("survey", {"LN": 1, "DR": 3})], True),
        (["all", "survey", ["gte", ["lookup", "value", 0], ["const", 3]]], [("survey", {"LN": 1, "DR": 3})], False),
        (["any", "survey", ["eq", ["lookup", "key", ""], ["const", "DR"]]], [("survey", {"LN": 1, "DR": 3})], True),
        (["gte", ["lookup", "distinct", 0], ["const", 2]], [("distinct", 2)], True),
        (["gt", ["lookup", "points.frame0.n", 0], ["const", 1]], [("points", {"frame0": {"n": 2}})], True),
        (["lt", ["float", ["lookup", "subject.ra", 0]], ["const", 12.5]], [], True),
        (["eq", ["lookup", "subject.#training_subject", False], ["const", True]], [], True),
        (["eq", ["lookup", "subject.zooniverse_subject_id", 0], ["const", 7]], [], True),
        (["gte", ["lookup", "votes.T0.0", 0], ["const", 3]], [("votes", {"other": 1})], True),
    ],
)
def test_a_rule_of_caesars_means_the_same_here(condition: Any, reductions: Any, holds: bool) -> None:
    check(condition)
    subject = (7, {"ra": "12.4", "#training_subject": True, "nested": {"a": [1]}})
    bound = bind([(key, "_default", data) for key, data in reductions], subject=subject, known=FACTS)
    assert evaluate(condition, bound) is holds


def test_a_reducers_name_stands_before_ours_and_leaves_the_rest() -> None:
    reductions = [("count", "_default", {"classifications": 9}), ("consensus", "N", {"agreement": 1})]
    bound = bind(reductions, known={"count.classifications": 3, "consensus.T0.answer": 1})
    assert bound == {"count.classifications": 9, "consensus.T0.answer": 1, "consensus.N.agreement": 1}


def test_there_are_never_more_facts_than_can_be_looked_through() -> None:
    huge = {str(n): n for n in range(MOST_FACTS + 10)}
    assert len(bind([("r", "_default", huge)])) == MOST_FACTS


@pytest.mark.parametrize(
    "expression",
    [
        ["any", "c"],
        ["any", ["lookup", "c", 0], ["const", True]],
        ["any", "c", ["any", "d", ["const", True]]],
        ["all", "c", ["not", ["all", "d", ["const", True]]]],
        ["any", "c", "value"],
    ],
)
def test_a_quantifier_has_a_name_and_one_operation_and_stands_in_no_other(expression: Any) -> None:
    with pytest.raises(InvalidRuleError):
        check(expression)


def test_nothing_of_nothing_holds_and_all_of_nothing_does() -> None:
    operation = ["gt", ["lookup", "value", 0], ["const", 1]]
    assert evaluate(["any", "c", operation], FACTS) is False
    assert evaluate(["all", "c", operation], FACTS) is True


def test_true_is_not_one() -> None:
    assert evaluate(["eq", ["const", True], ["const", 1]], {}) is False
    assert evaluate(["eq", ["const", True], ["const", True]], {}) is True


@pytest.mark.parametrize(
    "expression",
    [
        ["lt", ["const", False], ["const", 1]],
        ["+", ["const", True], ["const", 1]],
        ["*", *[["const", 2**999]] * 3],
        ["upcase", ["const", "ß" * 60_000]],
        ["float", ["const", "nan"]],
        ["lookup", "huge", 0],
        ["const", 10**5000],
        ["any", "many", ["const", False]],
        ["all", "some", ["and", *[["const", True]] * 400]],
    ],
)
def test_what_would_take_too_much_time_or_memory_is_an_error_of_the_rule(expression: Any) -> None:
    facts = {f"many.{n}": n for n in range(MOST_ENTRIES + 1)} | {f"some.{n}": n for n in range(200)}
    check(expression)
    with pytest.raises(InvalidRuleError):
        evaluate(expression, {**facts, "huge": 1e999})


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
WORDS = st.sampled_from([*COMPARISONS, *ARITHMETIC, *CONVERSIONS, *QUANTIFIERS, "not", "and", "or", "const", "lookup"])
ANYTHING = st.recursive(
    LEAVES | WORDS,
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(st.text(max_size=3), parts, max_size=2),
    max_leaves=12,
)
NAMES = st.sampled_from([*FACTS, "votes", "votes.T0", "value", "key", "huge"])
CONSTANTS = st.tuples(st.just("const"), LEAVES | st.integers(-(2**1100), 2**1100))
LOOKUPS = st.tuples(st.just("lookup"), NAMES, LEAVES)


def _operation(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    many = st.sampled_from([*COMPARISONS, "+", "-", "*", "and", "or"])
    return (
        st.builds(lambda name, rest: (name, *rest), many, st.lists(parts, min_size=2, max_size=4))
        | st.tuples(st.sampled_from(["/", "%"]), parts, parts)
        | st.tuples(st.sampled_from([*CONVERSIONS, "not"]), parts)
        | st.tuples(st.sampled_from([*QUANTIFIERS]), NAMES, parts)
    )


def as_json(expression: Any) -> Any:
    return [as_json(part) for part in expression] if isinstance(expression, tuple) else expression


EXPRESSIONS = st.recursive(CONSTANTS | LOOKUPS, _operation, max_leaves=25).map(as_json)


@settings(max_examples=500)
@given(ANYTHING | EXPRESSIONS)
def test_anything_ends_with_a_value_or_an_error_of_the_rule(expression: Any) -> None:
    try:
        check(expression)
        value = evaluate(expression, {**FACTS, "huge": 2**999, "votes.T0.text": "x" * 90_000})
    except InvalidRuleError:
        return
    assert value is None or isinstance(value, (str, int, float))
    assert not isinstance(value, float) or math.isfinite(value)
    assert not isinstance(value, int) or value.bit_length() <= LARGEST_BITS
    assert not isinstance(value, str) or len(value) <= LONGEST_TEXT


@given(EXPRESSIONS)
def test_what_was_checked_survives_a_journey_as_json(expression: Any) -> None:
    try:
        check(expression)
        text = json.dumps(expression, allow_nan=False)
    except ValueError:  # NaN and numbers of thousands of digits: no request can bring them
        return
    except InvalidRuleError:
        return
    check(json.loads(text))
