"""Every minute the volunteers' skill is fitted again from the rows, and open subjects move to the new epoch.

The fit itself holds no lock. The switch locks the open statuses, reads their answers in a fresh snapshot and recomputes
their sums, so a submission is either in the rows it reads or waits for the lock and adds its term under the new epoch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
from django.db.models import Count, Max, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce, Now

from esocs.crowd.answers import AnswerTable, answers_differ, read_answers
from esocs.crowd.epochs import QuestionSkill, ensure_epoch, switch_epoch
from esocs.crowd.models import Classification, Consensus, SkillEpoch, SubjectStatus
from esocs.crowd.modes import Learned, get_mode
from esocs.crowd.reassessment import assess_again, move_subjects
from esocs.crowd.renaming import rename_answers
from esocs.projects.models import Workflow
from esocs.projects.rules import list_questions

# Fewer rows than this cannot tell skill from luck; the first epoch stands until then.
FEWEST_TO_FIT = 50
# The fit may take this share of the time, unless a hundredth of the rows is new.
SHARE_OF_TIME = 0.05
NEW_SHARE = 0.01


def refit_workflow(workflow: Workflow) -> Callable[[], None] | None:
    """Fit the skill of everyone who classified in a workflow; the returned effect switches the epoch.

    Returns:
        None when there are too few rows to tell skill from luck, and the present epoch is of today's questions.
    """
    started = time.monotonic()
    ensure_epoch(workflow)
    before = SkillEpoch.objects.get(workflow=workflow, current=True)
    figures = _figures(workflow)
    mode = get_mode(workflow.consensus_mode)
    tables = [read_answers(workflow, q) for q in list_questions(workflow.tasks, workflow.first_task)]
    if not any(_enough(table) for table in tables) and not _of_other_questions(before, workflow):
        return None
    skills = []
    for table in tables:
        if not _enough(table):
            skills.append(QuestionSkill.nobody(table.question))
            continue
        skills.append(_skill(table, mode.learn(table.gathered)))
    gold = tables[0].gathered.gold if tables else None
    figures["gold_used"] = 0 if gold is None else int((gold >= 0).sum())
    figures["fit_s"] = time.monotonic() - started

    def write() -> None:
        epoch = switch_epoch(workflow, skills, read_out=mode.read_out, figures=figures)
        changed = answers_differ(workflow, major=before.workflow_major, minor=before.workflow_minor)
        if changed:
            rename_answers(workflow, before)
        move_subjects(workflow, epoch, closed_too=changed)

    return write


def _enough(table: AnswerTable) -> bool:
    return int(table.votes.per_subject.sum()) >= FEWEST_TO_FIT


def _figures(workflow: Workflow) -> dict[str, Any]:
    """What the fit is about to see; rows that arrive meanwhile are for the next. Gold is seen, though not counted."""
    rows = Classification.objects.filter(workflow=workflow)
    seen = rows.aggregate(n=Count("id", filter=Q(counted=True)), last=Max("id"))
    return {"classifications_fitted": seen["n"], "last_classification_id": seen["last"] or 0}


def _skill(table: AnswerTable, learned: Learned) -> QuestionSkill:
    votes = table.votes
    answered = np.bincount(votes.volunteer, votes.per_pair, votes.n_volunteers).astype(np.int64)
    return QuestionSkill(
        question=table.question,
        learned=learned,
        temper=learned.temper,
        volunteers=table.volunteers,
        answered=answered,
        judged=learned.skill,
    )


def count_new_rows(workflow: Workflow) -> int:
    """Counted classifications that the current epoch's skill has not seen."""
    epoch = SkillEpoch.objects.filter(workflow=workflow, current=True).first()
    fitted = epoch.classifications_fitted if epoch else 0
    return Classification.objects.filter(workflow=workflow, counted=True).count() - fitted


def list_due_workflows() -> list[Workflow]:
    """The workflows whose skill is older than their classifications, and whose turn it is.

    A fit of many rows may take a twentieth of the time; a hundredth of new rows, or new questions, is reason enough.
    """
    return [workflow for workflow in list_workflows_with_new_rows() if _due(workflow)]


def list_workflows_with_new_rows() -> list[Workflow]:
    """The workflows whose skill is older than their classifications or their questions."""
    epochs = {
        epoch.workflow_id: epoch
        for epoch in SkillEpoch.objects.filter(current=True).only(
            "workflow_id", "last_classification_id", "workflow_major", "workflow_minor", "mode"
        )
    }
    last = Classification.objects.filter(workflow=OuterRef("pk")).order_by("-id").values("id")[:1]
    newest = dict(Workflow.objects.filter(pk__in=epochs).annotate(last=Subquery(last)).values_list("pk", "last"))
    return [
        workflow
        for workflow in Workflow.objects.filter(pk__in=epochs).order_by("pk")
        if (newest[workflow.pk] or 0) > epochs[workflow.pk].last_classification_id
        or (newest[workflow.pk] and _of_other_questions(epochs[workflow.pk], workflow))
    ]


def _of_other_questions(epoch: SkillEpoch, workflow: Workflow) -> bool:
    """Whether an epoch is of another version of the questions, or of another mode."""
    asked = (epoch.workflow_major, epoch.workflow_minor)
    return epoch.mode != workflow.consensus_mode or asked != (workflow.major_version, workflow.minor_version)


def _due(workflow: Workflow) -> bool:
    epoch = SkillEpoch.objects.get(workflow=workflow, current=True)
    if _of_other_questions(epoch, workflow):
        return True
    pause = timedelta(seconds=epoch.fit_s / SHARE_OF_TIME)
    if SkillEpoch.objects.filter(pk=epoch.pk, created_at__lte=Now() - pause).exists():
        return True
    new = Classification.objects.filter(workflow=workflow, counted=True, id__gt=epoch.last_classification_id).count()
    return new >= NEW_SHARE * epoch.classifications_fitted


def audit_consensus(workflow: Workflow) -> list[str]:
    """Compare cached counts, and sums under the current epoch, with the rows. Returns one line a difference."""
    of_workflow = Q(subject__classifications__workflow=workflow)
    counted = of_workflow & Q(subject__classifications__counted=True)
    statuses = {
        status.pk: status
        for status in SubjectStatus.objects.filter(workflow=workflow).annotate(
            n=Count("subject__classifications", filter=counted)
            + Coalesce(Sum("subject__classifications__count_correction", filter=of_workflow), 0)
        )
    }
    differences = [
        f"subject {status.subject_id}: {status.classifications_count} cached, {status.n} counted"
        for status in statuses.values()
        if status.n != status.classifications_count
    ]
    epoch = SkillEpoch.objects.filter(workflow=workflow, current=True).first()
    if epoch is None or answers_differ(workflow, major=epoch.workflow_major, minor=epoch.workflow_minor):
        return differences  # sums and counts of other answers wait for the refit
    made = assess_again(workflow, epoch, list(statuses.values()))
    for row in Consensus.objects.filter(status__workflow=workflow).iterator():
        subject = statuses[row.status_id].subject_id
        if row.status_id not in made or row.task_key not in made[row.status_id]:
            if any(row.answer_counts):
                differences.append(f"subject {subject}, {row.task_key}: votes {row.answer_counts}, no rows")
            continue
        sums, counts = made[row.status_id][row.task_key]
        if counts != row.answer_counts:
            differences.append(f"subject {subject}, {row.task_key}: votes {row.answer_counts}, rows {counts}")
        elif statuses[row.status_id].epoch_id == epoch.pk and sums != row.log_posterior:
            differences.append(f"subject {subject}, {row.task_key}: sums {row.log_posterior}, rows {sums}")
    return differences
