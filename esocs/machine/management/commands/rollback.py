"""`manage.py rollback --workflow ID`: make an earlier model version the champion again."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from esocs.machine import services
from esocs.machine.models import ModelVersion
from esocs.projects.queries import select_workflows


class Command(BaseCommand):
    help = "Make an earlier model version the champion again; without --to, the one before the present champion."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workflow", type=int, required=True, help="id")
        parser.add_argument("--to", type=int, help="number of the version, as in v3")

    def handle(self, *args: Any, **options: Any) -> None:
        (workflow,) = select_workflows(workflow_id=options["workflow"])
        champion = services.get_champion(workflow)
        versions = ModelVersion.objects.filter(workflow=workflow).exclude(pk=champion.pk)
        if options["to"] is not None:
            target = versions.filter(number=options["to"]).first()
        else:
            target = (
                versions.filter(state=ModelVersion.State.RETIRED, number__lt=champion.number).order_by("number").last()
            )
        if target is None:
            raise CommandError(f"{workflow} has no such other version.")
        services.promote(target)
        self.stdout.write(f"{workflow}: v{target.number} is the champion again, v{champion.number} is retired.")
        self.stdout.write("Run `manage.py classify` and `manage.py route`: what came in meanwhile follows it.")
