"""How a submission is recorded: as the workflow counts, and for a group of subjects once for each of them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial
from typing import Any

from django.db import transaction

from esocs.crowd.services import (
    Recorded,
    Refill,
    Submission,
    record_answer,
    record_as_panoptes,
    record_classification,
)
from esocs.panoptes.access import OpenWorkflow
from esocs.panoptes.views.subject_groups import members_of


def record(submission: Submission, workflow: OpenWorkflow, *, refill: Refill | None) -> Recorded:
    """Store a submission exactly once. Of a group, all or none of its subjects' are stored; the first is returned.

    The next subjects come with it where esocs chooses them itself; elsewhere `esocs.panoptes.selection` finds them.

    Raises:
        EsocsError: it cannot be stored.
    """
    if submission.subject_id >= 0:
        return _record_one(submission, workflow, None if workflow.has_streams else refill)
    key = submission.idempotency_key
    with transaction.atomic():
        recorded = [
            _record_one(
                replace(
                    submission,
                    subject_ids=[pk],
                    idempotency_key=None if key is None else _member_key(key, pk),
                    metadata=_member_metadata(submission.metadata, pk),
                ),
                workflow,
                None,
            )
            for pk in members_of(submission.subject_id, workflow_id=workflow.id)
        ]
    return recorded[0]


def _record_one(submission: Submission, workflow: OpenWorkflow, refill: Refill | None) -> Recorded:
    if workflow.selects_as_panoptes:
        return record_answer(submission, store=partial(record_as_panoptes, live=workflow.live), keeps_count=True)
    return record_answer(submission, store=partial(record_classification, refill=refill))


def _member_metadata(metadata: dict[str, Any], subject_id: int) -> dict[str, Any]:
    """A revision names the answer to the same member."""
    if "revises" not in metadata:
        return metadata
    return {**metadata, "revises": _member_key(metadata["revises"], subject_id)}


def _member_key(key: str, subject_id: int) -> str:
    return hashlib.sha256(f"{key}/{subject_id}".encode()).hexdigest()
