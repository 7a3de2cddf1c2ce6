"""The live path: one volunteer's submission becomes a row, and its term is added to the consensus, in one transaction.

`Classification` rows are the source of truth. Everything is written under the lock of the subject's status row, so any
order, repetition or interleaving with a refit ends in the same sums (DESIGN §5 Crowd, §6).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.db import connection, transaction

from classifier.errors import EsocsError
from esocs.crowd import posterior, rules
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
from esocs.projects.models import ProjectRole, Workflow, WorkflowVersion
from esocs.projects.rules import Choice, read_choices

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


@dataclass(kw_only=True)
class _Status:
    """The locked status row with what of its workflow the submission needs."""

    id: int
    state: str
    audience: str
    retired_at: datetime | None
    epoch_id: int | None
    machine_answer: int | None
    machine_prior: list[int] | None
    count: int
    project_id: int
    active: bool
    retirement: Any
    served_at: datetime | None
    roles: list[str] = field(default_factory=list)


# The roles are asked for only where they matter: a plain vote passes no user.
LOCK_STATUS = """
SELECT st.id, st.state, st.audience, st.retired_at, st.epoch_id, st.machine_answer, st.machine_prior,
       st.classifications_count, w.project_id, w.active, w.retirement, a.served_at,
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
        NOT %(gold)s AND NOT EXISTS (SELECT 1 FROM crowd_classification c WHERE c.volunteer_id = %(volunteer)s
            AND c.workflow_id = %(workflow)s AND c.subject_id = %(subject)s AND c.counted))
    ON CONFLICT (idempotency_key) DO NOTHING
    RETURNING id, counted, created_at
)
SELECT i.id, i.counted, i.created_at, t.task_key, c.log_posterior, c.answer_counts,
    COALESCE(own.terms, everybody.terms), everybody.log_prior, e.temper
FROM inserted i
LEFT JOIN unnest(%(tasks)s::text[]) AS t(task_key) ON true
LEFT JOIN crowd_skillepoch e ON e.id = %(epoch)s
LEFT JOIN crowd_skill own
    ON own.epoch_id = %(epoch)s AND own.task_key = t.task_key AND own.volunteer_id = %(volunteer)s
LEFT JOIN crowd_skill everybody
    ON everybody.epoch_id = %(epoch)s AND everybody.task_key = t.task_key AND everybody.volunteer_id IS NULL
LEFT JOIN crowd_consensus c ON c.status_id = %(status)s AND c.task_key = t.task_key
"""

WRITE_ANSWERS = """
WITH answered AS (
    INSERT INTO crowd_answer (classification_id, status_id, volunteer_id, task_key, answer, counted)
    SELECT %(classification)s, %(status)s, %(volunteer)s, x.task_key, x.answer, %(counted)s
    FROM unnest(%(tasks)s::text[], %(answers)s::int[]) AS x(task_key, answer)
), freed AS (
    DELETE FROM crowd_assignment WHERE status_id = %(status)s AND volunteer_id = %(volunteer)s
)"""

UPDATE_COUNTED = """
UPDATE crowd_subjectstatus
SET classifications_count = classifications_count + 1, updated_at = now(), state = %(state)s,
    audience = CASE WHEN %(state)s = 'contested' THEN 'experts' ELSE audience END,
    retired_at = CASE WHEN %(state)s = 'retired' THEN COALESCE(retired_at, now()) ELSE retired_at END,
    retirement_reason = CASE WHEN %(already)s THEN retirement_reason ELSE %(reason)s END,
    retired_epoch_number = CASE WHEN %(newly_retired)s
        THEN (SELECT number FROM crowd_skillepoch WHERE id = %(epoch)s) ELSE retired_epoch_number END,
    retired_probability = CASE WHEN %(newly_retired)s THEN %(probability)s ELSE retired_probability END
WHERE id = %(status)s"""

CONSENSUS_COLUMNS = (
    "status_id, task_key, log_posterior, answer_counts, answer, probability, majority, flagged, updated_at"
)


@dataclass
class _Worth:
    """What an answer to one task adds to: the sums so far, and this volunteer's terms under the subject's epoch."""

    sums: list[int] | None
    counts: list[int] | None
    terms: list[int] | None
    log_prior: list[int] | None
    temper: float | None


STATUS_COLUMNS = tuple(name.name for name in fields(_Status))


def record_classification(submission: Submission) -> Recorded:
    """Store one submission exactly once, and count it exactly once.

    A replay (same key, same words) gets the first answer. A second submission by the same volunteer on the same
    subject is stored and not counted. A subject that retired while the volunteer was holding it still takes the
    answer; otherwise a retired subject refuses.

    Raises:
        EsocsError: one of this module's errors, `unknown_task` or `unknown_answer`; nothing is stored then.
    """
    version = _read_version(submission)
    choices = read_choices(_version_tasks(submission.workflow_id, *version), submission.annotations)
    key = submission.idempotency_key or _derived_key(submission)
    sha256 = _request_sha256(submission)
    with transaction.atomic(), connection.cursor() as cursor:
        status = _lock_status(cursor, submission)
        first = _refuse_or_replay(cursor, submission, status, key=key, sha256=sha256)
        if first is not None:
            return first
        cursor.execute(
            INSERT_CLASSIFICATION,
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
                "expert": _expert_role(status) if submission.gold_standard else "",
                "ip": submission.ip_key,
                "tasks": [choice.task_key for choice in choices],
                "epoch": status.epoch_id,
                "status": status.id,
            },
        )
        rows = cursor.fetchall()
        if not rows:
            return _replay(cursor, submission, key=key, sha256=sha256)
        classification_id, counted, created_at = rows[0][:3]
        worth = {row[3]: _Worth(*row[4:]) for row in rows}
        retired = _write_effects(
            cursor, submission, status, choices, worth, classification_id=classification_id, counted=counted
        )
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


def _lock_status(cursor: Any, submission: Submission) -> _Status:
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
    status = _Status(**dict(zip(STATUS_COLUMNS, row, strict=True)))
    if isinstance(status.retirement, str):  # a raw cursor returns jsonb as text
        status.retirement = json.loads(status.retirement)
    status.roles = status.roles or []
    return status


def _refuse_or_replay(
    cursor: Any, submission: Submission, status: _Status, *, key: str, sha256: str
) -> Recorded | None:
    """None when the submission may be stored; the first answer when it is a replay of one that was."""
    error = _find_refusal(submission, status)
    if error is None:
        return None
    if _find_by_key(cursor, key) is not None:
        return _replay(cursor, submission, key=key, sha256=sha256)
    raise error


def _find_refusal(submission: Submission, status: _Status) -> EsocsError | None:
    if submission.project_id not in {None, status.project_id}:
        return WorkflowNotInProjectError("This workflow belongs to another project.")
    if not status.active:
        return WorkflowInactiveError("This workflow takes no classifications at present.")
    if submission.gold_standard:
        if not _expert_role(status):
            return GoldStandardForbiddenError("Only the project's owner and experts may set a gold standard.")
        return None
    held = status.served_at is not None and (status.retired_at is None or status.served_at <= status.retired_at)
    if status.audience == "experts" and status.state != "retired" and not held and not _expert_role(status):
        return ExpertsOnlyError("This subject waits for an expert's answer.")
    if status.state == "retired" and not held:
        return SubjectRetiredError("Enough people have looked at this subject.", hint="Ask for the next one.")
    return None


def _expert_role(status: _Status) -> str:
    return next((name for role, name in GOLD_ROLES.items() if role in status.roles), "")


def _write_effects(
    cursor: Any,
    submission: Submission,
    status: _Status,
    choices: list[Choice],
    worth: dict[str, _Worth],
    *,
    classification_id: int,
    counted: bool,
) -> bool:
    """Write the answers, free the reservation, and add the terms if the submission counts. Returns: retired by now?"""
    parameters: dict[str, Any] = {
        "classification": classification_id,
        "status": status.id,
        "volunteer": submission.volunteer_id,
        "counted": counted,
        "tasks": [choice.task_key for choice in choices],
        "answers": [choice.answer for choice in choices],
        "epoch": status.epoch_id,
    }
    if counted:
        return _write_counted(cursor, status, choices, worth, parameters)
    if submission.gold_standard:
        return _write_gold(cursor, submission, status, parameters)
    cursor.execute(f"{WRITE_ANSWERS} SELECT 1", parameters)
    return status.state == "retired"


def _write_counted(
    cursor: Any, status: _Status, choices: list[Choice], worth: dict[str, _Worth], parameters: dict[str, Any]
) -> bool:
    rows: list[list[Any]] = []
    decision: rules.Decision | None = None
    for choice in choices:
        known = worth[choice.task_key]
        K = choice.n_answers
        sums = known.sums or status.machine_prior or known.log_prior or [0] * K
        if known.terms is not None:
            sums = posterior.add(sums, known.terms, choice.answer)
        counts = [n + (i == choice.answer) for i, n in enumerate(known.counts or [0] * K)]
        made = rules.decide(
            criterion=status.retirement,
            n=status.count + 1,
            probabilities=posterior.read_out(sums, known.temper or posterior.UNFITTED_TEMPER, votes=sum(counts)),
            votes=counts,
            machine_answer=status.machine_answer,
        )
        # The first question decides: later ones are asked only of those who reached them.
        decision = decision or made
        rows.append([status.id, choice.task_key, sums, counts, made.answer, made.p, made.majority, made.flagged])
    if decision is None:
        decision = rules.decide(criterion=status.retirement, n=status.count + 1)
    already = status.state == "retired"
    parameters |= {
        "state": "retired" if already else decision.state,
        "reason": decision.reason,
        "already": already,
        "newly_retired": decision.state == "retired" and not already,
        "probability": decision.p,
    }
    cursor.execute(_counted_statement(rows, parameters), parameters)
    return already or decision.state == "retired"


def _counted_statement(rows: list[list[Any]], parameters: dict[str, Any]) -> str:
    """The one statement that writes answers, sums and status; adds the rows' values to `parameters`."""
    if not rows:
        return WRITE_ANSWERS + UPDATE_COUNTED
    types = ("", "", "::bigint[]", "::int[]", "", "", "", "")
    values = []
    for r, row in enumerate(rows):
        parameters |= {f"c{r}_{i}": value for i, value in enumerate(row)}
        values.append("(" + ", ".join(f"%(c{r}_{i})s{types[i]}" for i in range(len(row))) + ", now())")
    return f"""{WRITE_ANSWERS}, summed AS (
    INSERT INTO crowd_consensus ({CONSENSUS_COLUMNS}) VALUES {", ".join(values)}
    ON CONFLICT (status_id, task_key) DO UPDATE SET log_posterior = EXCLUDED.log_posterior,
        answer_counts = EXCLUDED.answer_counts, answer = EXCLUDED.answer, probability = EXCLUDED.probability,
        majority = EXCLUDED.majority, flagged = EXCLUDED.flagged, updated_at = EXCLUDED.updated_at
){UPDATE_COUNTED}"""


def _write_gold(cursor: Any, submission: Submission, status: _Status, parameters: dict[str, Any]) -> bool:
    """An expert's answer becomes gold; it settles a subject that waited for experts, and counts nowhere."""
    settles = status.audience == "experts" and bool(parameters["tasks"])
    parameters |= {
        "workflow": submission.workflow_id,
        "subject": submission.subject_id,
        "author": submission.user_id,
        "settles": settles,
    }
    cursor.execute(
        f"""{WRITE_ANSWERS}, gold AS (
    INSERT INTO crowd_goldstandard (workflow_id, subject_id, task_key, answer, author_id, classification_id)
    SELECT %(workflow)s, %(subject)s, x.task_key, x.answer, %(author)s, %(classification)s
    FROM unnest(%(tasks)s::text[], %(answers)s::int[]) AS x(task_key, answer)
    ON CONFLICT (workflow_id, subject_id, task_key) DO UPDATE SET answer = EXCLUDED.answer,
        author_id = EXCLUDED.author_id, classification_id = EXCLUDED.classification_id
)
UPDATE crowd_subjectstatus
SET state = 'retired', retired_at = COALESCE(retired_at, now()), retirement_reason = 'human', retired_probability = 1,
    updated_at = now()
WHERE id = %(status)s AND %(settles)s""",
        parameters,
    )
    return settles or status.state == "retired"


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


@lru_cache(maxsize=512)
def _version_tasks(workflow_id: int, major: int, minor: int) -> dict[str, Any]:
    """The tasks of a version. A version never changes, so it may be kept for the life of the process."""
    tasks = WorkflowVersion.objects.filter(workflow_id=workflow_id, major=major, minor=minor).values_list("tasks")
    row = tasks.first()
    if row is not None:
        return dict(row[0])
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
