"""`manage.py export`: make a project's files here and now, or have the workers make them."""

from __future__ import annotations

import gzip
import shutil
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from classifier.errors import EsocsError
from esocs.jobs import services as jobs
from esocs.jobs.queries import wait_for
from esocs.projects.models import Project, Workflow
from esocs.releases import queries, services
from esocs.releases.columns import KINDS
from esocs.releases.models import Export

ALL = "all"


class Command(BaseCommand):
    help = "Export a project's classifications, subjects, workflows and consensus as CSV, as Panoptes writes them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--project", required=True, metavar="SLUG|ID", help="owner/name, or the project's number")
        parser.add_argument("--workflow", type=int, metavar="ID", help="only this workflow of the project")
        parser.add_argument("--kind", default=ALL, choices=[*KINDS, ALL])
        parser.add_argument("--output", type=Path, metavar="DIR", help="also write plain .csv files here")
        parser.add_argument("--workers", action="store_true", help="leave the work to the workers, and wait for them")

    def handle(self, *_: Any, **options: Any) -> None:
        project = _find_project(options["project"])
        workflow = _find_workflow(project, options["workflow"])
        kinds = list(KINDS) if options["kind"] == ALL else [options["kind"]]
        try:
            exports = [services.request_export(project=project, workflow=workflow, kind=kind) for kind in kinds]
            self._make(exports, workers=options["workers"])
            for export in exports:
                self._report(export, options["output"])
        except EsocsError as error:
            raise CommandError(f"{error.code}: {error}") from error

    def _make(self, exports: list[Export], *, workers: bool) -> None:
        job_ids = [job_id for export in exports if (job_id := queries.find_job_id(export)) is not None]
        if not workers:
            jobs.drain(job_ids)
        # Here too: a worker may have been quicker, and a failure must be said.
        wait_for(job_ids, on_progress=self._show_progress)

    def _show_progress(self, done: int, total: int) -> None:
        if sys.stderr.isatty():
            self.stderr.write(f"\rexporting {done:,} of {total:,} ", ending="")

    def _report(self, export: Export, output: Path | None) -> None:
        ready = queries.find_export(export.pk)
        assert ready is not None
        path = queries.export_path(ready)
        if output is not None:
            path = _unpack(path, output / services.file_name(ready))
        self.stdout.write(f"{ready.kind:16s} {ready.row_count:>10,} rows  {path}")


def _find_project(name: str) -> Project:
    found = Project.objects.filter(id=int(name)) if name.isdecimal() else Project.objects.filter(slug__iexact=name)
    project = found.first()
    if project is None:
        raise CommandError(f"There is no project {name!r}.")
    return project


def _find_workflow(project: Project, workflow_id: int | None) -> Workflow | None:
    if workflow_id is None:
        return None
    workflow = Workflow.objects.filter(project=project, id=workflow_id).first()
    if workflow is None:
        raise CommandError(f"Project {project.slug} has no workflow {workflow_id}.")
    return workflow


def _unpack(source: Path, target: Path) -> Path:
    """Write the plain file; its name appears when it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.NamedTemporaryFile(dir=target.parent, prefix=".partial-", delete=False) as partial,
        gzip.open(source) as packed,
    ):
        shutil.copyfileobj(packed, partial, 1 << 20)
    path = Path(partial.name)
    path.chmod(0o644)
    return path.replace(target)
