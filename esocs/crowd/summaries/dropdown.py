"""Choices from drop-down lists, one list or several, with free text where the list allows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from esocs.crowd.summaries.responses import (
    Response,
    Summary,
    by_count,
    counted,
    most_common,
    one_each,
    readable_code,
    share,
)
from esocs.crowd.summaries.text import normalised

MOST_SELECTS = 100


@dataclass
class _Select:
    counts: Counter[str] = field(default_factory=Counter)
    free_text: Counter[str] = field(default_factory=Counter)
    labels: dict[str, str] = field(default_factory=dict)


def summarise_dropdown(responses: Sequence[Response]) -> Summary:
    """Counts per list of a dropdown (v1) or dropdown-simple (v2) task.

    Args:
        responses: value a list with one {"value", "option"} per drop-down list (v1; `option` false is free text), one
            {"selection", "option"} (v2), either as sent or as exported (with `label`, `option_index`); None: not
            answered.

    Returns:
        kind "dropdown"; value {"selects": [{"answered_by", "counts": {value: n}, "shares": {value: share of
        answered_by}, "labels": {value: label} as far as the export told them, "free_text": {normalised text: n},
        "most_common": [values or texts], more than one in a tie}], "unanswered"}. The option's own value names it; in
        v2 as sent, its index.
    """
    selects: list[_Select] = []
    rejected: list[str] = []
    seen_by = unanswered = 0
    for response in one_each(responses):
        value = response.value
        given = [value] if isinstance(value, Mapping) else [] if value is None else value
        if not isinstance(given, list | tuple) or len(given) > MOST_SELECTS:
            rejected.append("not_a_selection")
            continue
        seen_by += 1
        selects += [_Select() for _ in range(len(given) - len(selects))]
        read = [_count(one, select, rejected) for one, select in zip(given, selects, strict=False)]
        unanswered += not any(read)
    return Summary(
        "dropdown",
        seen_by,
        counted(rejected),
        {"selects": [_summary(select) for select in selects], "unanswered": unanswered},
    )


def _count(given: Any, select: _Select, rejected: list[str]) -> bool:
    """Count one answer; whether there was one."""
    if given is None:
        return False
    chosen = given.get("value", given.get("selection")) if isinstance(given, Mapping) else given
    if chosen is None or chosen == "":
        return False
    code = readable_code(chosen)
    if code is None:
        rejected.append("not_an_option")
        return False
    if isinstance(given, Mapping) and given.get("option") is False:
        select.free_text[normalised(code)] += 1
        return True
    select.counts[code] += 1
    label = readable_code(given.get("label")) if isinstance(given, Mapping) else None
    if label is not None:
        # Of two labels, which only a changed workflow or a hostile file has, the order of arrival must not choose.
        select.labels[code] = min(label, select.labels.get(code, label))
    return True


def _summary(select: _Select) -> dict[str, Any]:
    answered_by = select.counts.total() + select.free_text.total()
    return {
        "answered_by": answered_by,
        "counts": dict(by_count(select.counts)),
        "shares": {name: share(count, answered_by) for name, count in by_count(select.counts)},
        "labels": dict(sorted(select.labels.items())),
        "free_text": dict(by_count(select.free_text)),
        "most_common": most_common(select.counts + select.free_text)[0],
    }
