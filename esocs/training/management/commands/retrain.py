"""`manage.py retrain`: freeze a training set, train a challenger, promote it if it is no worse."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from esocs.jobs.command import JobCommand
from esocs.jobs.services import enqueue
from esocs.projects.queries import get_project, select_workflows
from esocs.training.models import Comparison
from esocs.training.rules import NetworkWish
from esocs.training.services import freeze_training_set


class Command(JobCommand):
    help = "Train a challenger on the experts' seed and the volunteers' consensus; promote it if it is no worse."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--project", help="slug or id; all projects without it")
        parser.add_argument("--workflow", type=int, help="id; all of the project without it")
        parser.add_argument("--seed", type=int, default=0, help="of the weights and the order (default 0)")
        parser.add_argument("--size", default="yocto", help="of the network: yocto (default), atto, femto, pico, nano")
        parser.add_argument("--encoder", default="", help="one of timm's image encoders by name, instead of a size")
        parser.add_argument("--members", type=int, default=1, help="networks of an ensemble (default 1)")

    def handle(self, *args: Any, **options: Any) -> None:
        wish = NetworkWish(size=options["size"], encoder=options["encoder"], members=options["members"])
        project = get_project(options["project"]) if options["project"] else None
        for workflow in select_workflows(project=project, workflow_id=options["workflow"]):
            training_set = freeze_training_set(workflow)
            job = enqueue(
                "training.retrain",
                key=f"set/{training_set.manifest_sha256[:32]}/seed/{options['seed']}/{wish.key}",
                payload={"workflow_id": workflow.pk, "seed": options["seed"], "network": asdict(wish)},
            )
            size = training_set.items.count()
            self.run_jobs([job], label=f"training on {size:,} subjects, {workflow}", options=options)
            comparison = Comparison.objects.filter(challenger__workflow=workflow).latest("id")
            self.stdout.write(f"{comparison.challenger}: {comparison.verdict}. {comparison.reason}")
