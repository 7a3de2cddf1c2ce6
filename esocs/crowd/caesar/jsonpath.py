"""The part of JSONPath that plucks values out of a classification: names, indices, slices, `*` and `..`. Pure.

As in RFC 9535, without filters: those would be a second language to run what a stranger typed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, TypeAlias

from esocs.crowd.caesar.errors import CaesarConfigurationError, ExtractionError

LONGEST = 300
MOST_FOUND = 1_000
MOST_VISITED = 100_000
"""Parts of a document: `$..*..*` of a deep one would visit the same part again and again."""

Step: TypeAlias = tuple[str, Any]
"""`name`, `index`, `slice`, `all` or `below` (every part, at any depth), and what it needs."""

TOKEN = re.compile(
    r"""(?P<below>\.\.)
    | \.(?P<name>[^.\[\]\s*'"]+) | \.(?P<all>\*)
    | \[\s*(?:(?P<each>\*) | (?P<index>-?\d{1,9}) | (?P<start>-?\d{0,9}):(?P<end>-?\d{0,9})
        | '(?P<single>[^']*)' | "(?P<double>[^"]*)")\s*\]""",
    re.VERBOSE,
)


def find(path: str, document: Any) -> list[Any]:
    """Every value at a path, in the document's order.

    Raises:
        CaesarConfigurationError: no such path can be.
        ExtractionError: it leads to more than can be kept.
    """
    budget = MOST_VISITED
    values = [document]
    for step in compile_path(path):
        found: list[Any] = []
        for value in values:
            for each in _follow(step, value):
                budget -= 1
                if budget < 0 or (step[0] != "below" and len(found) >= MOST_FOUND):
                    raise ExtractionError(f"{path} leads to more than {MOST_FOUND:,} values.")
                found.append(each)
        values = found
    return values


def compile_path(path: object) -> tuple[Step, ...]:
    """The steps of a path.

    Raises:
        CaesarConfigurationError: no such path can be.
    """
    if not isinstance(path, str) or not path.startswith("$") or len(path) > LONGEST:
        raise CaesarConfigurationError(f"{path!r} is no JSONPath."[:200], hint="Write $.annotations.T0[0].value.")
    return _compile(path)


@lru_cache(maxsize=512)
def _compile(path: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    place = 1
    while place < len(path):
        # What follows `..` stands without a point of its own.
        bare = bool(steps) and steps[-1][0] == "below" and path[place] not in ".["
        text = f".{path[place:]}" if bare else path[place:]
        match = TOKEN.match(text)
        if match is None or (match["below"] and bool(steps) and steps[-1][0] == "below"):
            raise CaesarConfigurationError(f"The JSONPath {path} cannot be read at {path[place:][:40]!r}.")
        steps.append(_step(match))
        place += match.end() - bare
    if steps and steps[-1][0] == "below":
        raise CaesarConfigurationError(f"The JSONPath {path} ends in the middle.")
    return tuple(steps)


def _step(match: re.Match[str]) -> Step:
    if match["below"]:
        return "below", None
    if match["all"] or match["each"]:
        return "all", None
    if match["index"] is not None:
        return "index", int(match["index"])
    if match["start"] is not None:
        return "slice", slice(
            *(int(text) if text not in {"", "-"} else None for text in (match["start"], match["end"]))
        )
    return "name", next(name for name in (match["name"], match["single"], match["double"]) if name is not None)


def _follow(step: Step, value: Any) -> Iterator[Any]:
    kind, what = step
    if kind == "below":
        yield from _below(value)
    elif kind == "name":
        if isinstance(value, dict) and what in value:
            yield value[what]
    elif kind == "all":
        yield from value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    elif isinstance(value, list):
        if kind == "slice":
            yield from value[what]
        elif -len(value) <= what < len(value):
            yield value[what]


def _below(value: Any) -> Iterator[Any]:
    waiting = [value]
    while waiting:
        part = waiting.pop()
        yield part
        inner = list(part.values()) if isinstance(part, dict) else part if isinstance(part, list) else []
        waiting += reversed(inner)
