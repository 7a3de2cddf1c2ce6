"""Tasks of every kind: what may be asked, and the sentence that says what may not."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esocs.projects.rules import InvalidWorkflowError, flatten, read_choices
from esocs.projects.task_checks import check_asked, check_tasks, picture_sites

DOCS = Path(__file__).resolve().parents[2] / "docs"
EVERY_TASK = json.loads((DOCS / "examples" / "every-task.json").read_text(encoding="utf-8"))
ANSWERS = [{"label": "Yes"}, {"label": "No"}]
SINGLE = {"type": "single", "question": "?", "answers": ANSWERS}
POINT = {"type": "point", "label": "Knot"}


def test_the_example_with_every_kind_of_task_may_be_asked() -> None:
    assert check_asked(EVERY_TASK) is EVERY_TASK["tasks"]


def test_every_task_that_the_document_shows_may_be_asked() -> None:
    blocks = re.findall(r"```json\n(.*?)```", (DOCS / "tasks.md").read_text(encoding="utf-8"), re.DOTALL)
    shown = [json.loads(block) for block in blocks]
    assert len(shown) >= 10
    for one in shown:
        if "tasks" in one and "type" not in one:
            check_asked(one)
        else:
            more = {key: SINGLE for key in ("T1", "T2") if key in json.dumps(one)}
            shortcut = {"T9": {"type": "shortcut", "answers": ANSWERS}} if one.get("unlinkedTask") else {}
            check_tasks({"T0": one, **more, **shortcut})


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        ({"type": "singel"}, "In task 'T0': there is no type 'singel'."),
        ({"type": "single", "answers": [{"text": "Yes"}]}, "answers of task 'T0'"),
        ({"type": "single", "answers": [{"label": "Yes", "unsure": "yes"}]}, "unsure is neither true nor false"),
        ({"type": "single", "answers": [{"label": "Yes", "next": "T9"}]}, "answer 0 leads to 'T9'"),
        ({**SINGLE, "next": {"a": 1}}, "it leads to"),
        ({**SINGLE, "required": ["yes"]}, "required is neither"),
        ({**SINGLE, "question": 3}, "question is not a text"),
        ({**SINGLE, "unlinkedTask": "T0"}, "unlinkedTask 'T0' is no shortcut task"),
        ({"type": "text", "text_tags": ["", 3]}, "text_tags"),
        ({"type": "slider", "min": 5, "max": "5"}, "min is not below max"),
        ({"type": "slider", "min": 0, "max": 9, "step": 0}, "step is not above 0"),
        ({"type": "slider", "min": 0, "max": 9, "defaultValue": "ten"}, "defaultValue is no number: 'ten'"),
        ({"type": "slider", "min": 0, "max": 9, "defaultValue": 10}, "defaultValue is not between 0 and 9"),
        ({"type": "slider", "min": float("nan"), "max": 9}, "min is no number"),
        ({"type": "dropdown", "selects": []}, "selects is not a list of objects, at least one"),
        ({"type": "dropdown", "selects": [{"condition": "b"}, {"id": "b"}]}, "list 1 depends on 'b'"),
        ({"type": "dropdown", "selects": [{"options": {"*": [{"label": "x"}]}}]}, "the options of list 1"),
        ({"type": "drawing", "tools": "point"}, "tools is not a list of objects"),
        ({"type": "drawing", "tools": [{"type": "elipse"}]}, "In tool 0 of task 'T0': there is no type 'elipse'."),
        ({"type": "drawing", "tools": [{**POINT, "min": 3, "max": 2}]}, "min and max are not numbers of marks"),
        ({"type": "drawing", "tools": [{**POINT, "color": "url(x)"}]}, "is no colour"),
        ({"type": "drawing", "tools": [{**POINT, "presets": [0]}]}, "presets"),
        ({"type": "drawing", "tools": [{**POINT, "details": [{"type": "drawing"}]}]}, "cannot be asked about a mark"),
        ({"type": "drawing", "tools": [{**POINT, "details": [{"type": "slider"}]}]}, "In detail 0 of tool 0"),
        ({"type": "dataVisAnnotation", "tools": [POINT]}, "graph2dRangeX alone"),
        ({"type": "combo", "tasks": ["T0"]}, "'T0' is a combo"),
        ({"type": "combo", "tasks": ["T7"]}, "tasks names 'T7'"),
        ({"type": "survey", "choices": {}}, "choices is empty"),
        ({"type": "survey", "choices": {"A": {"label": "A"}}, "choicesOrder": ["B"]}, "choicesOrder names 'B'"),
        ({"type": "survey", "choices": {"A": {"label": "A"}}, "questionsMap": {"A": ["Q"]}}, "questionsMap of 'A'"),
    ],
)
def test_a_task_that_makes_no_sense_is_refused_in_a_sentence_that_names_it(task: Any, sentence: str) -> None:
    with pytest.raises(InvalidWorkflowError, match=re.escape(sentence)):
        check_tasks({"T0": task})


def test_a_misspelt_type_is_told_what_it_may_have_meant() -> None:
    with pytest.raises(InvalidWorkflowError) as refused:
        check_tasks({"T0": {"type": "drawing", "tools": [{"type": "elipse"}]}})
    assert refused.value.hint == "Did you mean 'ellipse'?"


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        (["S0"], "A step is not a pair"),
        ([["S0", {"taskKeys": ["T9"]}]], "taskKeys of step 'S0'"),
        ([["S0", {"taskKeys": ["T0"], "next": "S9"}]], "Step 'S0' leads to 'S9'"),
        ([["S0", {"taskKeys": ["T0"], "next": []}]], "Step 'S0' leads to"),
        ([["S0", {"taskKeys": ["T1", "T2"]}]], "two drawings at once"),
    ],
)
def test_steps_that_lead_nowhere_are_refused(steps: Any, sentence: str) -> None:
    drawing = {"type": "drawing", "tools": [POINT]}
    with pytest.raises(InvalidWorkflowError, match=re.escape(sentence)):
        check_tasks({"T0": SINGLE, "T1": drawing, "T2": drawing}, steps)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["T0", "T1", "S0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(place=st.data(), value=_JSON)
def test_whatever_stands_in_a_task_is_taken_or_refused(place: st.DataObject, value: Any) -> None:
    """Any part of the example, at any depth, replaced by anything: never another error than the refusal."""
    asked = copy.deepcopy(EVERY_TASK)
    asked["steps"] = [["S0", {"taskKeys": ["T0"], "next": None}]]
    part: Any = asked
    for _ in range(place.draw(st.integers(1, 7))):
        keys = list(part) if isinstance(part, dict) else list(range(len(part)))
        key = place.draw(st.sampled_from(keys))
        if isinstance(part[key], dict | list) and part[key]:
            holder, part = (part, key), part[key]
        else:
            holder = (part, key)
            break
    holder[0][holder[1]] = value
    try:
        check_asked(asked)
    except InvalidWorkflowError:
        return
    picture_sites(asked["tasks"], {})


def test_answers_within_a_combination_count_as_if_they_stood_beside_it() -> None:
    combo = {"type": "combo", "tasks": ["T1", "T2"]}
    tasks = {"T0": combo, "T1": SINGLE, "T2": {"type": "multiple", "answers": ANSWERS}}
    inside = [{"task": "T1", "value": 1}, {"task": "T2", "value": [0]}]
    nested = [{"task": "T0", "value": inside}]
    assert list(flatten(nested)) == [*nested, *inside]
    assert read_choices(tasks, nested) == read_choices(tasks, inside)
    assert [(choice.task_key, choice.answer) for choice in read_choices(tasks, nested)] == [
        ("T1", 1), ("T2.0", 1), ("T2.1", 0),
    ]  # fmt: skip


def test_only_pictures_sites_that_the_texts_name_are_let_in() -> None:
    tasks = {"T0": {"type": "survey", "images": {"a.png": "https://b.example/a.png", "b.png": "/media/b.png"}}}
    strings = {"q": "![x](https://a.example:8443/x.png =20x) ![y](http://c.example/y.png) [z](https://d.example/)"}
    assert picture_sites(tasks, strings) == {"https://a.example:8443", "https://b.example"}
    assert picture_sites({}, {"q": "![x](https://e.example;script-src/x.png)"}) == set()
