"""The consensus worked out anew from the rows, one vote after another: what the live sums must equal bit for bit."""

from __future__ import annotations

from django.db import transaction

from esocs.crowd import posterior, services
from esocs.crowd.models import Answer, Consensus, Skill, SkillEpoch, SubjectStatus
from esocs.projects.models import Workflow, WorkflowVersion
from esocs.projects.rules import list_questions, map_answers


def switch(workflow: Workflow) -> SkillEpoch:
    """Refit, and switch to the new epoch."""
    workflow = Workflow.objects.get(pk=workflow.pk)
    effect = services.refit_workflow(workflow)
    assert effect is not None
    with transaction.atomic():
        effect()
    return SkillEpoch.objects.get(workflow=workflow, current=True)


def live(workflow: Workflow) -> dict[tuple[int, str], tuple[list[int], list[int]]]:
    """Subject and question → sums and counts, as they are kept."""
    rows = Consensus.objects.filter(status__workflow=workflow)
    found = rows.values_list("status__subject_id", "task_key", "log_posterior", "answer_counts")
    return {(subject, key): (sums, counts) for subject, key, sums, counts in found if any(counts)}


def from_rows(workflow: Workflow) -> dict[tuple[int, str], tuple[list[int], list[int]]]:
    """The same from the rows, each subject under its own epoch, in an order by chance."""
    workflow = Workflow.objects.get(pk=workflow.pk)
    versions = {(v.major, v.minor): (v.tasks, v.strings) for v in WorkflowVersion.objects.filter(workflow=workflow)}
    now = (workflow.tasks, workflow.strings)
    made = {}
    for status in SubjectStatus.objects.filter(workflow=workflow, epoch__isnull=False).select_related("epoch"):
        assert status.epoch is not None
        for question in list_questions(workflow.tasks, workflow.first_task):
            skill = {s.volunteer_id: s for s in Skill.objects.filter(epoch=status.epoch, task_key=question.key)}
            everybody = skill[None]
            heard = question.key == workflow.first_task and status.epoch.read_out != "shares"
            sums = list((heard and status.machine_prior) or everybody.log_prior or [])
            counts = [0] * question.n_answers
            rows = Answer.objects.filter(status=status, task_key=question.key, counted=True)
            for row in rows.select_related("classification").order_by("?"):
                given = (row.classification.workflow_major, row.classification.workflow_minor)
                answer = map_answers(question, old=versions[given], new=now)[row.answer]
                if answer is not None:
                    counts[answer] += 1
                    sums = posterior.add(sums, skill.get(row.volunteer_id, everybody).terms, answer)
            if any(counts):
                made[status.subject_id, question.key] = (sums, counts)
    return made
