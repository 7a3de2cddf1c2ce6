"""`manage.py aggregate`: fit the volunteers' skill again now, and move the open subjects to the new epoch."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from esocs.crowd import queries, refit
from esocs.jobs.command import JobCommand
from esocs.jobs.services import enqueue
from esocs.projects.queries import get_project, select_workflows


class Command(JobCommand):
    help = "Fit the volunteers' skill again now; open subjects get the new consensus, and retire where it settles them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--project", help="slug or id; all projects without it")
        parser.add_argument("--workflow", type=int, help="id; all of the project without it")
        parser.add_argument("--audit", action="store_true", help="also compare every cached count with its rows")

    def handle(self, *args: Any, **options: Any) -> None:
        project = get_project(options["project"]) if options["project"] else None
        for workflow in select_workflows(project=project, workflow_id=options["workflow"]):
            epoch = queries.current_epoch_number(workflow)
            key = f"workflow/{workflow.pk}/epoch/{epoch}/{refit.count_new_rows(workflow)}"
            job = enqueue("crowd.refit", key=key, payload={"workflow_id": workflow.pk})
            self.run_jobs([job], label=f"fitting skill, {workflow}", options=options)
            summary = queries.summarise_workflow(workflow)
            epoch = queries.current_epoch_number(workflow)
            self.stdout.write(
                f"{workflow}: epoch {epoch}, {summary.classifications:,} classifications,"
                f" {summary.retired:,} retired, {summary.contested:,} contested, {summary.open:,} open"
            )
            if options["audit"]:
                differences = refit.audit_consensus(workflow)
                for line in differences:
                    self.stderr.write(line)
                self.stdout.write(f"  audit: {len(differences):,} differences")
