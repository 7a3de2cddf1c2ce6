"""The live path: one volunteer's submission becomes a row, and its term is added to the consensus, in one transaction.

`Classification` rows are the source of truth. Everything is written under the lock of the subject's status row, so any
order, repetition or interleaving with a refit ends in the same sums (DESIGN §5 Crowd, §6).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.db import transaction

from classifier.errors import EsocsError
from esocs.crowd.errors import (
    ExpertsOnlyError,
    GoldStandardForbiddenError,
    IdempotencyKeyReusedError,
    SubjectNotInWorkflowError,
    SubjectRetiredError,
    WorkflowInactiveError,
    WorkflowNotFoundError,
    WorkflowNotInProjectError,
    WorkflowVersionUnknownError,
)
from esocs.crowd.gold import write_gold
from esocs.crowd.live import WRITE_ANSWERS, Epoch, LockedStatus, Mapper, Worth, write_counted
from esocs.crowd.prepared import prepared_cursor
from esocs.crowd.rules import Effect, Rule
from esocs.projects.models import ProjectRole, Workflow, WorkflowVersion
from esocs.projects.rules import Choice, list_questions, map_answers, read_choices

GOLD_ROLES = {
    ProjectRole.Role.OWNER: "owner",
    ProjectRole.Role.EXPERT: "expert",
    ProjectRole.Role.COLLABORATOR: "expert",
}


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What a volunteer sent, already of the right types."""

    workflow_id: int
    subject_ids: list[int]
    volunteer_id: int
    annotations: list[dict[str, Any]]
    metadata: dict[str, Any]
    workflow_version: str
    user_id: int | None = None
    idempotency_key: str | None = None
    gold_standard: bool = False
    ip_key: str = ""
    project_id: int | None = None
    settled_too: bool = False
    """Also about a subject that has retired or waits for experts: Panoptes refuses neither."""

    @property
    def subject_id(self) -> int:
        return self.subject_ids[0]


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """The stored classification: the same for the first request and for each of its replays."""

    id: int
    created: bool
    counted: bool
    created_at: datetime
    annotations: list[dict[str, Any]]
    metadata: dict[str, Any]
    gold_standard: bool
    retired: bool


# The roles are asked for only where they matter: a plain vote passes no user.
LOCK_STATUS = """
SELECT st.id, st.subject_id, st.state, st.audience, st.review, st.retired_at, st.epoch_id, st.machine_answer,
       st.machine_prior, st.classifications_count, w.id, w.project_id, w.active, w.retirement, w.first_task,
       w.major_version, w.minor_version, a.served_at, st.training,
       (SELECT json_agg(json_build_array(r.id, r.condition,
            (SELECT json_agg(json_build_array(e.id, e.action, e.reason) ORDER BY e.id)
               FROM crowd_ruleeffect e WHERE e.subject_rule_id = r.id)) ORDER BY r.position, r.id)
          FROM crowd_subjectrule r WHERE r.workflow_id = w.id AND r.active AND r.template <> ''),
       EXISTS (SELECT 1 FROM crowd_caesarworkflow k WHERE k.workflow_id = w.id AND k.status <> 'halted'),
       (SELECT array_agg(r.role) FROM projects_projectrole r
         WHERE r.project_id = w.project_id AND r.user_id = %(user)s)
FROM crowd_subjectstatus st
JOIN projects_workflow w ON w.id = st.workflow_id
LEFT JOIN crowd_assignment a ON a.status_id = st.id AND a.volunteer_id = %(volunteer)s
WHERE st.workflow_id = %(workflow)s AND st.subject_id = %(subject)s
FOR UPDATE OF st
"""

# Runs after the lock, in a snapshot of its own: two submissions of one volunteer cannot both be the first. The same
# statement reads what the answers are worth; no row comes back when the key was used before.
INSERT_CLASSIFICATION = """
WITH inserted AS (
    INSERT INTO crowd_classification (workflow_id, subject_id, volunteer_id, idempotency_key, request_sha256,
        workflow_major, workflow_minor, annotations, metadata, gold_standard, expert, ip_key, counted)
    VALUES (%(workflow)s, %(subject)s, %(volunteer)s, %(key)s, %(sha256)s, %(major)s, %(minor)s,
        %(annotations)s::jsonb, %(metadata)s::jsonb, %(gold)s, %(expert)s, %(ip)s,
        NOT %(gold)s AND NOT %(training)s AND NOT EXISTS (SELECT 1 FROM crowd_classification c
            WHERE c.volunteer_id = %(volunteer)s AND c.workflow_id = %(workflow)s
            AND c.subject_id = %(subject)s AND c.counted))
    ON CONFLICT (idempotency_key) DO NOTHING
    RETURNING id, counted, created_at
), {derived}live AS (
    -- The subject's own epoch while its skill is kept (the current one and the one before), else the current one.
    SELECT e.id, e.number, e.read_out, e.workflow_major, e.workflow_minor
    FROM crowd_skillepoch e JOIN crowd_skillepoch c ON c.workflow_id = e.workflow_id AND c.current
    WHERE e.workflow_id = %(workflow)s AND (e.current OR (e.id = %(epoch)s AND e.number >= c.number - 1
        AND (e.workflow_major, e.workflow_minor) = (c.workflow_major, c.workflow_minor)))
    ORDER BY COALESCE(e.id = %(epoch)s, false) DESC LIMIT 1
)
SELECT i.id, i.counted, i.created_at, live.id, live.number, live.read_out, live.workflow_major, live.workflow_minor,
    t.task_key, c.log_posterior, c.answer_counts, COALESCE(own.terms, everybody.terms), everybody.log_prior,
    everybody.temper, everybody.confusion
FROM inserted i
LEFT JOIN live ON true
LEFT JOIN unnest(%(tasks)s::text[]) AS t(task_key) ON true
LEFT JOIN crowd_skill own
    ON own.epoch_id = live.id AND own.task_key = t.task_key AND own.volunteer_id = %(volunteer)s
LEFT JOIN crowd_skill everybody
    ON everybody.epoch_id = live.id AND everybody.task_key = t.task_key AND everybody.volunteer_id IS NULL
LEFT JOIN crowd_consensus c ON c.status_id = %(status)s AND c.task_key = t.task_key
"""

# What is derived of the classification follows in the background (crowd.caesar.deriving).
DERIVED = """derived AS (
    INSERT INTO crowd_underived (workflow_id, subject_id, classification_id, reconsider)
    SELECT %(workflow)s, %(subject)s, inserted.id, false FROM inserted
), """
INSERT_STATEMENTS = {
    derived: INSERT_CLASSIFICATION.replace("{derived}", DERIVED if derived else "") for derived in (False, True)
}

STATUS_COLUMNS = tuple(name.name for name in fields(LockedStatus))


def record_classification(submission: Submission) -> Recorded:
    """Store one submission exactly once, and count it exactly once.

    A replay (same key, same words) gets the first answer. A second submission by the same volunteer on the same
    subject is stored and not counted. A subject that retired while the volunteer was holding it still takes the
    answer; otherwise a retired subject refuses.

    Raises:
        EsocsError: one of this module's errors, `unknown_task` or `unknown_answer`; nothing is stored then.
    """
    version = _read_version(submission)
    choices = read_choices(_version(submission.workflow_id, *version).tasks, submission.annotations)
    key = submission.idempotency_key or _derived_key(submission)
    sha256 = _request_sha256(submission)
    with transaction.atomic(), prepared_cursor() as cursor:
        status = _lock_status(cursor, submission)
        first = _refuse_or_replay(cursor, submission, status, key=key, sha256=sha256)
        if first is not None:
            return first
        today = _in_todays_answers(choices, status, version)
        questions = list_questions(_today(status).tasks, status.first_task)
        cursor.execute(
            INSERT_STATEMENTS[status.derived],
            {
                "workflow": submission.workflow_id,
                "subject": submission.subject_id,
                "volunteer": submission.volunteer_id,
                "key": key,
                "sha256": sha256,
                "major": version[0],
                "minor": version[1],
                "annotations": json.dumps(submission.annotations),
                "metadata": json.dumps(submission.metadata),
                "gold": submission.gold_standard,
                "training": status.training,
                "expert": _expert_role(status) if submission.gold_standard else "",
                "ip": submission.ip_key,
                "tasks": [question.key for question in questions],
                "epoch": status.epoch_id,
                "status": status.id,
            },
        )
        rows = cursor.fetchall()
        if not rows:
            return _replay(cursor, submission, key=key, sha256=sha256)
        classification_id, counted, created_at = rows[0][:3]
        parameters = {
            "classification": classification_id,
            "status": status.id,
            "volunteer": submission.volunteer_id,
            "counted": counted,
            "tasks": [choice.task_key for choice in choices],
            "answers": [choice.answer for choice in choices],
        }
        if counted:
            retired = write_counted(
                cursor,
                status,
                questions=questions,
                choices=today,
                worth={row[8]: Worth(*row[9:]) for row in rows if row[8] is not None},
                epoch=_epoch(rows[0]),
                to_today=_mapper(status),
                parameters=parameters,
            )
        elif submission.gold_standard:
            retired = write_gold(
                cursor,
                status,
                today=today,
                asks_first=any(question.task_key == status.first_task for question in questions),
                author_id=submission.user_id,
                parameters=parameters,
            )
        else:
            cursor.execute(f"{WRITE_ANSWERS} SELECT 1", parameters)
            retired = status.state == "retired"
    return Recorded(
        id=classification_id,
        created=True,
        counted=counted,
        created_at=created_at,
        annotations=submission.annotations,
        metadata=submission.metadata,
        gold_standard=submission.gold_standard,
        retired=retired,
    )


def _epoch(row: tuple[Any, ...]) -> Epoch | None:
    if row[3] is None:
        return None
    return Epoch(id=row[3], number=row[4], read_out=row[5], major=row[6], minor=row[7])


def _lock_status(cursor: Any, submission: Submission) -> LockedStatus:
    cursor.execute(
        LOCK_STATUS,
        {
            "workflow": submission.workflow_id,
            "subject": submission.subject_id,
            "volunteer": submission.volunteer_id,
            "user": submission.user_id,
        },
    )
    row = cursor.fetchone()
    if row is None:
        raise SubjectNotInWorkflowError(
            f"Subject {submission.subject_id} is not asked about in workflow {submission.workflow_id}."
        )
    status = LockedStatus(**dict(zip(STATUS_COLUMNS, row, strict=True)))
    if isinstance(status.retirement, str):  # a raw cursor returns jsonb as text
        status.retirement = json.loads(status.retirement)
    raw: Any = status.rules or []
    status.rules = [
        Rule(rule_id, condition, tuple(Effect(*effect) for effect in effects or ()))
        for rule_id, condition, effects in (json.loads(raw) if isinstance(raw, str) else raw)
    ]
    status.roles = status.roles or []
    return status


def _in_todays_answers(choices: list[Choice], status: LockedStatus, version: tuple[int, int]) -> list[Choice]:
    """The choices as indices into the workflow's present answers; those whose answer is gone are left out."""
    if version == (status.major, status.minor):
        return choices
    to_today = _mapper(status)
    now = {question.key: question for question in list_questions(_today(status).tasks)}
    today = []
    for choice in choices:
        answer = to_today(choice.task_key, choice.answer, *version)
        if answer is not None:
            n_answers = now[choice.task_key].n_answers
            today.append(Choice(task_key=choice.task_key, answer=answer, n_answers=n_answers))
    return today


def _mapper(status: LockedStatus) -> Mapper:
    def to_today(task_key: str, answer: int, major: int, minor: int) -> int | None:
        if (major, minor) == (status.major, status.minor):
            return answer
        now, then = _today(status), _version(status.workflow_id, major, minor)
        question = next((q for q in list_questions(now.tasks) if q.key == task_key), None)
        if question is None:
            return None
        answers = map_answers(question, old=(then.tasks, then.strings), new=(now.tasks, now.strings))
        return answers[answer] if answer < len(answers) else None

    return to_today


def _today(status: LockedStatus) -> Asked:
    return _version(status.workflow_id, status.major, status.minor)


def _refuse_or_replay(
    cursor: Any, submission: Submission, status: LockedStatus, *, key: str, sha256: str
) -> Recorded | None:
    """None when the submission may be stored; the first answer when it is a replay of one that was."""
    error = _find_refusal(submission, status)
    if error is None:
        return None
    if _find_by_key(cursor, key) is not None:
        return _replay(cursor, submission, key=key, sha256=sha256)
    raise error


def _find_refusal(submission: Submission, status: LockedStatus) -> EsocsError | None:
    if submission.project_id not in {None, status.project_id}:
        return WorkflowNotInProjectError("This workflow belongs to another project.")
    if not status.active:
        return WorkflowInactiveError("This workflow takes no classifications at present.")
    if submission.gold_standard:
        if not _expert_role(status):
            return GoldStandardForbiddenError("Only the project's owner and experts may set a gold standard.")
        return None
    if submission.settled_too:
        return None
    held = status.served_at is not None and (status.retired_at is None or status.served_at <= status.retired_at)
    if status.audience == "experts" and status.state != "retired" and not held and not _expert_role(status):
        return ExpertsOnlyError("This subject waits for an expert's answer.")
    if status.state == "retired" and not held:
        return SubjectRetiredError("Enough people have looked at this subject.", hint="Ask for the next one.")
    return None


def _expert_role(status: LockedStatus) -> str:
    return next((name for role, name in GOLD_ROLES.items() if role in status.roles), "")


def _find_by_key(cursor: Any, key: str) -> tuple[Any, ...] | None:
    cursor.execute(
        "SELECT c.id, c.counted, c.created_at, c.annotations, c.metadata, c.gold_standard, c.request_sha256,"
        " c.volunteer_id, st.state FROM crowd_classification c LEFT JOIN crowd_subjectstatus st"
        " ON st.workflow_id = c.workflow_id AND st.subject_id = c.subject_id WHERE c.idempotency_key = %s",
        [key],
    )
    found: tuple[Any, ...] | None = cursor.fetchone()
    return found


def _replay(cursor: Any, submission: Submission, *, key: str, sha256: str) -> Recorded:
    row = _find_by_key(cursor, key)
    assert row is not None, "the key conflicted, so its row is committed"
    if row[6] != sha256 or row[7] != submission.volunteer_id:
        raise IdempotencyKeyReusedError(
            "This submission key was used before, for another answer.",
            hint="Use a new key for each submission.",
        )
    annotations, metadata = (json.loads(v) if isinstance(v, str) else v for v in (row[3], row[4]))
    return Recorded(
        id=row[0],
        created=False,
        counted=row[1],
        created_at=row[2],
        annotations=annotations,
        metadata=metadata,
        gold_standard=row[5],
        retired=row[8] == "retired",
    )


def _read_version(submission: Submission) -> tuple[int, int]:
    major, _, minor = submission.workflow_version.partition(".")
    if not (major.isdecimal() and minor.isdecimal()):
        raise WorkflowVersionUnknownError(
            f"{submission.workflow_version!r} is not a workflow version.",
            hint="Send it as text, such as '1.1'.",
        )
    return int(major), int(minor)


@dataclass(frozen=True)
class Asked:
    """What a workflow asked at one version."""

    tasks: dict[str, Any]
    strings: dict[str, str]


@lru_cache(maxsize=512)
def _version(workflow_id: int, major: int, minor: int) -> Asked:
    """A version never changes, so it may be kept for the life of the process."""
    rows = WorkflowVersion.objects.filter(workflow_id=workflow_id, major=major, minor=minor)
    row = rows.values_list("tasks", "strings").first()
    if row is not None:
        return Asked(dict(row[0]), dict(row[1]))
    if not Workflow.objects.filter(id=workflow_id).exists():
        raise WorkflowNotFoundError(f"There is no workflow {workflow_id}.")
    raise WorkflowVersionUnknownError(f"Workflow {workflow_id} never had a version {major}.{minor}.")


def _derived_key(submission: Submission) -> str:
    """The key of a client that sends none: who, what and when make a retry recognisable."""
    when = [submission.metadata.get(name) for name in ("session", "started_at", "finished_at")]
    parts = [
        submission.workflow_id,
        submission.subject_ids,
        submission.volunteer_id,
        submission.gold_standard,
        when,
    ]
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()


def _request_sha256(submission: Submission) -> str:
    words = [submission.workflow_id, submission.subject_ids, submission.annotations, submission.gold_standard]
    return hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()
