"""`manage.py classify`: predict every subject with its workflow's champion."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from esocs.jobs.command import JobCommand
from esocs.machine import prediction, services
from esocs.machine.models import ModelVersion
from esocs.projects.queries import get_project, select_workflows


class Command(JobCommand):
    help = "Predict every subject with its workflow's champion (or a given model version), one job a shard."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--project", help="slug or id; all projects without it")
        parser.add_argument("--workflow", type=int, help="id; all of the project without it")
        parser.add_argument("--model", type=int, help="id of a model version instead of the champion")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["model"]:
            models = [ModelVersion.objects.select_related("workflow").get(pk=options["model"])]
        else:
            project = get_project(options["project"]) if options["project"] else None
            workflows = select_workflows(project=project, workflow_id=options["workflow"])
            models = [services.get_champion(workflow) for workflow in workflows]
        for model in models:
            self.run_jobs(prediction.order_predictions(model), label=f"classifying, {model}", options=options)
