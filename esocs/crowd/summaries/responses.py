"""What goes into a summary and what comes out: volunteers' values of one task, read as the hostile JSON they may be."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Volunteer: TypeAlias = str | int

MAX_TEXT = 10_000
"""Characters of a text that anybody reads."""

MAX_CODE = 200
"""Characters of a code or a label."""


@dataclass(frozen=True)
class Response:
    """One volunteer's annotation of the task on the subject.

    Attributes:
        volunteer: who; a login, an id or an anonymous session.
        value: the annotation's `value` as it was sent or exported; anything that JSON can hold.
    """

    volunteer: Volunteer
    value: Any


@dataclass(frozen=True)
class Summary:
    """What the volunteers said to one task about one subject.

    Attributes:
        kind: which summary `value` is: answers, drawing, dropdown, slider, survey, text, empty or unknown.
        seen_by: volunteers who reached the task and whose value could be read, those who left it empty included.
        rejected: how many values or marks were left out, by reason.
        value: ready for JSON; its form is in the docstring of the function that makes it.
    """

    kind: str
    seen_by: int
    rejected: dict[str, int] = field(default_factory=dict)
    value: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The same, ready for JSON."""
        return {"kind": self.kind, "seen_by": self.seen_by, "rejected": self.rejected, **self.value}


def volunteer_key(volunteer: Volunteer) -> tuple[str, str]:
    """Sorts volunteers of mixed types: 7 and "7" are two people."""
    return type(volunteer).__name__, str(volunteer)


def one_each(responses: Iterable[Response]) -> list[Response]:
    """Every volunteer's first response, by volunteer: sums over them do not depend on the order of arrival."""
    first: dict[tuple[str, str], Response] = {}
    for response in responses:
        first.setdefault(volunteer_key(response.volunteer), response)
    return [first[key] for key in sorted(first)]


def finite_number(value: Any, *, most: float = 1e12) -> float | None:
    """The number as a float; None for what is no number (a bool is none), not finite, or beyond ±most."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Comparing first: a JSON integer may have a thousand digits, and float() would overflow.
    if not -most <= value <= most:
        return None
    return float(value) + 0.0  # -0.0 becomes 0.0


def readable_text(value: str) -> str:
    """The text without what neither UTF-8 nor PostgreSQL's JSON can hold: lone surrogates and NUL."""
    return value.encode("utf-8", "replace").decode().replace("\0", "")


def readable_code(value: Any) -> str | None:
    """A code, label or index as text; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int) and abs(value) < 10**15:
        return str(value)
    if isinstance(value, str) and len(value) <= MAX_CODE:
        return readable_text(value)
    return None


def share(count: float, of: int) -> float:
    """`count` in `of`, in [0, 1]; 0 of nobody."""
    return min(count / of, 1.0) if of else 0.0


def by_count(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Most frequent first; ties by name, so that the order of arrival cannot show."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def most_common(counts: Mapping[str, int]) -> tuple[list[str], int]:
    """Every name that has the highest count, by name, and that count; ([], 0) of nothing."""
    top = max(counts.values(), default=0)
    return sorted(name for name, count in counts.items() if count == top and top), top


def counted(reasons: Iterable[str]) -> dict[str, int]:
    """Reasons by name, with their counts."""
    return dict(sorted(Counter(reasons).items()))


def median(values: Sequence[float]) -> float:
    """The median; of an even number, the mean of the two in the middle.

    Raises:
        ValueError: there are none.
    """
    if not values:
        raise ValueError("Nothing has no median.")
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def half_up(value: float) -> int:
    """The nearest integer; a half goes up."""
    return math.floor(value + 0.5)
