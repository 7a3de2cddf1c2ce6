"""The flat export, for spreadsheets: one row an annotation. Made of the rows of the classifications export."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from esocs.releases.columns import classifications
from esocs.releases.scope import Scope, compact_json

OF_CLASSIFICATION = (
    "classification_id",
    "user_name",
    "user_id",
    "workflow_id",
    "workflow_name",
    "workflow_version",
    "created_at",
    "gold_standard",
    "subject_ids",
)
HEADER = (*OF_CLASSIFICATION, "annotation", "task", "task_label", "value", "parts")
_PLACES = tuple(classifications.HEADER.index(name) for name in OF_CLASSIFICATION)
_ANNOTATIONS = classifications.HEADER.index("annotations")


def header(scope: Scope) -> Sequence[str]:  # noqa: ARG001 - the same for every scope
    return HEADER


def count(scope: Scope) -> int:
    return classifications.count(scope)


def rows(scope: Scope) -> Iterator[Sequence[Any]]:
    """One row an annotation, a combination's parts each; a classification without any has one row with empty cells.

    `value` is a text as it is and anything else as JSON; `parts` says how many marks, choices or options it holds.
    """
    for row in classifications.rows(scope):
        facts = [row[place] for place in _PLACES]
        found = list(_flat(json.loads(row[_ANNOTATIONS])))
        for number, annotation in enumerate(found):
            yield (*facts, number, *_cells(annotation))
        if not found:
            yield (*facts, None, None, None, None, None)


def _flat(annotations: Any) -> Iterator[Any]:
    for annotation in annotations if isinstance(annotations, list) else [annotations]:
        value = annotation.get("value") if isinstance(annotation, dict) else None
        if isinstance(value, list) and value and all(isinstance(part, dict) and "task" in part for part in value):
            yield from value
        else:
            yield annotation


def _cells(annotation: Any) -> tuple[Any, ...]:
    if not isinstance(annotation, dict):
        return None, None, compact_json(annotation), None
    value, label = annotation.get("value"), annotation.get("task_label")
    text = value if value is None or isinstance(value, str) else compact_json(value)
    task = annotation.get("task")
    parts = len(value) if isinstance(value, list) else int(value is not None)
    return task, label if isinstance(label, str) else None, text, parts
