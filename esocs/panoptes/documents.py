"""Our rows as Panoptes' resources: string ids, every link present, labels as volunteers read them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db.models import Count, Prefetch, Q, QuerySet, Sum

from esocs.accounts.models import User
from esocs.crowd.models import Classification, SubjectStatus
from esocs.crowd.services import QueuedSubject, Recorded
from esocs.projects.models import Collection, Media, Project, Subject, SubjectSet, Workflow, is_remote

Document = dict[str, Any]
NOTHING_COUNTED = {"subjects": 0, "retired": 0, "classifications": 0}


def envelope(plural: str, documents: list[Document], meta: Mapping[str, Any] | None = None) -> Document:
    """Panoptes' frame around every answer: always an array, however many there are."""
    return {plural: documents, "links": {}, "meta": dict(meta or {})}


def timestamp(moment: datetime) -> str:
    """UTC with milliseconds, as JavaScript and Ruby on Rails write it."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def ids_of(rows: Iterable[Any]) -> list[str]:
    """The rows' ids as links write them."""
    return [str(row.pk) for row in rows]


# --- projects -----------------------------------------------------------------------------------------------------


def with_project_links(projects: QuerySet[Project]) -> QuerySet[Project]:
    """The rows with all that `project_documents` reads, in a fixed number of statements."""
    return projects.select_related("owner").prefetch_related(
        Prefetch("workflows", Workflow.objects.only("id", "active", "project_id").order_by("id")),
        Prefetch("subject_sets", SubjectSet.objects.only("id", "project_id").order_by("id")),
        "roles",
    )


def project_documents(projects: list[Project]) -> list[Document]:
    """Projects, of `with_project_links`."""
    counts = _count_statuses("workflow__project_id", [project.pk for project in projects])
    return [_project_document(project, counts.get(project.pk, NOTHING_COUNTED)) for project in projects]


def _project_document(project: Project, counts: Mapping[str, int]) -> Document:
    href = f"/projects/{project.pk}"
    workflows = list(project.workflows.all())
    return {
        "id": str(project.pk),
        "href": href,
        "display_name": project.display_name,
        "title": project.display_name,
        "slug": project.slug,
        "description": project.description,
        "introduction": project.introduction,
        "primary_language": project.primary_language,
        "available_languages": [project.primary_language],
        "live": project.live,
        "private": project.private,
        "launch_approved": project.live,
        "state": "live" if project.live else "development",
        "configuration": project.configuration,
        "tags": project.tags,
        "urls": project.urls,
        "researcher_quote": project.researcher_quote,
        "workflow_description": project.workflow_description,
        "redirect": "",
        "subjects_count": counts["subjects"],
        "retired_subjects_count": counts["retired"],
        "classifications_count": counts["classifications"],
        "completeness": _completeness(counts),
        "created_at": timestamp(project.created_at),
        "updated_at": timestamp(project.updated_at),
        "links": {
            "owner": owner_link(project.owner),
            "workflows": ids_of(workflows),
            "active_workflows": ids_of(workflow for workflow in workflows if workflow.active),
            "subject_sets": ids_of(project.subject_sets.all()),
            "project_roles": _first_roles(project),
            "pages": [],
            "organization": None,
            **{
                f"{kind}_export": {"href": f"{href}/{kind}_export", "type": f"{kind}_exports"}
                for kind in ("classifications", "subjects", "workflows")
            },
        },
    }


def _first_roles(project: Project) -> list[str]:
    """One id a person, whatever the number of their roles: that of their first row."""
    first: dict[int, int] = {}
    for row in project.roles.all():
        first[row.user_id] = min(row.pk, first.get(row.user_id, row.pk))
    return [str(pk) for pk in sorted(first.values())]


def owner_link(owner: User) -> Document:
    """A polymorphic link to a person."""
    name = str(owner)
    return {"id": str(owner.pk), "type": "users", "href": f"/users/{owner.pk}", "display_name": name}


def _completeness(counts: Mapping[str, int]) -> float:
    return round(counts["retired"] / counts["subjects"], 4) if counts["subjects"] else 0.0


def _count_statuses(group: str, ids: list[int]) -> dict[int, Mapping[str, int]]:
    """Published, retired and classified subjects, per workflow or per project, in one statement."""
    rows = (
        SubjectStatus.objects.filter(**{f"{group}__in": ids})
        .values_list(group)
        .annotate(
            subjects=Count("id"),
            retired=Count("id", filter=Q(state=SubjectStatus.State.RETIRED)),
            classifications=Sum("classifications_count", default=0),
        )
        .order_by()
    )
    return {key: {"subjects": n, "retired": retired, "classifications": sent} for key, n, retired, sent in rows}


# --- workflows ----------------------------------------------------------------------------------------------------


def workflow_documents(workflows: list[Workflow]) -> list[Document]:
    """Workflows whose `subject_sets` were prefetched."""
    counts = _count_statuses("workflow_id", [workflow.pk for workflow in workflows])
    return [_workflow_document(workflow, counts.get(workflow.pk, NOTHING_COUNTED)) for workflow in workflows]


def _workflow_document(workflow: Workflow, counts: Mapping[str, int]) -> Document:
    href = f"/workflows/{workflow.pk}"
    finished = 0 < counts["subjects"] == counts["retired"]
    return {
        "id": str(workflow.pk),
        "href": href,
        "display_name": workflow.display_name,
        "version": workflow.version,
        "active": workflow.active,
        "primary_language": workflow.primary_language,
        "content_language": workflow.primary_language,
        "first_task": workflow.first_task,
        "tasks": inject_strings(workflow.tasks, workflow.strings),
        "strings": workflow.strings,
        "steps": workflow.steps,
        "configuration": workflow.configuration,
        "retirement": workflow.retirement or {"criteria": "classification_count", "options": {"count": 15}},
        "prioritized": workflow.prioritized,
        "grouped": workflow.grouped,
        "pairwise": workflow.pairwise,
        "mobile_friendly": workflow.mobile_friendly,
        "public_gold_standard": workflow.public_gold_standard,
        "serialize_with_project": workflow.serialize_with_project,
        "display_order": workflow.display_order,
        "subjects_count": counts["subjects"],
        "retired_set_member_subjects_count": counts["retired"],
        "classifications_count": counts["classifications"],
        "completeness": _completeness(counts),
        "finished_at": timestamp(workflow.updated_at) if finished else None,
        "created_at": timestamp(workflow.created_at),
        "updated_at": timestamp(workflow.updated_at),
        "esocs": {"subject_kind": workflow.subject_kind},
        "links": {
            "project": str(workflow.project_id),
            "subject_sets": ids_of(workflow.subject_sets.all()),
            "tutorial_subject": str(workflow.tutorial_subject_id) if workflow.tutorial_subject_id else None,
            "published_version": None,
            "classifications_export": {
                "href": f"{href}/classifications_export",
                "type": "classifications_exports",
            },
        },
    }


def inject_strings(tasks: Mapping[str, Any], strings: Mapping[str, str]) -> Document:
    """Task objects with their texts in the place of the texts' keys, as Panoptes' API gives them."""

    def visit(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: visit(item) for key, item in value.items()}
        if isinstance(value, list):
            return [visit(item) for item in value]
        return strings.get(value, value) if isinstance(value, str) else copy.copy(value)

    injected: Document = visit(dict(tasks))
    return injected


# --- subjects -----------------------------------------------------------------------------------------------------


def with_subject_links(subjects: QuerySet[Subject]) -> QuerySet[Subject]:
    """The rows with all that `subject_document` reads."""
    return subjects.prefetch_related(
        Prefetch("media", Media.objects.order_by("position")),
        Prefetch("collections", Collection.objects.filter(private=False).only("id")),
        "set_members",
    )


def absolute(url: str, *, site: str) -> str:
    """A medium's address for a client: remote media keep theirs, whatever path the queue wrote before it."""
    rest = url.removeprefix(settings.MEDIA_URL)
    return rest if is_remote(rest) else site + url


def subject_document(subject: Subject, *, site: str, uploads: Mapping[int, str] | None = None) -> Document:
    """A subject of `with_subject_links`.

    Args:
        subject: which.
        site: the address of this server, without a slash.
        uploads: where the files of these media are to be PUT, in the place of the address they will have.
    """
    uploads = uploads or {}
    media = list(subject.media.all())
    numbers = {row.role: row.url for row in media if row.role != Media.Role.LOCATION}
    members = list(subject.set_members.all())
    return {
        "id": str(subject.pk),
        "href": f"/subjects/{subject.pk}",
        "metadata": subject.metadata,
        "locations": [
            {row.media_type: uploads.get(row.pk) or absolute(row.url, site=site)}
            for row in media
            if row.role == Media.Role.LOCATION
        ],
        "created_at": timestamp(subject.created_at),
        "updated_at": timestamp(subject.updated_at),
        "esocs": _numbers_document(
            subject.kind,
            spectrum_data=numbers.get(Media.Role.SPECTRUM_DATA),
            plane=numbers.get(Media.Role.PLANE),
            site=site,
        ),
        "links": {
            "project": str(subject.project_id),
            "collections": ids_of(subject.collections.all()),
            "subject_sets": [str(member.subject_set_id) for member in members],
            "set_member_subjects": ids_of(members),
        },
    }


def _numbers_document(kind: str, *, spectrum_data: str | None, plane: str | None, site: str) -> Document:
    """What a subject has beside Panoptes' members: the numbers behind what is shown."""
    return {
        "kind": kind,
        "spectrum_data": spectrum_data and site + spectrum_data,
        "plane": plane and site + plane,
    }


def queued_subject_document(subject: QueuedSubject, *, site: str, project_id: int) -> Document:
    """A subject as the queue hands it out. Nothing that this volunteer saw or that has retired is ever handed out."""
    return {
        "id": str(subject.subject_id),
        "href": f"/subjects/{subject.subject_id}",
        "metadata": subject.metadata,
        "locations": [{media_type: absolute(url, site=site)} for media_type, url in subject.locations],
        "created_at": timestamp(subject.created_at),
        "updated_at": timestamp(subject.updated_at),
        "retired": False,
        "already_seen": False,
        "finished_workflow": False,
        "user_has_finished_workflow": False,
        "favorite": False,
        "selection_state": "normal",
        "selected_at": timestamp(subject.selected_at),
        "esocs": _numbers_document(
            subject.kind, spectrum_data=subject.spectrum_data_url, plane=subject.plane_url, site=site
        ),
        "links": {"project": str(project_id), "collections": [], "subject_sets": [], "set_member_subjects": []},
    }


# --- classifications ----------------------------------------------------------------------------------------------


def classification_document(classification: Classification) -> Document:
    """A stored classification; `workflow` and `volunteer` were selected with it."""
    version = f"{classification.workflow_major}.{classification.workflow_minor}"
    user_id = classification.volunteer.user_id
    return {
        "id": str(classification.pk),
        "href": f"/classifications/{classification.pk}",
        "annotations": classification.annotations,
        "metadata": {**classification.metadata, "workflow_version": version},
        "completed": True,
        "gold_standard": classification.gold_standard or None,
        "created_at": timestamp(classification.created_at),
        "updated_at": timestamp(classification.created_at),
        "links": {
            "project": str(classification.workflow.project_id),
            "workflow": str(classification.workflow_id),
            "user": str(user_id) if user_id else None,
            "user_group": None,
            "subjects": [str(classification.subject_id)],
        },
    }


def recorded_document(
    recorded: Recorded,
    *,
    project_id: int,
    workflow_id: int,
    workflow_version: str,
    subject_id: int,
    user_id: int | None,
) -> Document:
    """What was just stored, in `classification_document`'s form, without reading it back."""
    created_at = timestamp(recorded.created_at)
    return {
        "id": str(recorded.id),
        "href": f"/classifications/{recorded.id}",
        "annotations": recorded.annotations,
        "metadata": {**recorded.metadata, "workflow_version": workflow_version},
        "completed": True,
        "gold_standard": recorded.gold_standard or None,
        "created_at": created_at,
        "updated_at": created_at,
        "links": {
            "project": str(project_id),
            "workflow": str(workflow_id),
            "user": str(user_id) if user_id else None,
            "user_group": None,
            "subjects": [str(subject_id)],
        },
    }


# --- people -------------------------------------------------------------------------------------------------------


def user_document(user: User, *, private: bool) -> Document:
    """A person; `private` adds what only they themselves are told."""
    document: Document = {
        "id": str(user.pk),
        "href": f"/users/{user.pk}",
        "type": "users",
        "login": user.login,
        "display_name": str(user),
        "credited_name": user.credited_name,
        "created_at": timestamp(user.created_at),
        "updated_at": timestamp(user.updated_at),
        "links": {},
    }
    if private:
        document |= {"email": user.email, "admin": user.is_staff}
    return document
