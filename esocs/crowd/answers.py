"""A workflow's counted answers to one question as integer arrays: what skill, temper and consensus are worked out from.

`Answer` rows are the source of truth. The server packs them into bytes, because a million rows as Python objects cost
thirty times as much.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from django.db import connection
from django.db.models import OuterRef, Subquery
from numpy.typing import NDArray

from esocs.accounts.models import Volunteer
from esocs.crowd import posterior
from esocs.crowd.models import Answer, GoldStandard, SubjectStatus
from esocs.crowd.modes import Gathered
from esocs.crowd.posterior import Fixed
from esocs.crowd.votes import Votes
from esocs.projects.models import Workflow, WorkflowVersion
from esocs.projects.rules import Question, list_questions, map_answers

IDS_AT_ONCE = 4_000_000

PACKED = """
SELECT string_agg(int8send(a.status_id) || int8send(a.volunteer_id) || int8send(a.answer)
    || int8send((c.workflow_major::bigint << 32) | c.workflow_minor), ''::bytea)
FROM crowd_answer a
JOIN crowd_classification c ON c.id = a.classification_id
WHERE c.workflow_id = %(workflow)s AND a.task_key = %(task_key)s AND a.counted AND a.id > %(low)s AND a.id <= %(high)s
"""
PACKED_OF_STATUSES = """
SELECT string_agg(int8send(a.status_id) || int8send(a.volunteer_id) || int8send(a.answer)
    || int8send((c.workflow_major::bigint << 32) | c.workflow_minor), ''::bytea)
FROM crowd_answer a
JOIN crowd_classification c ON c.id = a.classification_id
WHERE a.status_id = ANY(%(statuses)s) AND a.task_key = %(task_key)s AND a.counted
"""


@dataclass(frozen=True, kw_only=True)
class AnswerTable:
    """Counted answers to one question.

    Attributes:
        question: K answers, as the workflow asks today.
        statuses: (S,) ids, ascending: what the votes' subjects index.
        subjects: (S,) subject ids.
        volunteers: (V,) ids, ascending: what the votes' volunteers index.
        subject: (N,) index of each vote's status.
        volunteer: (N,) index of each vote's volunteer.
        answer: (N,) today's index of the answer.
        gathered: the votes with gold, machine and anonymity.
        machine_rows: (M,) which of the statuses the machine has an opinion of.
        machine_starts: (M, K) int64, those opinions.
    """

    question: Question
    statuses: NDArray[np.int64]
    subjects: NDArray[np.int64]
    volunteers: NDArray[np.int64]
    subject: NDArray[np.int64]
    volunteer: NDArray[np.int64]
    answer: NDArray[np.int64]
    gathered: Gathered
    machine_rows: NDArray[np.int64]
    machine_starts: Fixed

    @property
    def votes(self) -> Votes:
        return self.gathered.votes


def read_answers(workflow: Workflow, question: Question) -> AnswerTable:
    """Every counted answer to a question, in today's indices; answers that are offered no more are left out."""
    rows = _to_today(workflow, question, np.concatenate([_EMPTY, *_read_all(workflow, question.key)]))
    statuses, subject = np.unique(rows[:, 0], return_inverse=True)
    volunteers, volunteer = np.unique(rows[:, 1], return_inverse=True)
    votes = Votes.build(
        subject=subject,
        volunteer=volunteer,
        answer=rows[:, 2],
        n_subjects=len(statuses),
        n_volunteers=len(volunteers),
        n_answers=question.n_answers,
    )
    subjects = _subjects(workflow, statuses)
    machine_rows, machine_starts = _machine(workflow, question, statuses)
    return AnswerTable(
        question=question,
        statuses=statuses,
        subjects=subjects,
        volunteers=volunteers,
        subject=subject,
        volunteer=volunteer,
        answer=rows[:, 2],
        gathered=Gathered(
            votes=votes,
            gold=_gold(workflow, question, subjects),
            log_prior=_log_prior(votes, machine_rows, machine_starts),
            heard=np.isin(np.arange(len(statuses)), machine_rows),
            anonymous=_anonymous(volunteers),
        ),
        machine_rows=machine_rows,
        machine_starts=machine_starts,
    )


def gold_answers(workflow: Workflow, question: Question) -> dict[int, int]:
    """Subject id → the experts' answer in today's indices; answers that are offered no more are left out."""
    given = Answer.objects.filter(classification=OuterRef("classification"), task_key=question.key).values("answer")
    rows = GoldStandard.objects.filter(workflow=workflow, task_key=question.key).annotate(given=Subquery(given[:1]))
    versions = _versions(workflow)
    now = (workflow.tasks, workflow.strings)
    tables: dict[int, list[int | None]] = {}
    known = {}
    for subject, stored, as_given, major, minor in rows.values_list(
        "subject_id", "answer", "given", "classification__workflow_major", "classification__workflow_minor"
    ):
        answer: int | None = stored
        if as_given is not None:
            version = (major << 32) | minor
            if version not in tables:
                tables[version] = map_answers(question, old=versions.get(version, now), new=now)
            answer = tables[version][as_given] if as_given < len(tables[version]) else None
        if answer is not None and answer < question.n_answers:
            known[subject] = answer
    return known


def answers_differ(workflow: Workflow, *, major: int, minor: int) -> bool:
    """Whether an index of an answer at a version may mean something else today; False where the minor is not known."""
    if (major, minor) == (workflow.major_version, workflow.minor_version) or not minor:
        return False
    now = (workflow.tasks, workflow.strings)
    then = _versions(workflow).get((major << 32) | minor, now)
    asked = list_questions(then[0])
    return any(
        question not in asked or map_answers(question, old=then, new=now) != list(range(question.n_answers))
        for question in list_questions(workflow.tasks)
    )


def read_answers_of(workflow: Workflow, question: Question, status_ids: Iterable[int]) -> NDArray[np.int64]:
    """(N, 3) status id, volunteer id, answer today, of the counted answers of some subjects."""
    packed = _unpack(PACKED_OF_STATUSES, {"statuses": list(status_ids), "task_key": question.key})
    return _to_today(workflow, question, packed)


_EMPTY = np.zeros((0, 4), np.int64)


def _read_all(workflow: Workflow, task_key: str) -> Iterator[NDArray[np.int64]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT COALESCE(max(id), 0) FROM crowd_answer")
        newest = cursor.fetchone()[0]
    for low in range(0, newest, IDS_AT_ONCE):
        parameters = {"workflow": workflow.pk, "task_key": task_key, "low": low, "high": low + IDS_AT_ONCE}
        yield _unpack(PACKED, parameters)


def _unpack(statement: str, parameters: dict[str, Any]) -> NDArray[np.int64]:
    """(N, 4) status, volunteer, answer, version."""
    connection.ensure_connection()
    # Django's own cursors receive text; binary halves what travels.
    with psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(statement, parameters, binary=True)
        row = cursor.fetchone()
    packed = row[0] if row else None
    if packed is None:
        return _EMPTY
    return np.frombuffer(packed, ">i8").astype(np.int64).reshape(-1, 4)


def _to_today(workflow: Workflow, question: Question, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N, 3): each answer as an index of today's answers, by its text at its own version."""
    version = rows[:, 3]
    today = (workflow.major_version << 32) | workflow.minor_version
    used = [int(v) for v in np.unique(version) if v != today]
    if not used:
        return rows[:, :3]
    answer = rows[:, 2].copy()
    versions = _versions(workflow)
    now = (workflow.tasks, workflow.strings)
    for number in used:
        then = versions.get(number, now)
        table = [-1 if a is None else a for a in map_answers(question, old=then, new=now)]
        here = version == number
        known = np.array([*table, -1])
        answer[here] = known[np.minimum(answer[here], len(table))]
    kept = answer >= 0
    return np.column_stack([rows[kept, 0], rows[kept, 1], answer[kept]])


def _versions(workflow: Workflow) -> dict[int, tuple[dict[str, Any], dict[str, str]]]:
    rows = WorkflowVersion.objects.filter(workflow=workflow)
    return {(row.major << 32) | row.minor: (row.tasks, row.strings) for row in rows}


def _subjects(workflow: Workflow, statuses: NDArray[np.int64]) -> NDArray[np.int64]:
    """(S,) subject id of each status."""
    rows = SubjectStatus.objects.filter(workflow=workflow, classifications_count__gt=0).order_by("id")
    about = np.array(list(rows.values_list("id", "subject_id")), np.int64).reshape(-1, 2)
    return about[np.searchsorted(about[:, 0], statuses), 1] if len(statuses) else np.zeros(0, np.int64)


def _machine(workflow: Workflow, question: Question, statuses: NDArray[np.int64]) -> tuple[NDArray[np.int64], Fixed]:
    """Which statuses the machine has an opinion of, and (M, K) the opinions: of the first question alone."""
    K = question.n_answers
    priors: list[tuple[int, list[int] | None]] = []
    if question.key == workflow.first_task:
        rows = SubjectStatus.objects.filter(
            workflow=workflow, classifications_count__gt=0, machine_prior__len=K
        ).order_by("id")
        priors = list(rows.values_list("id", "machine_prior"))
    ids = np.array([pk for pk, _ in priors], np.int64)
    units = np.array([prior for _, prior in priors], np.int64).reshape(-1, K)
    known = np.isin(ids, statuses)
    return np.searchsorted(statuses, ids[known]), units[known]


def _log_prior(votes: Votes, machine_rows: NDArray[np.int64], machine_starts: Fixed) -> NDArray[np.float64] | None:
    """(S, K) for the fit; where the machine is silent, the shares of all answers stand in for the classes' shares."""
    if not len(machine_rows):
        return None
    K = votes.n_answers
    counts = np.bincount(votes.answer, votes.per_pair, K)
    log_prior = np.tile(np.log((counts + 1.0) / (counts.sum() + K)), (votes.n_subjects, 1))
    log_prior[machine_rows] = machine_starts / posterior.UNITS_PER_NAT
    return log_prior


def _gold(workflow: Workflow, question: Question, subjects: NDArray[np.int64]) -> NDArray[np.int64]:
    """(S,) the experts' answer, -1 where there is none."""
    gold = np.full(len(subjects), -1, np.int64)
    known = gold_answers(workflow, question)
    if known:
        ids = np.array(sorted(known), np.int64)
        here = np.flatnonzero(np.isin(subjects, ids))
        gold[here] = [known[int(subject)] for subject in subjects[here]]
    return gold


def _anonymous(volunteers: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(V,) sessions without an account."""
    named = Volunteer.objects.filter(id__in=volunteers.tolist(), user__isnull=False).values_list("id", flat=True)
    return np.asarray(~np.isin(volunteers, np.fromiter(named, np.int64)))
