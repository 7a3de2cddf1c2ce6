"""Writes of this room: an export is ordered as a row and a job, and published whole. `Export` rows are the truth."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import cast

from django.conf import settings
from django.db import connection, transaction
from django.utils.text import slugify

from classifier.errors import EsocsError
from esocs.accounts.models import User
from esocs.jobs.services import enqueue
from esocs.projects.models import Project, SubjectSet, Workflow
from esocs.releases import queries
from esocs.releases.columns import KINDS, Columns
from esocs.releases.models import Export
from esocs.releases.queries import Variant
from esocs.releases.scope import Scope
from esocs.releases.writing import WrittenFile, write_csv, write_lines

JOB = "releases.export"


class UnknownExportKindError(EsocsError):
    """There is no export of this kind."""

    code = "unknown_export_kind"
    status = 404


class ExportVariantError(EsocsError):
    """An export of this kind cannot be had that way."""

    code = "export_variant"
    status = 422


@transaction.atomic
def request_export(
    *,
    project: Project,
    kind: str,
    workflow: Workflow | None = None,
    subject_set: SubjectSet | None = None,
    variant: Variant | None = None,
    user: User | None = None,
) -> Export:
    """Order an export of a project, one of its workflows or subject sets; one in the making answers a second order.

    Args:
        project: whose rows.
        kind: of `KINDS`.
        workflow: its rows alone.
        subject_set: its subjects' rows alone.
        variant: format, names and which part of the rows; None: all rows as CSV, as Panoptes writes it.
        user: who orders.

    Raises:
        UnknownExportKindError: no such kind.
        ExportVariantError: of a kind that has no such variant.
    """
    if kind not in KINDS:
        raise UnknownExportKindError(f"There is no export of {kind!r}.", hint=f"Kinds: {', '.join(KINDS)}.")
    variant = variant or Variant()
    _refuse(kind, variant, subject_set)
    # The project's row is the queue at this door: of two orders at once, the second finds the first.
    Project.objects.select_for_update().only("id").get(pk=project.pk)
    running = queries.find_latest_export(
        project=project, workflow=workflow, subject_set=subject_set, kind=kind, variant=variant
    )
    if running is not None and running.state == Export.State.CREATING and not queries.find_failure(running):
        return running
    export = Export.objects.create(
        project=project,
        workflow=workflow,
        subject_set=subject_set,
        kind=kind,
        requested_by=user,
        **variant.columns(),
    )
    enqueue(JOB, key=queries.job_key(export), payload={"export_id": export.pk})
    return export


def _refuse(kind: str, variant: Variant, subject_set: SubjectSet | None) -> None:
    of_votes = kind in {Export.Kind.CLASSIFICATIONS, Export.Kind.ANNOTATIONS}
    if not of_votes and variant.is_partial:
        raise ExportVariantError(f"An export of {kind} has no part.", hint="Order classifications or annotations.")
    if not of_votes and variant.pseudonymised:
        raise ExportVariantError(
            f"There is no pseudonymised export of {kind}.", hint="Order classifications or annotations."
        )
    if subject_set is not None and not of_votes and kind != Export.Kind.SUBJECTS:
        raise ExportVariantError(f"A subject set has no export of {kind}.", hint="Order the project's.")


def write_export(
    export: Export,
    *,
    as_of: datetime | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Callable[[], None]:
    """Make the export's file.

    A job that is killed is done again from the first row, as of the instant at which it began the first time: the file
    is the same, and nothing of the first attempt can be taken for it.

    Args:
        export: the order.
        as_of: an earlier instant, whose file is to be made again; None: the order's own, which is now at first.
        on_progress: called with the rows written and the rows expected.

    Returns:
        The effect to commit: it makes the row ready, and only the first of several does.
    """
    as_of = as_of or _begin(export)
    with transaction.atomic():
        scope = read_scope(export, as_of)
        columns = KINDS[export.kind]
        total = columns.count(scope)
        written = _writer(export.format, columns, scope)(
            folder=Path(settings.EXPORT_ROOT),
            name=f"{export.pk}-{file_name(export).rpartition('.')[0]}",
            header=columns.header(scope),
            on_progress=(lambda done: on_progress(done, max(total, done))) if on_progress else None,
        )
    return lambda: _publish(export, scope, written)


def _writer(file_format: str, columns: Columns, scope: Scope) -> Callable[..., WrittenFile]:
    if file_format == Export.Format.PARQUET:
        from esocs.releases.parquet import write_parquet

        return partial(write_parquet, rows=columns.rows(scope))
    if columns.lines is not None:
        return partial(write_lines, lines=columns.lines(scope))
    return partial(write_csv, rows=columns.rows(scope))


def _begin(export: Export) -> datetime:
    """The instant of the first attempt, kept by the row."""
    Export.objects.filter(pk=export.pk, as_of=None).update(as_of=_now())
    export.refresh_from_db(fields=["as_of"])
    assert export.as_of is not None
    return export.as_of


def _now() -> datetime:
    """The database's clock: rows written by earlier statements, of whichever transaction, are not younger."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        return cast("datetime", cursor.fetchone()[0])


def read_scope(export: Export, as_of: datetime) -> Scope:
    """Which rows an order is about."""
    one = export.workflow
    return Scope(
        project=export.project,
        workflows=[one] if one else list(Workflow.objects.filter(project=export.project).order_by("id")),
        whole_project=one is None and export.subject_set_id is None,
        as_of=as_of,
        site=settings.PUBLIC_URL,
        subject_set=export.subject_set,
        after_id=queries.find_own_id(export.project, export.after_id),
        created_from=export.created_from,
        created_before=export.created_before,
        pseudonymised=export.pseudonymised,
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
    named = export.workflow or export.subject_set
    name = named.display_name if named else export.project.slug.rpartition("/")[2]
    what = f"{export.kind}-pseudonymised" if export.pseudonymised else export.kind
    return f"{slugify(name)[:80] or 'export'}-{what}.{export.format}"
