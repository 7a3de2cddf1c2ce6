"""What is kept as an answer's index, told anew when the answers have others: after a changed version of a workflow."""

from __future__ import annotations

from django.db.models import Case, F, PositiveSmallIntegerField, Value, When

from esocs.crowd.models import SkillEpoch, SubjectStatus
from esocs.projects.models import Workflow, WorkflowVersion
from esocs.projects.rules import map_answers, questions_of


def rename_answers(workflow: Workflow, before: SkillEpoch) -> None:
    """Turn the answers at retirement into today's indices, and set the machine's opinions of other answers aside.

    What was retired or published after the newest version speaks of today's answers already. An answer that is offered
    no more becomes none.

    Args:
        workflow: as it asks today.
        before: the epoch that was current, of the version that the indices are of.
    """
    questions = questions_of(workflow.tasks, workflow.first_task)
    versions = WorkflowVersion.objects.filter(workflow=workflow)
    then = versions.filter(major=before.workflow_major, minor=before.workflow_minor).first()
    today = versions.filter(major=workflow.major_version, minor=workflow.minor_version).first()
    if then is None or today is None or not questions:
        return
    table = map_answers(questions[0], old=(then.tasks, then.strings), new=(workflow.tasks, workflow.strings))
    if table == list(range(questions[0].n_answers)):
        return
    rows = SubjectStatus.objects.filter(workflow=workflow)
    moved = [When(retired_answer=old, then=Value(new)) for old, new in enumerate(table) if old != new]
    # In the order in which all take these locks.
    list(rows.order_by("id").select_for_update().values_list("pk"))
    told = Case(*moved, default=F("retired_answer"), output_field=PositiveSmallIntegerField())
    rows.filter(retired_at__lt=today.created_at).update(retired_answer=told)
    rows.filter(created_at__lt=today.created_at).update(machine_prior=None, machine_answer=None)
