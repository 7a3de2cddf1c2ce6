"""The subjects export: Panoptes' 11 columns, a row for each place of a subject in a set and a workflow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings

from esocs.projects.models import Subject, is_remote
from esocs.releases.columns.foreign import is_imported
from esocs.releases.scope import Scope, compact_json, compact_jsonb, parse_jsonb, stream, time_text

HEADER = (
    "subject_id",
    "project_id",
    "workflow_id",
    "subject_set_id",
    "metadata",
    "locations",
    "classifications_count",
    "retired_at",
    "retirement_reason",
    "created_at",
    "updated_at",
)

# A subject may be published in a workflow by routing alone, without a set: that place has a workflow and no set.
# One in no set and no workflow has neither, as in Panoptes.
ROWS = """
SELECT s.id, s.project_id, place.workflow_id, place.subject_set_id, s.metadata::text,
       (SELECT json_agg(m.path ORDER BY m.position) FROM projects_media m
         WHERE m.subject_id = s.id AND m.role = 'location' AND NOT m.pending)::text,
       COALESCE(st.classifications_count, 0),
       CASE WHEN st.retired_at <= %(as_of)s THEN st.retired_at AT TIME ZONE 'UTC' END,
       CASE WHEN st.retired_at <= %(as_of)s THEN st.retirement_reason ELSE '' END,
       s.created_at AT TIME ZONE 'UTC', s.updated_at AT TIME ZONE 'UTC'{foreign_columns}
FROM projects_subject s
LEFT JOIN LATERAL (
    SELECT link.workflow_id, member.subject_set_id
    FROM projects_setmembersubject member
    LEFT JOIN projects_workflow_subject_sets link ON link.subjectset_id = member.subject_set_id
    WHERE member.subject_id = s.id
    UNION ALL
    SELECT routed.workflow_id, NULL
    FROM crowd_subjectstatus routed
    WHERE routed.subject_id = s.id AND NOT EXISTS (
        SELECT 1 FROM projects_setmembersubject member
        JOIN projects_workflow_subject_sets link ON link.subjectset_id = member.subject_set_id
        WHERE member.subject_id = s.id AND link.workflow_id = routed.workflow_id)
) place ON true
LEFT JOIN crowd_subjectstatus st ON st.subject_id = s.id AND st.workflow_id = place.workflow_id{foreign_joins}
WHERE s.project_id = %(project)s AND s.created_at <= %(as_of)s
  AND (%(whole)s OR place.workflow_id = ANY(%(workflows)s) OR place.subject_set_id = %(subject_set)s){chosen}
ORDER BY s.id, place.subject_set_id, place.workflow_id
"""

FOREIGN_COLUMNS = """,
       isu.foreign_id, isu.cells::text, ip.foreign_id, iw.foreign_id, iset.foreign_id, ist.counted,
       ist.classifications_count, ist.retired_at AT TIME ZONE 'UTC', ist.retirement_reason"""
FOREIGN_JOINS = """
LEFT JOIN releases_importedproject ip ON ip.project_id = s.project_id
LEFT JOIN releases_importedsubject isu ON isu.subject_id = s.id
LEFT JOIN releases_importedworkflow iw ON iw.workflow_id = place.workflow_id
LEFT JOIN releases_importedsubjectset iset ON iset.subject_set_id = place.subject_set_id
LEFT JOIN releases_importedstatus ist ON ist.status_id = st.id"""
FOREIGN = 11


def header(scope: Scope) -> Sequence[str]:  # noqa: ARG001 - the same for every scope
    return HEADER


def count(scope: Scope) -> int:
    rows = Subject.objects.filter(project=scope.project)
    return rows.filter(set_members__subject_set=scope.subject_set).count() if scope.subject_set else rows.count()


def rows(scope: Scope) -> Iterator[Sequence[Any]]:
    """The rows, in the order of subjects, sets and workflows."""
    return (row for _, row in rows_of(scope))


def rows_of(scope: Scope, *, only: Sequence[int] | None = None) -> Iterator[tuple[int, Sequence[Any]]]:
    """The rows, each with its subject's id; with `only` those of these subjects alone."""
    parameters = {
        "project": scope.project.pk,
        "as_of": scope.as_of,
        "whole": scope.whole_project,
        "workflows": [] if scope.subject_set else scope.workflow_ids,
        "subject_set": scope.subject_set.pk if scope.subject_set else None,
        "only": None if only is None else list(only),
    }
    imported = is_imported(scope.project)
    statement = ROWS.format(
        foreign_columns=FOREIGN_COLUMNS if imported else "",
        foreign_joins=FOREIGN_JOINS if imported else "",
        chosen="" if only is None else " AND s.id = ANY(%(only)s)",
    )
    for row in stream(statement, parameters):
        made = _row(row[:FOREIGN], scope)
        yield row[0], _under_foreign_names(made, row[FOREIGN:]) if imported else made


def _row(row: Sequence[Any], scope: Scope) -> list[Any]:
    subject_id, project_id, workflow_id, set_id, metadata, paths, n, retired_at, reason, created, updated = row
    site = scope.site + settings.MEDIA_URL
    locations = {str(i): path if is_remote(path) else site + path for i, path in enumerate(parse_jsonb(paths or "[]"))}
    return [
        subject_id,
        project_id,
        workflow_id,
        set_id,
        compact_jsonb(metadata),
        compact_json(locations),
        n,
        time_text(retired_at),
        reason,
        time_text(created),
        time_text(updated),
    ]


def _under_foreign_names(row: list[Any], there: Sequence[Any]) -> list[Any]:
    subject_id, cells, project_id, workflow_id, set_id, counted, count_there, retired_at, reason = there
    row[:4] = [known or own for known, own in zip((subject_id, project_id, workflow_id, set_id), row[:4], strict=True)]
    if counted is not None and count_there is not None:
        as_imported = row[6] == counted
        row[6] += count_there - counted
        if as_imported:
            row[7:9] = time_text(retired_at), reason
    for name, text in (parse_jsonb(cells) if cells else {}).items():
        row[HEADER.index(name)] = text
    return row
