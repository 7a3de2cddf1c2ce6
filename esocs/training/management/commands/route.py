"""`manage.py route`: certify the champion's threshold, decide on every prediction, publish volunteers' tasks."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from esocs.jobs.command import JobCommand, complete_group
from esocs.machine import queries, routing, services
from esocs.projects.queries import get_project, select_workflows
from esocs.training.services import calibrate


class Command(JobCommand):
    help = "Certify the champion's threshold on the reserved sample, route every prediction, publish what people see."

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
            complete_group(f"route/{policy.pk}", label=f"routing, {workflow}", workers=options["workers"])
            threshold = "nothing certified" if policy.threshold is None else f"accept from {policy.threshold:.3f}"
            counts = ", ".join(f"{n:,} {name}" for name, n in sorted(queries.count_routes(policy).items()))
            self.stdout.write(f"{workflow}: {threshold} (alpha {policy.alpha:g}, delta {policy.delta:g}); {counts}")
