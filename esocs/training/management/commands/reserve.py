"""`manage.py reserve`: set aside the seed and the blind calibration sample, and put both before the experts."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from esocs.crowd.services import order_expert_tasks
from esocs.jobs.command import JobCommand
from esocs.machine import rules
from esocs.machine.services import reserve_samples
from esocs.projects.queries import get_project, select_workflows
from esocs.projects.services import subjects_of

SEED_SIZE = 500


class Command(JobCommand):
    help = "Reserve random subjects for the experts: a seed to train on, and a blind sample to calibrate on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--project", required=True, help="slug or id")
        parser.add_argument("--workflow", type=int, help="id; all of the project without it")
        parser.add_argument(
            "--seed-size", type=int, help="subjects to train the first model on; 500, or a quarter of a small workflow"
        )
        parser.add_argument(
            "--calibration-size",
            type=int,
            help="blind subjects; by default what the workflow's alpha and delta ask for (1,196 at 1 %% and 5 %%),"
            " at most a quarter of its subjects",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        for workflow in select_workflows(project=get_project(options["project"]), workflow_id=options["workflow"]):
            subjects = subjects_of(workflow).count()
            demanded = rules.read_settings(workflow.routing)
            levels = {"alpha": demanded.alpha, "delta": demanded.delta}
            seed, calibration = options["seed_size"], options["calibration_size"]
            reserved = reserve_samples(
                workflow=workflow,
                seed=min(SEED_SIZE, subjects // 4) if seed is None else seed,
                calibration=(
                    rules.calibration_size(subjects=subjects, **levels) if calibration is None else calibration
                ),
            )
            self.stdout.write(rules.describe_calibration(size=len(reserved["calibration"]), **levels))
            ids = [pk for purpose in reserved.values() for pk in purpose]
            jobs = order_expert_tasks(workflow.pk, ids)
            self.run_jobs(jobs, label=f"preparing {len(ids):,} pictures for experts, {workflow}", options=options)
            address = f"/projects/{workflow.project.slug}/workflows/{workflow.pk}/classify/?audience=experts"
            self.stdout.write(f"{workflow}: {len(ids):,} subjects wait for experts at {address}")
