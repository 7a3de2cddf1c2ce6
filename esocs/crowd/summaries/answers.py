"""Questions with given answers: how many volunteers chose which. Plain counts; skill is `crowd.posterior`'s affair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
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


def summarise_answers(task: Mapping[str, Any], responses: Sequence[Response]) -> Summary:
    """Counts of a single, multiple or shortcut task.

    Args:
        task: the task; with `answers`, an index beyond them is rejected.
        responses: value an answer (index, or label in an export), a list of them, or None.

    Returns:
        kind "answers"; value {"answers": {answer: {"count", "share"}} most frequent first, with share of `seen_by`;
        "unanswered": volunteers who left it empty; "most_common": [answers], more than one in a tie}.
    """
    offered = task.get("answers")
    n_answers = len(offered) if isinstance(offered, list) and offered else None
    counts: Counter[str] = Counter()
    rejected: list[str] = []
    seen_by = unanswered = 0
    for response in one_each(responses):
        given = _given(response.value, n_answers=n_answers)
        if given is None:
            rejected.append("not_an_answer")
            continue
        seen_by += 1
        unanswered += not given
        counts.update(given)
    value = {
        "answers": {name: {"count": count, "share": share(count, seen_by)} for name, count in by_count(counts)},
        "unanswered": unanswered,
        "most_common": most_common(counts)[0],
    }
    return Summary("answers", seen_by, counted(rejected), value)


def _given(value: Any, *, n_answers: int | None) -> set[str] | None:
    """The answers of one volunteer; None where any of them is none."""
    values = value if isinstance(value, list | tuple) else [] if value is None else [value]
    given = set()
    for one in values:
        code = readable_code(one)
        if code is None or (isinstance(one, int) and (one < 0 or (n_answers is not None and one >= n_answers))):
            return None
        given.add(code)
    return given
