"""Marks of the newer classifier in the older one's words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esocs.crowd.summaries import read_mark
from esocs.releases.marks import mark_to_v1, to_v1

POINT: dict[str, Any] = {"toolIndex": 1, "toolType": "point", "x": 1.5, "y": 2, "frame": 1, "details": []}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "point": ({"x": 1.5, "y": 2}, {"x": 1.5, "y": 2}),
    "line": ({"x1": 1, "y1": 2, "x2": 3, "y2": 4}, {"x1": 1, "y1": 2, "x2": 3, "y2": 4}),
    "circle": ({"x_center": 1, "y_center": 2, "r": 3}, {"x": 1, "y": 2, "r": 3}),
    "ellipse": (
        {"x_center": 1, "y_center": 2, "rx": 3, "ry": 4, "angle": 5},
        {"x": 1, "y": 2, "rx": 3, "ry": 4, "angle": 5},
    ),
    "rectangle": (
        {"x_center": 10, "y_center": 20, "width": 4, "height": 6},
        {"x": 8.0, "y": 17.0, "width": 4, "height": 6},
    ),
    "rotateRectangle": (
        {"x_center": 10, "y_center": 20, "width": 4, "height": 6, "angle": 30},
        {"x": 8.0, "y": 17.0, "width": 4, "height": 6, "angle": 30},
    ),
    "polygon": ({"points": [{"x": 1, "y": 2}]}, {"points": [{"x": 1, "y": 2}], "closed": True}),
    "freehandLine": ({"pathX": [1, 3], "pathY": [2, 4]}, {"points": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]}),
    "column": ({"x": 1, "width": 2}, {"x": 1, "width": 2}),
    "fullWidthLine": ({"y": 1}, {"y": 1}),
    "fullHeightLine": ({"x": 1}, {"x": 1}),
}


@pytest.mark.parametrize("tool", CASES)
def test_every_tool_is_written_as_the_older_classifier_writes_it(tool: str) -> None:
    newer, older = CASES[tool]
    mark = mark_to_v1({"toolIndex": 2, "toolType": tool, "frame": 0, "details": [], **newer})
    assert mark == {"tool": 2, "frame": 0, "details": [], **older}


@pytest.mark.parametrize("tool", ["circle", "ellipse", "rectangle", "rotateRectangle"])
def test_the_shape_is_the_same_one(tool: str) -> None:
    newer = {"toolIndex": 0, "toolType": tool, "frame": 0, "details": [], **CASES[tool][0]}
    assert read_mark(mark_to_v1(newer), tool_type=tool) == read_mark(newer, tool_type=tool)


def test_what_a_mark_was_asked_stands_in_its_details() -> None:
    annotations = [
        {"task": "T0", "taskType": "drawing", "value": [POINT, {**POINT, "details": [{"task": "T0.1.0"}]}]},
        {"task": "T0.1.1", "taskType": "text", "markIndex": 1, "value": "second"},
    ]
    [drawing] = to_v1(annotations, {})
    assert "taskType" not in drawing
    assert [mark["details"] for mark in drawing["value"]] == [[], [{"value": None}, {"value": "second"}]]


def test_the_older_classifiers_annotations_pass_unchanged() -> None:
    annotations = [{"task": "T0", "value": [{"tool": 0, "x": 1, "y": 2, "frame": 0}]}, {"task": "T1", "value": 1}]
    assert to_v1(annotations, {"T0": {"type": "drawing"}}) == annotations


@given(st.recursive(st.none() | st.integers() | st.text("ab", max_size=3), lambda x: st.lists(x) | st.dictionaries(
    st.sampled_from(["task", "taskType", "value", "markIndex", "toolIndex", "details", "x_center", "width"]), x,
), max_leaves=8))  # fmt: skip
def test_whatever_a_browser_sent_is_written(value: Any) -> None:
    json.dumps(to_v1([value, {"task": "T0", "taskType": "drawing", "value": value}], {}))
