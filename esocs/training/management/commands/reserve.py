"""`manage.py reserve`: set aside the seed and the blind calibration sample, and put both before the experts."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from esocs.crowd.services import order_expert_tasks
from esocs.jobs.command import JobCommand
from esocs.machine.services import reserve_samples
from esocs.projects.queries import get_project, select_workflows


class Command(JobCommand):
    help = "Reserve random subjects for the experts: a seed to train on, and a blind sample to calibrate on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--project", required=True, help="slug or id")
        parser.add_argument("--workflow", type=int, help="id; all of the project without it")
        parser.add_argument("--seed-size", type=int, default=500, help="subjects to train the first model on")
        parser.add_argument(
            "--calibration-size", type=int, default=500, help="blind subjects; alpha 1 %% takes 299 without an error"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        for workflow in select_workflows(project=get_project(options["project"]), workflow_id=options["workflow"]):
            reserved = reserve_samples(
                workflow=workflow, seed=options["seed_size"], calibration=options["calibration_size"]
            )
            ids = [pk for purpose in reserved.values() for pk in purpose]
            jobs = order_expert_tasks(workflow.pk, ids)
            self.run_jobs(jobs, label=f"preparing {len(ids):,} pictures for experts, {workflow}", options=options)
            address = f"/projects/{workflow.project.slug}/workflows/{workflow.pk}/classify/?audience=experts"
            self.stdout.write(f"{workflow}: {len(ids):,} subjects wait for experts at {address}")
