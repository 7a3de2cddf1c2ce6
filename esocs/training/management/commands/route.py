"""`manage.py route`: certify the champion's thresholds, decide on every prediction, publish volunteers' tasks."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.db import transaction

from esocs.crowd import watch
from esocs.jobs.command import JobCommand, complete_group
from esocs.machine import handover, queries, routing, services
from esocs.machine.models import RoutingPolicy
from esocs.projects.models import Workflow
from esocs.projects.queries import get_project, select_workflows
from esocs.training.services import calibrate


class Command(JobCommand):
    help = "Certify the champion's thresholds on the reserved sample, route every prediction, publish what people see."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--project", help="slug or id; all projects without it")
        parser.add_argument("--workflow", type=int, help="id; all of the project without it")
        parser.add_argument("--again", action="store_true", help="certify anew even where a threshold exists")

    def handle(self, *args: Any, **options: Any) -> None:
        project = get_project(options["project"]) if options["project"] else None
        for workflow in select_workflows(project=project, workflow_id=options["workflow"]):
            model = services.get_champion(workflow)
            existing = model.policies.order_by("-number").first()
            policy = existing if existing and not options["again"] else calibrate(model)
            routing.order_routes(policy)
            complete_group(handover.group_of(policy), label=f"routing, {workflow}", workers=options["workers"])
            # What its version was audited on speaks for or against a new policy from the first moment.
            with transaction.atomic():
                watch.watch_policy(policy)()
            complete_group(handover.group_of(policy), label=f"publishing, {workflow}", workers=options["workers"])
            self._report(workflow, RoutingPolicy.objects.get(pk=policy.pk))

    def _report(self, workflow: Workflow, policy: RoutingPolicy) -> None:
        counts = ", ".join(f"{n:,} {name}" for name, n in sorted(queries.count_routes(policy).items()))
        self.stdout.write(f"{workflow}: {policy} (delta {policy.delta:g}); {counts}")
        for threshold in policy.thresholds.order_by("number"):
            value = "nothing certified" if threshold.value is None else f"accept from {threshold.value:.3f}"
            of = ", ".join(name or "not stated" for name in threshold.strata) if policy.stratify_by else ""
            answer = "" if threshold.answer is None else policy.model_version.class_names[threshold.answer]
            group = " · ".join(text for text in (of, answer) if text) or "everything"
            self.stdout.write(
                f"  {group}: {value} (alpha {threshold.alpha:g}; {threshold.errors:,} wrong of {threshold.accepted:,} "
                f"accepted among {threshold.sample_size:,})"
            )
        if policy.state == RoutingPolicy.State.WITHDRAWN:
            self.stdout.write(
                f"  Withdrawn on {policy.withdrawn_at:%Y-%m-%d %H:%M} UTC: {policy.withdrawn_because} Retrain, or have "
                "experts label more of the reserved sample and run `manage.py route --again`."
            )
