"""`manage.py import_panoptes`: read a project's export files from Zooniverse, or another Panoptes server, into ours."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from classifier.errors import EsocsError
from esocs.accounts.models import User
from esocs.jobs.command import Progress
from esocs.projects.models import Project
from esocs.projects.queries import get_project
from esocs.projects.services import create_project
from esocs.releases.importing.services import Imported, Step, import_project


class Command(BaseCommand):
    help = "Import a project from its export files; run again, it goes on where it stopped and changes nothing twice."

    def add_arguments(self, parser: ArgumentParser) -> None:
        self.add_project_arguments(parser)
        parser.add_argument("--workflows", type=Path, metavar="CSV")
        parser.add_argument("--subjects", type=Path, metavar="CSV")
        parser.add_argument("--classifications", type=Path, metavar="CSV", help="may be gzipped, as all of them")

    def add_project_arguments(self, parser: ArgumentParser) -> None:
        """Which project of ours the rows become part of."""
        parser.add_argument("--project", metavar="SLUG|ID", help="one that was imported before, or an empty one")
        parser.add_argument("--create", metavar="NAME", help="make a project of this name, which is not live")
        parser.add_argument("--owner", metavar="LOGIN", help="whose the new project is")
        parser.add_argument("--kind", default="image", choices=["image", "spectrum"], help="of the subjects")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            project = self.find_or_create_project(options)
            with self.steps() as begin:
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
        self.tell(project, done)

    @contextmanager
    def steps(self) -> Iterator[Step]:
        """Shows how far each step is; a step ends where the next begins."""
        shown: list[Progress] = []

        def begin(label: str) -> Callable[[int], None]:
            if shown:
                shown.pop().close()
            progress = Progress(label)
            shown.append(progress)
            return lambda done: progress(done, 0)

        try:
            yield begin
        finally:
            if shown:
                shown.pop().close()

    def tell(self, project: Project, done: Imported) -> None:
        """The closing line."""
        self.stdout.write(
            f"{project.slug}: {done.versions:,} new versions, {done.subject_rows:,} rows of subjects,"
            f" {done.classifications:,} new of {done.classification_rows:,} classifications"
        )

    def find_or_create_project(self, options: dict[str, Any]) -> Project:
        """The project that was named, or a new one."""
        if (options["project"] is None) == (options["create"] is None):
            raise CommandError("Name a project with --project, or a new one with --create.")
        if options["create"] is None:
            return get_project(options["project"])
        owner = User.objects.filter(login__iexact=options["owner"] or "", is_active=True).first()
        if owner is None:
            raise CommandError("Name an owner who can sign in with --owner.")
        return create_project(owner=owner, display_name=options["create"])
