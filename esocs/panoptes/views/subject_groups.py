"""`/api/subjects/grouped`: several subjects as one, for workflows that show them in a grid."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from esocs.panoptes import schema
from esocs.panoptes.access import open_workflow
from esocs.panoptes.authentication import somebody_who_asks
from esocs.panoptes.documents import Document
from esocs.panoptes.errors import InvalidRequestError, NotFoundError
from esocs.panoptes.parameters import read_count, read_id
from esocs.panoptes.selection import next_subjects
from esocs.panoptes.views.base import PanoptesView
from esocs.projects.models import SubjectGroup

MOST_IN_A_GROUP = 50
MOST_GROUPS = 10


class SubjectGroups(PanoptesView):
    """Grids of `num_rows` times `num_columns` subjects, each as one subject with an id below zero.

    Its metadata name the group (`#subject_group_id`) and its subjects (`#group_subject_ids`, joined by hyphens); its
    locations are theirs, in order. What is left over when subjects run out is no group.
    """

    @extend_schema(
        operation_id="list_subject_groups",
        parameters=[
            schema.query("workflow_id", "The workflow to classify in.", required=True),
            schema.query("num_rows", "Rows of the grid.", required=True),
            schema.query("num_columns", f"Its columns; at most {MOST_IN_A_GROUP} subjects in all.", required=True),
            schema.query("page_size", f"How many groups; one by default, at most {MOST_GROUPS}."),
            schema.query("subject_set_id", "Only from this set."),
        ],
        responses={200: schema.answer("subjects", schema.QUEUED_SUBJECT), **schema.ERRORS},
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        workflow_id = read_id(query, "workflow_id")
        if workflow_id is None or "num_rows" not in query or "num_columns" not in query:
            raise InvalidRequestError("workflow_id, num_rows and num_columns are needed.")
        rows, columns = (
            read_count(query, name, default=1, most=MOST_IN_A_GROUP) for name in ("num_rows", "num_columns")
        )
        size, n = rows * columns, read_count(query, "page_size", default=1, most=MOST_GROUPS)
        if size * n > MOST_IN_A_GROUP:
            raise InvalidRequestError(f"More than {MOST_IN_A_GROUP} subjects at once.", hint="Ask for smaller grids.")
        workflow = open_workflow(workflow_id, self.identity)
        subject_set_id = read_id(query, "subject_set_id")
        if workflow.grouped and subject_set_id is None:
            raise InvalidRequestError("subject_set_id is missing.", hint="This workflow is grouped: choose a set.")
        subjects = next_subjects(
            workflow,
            somebody_who_asks(request, self.identity),
            limit=size * n,
            site=self.site,
            subject_set_id=subject_set_id,
        )
        grids = [subjects[start : start + size] for start in range(0, len(subjects) - size + 1, size)]
        documents = [_group_document(grid, workflow_id) for grid in grids]
        meta = {"subjects": {"page_size": len(documents), "exhausted": not documents}}
        response = self.answer("subjects", documents, meta=meta)
        response["Cache-Control"] = "no-store"
        return response


def _group_document(grid: list[Document], workflow_id: int) -> Document:
    key = "-".join(subject["id"] for subject in grid)
    group, _ = SubjectGroup.objects.get_or_create(workflow_id=workflow_id, key=key)
    first: dict[str, Any] = grid[0]
    return {
        **first,
        "id": str(-group.pk),
        "href": f"/subjects/{-group.pk}",
        "metadata": {"#subject_group_id": str(group.pk), "#group_subject_ids": key},
        "locations": [location for subject in grid for location in subject["locations"]],
    }


def members_of(group_subject_id: int, *, workflow_id: int) -> list[int]:
    """The subjects of the group that a negative id stands for.

    Raises:
        NotFoundError: the workflow has no such group.
    """
    group = SubjectGroup.objects.filter(pk=-group_subject_id, workflow=workflow_id).first()
    if group is None:
        raise NotFoundError(f"Could not find subject with id='{group_subject_id}' in workflow {workflow_id}")
    return group.subject_ids
