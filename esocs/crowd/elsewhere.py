"""Classifications that were made on another server: stored by the thousand, each once, and counted as our own are.

`Classification` rows are the source of truth. Sums are not touched: whoever has stored everything orders them anew
(`sum_again`), because nobody's skill is known before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from esocs.crowd.epochs import QuestionSkill, switch_epoch
from esocs.crowd.models import Classification, SubjectStatus
from esocs.crowd.modes import get_mode
from esocs.crowd.reassessment import move_subjects
from esocs.crowd.refit import refit_workflow
from esocs.projects.models import Workflow
from esocs.projects.rules import Choice, list_questions


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How far another server had taken a subject; `retired_at` None: it asked on."""

    subject_id: int
    retired_at: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Made:
    """One classification as it was made.

    Attributes:
        id: reserved for it (`reserve_ids`), so that ids stand in the file's order whatever is stored first.
        key: names it for ever: two of the same key are one.
        metadata: JSON text, so that no digit of it changes.
    """

    id: int
    key: str
    subject_id: int
    volunteer_id: int
    major: int
    minor: int
    annotations: list[Any]
    metadata: str
    created_at: datetime
    choices: list[Choice] = field(default_factory=list)
    gold_standard: bool = False
    expert: str = ""
    author_id: int | None = None
    ip_key: str = ""


OPEN = """
INSERT INTO crowd_subjectstatus (workflow_id, subject_id, audience, state, blind, priority, classifications_count,
    retired_at, retirement_reason, retirement_cause, review)
SELECT %(workflow)s, x.subject_id, 'volunteers', CASE WHEN x.retired_at IS NULL THEN 'open' ELSE 'retired' END, false,
    0, 0, x.retired_at, x.reason, CASE WHEN x.retired_at IS NULL THEN '' ELSE 'person' END, ''
FROM jsonb_to_recordset(%(rows)s::jsonb) AS x(subject_id bigint, retired_at timestamptz, reason text)
ON CONFLICT (workflow_id, subject_id) DO UPDATE SET state = 'retired', retired_at = EXCLUDED.retired_at,
    retirement_reason = EXCLUDED.retirement_reason, retirement_cause = 'person'
    WHERE crowd_subjectstatus.state = 'open' AND EXCLUDED.retired_at IS NOT NULL
"""

STORE = """
INSERT INTO crowd_classification (id, workflow_id, subject_id, volunteer_id, idempotency_key, request_sha256,
    workflow_major, workflow_minor, annotations, metadata, gold_standard, expert, ip_key, counted, created_at)
SELECT x.id, %(workflow)s, x.subject_id, x.volunteer_id, x.key, '', x.major, x.minor, x.annotations, x.metadata::jsonb,
    x.gold, x.expert, x.ip_key, x.counted, x.created_at
FROM jsonb_to_recordset(%(rows)s::jsonb) AS x(id bigint, subject_id bigint, volunteer_id bigint, key text, major int,
    minor int, annotations jsonb, metadata text, gold boolean, expert text, ip_key text, counted boolean,
    created_at timestamptz)
"""

ANSWER = """
INSERT INTO crowd_answer (classification_id, status_id, volunteer_id, task_key, answer, counted)
SELECT x.classification_id, st.id, x.volunteer_id, x.task_key, x.answer, x.counted
FROM jsonb_to_recordset(%(rows)s::jsonb) AS x(classification_id bigint, subject_id bigint, volunteer_id bigint,
    task_key text, answer int, counted boolean)
JOIN crowd_subjectstatus st ON st.workflow_id = %(workflow)s AND st.subject_id = x.subject_id
"""

# An expert of this site goes before one of another.
GOLD = """
INSERT INTO crowd_goldstandard (workflow_id, subject_id, task_key, answer, author_id, classification_id)
SELECT %(workflow)s, x.subject_id, x.task_key, x.answer, x.author_id, x.classification_id
FROM jsonb_to_recordset(%(rows)s::jsonb) AS x(subject_id bigint, task_key text, answer int, author_id bigint,
    classification_id bigint)
ON CONFLICT (workflow_id, subject_id, task_key) DO NOTHING
"""

COUNT = """
UPDATE crowd_subjectstatus st SET classifications_count = classifications_count + x.n, updated_at = now()
FROM jsonb_to_recordset(%(rows)s::jsonb) AS x(subject_id bigint, n int)
WHERE st.workflow_id = %(workflow)s AND st.subject_id = x.subject_id
"""


def open_subjects(workflow: Workflow, standings: Iterable[Standing]) -> None:
    """Give subjects their place in the workflow: open, or retired by whoever retired them there."""
    rows = [
        {
            "subject_id": one.subject_id,
            "retired_at": one.retired_at.isoformat() if one.retired_at else None,
            "reason": one.reason[:24],
        }
        for one in standings
    ]
    _run(OPEN, workflow, rows)


@transaction.atomic
def store_classifications(workflow: Workflow, made: Sequence[Made]) -> dict[str, tuple[int, bool]]:
    """Store those that are not stored yet; a volunteer's first on a subject counts, gold and repeats do not.

    The subjects must have their place in the workflow (`open_subjects`).

    Returns:
        Of the new ones, by key: id, and whether it counts.
    """
    subjects = sorted({one.subject_id for one in made})
    locked = SubjectStatus.objects.select_for_update().filter(workflow=workflow, subject__in=subjects).order_by("id")
    list(locked.values_list("id", flat=True))
    known = set(
        Classification.objects.filter(idempotency_key__in=[one.key for one in made]).values_list(
            "idempotency_key", flat=True
        )
    )
    counted = set(
        Classification.objects.filter(workflow=workflow, subject__in=subjects, counted=True).values_list(
            "subject_id", "volunteer_id"
        )
    )
    new: dict[str, tuple[Made, bool]] = {}
    for one in made:
        pair = one.subject_id, one.volunteer_id
        if one.key not in known and one.key not in new:
            counts = not one.gold_standard and pair not in counted
            new[one.key] = one, counts
            if counts:
                counted.add(pair)
    _run(STORE, workflow, [_row(one, counts) for one, counts in new.values()])
    _store_answers(workflow, list(new.values()))
    return {key: (one.id, counts) for key, (one, counts) in new.items()}


def reserve_ids(n: int) -> list[int]:
    """The next ids of classifications, ascending; nobody else gets them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence('crowd_classification', 'id')) FROM generate_series(1, %s)", [n]
        )
        return sorted(row[0] for row in cursor.fetchall())


def _row(one: Made, counts: bool) -> dict[str, Any]:
    return {
        "id": one.id,
        "subject_id": one.subject_id,
        "volunteer_id": one.volunteer_id,
        "key": one.key,
        "major": one.major,
        "minor": one.minor,
        "annotations": one.annotations,
        "metadata": one.metadata,
        "gold": one.gold_standard,
        "expert": one.expert[:8],
        "ip_key": one.ip_key[:64],
        "counted": counts,
        "created_at": one.created_at.isoformat(),
    }


def _store_answers(workflow: Workflow, new: Sequence[tuple[Made, bool]]) -> None:
    answers, gold, counts = [], [], dict.fromkeys((one.subject_id for one, _ in new), 0)
    for one, counted in new:
        counts[one.subject_id] += counted
        for choice in one.choices:
            answer = {
                "classification_id": one.id,
                "subject_id": one.subject_id,
                "volunteer_id": one.volunteer_id,
                "task_key": choice.task_key,
                "answer": choice.answer,
                "counted": counted,
            }
            answers.append(answer)
            if one.gold_standard and one.author_id is not None:
                gold.append({**answer, "author_id": one.author_id})
    _run(ANSWER, workflow, answers)
    _run(GOLD, workflow, gold)
    _run(COUNT, workflow, [{"subject_id": subject_id, "n": n} for subject_id, n in counts.items() if n])


def _run(statement: str, workflow: Workflow, rows: list[dict[str, Any]]) -> None:
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(statement, {"workflow": workflow.pk, "rows": json.dumps(rows)})


def sum_again(workflow: Workflow) -> None:
    """Fit everybody's skill, and work every subject's consensus out of all that is stored.

    Where there is too little to tell skill from luck, everybody is a newcomer.
    """
    workflow.refresh_from_db()
    fitted = refit_workflow(workflow)
    with transaction.atomic():
        if fitted is not None:
            fitted()
        mode = get_mode(workflow.consensus_mode)
        epoch = workflow.epochs.get(current=True)
        if fitted is None:
            nobody = [QuestionSkill.nobody(q) for q in list_questions(workflow.tasks, workflow.first_task)]
            epoch = switch_epoch(workflow, nobody, read_out=mode.read_out, figures={})
        move_subjects(workflow, epoch, closed_too=True)
