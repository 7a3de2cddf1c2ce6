"""Writes of this room: an export is ordered as a row and a job, and published whole. `Export` rows are the truth."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import cast

from django.conf import settings
from django.db import connection, transaction
from django.utils.text import slugify

from classifier.errors import EsocsError
from esocs.accounts.models import User
from esocs.jobs.services import enqueue
from esocs.projects.models import Project, Workflow
from esocs.releases import queries
from esocs.releases.columns import KINDS
from esocs.releases.models import Export
from esocs.releases.scope import Scope
from esocs.releases.writing import WrittenFile, write_csv

JOB = "releases.export"


class UnknownExportKindError(EsocsError):
    """There is no export of this kind."""

    code = "unknown_export_kind"
    status = 404


@transaction.atomic
def request_export(
    *, project: Project, kind: str, workflow: Workflow | None = None, user: User | None = None
) -> Export:
    """Order an export of a project, or of one workflow of it; one that is being made answers a second order.

    Raises:
        UnknownExportKindError: no such kind.
    """
    if kind not in KINDS:
        raise UnknownExportKindError(f"There is no export of {kind!r}.", hint=f"Kinds: {', '.join(KINDS)}.")
    # The project's row is the queue at this door: of two orders at once, the second finds the first.
    Project.objects.select_for_update().only("id").get(pk=project.pk)
    running = queries.find_latest_export(project=project, workflow=workflow, kind=kind)
    if running is not None and running.state == Export.State.CREATING and not queries.find_failure(running):
        return running
    export = Export.objects.create(project=project, workflow=workflow, kind=kind, requested_by=user)
    enqueue(JOB, key=queries.job_key(export), payload={"export_id": export.pk})
    return export


def write_export(
    export: Export,
    *,
    as_of: datetime | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Callable[[], None]:
    """Make the export's file.

    Args:
        export: the order.
        as_of: an earlier instant, whose file is to be made again; None: now.
        on_progress: called with the rows written and the rows expected.

    Returns:
        The effect to commit: it makes the row ready, and only the first of several does.
    """
    with transaction.atomic():
        scope = _read_scope(export, as_of or _now())
        columns = KINDS[export.kind]
        total = columns.count(scope)
        written = write_csv(
            folder=Path(settings.EXPORT_ROOT),
            name=f"{export.pk}-{file_name(export).removesuffix('.csv')}",
            header=columns.header(scope),
            rows=columns.rows(scope),
            on_progress=(lambda done: on_progress(done, max(total, done))) if on_progress else None,
        )
    return lambda: _publish(export, scope, written)


def _now() -> datetime:
    """The database's clock: rows written by earlier statements, of whichever transaction, are not younger."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        return cast("datetime", cursor.fetchone()[0])


def _read_scope(export: Export, as_of: datetime) -> Scope:
    one = export.workflow
    return Scope(
        project=export.project,
        workflows=[one] if one else list(Workflow.objects.filter(project=export.project).order_by("id")),
        whole_project=one is None,
        as_of=as_of,
        site=settings.PUBLIC_URL,
    )


def _publish(export: Export, scope: Scope, written: WrittenFile) -> None:
    Export.objects.filter(pk=export.pk, state=Export.State.CREATING).update(
        state=Export.State.READY,
        path=written.path.name,
        row_count=written.row_count,
        sha256=written.sha256,
        size_bytes=written.size_bytes,
        as_of=scope.as_of,
        updated_at=scope.as_of,
    )


def file_name(export: Export) -> str:
    """What the file is called when it is saved, as Panoptes calls it: `<name>-<kind>.csv`."""
    name = export.workflow.display_name if export.workflow else export.project.slug.rpartition("/")[2]
    return f"{slugify(name)[:80] or 'export'}-{export.kind}.csv"
