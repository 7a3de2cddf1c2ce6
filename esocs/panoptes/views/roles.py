"""/api/project_roles: who has which part in a project. One resource a person, its id that of their first role."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, Model, OuterRef, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from esocs.accounts.models import User
from esocs.panoptes import schema
from esocs.panoptes.documents import Document
from esocs.panoptes.errors import NotFoundError
from esocs.panoptes.resource_documents import role_documents
from esocs.panoptes.resource_schemas import describe
from esocs.panoptes.views.resources import Changed, Created, Deleted, Listed, Resource, Shown
from esocs.projects.access import list_visible_projects
from esocs.projects.editing import remove_roles, set_roles
from esocs.projects.models import ProjectRole


class Roles(Resource):
    """People's parts in the projects that the asker may see."""

    plural = "project_roles"
    noun = "project role"

    def visible(self) -> QuerySet[Any]:
        earlier = ProjectRole.objects.filter(project=OuterRef("project"), user=OuterRef("user"), pk__lt=OuterRef("pk"))
        visible = ProjectRole.objects.filter(project__in=list_visible_projects(self.identity).order_by())
        return visible.filter(~Exists(earlier)).select_related("user", "project").order_by("id")

    def documents(self, rows: list[Any]) -> list[Document]:
        people = {(row.project_id, row.user_id) for row in rows}
        every = ProjectRole.objects.filter(
            project__in={project for project, _ in people}, user__in={user for _, user in people}
        )
        held = every.select_related("user", "project").order_by("id")
        return role_documents(row for row in held if (row.project_id, row.user_id) in people)


@describe(
    "project_role",
    "ProjectRole",
    schema.query("project_id", "Only this project's."),
    schema.query("user_id", "Only this person's."),
)
class RoleList(Roles, Listed, Created):
    """People's parts in projects; and the place to give one."""

    new_body = "ROLE_NEW"

    selected_by = {"project_id": "project_id", "user_id": "user_id"}

    def create(self, sent: dict[str, Any]) -> Model:
        project = self.edited_project(sent["links"]["project"])
        user = User.objects.filter(pk=int(sent["links"]["user"]), is_active=True).first()
        if user is None:
            raise NotFoundError(f"Could not find user with id='{sent['links']['user']}'")
        return ProjectRole.objects.get(pk=set_roles(project=project, user=user, roles=sent["roles"]))


@describe("project_role", "ProjectRole")
class RoleDetail(Roles, Shown, Changed, Deleted):
    """One person's part in one project. Roles are a set: the last word counts, and no ETag is asked for."""

    change_body = "ROLE_CHANGE"

    def put(self, request: Request, pk: str) -> Response:
        row = self.find(pk)
        self.require_editor(row)
        return self.answer_row(self.change(row, self.read(request)))

    def delete(self, request: Request, pk: str) -> Response:
        row = self.find(pk)
        self.require_editor(row)
        remove_roles(project=row.project, user=row.user)
        return Response(status=204)

    def change(self, row: ProjectRole, sent: dict[str, Any]) -> Model:
        return ProjectRole.objects.get(pk=set_roles(project=row.project, user=row.user, roles=sent["roles"]))
