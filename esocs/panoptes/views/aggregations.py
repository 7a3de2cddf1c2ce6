"""`/api/aggregations`: a workflow's consensus, made by a job and fetched under a name that nobody can guess."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import Model, QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from esocs.panoptes import schema
from esocs.panoptes.access import list_collaborated_projects, list_visible_workflows, require_collaborator
from esocs.panoptes.documents import Document, timestamp
from esocs.panoptes.errors import ExportNotReadyError, ForbiddenError, NotFoundError
from esocs.panoptes.resource_schemas import describe
from esocs.panoptes.views.base import PanoptesView
from esocs.panoptes.views.exports import send_export
from esocs.panoptes.views.resources import Created, Deleted, Listed, Resource, Shown
from esocs.releases.aggregating import order_aggregation, status_of
from esocs.releases.models import Aggregation, Export


class Aggregations(Resource):
    """Aggregations of the projects whose people the asker is among."""

    plural = "aggregations"
    noun = "aggregation"

    def visible(self) -> QuerySet[Any]:
        projects = list_collaborated_projects(self.identity)
        rows = Aggregation.objects.filter(workflow__project__in=projects)
        return rows.select_related("workflow__project", "export").order_by("id")

    def documents(self, rows: list[Any]) -> list[Document]:
        return [self._document(row) for row in rows]

    def require_editor(self, row: Aggregation) -> None:
        require_collaborator(self.identity, row.workflow.project)

    def _document(self, row: Aggregation) -> Document:
        status = status_of(row)
        file = f"{self.site}/api/aggregations/{row.uuid}/{row.workflow_id}_reductions.csv"
        return {
            "id": str(row.pk),
            "href": f"/aggregations/{row.pk}",
            "uuid": str(row.uuid),
            "task_id": str(row.export_id),
            "status": status,
            "reductions": file if status == "completed" else None,
            "created_at": timestamp(row.created_at),
            "updated_at": timestamp(row.updated_at),
            "links": {
                "workflow": str(row.workflow_id),
                "user": str(row.user_id) if row.user_id else None,
                "project": str(row.workflow.project_id),
            },
        }


@describe("aggregation", "Aggregation", schema.query("workflow_id", "Only this workflow's."))
class AggregationList(Aggregations, Listed, Created):
    """Aggregations; and the place to order one."""

    new_body = "AGGREGATION_NEW"

    selected_by = {"workflow_id": "workflow_id"}

    def create(self, sent: dict[str, Any]) -> Model:
        user, links = self.asker(), sent["links"]
        workflow = list_visible_workflows(self.identity).filter(pk=int(links["workflow"])).first()
        if workflow is None:
            raise NotFoundError(f"Could not find workflow with id='{links['workflow']}'")
        require_collaborator(self.identity, workflow.project)
        if int(links.get("user", user.pk)) != user.pk and not self.identity.is_staff:
            raise ForbiddenError("You order for yourself only.")
        return order_aggregation(workflow=workflow, user=user)


@describe("aggregation", "Aggregation")
class AggregationDetail(Aggregations, Shown, Deleted):
    """One aggregation."""


class AggregationFile(PanoptesView):
    """The file itself: one row a subject, as the consensus export writes it. Whoever knows the name may fetch it."""

    authentication_classes = ()

    @extend_schema(operation_id="fetch_aggregation", responses={(200, "text/csv"): OpenApiTypes.STR, **schema.ERRORS})
    def get(self, request: Request, name: uuid.UUID, workflow_id: int) -> StreamingHttpResponse:
        found = Aggregation.objects.filter(uuid=name, workflow=workflow_id).select_related("export__workflow").first()
        if found is None:
            raise NotFoundError("There is no such aggregation.")
        if found.export.state != Export.State.READY:
            raise ExportNotReadyError("This aggregation is not ready yet.", hint="Ask for its status and try again.")
        return send_export(found.export, request)
