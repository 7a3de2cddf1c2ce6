"""`manage.py export`: make a project's files here and now, or have the workers make them."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from classifier.errors import EsocsError
from esocs.jobs import services as jobs
from esocs.jobs.command import JobCommand, Progress
from esocs.jobs.queries import wait_for
from esocs.projects.queries import get_project, select_workflows
from esocs.releases import queries, services
from esocs.releases.columns import KINDS
from esocs.releases.models import Export

ALL = "all"


class Command(JobCommand):
    help = "Export a project's classifications, subjects, workflows and consensus as CSV, as Panoptes writes them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--project", required=True, metavar="SLUG|ID", help="owner/name, or the project's number")
        parser.add_argument("--workflow", type=int, metavar="ID", help="only this workflow of the project")
        parser.add_argument("--kind", default=ALL, choices=[*KINDS, ALL])
        parser.add_argument("--output", type=Path, metavar="DIR", help="also write plain .csv files here")

    def handle(self, *_: Any, **options: Any) -> None:
        kinds = list(KINDS) if options["kind"] == ALL else [options["kind"]]
        try:
            project = get_project(options["project"])
            workflow = None
            if options["workflow"] is not None:
                [workflow] = select_workflows(project=project, workflow_id=options["workflow"])
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
            # A failed attempt waits for a worker's second one; whoever works alone wants to know now.
            for error in queries.list_first_errors(job_ids):
                raise CommandError(error)
        # Without `--workers` too: a worker may have been quicker to claim one.
        progress = Progress("exporting")
        wait_for(job_ids, on_progress=progress)
        progress.close()

    def _report(self, export: Export, output: Path | None) -> None:
        ready = queries.find_export(export.pk)
        assert ready is not None
        path = queries.export_path(ready)
        if output is not None:
            path = _unpack(path, output / services.file_name(ready))
        self.stdout.write(f"{ready.kind:16s} {ready.row_count:>10,} rows  {path}")


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
