"""Many subjects' consensus and state worked out again: under a new epoch of skill, or under changed rules.

Both write only what differs, with its history, under the locks of the status rows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from django.db import connection
from django.db.models import Count, Q, QuerySet
from numpy.typing import NDArray

from esocs.crowd import posterior, rules
from esocs.crowd.answers import read_answers_of
from esocs.crowd.functions import CONSENSUS_COLUMNS, CONSENSUS_CONFLICT
from esocs.crowd.live import assess, order_effects
from esocs.crowd.models import (
    Classification,
    Consensus,
    RuleEffect,
    Skill,
    SkillEpoch,
    StatusChange,
    SubjectRule,
    SubjectStatus,
)
from esocs.crowd.posterior import ReadOut
from esocs.crowd.retirement import facts_of
from esocs.crowd.rule_language import Facts
from esocs.crowd.rules import Answered, Decision, Effect, Rule
from esocs.crowd.votes import Votes
from esocs.projects.models import Workflow
from esocs.projects.rules import Question, list_questions

ROWS_AT_ONCE = 5_000
AUTOMATIC = Q(state="open") | Q(state="contested") | Q(state="retired", retirement_cause="rule")
"""What the criterion and the rules decide on; what an expert or a person retired stays retired."""


@dataclass(kw_only=True)
class Assessed:
    """One subject: what is known of each question it was asked, and what follows."""

    status: SubjectStatus
    answered: list[Answered] = field(default_factory=list)
    sums: list[list[int]] = field(default_factory=list)
    experts: int = 0
    reduced: str = ""

    def decide(self, workflow: Workflow, chosen: Sequence[Rule]) -> Decision:
        """By the criterion and the rules given."""
        return rules.decide(
            criterion=workflow.retirement,
            n=self.status.classifications_count,
            answered=self.answered,
            machine_answer=self.status.machine_answer,
            experts=self.experts,
            rules=chosen,
            first_task=workflow.first_task,
            reduced=self.reduced,
        )

    def facts(self) -> Facts:
        """What a rule can look up, besides reductions."""
        status = self.status
        return facts_of(
            n=status.classifications_count,
            answered=self.answered,
            machine_answer=status.machine_answer,
            experts=self.experts,
        )

    def deciding(self, first_task: str) -> list[Answered]:
        """The first task's questions."""
        return [q for q in self.answered if rules.task_of(q.task_key) == first_task]


def list_rules(workflow: Workflow) -> list[Rule]:
    """The active rules of a workflow that templates made, in their order."""
    rows = SubjectRule.objects.filter(workflow=workflow, active=True).exclude(template="").prefetch_related("effects")
    return [
        Rule(row.pk, row.condition, tuple(Effect(e.pk, e.action, e.reason) for e in row.effects.all()))
        for row in rows.order_by("position", "id")
    ]


def move_subjects(workflow: Workflow, epoch: SkillEpoch, *, closed_too: bool = False) -> None:
    """Recompute the open subjects that have answers under the new epoch, and retire what now can be.

    Those that nobody has answered yet keep their prior: their first answer takes them to the epoch of that moment.

    Args:
        workflow: its questions as they were fitted.
        epoch: the new one.
        closed_too: the answers are others than before, so what is known of closed subjects is told anew as well, in
            today's answers; their state stays.
    """
    rows = SubjectStatus.objects.select_for_update(of=("self",)).filter(workflow=workflow, classifications_count__gt=0)
    if not closed_too:
        rows = rows.filter(state=SubjectStatus.State.OPEN)
    statuses = list(rows.order_by("id"))
    _refresh_criterion(workflow)
    # Read after the locks: every counted answer of these subjects is committed, or waits behind us.
    assessed = {status.pk: Assessed(status=status) for status in statuses}
    for question in list_questions(workflow.tasks, workflow.first_task):
        _sum_question(workflow, epoch, question, assessed)
    chosen = list_rules(workflow)
    if _asks_for_experts(chosen):
        _count_experts(workflow, list(assessed.values()))
    if closed_too:
        Consensus.objects.filter(status__workflow=workflow, status__classifications_count__gt=0).delete()
    _write_consensus(list(assessed.values()))
    SubjectStatus.objects.filter(pk__in=list(assessed)).update(epoch=epoch)
    # What a person opened again waits for an answer: a fit alone does not take their word back.
    still_open = [
        subject
        for subject in assessed.values()
        if subject.status.state == SubjectStatus.State.OPEN
        and subject.status.retirement_cause != SubjectStatus.Cause.PERSON
    ]
    _write_states(
        workflow,
        [(subject, subject.decide(workflow, chosen)) for subject in still_open],
        cause=StatusChange.Cause.REFIT,
        epoch=epoch,
    )


def _refresh_criterion(workflow: Workflow) -> None:
    """After the locks: a change of the setting that we do not see here considers these subjects behind us."""
    workflow.refresh_from_db(fields=["retirement"])


def assess_again(
    workflow: Workflow, epoch: SkillEpoch, statuses: Sequence[SubjectStatus]
) -> dict[int, dict[str, tuple[list[int], list[int]]]]:
    """Status id → question → sums and counts of its rows under an epoch; nothing is written."""
    assessed = {status.pk: Assessed(status=status) for status in statuses}
    for question in list_questions(workflow.tasks, workflow.first_task):
        _sum_question(workflow, epoch, question, assessed)
    return {
        pk: {q.task_key: (sums, list(q.votes)) for q, sums in zip(one.answered, one.sums, strict=True)}
        for pk, one in assessed.items()
    }


def _asks_for_experts(chosen: Sequence[Rule]) -> bool:
    return any("experts.n" in json.dumps(rule.condition) for rule in chosen)


def _count_experts(workflow: Workflow, assessed: Sequence[Assessed]) -> None:
    """How many experts answered each subject."""
    subjects = {one.status.subject_id: one for one in assessed}
    gold = Classification.objects.filter(workflow=workflow, gold_standard=True, subject__in=list(subjects))
    for subject_id, n in gold.values_list("subject_id").annotate(n=Count("volunteer", distinct=True)).order_by():
        subjects[subject_id].experts = n


def _sum_question(workflow: Workflow, epoch: SkillEpoch, question: Question, assessed: dict[int, Assessed]) -> None:
    """Add one question's sums and counts to the subjects that were asked it."""
    rows = read_answers_of(workflow, question, assessed)
    statuses, subject = np.unique(rows[:, 0], return_inverse=True)
    volunteers, volunteer = np.unique(rows[:, 1], return_inverse=True)
    if not len(statuses):
        return
    K = question.n_answers
    everybody = Skill.objects.get(epoch=epoch, task_key=question.key, volunteer=None)
    votes = Votes.build(
        subject=subject,
        volunteer=volunteer,
        answer=rows[:, 2],
        n_subjects=len(statuses),
        n_volunteers=len(volunteers),
        n_answers=K,
    )
    terms = np.tile(np.array(everybody.terms, np.int64), (len(volunteers), 1))
    own = Skill.objects.filter(epoch=epoch, task_key=question.key, volunteer__in=volunteers.tolist())
    for volunteer_id, values in own.values_list("volunteer_id", "terms").iterator(chunk_size=5000):
        terms[np.searchsorted(volunteers, volunteer_id)] = values
    pair_terms = posterior.pair_terms_of(terms.reshape(-1, K, K), votes.pairs)
    start = _starts(workflow, question, [assessed[pk].status for pk in statuses.tolist()], everybody, epoch)
    sums = posterior.batch(votes, pair_terms=pair_terms, start=start)
    counts = np.zeros((len(statuses), K), np.int64)
    np.add.at(counts, (subject, rows[:, 2]), 1)
    for pk, L, n in zip(statuses.tolist(), sums.tolist(), counts.tolist(), strict=True):
        known = assess(
            task_key=question.key,
            sums=L,
            counts=n,
            temper=everybody.temper,
            read_out=epoch.read_out,
            confusion=everybody.confusion,
            criterion=workflow.retirement,
            opinion=_opinion(workflow, question.key, K, assessed[pk].status, epoch),
        )
        assessed[pk].answered.append(known)
        assessed[pk].sums.append(L)


def _starts(
    workflow: Workflow,
    question: Question,
    statuses: list[SubjectStatus],
    everybody: Skill,
    epoch: SkillEpoch,
) -> NDArray[np.int64]:
    start = np.tile(np.array(everybody.log_prior, np.int64), (len(statuses), 1))
    for row, status in enumerate(statuses):
        opinion = _opinion(workflow, question.key, question.n_answers, status, epoch)
        if opinion is not None:
            start[row] = opinion
    return start


def _opinion(
    workflow: Workflow, task_key: str, n_answers: int, status: SubjectStatus, epoch: SkillEpoch | None
) -> Sequence[int] | None:
    """What of a subject's sum the machine said."""
    first, kind = task_key == workflow.first_task, epoch.read_out if epoch else ReadOut.TEMPERED
    return posterior.opinion_in(status.machine_prior, first=first, n_answers=n_answers, kind=kind)


def reconsider(workflow: Workflow, *, first_id: int, last_id: int, author_id: int | None = None) -> int:
    """Decide again, by the workflow's present criterion and rules, on subjects that a rule decided or may decide.

    What is known of a subject stays as it was: a retired one is judged by its own epoch, n and p. What an expert or a
    person retired stays retired.

    Args:
        workflow: whose setting has changed.
        first_id: of the statuses.
        last_id: included.
        author_id: who changed the setting.

    Returns:
        How many subjects changed.
    """
    wanted = SubjectStatus.objects.filter(AUTOMATIC, workflow=workflow, id__gte=first_id, id__lte=last_id)
    return decide_again(workflow, wanted, cause=StatusChange.Cause.SETTING, author_id=author_id)


def decide_again(
    workflow: Workflow, wanted: QuerySet[SubjectStatus], *, cause: StatusChange.Cause, author_id: int | None = None
) -> int:
    """Lock these statuses of a workflow and decide on them by what is known. Returns how many changed."""
    statuses = list(wanted.select_for_update(of=("self",)).select_related("epoch").order_by("id"))
    _refresh_criterion(workflow)
    chosen = list_rules(workflow)
    known = assess_as_known(workflow, statuses, chosen)
    decided = [(subject, subject.decide(workflow, chosen)) for subject in known]
    return _write_states(workflow, decided, cause=cause, epoch=None, author_id=author_id)


def assess_as_known(
    workflow: Workflow,
    statuses: Sequence[SubjectStatus],
    chosen: Sequence[Rule] = (),
    *,
    count_experts: bool = False,
) -> list[Assessed]:
    """The subjects as their consensus rows say, each under its own epoch.

    Args:
        workflow: theirs.
        statuses: of the subjects.
        chosen: rules that will be worked out on them.
        count_experts: whether experts are counted though no chosen rule asks for it.
    """
    assessed = {status.pk: Assessed(status=status) for status in statuses}
    epochs = {status.epoch_id for status in statuses if status.epoch_id}
    everybody = {(s.epoch_id, s.task_key): s for s in Skill.objects.filter(epoch__in=epochs, volunteer=None)}
    order = {q.key: place for place, q in enumerate(list_questions(workflow.tasks, workflow.first_task))}
    rows = Consensus.objects.filter(status__in=list(assessed), task_key__in=list(order))
    # Before its first vote a consensus row holds the prior alone, which no rule heeds.
    answered = [row for row in rows if any(row.answer_counts)]
    for row in sorted(answered, key=lambda row: order[row.task_key]):
        status = assessed[row.status_id].status
        skill = everybody.get((status.epoch_id or 0, row.task_key))
        assessed[row.status_id].answered.append(
            assess(
                task_key=row.task_key,
                sums=row.log_posterior,
                counts=row.answer_counts,
                temper=skill.temper if skill else None,
                read_out=status.epoch.read_out if status.epoch else ReadOut.TEMPERED,
                confusion=skill.confusion if skill else None,
                criterion=workflow.retirement,
                opinion=_opinion(workflow, row.task_key, len(row.answer_counts), status, status.epoch),
            )
        )
    if count_experts or _asks_for_experts(chosen):
        _count_experts(workflow, list(assessed.values()))
    _read_reduced(workflow, list(assessed.values()))
    return list(assessed.values())


def _read_reduced(workflow: Workflow, assessed: Sequence[Assessed]) -> None:
    """Which subjects a rule on reductions retires: the first that holds gives the reason."""
    if not SubjectRule.objects.filter(workflow=workflow, active=True, template="").exists():
        return
    holding = RuleEffect.objects.filter(
        action=RuleEffect.Action.RETIRE,
        subject_rule__workflow=workflow,
        subject_rule__active=True,
        subject_rule__template="",
        subject_rule__matches__holds=True,
        subject_rule__matches__subject__in=[one.status.subject_id for one in assessed],
    ).order_by("-subject_rule__position", "-subject_rule", "-id")
    reasons = dict(holding.values_list("subject_rule__matches__subject", "reason"))
    for one in assessed:
        one.reduced = reasons.get(one.status.subject_id, "")


def _write_consensus(assessed: list[Assessed]) -> None:
    rows = [
        {
            "status_id": subject.status.pk,
            "task_key": known.task_key,
            "sums": sums,
            "counts": list(known.votes),
            "answer": known.answer,
            "p": known.p,
            "majority": known.majority,
            "flagged": known.flagged,
        }
        for subject in assessed
        for known, sums in zip(subject.answered, subject.sums, strict=True)
    ]
    with connection.cursor() as cursor:
        for low in range(0, len(rows), ROWS_AT_ONCE):
            cursor.execute(
                f"""INSERT INTO crowd_consensus ({CONSENSUS_COLUMNS})
                SELECT x.status_id, x.task_key, x.sums, x.counts, x.answer, x.p, x.majority, x.flagged, now()
                FROM jsonb_to_recordset(%s::jsonb) AS x(status_id bigint, task_key text, sums bigint[], counts int[],
                    answer int, p float8, majority int, flagged boolean)
                {CONSENSUS_CONFLICT}""",
                [json.dumps(rows[low : low + ROWS_AT_ONCE])],
            )


def _write_states(
    workflow: Workflow,
    decided: Sequence[tuple[Assessed, Decision]],
    *,
    cause: StatusChange.Cause,
    epoch: SkillEpoch | None,
    author_id: int | None = None,
) -> int:
    """Write the subjects whose state or reason changes, with their history, and order what the rules order."""
    changed = [
        _changed(workflow, subject, decision, epoch)
        for subject, decision in decided
        if (decision.state, decision.reason) != (subject.status.state, subject.status.retirement_reason)
    ]
    with connection.cursor() as cursor:
        for low in range(0, len(changed), ROWS_AT_ONCE):
            parameters = {
                "rows": json.dumps(changed[low : low + ROWS_AT_ONCE]),
                "cause": cause,
                "author": author_id,
            }
            cursor.execute(WRITE_CHANGED, parameters)
    order_effects([(decision, subject.status.subject_id) for subject, decision in decided])
    return len(changed)


def _changed(workflow: Workflow, subject: Assessed, decision: Decision, epoch: SkillEpoch | None) -> dict[str, Any]:
    status, deciding = subject.status, subject.deciding(workflow.first_task)
    leading = deciding[0] if deciding else Answered("")
    known_by = epoch or status.epoch
    review = "contested" if decision.state == "contested" else ""
    if decision.state == "retired" and any(question.flagged for question in deciding):
        review = "flagged"
    return {
        "status_id": status.pk,
        "before": status.state,
        "state": decision.state,
        "reason": decision.reason,
        # An audit that was drawn goes on, whatever else becomes of the subject.
        "review": status.review if status.review == "audit" else review,
        "number": known_by.number if known_by else None,
        "n": status.classifications_count,
        "answer": leading.answer,
        "p": leading.p,
    }


# A subject that was retired and stays so (for another reason) keeps the moment and what was known then.
WRITE_CHANGED = """
WITH x AS (
    SELECT * FROM jsonb_to_recordset(%(rows)s::jsonb) AS x(status_id bigint, before text, state text, reason text,
        review text, number int, n int, answer int, p float8)
), history AS (
    INSERT INTO crowd_statuschange (status_id, before, after, cause, reason, epoch_number, classifications_count,
        answer, probability, author_id)
    SELECT status_id, before, state, %(cause)s, reason, number, n, answer, p, %(author)s FROM x
)
UPDATE crowd_subjectstatus st SET state = x.state, retirement_reason = x.reason, review = x.review, updated_at = now(),
    audience = CASE WHEN x.state = 'contested' THEN 'experts'
        WHEN x.before = 'contested' THEN 'volunteers' ELSE st.audience END,
    retired_at = CASE WHEN x.state = 'retired' THEN COALESCE(st.retired_at, now()) END,
    retirement_cause = CASE WHEN x.state = 'retired' THEN 'rule' ELSE '' END,
    retired_epoch_number = CASE WHEN x.before = 'retired' AND x.state = 'retired' THEN st.retired_epoch_number
        WHEN x.state = 'retired' THEN x.number END,
    retired_count = CASE WHEN x.before = 'retired' AND x.state = 'retired' THEN st.retired_count
        WHEN x.state = 'retired' THEN x.n END,
    retired_answer = CASE WHEN x.before = 'retired' AND x.state = 'retired' THEN st.retired_answer
        WHEN x.state = 'retired' THEN x.answer END,
    retired_probability = CASE WHEN x.before = 'retired' AND x.state = 'retired' THEN st.retired_probability
        WHEN x.state = 'retired' THEN x.p END
FROM x WHERE st.id = x.status_id
"""
