"""`manage.py export`: make a project's files here and now, or have the workers make them."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.utils.dateparse import parse_datetime

from classifier.errors import EsocsError
from esocs.jobs import services as jobs
from esocs.jobs.command import JobCommand, Progress
from esocs.jobs.queries import wait_for
from esocs.projects.queries import get_project, select_workflows
from esocs.releases import queries, services
from esocs.releases.columns import KINDS
from esocs.releases.models import Export
from esocs.releases.queries import Variant, get_subject_set

ALL = "all"
ASKED_FOR = {
    Export.Kind.ANNOTATIONS,
    Export.Kind.EXTRACTS,
    Export.Kind.SUBJECT_REDUCTIONS,
    Export.Kind.USER_REDUCTIONS,
}
"""Kinds that are made only where they are named."""


class Command(JobCommand):
    help = (
        "Export a project's classifications, annotations, subjects, workflows and consensus, as Panoptes writes them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--project", required=True, metavar="SLUG|ID", help="owner/name, or the project's number")
        parser.add_argument("--workflow", type=int, metavar="ID", help="only this workflow of the project")
        parser.add_argument("--subject-set", type=int, metavar="ID", help="only the subjects of this set")
        parser.add_argument("--kind", default=ALL, choices=[*KINDS, ALL], help=f"{ALL}: Panoptes' and the consensus")
        parser.add_argument("--format", default="csv", choices=Export.Format.values)
        parser.add_argument("--pseudonymised", action="store_true", help="lasting pseudonyms in place of names")
        parser.add_argument("--last-id", type=int, metavar="ID", help="only classifications after this one")
        parser.add_argument(
            "--from", dest="created_from", type=_time, metavar="TIME", help="only those made then or later"
        )
        parser.add_argument(
            "--before", dest="created_before", type=_time, metavar="TIME", help="only those made earlier"
        )
        parser.add_argument("--output", type=Path, metavar="DIR", help="also write plain .csv files here")

    def handle(self, *_: Any, **options: Any) -> None:
        variant = Variant(
            format=options["format"],
            pseudonymised=options["pseudonymised"],
            after_id=options["last_id"],
            created_from=options["created_from"],
            created_before=options["created_before"],
        )
        try:
            project = get_project(options["project"])
            workflow = None
            if options["workflow"] is not None:
                [workflow] = select_workflows(project=project, workflow_id=options["workflow"])
            subject_set = None
            if options["subject_set"] is not None:
                subject_set = get_subject_set(project=project, subject_set_id=options["subject_set"])
            exports = [
                services.request_export(
                    project=project, workflow=workflow, subject_set=subject_set, kind=kind, variant=variant
                )
                for kind in _kinds(options["kind"], variant, of_set=subject_set is not None)
            ]
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
            path = _unpack(path, output / services.file_name(ready), packed=ready.format == Export.Format.CSV)
        self.stdout.write(f"{ready.kind:16s} {ready.row_count:>10,} rows  {path}")


def _kinds(named: str, variant: Variant, *, of_set: bool) -> list[str]:
    """The kind that was named, or all that can be had this way, without those that are for few."""
    if named != ALL:
        return [named]
    if variant.pseudonymised or variant.is_partial:
        return [Export.Kind.CLASSIFICATIONS]
    if of_set:
        return [Export.Kind.CLASSIFICATIONS, Export.Kind.SUBJECTS]
    return [kind for kind in KINDS if kind not in ASKED_FOR]


def _time(text: str) -> datetime:
    try:
        moment = parse_datetime(text) or parse_datetime(f"{text}T00:00:00")
    except ValueError:
        moment = None
    if moment is None:
        raise ArgumentTypeError(f"{text!r} is no time; write it as 2026-01-31 or 2026-01-31T12:00:00Z")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _unpack(source: Path, target: Path, *, packed: bool) -> Path:
    """Write the plain file; its name appears when it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.NamedTemporaryFile(dir=target.parent, prefix=".partial-", delete=False) as partial,
        gzip.open(source) if packed else source.open("rb") as file,
    ):
        shutil.copyfileobj(file, partial, 1 << 20)
    path = Path(partial.name)
    path.chmod(0o644)
    return path.replace(target)
