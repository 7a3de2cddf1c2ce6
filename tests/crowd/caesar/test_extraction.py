"""What each extractor reads out of a classification."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esocs.crowd.caesar.errors import CaesarConfigurationError, ExtractionError
from esocs.crowd.caesar.extraction import Classified, Extractor, extract
from esocs.crowd.caesar.jsonpath import find


def classified(annotations: Any, **fields: Any) -> Classified:
    values = {
        "id": 7,
        "project_id": 1,
        "workflow_id": 2,
        "subject_id": 3,
        "user_id": 4,
        "version": (16, 50),
        "created_at": "2026-01-01T00:00:00Z",
        "metadata": {"session": "s", "subject_dimensions": [{"naturalWidth": 700}]},
        "subject_metadata": {"#priority": 1, "name": "M 51"},
        **fields,
    }
    return Classified(annotations=annotations, **values)


NEWER = {
    "toolIndex": 1,
    "toolType": "rectangle",
    "frame": 1,
    "x_center": 6,
    "y_center": 12,
    "width": 10,
    "height": 20,
}


def read(kind: str, annotations: Any, **fields: Any) -> Any:
    config = {name: fields.pop(name) for name in list(fields) if name not in {"task_key", "if_missing"}}
    return extract(Extractor(key="e", type=kind, config=config, **fields), classified(annotations))


@pytest.mark.parametrize(
    ("kind", "annotations", "fields", "data"),
    [
        ("question", [{"task": "T0", "value": 1}], {}, {"1": 1}),
        ("question", [{"task": "T0", "value": [0, 2]}], {}, {"0": 1, "2": 1}),
        ("question", [{"task": "T0", "value": None}], {}, {"": 1}),
        ("question", [{"task": "T0", "value": []}], {}, {}),
        ("question", [{"task": "T0", "value": "YES"}], {}, {"YES": 1}),
        ("question", [{"task": "T0", "value": 0}, {"task": "T0", "value": 0}], {}, {"0": 2}),
        ("question", [{"task": "T1", "value": 0}], {"if_missing": "ignore"}, {}),
        ("question", [{"task": "T3", "value": [{"task": "T0", "value": 1}]}], {}, {"1": 1}),
        ("survey", [{"task": "T0", "value": [{"choice": "DR"}, {"choice": "DR"}, {"choice": "LN"}]}], {},
         {"DR": 2, "LN": 1}),
        ("survey", [{"task": "T0", "value": []}], {"nothing_here_choice": "NTHNGHR"}, {"NTHNGHR": 1}),
        ("survey", [], {"if_missing": "nothing_here", "nothing_here_choice": "NTHNGHR"}, {"NTHNGHR": 1}),
        ("blank", [], {}, {"blank": True}),
        ("blank", [{"task": "T0", "value": []}], {}, {"blank": True}),
        ("blank", [{"task": "T0", "value": ""}], {}, {"blank": True}),
        ("blank", [{"task": "T0", "value": 0}], {}, {"blank": False}),
        ("blank", [{"task": "T0", "value": [{"x": 1}]}], {}, {"blank": False}),
        ("who", [], {}, {"user_id": 4}),
        (
            "pluck_field",
            [{"task": "T0", "value": 1}, {"task": "T1", "value": [5, 6]}],
            {"field_map": {"v": "$.annotations.T0[0].value", "all": "$..T1[*].value[*]", "who": "$.user_id"}},
            {"v": 1, "all": [5, 6], "who": 4},
        ),
        ("pluck_field", [], {"field_map": {"v": "$.nothing"}, "if_missing": "ignore"}, {}),
        (
            "shape",
            [
                {
                    "task": "T0",
                    "value": [
                        {"tool": 0, "frame": 0, "x": 1, "y": 2, "width": 10, "height": 20},
                        {"tool": 0, "frame": 0, "x": 3, "y": 4, "width": 10, "height": 20},
                        NEWER,
                        {"tool": 2, "frame": 0, "x": 5, "y": 5},
                        {"tool": 0, "x": None, "y": 2, "width": 1, "height": 1},
                        "no mark",
                    ],
                }
            ],
            {"shape": "rectangle"},
            {
                "frame0": {
                    "T0_tool0_x": [1, 3],
                    "T0_tool0_y": [2, 4],
                    "T0_tool0_width": [10, 10],
                    "T0_tool0_height": [20, 20],
                },
                "frame1": {
                    "T0_toolIndex1_x": [1],
                    "T0_toolIndex1_y": [2],
                    "T0_toolIndex1_width": [10],
                    "T0_toolIndex1_height": [20],
                },
            },
        ),
        ("shape", [{"task": "T0", "value": [{"tool": 0, "x": 1, "y": 2, "r": 3, "angle": 4}]}], {"shape": "triangle"},
         {"frame0": {"T0_tool0_x": [1], "T0_tool0_y": [2], "T0_tool0_r": [3], "T0_tool0_angle": [4]}}),
    ],
)  # fmt: skip
def test_each_type_reads_what_caesar_reads(kind: str, annotations: Any, fields: dict[str, Any], data: Any) -> None:
    assert read(kind, annotations, **fields) == data


@pytest.mark.parametrize("kind", ["question", "survey"])
def test_a_task_that_was_not_reached_is_an_error_unless_it_may_be_missing(kind: str) -> None:
    with pytest.raises(ExtractionError):
        read(kind, [{"task": "T1", "value": 0}])
    assert read(kind, [{"task": "T1", "value": 0}], if_missing="ignore") == {}


def test_what_is_older_than_the_minimum_version_is_not_read() -> None:
    versions = {(16, 50): True, (16, 5): False, (17, 0): True, (15, 99): False}
    for version, wanted in versions.items():
        extractor = Extractor(key="e", type="who", minimum_version=(16, 50))
        assert (extract(extractor, classified([], version=version)) is not None) == wanted


DOCUMENT = {"a": {"b": [1, 2, 3]}, "c d": {"x.y": 4}, "list": [{"v": 1}, {"v": 2}], "e": {"v": 3}}


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("$", [DOCUMENT]),
        ("$.a.b", [[1, 2, 3]]),
        ("$.a.b[0]", [1]),
        ("$.a.b[-1]", [3]),
        ("$.a.b[9]", []),
        ("$.a.b[*]", [1, 2, 3]),
        ("$.a.b[1:]", [2, 3]),
        ("$.a.b[:-1]", [1, 2]),
        ("$['c d']['x.y']", [4]),
        ('$["c d"]', [{"x.y": 4}]),
        ("$..v", [1, 2, 3]),
        ("$.list[*].v", [1, 2]),
        ("$.a.*", [[1, 2, 3]]),
        ("$.a.b.c", []),
    ],
)
def test_a_path_finds_every_value_in_order(path: str, values: list[Any]) -> None:
    assert find(path, DOCUMENT) == values


@pytest.mark.parametrize(
    "path", ["", "a.b", "$.", "$..", "$....v", "$[", "$[?(@.v)]", "$.a b", "$[1", "$.a[x]", "$" * 400, "$.a['b"]
)
def test_a_path_that_cannot_be_read_is_refused(path: str) -> None:
    with pytest.raises(CaesarConfigurationError):
        find(path, DOCUMENT)


def test_a_path_that_leads_everywhere_ends_soon() -> None:
    deep: Any = 1
    for _ in range(300):
        deep = {"a": deep, "b": [1, 2]}
    with pytest.raises(ExtractionError):
        find("$..*..*..*", deep)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(["T0", "point"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["task", "value", "choice", "tool", "frame", "x", "y", "toolType"]), inner)
    ),
    max_leaves=12,
)
KINDS = {
    "question": {},
    "survey": {"nothing_here_choice": "N"},
    "blank": {},
    "who": {},
    "shape": {"shape": "point"},
    "pluck_field": {"field_map": {"v": "$..value"}},
}


@settings(deadline=None)
@given(JSON, st.sampled_from(sorted(KINDS)), st.sampled_from(["error", "ignore"]))
def test_whatever_was_sent_is_read_or_named_as_unreadable(annotations: Any, kind: str, if_missing: str) -> None:
    extractor = Extractor(key="e", type=kind, if_missing=if_missing, config=KINDS[kind])
    try:
        data = extract(extractor, classified(annotations))
    except ExtractionError:
        return
    assert isinstance(data, dict)
    assert repr(extract(extractor, classified(annotations))) == repr(data)
