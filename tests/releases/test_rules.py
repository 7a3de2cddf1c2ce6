"""How annotations read in an export, task type by task type (contract: Panoptes' AnnotationForCsv)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esocs.releases.rules import (
    Version,
    column_names,
    label_annotations,
    strings_for_export,
    tasks_for_export,
    version_for,
)

TASKS: dict[str, Any] = {
    "T0": {
        "type": "single",
        "question": "T0.question",
        "answers": [{"label": "T0.answers.0.label"}, {"label": "T0.answers.1.label"}],
    },
    "T1": {
        "type": "multiple",
        "question": "T1.question",
        "answers": [{"label": "T1.answers.0.label"}, {"label": "T1.answers.1.label"}],
    },
    "T2": {"type": "text", "instruction": "T2.instruction"},
    "T3": {"type": "combo", "tasks": ["T0", "T2"]},
    "T4": {
        "type": "drawing",
        "instruction": "T4.instruction",
        "tools": [{"type": "point", "label": "T4.tools.0.label"}],
    },
    "T5": {
        "type": "dropdown",
        "selects": [
            {
                "title": "T5.selects.0.title",
                "options": {"*": [{"value": "c6e0", "label": "T5.selects.0.options.*.0.label"}]},
            }
        ],
    },
    "T6": {"type": "survey"},
    "T7": {
        "type": "dropdown-simple",
        "selects": [{"title": "T7.title", "options": {"*": [{"value": "384", "label": "T7.0"}]}}],
    },
    "T8": {"type": "slider", "instruction": "T8.instruction"},
}
STRINGS = {
    "T0.question": "Is it round?",
    "T0.answers.0.label": "Yes, a 🌀\nspiral",
    "T0.answers.1.label": '=HYPERLINK("x")',
    "T1.question": "What else?",
    "T1.answers.0.label": "A",
    "T1.answers.1.label": "B",
    "T2.instruction": "Write.",
    "T4.instruction": "Mark.",
    "T4.tools.0.label": "Star",
    "T5.selects.0.title": "Continent",
    "T5.selects.0.options.*.0.label": "Oceania",
    "T7.title": "Country",
    "T7.0": "US",
}
VERSION = Version(major=1, minor=1, tasks=TASKS, strings=STRINGS)

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a single answer": (
        {"task": "T0", "value": 0},
        {"task": "T0", "task_label": "Is it round?", "value": "Yes, a 🌀\nspiral"},
    ),
    "no answer": ({"task": "T0", "value": None}, {"task": "T0", "task_label": "Is it round?", "value": None}),
    "an answer that is none": (
        {"task": "T0", "value": 7},
        {"task": "T0", "task_label": "Is it round?", "value": "unknown answer label"},
    ),
    "several answers": (
        {"task": "T1", "value": [1, 0]},
        {"task": "T1", "task_label": "What else?", "value": ["B", "A"]},
    ),
    "a text": ({"task": "T2", "value": "abc"}, {"task": "T2", "value": "abc", "task_label": "Write."}),
    "a combination": (
        {"task": "T3", "value": [{"task": "T0", "value": 1}, {"task": "T2", "value": "x"}]},
        {
            "task": "T3",
            "task_label": None,
            "value": [
                {"task": "T0", "task_label": "Is it round?", "value": '=HYPERLINK("x")'},
                {"task": "T2", "value": "x", "task_label": "Write."},
            ],
        },
    ),
    "a mark of the old classifier": (
        {"task": "T4", "value": [{"tool": 0, "x": 1.5, "y": 2, "frame": 0, "details": []}]},
        {
            "task": "T4",
            "value": [{"tool": 0, "x": 1.5, "y": 2, "frame": 0, "details": [], "tool_label": "Star"}],
            "task_label": "Mark.",
        },
    ),
    "a mark of the new classifier": (
        {"task": "T4", "taskType": "drawing", "value": [{"toolIndex": 0, "toolType": "point", "x": 1, "y": 2}]},
        {
            "task": "T4",
            "value": [{"tool": 0, "x": 1, "y": 2, "frame": 0, "details": [], "tool_label": "Star"}],
            "task_label": "Mark.",
        },
    ),
    "a choice from a list": (
        {"task": "T5", "value": [{"value": "c6e0", "option": True}]},
        {
            "task": "T5",
            "value": [{"select_label": "Continent", "value": "c6e0", "option": True, "label": "Oceania"}],
        },
    ),
    "a free text beside a list": (
        {"task": "T5", "value": [{"value": "Atlantis", "option": False}]},
        {"task": "T5", "value": [{"select_label": "Continent", "value": "Atlantis", "option": False}]},
    ),
    "a simple list": (
        {"task": "T7", "taskType": "dropdown-simple", "value": {"selection": 0, "option": True}},
        {
            "task": "T7",
            "task_type": "dropdown-simple",
            "value": {"select_label": "Country", "option": True, "option_index": 0, "value": "384", "label": "US"},
        },
    ),
    "a survey": (
        {"task": "T6", "value": [{"choice": "DR", "answers": {"HWMN": "1"}, "filters": {}}]},
        {"task": "T6", "value": [{"choice": "DR", "answers": {"HWMN": "1"}, "filters": {}}]},
    ),
    "a slider": ({"task": "T8", "value": "0.3"}, {"task": "T8", "value": "0.3"}),
    "a task that the version does not have": ({"task": "T99", "value": 1}, {"task": "T99", "value": 1}),
}


@pytest.mark.parametrize(("sent", "exported"), CASES.values(), ids=CASES.keys())
def test_an_annotation_reads_as_panoptes_exports_it(sent: dict[str, Any], exported: dict[str, Any]) -> None:
    assert label_annotations([sent], VERSION) == [exported]


def test_the_keys_stand_in_panoptes_order() -> None:
    single, text = label_annotations([{"value": 0, "task": "T0"}, {"value": "a", "task": "T2"}], VERSION)
    assert list(single) == ["task", "task_label", "value"]
    assert list(text) == ["task", "value", "task_label"]


def test_a_combination_is_not_labelled_inside_another() -> None:
    inner = {"task": "T3", "value": [{"task": "T0", "value": 0}]}
    [outer] = label_annotations([{"task": "T3", "value": [inner]}], VERSION)
    assert outer["value"] == [inner]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    ),
    st.sampled_from(sorted(TASKS)),
)
def test_whatever_was_sent_can_be_exported(value: Any, task: str) -> None:
    [exported] = label_annotations([{"task": task, "value": value}], VERSION)
    assert exported["task"] == task
    json.dumps(exported)


def test_labels_come_from_the_first_version_that_is_not_older() -> None:
    versions = [Version(major=m, minor=n, tasks={}, strings={}) for m, n in [(1, 1), (1, 2), (2, 2), (2, 5)]]
    found = [version_for(versions, *asked) for asked in [(1, 1), (1, 2), (2, 1), (2, 3), (9, 9)]]
    assert [(v.major, v.minor) for v in found if v] == [(1, 1), (1, 2), (2, 2), (2, 5), (2, 5)]
    assert version_for([], 1, 1) is None


def test_every_drawing_tool_is_given_details() -> None:
    exported = tasks_for_export(TASKS)
    assert exported["T4"]["tools"][0]["details"] == []
    assert exported["T0"] == TASKS["T0"]


def test_the_strings_column_can_be_evaluated_as_python() -> None:
    strings = strings_for_export({"a": "null", "b": None, "c": True, "d": "🌌 'quoted'\n"})
    assert strings == {"a": "null", "d": "🌌 'quoted'\n"}


def test_column_names_are_plain_words_told_apart() -> None:
    names = column_names(["Edge-on", "edge on", "Étoile", "?!", "🌀"], prefix="votes_")
    assert names == ["votes_edge_on", "votes_edge_on_1", "votes_etoile", "votes_answer", "votes_answer_4"]
