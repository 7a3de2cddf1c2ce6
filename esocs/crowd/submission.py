"""The live path: one volunteer's submission becomes a row, and its term is added to the consensus, at once.

`Classification` rows are the source of truth. One statement reads, one writes. The second does nothing unless the
status row still is the version that the first one read; otherwise both run once more under the row's lock. So any
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
from esocs.crowd.gold import reckon_gold
from esocs.crowd.handout import (
    SHOWN,
    QueuedSubject,
    choose_expressions,
    choose_parameters,
    queued_subject,
)
from esocs.crowd.live import Effects, Epoch, Mapper, ReadStatus, Worth, order_effects, reckon_counted
from esocs.crowd.prepared import prepared_cursor
from esocs.crowd.rules import Effect, Rule
from esocs.projects.models import ProjectRole, Workflow, WorkflowVersion
from esocs.projects.rules import Choice, Question, list_questions, map_answers, read_choices

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
    subjects: list[QueuedSubject] | None = None
    """The next ones; None where none were asked for, and of a replay: nothing was stored then."""


@dataclass(frozen=True, kw_only=True)
class Refill:
    """The wish for further subjects with the answer.

    Attributes:
        limit: how many.
        held: what the asker still holds, None where it does not say (`hand_out_subjects`).
    """

    limit: int
    held: frozenset[int] | None = None


LOCK_STATUS = """
SELECT 1 FROM crowd_subjectstatus WHERE workflow_id = %(workflow)s AND subject_id = %(subject)s FOR UPDATE
"""

# The roles are asked for only where they matter: a plain vote passes no user.
READ = """
SELECT st.id, st.subject_id, st.state, st.audience, st.review, st.retired_at, st.epoch_id, st.machine_answer,
    st.machine_prior, st.classifications_count, w.id, w.project_id, w.active, w.retirement, w.first_task,
    w.major_version, w.minor_version, a.served_at, st.training, st.xmin::text,
    EXISTS (SELECT 1 FROM crowd_classification c WHERE c.workflow_id = st.workflow_id
        AND c.subject_id = st.subject_id AND c.volunteer_id = %(volunteer)s AND c.counted),
    (SELECT json_agg(json_build_array(r.id, r.condition,
            (SELECT json_agg(json_build_array(e.id, e.action, e.reason) ORDER BY e.id)
                FROM crowd_ruleeffect e WHERE e.subject_rule_id = r.id)) ORDER BY r.position, r.id)
        FROM crowd_subjectrule r WHERE r.workflow_id = w.id AND r.active AND r.template <> ''),
    EXISTS (SELECT 1 FROM crowd_caesarworkflow k WHERE k.workflow_id = w.id AND k.status <> 'halted'),
    (SELECT array_agg(r.role) FROM projects_projectrole r
        WHERE r.project_id = w.project_id AND r.user_id = %(user)s),
    live.id, live.number, live.read_out, live.workflow_major, live.workflow_minor,
    t.task_key, c.log_posterior, c.answer_counts, COALESCE(own.terms, everybody.terms), everybody.log_prior,
    everybody.temper, everybody.confusion
FROM crowd_subjectstatus st
JOIN projects_workflow w ON w.id = st.workflow_id
LEFT JOIN crowd_assignment a ON a.status_id = st.id AND a.volunteer_id = %(volunteer)s
LEFT JOIN LATERAL (
    -- The subject's own epoch while its skill is kept (the current one and the one before), else the current one.
    SELECT e.id, e.number, e.read_out, e.workflow_major, e.workflow_minor
    FROM crowd_skillepoch c JOIN crowd_skillepoch e ON e.workflow_id = c.workflow_id AND e.number >= c.number - 1
    WHERE c.workflow_id = st.workflow_id AND c.current AND (e.current OR (e.id = st.epoch_id
        AND (e.workflow_major, e.workflow_minor) = (c.workflow_major, c.workflow_minor)))
    ORDER BY COALESCE(e.id = st.epoch_id, false) DESC LIMIT 1
) live ON true
LEFT JOIN unnest(%(tasks)s::text[]) AS t(task_key) ON true
LEFT JOIN crowd_skill own
    ON own.epoch_id = live.id AND own.task_key = t.task_key AND own.volunteer_id = %(volunteer)s
LEFT JOIN crowd_skill everybody
    ON everybody.epoch_id = live.id AND everybody.task_key = t.task_key AND everybody.volunteer_id IS NULL
LEFT JOIN crowd_consensus c ON c.status_id = st.id AND c.task_key = t.task_key
WHERE st.workflow_id = %(workflow)s AND st.subject_id = %(subject)s
"""

# Nothing happens unless the row is the very version that was read: whoever was faster made it another one, and a row
# that is locked is looked at again when its lock is free. No `inserted` either when the key was used before. Answers
# are kept as they were given: their indices are those of the classification's own version.
STORE = """
WITH seen AS (
    SELECT st.id FROM crowd_subjectstatus st WHERE st.id = %(status)s::bigint AND st.xmin = %(seen)s::xid FOR UPDATE
), inserted AS (
    INSERT INTO crowd_classification (workflow_id, subject_id, volunteer_id, idempotency_key, request_sha256,
        workflow_major, workflow_minor, annotations, metadata, gold_standard, expert, ip_key, counted)
    SELECT %(workflow)s::bigint, %(subject)s::bigint, %(volunteer)s::bigint, %(key)s::text, %(sha256)s::text,
        %(major)s::int, %(minor)s::int, %(annotations)s::jsonb, %(metadata)s::jsonb, %(gold)s::boolean,
        %(expert)s::text, %(ip)s::text, %(counted)s::boolean
    FROM seen
    ON CONFLICT (idempotency_key) DO NOTHING
    RETURNING id, created_at
), answered AS (
    INSERT INTO crowd_answer (classification_id, status_id, volunteer_id, task_key, answer, counted)
    SELECT inserted.id, %(status)s::bigint, %(volunteer)s::bigint, x.task_key, x.answer, %(counted)s::boolean
    FROM inserted CROSS JOIN unnest(%(tasks)s::text[], %(answers)s::int[]) AS x(task_key, answer)
), freed AS (
    DELETE FROM crowd_assignment a USING inserted
    WHERE a.status_id = %(status)s::bigint AND a.volunteer_id = %(volunteer)s::bigint
)"""

# What is derived of the classification follows in the background (crowd.caesar.deriving).
DERIVED = """, derived AS (
    INSERT INTO crowd_underived (workflow_id, subject_id, classification_id, reconsider)
    SELECT %(workflow)s::bigint, %(subject)s::bigint, inserted.id, false FROM inserted
)"""

STORED = """
SELECT (SELECT id FROM seen), inserted.id, inserted.created_at{columns}
FROM (SELECT 1) one LEFT JOIN inserted ON true{subjects}
"""

STATUS_COLUMNS = tuple(column.name for column in fields(ReadStatus))


def record_classification(submission: Submission, *, refill: Refill | None = None) -> Recorded:
    """Store one submission exactly once, and count it exactly once.

    A replay (same key, same words) gets the first answer. A second submission by the same volunteer on the same
    subject is stored and not counted. A subject that retired while the volunteer was holding it still takes the
    answer; otherwise a retired subject refuses.

    Args:
        submission: what was sent.
        refill: asks for the next subjects too; they come in `Recorded.subjects`.

    Raises:
        EsocsError: one of this module's errors, `unknown_task` or `unknown_answer`; nothing is stored then.
    """
    sent = _Sent(submission)
    with prepared_cursor() as cursor:
        recorded = _try_to_record(cursor, sent, refill)
    if recorded is None:
        with transaction.atomic(), prepared_cursor() as cursor:
            cursor.execute(LOCK_STATUS, {"workflow": submission.workflow_id, "subject": submission.subject_id})
            recorded = _try_to_record(cursor, sent, refill, locked=True)
    assert recorded is not None, "the row is locked, so it is the one that was read"
    return recorded


class _Sent:
    """A submission with what is worked out from it alone."""

    def __init__(self, submission: Submission) -> None:
        self.submission = submission
        self.version = _read_version(submission)
        self.asked = _version(submission.workflow_id, *self.version)
        self.choices = read_choices(self.asked.tasks, submission.annotations)
        self.key = submission.idempotency_key or _derived_key(submission)
        self.sha256 = _request_sha256(submission)


def _try_to_record(cursor: Any, sent: _Sent, refill: Refill | None, *, locked: bool = False) -> Recorded | None:
    """Read, reckon and store; None when the status's lock is needed, and nothing is stored then."""
    submission = sent.submission
    status, questions, rows = _read(cursor, sent)
    error = _find_refusal(submission, status)
    if error is not None:
        if _find_by_key(cursor, sent.key) is not None:
            return _replay(cursor, sent)
        raise error
    effects = _reckon(cursor, sent, status, questions, rows)
    if effects.decision.fired and not locked:
        return None  # what a rule orders is written in the same transaction
    parameters = {
        "status": status.id,
        "seen": status.seen,
        "workflow": submission.workflow_id,
        "subject": submission.subject_id,
        "volunteer": submission.volunteer_id,
        "key": sent.key,
        "sha256": sent.sha256,
        "major": sent.version[0],
        "minor": sent.version[1],
        "annotations": json.dumps(submission.annotations),
        "metadata": json.dumps(submission.metadata),
        "gold": submission.gold_standard,
        "expert": _expert_role(status) if submission.gold_standard else "",
        "ip": submission.ip_key,
        "counted": _counts(submission, status),
        "tasks": [choice.task_key for choice in sent.choices],
        "answers": [choice.answer for choice in sent.choices],
        **effects.parameters,
    }
    if refill is not None:
        # The statement does not see its own answer: what is being answered counts as held.
        held = {*(refill.held or ()), submission.subject_id}
        parameters |= choose_parameters(limit=refill.limit, held=held)
    resume = None if refill is None else refill.held is not None
    expressions = effects.expressions + (DERIVED if status.derived else "")
    cursor.execute(_store_statement(expressions, resume), parameters)
    stored = cursor.fetchall()
    if stored[0][0] is None:
        return None
    if stored[0][1] is None:
        return _replay(cursor, sent)
    if locked:
        order_effects([(effects.decision, status.subject_id)])
    return Recorded(
        id=stored[0][1],
        created=True,
        counted=_counts(submission, status),
        created_at=stored[0][2],
        annotations=submission.annotations,
        metadata=submission.metadata,
        gold_standard=submission.gold_standard,
        retired=effects.retired,
        subjects=None if refill is None else [queued_subject(row[3:]) for row in stored if row[3] is not None],
    )


@lru_cache(maxsize=128)
def _store_statement(expressions: str, resume: bool | None) -> str:
    """The one statement that writes; with `resume` not None it hands out subjects, too."""
    if resume is None:
        return STORE + expressions + STORED.format(columns="", subjects="")
    choose = choose_expressions(resume=resume, only_if="EXISTS (SELECT 1 FROM inserted)")
    subjects = f" LEFT JOIN ({SHOWN}) next ON true"
    return STORE + expressions + ", " + choose + STORED.format(columns=", next.*", subjects=subjects)


def _counts(submission: Submission, status: ReadStatus) -> bool:
    return not (submission.gold_standard or status.training or status.answered_before)


def _reckon(
    cursor: Any, sent: _Sent, status: ReadStatus, questions: list[Question], rows: list[tuple[Any, ...]]
) -> Effects:
    """What the submission does beside being kept."""
    submission = sent.submission
    if _counts(submission, status):
        n = len(STATUS_COLUMNS)
        return reckon_counted(
            cursor,
            status,
            questions=questions,
            choices=_in_todays_answers(sent.choices, status, sent.version),
            worth={row[n + 5]: Worth(*row[n + 6 :]) for row in rows if row[n + 5] is not None},
            epoch=_epoch(rows[0][n : n + 5]),
            to_today=_mapper(status),
        )
    if submission.gold_standard:
        return reckon_gold(
            cursor,
            status,
            today=_in_todays_answers(sent.choices, status, sent.version),
            asks_first=any(question.task_key == status.first_task for question in questions),
            volunteer_id=submission.volunteer_id,
            author_id=submission.user_id,
        )
    return Effects(retired=status.state == "retired")


def _epoch(row: tuple[Any, ...]) -> Epoch | None:
    if row[0] is None:
        return None
    return Epoch(id=row[0], number=row[1], read_out=row[2], major=row[3], minor=row[4])


def _read(cursor: Any, sent: _Sent) -> tuple[ReadStatus, list[Question], list[tuple[Any, ...]]]:
    """The status, what its workflow asks today, and the rows of `READ`, one a question."""
    submission = sent.submission
    questions = list_questions(sent.asked.tasks)
    while True:
        cursor.execute(
            READ,
            {
                "workflow": submission.workflow_id,
                "subject": submission.subject_id,
                "volunteer": submission.volunteer_id,
                "user": submission.user_id,
                "tasks": [question.key for question in questions],
            },
        )
        rows = cursor.fetchall()
        if not rows:
            raise SubjectNotInWorkflowError(
                f"Subject {submission.subject_id} is not asked about in workflow {submission.workflow_id}."
            )
        status = _status(rows[0][: len(STATUS_COLUMNS)])
        today = list_questions(_today(status).tasks, status.first_task)
        if {question.key for question in today} <= {question.key for question in questions}:
            return status, today, rows
        # An older version was answered, and other questions are asked today.
        questions = today


def _status(row: tuple[Any, ...]) -> ReadStatus:
    status = ReadStatus(**dict(zip(STATUS_COLUMNS, row, strict=True)))
    if isinstance(status.retirement, str):  # a raw cursor returns jsonb as text
        status.retirement = json.loads(status.retirement)
    raw: Any = status.rules or []
    status.rules = [
        Rule(rule_id, condition, tuple(Effect(*effect) for effect in effects or ()))
        for rule_id, condition, effects in (json.loads(raw) if isinstance(raw, str) else raw)
    ]
    status.roles = status.roles or []
    return status


def _in_todays_answers(choices: list[Choice], status: ReadStatus, version: tuple[int, int]) -> list[Choice]:
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


def _mapper(status: ReadStatus) -> Mapper:
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


def _today(status: ReadStatus) -> Asked:
    return _version(status.workflow_id, status.major, status.minor)


def _find_refusal(submission: Submission, status: ReadStatus) -> EsocsError | None:
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


def _expert_role(status: ReadStatus) -> str:
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


def _replay(cursor: Any, sent: _Sent) -> Recorded:
    row = _find_by_key(cursor, sent.key)
    assert row is not None, "the key conflicted, so its row is committed"
    if row[6] != sent.sha256 or row[7] != sent.submission.volunteer_id:
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
