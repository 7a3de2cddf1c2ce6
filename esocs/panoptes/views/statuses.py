"""/api/subject_workflow_statuses: how far subjects are in workflows."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from esocs.crowd.models import SubjectStatus
from esocs.panoptes import schema
from esocs.panoptes.documents import Document
from esocs.panoptes.parameters import read_id, read_ids
from esocs.panoptes.resource_documents import status_document
from esocs.panoptes.resource_schemas import describe
from esocs.panoptes.views.resources import Listed, Resource, Shown
from esocs.projects.access import list_visible_workflows


class Statuses(Resource):
    """Subjects' ways through the workflows that the asker may see."""

    plural = "subject_workflow_statuses"
    noun = "subject workflow status"

    def visible(self) -> QuerySet[Any]:
        workflows = list_visible_workflows(self.identity).order_by()
        return SubjectStatus.objects.filter(workflow__in=workflows).order_by("id")

    def documents(self, rows: list[Any]) -> list[Document]:
        return [status_document(row) for row in rows]


@describe(
    "subject_workflow_status",
    "SubjectWorkflowStatus",
    schema.query("subject_id", "Only this subject's."),
    schema.query("subject_ids", "Only these subjects', separated by commas."),
    schema.query("workflow_id", "Only this workflow's."),
    actions=["get=list_subject_workflow_statuses"],
)
class StatusList(Statuses, Listed):
    """Subjects' ways through workflows."""

    def select(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        query = self.request.query_params
        rows = super().select(rows)
        ids = read_ids(query, "subject_id") + read_ids(query, "subject_ids")
        if ids:
            rows = rows.filter(subject_id__in=ids)
        if (workflow_id := read_id(query, "workflow_id")) is not None:
            rows = rows.filter(workflow_id=workflow_id)
        return rows


@describe("subject_workflow_status", "SubjectWorkflowStatus")
class StatusDetail(Statuses, Shown):
    """One subject's way through one workflow."""
