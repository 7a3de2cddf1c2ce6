"""Which subjects a volunteer is shown next, reserved for them in the same statement.

An `Assignment` row is a reservation: together with the counted classifications it bounds how many people are asked
about one subject, so that nobody's second is spent on what is already settled.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from django.conf import settings

from esocs.crowd.errors import WorkflowInactiveError, WorkflowNotFoundError
from esocs.crowd.models import Assignment
from esocs.crowd.prepared import prepared_cursor
from esocs.projects.models import Workflow

# Long enough for a page with a queue and a slow decision; an abandoned subject is soon free again.
RESERVED_FOR = "15 minutes"
MOST_AT_ONCE = 100

# What waits for volunteers, and for experts: what was routed to them, and what they are to look at again. Written into
# the text, not bound: only then may a prepared plan use the partial indexes of the queue.
WAITING = {
    "volunteers": "(st.state = 'open' AND st.audience = 'volunteers')",
    "experts": "((st.state = 'open' AND st.audience = 'experts') OR st.review <> '')",
}
# OFFSET 0 keeps it a look-up by index for each subject: a join would read all that the volunteer ever answered for each
# of them. A volunteer answers once; an expert may answer what they classified before they were asked as one.
UNANSWERED = {
    "volunteers": """NOT EXISTS (SELECT 1 FROM crowd_classification c WHERE c.volunteer_id = %(volunteer)s
            AND c.workflow_id = %(workflow)s AND c.subject_id = st.subject_id OFFSET 0)""",
    "experts": """NOT EXISTS (SELECT 1 FROM crowd_classification c WHERE c.volunteer_id = %(volunteer)s
            AND c.workflow_id = %(workflow)s AND c.subject_id = st.subject_id AND c.gold_standard OFFSET 0)""",
}
IN_SET = """
        AND EXISTS (SELECT 1 FROM projects_setmembersubject m
            WHERE m.subject_set_id = %(subject_set)s AND m.subject_id = st.subject_id)"""

# Another page of the same volunteer may be taking its queue back right now; then these wait for its next request.
KEPT = """, kept AS (
    SELECT st.id FROM crowd_assignment a JOIN crowd_subjectstatus st ON st.id = a.status_id
    WHERE a.volunteer_id = %(volunteer)s AND st.workflow_id = %(workflow)s AND {waiting}
        AND a.expires_at > now() AND st.subject_id <> ALL(%(held)s::bigint[])
        AND {unanswered}
    LIMIT %(limit)s
    FOR UPDATE OF a SKIP LOCKED
)"""

# How many people may be asked at once: the limit of classification_count; for a consensus the fewest that can settle it
# (two where the machine has an opinion), then one at a time, because each answer may be the last one needed.
CHOOSE = """workflow AS (
    SELECT id, retirement->>'criteria' AS criteria,
        COALESCE((retirement#>>'{{options,count}}')::int, 15) AS most,
        COALESCE((retirement#>>'{{options,minimum}}')::int, 3) AS fewest
    FROM projects_workflow WHERE id = %(workflow)s AND active{only_if}
){kept}, fresh AS (
    SELECT st.id FROM crowd_subjectstatus st CROSS JOIN workflow w
    WHERE st.workflow_id = %(workflow)s AND st.subject_id <> ALL(%(held)s::bigint[])
        AND {waiting}
        AND {unanswered}
        -- A reservation of one's own is as good as any number of others'.
        AND (SELECT count(*) + 1000000 * count(*) FILTER (WHERE a.volunteer_id = %(volunteer)s)
                FROM crowd_assignment a WHERE a.status_id = st.id AND a.expires_at > now())
            + st.classifications_count < CASE
                WHEN w.criteria = 'never_retire' OR st.review <> '' THEN st.classifications_count + 1000000
                WHEN st.audience = 'experts' THEN st.classifications_count + 1
                WHEN w.criteria = 'consensus' THEN GREATEST(
                    CASE WHEN st.machine_answer IS NULL THEN w.fewest ELSE LEAST(w.fewest, 2) END,
                    st.classifications_count + 1)
                ELSE w.most END
        -- Reservations that others committed since this statement began are not counted above. But the locked row is
        -- read anew, and what this looks up is not: where they differ, somebody was faster, and it is left out. The
        -- maximum of one makes it look dearer than the other conditions, so that it is asked last.
        AND st.handouts =
            (SELECT max(earlier.handouts) FROM crowd_subjectstatus earlier WHERE earlier.id = st.id){in_set}
    ORDER BY st.priority, st.random_key
    LIMIT GREATEST(0, %(limit)s{less_kept})
    FOR UPDATE OF st SKIP LOCKED
), handed AS (
    INSERT INTO crowd_assignment (status_id, volunteer_id, expires_at)
    SELECT id, %(volunteer)s, now() + %(reserved)s::interval FROM ({chosen}) x
    ON CONFLICT (status_id, volunteer_id) DO UPDATE SET expires_at = EXCLUDED.expires_at, served_at = now()
    RETURNING status_id
), handed_out AS (
    UPDATE crowd_subjectstatus SET handouts = handouts + 1 WHERE id IN (SELECT id FROM fresh)
)"""

# LIMIT 1 makes the planner look the few rows up; a plain join reads both tables whole for each request.
SHOWN = """SELECT shown.id, shown.kind, shown.metadata, shown.created_at, shown.updated_at, now(),
    (SELECT json_agg(json_build_array(m.role, m.media_type, m.path) ORDER BY m.position)
        FROM projects_media m WHERE m.subject_id = shown.id)
FROM handed CROSS JOIN LATERAL (
    SELECT s.*, st.priority, st.random_key
    FROM crowd_subjectstatus st JOIN projects_subject s ON s.id = st.subject_id
    WHERE st.id = handed.status_id LIMIT 1
) shown
ORDER BY shown.priority, shown.random_key
"""

# A reservation that a crash forgets is made again: alone, it need not wait for the disk.
UNSYNCED = "unsynced AS (SELECT set_config('synchronous_commit', 'off', true) AS off), "


@cache
def choose_expressions(*, audience: str = "volunteers", resume: bool, in_set: bool = False, only_if: str = "") -> str:
    """The common table expressions that choose and reserve; `handed` holds the statuses.

    Few texts, each planned once a connection.

    Args:
        audience: `volunteers` or `experts`.
        resume: whether what was handed out earlier comes first.
        in_set: only from a subject set.
        only_if: a further condition, on which nothing is handed out unless it holds.
    """
    parts = {"waiting": WAITING[audience], "unanswered": UNANSWERED[audience]}
    return CHOOSE.format(
        **parts,
        kept=KEPT.format(**parts) if resume else "",
        less_kept=" - (SELECT count(*) FROM kept)" if resume else "",
        chosen="SELECT id FROM kept UNION ALL SELECT id FROM fresh" if resume else "SELECT id FROM fresh",
        in_set=IN_SET if in_set else "",
        only_if=only_if and f" AND {only_if}",
    )


@cache
def _statement(*, audience: str, resume: bool, in_set: bool) -> str:
    chosen = choose_expressions(
        audience=audience, resume=resume, in_set=in_set, only_if="EXISTS (SELECT 1 FROM unsynced WHERE off <> '')"
    )
    return f"WITH {UNSYNCED}{chosen}\n{SHOWN}"


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
    parameters = {
        "workflow": workflow_id,
        "volunteer": volunteer_id,
        "subject_set": subject_set_id,
        **choose_parameters(limit=limit, held=held or ()),
    }
    wanted = {"audience": "experts" if audience == "experts" else "volunteers", "in_set": subject_set_id is not None}
    subjects = _run(_statement(resume=held is not None, **wanted), parameters)
    if not subjects and held is None:
        # Nothing new is left: what was handed out earlier and never answered is better than an empty page.
        subjects = _run(_statement(resume=True, **wanted), parameters)
    if not subjects:
        _explain_empty(workflow_id)
    return subjects


def choose_parameters(*, limit: int, held: Iterable[int]) -> dict[str, Any]:
    """The parameters of `choose_expressions`, beside the workflow, the volunteer and the subject set."""
    return {"limit": max(1, min(limit, MOST_AT_ONCE)), "held": sorted(held), "reserved": RESERVED_FOR}


def release_reservations(workflow_id: int) -> int:
    """Give back every reservation of a workflow, as when all its volunteers have gone. Returns how many."""
    released, _ = Assignment.objects.filter(status__workflow=workflow_id).delete()
    return released


def _run(statement: str, parameters: dict[str, Any]) -> list[QueuedSubject]:
    with prepared_cursor() as cursor:
        cursor.execute(statement, parameters)
        return [queued_subject(row) for row in cursor.fetchall()]


def queued_subject(row: tuple[Any, ...]) -> QueuedSubject:
    """A row of `SHOWN`."""
    subject_id, kind, metadata, created_at, updated_at, selected_at, media = row
    media = json.loads(media) if isinstance(media, str) else media or []
    locations = [(media_type, settings.MEDIA_URL + path) for role, media_type, path in media if role == "location"]
    numbers = {role: settings.MEDIA_URL + path for role, _, path in media if role != "location"}
    return QueuedSubject(
        subject_id=subject_id,
        kind=kind,
        metadata=json.loads(metadata) if isinstance(metadata, str) else metadata,
        locations=locations,
        spectrum_data_url=numbers.get("spectrum_data"),
        plane_url=numbers.get("plane"),
        created_at=created_at,
        updated_at=updated_at,
        selected_at=selected_at,
    )


def _explain_empty(workflow_id: int) -> None:
    active = Workflow.objects.filter(id=workflow_id).values_list("active", flat=True).first()
    if active is None:
        raise WorkflowNotFoundError(f"There is no workflow {workflow_id}.")
    if not active:
        raise WorkflowInactiveError("This workflow takes no classifications at present.")
