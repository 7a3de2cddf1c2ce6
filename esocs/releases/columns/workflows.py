"""The workflows export: Panoptes' 16 columns, one row a version. `projects.WorkflowVersion` is the source of truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.db.models import Count, Q, Sum

from esocs.crowd.models import SubjectStatus
from esocs.projects.models import WorkflowVersion
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
    counted = (
        SubjectStatus.objects.filter(workflow_id__in=scope.workflow_ids)
        .values_list("workflow_id")
        .annotate(sent=Sum("classifications_count"), retired=Count("id", filter=Q(state=SubjectStatus.State.RETIRED)))
        .order_by()
    )
    counts = {workflow_id: (sent, retired) for workflow_id, sent, retired in counted}
    for version in _versions(scope).iterator(chunk_size=200):
        workflow = version.workflow
        classifications, retired = counts.get(workflow.pk, (0, 0))
        yield (
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
            compact_json(tasks_for_export(version.tasks)),
            compact_json(version.retirement),
            compact_json(strings_for_export(version.strings)),
            version.minor,
        )
