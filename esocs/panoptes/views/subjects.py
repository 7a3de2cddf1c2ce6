"""/api/subjects: the volunteer's next ones, and all of them for their project's people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Model, QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from esocs.crowd.by_hand import open_subjects
from esocs.crowd.standing import list_standing
from esocs.panoptes import schema
from esocs.panoptes.access import is_expert, open_workflow
from esocs.panoptes.authentication import somebody_who_asks
from esocs.panoptes.documents import (
    Document,
    subject_document,
    with_subject_links,
)
from esocs.panoptes.errors import ForbiddenError, InvalidRequestError, NotFoundError
from esocs.panoptes.parameters import read_count, read_id, read_ids, read_text
from esocs.panoptes.resource_schemas import describe
from esocs.panoptes.selection import LONGEST_QUEUE, QUEUE_SIZE, next_subjects, queue_size, selected_document
from esocs.panoptes.views.base import PanoptesView
from esocs.panoptes.views.resources import Changed, Created, Deleted, Listed, Resource, Shown
from esocs.panoptes.views.uploads import upload_address
from esocs.projects.access import list_visible_subjects
from esocs.projects.models import Collection, SetMemberSubject, Subject
from esocs.projects.subjects import change_subject, create_subject, delete_subject

# A page holds its queue and what it has just sent; more than this many is not a page.
MOST_HELD = 200


def read_held(query: Mapping[str, str]) -> frozenset[int] | None:
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
    """Subjects for the asker to classify, reserved for them. Empty when nothing is left: none is ever repeated.

    A workflow with `"selection": "panoptes"` in its configuration answers as Panoptes does, and is never empty.
    """

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
        subject_set_id = read_id(query, "subject_set_id")
        if workflow.grouped and subject_set_id is None:
            raise InvalidRequestError("subject_set_id is missing.", hint="This workflow is grouped: choose a set.")
        audience = read_text(query, "audience") or "volunteers"
        if audience not in {"volunteers", "experts"}:
            raise InvalidRequestError("audience must be volunteers or experts.")
        if audience == "experts" and not is_expert(self.identity, workflow):
            raise ForbiddenError("Only the project's experts are shown what waits for them.")
        documents = next_subjects(
            workflow,
            somebody_who_asks(request, self.identity),
            limit=read_count(query, "page_size", default=queue_size(workflow), most=LONGEST_QUEUE),
            site=self.site,
            held=read_held(query),
            subject_set_id=subject_set_id,
            audience=audience,
        )
        # An empty queue says that it is: nothing is left for this volunteer, and nothing is repeated to fill it.
        meta = {"subjects": {"page_size": len(documents), "exhausted": not documents}}
        response = self.answer("subjects", documents, meta=meta)
        # Asking is taking: a cache between us would hand the same subject to two people.
        response["Cache-Control"] = "no-store"
        return response


class Subjects(Resource):
    """Subjects of the projects that the asker may see."""

    plural = "subjects"
    noun = "subject"

    def visible(self) -> QuerySet[Any]:
        return with_subject_links(list_visible_subjects(self.identity)).select_related("project")

    def documents(self, rows: list[Any]) -> list[Document]:
        return [subject_document(row, site=self.site) for row in rows]


@describe(
    "subject",
    schema.SUBJECT,
    schema.query("subject_set_id", "Only this set's."),
    schema.query("workflow_id", "Only those in this workflow's sets."),
    schema.query("project_id", "Only this project's."),
    schema.query("id", "Ids, separated by commas."),
)
class SubjectList(Subjects, Listed, Created):
    """Subjects; and the place to make one of files."""

    new_body = "SUBJECT_NEW"

    selected_by = {"subject_set_id": "set_members__subject_set", "project_id": "project_id"}

    def select(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        query = self.request.query_params
        rows = super().select(rows)
        if (workflow_id := read_id(query, "workflow_id")) is not None:
            members = SetMemberSubject.objects.filter(subject_set__workflows=workflow_id)
            rows = rows.filter(pk__in=members.values("subject_id"))
        return rows

    def create(self, sent: dict[str, Any]) -> Subject:
        links = sent["links"]
        subject = create_subject(
            project=self.edited_project(links["project"]),
            uploader=self.asker(),
            locations=sent["locations"],
            metadata=sent.get("metadata"),
            subject_set_ids=[int(each) for each in links.get("subject_sets", [])],
        )
        open_subjects([subject.pk])
        return subject

    def answer_row(self, row: Model, *, status: int = 200) -> Response:
        """The new subject; a file to be uploaded has the address where it is to be PUT."""
        subject = self.visible().get(pk=row.pk)
        waiting = {media.pk: upload_address(media, site=self.site) for media in subject.media.all() if media.pending}
        document = subject_document(subject, site=self.site, uploads=waiting)
        headers = {"Location": f"{self.site}/api/subjects/{row.pk}"}
        return self.answer(self.plural, [document], status=status, headers=headers, seen_at=subject.updated_at)


@describe("subject", schema.SUBJECT)
class SubjectDetail(Subjects, Shown, Changed, Deleted):
    """One subject."""

    change_body = "SUBJECT_CHANGE"

    def change(self, row: Subject, sent: dict[str, Any]) -> Model:
        [shown] = self.documents([row])
        if sent.get("locations", shown["locations"]) != shown["locations"]:
            raise InvalidRequestError("A subject's files stay as they are.", hint="Make a new subject of other files.")
        return change_subject(row, metadata=sent.get("metadata", row.metadata), seen_at=row.updated_at)

    def remove(self, row: Subject) -> None:
        delete_subject(row)


class SubjectSelection(Subjects):
    """`/api/subjects/selection`: subjects named by their ids, as the queue writes them, in that order."""

    @extend_schema(
        operation_id="list_selected_subjects",
        parameters=[
            schema.query("ids", "Ids, separated by commas.", required=True),
            schema.query("workflow_id", "The workflow to classify in.", required=True),
        ],
        responses={200: schema.answer("subjects", schema.QUEUED_SUBJECT), **schema.ERRORS},
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        workflow_id, ids = read_id(query, "workflow_id"), read_ids(query, "ids")
        if workflow_id is None or not 0 < len(ids) <= LONGEST_QUEUE:
            raise InvalidRequestError(f"workflow_id and 1 to {LONGEST_QUEUE} ids are needed.")
        workflow = open_workflow(workflow_id, self.identity)
        members = SetMemberSubject.objects.filter(subject_set__workflows=workflow_id, subject__in=ids)
        rows = {row.pk: row for row in self.visible().filter(pk__in=members.values("subject_id"))}
        if missing := [pk for pk in ids if pk not in rows]:
            raise NotFoundError(f"Could not find subject with id='{missing[0]}' in workflow {workflow_id}")
        standing = list_standing(workflow_id=workflow.id, subject_ids=ids, volunteer_id=self.identity.volunteer_id)
        favorites = set()
        if self.identity.user_id is not None:
            own = Collection.objects.filter(owner=self.identity.user_id, favorite=True, subjects__in=ids)
            favorites = set(own.values_list("subjects", flat=True))
        now = timezone.now()
        documents = [
            {
                **subject_document(rows[pk], site=self.site),
                **selected_document(standing[pk], favorite=pk in favorites, state="normal", selected_at=now),
            }
            for pk in ids
        ]
        response = self.answer("subjects", documents, meta={"subjects": {"page_size": len(documents)}})
        response["Cache-Control"] = "no-store"
        return response
