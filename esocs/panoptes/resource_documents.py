"""More of our rows as Panoptes' resources: what surrounds projects, workflows and subjects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Count

from esocs.crowd.models import SubjectStatus
from esocs.panoptes.documents import Document, ids_of, inject_strings, owner_link, timestamp
from esocs.projects.models import (
    Collection,
    FieldGuide,
    ProjectPreference,
    ProjectRole,
    SetMemberSubject,
    SubjectSet,
    Translation,
    Tutorial,
    WorkflowVersion,
)


def _base(plural: str, row: Any, *, updated_at: datetime | None = None) -> Document:
    return {
        "id": str(row.pk),
        "href": f"/{plural}/{row.pk}",
        "created_at": timestamp(row.created_at),
        "updated_at": timestamp(updated_at or row.updated_at),
    }


def _text(pk: int | None) -> str | None:
    return None if pk is None else str(pk)


# --- subject sets -------------------------------------------------------------------------------------------------


def subject_set_documents(rows: Sequence[SubjectSet]) -> list[Document]:
    """Subject sets whose `workflows` were prefetched; members and retired subjects are counted in two statements."""
    ids = [row.pk for row in rows]
    members = SetMemberSubject.objects.filter(subject_set__in=ids).values_list("subject_set_id")
    counts = dict(members.annotate(n=Count("id")).order_by())
    done = _completeness(ids, counts)
    return [
        {
            **_base("subject_sets", row),
            "display_name": row.display_name,
            "metadata": row.metadata,
            "set_member_subjects_count": counts.get(row.pk, 0),
            "completeness": done.get(row.pk, {}),
            "links": {
                "project": str(row.project_id),
                "workflows": ids_of(row.workflows.all()),
                "subjects": [],
                "classifications_export": {
                    "href": f"/subject_sets/{row.pk}/classifications_export",
                    "type": "classifications_exports",
                },
            },
        }
        for row in rows
    ]


def _completeness(ids: list[int], counts: dict[int, int]) -> dict[int, dict[str, float]]:
    """Subject set → workflow → share of its subjects that have retired there."""
    retired = (
        SubjectStatus.objects.filter(state="retired", subject__set_members__subject_set__in=ids)
        .values_list("subject__set_members__subject_set_id", "workflow_id")
        .annotate(n=Count("id"))
        .order_by()
    )
    done: dict[int, dict[str, float]] = {}
    for subject_set_id, workflow_id, n in retired:
        if subject_set_id in counts:
            done.setdefault(subject_set_id, {})[str(workflow_id)] = round(n / counts[subject_set_id], 4)
    return done


def set_member_document(row: SetMemberSubject) -> Document:
    """A subject's place in a set."""
    return {
        **_base("set_member_subjects", row, updated_at=row.created_at),
        "priority": row.priority,
        "links": {"subject_set": str(row.subject_set_id), "subject": str(row.subject_id)},
    }


def status_document(row: SubjectStatus) -> Document:
    """A subject's way through a workflow, `subject` selected with it. Zooniverse: subject_workflow_status."""
    return {
        **_base("subject_workflow_statuses", row),
        "classifications_count": row.classifications_count,
        "retired_at": timestamp(row.retired_at) if row.retired_at else None,
        "retirement_reason": row.retirement_reason or None,
        "links": {"subject": str(row.subject_id), "workflow": str(row.workflow_id)},
    }


# --- workflow versions --------------------------------------------------------------------------------------------


def version_document(row: WorkflowVersion) -> Document:
    """What a workflow asked at one version, texts in their places."""
    return {
        **_base("workflow_versions", row, updated_at=row.created_at),
        "major_number": row.major,
        "minor_number": row.minor,
        "version": f"{row.major}.{row.minor}",
        "first_task": row.first_task,
        "tasks": inject_strings(row.tasks, row.strings),
        "strings": row.strings,
        "grouped": row.grouped,
        "pairwise": row.pairwise,
        "prioritized": row.prioritized,
        "links": {
            "workflow": str(row.workflow_id),
            "item": {"id": str(row.workflow_id), "type": "workflows", "href": f"/workflows/{row.workflow_id}"},
        },
    }


# --- people in a project ------------------------------------------------------------------------------------------


def role_documents(rows: Iterable[ProjectRole]) -> list[Document]:
    """One resource a person and project: the roles are an array. `user` and `project` were selected with the rows."""
    held: dict[tuple[int, int], list[ProjectRole]] = {}
    for row in rows:
        held.setdefault((row.project_id, row.user_id), []).append(row)
    return [
        {
            "id": str(min(row.pk for row in roles)),
            "href": f"/project_roles/{min(row.pk for row in roles)}",
            "roles": sorted(row.role for row in roles),
            "links": {"project": str(project_id), "owner": owner_link(roles[0].user)},
        }
        for (project_id, _), roles in held.items()
    ]


def preference_document(row: ProjectPreference) -> Document:
    """What a volunteer chose in a project and was set there."""
    return {
        **_base("project_preferences", row),
        "preferences": row.preferences,
        "settings": row.settings,
        "email_communication": row.email_communication,
        "activity_count": 0,
        "activity_count_by_workflow": {},
        "links": {"project": str(row.project_id), "user": str(row.user_id)},
    }


# --- guides and translations --------------------------------------------------------------------------------------


def tutorial_document(row: Tutorial) -> Document:
    """A tutorial whose `workflows` were prefetched."""
    return {
        **_base("tutorials", row),
        "display_name": row.display_name,
        "language": row.language,
        "kind": row.kind or None,
        "steps": row.steps,
        "configuration": row.configuration,
        "links": {
            "project": str(row.project_id),
            "workflows": ids_of(row.workflows.all()),
            "attached_images": {"href": f"/tutorials/{row.pk}/attached_images", "type": "attached_images"},
        },
    }


def field_guide_document(row: FieldGuide) -> Document:
    """A field guide."""
    return {
        **_base("field_guides", row),
        "language": row.language,
        "items": row.items,
        "links": {
            "project": str(row.project_id),
            "attached_images": {"href": f"/field_guides/{row.pk}/attached_images", "type": "attached_images"},
        },
    }


def translation_document(row: Translation) -> Document:
    """A resource's texts in another language."""
    return {
        **_base("translations", row),
        **_translated(row.kind, row.resource_id, row.language, row.strings),
    }


def own_translation_document(kind: str, resource: Any, language: str, strings: dict[str, str]) -> Document:
    """A resource's texts in its own language: no row of its own, so its id names what it was read from."""
    return {
        "id": f"{kind}-{resource.pk}-{language}",
        "href": f"/translations/{kind}-{resource.pk}-{language}",
        "created_at": timestamp(resource.created_at),
        "updated_at": timestamp(resource.updated_at),
        **_translated(kind, resource.pk, language, strings),
    }


def _translated(kind: str, resource_id: int, language: str, strings: dict[str, str]) -> Document:
    return {
        "translated_type": kind.title().replace("_", ""),
        "translated_id": resource_id,
        "language": language,
        "strings": strings,
        "string_versions": {},
        "links": {
            "translated": {"id": str(resource_id), "type": f"{kind}s", "href": f"/{kind}s/{resource_id}"},
            "published_version": None,
        },
    }


# --- collections --------------------------------------------------------------------------------------------------


def collection_document(row: Collection) -> Document:
    """A collection whose `owner` was selected, `projects` and `subjects` prefetched."""
    projects = ids_of(row.projects.all())
    return {
        **_base("collections", row),
        "display_name": row.display_name,
        "name": row.display_name,
        "slug": row.slug,
        "description": row.description,
        "private": row.private,
        "favorite": row.favorite,
        "default_subject_src": None,
        "links": {
            "owner": owner_link(row.owner),
            "project": projects[0] if projects else None,
            "projects": projects,
            "subjects": ids_of(row.subjects.all()),
            "default_subject": _text(row.default_subject_id),
            "collection_roles": [str(row.pk)],
        },
    }
