"""The crowd's background work: publish what was routed, watch the audit, fit skill, follow rules, summarise, tidy."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models.functions import Now

from esocs.crowd import figures, services, watch
from esocs.crowd.caesar import calling, deriving, effects, importing
from esocs.crowd.epochs import forget_unused_epochs
from esocs.crowd.models import Assignment
from esocs.crowd.monitoring import measure_reliability, order_reliability
from esocs.crowd.reassessment import reconsider
from esocs.crowd.refit import list_due_workflows
from esocs.crowd.retirement_settings import follow_changed_settings
from esocs.crowd.summarising import list_workflows_to_summarise, summarise_workflow
from esocs.jobs import registry
from esocs.jobs.models import Job
from esocs.jobs.registry import Effect, JobContext
from esocs.jobs.services import enqueue, enqueue_many
from esocs.machine.models import ModelVersion, Route, RoutingPolicy
from esocs.machine.rules import read_settings
from esocs.projects.models import Workflow

registry.periodic("crowd.refit", every_s=settings.SKILL_REFIT_EVERY_S)
registry.periodic("crowd.summarise", every_s=60)
registry.periodic("crowd.follow_settings", every_s=60)
registry.periodic("crowd.derive", every_s=10)
registry.periodic("crowd.sweep_assignments", every_s=600)
registry.periodic("crowd.watch_audit", every_s=300)
# Hourly, for what is left of a day; its first run after midnight spends the new day's votes.
registry.periodic("crowd.publish_waiting", every_s=3600)
registry.periodic("crowd.measure_reliability", every_s=600)


@registry.handler("crowd.publish")
def publish(job: JobContext) -> Effect | None:
    workflow = Workflow.objects.get(pk=job.payload["workflow_id"])
    if "subject_ids" in job.payload:
        return services.publish_for_experts(workflow=workflow, subject_ids=job.payload["subject_ids"])
    if "route_ids" in job.payload:
        return services.publish_routes(workflow=workflow, routes=Route.objects.filter(pk__in=job.payload["route_ids"]))
    if read_settings(workflow.routing).votes_per_day is not None:
        return services.plan_publication(workflow)
    first, last = job.payload["first_prediction"], job.payload["last_prediction"]
    routes = Route.objects.filter(policy_id=job.payload["policy_id"], prediction_id__gte=first, prediction_id__lte=last)
    return services.publish_routes(workflow=workflow, routes=routes)


@registry.handler("crowd.publish_waiting")
def publish_waiting(job: JobContext) -> Effect | None:
    """With a workflow: spend what is left of today's votes. Without: order it for each that has a machine."""
    if "workflow_id" in job.payload:
        return services.plan_publication(Workflow.objects.get(pk=job.payload["workflow_id"]))
    champions = ModelVersion.objects.filter(state=ModelVersion.State.CHAMPION, workflow__active=True)
    items = [
        (f"workflow/{pk}/{job.key}", {"workflow_id": pk}) for pk in champions.values_list("workflow_id", flat=True)
    ]
    return lambda: (enqueue_many("crowd.publish_waiting", items=items), None)[1]


@registry.handler("crowd.watch_audit")
def watch_audit(job: JobContext) -> Effect | None:
    """With a policy: watch its audit. Without: order it for every policy in force."""
    if "policy_id" in job.payload:
        policy = RoutingPolicy.objects.select_related("model_version__workflow").get(pk=job.payload["policy_id"])
        return watch.watch_policy(policy)
    items = [(f"policy/{policy.pk}/{job.key}", {"policy_id": policy.pk}) for policy in watch.list_watched()]
    return lambda: (enqueue_many("crowd.watch_audit", items=items), None)[1]


@registry.handler("crowd.refit")
def refit(job: JobContext) -> Effect | None:
    """With a workflow: refit it. Without: order a refit of each workflow whose turn it is."""
    if "workflow_id" in job.payload:
        return services.refit_workflow(Workflow.objects.get(pk=job.payload["workflow_id"]))
    workflows = list_due_workflows()

    def order() -> None:
        for workflow in workflows:
            if _under_way("crowd.refit", workflow.pk):
                continue  # a fit that takes longer than the time between two must not pile up
            enqueue("crowd.refit", key=f"workflow/{workflow.pk}/{job.key}", payload={"workflow_id": workflow.pk})

    return order


def _under_way(kind: str, workflow_id: int) -> bool:
    waiting = Job.objects.filter(kind=kind, state__in=[Job.State.QUEUED, Job.State.RUNNING])
    return waiting.filter(payload__workflow_id=workflow_id).exists()


@registry.handler("crowd.reconsider")
def reconsider_subjects(job: JobContext) -> Effect | None:
    """Some subjects of a workflow whose retirement was changed."""
    workflow = Workflow.objects.get(pk=job.payload["workflow_id"])

    def write() -> None:
        reconsider(
            workflow,
            first_id=job.payload["first_id"],
            last_id=job.payload["last_id"],
            author_id=job.payload["author_id"],
        )

    return write


@registry.handler("crowd.follow_settings")
def follow_settings(_: JobContext) -> Effect | None:
    return lambda: (follow_changed_settings(), None)[1]


@registry.handler("crowd.apply_rule")
def apply_rule(job: JobContext) -> Effect | None:
    """What a rule does to a subject or a volunteer besides retiring."""
    return effects.apply_effect(
        job.payload["effect_id"],
        key=job.key,
        subject_id=job.payload.get("subject_id"),
        user_id=job.payload.get("user_id"),
    )


@registry.handler("crowd.derive")
def derive(job: JobContext) -> Effect | None:
    """With a workflow: derive its waiting subjects. Without: order it for each that has some."""
    if "workflow_id" in job.payload:
        return deriving.derive_workflow(job.payload["workflow_id"])
    workflow_ids = deriving.list_workflows_to_derive()

    def order() -> None:
        for pk in workflow_ids:
            if _under_way("crowd.derive", pk):
                continue
            enqueue("crowd.derive", key=f"workflow/{pk}/{job.key}", payload={"workflow_id": pk})

    return order


@registry.handler("crowd.call_extractor")
def call_extractor(job: JobContext) -> Effect | None:
    return calling.call_extractor(**job.payload, key=job.key)


@registry.handler("crowd.call_reducer")
def call_reducer(job: JobContext) -> Effect | None:
    return calling.call_reducer(**job.payload, key=job.key)


@registry.handler("crowd.import_extracts")
def import_extracts(job: JobContext) -> Effect | None:
    return importing.import_extracts(job.payload["import_id"], on_progress=job.report_progress)


@registry.handler("crowd.summarise")
def summarise(job: JobContext) -> Effect | None:
    """With a workflow: summarise its drawings, texts and surveys. Without: order it for each that has new ones."""
    if "workflow_id" in job.payload:
        return summarise_workflow(Workflow.objects.get(pk=job.payload["workflow_id"]))
    workflow_ids = list_workflows_to_summarise()

    def order() -> None:
        for pk in workflow_ids:
            if _under_way("crowd.summarise", pk):
                continue
            enqueue("crowd.summarise", key=f"workflow/{pk}/{job.key}", payload={"workflow_id": pk})

    return order


@registry.handler("crowd.count")
def count(job: JobContext) -> Effect | None:
    """Count a large workflow's numbers for those who look at its pages."""
    figures.count_figures(Workflow.objects.get(pk=job.payload["workflow_id"]), job.payload["name"])
    return None


@registry.handler("crowd.sweep_assignments")
def sweep_assignments(_: JobContext) -> Effect | None:
    """Reservations are kept for a day after they expire, so that a late answer is known to have been asked for."""
    return _forget_stale


@registry.handler("crowd.measure_reliability")
def count_reliability(job: JobContext) -> Effect | None:
    """With a policy: count how often its model was right. Without: order it where labels have arrived."""
    if "policy_id" in job.payload:
        policy = RoutingPolicy.objects.select_related("model_version__workflow").get(pk=job.payload["policy_id"])
        return measure_reliability(policy)
    return order_reliability


def _forget_stale() -> None:
    Assignment.objects.filter(expires_at__lt=Now() - timedelta(days=1)).delete()
    forget_unused_epochs()
