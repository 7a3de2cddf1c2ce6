"""`manage.py import_panoptes`: read a project's export files from Zooniverse, or another Panoptes server, into ours."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from classifier.errors import EsocsError
from esocs.accounts.models import User
from esocs.jobs.command import Progress
from esocs.projects.models import Project
from esocs.projects.queries import get_project
from esocs.projects.services import create_project
from esocs.releases.importing.services import import_project


class Command(BaseCommand):
    help = "Import a project from its export files; run again, it goes on where it stopped and changes nothing twice."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--project", metavar="SLUG|ID", help="one that was imported before, or an empty one")
        parser.add_argument("--create", metavar="NAME", help="make a project of this name, which is not live")
        parser.add_argument("--owner", metavar="LOGIN", help="whose the new project is")
        parser.add_argument("--workflows", type=Path, metavar="CSV")
        parser.add_argument("--subjects", type=Path, metavar="CSV")
        parser.add_argument("--classifications", type=Path, metavar="CSV", help="may be gzipped, as all of them")
        parser.add_argument("--kind", default="image", choices=["image", "spectrum"], help="of the subjects")

    def handle(self, *_: Any, **options: Any) -> None:
        step: Progress | None = None

        def begin(label: str) -> Callable[[int], None]:
            nonlocal step
            if step is not None:
                step.close()
            step = Progress(label)
            return lambda done: step(done, 0) if step else None

        try:
            project = self._project(options)
            done = import_project(
                project,
                workflows_file=options["workflows"],
                subjects_file=options["subjects"],
                classifications_file=options["classifications"],
                kind=options["kind"],
                step=begin,
            )
        except EsocsError as error:
            raise CommandError(f"{error.code}: {error}") from error
        finally:
            if step is not None:
                step.close()
        self.stdout.write(
            f"{project.slug}: {done.versions:,} new versions, {done.subject_rows:,} rows of subjects,"
            f" {done.classifications:,} new of {done.classification_rows:,} classifications"
        )

    def _project(self, options: dict[str, Any]) -> Project:
        if (options["project"] is None) == (options["create"] is None):
            raise CommandError("Name a project with --project, or a new one with --create.")
        if options["create"] is None:
            return get_project(options["project"])
        owner = User.objects.filter(login__iexact=options["owner"] or "", is_active=True).first()
        if owner is None:
            raise CommandError("Name an owner who can sign in with --owner.")
        return create_project(owner=owner, display_name=options["create"])
