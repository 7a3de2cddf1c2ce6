"""The workflows export: Panoptes' 16 columns, one row a version. `projects.WorkflowVersion` is the source of truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, Sum

from esocs.crowd.models import Classification, SubjectStatus
from esocs.projects.models import Workflow, WorkflowVersion
from esocs.releases.models import ImportedVersion, ImportedWorkflow
from esocs.releases.rules import strings_for_export, tasks_for_export
from esocs.releases.scope import Scope, boolean, compact_json

HEADER = (
    "workflow_id",
    "display_name",
    "version",
    "active",
    "classifications_count",
    "pairwise",
    "grouped",
    "prioritized",
    "primary_language",
    "first_task",
    "tutorial_subject_id",
    "retired_set_member_subjects_count",
    "tasks",
    "retirement",
    "strings",
    "minor_version",
)


def header(scope: Scope) -> Sequence[str]:  # noqa: ARG001 - the same for every scope
    return HEADER


def _versions(scope: Scope) -> Any:
    stored = WorkflowVersion.objects.filter(workflow_id__in=scope.workflow_ids, created_at__lte=scope.as_of)
    return stored.select_related("workflow").order_by("workflow_id", "major", "minor")


def count(scope: Scope) -> int:
    return int(_versions(scope).count())


def rows(scope: Scope) -> Iterator[Sequence[Any]]:
    """One row a version, the oldest first."""
    return (row for _, row in rows_by_version(scope))


def rows_by_version(scope: Scope, *, version_ids: Sequence[int] | None = None) -> Iterator[tuple[int, Sequence[Any]]]:
    """The rows, each with its version's id; with `version_ids` those alone."""
    counted = (
        SubjectStatus.objects.filter(workflow_id__in=scope.workflow_ids)
        .values_list("workflow_id")
        .annotate(sent=Sum("classifications_count"), retired=Count("id", filter=Q(state=SubjectStatus.State.RETIRED)))
        .order_by()
    )
    counts = {workflow_id: (sent, retired) for workflow_id, sent, retired in counted}
    imported = _imported(scope)
    stored = _versions(scope) if version_ids is None else _versions(scope).filter(pk__in=version_ids)
    for version in stored.iterator(chunk_size=200):
        workflow = version.workflow
        classifications, retired = counts.get(workflow.pk, (0, 0))
        made = (
            workflow.pk,
            workflow.display_name,
            version.major,
            boolean(workflow.active),
            classifications,
            boolean(version.pairwise),
            boolean(version.grouped),
            boolean(version.prioritized),
            workflow.primary_language,
            version.first_task,
            None,
            retired,
            compact_json(tasks_for_export(version.tasks, version.strings)),
            compact_json(version.retirement),
            compact_json(strings_for_export(version.strings, version.tasks)),
            version.minor,
        )
        known = imported.get(workflow.pk)
        yield version.pk, made if known is None else _under_foreign_names(made, version.pk, *known)


Imported = tuple[ImportedWorkflow, dict[int, dict[str, str]]]
"""An imported workflow, and by version the texts of its export where ours differ."""


def _imported(scope: Scope) -> dict[int, Imported]:
    """The imported workflows; counts of one that somebody has classified in since are our own."""
    found: dict[int, Imported] = {}
    own = Classification.objects.filter(workflow=OuterRef("pk"), imported=None)
    here = set(Workflow.objects.filter(Exists(own), pk__in=scope.workflow_ids).values_list("pk", flat=True))
    for known in ImportedWorkflow.objects.filter(workflow_id__in=scope.workflow_ids):
        rows = ImportedVersion.objects.filter(version__workflow_id=known.workflow_id)
        cells = dict(rows.values_list("version_id", "cells"))
        for texts in cells.values() if known.workflow_id in here else ():
            for name in ("classifications_count", "retired_set_member_subjects_count"):
                texts.pop(name, None)
        found[known.workflow_id] = known, cells
    return found


def _under_foreign_names(
    row: Sequence[Any], version_id: int, known: ImportedWorkflow, cells: dict[int, dict[str, str]]
) -> Sequence[Any]:
    named = {"workflow_id": known.foreign_id, "display_name": known.display_name, **cells.get(version_id, {})}
    return [named.get(name, value) for name, value in zip(HEADER, row, strict=True)]
