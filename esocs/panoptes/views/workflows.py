"""GET /api/workflows and /api/workflows/:id."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from esocs.panoptes import schema
from esocs.panoptes.access import list_visible_workflows
from esocs.panoptes.documents import workflow_documents
from esocs.panoptes.errors import NotFoundError
from esocs.panoptes.paging import paginate
from esocs.panoptes.parameters import parse_id, read_boolean, read_id, read_ids
from esocs.panoptes.views.base import PanoptesView


class WorkflowList(PanoptesView):
    """Workflows of the projects that the asker may see."""

    @extend_schema(
        operation_id="list_workflows",
        parameters=[
            *schema.PAGE,
            schema.query("project_id", "Only this project's."),
            schema.query("active", "`true` or `false`."),
            schema.query("id", "Ids, separated by commas."),
        ],
        responses={200: schema.answer("workflows", schema.WORKFLOW), **schema.ERRORS},
    )
    def get(self, request: Request) -> Response:
        workflows = list_visible_workflows(self.identity).prefetch_related("subject_sets")
        query = request.query_params
        if (project_id := read_id(query, "project_id")) is not None:
            workflows = workflows.filter(project_id=project_id)
        if (active := read_boolean(query, "active")) is not None:
            workflows = workflows.filter(active=active)
        if ids := read_ids(query, "id"):
            workflows = workflows.filter(id__in=ids)
        rows, meta = paginate(workflows, query=query, plural="workflows", path="/workflows")
        return self.answer("workflows", workflow_documents(rows), meta=meta)


class WorkflowDetail(PanoptesView):
    """One workflow, its tasks with the texts that volunteers read."""

    @extend_schema(
        operation_id="show_workflow",
        responses={200: schema.answer("workflows", schema.WORKFLOW), **schema.ERRORS},
    )
    def get(self, request: Request, pk: str) -> Response:
        workflows = list_visible_workflows(self.identity).filter(id=parse_id(pk, "id"))
        workflow = workflows.prefetch_related("subject_sets").first()
        if workflow is None:
            raise NotFoundError(f"Could not find workflow with id='{pk}'")
        return self.answer("workflows", workflow_documents([workflow]))
