"""/api/projects: found, made, changed, deleted."""

from __future__ import annotations

from typing import Any

from django.db.models import Model, QuerySet

from esocs.crowd.by_hand import delete_project
from esocs.panoptes import schema
from esocs.panoptes.access import forget_workflows
from esocs.panoptes.documents import Document, project_documents, with_project_links
from esocs.panoptes.errors import ForbiddenError
from esocs.panoptes.parameters import read_boolean, read_text
from esocs.panoptes.resource_schemas import describe
from esocs.panoptes.views.resources import Changed, Created, Deleted, Listed, Resource, Shown
from esocs.projects.access import list_visible_projects
from esocs.projects.editing import change_project
from esocs.projects.models import Project
from esocs.projects.services import create_project

AT_CREATION = ("display_name", "description", "introduction", "live")


class Projects(Resource):
    """Projects that the asker may see."""

    plural = "projects"
    noun = "project"

    def visible(self) -> QuerySet[Any]:
        return with_project_links(list_visible_projects(self.identity))

    def documents(self, rows: list[Any]) -> list[Document]:
        return project_documents(rows)


@describe(
    "project",
    schema.PROJECT,
    schema.query("slug", "The project's address, `owner/name`."),
    schema.query("search", "Words of the project's name."),
    schema.query("display_name", "The project's whole name."),
    schema.query("owner", "The owner's login."),
    schema.query("launch_approved", "`true`: only live ones."),
    schema.query("id", "Ids, separated by commas."),
)
class ProjectList(Projects, Listed, Created):
    """Projects that the asker may see; and the place to make one."""

    new_body = "PROJECT_NEW"

    def select(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        query = self.request.query_params
        rows = super().select(rows)
        if slug := read_text(query, "slug"):
            rows = rows.filter(slug__iexact=slug)
        if name := read_text(query, "display_name"):
            rows = rows.filter(display_name__iexact=name)
        if owner := read_text(query, "owner"):
            rows = rows.filter(owner__login__iexact=owner)
        if read_boolean(query, "launch_approved"):
            rows = rows.filter(live=True)
        for word in read_text(query, "search").split():
            rows = rows.filter(display_name__icontains=word)
        return rows

    def create(self, sent: dict[str, Any]) -> Model:
        owner = self.asker()
        named = sent.pop("links", {}).get("owner")
        if named and int(named["id"]) != owner.pk:
            raise ForbiddenError("You can make projects of your own only.")
        project = create_project(owner=owner, **{name: sent.pop(name) for name in AT_CREATION if name in sent})
        # Until its people open it, a project is seen by them alone.
        return change_project(project, changes={"private": True, **sent}) if sent else project


@describe("project", schema.PROJECT)
class ProjectDetail(Projects, Shown, Changed, Deleted):
    """One project."""

    change_body = "PROJECT_CHANGE"

    def change(self, row: Project, sent: dict[str, Any]) -> Model:
        changed = change_project(row, changes=sent, seen_at=row.updated_at)
        forget_workflows()
        return changed

    def remove(self, row: Project) -> None:
        delete_project(row)
