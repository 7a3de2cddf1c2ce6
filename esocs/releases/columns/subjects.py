"""The subjects export: Panoptes' 11 columns, a row for each place of a subject in a set and a workflow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings

from esocs.projects.models import Subject
from esocs.releases.scope import Scope, compact_json, parse_jsonb, stream, time_text

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
         WHERE m.subject_id = s.id AND m.role = 'location')::text,
       COALESCE(st.classifications_count, 0),
       CASE WHEN st.retired_at <= %(as_of)s THEN st.retired_at AT TIME ZONE 'UTC' END,
       CASE WHEN st.retired_at <= %(as_of)s THEN st.retirement_reason ELSE '' END,
       s.created_at AT TIME ZONE 'UTC', s.updated_at AT TIME ZONE 'UTC'
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
LEFT JOIN crowd_subjectstatus st ON st.subject_id = s.id AND st.workflow_id = place.workflow_id
WHERE s.project_id = %(project)s AND s.created_at <= %(as_of)s
  AND (%(whole)s OR place.workflow_id = ANY(%(workflows)s))
ORDER BY s.id, place.subject_set_id, place.workflow_id
"""


def header(scope: Scope) -> Sequence[str]:  # noqa: ARG001 - the same for every scope
    return HEADER


def count(scope: Scope) -> int:
    return Subject.objects.filter(project=scope.project).count()


def rows(scope: Scope) -> Iterator[Sequence[Any]]:
    """The rows, in the order of subjects, sets and workflows."""
    parameters = {
        "project": scope.project.pk,
        "as_of": scope.as_of,
        "whole": scope.whole_project,
        "workflows": scope.workflow_ids,
    }
    media = scope.site + settings.MEDIA_URL
    for row in stream(ROWS, parameters):
        subject_id, project_id, workflow_id, set_id, metadata, paths, n, retired_at, reason, created, updated = row
        locations = {str(i): media + path for i, path in enumerate(parse_jsonb(paths or "[]"))}
        yield (
            subject_id,
            project_id,
            workflow_id,
            set_id,
            compact_json(parse_jsonb(metadata)),
            compact_json(locations),
            n,
            time_text(retired_at),
            reason,
            time_text(created),
            time_text(updated),
        )
