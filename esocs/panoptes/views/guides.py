"""/api/tutorials and /api/field_guides: what a volunteer reads before and beside classifying."""

from __future__ import annotations

from typing import Any

from django.db.models import Model, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from esocs.panoptes import schema
from esocs.panoptes.bodies import read_link_ids
from esocs.panoptes.documents import Document
from esocs.panoptes.parameters import read_text
from esocs.panoptes.resource_documents import field_guide_document, tutorial_document
from esocs.panoptes.resource_schemas import describe, describe_links
from esocs.panoptes.views.resources import Changed, Created, Deleted, Listed, Resource, Shown
from esocs.projects.access import list_visible_field_guides, list_visible_tutorials
from esocs.projects.community import change_columns, create_tutorial, link_tutorial
from esocs.projects.models import FieldGuide, Tutorial


class Tutorials(Resource):
    """Tutorials of the projects that the asker may see."""

    plural = "tutorials"
    noun = "tutorial"

    def visible(self) -> QuerySet[Any]:
        return list_visible_tutorials(self.identity).select_related("project").prefetch_related("workflows")

    def documents(self, rows: list[Any]) -> list[Document]:
        return [tutorial_document(row) for row in rows]


@describe(
    "tutorial",
    "Tutorial",
    schema.query("workflow_id", "Only those shown in this workflow."),
    schema.query("project_id", "Only this project's."),
    schema.query("language", "Only those in this language."),
    schema.query("kind", "`tutorial` or `mini-course`."),
)
class TutorialList(Tutorials, Listed, Created):
    """Tutorials; and the place to make one."""

    new_body = "TUTORIAL_NEW"

    selected_by = {"workflow_id": "workflows", "project_id": "project_id"}

    def select(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        query = self.request.query_params
        rows = super().select(rows)
        if language := read_text(query, "language"):
            rows = rows.filter(language__iexact=language)
        if kind := read_text(query, "kind"):
            rows = rows.filter(kind=kind)
        return rows

    def create(self, sent: dict[str, Any]) -> Model:
        links = sent.pop("links")
        workflow_ids = [int(each) for each in links.get("workflows", [])]
        return create_tutorial(project=self.edited_project(links["project"]), workflow_ids=workflow_ids, **sent)


@describe("tutorial", "Tutorial")
class TutorialDetail(Tutorials, Shown, Changed, Deleted):
    """One tutorial."""

    change_body = "TUTORIAL_CHANGE"

    def change(self, row: Tutorial, sent: dict[str, Any]) -> Model:
        return change_columns(Tutorial.objects.all(), row, changes=sent, seen_at=row.updated_at)


@describe_links("tutorial", "Tutorial", "tutorials")
class TutorialWorkflows(Tutorials):
    """`/api/tutorials/:id/links/workflows`: where a tutorial is shown."""

    def post(self, request: Request, pk: str) -> Response:
        tutorial = self.find(pk)
        self.require_editor(tutorial)
        link_tutorial(tutorial, read_link_ids(request.data, "workflows"))
        return self.answer_row(tutorial)


class FieldGuides(Resource):
    """Field guides of the projects that the asker may see."""

    plural = "field_guides"
    noun = "field guide"

    def visible(self) -> QuerySet[Any]:
        return list_visible_field_guides(self.identity).select_related("project")

    def documents(self, rows: list[Any]) -> list[Document]:
        return [field_guide_document(row) for row in rows]


@describe(
    "field_guide",
    "FieldGuide",
    schema.query("project_id", "Only this project's."),
    schema.query("language", "Only those in this language."),
)
class FieldGuideList(FieldGuides, Listed, Created):
    """Field guides; and the place to make one."""

    new_body = "FIELD_GUIDE_NEW"

    selected_by = {"project_id": "project_id"}

    def select(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        query = self.request.query_params
        rows = super().select(rows)
        if language := read_text(query, "language"):
            rows = rows.filter(language__iexact=language)
        return rows

    def create(self, sent: dict[str, Any]) -> Model:
        project = self.edited_project(sent.pop("links")["project"])
        return FieldGuide.objects.create(project=project, **sent)


@describe("field_guide", "FieldGuide")
class FieldGuideDetail(FieldGuides, Shown, Changed, Deleted):
    """One field guide."""

    change_body = "FIELD_GUIDE_CHANGE"

    def change(self, row: FieldGuide, sent: dict[str, Any]) -> Model:
        return change_columns(FieldGuide.objects.all(), row, changes=sent, seen_at=row.updated_at)
