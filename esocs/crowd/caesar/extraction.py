"""What an extractor reads out of one classification. Pure: the classification in, JSON out.

The types and their results are Caesar's; `shape` writes what panoptes_aggregation's shape_extractor does.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from esocs.crowd.caesar.errors import ExtractionError
from esocs.crowd.caesar.jsonpath import find

Data = dict[str, Any]

SHAPES: dict[str, tuple[str, ...]] = {
    "circle": ("x", "y", "r"),
    "column": ("x", "width"),
    "ellipse": ("x", "y", "rx", "ry", "angle"),
    "fullWidthLine": ("y",),
    "fullHeightLine": ("x",),
    "line": ("x1", "y1", "x2", "y2"),
    "point": ("x", "y"),
    "rectangle": ("x", "y", "width", "height"),
    "rotateRectangle": ("x", "y", "width", "height", "angle"),
    "triangle": ("x", "y", "r", "angle"),
    "fan": ("x", "y", "radius", "spread", "rotation"),
}
"""The numbers that make each shape, in the older classifier's terms."""

LARGEST_NUMBER = 1e9
"""Of a mark, in pixels or degrees."""

LARGEST_DATA_BYTES = 100_000
"""Of an extract or a reduction, as JSON."""


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """How to read classifications.

    Attributes:
        key: its name in the workflow.
        type: of `EXTRACTORS`, or `external`.
        task_key: the task it reads.
        if_missing: `error`, `ignore` or `nothing_here`: what to do without an annotation of the task.
        minimum_version: (major, minor) of the workflow below which it reads nothing.
        config: what else its type needs.
    """

    key: str
    type: str
    task_key: str = "T0"
    if_missing: str = "error"
    minimum_version: tuple[int, int] | None = None
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Classified:
    """One classification, as extractors see it.

    Attributes:
        id: its own; with those of its project, workflow, subject and user (None: anonymous).
        version: (major, minor) of the workflow when it was made.
        created_at: as text, in ISO 8601.
        annotations: as they were sent.
        metadata: of the classification.
        subject_metadata: of the subject.
    """

    id: int
    project_id: int
    workflow_id: int
    subject_id: int
    user_id: int | None
    version: tuple[int, int]
    created_at: str
    annotations: Sequence[Any]
    metadata: Mapping[str, Any]
    subject_metadata: Mapping[str, Any]

    @cached_property
    def by_task(self) -> dict[str, list[Mapping[str, Any]]]:
        """The annotations of each task; those inside a combination among them."""
        found: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
        waiting = list(reversed(self.annotations)) if isinstance(self.annotations, (list, tuple)) else []
        while waiting:
            annotation = waiting.pop()
            if not isinstance(annotation, Mapping) or not isinstance(annotation.get("task"), str):
                continue
            inner = annotation.get("value")
            if isinstance(inner, list) and inner and all(isinstance(a, Mapping) and "task" in a for a in inner):
                waiting += reversed(inner)
            else:
                found[annotation["task"]].append(annotation)
        return dict(found)

    @cached_property
    def document(self) -> Data:
        """The classification as Caesar sends it to external extractors, and as JSONPath sees it."""
        return {
            "id": self.id,
            "project_id": self.project_id,
            "workflow_id": self.workflow_id,
            "workflow_version": f"{self.version[0]}.{self.version[1]}",
            "subject_id": self.subject_id,
            "user_id": self.user_id,
            "created_at": self.created_at,
            "annotations": {task: [dict(one) for one in given] for task, given in self.by_task.items()},
            "metadata": dict(self.metadata),
            "subject": {"id": self.subject_id, "metadata": dict(self.subject_metadata)},
        }


def extract(extractor: Extractor, classified: Classified) -> Data | None:
    """What an extractor reads.

    Returns:
        The extract's data; None when the classification is too old for it.

    Raises:
        ExtractionError: it cannot read this classification.
    """
    if is_too_old(extractor, classified):
        return None
    return check_size(EXTRACTORS[extractor.type](extractor, classified))


def is_too_old(extractor: Extractor, classified: Classified) -> bool:
    """Whether the workflow asked otherwise then."""
    return extractor.minimum_version is not None and classified.version < extractor.minimum_version


def check_size(data: Data) -> Data:
    """The data, if they can be kept.

    Raises:
        ExtractionError: there are too many.
    """
    if len(json.dumps(data, ensure_ascii=False)) > LARGEST_DATA_BYTES:
        raise ExtractionError(f"It is more than {LARGEST_DATA_BYTES:,} bytes of JSON.")
    return data


def key_of(value: Any) -> str:
    """An answer as the key under which it is counted: text as it is, no answer as nothing, anything else as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _given(extractor: Extractor, classified: Classified) -> list[Mapping[str, Any]]:
    given = classified.by_task.get(extractor.task_key, [])
    if not given and extractor.if_missing == "error":
        raise ExtractionError(f"There is no annotation of task {extractor.task_key}.")
    return given


def _question(extractor: Extractor, classified: Classified) -> Data:
    counts: Counter[str] = Counter()
    for annotation in _given(extractor, classified):
        value = annotation.get("value")
        counts.update(key_of(each) for each in (value if isinstance(value, list) else [value]))
    return dict(counts)


def _survey(extractor: Extractor, classified: Classified) -> Data:
    nothing = extractor.config.get("nothing_here_choice")
    counts: Counter[str] = Counter()
    for annotation in _given(extractor, classified):
        value = annotation.get("value")
        for chosen in value if isinstance(value, list) else []:
            if isinstance(chosen, Mapping) and isinstance(chosen.get("choice"), str):
                counts[chosen["choice"]] += 1
    if not counts and isinstance(nothing, str) and nothing:
        counts[nothing] = 1
    return dict(counts)


def _pluck_field(extractor: Extractor, classified: Classified) -> Data:
    data: Data = {}
    for name, path in extractor.config.get("field_map", {}).items():
        values = find(path, classified.document)
        if values:
            data[name] = values[0] if len(values) == 1 else values
        elif extractor.if_missing == "error":
            raise ExtractionError(f"There is nothing at {path}.")
    return data


def _blank(extractor: Extractor, classified: Classified) -> Data:
    given = classified.by_task.get(extractor.task_key, [])
    value = given[0].get("value") if given else None
    # 0 is an answer, the first; nothing, an empty text and an empty list are none.
    return {"blank": value is None or value in ("", [], {})}


def _who(_: Extractor, classified: Classified) -> Data:
    return {"user_id": classified.user_id}


def _shape(extractor: Extractor, classified: Classified) -> Data:
    shape = extractor.config["shape"]
    frames: dict[str, dict[str, list[float]]] = {}
    for annotation in _given(extractor, classified):
        value = annotation.get("value")
        for mark in value if isinstance(value, list) else []:
            numbers = _numbers_of(mark, shape)
            if numbers is None:
                continue
            name_of_tool = "tool" if "tool" in mark else "toolIndex"
            tool = f"{extractor.task_key}_{name_of_tool}{key_of(mark.get(name_of_tool) or 0)}"
            frame = frames.setdefault(f"frame{key_of(mark.get('frame') or 0)}", {})
            for name, number in zip(SHAPES[shape], numbers, strict=True):
                frame.setdefault(f"{tool}_{name}", []).append(number)
    return dict(frames)


def _numbers_of(mark: Any, shape: str) -> list[float] | None:
    """The shape's numbers, whichever classifier wrote them; None for another shape."""
    if not isinstance(mark, Mapping) or mark.get("toolType", shape) != shape:
        return None
    numbers = [mark.get(name) for name in SHAPES[shape]]
    if all(_is_number(number) for number in numbers):
        return [float(number) for number in numbers if number is not None]
    if "x_center" not in mark:
        return None
    # The newer classifier tells most shapes by their centre.
    from esocs.crowd.summaries import Rejected, read_mark  # which needs a geometry library

    read = read_mark(mark, tool_type=shape)
    if isinstance(read, Rejected):
        return None
    written = read.to_mark()
    return [float(written[name]) for name in SHAPES[shape]]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < LARGEST_NUMBER


EXTRACTORS: dict[str, Callable[[Extractor, Classified], Data]] = {
    "question": _question,
    "survey": _survey,
    "pluck_field": _pluck_field,
    "blank": _blank,
    "who": _who,
    "shape": _shape,
}
"""Those that need nothing but the classification."""
