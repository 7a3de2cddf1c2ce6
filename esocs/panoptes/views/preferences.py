"""/api/project_preferences: what volunteers chose in a project, and what its people set for them."""

from __future__ import annotations

from typing import Any

from django.db.models import Model, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from esocs.accounts.models import User
from esocs.panoptes import schema
from esocs.panoptes.access import require_signed_in
from esocs.panoptes.bodies import SETTINGS, read_body
from esocs.panoptes.documents import Document
from esocs.panoptes.errors import ForbiddenError, InvalidRequestError, NotFoundError
from esocs.panoptes.parameters import read_id
from esocs.panoptes.resource_documents import preference_document
from esocs.panoptes.resource_schemas import describe
from esocs.panoptes.views.resources import Changed, Created, Listed, Resource, Shown
from esocs.projects.access import list_visible_projects
from esocs.projects.community import change_columns, keep_preferences, keep_settings
from esocs.projects.models import ProjectPreference


class Preferences(Resource):
    """The asker's own choices."""

    plural = "project_preferences"
    noun = "project preference"

    def visible(self) -> QuerySet[Any]:
        return ProjectPreference.objects.filter(user_id=require_signed_in(self.identity)).order_by("id")

    def documents(self, rows: list[Any]) -> list[Document]:
        return [preference_document(row) for row in rows]

    def require_editor(self, row: ProjectPreference) -> None:
        """Whoever sees them chose them."""


@describe(
    "project_preference",
    "ProjectPreference",
    schema.query("project_id", "Only those in this project."),
    schema.query("user_id", "Only this person's: the asker's."),
)
class PreferenceList(Preferences, Listed, Created):
    """The asker's choices; and the place to make some."""

    new_body = "PREFERENCES_NEW"

    selected_by = {"project_id": "project_id", "user_id": "user_id"}

    def create(self, sent: dict[str, Any]) -> Model:
        user_id = require_signed_in(self.identity)
        links = sent["links"]
        if int(links.get("user", user_id)) != user_id:
            raise ForbiddenError("You choose for yourself only.")
        project = list_visible_projects(self.identity).filter(pk=int(links["project"])).first()
        if project is None:
            raise NotFoundError(f"Could not find project with id='{links['project']}'")
        return keep_preferences(project=project, user_id=user_id, preferences=sent.get("preferences", {}))


@describe("project_preference", "ProjectPreference")
class PreferenceDetail(Preferences, Shown, Changed):
    """The asker's choices in one project."""

    change_body = "PREFERENCES_CHANGE"

    def change(self, row: ProjectPreference, sent: dict[str, Any]) -> Model:
        return change_columns(ProjectPreference.objects.all(), row, changes=sent, seen_at=row.updated_at)


class SettingsUpdate(Preferences):
    """`/api/project_preferences/update_settings`: what the project's people set for a volunteer."""

    @extend_schema(
        operation_id="update_settings",
        request={"application/json": {"type": "object", "properties": {"project_preferences": SETTINGS}}},
        responses={200: schema.answer("project_preferences", "ProjectPreference"), **schema.ERRORS},
    )
    def post(self, request: Request) -> Response:
        sent = read_body(request.data, self.plural, "SETTINGS")
        project = self.edited_project(sent["project_id"])
        user = User.objects.filter(pk=int(sent["user_id"])).first()
        if user is None:
            raise NotFoundError(f"Could not find user with id='{sent['user_id']}'")
        row = keep_settings(project=project, user=user, settings=sent["settings"])
        return self.answer(self.plural, self.documents([row]))


@describe("project_settings", "ProjectPreference", actions=["get=read_settings"])
class SettingsRead(Preferences, Listed):
    """`/api/project_preferences/read_settings`: what was set for the volunteers of a project."""

    def path(self) -> str:
        return "/project_preferences/read_settings"

    def visible(self) -> QuerySet[Any]:
        query = self.request.query_params
        project_id = read_id(query, "project_id")
        if project_id is None:
            raise InvalidRequestError("project_id is missing.")
        rows = ProjectPreference.objects.filter(project=self.edited_project(project_id)).order_by("id")
        user_id = read_id(query, "user_id")
        return rows if user_id is None else rows.filter(user_id=user_id)
