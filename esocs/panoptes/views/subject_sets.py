"""/api/subject_sets and /api/set_member_subjects: which subjects belong together."""

from __future__ import annotations

from typing import Any

from django.db.models import Model, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from esocs.crowd import by_hand
from esocs.panoptes import schema
from esocs.panoptes.bodies import read_link_ids
from esocs.panoptes.documents import Document
from esocs.panoptes.parameters import parse_id, read_ids
from esocs.panoptes.resource_documents import set_member_document, subject_set_documents
from esocs.panoptes.resource_schemas import describe, describe_links
from esocs.panoptes.views.resources import Changed, Created, Deleted, Listed, Resource, Shown
from esocs.projects.access import list_visible_subject_sets
from esocs.projects.editing import delete_unused
from esocs.projects.models import SetMemberSubject, SubjectSet
from esocs.projects.subjects import (
    change_subject_set,
    create_subject_set,
    link_subjects,
    link_workflows,
    unlink_subjects,
)


class SubjectSets(Resource):
    """Subject sets of the projects that the asker may see."""

    plural = "subject_sets"
    noun = "subject set"

    def visible(self) -> QuerySet[Any]:
        return list_visible_subject_sets(self.identity).select_related("project").prefetch_related("workflows")

    def documents(self, rows: list[Any]) -> list[Document]:
        return subject_set_documents(rows)


@describe(
    "subject_set",
    "SubjectSet",
    schema.query("project_id", "Only this project's."),
    schema.query("workflow_id", "Only this workflow's."),
    schema.query("subject_id", "Only those with this subject."),
    schema.query("id", "Ids, separated by commas."),
)
class SubjectSetList(SubjectSets, Listed, Created):
    """Subject sets; and the place to make one."""

    new_body = "SUBJECT_SET_NEW"

    selected_by = {"project_id": "project_id", "workflow_id": "workflows", "subject_id": "members__subject"}

    def create(self, sent: dict[str, Any]) -> Model:
        links = sent["links"]
        subject_ids = [int(each) for each in links.get("subjects", [])]
        subject_set = create_subject_set(
            project=self.edited_project(links["project"]),
            display_name=sent["display_name"],
            metadata=sent.get("metadata"),
            workflow_ids=[int(each) for each in links.get("workflows", [])],
            subject_ids=subject_ids,
        )
        by_hand.open_subjects(subject_ids)
        return subject_set


@describe("subject_set", "SubjectSet")
class SubjectSetDetail(SubjectSets, Shown, Changed, Deleted):
    """One subject set."""

    change_body = "SUBJECT_SET_CHANGE"

    def change(self, row: SubjectSet, sent: dict[str, Any]) -> Model:
        columns = {name: value for name, value in sent.items() if name != "links"}
        changed = change_subject_set(row, changes=columns, seen_at=row.updated_at)
        ids = [int(each) for each in sent.get("links", {}).get("workflows", [])]
        for workflow in link_workflows(changed, ids):
            by_hand.open_sets(workflow)
        return changed

    def remove(self, row: SubjectSet) -> None:
        delete_unused(row)


@describe_links("subject_set", "SubjectSet", "subject_sets")
class SubjectSetSubjects(SubjectSets):
    """`/api/subject_sets/:id/links/subjects`: which subjects are in it."""

    def post(self, request: Request, pk: str) -> Response:
        subject_set = self.find(pk)
        self.require_editor(subject_set)
        subject_ids = read_link_ids(request.data, "subjects")
        link_subjects(subject_set, subject_ids)
        by_hand.open_subjects(subject_ids)
        return self.answer_row(subject_set)


@describe_links("subject_set_subject", "SubjectSet", "subject_sets")
class SubjectSetSubjectsTaken(SubjectSets):
    """`/api/subject_sets/:id/links/subjects/:ids`: which are no longer in it."""

    def delete(self, request: Request, pk: str, ids: str) -> Response:
        subject_set = self.find(pk)
        self.require_editor(subject_set)
        unlink_subjects(subject_set, [parse_id(each, "id") for each in ids.split(",")])
        return Response(status=204)


class Members(Resource):
    """Subjects' places in the sets that the asker may see."""

    plural = "set_member_subjects"
    noun = "set member subject"

    def visible(self) -> QuerySet[Any]:
        sets = list_visible_subject_sets(self.identity).order_by()
        return SetMemberSubject.objects.filter(subject_set__in=sets).order_by("id")

    def documents(self, rows: list[Any]) -> list[Document]:
        return [set_member_document(row) for row in rows]


@describe(
    "set_member_subject",
    "SetMemberSubject",
    schema.query("subject_set_id", "Only this set's."),
    schema.query("subject_id", "Only this subject's."),
    schema.query("subject_ids", "Only these subjects', separated by commas."),
    schema.query("workflow_id", "Only those in this workflow's sets."),
)
class MemberList(Members, Listed):
    """Subjects' places in sets."""

    selected_by = {
        "subject_set_id": "subject_set_id",
        "subject_id": "subject_id",
        "workflow_id": "subject_set__workflows",
    }

    def select(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        query = self.request.query_params
        rows = super().select(rows)
        if subject_ids := read_ids(query, "subject_ids"):
            rows = rows.filter(subject_id__in=subject_ids)
        return rows


@describe("set_member_subject", "SetMemberSubject")
class MemberDetail(Members, Shown):
    """One place."""
