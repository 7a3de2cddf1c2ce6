"""What one more submission does to its subject: sums, counts, retirement and history, reckoned before it is stored.

`Classification` and `Answer` rows are the source of truth. A subject whose epoch is no longer kept (it waited unseen,
or retired long ago) is summed again from its rows under the current one, so that its sum always is that of one epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from esocs.crowd import posterior, rules
from esocs.crowd.posterior import ReadOut
from esocs.crowd.rules import Answered, Decision, Rule
from esocs.jobs.services import enqueue_many
from esocs.projects.rules import Choice, Question


@dataclass(kw_only=True)
class ReadStatus:
    """The status row as it was read, with what of its workflow the submission needs."""

    id: int
    subject_id: int
    state: str
    audience: str
    review: str
    retired_at: datetime | None
    epoch_id: int | None
    machine_answer: int | None
    machine_prior: list[int] | None
    count: int
    workflow_id: int
    project_id: int
    active: bool
    retirement: Any
    first_task: str
    major: int
    minor: int
    served_at: datetime | None
    training: bool
    seen: str
    """Which version of the row this is; what was reckoned from it may only be stored on this very version."""
    answered_before: bool
    """Whether an answer of this volunteer counts already."""
    rules: list[Rule] = field(default_factory=list)
    derived: bool = False
    roles: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """The frozen skill that a subject's sums are of, fitted on the answers of a version of the workflow."""

    id: int
    number: int
    read_out: ReadOut
    major: int = 0
    minor: int = 0


@dataclass
class Worth:
    """What an answer to one question adds to: the sums so far, and this volunteer's terms under the epoch."""

    sums: list[int] | None = None
    counts: list[int] | None = None
    terms: list[int] | None = None
    log_prior: list[int] | None = None
    temper: float | None = None
    confusion: list[float] | None = None
    foreign: bool = False
    """The epoch was fitted on other answers: its skill and sums mean nothing until the refit."""


NOTHING_DECIDED = Decision("open", "")


@dataclass(frozen=True, kw_only=True)
class Effects:
    """What is to be stored with a classification.

    Attributes:
        expressions: common table expressions that each do something once for each row of `inserted`.
        parameters: of them.
        retired: whether the subject is retired then.
        decision: what the rules and the criterion said.
    """

    expressions: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    retired: bool = False
    decision: Decision = NOTHING_DECIDED


Mapper = Callable[[str, int, int, int], int | None]
"""Question, answer, major and minor version at which it was given → its index today, None where it is gone."""


def assess(
    *,
    task_key: str,
    sums: Sequence[int],
    counts: Sequence[int],
    temper: float | None,
    read_out: ReadOut | str,
    confusion: Sequence[float] | None,
    criterion: Any,
    opinion: Sequence[int] | None,
) -> Answered:
    """What is known about a question, from its sums; `opinion` is what of them the machine said."""
    b = temper or posterior.UNFITTED_TEMPER
    p = posterior.read_out(sums, b, votes=sum(counts), kind=read_out, opinion=opinion)
    options = (criterion or {}).get("options") or {}
    worth_asking = None
    if confusion is not None and options.get("error_cost") and options.get("vote_cost"):
        K = len(p)
        worth_asking = bool(
            posterior.worth_asking(
                np.array(p),
                np.array(confusion).reshape(K, K),
                error_cost=float(options["error_cost"]),
                vote_cost=float(options["vote_cost"]),
            )
        )
    return Answered.of(p, counts, task_key=task_key, worth_asking=worth_asking)


CHANGED = """, changed AS (
    INSERT INTO crowd_statuschange (status_id, before, after, cause, reason, epoch_number, classifications_count,
        answer, probability)
    SELECT %(status)s::bigint, %(before)s::text, %(state)s::text, 'submission', %(reason)s::text, %(number)s::int,
        %(count)s::int, %(leading)s::int, %(probability)s::float8
    FROM inserted
)"""

COUNT_ONE = """, noted AS (
    UPDATE crowd_subjectstatus st
    SET classifications_count = classifications_count + 1, epoch_id = COALESCE(%(live)s::bigint, epoch_id),
        updated_at = now(){changes}
    FROM inserted WHERE st.id = %(status)s::bigint
)"""

CHANGES = """, state = %(state)s::text, audience = CASE WHEN %(state)s::text = 'contested' THEN 'experts'
            WHEN state = 'contested' THEN 'volunteers' ELSE audience END,
        -- An audit that was drawn goes on, whatever else becomes of the subject.
        retirement_reason = %(reason)s::text, review = CASE WHEN review = 'audit' THEN review ELSE %(review)s::text END,
        retired_at = CASE WHEN %(retires)s::boolean THEN now() END,
        retirement_cause = CASE WHEN %(retires)s::boolean THEN 'rule' ELSE '' END,
        retired_epoch_number = CASE WHEN %(retires)s::boolean THEN %(number)s::int END,
        retired_count = CASE WHEN %(retires)s::boolean THEN %(count)s::int END,
        retired_answer = CASE WHEN %(retires)s::boolean THEN %(leading)s::int END,
        retired_probability = CASE WHEN %(retires)s::boolean THEN %(probability)s::float8 END"""

CONSENSUS_COLUMNS = (
    "status_id, task_key, log_posterior, answer_counts, answer, probability, majority, flagged, updated_at"
)
CONSENSUS_CONFLICT = """ON CONFLICT (status_id, task_key) DO UPDATE SET log_posterior = EXCLUDED.log_posterior,
        answer_counts = EXCLUDED.answer_counts, answer = EXCLUDED.answer, probability = EXCLUDED.probability,
        majority = EXCLUDED.majority, flagged = EXCLUDED.flagged, updated_at = EXCLUDED.updated_at"""

SUM_AGAIN = """
SELECT a.task_key, a.answer, c.workflow_major, c.workflow_minor, COALESCE(own.terms, everybody.terms)
FROM crowd_answer a
JOIN crowd_classification c ON c.id = a.classification_id
LEFT JOIN crowd_skill own
    ON own.epoch_id = %(epoch)s AND own.task_key = a.task_key AND own.volunteer_id = a.volunteer_id
LEFT JOIN crowd_skill everybody
    ON everybody.epoch_id = %(epoch)s AND everybody.task_key = a.task_key AND everybody.volunteer_id IS NULL
WHERE a.status_id = %(status)s AND a.counted AND a.task_key = ANY(%(tasks)s)
"""


def reckon_counted(
    cursor: Any,
    status: ReadStatus,
    *,
    questions: Sequence[Question],
    choices: Sequence[Choice],
    worth: dict[str, Worth],
    epoch: Epoch | None,
    to_today: Mapper,
) -> Effects:
    """Add the answers' terms to the sums, and see whether that settles the subject.

    Args:
        cursor: reads the subject's answers, should its sums have to be made again.
        status: the row as it was read.
        questions: all that the workflow asks today, the first task's first.
        choices: what was answered, in today's indices.
        worth: what is known of each question.
        epoch: whose terms `worth` holds; None before the first.
        to_today: see `Mapper`.
    """
    again = _begin(status, questions, worth, epoch, to_today)
    if again and status.count:
        _sum_again(cursor, status, questions, worth, epoch, to_today)
    given = {choice.task_key: choice.answer for choice in choices}
    rows: list[list[Any]] = []
    answered: list[Answered] = []
    for question in questions:
        known, answer = worth[question.key], given.get(question.key)
        sums, counts = _add(status, question, answer, known, epoch)
        read_out = epoch.read_out if epoch else ReadOut.TEMPERED
        made = assess(
            task_key=question.key,
            sums=sums,
            counts=counts,
            temper=known.temper,
            read_out=read_out,
            confusion=known.confusion,
            criterion=status.retirement,
            opinion=opinion_of(status, known, task_key=question.key, n_answers=question.n_answers, read_out=read_out),
        )
        if any(counts):
            answered.append(made)
        if answer is not None or (again and known.counts is not None):
            rows.append([status.id, question.key, sums, counts, made.answer, made.p, made.majority, made.flagged])
    decision = rules.decide(
        criterion=status.retirement,
        n=status.count + 1,
        answered=answered,
        machine_answer=status.machine_answer,
        rules=status.rules,
        first_task=status.first_task,
    )
    deciding = [q for q in answered if rules.task_of(q.task_key) == status.first_task]
    parameters: dict[str, Any] = {"live": epoch.id if epoch else None}
    expressions = _consensus_expression(rows, parameters)
    if status.state in {"retired", decision.state}:
        expressions += COUNT_ONE.format(changes="")
    else:
        parameters |= _change(status, decision, deciding, epoch)
        expressions += CHANGED + COUNT_ONE.format(changes=CHANGES)
    return Effects(
        expressions=expressions,
        parameters=parameters,
        retired=status.state == "retired" or decision.state == "retired",
        decision=decision,
    )


def order_effects(decided: Sequence[tuple[Decision, int]]) -> None:
    """Order what the rules that hold do besides retiring: once an effect and subject, in the caller's transaction."""
    items = [
        (f"effect/{effect_id}/subject/{subject_id}", {"effect_id": effect_id, "subject_id": subject_id})
        for decision, subject_id in decided
        for effect_id in decision.fired
    ]
    if items:
        enqueue_many("crowd.apply_rule", items=items)


def opinion_of(
    status: ReadStatus, known: Worth, *, task_key: str, n_answers: int, read_out: ReadOut
) -> Sequence[int] | None:
    """What the machine said of a question; None where it is silent or not heard."""
    if known.foreign:
        return None
    first = task_key == status.first_task
    return posterior.opinion_in(status.machine_prior, first=first, n_answers=n_answers, kind=read_out)


def start_of(status: ReadStatus, known: Worth, *, task_key: str, n_answers: int, read_out: ReadOut) -> list[int]:
    """The sum before any vote: the machine's opinion of the first question, else the classes' shares."""
    opinion = opinion_of(status, known, task_key=task_key, n_answers=n_answers, read_out=read_out)
    if opinion is not None:
        return list(opinion)
    if known.log_prior is not None and len(known.log_prior) == n_answers:
        return known.log_prior
    return [0] * n_answers


def _begin(
    status: ReadStatus,
    questions: Sequence[Question],
    worth: dict[str, Worth],
    epoch: Epoch | None,
    to_today: Mapper,
) -> bool:
    """Set aside what was fitted on other answers. Returns whether the sums are to be made again from the rows."""
    again = epoch is not None and epoch.id != status.epoch_id
    # A counted subject without sums: an answer was taken back (`crowd.revision`).
    again = again or (bool(worth) and status.count > 0 and all(known.counts is None for known in worth.values()))
    for question in questions:
        known, K = worth[question.key], question.n_answers
        if epoch is not None and epoch.minor:
            same = [to_today(question.key, answer, epoch.major, epoch.minor) for answer in range(K)] == list(range(K))
        else:
            same = True
        if not same or (known.terms is not None and len(known.terms) != K * K):
            known.foreign, again = True, True
            known.terms = known.log_prior = known.confusion = None
    return again


def _add(
    status: ReadStatus, question: Question, answer: int | None, known: Worth, epoch: Epoch | None
) -> tuple[list[int], list[int]]:
    """Sums and counts with this answer, if one was given."""
    K = question.n_answers
    counts = known.counts if known.counts is not None and len(known.counts) == K else [0] * K
    sums = known.sums
    # Without a vote the sum is the start under the present epoch, whatever was written at publication.
    if sums is None or len(sums) != K or not any(counts):
        read_out = epoch.read_out if epoch else ReadOut.TEMPERED
        sums = start_of(status, known, task_key=question.key, n_answers=K, read_out=read_out)
    if answer is None:
        return list(sums), list(counts)
    if known.terms is not None:
        sums = posterior.add(sums, known.terms, answer)
    return list(sums), [n + (i == answer) for i, n in enumerate(counts)]


def _sum_again(
    cursor: Any,
    status: ReadStatus,
    questions: Sequence[Question],
    worth: dict[str, Worth],
    epoch: Epoch | None,
    to_today: Mapper,
) -> None:
    """Replace every question's sums and counts by those of the subject's rows under an epoch."""
    read_out = epoch.read_out if epoch else ReadOut.TEMPERED
    fresh: dict[str, tuple[list[int], list[int]]] = {}
    for question in questions:
        key, K = question.key, question.n_answers
        fresh[key] = list(start_of(status, worth[key], task_key=key, n_answers=K, read_out=read_out)), [0] * K
    # The row of this very submission is not among the answers yet.
    cursor.execute(SUM_AGAIN, {"epoch": epoch.id if epoch else None, "status": status.id, "tasks": list(fresh)})
    for key, given, major, minor, terms in cursor.fetchall():
        sums, counts = fresh[key]
        answer = to_today(key, given, major, minor)
        if answer is None or answer >= len(counts):
            continue
        counts[answer] += 1
        if terms is not None and not worth[key].foreign and len(terms) == len(sums) ** 2:
            fresh[key] = posterior.add(sums, terms, answer), counts
    for key, (sums, counts) in fresh.items():
        known = worth[key]
        known.sums = sums
        if any(counts) or known.counts is not None:
            known.counts = counts


def _change(
    status: ReadStatus, decision: Decision, deciding: Sequence[Answered], epoch: Epoch | None
) -> dict[str, Any]:
    retires = decision.state == "retired"
    leading = deciding[0] if deciding else Answered("")
    flagged = retires and any(question.flagged for question in deciding)
    review = "contested" if decision.state == "contested" else "flagged" if flagged else ""
    return {
        "before": status.state,
        "state": decision.state,
        "reason": decision.reason,
        "review": review,
        "retires": retires,
        "number": epoch.number if epoch else None,
        "count": status.count + 1,
        "leading": leading.answer,
        "probability": leading.p,
    }


def _consensus_expression(rows: list[list[Any]], parameters: dict[str, Any]) -> str:
    """The expression that writes the questions' sums; adds the rows' values to `parameters`."""
    if not rows:
        return ""
    types = ("bigint", "text", "bigint[]", "int[]", "int", "float8", "int", "boolean")
    values = []
    for r, row in enumerate(rows):
        parameters |= {f"c{r}_{i}": value for i, value in enumerate(row)}
        values.append("(" + ", ".join(f"%(c{r}_{i})s::{types[i]}" for i in range(len(row))) + ")")
    return f""", summed AS (
    INSERT INTO crowd_consensus ({CONSENSUS_COLUMNS})
    SELECT v.*, now() FROM inserted CROSS JOIN (VALUES {", ".join(values)}) v
    {CONSENSUS_CONFLICT}
)"""
