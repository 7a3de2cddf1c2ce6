"""`manage.py render_planes [--project SLUG]`: the 16-bit samples of subjects that were published without them."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from esocs.projects import services
from esocs.projects.queries import get_project


class Command(BaseCommand):
    help = "Write the samples that the page stretches for pictures of the archive that have none yet."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--project", help="slug or id of the only project to look at")

    def handle(self, *args: Any, **options: Any) -> None:
        project = get_project(options["project"]) if options["project"] else None
        written = sum(services.render_missing_planes(project=project))
        self.stdout.write(
            f"{written:,} pictures have their samples now." if written else "Every picture has its samples."
        )
