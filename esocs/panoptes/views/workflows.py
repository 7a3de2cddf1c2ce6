"""/api/workflows: what is asked, its versions, its subject sets, and the subjects retired by hand."""

from __future__ import annotations

from typing import Any

from django.db.models import Model, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from esocs.crowd import by_hand
from esocs.crowd.as_panoptes.choice import check_selection
from esocs.crowd.rules import check_criterion
from esocs.panoptes import bodies, schema
from esocs.panoptes.access import forget_workflows
from esocs.panoptes.documents import Document, workflow_documents
from esocs.panoptes.errors import NotFoundError
from esocs.panoptes.parameters import parse_id, read_boolean, read_id
from esocs.panoptes.resource_documents import version_document
from esocs.panoptes.resource_schemas import describe, describe_links
from esocs.panoptes.views.resources import Changed, Created, Deleted, Listed, Resource, Shown
from esocs.projects.access import list_visible_workflows
from esocs.projects.editing import (
    NotInProjectError,
    draft_workflow,
    edit_workflow,
    link_subject_sets,
    unlink_subject_sets,
)
from esocs.projects.models import Project, Subject, Workflow, WorkflowVersion


class Workflows(Resource):
    """Workflows of the projects that the asker may see."""

    plural = "workflows"
    noun = "workflow"

    def visible(self) -> QuerySet[Any]:
        return list_visible_workflows(self.identity).select_related("project").prefetch_related("subject_sets")

    def documents(self, rows: list[Any]) -> list[Document]:
        return workflow_documents(rows)


def _columns(project: Project, sent: dict[str, Any]) -> dict[str, Any]:
    """What was sent under Panoptes' names, by the names of our columns."""
    columns = {name: value for name, value in sent.items() if name not in {"links", "esocs", "display_order_position"}}
    if "display_order_position" in sent:
        columns["display_order"] = sent["display_order_position"]
    columns |= sent.get("esocs", {})
    if columns.get("retirement"):
        check_criterion(columns["retirement"])
    check_selection(columns.get("configuration", {}))
    tutorial_subject = sent.get("links", {}).get("tutorial_subject")
    if tutorial_subject is not None:
        subject = Subject.objects.filter(project=project, pk=int(tutorial_subject)).first()
        if subject is None:
            raise NotInProjectError(f"The project has no subject {tutorial_subject}.")
        columns["tutorial_subject"] = subject
    return columns


@describe(
    "workflow",
    schema.WORKFLOW,
    schema.query("project_id", "Only this project's."),
    schema.query("active", "`true` or `false`."),
    schema.query("id", "Ids, separated by commas."),
)
class WorkflowList(Workflows, Listed, Created):
    """Workflows of the projects that the asker may see; and the place to make one."""

    new_body = "WORKFLOW_NEW"

    selected_by = {"project_id": "project_id"}

    def select(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        query = self.request.query_params
        rows = super().select(rows)
        if (active := read_boolean(query, "active")) is not None:
            rows = rows.filter(active=active)
        return rows

    def create(self, sent: dict[str, Any]) -> Model:
        project = self.edited_project(sent["links"]["project"])
        columns = _columns(project, sent)
        workflow = draft_workflow(project=project, display_name=columns.pop("display_name"), fields=columns)
        _link_sets(workflow, sent)
        return workflow


def _link_sets(workflow: Workflow, sent: dict[str, Any]) -> None:
    if "subject_sets" in sent.get("links", {}):
        link_subject_sets(workflow, [int(each) for each in sent["links"]["subject_sets"]])
        by_hand.open_sets(workflow)


@describe("workflow", schema.WORKFLOW)
class WorkflowDetail(Workflows, Shown, Changed, Deleted):
    """One workflow, its tasks with the texts that volunteers read."""

    change_body = "WORKFLOW_CHANGE"

    def change(self, row: Workflow, sent: dict[str, Any]) -> Model:
        changed = edit_workflow(row, changes=_columns(row.project, sent), seen_at=row.updated_at)
        if changed.prioritized != row.prioritized:
            by_hand.order_by_priority(changed)
        _link_sets(changed, sent)
        forget_workflows()
        return changed

    def remove(self, row: Workflow) -> None:
        by_hand.delete_workflow(row)


@describe_links("workflow", schema.WORKFLOW, "workflows")
class WorkflowSubjectSets(Workflows):
    """`/api/workflows/:id/links/subject_sets`: whose subjects a workflow asks about."""

    def post(self, request: Request, pk: str) -> Response:
        workflow = self.find(pk)
        self.require_editor(workflow)
        link_subject_sets(workflow, bodies.read_link_ids(request.data, "subject_sets"))
        by_hand.open_sets(workflow)
        return self.answer_row(workflow)


@describe_links("workflow_set", schema.WORKFLOW, "workflows")
class WorkflowSubjectSetsTaken(Workflows):
    """`/api/workflows/:id/links/subject_sets/:ids`: whose subjects it no longer asks about."""

    def delete(self, request: Request, pk: str, ids: str) -> Response:
        workflow = self.find(pk)
        self.require_editor(workflow)
        unlink_subject_sets(workflow, [parse_id(each, "id") for each in ids.split(",")])
        return Response(status=204)


class RetiredSubjects(Workflows):
    """`/api/workflows/:id/retired_subjects`."""

    @extend_schema(
        operation_id="retire_subjects",
        request={"application/json": bodies.RETIRED_SUBJECTS},
        responses={204: None, **schema.ERRORS},
    )
    def post(self, request: Request, pk: str) -> Response:
        workflow = self.find(pk)
        self.require_editor(workflow)
        sent = bodies.check_body(request.data, "RETIRED_SUBJECTS")
        by_hand.retire_subjects(
            workflow=workflow,
            subject_ids=[int(each) for each in sent["subject_ids"]],
            reason=sent.get("retirement_reason", "other"),
            author_id=self.identity.user_id,
        )
        return Response(status=204)


class ReopenedSubjects(Workflows):
    """`/api/workflows/:id/unretire_subjects`, by subjects or by subject sets."""

    @extend_schema(
        operation_id="unretire_subjects",
        request={"application/json": bodies.REOPENED_SUBJECTS},
        responses={204: None, **schema.ERRORS},
    )
    def post(self, request: Request, pk: str) -> Response:
        workflow = self.find(pk)
        self.require_editor(workflow)
        sent = bodies.check_body(request.data, "REOPENED_SUBJECTS")
        author_id = self.identity.user_id
        if "subject_set_ids" in sent:
            ids = [int(each) for each in sent["subject_set_ids"]]
            by_hand.reopen_sets(workflow=workflow, subject_set_ids=ids, author_id=author_id)
        else:
            ids = [int(each) for each in sent["subject_ids"]]
            by_hand.reopen_subjects(workflow=workflow, subject_ids=ids, author_id=author_id)
        return Response(status=204)


class Versions(Resource):
    """What workflows asked at each version."""

    plural = "workflow_versions"
    noun = "workflow version"

    def visible(self) -> QuerySet[Any]:
        workflows = list_visible_workflows(self.identity).order_by()
        return WorkflowVersion.objects.filter(workflow__in=workflows).order_by("id")

    def documents(self, rows: list[Any]) -> list[Document]:
        return [version_document(row) for row in rows]


@describe("workflow_version", "WorkflowVersion", schema.query("workflow_id", "Only this workflow's."))
class VersionList(Versions, Listed):
    """Versions of workflows, oldest first."""

    def select(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        workflow_id = read_id(self.request.query_params, "workflow_id")
        return super().select(rows if workflow_id is None else rows.filter(workflow_id=workflow_id))


@describe("workflow_version", "WorkflowVersion")
class VersionDetail(Versions, Shown):
    """One version."""


class VersionsOfWorkflow(Versions):
    """The versions of one workflow, under the name that the older client asks for."""

    plural = "versions"

    def visible(self) -> QuerySet[Any]:
        workflow_id = parse_id(self.kwargs["pk"], "id")
        if not list_visible_workflows(self.identity).filter(pk=workflow_id).exists():
            raise NotFoundError(f"Could not find workflow with id='{workflow_id}'")
        return super().visible().filter(workflow_id=workflow_id)


@describe("version_of_workflow", "WorkflowVersion", actions=["get=list_versions_of_workflow"])
class WorkflowVersions(VersionsOfWorkflow, Listed):
    """`/api/workflows/:id/versions`."""

    def path(self) -> str:
        return f"/workflows/{self.kwargs['pk']}/versions"


@describe("version_of_workflow", "WorkflowVersion")
class WorkflowVersionShown(VersionsOfWorkflow, Shown):
    """`/api/workflows/:id/versions/:id`."""

    def get(self, request: Request, pk: str, version: str = "") -> Response:
        return super().get(request, version)
