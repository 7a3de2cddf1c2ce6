"""What is refused when an extractor, a reducer or an effect is made, and what is meant by the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.errors import EsocsError
from esocs.crowd.caesar.configuration import (
    EXTRACTOR_TYPES,
    REDUCER_TYPES,
    SUBJECT_ACTIONS,
    USER_ACTIONS,
    extractor_of,
    read_condition,
    read_effect,
    read_extractor,
    read_reducer,
    reducer_of,
)

URL = "https://aggregation.example.org/x"


def test_what_a_type_needs_may_stand_beside_the_key_or_below_config() -> None:
    beside = read_extractor({"type": "question", "key": "complete", "task_key": "T1", "if_missing": "ignore"})
    below = read_extractor(
        {"type": "question", "key": "complete", "config": {"task_key": "T1", "if_missing": "ignore"}}
    )
    assert beside == below == {
        "key": "complete", "type": "question", "task_key": "T1", "if_missing": "ignore", "minimum_workflow_version": "",
        "config": {},
    }  # fmt: skip
    assert extractor_of(
        read_extractor({"type": "who", "key": "w", "minimum_workflow_version": "16.50"})
    ).minimum_version == (16, 50)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({}, "caesar_configuration"),
        ({"type": "nonsense", "key": "k"}, "caesar_configuration"),
        ({"type": ["who"], "key": "k"}, "caesar_configuration"),
        ({"type": "who"}, "caesar_configuration"),
        ({"type": "who", "key": ""}, "caesar_configuration"),
        ({"type": "who", "key": "a.b"}, "caesar_configuration"),
        ({"type": "who", "key": "a/b"}, "caesar_configuration"),
        ({"type": "who", "key": "k" * 101}, "caesar_configuration"),
        ({"type": "who", "key": 3}, "caesar_configuration"),
        ({"type": "who", "key": "k", "config": []}, "caesar_configuration"),
        ({"type": "who", "key": "k", "config": {"x": "y" * 30_000}}, "caesar_configuration"),
        ({"type": "who", "key": "k", "minimum_workflow_version": "new"}, "caesar_configuration"),
        ({"type": "who", "key": "k", "minimum_workflow_version": True}, "caesar_configuration"),
        ({"type": "question", "key": "k", "task_key": "T 0"}, "caesar_configuration"),
        ({"type": "question", "key": "k", "if_missing": "explode"}, "caesar_configuration"),
        ({"type": "survey", "key": "k", "if_missing": "nothing_here"}, "caesar_configuration"),
        ({"type": "shape", "key": "k"}, "caesar_configuration"),
        ({"type": "shape", "key": "k", "shape": "blob"}, "caesar_configuration"),
        ({"type": "pluck_field", "key": "k"}, "caesar_configuration"),
        ({"type": "pluck_field", "key": "k", "field_map": {"a": "b"}}, "caesar_configuration"),
        ({"type": "pluck_field", "key": "k", "field_map": {"a": ["$"]}}, "caesar_configuration"),
        ({"type": "external", "key": "k"}, "outbound_address"),
        ({"type": "external", "key": "k", "url": "http://example.org/"}, "outbound_address"),
        ({"type": "external", "key": "k", "url": "https://169.254.169.254/"}, "outbound_address"),
    ],
)
def test_an_extractor_that_cannot_work_is_refused(sent: dict[str, Any], code: str) -> None:
    with pytest.raises(EsocsError) as error:
        read_extractor(sent)
    assert error.value.code == code


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"type": "sqs", "key": "k"}, "outbound_address"),
        ({"type": "sqs", "key": "k", "queue_url": "https://10.0.0.1/1/queue"}, "outbound_address"),
        ({"type": "sqs", "key": "k", "queue_url": URL, "reduction_mode": "running_reduction"}, "caesar_unsupported"),
        ({"type": "external", "key": "k", "url": URL, "reduction_mode": "running_reduction"}, "caesar_unsupported"),
        ({"type": "external", "key": "k", "url": "https://[::1]/"}, "outbound_address"),
        ({"type": "count", "key": "subject"}, "caesar_configuration"),
        ({"type": "count", "key": "k", "topic": "reduce_by_magic"}, "caesar_configuration"),
        ({"type": "count", "key": "k", "reduction_mode": "walking"}, "caesar_configuration"),
        ({"type": "count", "key": "k", "filters": []}, "caesar_configuration"),
        ({"type": "count", "key": "k", "filters": {"form": 1}}, "caesar_configuration"),
        ({"type": "count", "key": "k", "filters": {"from": "x"}}, "caesar_configuration"),
        ({"type": "count", "key": "k", "filters": {"from": True}}, "caesar_configuration"),
        ({"type": "count", "key": "k", "filters": {"extractor_keys": [1]}}, "caesar_configuration"),
        ({"type": "count", "key": "k", "filters": {"repeated_classifications": "keep_some"}}, "caesar_configuration"),
        ({"type": "count", "key": "k", "filters": {"training_behavior": "hard"}}, "caesar_configuration"),
        ({"type": "count", "key": "k", "filters": {"empty_extracts": "drop"}}, "caesar_configuration"),
        ({"type": "count", "key": "k", "grouping": {"field_name": "x"}}, "caesar_configuration"),
        ({"type": "count", "key": "k", "grouping": "x.y"}, "caesar_configuration"),
        ({"type": "unique_count", "key": "k"}, "caesar_configuration"),
        ({"type": "summary_stats", "key": "k", "operations": ["mean"]}, "caesar_configuration"),
        ({"type": "summary_stats", "key": "k", "summarize_field": "n"}, "caesar_configuration"),
        (
            {"type": "summary_stats", "key": "k", "summarize_field": "n", "operations": ["magic"]},
            "caesar_configuration",
        ),
        ({"type": "rectangle", "key": "k", "eps": 0}, "caesar_configuration"),
        ({"type": "rectangle", "key": "k", "min_samples": 0.5}, "caesar_configuration"),
    ],
)
def test_a_reducer_that_cannot_work_is_refused(sent: dict[str, Any], code: str) -> None:
    with pytest.raises(EsocsError) as error:
        read_reducer(sent)
    assert error.value.code == code


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        ({"action": "retire_subject"}, ("retire_subject", {"reason": "other"})),
        ({"action": "retire_subject", "config": {"reason": "blank"}}, ("retire_subject", {"reason": "nothing_here"})),
        (
            {"action": "add_to_collection", "config": {"collection_id": "3"}},
            ("add_subject_to_collection", {"collection_id": 3}),
        ),
        (
            {"action": "add_subject_to_set", "config": {"subject_set_id": 4}},
            ("add_subject_to_set", {"subject_set_id": 4}),
        ),
        (
            {"action": "external", "config": {"url": URL, "reducer_key": "a"}},
            ("external", {"url": URL, "reducer_key": "a"}),
        ),
    ],
)
def test_an_effect_is_read(sent: dict[str, Any], found: Any) -> None:
    assert read_effect(sent, actions=SUBJECT_ACTIONS) == found


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"action": "explode"},
        {"action": "promote_user", "config": {"workflow_id": 1}},
        {"action": "retire_subject", "config": {"reason": "boredom"}},
        {"action": "retire_subject", "config": [1]},
        {"action": "add_subject_to_set"},
        {"action": "add_subject_to_set", "config": {"subject_set_id": "one"}},
        {"action": "add_subject_to_set", "config": {"subject_set_id": -1}},
        {"action": "add_subject_to_collection", "config": {"collection_id": True}},
        {"action": "external", "config": {"reducer_key": "a"}},
        {"action": "external", "config": {"url": URL}},
        {"action": "external", "config": {"url": "https://10.0.0.1/", "reducer_key": "a"}},
        {"action": "external_with_basic_auth", "config": {"url": URL, "reducer_key": "a", "username": "me"}},
        {"action": "external_with_basic_auth",
         "config": {"url": URL, "reducer_key": "a", "username": "m:e", "password": "x"}},
        {"action": "external_with_basic_auth",
         "config": {"url": URL, "reducer_key": "a", "username": "me", "password": "x\r\ny"}},
    ],
)  # fmt: skip
def test_an_effect_that_cannot_work_is_refused(sent: dict[str, Any]) -> None:
    with pytest.raises(EsocsError):
        read_effect(sent, actions=SUBJECT_ACTIONS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["key", "type", "config", "filters", "grouping", "topic", "reduction_mode", "task_key", "if_missing", "field_map",
     "operations", "summarize_field", "url", "shape", "minimum_workflow_version", "eps", "action", "condition_string"]
)  # fmt: skip
VALUES = JSON | st.sampled_from([*EXTRACTOR_TYPES, *REDUCER_TYPES, *SUBJECT_ACTIONS, *USER_ACTIONS, URL, "k", "sqs"])


def code_of(read: Callable[[], object]) -> str:
    """The code with which it is refused; nothing when it is not."""
    try:
        read()
    except EsocsError as error:
        return error.code
    return ""


@settings(deadline=None)
@given(st.dictionaries(FIELDS, VALUES))
def test_anything_is_read_or_refused_with_a_code(sent: dict[str, Any]) -> None:
    refusals = {"", "caesar_configuration", "caesar_unsupported", "outbound_address"}
    assert code_of(lambda: extractor_of(read_extractor(sent))) in refusals
    assert code_of(lambda: reducer_of(read_reducer(sent))) in refusals
    assert code_of(lambda: read_effect(sent, actions=SUBJECT_ACTIONS)) in refusals
    assert code_of(lambda: read_effect(sent, actions=USER_ACTIONS)) in refusals
    assert code_of(lambda: read_condition(sent)) in {"", "invalid_rule"}
