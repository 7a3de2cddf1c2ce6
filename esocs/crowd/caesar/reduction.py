"""Many extracts into one reduction. Pure; the types and their results are Caesar's.

Whatever the order in which extracts arrived, and however often they are reduced again, the result is the same.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from esocs.crowd.caesar.errors import ReductionError
from esocs.crowd.caesar.extraction import Data, key_of
from esocs.crowd.caesar.filters import Extract, Reducer, select

Config = Mapping[str, Any]


def reduce(reducer: Reducer, extracts: Iterable[Extract]) -> dict[str, Data | int]:
    """The reductions of one subject's or user's extracts, by subgroup (`_default` without a grouping).

    Raises:
        ReductionError: the extracts are not of the kind that the reducer needs.
    """
    return {name: REDUCERS[reducer.type](reducer.config, chosen) for name, chosen in select(reducer, extracts).items()}


def _consensus(_: Config, extracts: Sequence[Extract]) -> Data:
    votes = Counter("+".join(sorted(extract.data)) for extract in extracts)
    if not votes:
        return {"num_votes": 0}
    # On a tie the first in the alphabet: Caesar takes the first that came, which another order would change.
    most_likely, most = min(votes.items(), key=lambda entry: (-entry[1], entry[0]))
    return {"most_likely": most_likely, "num_votes": most, "agreement": most / votes.total()}


def _count(_: Config, extracts: Sequence[Extract]) -> Data:
    classifications = {extract.classification_id for extract in extracts} - {None}
    return {"classifications": len(classifications), "extracts": len(extracts)}


def _stats(_: Config, extracts: Sequence[Extract]) -> Data:
    numbers: defaultdict[str, list[int | float]] = defaultdict(list)
    for extract in extracts:
        for key, value in extract.data.items():
            if not isinstance(value, (bool, int, float)):
                raise ReductionError(f"{extract.extractor_key}.{key} is {key_of(value)[:40]}, which is no number.")
            numbers[key].append(int(value) if isinstance(value, bool) else value)
    return {key: _sum(numbers[key]) for key in sorted(numbers)}


def _unique_count(config: Config, extracts: Sequence[Extract]) -> int:
    """A bare number, as Caesar has it; a rule looks it up by the reducer's key alone."""
    name = config["field"]
    return len({_as_one(extract.data[name]) for extract in extracts if name in extract.data})


def _as_one(value: Any) -> str:
    """A list is the set of what it holds."""
    return "+".join(sorted(key_of(each) for each in value)) if isinstance(value, list) else key_of(value)


def _first_extract(_: Config, extracts: Sequence[Extract]) -> Data:
    return dict(extracts[0].data) if extracts else {}


def _summary_stats(config: Config, extracts: Sequence[Extract]) -> Data:
    extractor_key, _, name = config["summarize_field"].rpartition(".")
    values = []
    for extract in extracts:
        value = extract.data.get(name)
        if (extractor_key and extract.extractor_key != extractor_key) or value is None or value == "":
            continue
        values.append(_number(value, f"{extract.extractor_key}.{name}"))
    return {operation: STATISTICS[operation](values) for operation in config["operations"]}


def _number(value: Any, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ReductionError(f"{name} is {key_of(value)[:40]}, which is no number.")
    return number


def _sum(values: Sequence[int | float]) -> int | float:
    """Exact, so that no order changes the last digit."""
    whole = all(isinstance(value, int) for value in values)
    try:
        return _kept(sum(values) if whole else math.fsum(values))
    except OverflowError:
        raise ReductionError("A sum is larger than any number that can be kept.") from None


def _kept(number: float) -> int | float:
    """A number that JSON can hold.

    Raises:
        ReductionError: it is too large.
    """
    if (isinstance(number, float) and not math.isfinite(number)) or abs(number) > 1e308:
        raise ReductionError("A result is larger than any number that can be kept.")
    return number


def _product(values: Sequence[float]) -> float:
    try:
        return float(_kept(math.prod(sorted(values))))
    except OverflowError:
        raise ReductionError("A product is larger than any number that can be kept.") from None


def _sse(values: Sequence[float]) -> float | None:
    """The sum of squared distances from the mean."""
    if not values:
        return None
    try:
        mean = math.fsum(values) / len(values)
        return float(_kept(math.fsum((value - mean) ** 2 for value in values)))
    except OverflowError:
        raise ReductionError("A sum of squares is larger than any number that can be kept.") from None


def _variance(values: Sequence[float]) -> float | None:
    sse = _sse(values)
    return None if sse is None or len(values) < 2 else sse / (len(values) - 1)


def _stdev(values: Sequence[float]) -> float | None:
    variance = _variance(values)
    return None if variance is None else math.sqrt(variance)


STATISTICS: dict[str, Callable[[Sequence[float]], float | int | None]] = {
    "count": len,
    "min": lambda values: min(values, default=None),
    "max": lambda values: max(values, default=None),
    "sum": _sum,
    "product": _product,
    "mean": lambda values: _sum(values) / len(values) if values else None,
    "sse": _sse,
    "variance": _variance,
    "stdev": _stdev,
    "first": lambda values: values[0] if values else None,
    "median": lambda values: float(_kept(statistics.median(values))) if values else None,
    # Of several the smallest: Caesar takes one or the other.
    "mode": lambda values: min(statistics.multimode(values), default=None),
}

RECTANGLE = ("x", "y", "width", "height")


def _rectangle(config: Config, extracts: Sequence[Extract]) -> Data:
    """Rectangles clustered by DBSCAN over (x, y, width, height), as panoptes_aggregation's rectangle_reducer does."""
    drawn: defaultdict[tuple[str, str], list[list[float]]] = defaultdict(list)
    for extract in extracts:
        for frame, lists in extract.data.items():
            for tool in sorted({name.rpartition("_")[0] for name in lists}) if isinstance(lists, dict) else ():
                columns = [lists.get(f"{tool}_{name}") for name in RECTANGLE]
                if all(isinstance(column, list) for column in columns):
                    rows = [list(row) for row in zip(*columns, strict=False)]
                    drawn[frame, tool] += [[_number(n, f"{frame}.{tool}") for n in row] for row in rows]
    data: defaultdict[str, Data] = defaultdict(dict)
    for (frame, tool), rectangles in sorted(drawn.items()):
        if rectangles:
            data[frame] |= _clusters(tool, rectangles, config)
    return dict(data)


def _clusters(tool: str, rectangles: list[list[float]], config: Config) -> Data:
    least, eps = int(config.get("min_samples", 3)), float(config.get("eps", 5.0))
    labels = [-1] * len(rectangles)
    if len(rectangles) >= least:
        from sklearn.cluster import DBSCAN  # takes a second

        labels = [int(label) for label in DBSCAN(eps=eps, min_samples=least).fit(rectangles).labels_]
    data: Data = {f"{tool}_rec_{name}": [r[i] for r in rectangles] for i, name in enumerate(RECTANGLE)}
    data[f"{tool}_cluster_labels"] = labels
    for label in sorted(set(labels) - {-1}):
        members = [rectangle for rectangle, own in zip(rectangles, labels, strict=True) if own == label]
        data.setdefault(f"{tool}_clusters_count", []).append(len(members))
        for i, name in enumerate(RECTANGLE):
            mean = math.fsum(member[i] for member in members) / len(members)
            data.setdefault(f"{tool}_clusters_{name}", []).append(mean)
    return data


REDUCERS: dict[str, Callable[[Config, Sequence[Extract]], Data | int]] = {
    "consensus": _consensus,
    "count": _count,
    "stats": _stats,
    "unique_count": _unique_count,
    "summary_stats": _summary_stats,
    "first_extract": _first_extract,
    "rectangle": _rectangle,
}
"""Those that need nothing but the extracts."""
