"""What one more submission does to its subject: sums, counts, retirement and history, reckoned before it is stored.

`Classification` and `Answer` rows are the source of truth. A subject whose epoch is no longer kept (it waited unseen,
or retired long ago) is summed again from its rows under the current one, so that its sum always is that of one epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection

from esocs.crowd import posterior, rules
from esocs.crowd.facts import Epoch, Facts
from esocs.crowd.posterior import ReadOut
from esocs.crowd.reading import ReadStatus
from esocs.crowd.rules import Answered, Decision
from esocs.jobs.services import enqueue_many
from esocs.projects.rules import Choice, Question


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


@dataclass(frozen=True)
class Summed:
    """A question's sums with this answer, and what they say."""

    task_key: str
    sums: Sequence[int]
    counts: Sequence[int]
    answer: int | None
    probability: float | None
    majority: int | None
    flagged: bool


@dataclass(frozen=True, kw_only=True)
class Change:
    """The state that the subject takes, and what was known then."""

    before: str
    state: str
    reason: str
    review: str
    epoch_number: int | None
    count: int
    answer: int | None
    probability: float | None


@dataclass(frozen=True, kw_only=True)
class Effects:
    """What is to be stored with a classification.

    Attributes:
        summed: the questions whose sums it changes.
        epoch_id: of these sums; None leaves the row's.
        change: of the subject's state.
        retired: whether the subject is retired then.
        decision: what the rules and the criterion said.
        afterwards: what else is to be written, given the classification's id, in the same transaction.
    """

    summed: Sequence[Summed] = ()
    epoch_id: int | None = None
    change: Change | None = None
    retired: bool = False
    decision: Decision = NOTHING_DECIDED
    afterwards: Callable[[int], None] | None = None


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
    status: ReadStatus,
    facts: Facts,
    *,
    questions: Sequence[Question],
    choices: Sequence[Choice],
    worth: dict[str, Worth],
    epoch: Epoch | None,
    to_today: Mapper,
) -> Effects:
    """Add the answers' terms to the sums, and see whether that settles the subject.

    Args:
        status: the row as it was read.
        facts: of its workflow.
        questions: all that the workflow asks today, the first task's first.
        choices: what was answered, in today's indices.
        worth: what is known of each question.
        epoch: whose terms `worth` holds; None before the first.
        to_today: see `Mapper`.
    """
    again = _begin(status, questions, worth, epoch, to_today)
    if again and status.count:
        _sum_again(status, facts, questions, worth, epoch, to_today)
    given = {choice.task_key: choice.answer for choice in choices}
    summed: list[Summed] = []
    answered: list[Answered] = []
    for question in questions:
        known, answer = worth[question.key], given.get(question.key)
        sums, counts = _add(status, facts, question, answer, known, epoch)
        read_out = epoch.read_out if epoch else ReadOut.TEMPERED
        made = assess(
            task_key=question.key,
            sums=sums,
            counts=counts,
            temper=known.temper,
            read_out=read_out,
            confusion=known.confusion,
            criterion=facts.retirement,
            opinion=opinion_of(
                status, facts, known, task_key=question.key, n_answers=question.n_answers, read_out=read_out
            ),
        )
        if any(counts):
            answered.append(made)
        if answer is not None or (again and known.counts is not None):
            summed.append(Summed(question.key, sums, counts, made.answer, made.p, made.majority, made.flagged))
    decision = rules.decide(
        criterion=facts.retirement,
        n=status.count + 1,
        answered=answered,
        machine_answer=status.machine_answer,
        rules=facts.rules,
        first_task=facts.first_task,
    )
    deciding = [q for q in answered if rules.task_of(q.task_key) == facts.first_task]
    changes = status.state not in {"retired", decision.state}
    return Effects(
        summed=summed,
        epoch_id=epoch.id if epoch else None,
        change=_change(status, decision, deciding, epoch) if changes else None,
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
    status: ReadStatus, facts: Facts, known: Worth, *, task_key: str, n_answers: int, read_out: ReadOut
) -> Sequence[int] | None:
    """What the machine said of a question; None where it is silent or not heard."""
    if known.foreign:
        return None
    first = task_key == facts.first_task
    return posterior.opinion_in(status.machine_prior, first=first, n_answers=n_answers, kind=read_out)


def start_of(
    status: ReadStatus, facts: Facts, known: Worth, *, task_key: str, n_answers: int, read_out: ReadOut
) -> list[int]:
    """The sum before any vote: the machine's opinion of the first question, else the classes' shares."""
    opinion = opinion_of(status, facts, known, task_key=task_key, n_answers=n_answers, read_out=read_out)
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
    status: ReadStatus, facts: Facts, question: Question, answer: int | None, known: Worth, epoch: Epoch | None
) -> tuple[list[int], list[int]]:
    """Sums and counts with this answer, if one was given."""
    K = question.n_answers
    counts = known.counts if known.counts is not None and len(known.counts) == K else [0] * K
    sums = known.sums
    # Without a vote the sum is the start under the present epoch, whatever was written at publication.
    if sums is None or len(sums) != K or not any(counts):
        read_out = epoch.read_out if epoch else ReadOut.TEMPERED
        sums = start_of(status, facts, known, task_key=question.key, n_answers=K, read_out=read_out)
    if answer is None:
        return list(sums), list(counts)
    if known.terms is not None:
        sums = posterior.add(sums, known.terms, answer)
    return list(sums), [n + (i == answer) for i, n in enumerate(counts)]


def _sum_again(
    status: ReadStatus,
    facts: Facts,
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
        start = start_of(status, facts, worth[key], task_key=key, n_answers=K, read_out=read_out)
        fresh[key] = list(start), [0] * K
    # The row of this very submission is not among the answers yet.
    with connection.cursor() as cursor:
        cursor.execute(SUM_AGAIN, {"epoch": epoch.id if epoch else None, "status": status.id, "tasks": list(fresh)})
        rows = cursor.fetchall()
    for key, given, major, minor, terms in rows:
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


def _change(status: ReadStatus, decision: Decision, deciding: Sequence[Answered], epoch: Epoch | None) -> Change:
    retires = decision.state == "retired"
    leading = deciding[0] if deciding else Answered("")
    flagged = retires and any(question.flagged for question in deciding)
    return Change(
        before=status.state,
        state=decision.state,
        reason=decision.reason,
        review="contested" if decision.state == "contested" else "flagged" if flagged else "",
        epoch_number=epoch.number if epoch else None,
        count=status.count + 1,
        answer=leading.answer,
        probability=leading.p,
    )
