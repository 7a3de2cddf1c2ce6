"""GET /api/subjects/queued, the volunteer's next subjects, and /api/subjects/:id."""

from __future__ import annotations

from django.http import QueryDict
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from esocs.accounts.identity import ensure_volunteer
from esocs.crowd.services import hand_out_subjects
from esocs.panoptes import schema
from esocs.panoptes.access import is_expert, list_visible_subjects, open_workflow
from esocs.panoptes.documents import queued_subject_document, subject_document, with_subject_links
from esocs.panoptes.errors import ForbiddenError, InvalidRequestError, NotFoundError
from esocs.panoptes.parameters import parse_id, read_count, read_id, read_ids, read_text
from esocs.panoptes.views.base import PanoptesView

QUEUE_SIZE = 10
LONGEST_QUEUE = 50
# A page holds its queue and what it has just sent; more than this many is not a page.
MOST_HELD = 200


def read_held(query: QueryDict) -> frozenset[int] | None:
    """The subjects the asker still holds; None when it does not say.

    Raises:
        InvalidRequestError: not ids, or more than any page holds.
    """
    if "held" not in query:
        return None
    held = read_ids(query, "held")
    if len(held) > MOST_HELD:
        raise InvalidRequestError(f"held names more than {MOST_HELD} subjects.")
    return frozenset(held)


class SubjectQueue(PanoptesView):
    """Subjects for the asker to classify, reserved for them. Empty when nothing is left: none is ever repeated."""

    @extend_schema(
        operation_id="list_queued_subjects",
        parameters=[
            schema.query("workflow_id", "The workflow to classify in.", required=True),
            schema.query("page_size", f"How many; {QUEUE_SIZE} by default, at most {LONGEST_QUEUE}."),
            schema.query("subject_set_id", "Only from this set."),
            schema.query(
                "held", "Ids that the asker still holds; given, even empty, a reloaded page gets its queue back."
            ),
            schema.query("audience", "`experts`: what waits for the project's experts."),
        ],
        responses={200: schema.answer("subjects", schema.QUEUED_SUBJECT), **schema.ERRORS},
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        workflow_id = read_id(query, "workflow_id")
        if workflow_id is None:
            raise InvalidRequestError("workflow_id is missing.")
        workflow = open_workflow(workflow_id, self.identity)
        audience = read_text(query, "audience") or "volunteers"
        if audience not in {"volunteers", "experts"}:
            raise InvalidRequestError("audience must be volunteers or experts.")
        if audience == "experts" and not is_expert(self.identity, workflow):
            raise ForbiddenError("Only the project's experts are shown what waits for them.")
        identity = ensure_volunteer(request._request, self.identity)  # noqa: SLF001 - DRF's name for Django's request
        assert identity.volunteer_id is not None
        subjects = hand_out_subjects(
            workflow_id=workflow_id,
            volunteer_id=identity.volunteer_id,
            limit=read_count(query, "page_size", default=QUEUE_SIZE, most=LONGEST_QUEUE),
            held=read_held(query),
            subject_set_id=read_id(query, "subject_set_id"),
            audience=audience,
        )
        documents = [
            queued_subject_document(subject, site=self.site, project_id=workflow.project_id) for subject in subjects
        ]
        response = self.answer("subjects", documents, meta={"subjects": {"page_size": len(documents)}})
        # Asking is taking: a cache between us would hand the same subject to two people.
        response["Cache-Control"] = "no-store"
        return response


class SubjectDetail(PanoptesView):
    """One subject."""

    @extend_schema(
        operation_id="show_subject",
        responses={200: schema.answer("subjects", schema.SUBJECT), **schema.ERRORS},
    )
    def get(self, request: Request, pk: str) -> Response:
        subjects = list_visible_subjects(self.identity).filter(id=parse_id(pk, "id"))
        subject = with_subject_links(subjects).first()
        if subject is None:
            raise NotFoundError(f"Could not find subject with id='{pk}'")
        return self.answer("subjects", [subject_document(subject, site=self.site)])
