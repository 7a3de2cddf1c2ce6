"""How an annotation reads in an export: its labels as the volunteer saw them. Pure.

The shapes are Panoptes' (its AnnotationForCsv), task type by task type, so that Zooniverse's tools can read our files.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from esocs.releases.marks import to_v1

UNKNOWN_LABEL = "unknown answer label"

Annotation = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Version:
    """What a workflow asked at one version."""

    major: int
    minor: int
    tasks: Mapping[str, Any]
    strings: Mapping[str, str]


def version_for(versions: Sequence[Version], major: int, minor: int) -> Version | None:
    """The version a classification's labels are read from, as Panoptes looks it up.

    Args:
        versions: of one workflow, in ascending order.
        major: of the classification.
        minor: of the classification.

    Returns:
        The first version that is not older, else the last one; None of none.
    """
    for version in versions:
        if version.major >= major and version.minor >= minor:
            return version
    return versions[-1] if versions else None


def label_annotations(annotations: Sequence[Any], version: Version | None) -> list[Any]:
    """The annotations with their labels, marks in v1. What no task explains passes unchanged: nothing is ever lost."""
    spoken = to_v1(annotations, version.tasks if version else {})
    return [_label(annotation, version, nested=False) for annotation in spoken]


def _label(annotation: Any, version: Version | None, *, nested: bool) -> Any:
    if version is None or not isinstance(annotation, dict):
        return annotation
    task = version.tasks.get(annotation.get("task", ""))
    if not isinstance(task, Mapping):
        return annotation
    kind = task.get("type")
    if kind == "combo" and isinstance(annotation.get("value"), list) and not nested:
        parts = [_label(part, version, nested=True) for part in annotation["value"]]
        return {"task": annotation["task"], "task_label": None, "value": parts}
    labeller = LABELLERS.get(kind) if isinstance(kind, str) else None
    return annotation if labeller is None else labeller(annotation, task, version.strings)


def _task_label(task: Mapping[str, Any], strings: Mapping[str, str]) -> str | None:
    key = task.get("question") or task.get("instruction")
    return strings.get(key, key) if isinstance(key, str) else None


def _text(key: Any, strings: Mapping[str, str]) -> Any:
    return strings.get(key, key) if isinstance(key, str) else key


def _label_single(annotation: Annotation, task: Mapping[str, Any], strings: Mapping[str, str]) -> Annotation:
    value = annotation.get("value")
    labelled = None if value is None else _answer_label(value, task, strings)
    return {"task": annotation["task"], "task_label": _task_label(task, strings), "value": labelled}


def _label_multiple(annotation: Annotation, task: Mapping[str, Any], strings: Mapping[str, str]) -> Annotation:
    value = annotation.get("value")
    indices = value if isinstance(value, list) else [] if value is None else [value]
    labelled = [_answer_label(index, task, strings) for index in indices]
    return {"task": annotation["task"], "task_label": _task_label(task, strings), "value": labelled}


def _label_text(annotation: Annotation, task: Mapping[str, Any], strings: Mapping[str, str]) -> Annotation:
    label = _task_label(task, strings)
    return {"task": annotation["task"], "value": annotation.get("value"), "task_label": label}


def _label_drawing(annotation: Annotation, task: Mapping[str, Any], strings: Mapping[str, str]) -> Annotation:
    if not isinstance(annotation.get("value"), list):
        return annotation
    marks = [_label_mark(mark, task, strings) for mark in annotation["value"]]
    # In the order of keys that genuine files have.
    first = {"task": annotation["task"], "task_label": _task_label(task, strings), "value": marks}
    return first | {key: value for key, value in annotation.items() if key not in first}


def _answer_label(index: Any, task: Mapping[str, Any], strings: Mapping[str, str]) -> str:
    return _item_label(index, task.get("answers"), strings) or UNKNOWN_LABEL


def _item_label(index: Any, items: Any, strings: Mapping[str, str]) -> str | None:
    """The label of the index-th of `items`, each `{"label": key}`; None when there is no such one."""
    if isinstance(index, bool) or not isinstance(index, int) or not isinstance(items, list):
        return None
    if not 0 <= index < len(items) or not isinstance(items[index], Mapping):
        return None
    key = items[index].get("label")
    return strings.get(key, key) if isinstance(key, str) else None


def _label_mark(mark: Any, task: Mapping[str, Any], strings: Mapping[str, str]) -> Any:
    if not isinstance(mark, dict):
        return mark
    label = _item_label(mark.get("tool", mark.get("toolIndex")), task.get("tools"), strings)
    return mark if label is None else {**mark, "tool_label": label}


def _label_dropdown(annotation: Annotation, task: Mapping[str, Any], strings: Mapping[str, str]) -> Annotation:
    value, selects = annotation.get("value"), task.get("selects")
    if not isinstance(value, list) or not isinstance(selects, list):
        return annotation
    labelled = [
        _label_select(chosen, selects[position], strings) if position < len(selects) else chosen
        for position, chosen in enumerate(value)
    ]
    return {"task": annotation["task"], "value": labelled}


def _label_select(chosen: Any, select: Mapping[str, Any], strings: Mapping[str, str]) -> Any:
    if not isinstance(chosen, dict):
        return chosen
    entry = {"select_label": _text(select.get("title"), strings), **chosen}
    option = _find_option(select, chosen.get("value")) if chosen.get("option") else None
    return entry if option is None else {**entry, "label": _text(option.get("label"), strings)}


def _find_option(select: Mapping[str, Any], value: Any) -> Mapping[str, Any] | None:
    options = (option for group in _option_groups(select) for option in group)
    return next((option for option in options if option.get("value") == value), None)


def _label_simple_dropdown(annotation: Annotation, task: Mapping[str, Any], strings: Mapping[str, str]) -> Annotation:
    chosen = annotation.get("value")
    if not isinstance(chosen, dict):
        return annotation
    select = (task.get("selects") or [{}])[0]
    options = [option for group in _option_groups(select) for option in group]
    index = chosen.get("selection")
    entry: Annotation = {"select_label": _text(select.get("title"), strings), "option": chosen.get("option")}
    if isinstance(index, int) and not isinstance(index, bool) and 0 <= index < len(options):
        label = _text(options[index].get("label"), strings)
        entry |= {"option_index": index, "value": options[index].get("value"), "label": label}
    else:
        entry["value"] = index
    return {"task": annotation["task"], "task_type": "dropdown-simple", "value": entry}


def _option_groups(select: Mapping[str, Any]) -> Iterable[Sequence[Mapping[str, Any]]]:
    groups = select.get("options") or []
    return groups.values() if isinstance(groups, Mapping) else [groups]


Labeller = Callable[[Annotation, Mapping[str, Any], Mapping[str, str]], Annotation]
LABELLERS: dict[str, Labeller] = {
    "single": _label_single,
    "multiple": _label_multiple,
    "shortcut": _label_multiple,
    "text": _label_text,
    "drawing": _label_drawing,
    "dropdown": _label_dropdown,
    "dropdown-simple": _label_simple_dropdown,
}


def tasks_for_export(tasks: Mapping[str, Any], strings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The tasks as the aggregation tools need them.

    Every drawing tool has a `details` list, if an empty one. A list's title stands in its task in place of the key of
    its text: the tools take every text below `selects` for an option's, and stop at a title.
    """
    exported = {}
    for key, task in tasks.items():
        if isinstance(task, Mapping) and task.get("type") == "drawing":
            tools = [{**tool, "details": tool.get("details") or []} for tool in task.get("tools", [])]
            exported[key] = {**task, "tools": tools}
        elif isinstance(task, Mapping) and task.get("type") == "dropdown" and isinstance(task.get("selects"), list):
            selects = [{**select, "title": _text(select.get("title"), strings or {})} for select in task["selects"]]
            exported[key] = {**task, "selects": selects}
        else:
            exported[key] = task
    return exported


def strings_for_export(strings: Mapping[str, Any], tasks: Mapping[str, Any] | None = None) -> dict[str, str]:
    """The texts alone: the aggregation tools evaluate this column as Python, which knows no null, true or false."""
    titles = {
        select.get("title")
        for task in (tasks or {}).values()
        if isinstance(task, Mapping) and task.get("type") == "dropdown"
        for select in task.get("selects") or []
    }
    return {key: value for key, value in strings.items() if isinstance(value, str) and key not in titles}


def column_names(labels: Sequence[str], *, prefix: str) -> list[str]:
    """One column name a label: plain ASCII words joined by underscores, told apart by a number where they coincide."""
    names: list[str] = []
    for label in labels:
        plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode().lower()
        name = prefix + (re.sub(r"[^a-z0-9]+", "_", plain).strip("_") or "answer")
        names.append(name if name not in names else f"{name}_{len(names)}")
    return names
