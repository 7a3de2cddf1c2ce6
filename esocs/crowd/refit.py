"""Every minute the volunteers' skill is fitted again from the rows, and open subjects move to the new epoch.

The fit itself holds no lock. The switch locks the open statuses, reads their answers in a fresh snapshot and recomputes
their sums, so a submission is either in the rows it reads or waits for the lock and adds its term under the new epoch.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection, transaction
from django.db.models import Count, Q

from esocs.crowd import posterior, rules
from esocs.crowd.dawid_skene import Fit, Votes, fit
from esocs.crowd.models import (
    Answer,
    Classification,
    Consensus,
    GoldStandard,
    Skill,
    SkillEpoch,
    SubjectStatus,
)
from esocs.projects.models import Workflow
from esocs.projects.rules import count_answers

# The confusion matrix of somebody of whom nothing is known (DESIGN §5): right in 7 of 10 cases.
NEWCOMER_ACCURACY = 0.7
# Fewer rows than this cannot tell skill from luck; the first epoch stands until then.
FEWEST_TO_FIT = 50


@dataclass(frozen=True, kw_only=True)
class EpochStart:
    """What a new subject needs of the current epoch."""

    epoch_id: int
    temper: float
    log_prior: list[int]


def ensure_epoch(workflow: Workflow) -> EpochStart:
    """The workflow's current epoch; the first one, where everybody is a newcomer, is made on first need."""
    epoch = SkillEpoch.objects.filter(workflow=workflow, current=True).first()
    if epoch is None:
        K = count_answers(workflow.tasks, workflow.first_task)
        with transaction.atomic():
            epoch, made = SkillEpoch.objects.get_or_create(
                workflow=workflow, number=1, defaults={"current": True, "temper": posterior.UNFITTED_TEMPER}
            )
            if made:
                confusion = np.full((K, K), (1 - NEWCOMER_ACCURACY) / (K - 1))
                np.fill_diagonal(confusion, NEWCOMER_ACCURACY)
                _everybody(epoch, workflow.first_task, confusion, np.full(K, 1 / K)).save()
    everybody = Skill.objects.get(epoch=epoch, task_key=workflow.first_task, volunteer=None)
    assert everybody.log_prior is not None
    return EpochStart(epoch_id=epoch.pk, temper=epoch.temper, log_prior=everybody.log_prior)


def _everybody(epoch: SkillEpoch, task_key: str, confusion: np.ndarray, class_prior: np.ndarray) -> Skill:
    return Skill(
        epoch=epoch,
        task_key=task_key,
        volunteer=None,
        terms=[int(unit) for unit in posterior.log_likelihood_terms(confusion).ravel()],
        log_prior=[int(unit) for unit in posterior.to_fixed(np.log(class_prior))],
    )


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """A workflow's counted answers to its first task, as dense integer arrays, and what they index."""

    statuses: list[int]
    volunteers: list[int]
    subject: np.ndarray
    volunteer: np.ndarray
    answer: np.ndarray
    anonymous: np.ndarray
    gold: np.ndarray
    log_prior: np.ndarray
    n_answers: int


def count_new_rows(workflow: Workflow) -> int:
    """Counted classifications that the current epoch's skill has not seen."""
    epoch = SkillEpoch.objects.filter(workflow=workflow, current=True).first()
    fitted = epoch.classifications_fitted if epoch else 0
    return Classification.objects.filter(workflow=workflow, counted=True).count() - fitted


def refit_workflow(workflow: Workflow) -> Callable[[], None] | None:
    """Fit the skill of everyone who classified in a workflow; the returned effect switches the epoch.

    Returns:
        None when there are too few rows to tell skill from luck.
    """
    rows = _read_rows(workflow)
    if len(rows.answer) < FEWEST_TO_FIT:
        return None
    fitted = fit(
        subject=rows.subject,
        volunteer=rows.volunteer,
        answer=rows.answer,
        n_subjects=len(rows.statuses),
        n_volunteers=len(rows.volunteers),
        n_answers=rows.n_answers,
        gold=rows.gold,
        log_prior=rows.log_prior,
        anonymous=rows.anonymous,
    )
    weight, bits = _judge(rows, fitted)
    terms = posterior.log_likelihood_terms(fitted.confusion, weight=weight)
    temper = _fit_temper(rows, terms)

    def write() -> None:
        epoch = _write_epoch(workflow, rows, fitted, terms=terms, weight=weight, bits=bits, temper=temper)
        _switch_open_subjects(workflow, epoch)

    return write


def _read_rows(workflow: Workflow) -> _Rows:
    K = count_answers(workflow.tasks, workflow.first_task)
    answers = Answer.objects.filter(status__workflow=workflow, task_key=workflow.first_task, counted=True)
    table = np.array(
        list(answers.order_by("id").values_list("status_id", "volunteer_id", "answer")), dtype=np.int64
    ).reshape(-1, 3)
    statuses, subject = np.unique(table[:, 0], return_inverse=True)
    volunteers, volunteer = np.unique(table[:, 1], return_inverse=True)
    about = {
        pk: (subject_id, prior)
        for pk, subject_id, prior in SubjectStatus.objects.filter(id__in=statuses.tolist()).values_list(
            "id", "subject_id", "machine_prior"
        )
    }
    gold_by_subject = dict(
        GoldStandard.objects.filter(workflow=workflow, task_key=workflow.first_task).values_list("subject_id", "answer")
    )
    named = set(
        Answer.objects.filter(status__workflow=workflow, volunteer__user__isnull=False)
        .values_list("volunteer_id", flat=True)
        .distinct()
    )
    # Where the machine is silent, the shares of all answers stand in for the classes' shares.
    shares = np.log((np.bincount(table[:, 2], minlength=K) + 1.0) / (len(table) + K))
    log_prior = np.array(
        [
            shares if about[pk][1] is None else np.array(about[pk][1]) / posterior.UNITS_PER_NAT
            for pk in statuses.tolist()
        ]
    ).reshape(-1, K)
    return _Rows(
        statuses=statuses.tolist(),
        volunteers=volunteers.tolist(),
        subject=subject,
        volunteer=volunteer,
        answer=table[:, 2],
        anonymous=np.array([pk not in named for pk in volunteers.tolist()], dtype=bool),
        gold=np.array([gold_by_subject.get(about[pk][0], -1) for pk in statuses.tolist()], dtype=np.int64),
        log_prior=log_prior,
        n_answers=K,
    )


def _judge(rows: _Rows, fitted: Fit) -> tuple[np.ndarray, np.ndarray]:
    """Each volunteer's weight (0 for spam, rows kept) and skill in bits."""
    on_gold = rows.gold[rows.subject] >= 0
    right = on_gold & (rows.gold[rows.subject] == rows.answer)
    V = len(rows.volunteers)
    skill = rules.volunteer_skill(
        confusion=fitted.confusion,
        counts=fitted.counts,
        class_prior=fitted.class_prior,
        gold_right=np.bincount(rows.volunteer[right], minlength=V),
        gold_seen=np.bincount(rows.volunteer[on_gold], minlength=V),
    )
    return skill.weight, skill.bits


def _fit_temper(rows: _Rows, terms: np.ndarray) -> float:
    """The read-out's temper, on gold that volunteers have answered too; the gold itself is not in the sums."""
    votes = Votes.build(
        subject=rows.subject,
        volunteer=rows.volunteer,
        answer=rows.answer,
        n_subjects=len(rows.statuses),
        n_volunteers=len(rows.volunteers),
        n_answers=rows.n_answers,
    )
    pair_terms = posterior.pair_terms_of(terms, votes.pairs)
    sums = posterior.batch(votes, pair_terms=pair_terms, start=posterior.to_fixed(rows.log_prior))
    return posterior.fit_temper(sums, rows.gold, votes=votes.per_subject)


def _write_epoch(
    workflow: Workflow,
    rows: _Rows,
    fitted: Fit,
    *,
    terms: np.ndarray,
    weight: np.ndarray,
    bits: np.ndarray,
    temper: float,
) -> SkillEpoch:
    ensure_epoch(workflow)
    before = SkillEpoch.objects.select_for_update().get(workflow=workflow, current=True)
    SkillEpoch.objects.filter(pk=before.pk).update(current=False)
    epoch = SkillEpoch.objects.create(
        workflow=workflow,
        number=before.number + 1,
        current=True,
        classifications_fitted=Classification.objects.filter(workflow=workflow, counted=True).count(),
        temper=temper,
        gold_used=int((rows.gold >= 0).sum()),
    )
    _everybody(epoch, workflow.first_task, fitted.shrinkage, fitted.class_prior).save()
    answered = np.bincount(rows.volunteer, minlength=len(rows.volunteers))
    Skill.objects.bulk_create(
        [
            Skill(
                epoch=epoch,
                task_key=workflow.first_task,
                volunteer_id=volunteer_id,
                terms=[int(unit) for unit in terms[v].ravel()],
                skill_bits=float(bits[v]),
                answers_fitted=int(answered[v]),
                muted=bool(weight[v] == 0),
            )
            for v, volunteer_id in enumerate(rows.volunteers)
        ],
        batch_size=2000,
    )
    # The epoch before stays for those who read it a moment ago; older matrices have no further use.
    Skill.objects.filter(epoch__workflow=workflow, epoch__number__lt=before.number).delete()
    return epoch


def _switch_open_subjects(workflow: Workflow, epoch: SkillEpoch) -> None:
    """Recompute the open subjects' sums under the new epoch, and retire what now can be."""
    key = workflow.first_task
    open_statuses = list(
        SubjectStatus.objects.select_for_update(of=("self",))
        .filter(workflow=workflow, state=SubjectStatus.State.OPEN, audience=SubjectStatus.Audience.VOLUNTEERS)
        .order_by("id")
    )
    skill = {s.volunteer_id: s for s in Skill.objects.filter(epoch=epoch, task_key=key)}
    everybody = skill[None]
    assert everybody.log_prior is not None
    K = len(everybody.log_prior)
    answers: dict[int, list[tuple[int, int]]] = {}
    # Read after the locks: every counted answer of these subjects is committed, or waits behind us.
    given = Answer.objects.filter(status__in=open_statuses, task_key=key, counted=True).order_by("id")
    for status_id, volunteer_id, answer in given.values_list("status_id", "volunteer_id", "answer"):
        answers.setdefault(status_id, []).append((volunteer_id, answer))
    updates: list[tuple[SubjectStatus, list[int], list[int], rules.Decision]] = []
    for status in open_statuses:
        sums = list(status.machine_prior or everybody.log_prior)
        counts = [0] * K
        for volunteer_id, answer in answers.get(status.pk, []):
            sums = posterior.add(sums, skill.get(volunteer_id, everybody).terms, answer)
            counts[answer] += 1
        decision = rules.decide(
            criterion=workflow.retirement,
            n=status.classifications_count,
            probabilities=posterior.read_out(sums, epoch.temper, votes=sum(counts)),
            votes=counts,
            machine_answer=status.machine_answer,
        )
        updates.append((status, sums, counts, decision))
    _write_switched(epoch, key, updates)


def _write_switched(
    epoch: SkillEpoch,
    task_key: str,
    updates: list[tuple[SubjectStatus, list[int], list[int], rules.Decision]],
) -> None:
    rows = [
        {
            "status_id": status.pk,
            "sums": sums,
            "counts": counts,
            "answer": decision.answer,
            "p": decision.p,
            "majority": decision.majority,
            "flagged": decision.flagged,
            "state": decision.state,
            "reason": decision.reason,
        }
        for status, sums, counts, decision in updates
    ]
    parameters: dict[str, Any] = {
        "rows": json.dumps(rows),
        "epoch": epoch.pk,
        "number": epoch.number,
        "task_key": task_key,
    }
    table = """jsonb_to_recordset(%(rows)s::jsonb) AS x(status_id bigint, sums bigint[], counts int[], answer int,
        p float8, majority int, flagged boolean, state text, reason text)"""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""INSERT INTO crowd_consensus (status_id, task_key, log_posterior, answer_counts, answer, probability,
                majority, flagged, updated_at)
            SELECT x.status_id, %(task_key)s, x.sums, x.counts, x.answer, x.p, x.majority, x.flagged, now() FROM {table}
            ON CONFLICT (status_id, task_key) DO UPDATE SET log_posterior = EXCLUDED.log_posterior,
                answer_counts = EXCLUDED.answer_counts, answer = EXCLUDED.answer, probability = EXCLUDED.probability,
                majority = EXCLUDED.majority, flagged = EXCLUDED.flagged, updated_at = EXCLUDED.updated_at""",
            parameters,
        )
        cursor.execute(
            f"""UPDATE crowd_subjectstatus st SET epoch_id = %(epoch)s, state = x.state, retirement_reason = x.reason,
                audience = CASE WHEN x.state = 'contested' THEN 'experts' ELSE st.audience END,
                retired_at = CASE WHEN x.state = 'retired' THEN now() END,
                retired_epoch_number = CASE WHEN x.state = 'retired' THEN %(number)s END,
                retired_probability = CASE WHEN x.state = 'retired' THEN x.p END, updated_at = now()
            FROM {table} WHERE st.id = x.status_id""",
            parameters,
        )


def list_workflows_with_new_rows() -> list[Workflow]:
    """The workflows whose skill is older than their classifications."""
    counted = Workflow.objects.annotate(n=Count("classifications", filter=Q(classifications__counted=True)))
    fitted = dict(SkillEpoch.objects.filter(current=True).values_list("workflow_id", "classifications_fitted"))
    return [workflow for workflow in counted if workflow.n > fitted.get(workflow.pk, 0)]


def audit_consensus(workflow: Workflow) -> list[str]:
    """Compare every cached count and sum of the open subjects with the rows. Returns one line a difference."""
    counted = Q(subject__classifications__counted=True, subject__classifications__workflow=workflow)
    statuses = SubjectStatus.objects.filter(workflow=workflow).annotate(
        n=Count("subject__classifications", filter=counted)
    )
    differences = [
        f"subject {status.subject_id}: {status.classifications_count} cached, {status.n} counted"
        for status in statuses.iterator()
        if status.n != status.classifications_count
    ]
    for consensus in Consensus.objects.filter(status__workflow=workflow).select_related("status").iterator():
        counts = [0] * len(consensus.answer_counts)
        for answer in Answer.objects.filter(status=consensus.status, task_key=consensus.task_key, counted=True):
            counts[answer.answer] += 1
        if counts != consensus.answer_counts:
            differences.append(f"subject {consensus.status.subject_id}: votes {consensus.answer_counts}, rows {counts}")
    return differences
