"""What is copied: a template project, and workflows and subject sets into a project."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from esocs.panoptes import schema
from esocs.panoptes.access import list_visible_workflows, require_collaborator
from esocs.panoptes.bodies import check_body, read_link_ids
from esocs.panoptes.errors import NotFoundError
from esocs.panoptes.views.projects import Projects
from esocs.projects.access import list_visible_subject_sets
from esocs.projects.copying import copy_project, copy_subject_sets, copy_workflows
from esocs.projects.models import Project


class ProjectCopy(Projects):
    """`/api/projects/:id/copy`: a template, as a project of the asker's own."""

    @extend_schema(
        operation_id="copy_project",
        request={"application/json": {"type": "object", "properties": {"create_subject_set": schema.TEXT}}},
        responses={201: schema.answer("projects", schema.PROJECT), **schema.ERRORS},
    )
    def post(self, request: Request, pk: str) -> Response:
        project = self.find(pk)
        self.require_editor(project)
        sent = check_body(request.data or {}, "PROJECT_COPY")
        name = sent.get("create_subject_set", "")
        return self.answer_row(copy_project(project, owner=self.asker(), subject_set_name=name), status=201)


class ProjectLinks(Projects):
    """`/api/projects/:id/links/<workflows|subject_sets>`: copies of these, in the project."""

    @extend_schema(
        operation_id="copy_into_project",
        request={"application/json": {"type": "object", "additionalProperties": {}}},
        responses={200: schema.answer("projects", schema.PROJECT), **schema.ERRORS},
    )
    def post(self, request: Request, pk: str, link: str) -> Response:
        project: Project = self.find(pk)
        self.require_editor(project)
        ids = read_link_ids(request.data, link)
        if link == "workflows":
            copy_workflows(project, self._originals(list_visible_workflows(self.identity), ids, "workflow"))
        else:
            copy_subject_sets(project, self._originals(list_visible_subject_sets(self.identity), ids, "subject_set"))
        return self.answer_row(project)

    def _originals(self, rows: Any, ids: list[int], noun: str) -> list[Any]:
        """The rows with these ids, of projects whose people the asker is among."""
        found = {row.pk: row for row in rows.filter(pk__in=ids).select_related("project")}
        if missing := [pk for pk in ids if pk not in found]:
            raise NotFoundError(f"Could not find {noun} with id='{missing[0]}'")
        for row in found.values():
            require_collaborator(self.identity, row.project)
        return [found[pk] for pk in dict.fromkeys(ids)]
