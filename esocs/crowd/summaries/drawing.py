"""A drawing task's summary: every cluster of marks with its consensus shape, its supporters and their details."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, TypeAlias

from esocs.crowd.summaries.answers import summarise_answers
from esocs.crowd.summaries.clustering import Cluster, cluster_marks
from esocs.crowd.summaries.consensus import consensus_shape, spread
from esocs.crowd.summaries.dropdown import summarise_dropdown
from esocs.crowd.summaries.reading import Mark, read_marks
from esocs.crowd.summaries.responses import Response, Summary, counted, median, one_each, share
from esocs.crowd.summaries.slider import summarise_slider
from esocs.crowd.summaries.text import summarise_text

Plain: TypeAlias = Callable[[Mapping[str, Any], Sequence[Response]], Summary]

PLAIN: dict[str, Plain] = {
    "single": summarise_answers,
    "multiple": summarise_answers,
    "shortcut": summarise_answers,
    "text": lambda _task, responses: summarise_text(responses),
    "slider": summarise_slider,
    "dropdown": lambda _task, responses: summarise_dropdown(responses),
    "dropdown-simple": lambda _task, responses: summarise_dropdown(responses),
}
"""Summaries by the task's type that may also stand in a mark's details."""


def summarise_drawing(
    task: Mapping[str, Any],
    responses: Sequence[Response],
    *,
    method: str = "dbscan",
    eps: float | None = None,
    min_samples: int | None = None,
    frame_size_px: tuple[float, float] | None = None,
) -> Summary:
    """Clusters of a drawing task's marks, or of the ranges marked on a graph.

    Args:
        task: the task; `tools`, each with `type` and `details`, say what a mark must hold. Without them types are
            inferred.
        responses: value a list of marks, v1 or v2 (see `reading.read_mark`), empty or None where nothing was drawn.
        method: see `clustering.cluster_marks`, as `eps`, `min_samples` and `frame_size_px`.
        eps: see there.
        min_samples: see there.
        frame_size_px: see there.

    Returns:
        kind "drawing"; value {"clusters": [{"tool", "frame", "shape": Panoptes' name of the tool, "mark": the
        consensus in the keys of a Panoptes mark (v1), "count": volunteers who support it, "marks": marks in it,
        "share": count over seen_by, in [0, 1], "spread": see `consensus.spread`, "details": one summary per sub-task,
        of the supporters}], "marks": marks that could be read, "unclustered": those that no one else confirms,
        "left_out": those not looked at, where there were too many, "drew_nothing": volunteers, "marks_per_volunteer":
        their median, "method"}.

    Raises:
        InvalidClusteringError: no such method, or eps or min_samples out of range.
    """
    offered = task.get("tools")
    tools = offered if isinstance(offered, list) else []
    marks: list[Mark] = []
    rejected: list[str] = []
    per_volunteer: list[int] = []
    for response in one_each(responses):
        if not isinstance(response.value, list | tuple | None):
            rejected.append("not_a_drawing")
            continue
        read, refused = read_marks(response.value, volunteer=response.volunteer, tools=tools)
        marks += read
        rejected += [refusal.reason for refusal in refused]
        per_volunteer.append(len(read))
    seen_by = len(per_volunteer)
    clustering = cluster_marks(marks, method=method, eps=eps, min_samples=min_samples, frame_size_px=frame_size_px)
    value = {
        "clusters": [_cluster(cluster, tools=tools, seen_by=seen_by) for cluster in clustering.clusters],
        "marks": len(marks),
        "unclustered": len(clustering.unclustered),
        "left_out": clustering.left_out,
        "drew_nothing": per_volunteer.count(0),
        "marks_per_volunteer": float(median(per_volunteer)) if per_volunteer else 0.0,
        "method": method,
    }
    return Summary("drawing", seen_by, counted(rejected), value)


def _cluster(cluster: Cluster, *, tools: Sequence[Any], seen_by: int) -> dict[str, Any]:
    shapes = [mark.shape for mark in cluster.supporters]
    consensus = consensus_shape(shapes)
    return {
        "tool": cluster.tool,
        "frame": cluster.frame,
        "shape": cluster.kind,
        "mark": consensus.to_mark(),
        "count": len(shapes),
        "marks": len(cluster.marks),
        "share": share(len(shapes) * cluster.weight, seen_by),
        "spread": spread(shapes, consensus),
        "details": _details(cluster, tool=tools[cluster.tool] if cluster.tool < len(tools) else {}),
    }


def _details(cluster: Cluster, *, tool: Any) -> list[dict[str, Any]]:
    """One summary per sub-task of the tool; empty where it has none."""
    asked = tool.get("details") if isinstance(tool, Mapping) else None
    asked = [one if isinstance(one, Mapping) else {} for one in asked] if isinstance(asked, list) else []
    columns = zip_longest(*(mark.details for mark in cluster.supporters))
    values = [
        [Response(mark.volunteer, value) for mark, value in zip(cluster.supporters, column, strict=True)]
        for column in columns
    ]
    return [
        _detail(task or {}, column or [Response(mark.volunteer, None) for mark in cluster.supporters])
        for task, column in zip_longest(asked, values)
    ]


def _detail(task: Mapping[str, Any], responses: Sequence[Response]) -> dict[str, Any]:
    summarise = PLAIN.get(str(task.get("type")))
    if summarise is None:
        # Numbers and lists are indices of answers; without the task, whatever is mostly text is text.
        texts = sum(isinstance(response.value, str) for response in responses)
        others = sum(not isinstance(response.value, str | None) for response in responses)
        summarise = PLAIN["text" if texts > others else "single"]
    return summarise(task, responses).to_dict()
