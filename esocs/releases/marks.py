"""Annotations of Zooniverse's newer classifier (v2) in the words of the older one (v1), which the tools read. Pure.

The aggregation tools' own set-up raises on the newer classifier's points and finds nothing in its circles and
rectangles, without a word (their `workflow_config` looks for `x` and `y`). What was sent stays in the database and in
the API; files speak v1 throughout, so that `classifier_version` is left out of their metadata as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from esocs.crowd.files.annotations import put_into_mark

MARKED = frozenset({"drawing", "transcription"})
"""Task types whose annotations are lists of marks."""

_NEWER = frozenset({"taskType", "markIndex"})
_RENAMED = {"x_center": "x", "y_center": "y"}
_REPLACED = frozenset({"tool", "toolIndex", "toolType", "points", "pathX", "pathY"})


def to_v1(annotations: Sequence[Any], tasks: Mapping[str, Any]) -> list[Any]:
    """The annotations as the older classifier would have written them; its own pass unchanged.

    Marks: `tool` for `toolIndex`; rectangles by their upper left corner, circles and ellipses by `x` and `y`; paths as
    `points`. What a mark was asked stands in its `details` again, in place of annotations of its own.

    Args:
        annotations: of one classification.
        tasks: of its workflow's version; where a task is unknown, the annotation's `taskType` tells.
    """
    if not any(isinstance(one, Mapping) and not _NEWER.isdisjoint(one) for one in annotations):
        return list(annotations)
    return [_annotation(one, tasks) for one in _with_details(annotations)]


def _with_details(annotations: Sequence[Any]) -> list[Any]:
    """The annotations with what marks were asked put back into them; copies, the marks are as they were."""
    drawings: dict[str, list[Any]] = {}
    whole: list[Any] = []
    details: list[Mapping[str, Any]] = []
    for one in annotations:
        task = one.get("task") if isinstance(one, Mapping) else None
        if not isinstance(task, str):
            whole.append(one)
        elif "markIndex" in one:
            details.append(one)
        elif isinstance(one.get("value"), list):
            marks = [
                {**mark, "details": list(mark["details"])}
                if isinstance(mark, Mapping) and isinstance(mark.get("details"), list)
                else dict(mark)
                if isinstance(mark, Mapping)
                else mark
                for mark in one["value"]
            ]
            drawings.setdefault(task, marks)
            whole.append({**one, "value": marks})
        else:
            whole.append(one)
    for detail in details:
        put_into_mark(detail, drawings)
    return whole


def _annotation(annotation: Any, tasks: Mapping[str, Any]) -> Any:
    if not isinstance(annotation, Mapping):
        return annotation
    kind = annotation.get("taskType")
    if not isinstance(kind, str):
        task = tasks.get(str(annotation.get("task")))
        kind = task.get("type") if isinstance(task, Mapping) else None
    value = annotation.get("value")
    if kind not in MARKED or not isinstance(value, list):
        return annotation
    plain = {key: value for key, value in annotation.items() if key != "taskType"}
    return {**plain, "value": [mark_to_v1(mark) for mark in value]}


def mark_to_v1(mark: Any) -> Any:
    """One mark in v1's keys; what is no mark of the newer classifier passes unchanged.

    Lengths are pixels of the subject. An angle has the same meaning in both.
    """
    if not isinstance(mark, Mapping) or "toolIndex" not in mark:
        return mark
    old: dict[str, Any] = {"tool": mark["toolIndex"]}
    old |= {_RENAMED.get(str(key), str(key)): value for key, value in mark.items() if key not in _REPLACED}
    for centre, corner, side in (("x_center", "x", "width"), ("y_center", "y", "height")):
        if _is_number(mark.get(centre)) and _is_number(mark.get(side)):
            old[corner] = mark[centre] - mark[side] / 2
    if isinstance(mark.get("pathX"), list) and isinstance(mark.get("pathY"), list):
        old["points"] = [{"x": x, "y": y} for x, y in zip(mark["pathX"], mark["pathY"], strict=False)]
    elif "points" in mark:
        old["points"] = mark["points"]
    if mark.get("toolType") == "polygon":
        old.setdefault("closed", True)
    old.setdefault("frame", 0)
    old["details"] = [_detail(one) for one in mark["details"]] if isinstance(mark.get("details"), list) else []
    return old


def _detail(detail: Any) -> Any:
    """What the mark was asked; unanswered, the newer classifier leaves the task's name alone, or nothing."""
    if detail is None or (isinstance(detail, Mapping) and "value" not in detail):
        return {"value": None}
    return detail


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
