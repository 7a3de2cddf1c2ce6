"""One annotation of an export, of the older classifier (v1) or the newer (v2): what kind it is and what it says.

Nothing about an annotation is certain: volunteers' browsers wrote it, and tasks change type between versions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

UNKNOWN_ANSWER = "unknown answer label"
"""What Panoptes writes for an index that its version of the task does not have."""


class Kind(StrEnum):
    """How a task's annotations are aggregated: the first two into questions, the rest into summaries.

    Attributes:
        EMPTY: an empty list, which fits every task that takes a list.
    """

    SINGLE = "single"
    MULTIPLE = "multiple"
    DRAWING = "drawing"
    SURVEY = "survey"
    TEXT = "text"
    SLIDER = "slider"
    DROPDOWN = "dropdown"
    OTHER = "other"
    EMPTY = "empty"


_OF_TYPE = {
    "single": Kind.SINGLE,
    "multiple": Kind.MULTIPLE,
    "shortcut": Kind.MULTIPLE,
    "drawing": Kind.DRAWING,
    "transcription": Kind.DRAWING,
    "dataVisAnnotation": Kind.DRAWING,
    "survey": Kind.SURVEY,
    "text": Kind.TEXT,
    "slider": Kind.SLIDER,
    "dropdown": Kind.DROPDOWN,
    "dropdown-simple": Kind.DROPDOWN,
}


def kind_of_type(task_type: Any) -> Kind | None:
    """The kind of a task type's annotations; None for a type that says nothing."""
    return _OF_TYPE.get(task_type) if isinstance(task_type, str) else None


def kind_of_value(value: Any) -> Kind:
    """The kind that an annotation's value has the shape of, where nobody tells its type."""
    if isinstance(value, str):
        return Kind.SINGLE
    if isinstance(value, bool):
        return Kind.OTHER
    if isinstance(value, int):
        return Kind.SINGLE
    if isinstance(value, float):
        return Kind.SLIDER
    if isinstance(value, dict):
        return Kind.DROPDOWN if {"selection", "option"} & value.keys() else Kind.OTHER
    if isinstance(value, list):
        return _kind_of_list(value)
    return Kind.OTHER


def _kind_of_list(value: list[Any]) -> Kind:
    if not value:
        return Kind.EMPTY
    first = value[0]
    if isinstance(first, dict):
        if "choice" in first:
            return Kind.SURVEY
        if {"tool", "toolIndex", "toolType", "frame", "x", "x1", "points"} & first.keys():
            return Kind.DRAWING
        return Kind.DROPDOWN if {"option", "select_label"} & first.keys() else Kind.OTHER
    if isinstance(first, str | int) and not isinstance(first, bool):
        return Kind.MULTIPLE
    return Kind.OTHER


def flatten(annotations: Any) -> Iterator[Mapping[str, Any]]:
    """The annotations, those within a combination of tasks in its place, and what a mark was asked in the mark.

    Raises:
        TypeError: something that is no list of annotations; says what.
    """
    if not isinstance(annotations, list):
        raise TypeError("the annotations are no JSON array")
    drawings: dict[str, list[Any]] = {}
    details: list[Mapping[str, Any]] = []
    flat: list[Mapping[str, Any]] = []
    for annotation in annotations:
        if not isinstance(annotation, dict) or not isinstance(annotation.get("task"), str):
            raise TypeError("an annotation names no task")
        value = annotation.get("value")
        if "markIndex" in annotation:
            details.append(annotation)
        elif isinstance(value, list) and _is_combination(value):
            flat.extend(part for part in value if isinstance(part.get("task"), str))
        else:
            flat.append(annotation)
            if isinstance(value, list) and _kind_of_list(value) == Kind.DRAWING:
                drawings[annotation["task"]] = value
    for detail in details:
        put_into_mark(detail, drawings)
    seen: set[str] = set()
    for annotation in flat:
        if annotation["task"] not in seen:
            seen.add(annotation["task"])
            yield annotation


def label_of(value: Any, labels: Sequence[str]) -> str | None:
    """The text of one answer, from its text or its index; None for what is no answer.

    Args:
        value: as exported.
        labels: the task's answers at the classification's version; none where nobody knows them.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        if labels:
            return labels[value] if 0 <= value < len(labels) else None
        return str(value) if 0 <= value < 10**6 else None
    if isinstance(value, str):
        # JSON may hold half of a surrogate pair, which no file of text can.
        text = value.strip().encode("utf-8", "replace").decode()
        return text if text and text != UNKNOWN_ANSWER else None
    return None


def labels_of(value: Any, labels: Sequence[str]) -> frozenset[str] | None:
    """The chosen answers of a task of several; None where the value is no list of answers."""
    if not isinstance(value, list):
        return None
    chosen = [label_of(item, labels) for item in value]
    return None if value and not any(chosen) else frozenset(label for label in chosen if label)


def _is_combination(value: list[Any]) -> bool:
    return bool(value) and all(isinstance(part, dict) and "task" in part for part in value)


def put_into_mark(detail: Mapping[str, Any], drawings: Mapping[str, list[Any]]) -> None:
    """The newer classifier sends what a mark was asked beside it, as task `T0.1.2`: tool 1, question 2."""
    task, *place = detail["task"].split(".")
    index, marks = detail["markIndex"], drawings.get(task, [])
    if not isinstance(index, int) or not 0 <= index < len(marks) or not isinstance(marks[index], dict):
        return
    question = int(place[-1]) if len(place) == 2 and place[-1].isdecimal() else 0
    if question > 50:
        return
    answers = marks[index].get("details")
    answers = answers if isinstance(answers, list) else []
    answers.extend(None for _ in range(question + 1 - len(answers)))
    answers[question] = {"value": detail.get("value")}
    marks[index]["details"] = answers
