"""POST /api/classifications, the volunteer's answer, and the listings of what was answered."""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from esocs.crowd.models import Classification
from esocs.panoptes import schema
from esocs.panoptes.access import list_collaborated_projects, require_signed_in
from esocs.panoptes.documents import classification_document
from esocs.panoptes.errors import ForbiddenError, NotFoundError
from esocs.panoptes.paging import paginate, paginate_by_id
from esocs.panoptes.parameters import parse_id, read_id
from esocs.panoptes.selection import LONGEST_QUEUE
from esocs.panoptes.views.base import PanoptesView
from esocs.panoptes.views.classify import classify

PLURAL = "classifications"


class ClassificationList(PanoptesView):
    """The asker's own classifications; and the place to send a new one."""

    @extend_schema(
        operation_id="list_own_classifications",
        parameters=[
            *schema.PAGE,
            schema.query("workflow_id", "Only this workflow's."),
            schema.query("project_id", "Only this project's."),
        ],
        responses={200: schema.answer(PLURAL, schema.CLASSIFICATION), **schema.ERRORS},
    )
    def get(self, request: Request) -> Response:
        own = _selected(request).filter(volunteer_id=self.identity.volunteer_id or 0).order_by("id")
        rows, meta = paginate(own, query=request.query_params, plural=PLURAL, path=f"/{PLURAL}")
        return self.answer(PLURAL, [classification_document(row) for row in rows], meta=meta)

    @extend_schema(
        operation_id="create_classification",
        description=(
            "Stores one classification exactly once. The same `Idempotency-Key` with the same body answers as the"
            " first time; with another body, 409. Without a key, volunteer, subject and the two times make one."
            " `refill` asks for that many further subjects in `meta.subjects`."
        ),
        parameters=[
            schema.query("refill", f"How many further subjects to hand out with the answer, at most {LONGEST_QUEUE}."),
            schema.query("held", "Ids that the asker still holds."),
            schema.header("Idempotency-Key", "A UUID of this submission, the same on each retry."),
        ],
        request=schema.CLASSIFICATION_BODY,
        responses={201: schema.answer(PLURAL, schema.CLASSIFICATION), **schema.ERRORS},
    )
    def post(self, request: Request) -> HttpResponse:
        return classify(request._request)  # noqa: SLF001 - DRF's name for Django's request


class ProjectClassificationList(PanoptesView):
    """All classifications of the projects whose owner or collaborator the asker is, in the order of their ids."""

    @extend_schema(
        operation_id="list_project_classifications",
        parameters=[
            *schema.PAGE,
            schema.query("project_id", "Only this project's."),
            schema.query("workflow_id", "Only this workflow's."),
            schema.query("last_id", "Only those after this id; each page's `next_href` carries the next one."),
        ],
        responses={200: schema.answer(PLURAL, schema.CLASSIFICATION), **schema.ERRORS},
    )
    def get(self, request: Request) -> Response:
        require_signed_in(self.identity)
        query = request.query_params
        projects = list_collaborated_projects(self.identity)
        project_id = read_id(query, "project_id")
        if project_id is not None and not projects.filter(id=project_id).exists():
            raise ForbiddenError("Only the project's owner and collaborators may read its classifications.")
        found = _selected(request).filter(workflow__project__in=projects)
        path = f"/{PLURAL}/project"
        if "page" in query and "last_id" not in query:
            rows, meta = paginate(found.order_by("id"), query=query, plural=PLURAL, path=path)
        else:
            rows, meta = paginate_by_id(found, query=query, plural=PLURAL, path=path)
        return self.answer(PLURAL, [classification_document(row) for row in rows], meta=meta)


class ClassificationDetail(PanoptesView):
    """One classification, for the volunteer who made it and for the project's people."""

    @extend_schema(
        operation_id="show_classification",
        responses={200: schema.answer(PLURAL, schema.CLASSIFICATION), **schema.ERRORS},
    )
    def get(self, request: Request, pk: str) -> Response:
        row = _selected(request).filter(id=parse_id(pk, "id")).first()
        if row is None or not self._may_read(row):
            raise NotFoundError(f"Could not find classification with id='{pk}'")
        return self.answer(PLURAL, [classification_document(row)])

    def _may_read(self, row: Classification) -> bool:
        own = self.identity.volunteer_id is not None and row.volunteer_id == self.identity.volunteer_id
        return own or (
            self.identity.user_id is not None
            and list_collaborated_projects(self.identity).filter(id=row.workflow.project_id).exists()
        )


def _selected(request: Request) -> QuerySet[Classification]:
    """Classifications as the query's `project_id` and `workflow_id` select them."""
    rows = Classification.objects.select_related("volunteer").prefetch_related("workflow")
    if (workflow_id := read_id(request.query_params, "workflow_id")) is not None:
        rows = rows.filter(workflow_id=workflow_id)
    if (project_id := read_id(request.query_params, "project_id")) is not None:
        rows = rows.filter(workflow__project_id=project_id)
    return rows
