"""`manage.py retrain`: freeze a training set, train a challenger, promote it if it is no worse."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from esocs.jobs.command import JobCommand
from esocs.jobs.services import enqueue
from esocs.projects.queries import get_project, select_workflows
from esocs.training.models import Comparison
from esocs.training.services import freeze_training_set


class Command(JobCommand):
    help = "Train a challenger on the experts' seed and the volunteers' consensus; promote it if it is no worse."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--project", help="slug or id; all projects without it")
        parser.add_argument("--workflow", type=int, help="id; all of the project without it")
        parser.add_argument("--seed", type=int, default=0, help="of the weights and the order (default 0)")

    def handle(self, *args: Any, **options: Any) -> None:
        project = get_project(options["project"]) if options["project"] else None
        for workflow in select_workflows(project=project, workflow_id=options["workflow"]):
            training_set = freeze_training_set(workflow)
            job = enqueue(
                "training.retrain",
                key=f"set/{training_set.manifest_sha256[:32]}/seed/{options['seed']}",
                payload={"workflow_id": workflow.pk, "seed": options["seed"]},
            )
            size = training_set.items.count()
            self.run_jobs([job], label=f"training on {size:,} subjects, {workflow}", options=options)
            comparison = Comparison.objects.filter(challenger__workflow=workflow).latest("id")
            self.stdout.write(f"{comparison.challenger}: {comparison.verdict}. {comparison.reason}")
