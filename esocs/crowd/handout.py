"""Which subjects a volunteer is shown next, reserved for them in the same statement.

An `Assignment` row is a reservation: together with the counted classifications it bounds how many people are asked
about one subject, so that nobody's second is spent on what is already settled.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings

from esocs.crowd.errors import WorkflowInactiveError, WorkflowNotFoundError
from esocs.crowd.models import Assignment
from esocs.crowd.prepared import call_function
from esocs.crowd.recalled import known_answered, note_shown
from esocs.projects.models import Workflow

MOST_AT_ONCE = 100


@dataclass(frozen=True, kw_only=True)
class QueuedSubject:
    """A subject as a volunteer gets it. Addresses are paths; the door makes them absolute."""

    subject_id: int
    kind: str
    metadata: dict[str, Any]
    locations: list[tuple[str, str]]
    spectrum_data_url: str | None
    plane_url: str | None
    created_at: datetime
    updated_at: datetime
    selected_at: datetime


def hand_out_subjects(
    *,
    workflow_id: int,
    volunteer_id: int,
    limit: int = 10,
    held: frozenset[int] | None = None,
    subject_set_id: int | None = None,
    audience: str = "volunteers",
) -> list[QueuedSubject]:
    """Reserve and return the next subjects for a volunteer, in the order in which they are to be asked.

    Args:
        workflow_id: of an active workflow.
        volunteer_id: who will answer.
        limit: at most 100.
        held: subjects the page still holds. Given (even empty), subjects reserved for this volunteer earlier and not
            among these come first: a reloaded page gets its queue back. None: a client that keeps its own queue.
        subject_set_id: only from this set.
        audience: `volunteers`, or `experts` for those who may answer what waits for experts.

    Returns:
        An empty list when nothing is left for this volunteer; a subject is never offered twice.

    Raises:
        WorkflowNotFoundError: no such workflow.
        WorkflowInactiveError: it takes no classifications at present.
    """

    def reserve(*, resume: bool) -> list[QueuedSubject]:
        answered = [] if audience == "experts" else known_answered(workflow_id, volunteer_id=volunteer_id)
        values = (workflow_id, volunteer_id, capped(limit), sorted({*(held or ()), *answered}), resume, subject_set_id)
        function = "crowd_reserve_experts" if audience == "experts" else "crowd_reserve_volunteers"
        return queued_subjects(call_function(function, values)[0])

    subjects = reserve(resume=held is not None)
    if not subjects and held is None:
        # Nothing new is left: what was handed out earlier and never answered is better than an empty page.
        subjects = reserve(resume=True)
    if not subjects:
        _explain_empty(workflow_id)
    return subjects


def capped(limit: int) -> int:
    """How many may be asked for at once, at least one."""
    return max(1, min(limit, MOST_AT_ONCE))


def release_reservations(workflow_id: int) -> int:
    """Give back every reservation of a workflow, as when all its volunteers have gone. Returns how many."""
    released, _ = Assignment.objects.filter(status__workflow=workflow_id).delete()
    return released


def queued_subjects(shown: bytes | None) -> list[QueuedSubject]:
    """What `crowd_show` gave."""
    return [] if shown is None else [_queued_subject(*row) for row in json.loads(shown)]


def _queued_subject(
    subject_id: int,
    kind: str,
    metadata: dict[str, Any],
    created_at: str,
    updated_at: str,
    selected_at: str,
    media: list[tuple[str, str, str]] | None,
    status: list[Any],
) -> QueuedSubject:
    note_shown(subject_id, status)
    media = media or []
    numbers = {role: settings.MEDIA_URL + path for role, _, path in media if role != "location"}
    return QueuedSubject(
        subject_id=subject_id,
        kind=kind,
        metadata=metadata,
        locations=[(media_type, settings.MEDIA_URL + path) for role, media_type, path in media if role == "location"],
        spectrum_data_url=numbers.get("spectrum_data"),
        plane_url=numbers.get("plane"),
        created_at=datetime.fromisoformat(created_at),
        updated_at=datetime.fromisoformat(updated_at),
        selected_at=datetime.fromisoformat(selected_at),
    )


def _explain_empty(workflow_id: int) -> None:
    active = Workflow.objects.filter(id=workflow_id).values_list("active", flat=True).first()
    if active is None:
        raise WorkflowNotFoundError(f"There is no workflow {workflow_id}.")
    if not active:
        raise WorkflowInactiveError("This workflow takes no classifications at present.")
