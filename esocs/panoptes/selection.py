"""What a volunteer is given next, as documents: reserved by esocs, drawn by streams, or as Panoptes selects."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from esocs.accounts.identity import Identity
from esocs.crowd.services import hand_out_by_streams, hand_out_subjects, select_subjects
from esocs.crowd.standing import Standing
from esocs.panoptes.access import OpenWorkflow
from esocs.panoptes.documents import (
    Document,
    queued_subject_document,
    subject_document,
    timestamp,
    with_subject_links,
)
from esocs.projects.models import Subject

QUEUE_SIZE = 10
LONGEST_QUEUE = 50


def queue_size(workflow: OpenWorkflow) -> int:
    """How many subjects a queue of the workflow has when nobody says: Panoptes' `subject_queue_page_size`, or ten."""
    asked = workflow.configuration.get("subject_queue_page_size")
    return min(asked, LONGEST_QUEUE) if type(asked) is int and asked > 0 else QUEUE_SIZE


def next_subjects(
    workflow: OpenWorkflow,
    identity: Identity,
    *,
    limit: int,
    site: str,
    held: frozenset[int] | None = None,
    subject_set_id: int | None = None,
    audience: str = "volunteers",
) -> list[Document]:
    """The next subjects of somebody who has a volunteer.

    Raises:
        EsocsError: the workflow takes no answers, or has nothing to select from.
    """
    assert identity.volunteer_id is not None
    if workflow.selects_as_panoptes and audience == "volunteers":
        return _as_panoptes(workflow, identity, limit=limit, site=site, subject_set_id=subject_set_id)
    if workflow.has_streams and audience == "volunteers" and subject_set_id is None:
        subjects = hand_out_by_streams(
            workflow_id=workflow.id,
            volunteer_id=identity.volunteer_id,
            user_id=identity.user_id,
            limit=limit,
            held=held,
        )
    else:
        subjects = hand_out_subjects(
            workflow_id=workflow.id,
            volunteer_id=identity.volunteer_id,
            limit=limit,
            held=held,
            subject_set_id=subject_set_id,
            audience=audience,
        )
    return [queued_subject_document(subject, site=site, project_id=workflow.project_id) for subject in subjects]


def _as_panoptes(
    workflow: OpenWorkflow, identity: Identity, *, limit: int, site: str, subject_set_id: int | None
) -> list[Document]:
    assert identity.volunteer_id is not None
    selected = select_subjects(
        workflow_id=workflow.id,
        volunteer_id=identity.volunteer_id,
        user_id=identity.user_id,
        limit=limit,
        subject_set_id=subject_set_id,
    )
    documents = subject_documents([one.subject_id for one in selected], site=site)
    return [
        {
            **document,
            **selected_document(
                one.standing, favorite=one.favorite, state=one.selection_state, selected_at=one.selected_at
            ),
        }
        for document, one in zip(documents, selected, strict=True)
    ]


def subject_documents(subject_ids: Sequence[int], *, site: str) -> list[Document]:
    """These subjects, in this order."""
    rows = with_subject_links(Subject.objects.filter(pk__in=subject_ids)).in_bulk()
    return [subject_document(rows[pk], site=site) for pk in subject_ids]


def selected_document(standing: Standing, *, favorite: bool, state: str, selected_at: datetime) -> Document:
    """What Panoptes says beside a subject that it selects."""
    return {
        "retired": standing.retired,
        "already_seen": standing.already_seen,
        "finished_workflow": standing.finished_workflow,
        "user_has_finished_workflow": standing.user_has_finished,
        "favorite": favorite,
        "selection_state": state,
        "selected_at": timestamp(selected_at),
    }
