"""/api/classifications/gold_standard and /incomplete: the narrower listings that Panoptes knows."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from esocs.crowd.models import Classification
from esocs.panoptes import schema
from esocs.panoptes.access import require_signed_in
from esocs.panoptes.documents import classification_document
from esocs.panoptes.paging import paginate
from esocs.panoptes.parameters import read_id
from esocs.panoptes.views.base import PanoptesView
from esocs.projects.access import list_visible_workflows

PLURAL = "classifications"
ANSWER: dict[Any, Any] = {200: schema.answer(PLURAL, schema.CLASSIFICATION), **schema.ERRORS}


class GoldStandardList(PanoptesView):
    """What experts answered, of the workflows that show it (`public_gold_standard`)."""

    @extend_schema(
        operation_id="list_gold_standard_classifications",
        parameters=[*schema.PAGE, schema.query("workflow_id", "Only this workflow's.")],
        responses=ANSWER,
    )
    def get(self, request: Request) -> Response:
        workflows = list_visible_workflows(self.identity).filter(public_gold_standard=True)
        workflow_id = read_id(request.query_params, "workflow_id")
        if workflow_id is not None:
            workflows = workflows.filter(pk=workflow_id)
        rows = Classification.objects.filter(gold_standard=True, workflow__in=workflows.order_by())
        rows = rows.select_related("volunteer", "workflow").order_by("id")
        found, meta = paginate(rows, query=request.query_params, plural=PLURAL, path=f"/{PLURAL}/gold_standard")
        return self.answer(PLURAL, [classification_document(row) for row in found], meta=meta)


class IncompleteList(PanoptesView):
    """Begun and not finished: always empty, since only complete classifications are taken."""

    @extend_schema(operation_id="list_incomplete_classifications", parameters=schema.PAGE, responses=ANSWER)
    def get(self, request: Request) -> Response:
        require_signed_in(self.identity)
        none = Classification.objects.none()
        _, meta = paginate(none, query=request.query_params, plural=PLURAL, path=f"/{PLURAL}/incomplete")
        return self.answer(PLURAL, [], meta=meta)
