"""The crowd's background work: publish what was routed, fit the skill again, forget stale reservations."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models.functions import Now

from esocs.crowd import services
from esocs.crowd.models import Assignment
from esocs.crowd.refit import count_new_rows, list_workflows_with_new_rows
from esocs.jobs import registry
from esocs.jobs.registry import Effect, JobContext
from esocs.jobs.services import enqueue
from esocs.machine.models import Route
from esocs.projects.models import Workflow

registry.periodic("crowd.refit", every_s=settings.SKILL_REFIT_EVERY_S)
registry.periodic("crowd.sweep_assignments", every_s=600)


@registry.handler("crowd.publish")
def publish(job: JobContext) -> Effect | None:
    workflow = Workflow.objects.get(pk=job.payload["workflow_id"])
    if "subject_ids" in job.payload:
        return services.publish_for_experts(workflow=workflow, subject_ids=job.payload["subject_ids"])
    first, last = job.payload["first_prediction"], job.payload["last_prediction"]
    routes = Route.objects.filter(policy_id=job.payload["policy_id"], prediction_id__gte=first, prediction_id__lte=last)
    return services.publish_routes(workflow=workflow, routes=routes)


@registry.handler("crowd.refit")
def refit(job: JobContext) -> Effect | None:
    """With a workflow: refit it. Without: order a refit of each workflow that has new rows."""
    if "workflow_id" in job.payload:
        return services.refit_workflow(Workflow.objects.get(pk=job.payload["workflow_id"]))
    workflows = list_workflows_with_new_rows()

    def order() -> None:
        for workflow in workflows:
            key = f"workflow/{workflow.pk}/{count_new_rows(workflow)}/{job.key}"
            enqueue("crowd.refit", key=key, payload={"workflow_id": workflow.pk})

    return order


@registry.handler("crowd.sweep_assignments")
def sweep_assignments(_: JobContext) -> Effect | None:
    """Reservations are kept for a day after they expire, so that a late answer is known to have been asked for."""
    return _forget_stale


def _forget_stale() -> None:
    Assignment.objects.filter(expires_at__lt=Now() - timedelta(days=1)).delete()
