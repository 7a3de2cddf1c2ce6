"""A subject's status as a submission finds it: one call, one moment."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from esocs.crowd.prepared import call_function


@dataclass(kw_only=True)
class ReadStatus:
    """The status row as it was read, with what of the volunteer the submission needs."""

    id: int
    subject_id: int
    state: str
    audience: str
    review: str
    epoch_id: int | None
    machine_answer: int | None
    machine_prior: list[int] | None
    count: int
    training: bool
    seen: str
    """Which version of the row this is; what was reckoned from it may only be stored on this very version."""
    held: bool
    """Whether this volunteer was handed it before it retired, and has not answered since."""
    answered_before: bool
    """Whether an answer of this volunteer counts already."""
    facts: int | None
    """The version of what is known of the workflow (`crowd.facts`)."""
    sums: dict[str, tuple[list[int], list[int]]] = field(default_factory=dict)
    """Sums and counts by question."""
    own: Terms | None = None
    """The volunteer's own terms by epoch and question; None where they are known under this version of the facts."""


Terms = dict[tuple[int, str], list[int]]


def read_status(*, workflow_id: int, subject_id: int, volunteer_id: int, known: int | None) -> ReadStatus | None:
    """The status of a subject in a workflow; None where it is not asked about there.

    Args:
        workflow_id: which workflow.
        subject_id: which subject.
        volunteer_id: who answers.
        known: the version of the facts under which the volunteer's own terms are known already.
    """
    row = call_function("crowd_read_status", (workflow_id, subject_id, volunteer_id, known))
    if row[0] is None:
        return None
    facts = _number(row[12])
    sums = json.loads(row[13] or b"[]")
    return ReadStatus(
        id=int(row[0]),
        subject_id=subject_id,
        state=_text(row[1]),
        audience=_text(row[2]),
        review=_text(row[3]),
        epoch_id=_number(row[4]),
        machine_answer=_number(row[5]),
        machine_prior=None if row[6] is None else [int(n) for n in row[6][1:-1].split(b",") if n],
        count=_number(row[7]) or 0,
        training=row[8] == b"t",
        seen=_text(row[9]),
        held=row[10] == b"t",
        answered_before=row[11] == b"t",
        facts=facts,
        sums={task_key: (total, counts) for task_key, total, counts in sums},
        own=None if known is not None and known == facts else _terms(row[14]),
    )


def _terms(value: bytes | None) -> Terms:
    return {(epoch_id, task_key): terms for epoch_id, task_key, terms in json.loads(value or b"[]")}


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode()


def _number(value: bytes | None) -> int | None:
    return None if value is None else int(value)
