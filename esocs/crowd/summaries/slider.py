"""Numbers that volunteers set on a slider: where they agree, and how well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esocs.crowd.summaries.responses import Response, Summary, counted, finite_number, one_each

HISTOGRAM_BINS = 10

MAD_TO_SIGMA = 1.4826
"""Median absolute deviation to standard deviation for a normal distribution (Hampel 1974, JASA 69, 383)."""


def summarise_slider(task: Mapping[str, Any], responses: Sequence[Response]) -> Summary:
    """Statistics of a slider task.

    Args:
        task: the task; with `min` and `max`, a value beyond them is rejected.
        responses: value a number, or one as text as the classifiers send it, or None.

    Returns:
        kind "slider"; value {"n", "mean", "median", "sd" (of the sample, null for n < 2), "q25", "q75" (linear between
        ranks), "mad" (median absolute deviation × 1.4826), "min", "max", "unanswered", "histogram": {"edges": [11
        numbers], "counts": [10]}}, in the slider's unit; the numbers are null and the histogram is null where nobody
        set it. The histogram spans the task's range, or else the values'.
    """
    low, high = _number(task.get("min")), _number(task.get("max"))
    values: list[float] = []
    rejected: list[str] = []
    unanswered = 0
    for response in one_each(responses):
        if response.value is None or response.value == "":
            unanswered += 1
            continue
        number = _number(response.value)
        if number is None:
            rejected.append("not_a_number")
        elif (low is not None and number < low) or (high is not None and number > high):
            rejected.append("out_of_range")
        else:
            values.append(number)
    value = _statistics(np.sort(values), low=low, high=high) | {"unanswered": unanswered}
    return Summary("slider", len(values) + unanswered, counted(rejected), value)


def _statistics(x: NDArray[np.float64], *, low: float | None, high: float | None) -> dict[str, Any]:
    if not len(x):
        names = ("mean", "median", "sd", "q25", "q75", "mad", "min", "max", "histogram")
        return {"n": 0} | dict.fromkeys(names)
    q25, middle, q75 = np.quantile(x, [0.25, 0.5, 0.75]).tolist()
    first = low if low is not None else float(x[0])
    last = high if high is not None else float(x[-1])
    if not last > first:
        # All alike, and no range given: one bin of unit width about them, the other nine beside it.
        first, last = first - HISTOGRAM_BINS / 2, first + HISTOGRAM_BINS / 2
    edges = np.linspace(first, last, HISTOGRAM_BINS + 1)
    place = np.clip(((x - first) / (last - first) * HISTOGRAM_BINS).astype(int), 0, HISTOGRAM_BINS - 1)
    return {
        "n": len(x),
        "mean": float(x.mean()),
        "median": middle,
        "sd": float(x.std(ddof=1)) if len(x) > 1 else None,
        "q25": q25,
        "q75": q75,
        "mad": float(MAD_TO_SIGMA * np.median(np.abs(x - middle))),
        "min": float(x[0]),
        "max": float(x[-1]),
        "histogram": {
            "edges": edges.tolist(),
            "counts": np.bincount(place, minlength=HISTOGRAM_BINS).tolist(),
        },
    }


def _number(value: Any) -> float | None:
    """A number, also one in a text of plausible length."""
    if isinstance(value, str) and len(value) <= 40:
        try:
            value = float(value)
        except ValueError:
            return None
    return finite_number(value)
