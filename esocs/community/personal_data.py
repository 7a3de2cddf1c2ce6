"""Everything that is kept of a person, as one JSON document that is written while it is read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from esocs.accounts.models import User, Volunteer
from esocs.community.models import Comment, CommentReport
from esocs.crowd.models import Assignment, Classification, Skill
from esocs.projects.models import Collection, ProjectPreference, ProjectRole

ROWS_AT_ONCE = 2_000


def write_personal_data(user: User) -> Iterator[str]:
    """A person's data in pieces of one JSON object; memory stays flat for however many classifications."""
    volunteer = Volunteer.objects.filter(user=user).first()
    volunteer_id = volunteer.pk if volunteer else 0
    yield '{"account":' + _json(_account(user))
    yield from _members("classifications", _classifications(volunteer_id))
    yield from _members("skill", _skill(volunteer_id))
    yield from _members("reservations", _reservations(volunteer_id))
    yield from _members("comments", _comments(user))
    yield from _members("reports", _reports(user))
    yield from _members("collections", _collections(user))
    yield from _members("preferences", _preferences(user))
    yield from _members("roles", _roles(user))
    yield "}\n"


def _json(value: Any) -> str:
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)


def _members(name: str, rows: Iterable[Any]) -> Iterator[str]:
    yield f',\n"{name}":['
    between = "\n"
    for row in rows:
        yield between + _json(row)
        between = ",\n"
    yield "]"


def _account(user: User) -> dict[str, Any]:
    names = ("login", "display_name", "credited_name", "email", "created_at", "last_login")
    return {name: getattr(user, name) for name in names}


def _classifications(volunteer_id: int) -> Iterator[Mapping[str, Any]]:
    rows = Classification.objects.filter(volunteer_id=volunteer_id).order_by("id")
    return rows.values(
        "id",
        "workflow_id",
        "workflow__display_name",
        "workflow_major",
        "workflow_minor",
        "subject_id",
        "annotations",
        "metadata",
        "counted",
        "gold_standard",
        "created_at",
    ).iterator(chunk_size=ROWS_AT_ONCE)


def _skill(volunteer_id: int) -> Iterator[Mapping[str, Any]]:
    rows = Skill.objects.filter(volunteer_id=volunteer_id, epoch__current=True).order_by("epoch__workflow", "task_key")
    return rows.values(
        "epoch__workflow_id", "task_key", "accuracy", "skill_bits", "answers_fitted", "gold_seen", "gold_right", "muted"
    ).iterator()


def _reservations(volunteer_id: int) -> Iterator[Mapping[str, Any]]:
    rows = Assignment.objects.filter(volunteer_id=volunteer_id).order_by("id")
    return rows.values("status__workflow_id", "status__subject_id", "served_at", "expires_at").iterator()


def _comments(user: User) -> Iterator[Mapping[str, Any]]:
    rows = Comment.objects.filter(author=user).order_by("id")
    return rows.values("id", "project_id", "subject_id", "body", "state", "created_at", "edited_at").iterator()


def _reports(user: User) -> Iterator[Mapping[str, Any]]:
    rows = CommentReport.objects.filter(reporter=user).order_by("id")
    return rows.values("comment_id", "reason", "created_at", "verdict").iterator()


def _collections(user: User) -> Iterator[Mapping[str, Any]]:
    for collection in Collection.objects.filter(owner=user).order_by("id"):
        yield {
            "slug": collection.slug,
            "display_name": collection.display_name,
            "description": collection.description,
            "private": collection.private,
            "favorite": collection.favorite,
            "subjects": list(collection.subjects.order_by("id").values_list("id", flat=True)),
        }


def _preferences(user: User) -> Iterator[Mapping[str, Any]]:
    rows = ProjectPreference.objects.filter(user=user).order_by("id")
    return rows.values("project_id", "preferences", "settings", "email_communication").iterator()


def _roles(user: User) -> Iterator[Mapping[str, Any]]:
    return ProjectRole.objects.filter(user=user).order_by("id").values("project_id", "role").iterator()
