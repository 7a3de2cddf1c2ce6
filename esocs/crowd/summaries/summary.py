"""One call for any task: what did the volunteers say? The task's type decides, or its values where that is unknown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from esocs.crowd.summaries.drawing import PLAIN, summarise_drawing
from esocs.crowd.summaries.responses import Response, Summary, counted, one_each
from esocs.crowd.summaries.survey import summarise_survey

DRAWING_TYPES = frozenset({"drawing", "dataVisAnnotation", "transcription"})


def summarise_task(
    task: Mapping[str, Any],
    responses: Sequence[Response],
    *,
    method: str = "dbscan",
    eps: float | None = None,
    min_samples: int | None = None,
    frame_size_px: tuple[float, float] | None = None,
) -> Summary:
    """Summarise what volunteers answered to one task about one subject, whatever their order.

    Args:
        task: the Panoptes task object: `type`, and by type `tools`, `answers`, `questions`, `min` and `max`. {} where
            it is not known; then the type is what most values look like (text for a label, answers for an index).
        responses: one per volunteer; of a volunteer's several the first counts. Values may be anything that JSON holds.
        method: how marks are clustered, see `clustering.cluster_marks`; as `eps`, `min_samples` and `frame_size_px`.
        eps: see there.
        min_samples: see there.
        frame_size_px: see there.

    Returns:
        By the type of the task: "answers" (`summarise_answers`), "drawing" (`summarise_drawing`), "dropdown"
        (`summarise_dropdown`), "slider" (`summarise_slider`), "survey" (`summarise_survey`), "text" (`summarise_text`);
        "empty" with value {} where the type is not known and nobody said anything; "unknown" with value {} for a type
        that has no summary, or values that look like none.

    Raises:
        InvalidClusteringError: no such method, or eps or min_samples out of range.
    """
    named = task.get("type")
    kind = named if isinstance(named, str) and named else infer_type(responses)
    if kind in DRAWING_TYPES:
        return summarise_drawing(
            task, responses, method=method, eps=eps, min_samples=min_samples, frame_size_px=frame_size_px
        )
    if kind == "survey":
        return summarise_survey(task, responses)
    if kind in PLAIN:
        return PLAIN[kind](task, responses)
    each = one_each(responses)
    if kind == "empty":
        return Summary("empty", len(each))
    return Summary("unknown", 0, counted("unknown_task" for _ in each))


def infer_type(responses: Sequence[Response]) -> str:
    """The type of task whose values these look like, by majority, ties by name; "empty" where nobody said anything."""
    votes = Counter(kind for response in one_each(responses) if (kind := _looks_like(response.value)) is not None)
    return min(votes, key=lambda kind: (-votes[kind], kind), default="empty")


def _looks_like(value: Any) -> str | None:
    """The type of task that has such a value; None for one that any task may have."""
    if value is None or (isinstance(value, list | tuple) and not value):
        return None
    if isinstance(value, bool):
        return "unknown"
    if isinstance(value, str):
        return "text"
    if isinstance(value, int):
        return "single"
    if isinstance(value, float):
        return "slider"
    if isinstance(value, Mapping):
        return "dropdown" if "option" in value or "selection" in value else "unknown"
    if isinstance(value, list | tuple):
        return _list_looks_like(value)
    return "unknown"


def _list_looks_like(value: Sequence[Any]) -> str:
    mappings = [one for one in value if isinstance(one, Mapping)]
    if not mappings:
        return "multiple"
    if any("choice" in one for one in mappings):
        return "survey"
    if any("option" in one for one in mappings):
        return "dropdown"
    if any("task" in one for one in mappings):
        return "combo"
    return "drawing"
