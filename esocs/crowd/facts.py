"""What the live path needs to know of a workflow, kept in the process as long as it holds.

The rows are the source of truth. Triggers give `FactsVersion` a new number whenever one of them changes, in the same
transaction, and each submission reads the number with its subject: facts of another number are read anew. So nothing
rests on how old they are.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.db import connection

from esocs.crowd.errors import WorkflowNotFoundError, WorkflowVersionUnknownError
from esocs.crowd.posterior import ReadOut
from esocs.crowd.reading import ReadStatus, Terms, read_status
from esocs.crowd.recalled import forget_statuses
from esocs.crowd.rules import Effect, Rule
from esocs.projects.models import Workflow, WorkflowVersion
from esocs.projects.rules import Question, list_questions

MOST_WORKFLOWS = 256
MOST_VOLUNTEERS = 2_000

# The skill of the current epoch and of the one before is kept; of the older one only where it means the same answers.
LOAD = """
SELECT f.version, w.project_id, w.active, w.retirement, w.first_task, w.major_version, w.minor_version,
    (SELECT json_agg(json_build_array(r.id, r.condition,
            (SELECT json_agg(json_build_array(e.id, e.action, e.reason) ORDER BY e.id)
                FROM crowd_ruleeffect e WHERE e.subject_rule_id = r.id)) ORDER BY r.position, r.id)
        FROM crowd_subjectrule r WHERE r.workflow_id = w.id AND r.active AND r.template <> ''),
    EXISTS (SELECT 1 FROM crowd_caesarworkflow k WHERE k.workflow_id = w.id AND k.status <> 'halted'),
    (SELECT json_agg(json_build_array(e.id, e.number, e.read_out, e.workflow_major, e.workflow_minor,
            (SELECT json_agg(json_build_array(s.task_key, s.terms, s.log_prior, s.temper, s.confusion))
                FROM crowd_skill s WHERE s.epoch_id = e.id AND s.volunteer_id IS NULL)) ORDER BY e.current DESC)
        FROM crowd_skillepoch c JOIN crowd_skillepoch e ON e.workflow_id = c.workflow_id AND e.number >= c.number - 1
        WHERE c.workflow_id = w.id AND c.current AND (e.current
            OR (e.workflow_major, e.workflow_minor) = (c.workflow_major, c.workflow_minor)))
FROM projects_workflow w LEFT JOIN crowd_factsversion f ON f.workflow_id = w.id WHERE w.id = %s
"""


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """The frozen skill that a subject's sums are of, fitted on the answers of a version of the workflow."""

    id: int
    number: int
    read_out: ReadOut
    major: int = 0
    minor: int = 0


@dataclass(frozen=True)
class Everybody:
    """What an epoch says of a question: a newcomer's terms, how sums start and how they are read."""

    terms: list[int]
    log_prior: list[int] | None
    temper: float | None
    confusion: list[float] | None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A workflow as of one version of `FactsVersion`.

    Attributes:
        derived: whether something is derived of each classification (`crowd.caesar`).
        epochs: by id, the current one first; none before the first.
        everybody: by the epoch's id and the question's key.
    """

    version: int | None
    workflow_id: int
    project_id: int
    active: bool
    retirement: Any
    first_task: str
    major: int
    minor: int
    rules: list[Rule]
    derived: bool
    epochs: dict[int, Epoch]
    everybody: dict[tuple[int, str], Everybody]

    def epoch_of(self, epoch_id: int | None) -> Epoch | None:
        """A subject's own epoch while its skill is kept, else the current one."""
        own = None if epoch_id is None else self.epochs.get(epoch_id)
        return own or next(iter(self.epochs.values()), None)


@dataclass(frozen=True)
class _Known:
    """The facts of a workflow, and under the same version its volunteers' own terms by epoch and question."""

    facts: Facts
    own: dict[int, Terms] = field(default_factory=dict)


_known: dict[int, _Known] = {}


def read_with_facts(*, workflow_id: int, subject_id: int, volunteer_id: int) -> tuple[ReadStatus, Facts, Terms] | None:
    """A subject's status, what is known of its workflow, and the volunteer's own terms: all as of one moment.

    Returns:
        None where the workflow does not ask about the subject.

    Raises:
        WorkflowNotFoundError: it is gone meanwhile.
    """
    while True:
        known = _known.get(workflow_id)
        own = None if known is None else known.own.get(volunteer_id)
        version = None if known is None or own is None else known.facts.version
        status = read_status(workflow_id=workflow_id, subject_id=subject_id, volunteer_id=volunteer_id, known=version)
        if status is None:
            return None
        if known is None or known.facts.version != status.facts or status.facts is None:
            known = _load(workflow_id)
        # Else something has changed in between, and what was read may be of other epochs.
        if known.facts.version == status.facts:
            if status.own is not None:
                own = _keep(known, volunteer_id, status.own)
            assert own is not None, "they are known under the version that was read"
            return status, known.facts, own


def recall_facts(*, workflow_id: int, volunteer_id: int) -> tuple[Facts, Terms] | None:
    """What this process knows of the workflow and the volunteer's own terms, true as long as the version is."""
    known = _known.get(workflow_id)
    own = None if known is None else known.own.get(volunteer_id)
    return None if known is None or own is None or known.facts.version is None else (known.facts, own)


def _keep(known: _Known, volunteer_id: int, own: Terms) -> Terms:
    if len(known.own) >= MOST_VOLUNTEERS:
        known.own.clear()
    known.own[volunteer_id] = own
    return own


def forget() -> None:
    """Read everything anew from now on."""
    _known.clear()
    forget_statuses()
    asked_at.cache_clear()
    _questions.cache_clear()


def _load(workflow_id: int) -> _Known:
    with connection.cursor() as cursor:
        cursor.execute(LOAD, [workflow_id])
        row = cursor.fetchone()
    if row is None:
        raise WorkflowNotFoundError(f"There is no workflow {workflow_id}.")
    version, project_id, active, retirement, first_task, major, minor, rules, derived, epochs = row
    facts = Facts(
        version=version,
        workflow_id=workflow_id,
        project_id=project_id,
        active=active,
        retirement=as_json(retirement),
        first_task=first_task,
        major=major,
        minor=minor,
        rules=[
            Rule(rule_id, condition, tuple(Effect(*effect) for effect in effects or ()))
            for rule_id, condition, effects in as_json(rules) or ()
        ],
        derived=derived,
        epochs={
            pk: Epoch(id=pk, number=number, read_out=read_out, major=of_major, minor=of_minor)
            for pk, number, read_out, of_major, of_minor, _ in as_json(epochs) or ()
        },
        everybody={
            (each[0], task_key): Everybody(*said) for each in as_json(epochs) or () for task_key, *said in each[5] or ()
        },
    )
    if len(_known) >= MOST_WORKFLOWS:
        _known.clear()
    known = _known[workflow_id] = _Known(facts)
    return known


def as_json(value: Any) -> Any:
    """A JSON column's value; a plain cursor gives jsonb as text."""
    return json.loads(value) if isinstance(value, str) else value


@dataclass(frozen=True)
class Asked:
    """What a workflow asked at one version."""

    tasks: dict[str, Any]
    strings: dict[str, str]
    questions: list[Question]


def todays_questions(facts: Facts) -> list[Question]:
    """All that the workflow asks today, the first task's first."""
    return _questions(facts.workflow_id, facts.major, facts.minor, facts.first_task)


@lru_cache(maxsize=512)
def _questions(workflow_id: int, major: int, minor: int, first_task: str) -> list[Question]:
    return list_questions(asked_at(workflow_id, major, minor).tasks, first_task)


@lru_cache(maxsize=512)
def asked_at(workflow_id: int, major: int, minor: int) -> Asked:
    """A version never changes, so it may be kept for the life of the process.

    Raises:
        WorkflowNotFoundError: there is no such workflow.
        WorkflowVersionUnknownError: it never had this version.
    """
    rows = WorkflowVersion.objects.filter(workflow_id=workflow_id, major=major, minor=minor)
    row = rows.values_list("tasks", "strings").first()
    if row is not None:
        return Asked(dict(row[0]), dict(row[1]), list_questions(row[0]))
    if not Workflow.objects.filter(id=workflow_id).exists():
        raise WorkflowNotFoundError(f"There is no workflow {workflow_id}.")
    raise WorkflowVersionUnknownError(f"Workflow {workflow_id} never had a version {major}.{minor}.")
