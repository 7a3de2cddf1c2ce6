"""Extractors and reducers on other servers: each call is a job, sent what Caesar sends, and its answer is stored."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db.models.functions import Now

from esocs.crowd.caesar.configuration import CALLED
from esocs.crowd.caesar.deriving import lock_workflow, order_subjects
from esocs.crowd.caesar.documents import read_document
from esocs.crowd.caesar.errors import ReductionError
from esocs.crowd.caesar.extracting import list_classified, spec_of
from esocs.crowd.caesar.extraction import LARGEST_DATA_BYTES, is_too_old
from esocs.crowd.caesar.reducing import digest_of, read_extracts, select_or_nothing, upsert
from esocs.crowd.caesar.reducing import spec_of as reducer_spec_of
from esocs.crowd.models import Classification, Extract, Extractor, Reducer, SubjectReduction, UserReduction
from esocs.outbound import Limits, Reply, ReplyRefusedError, call
from esocs.outbound.queues import LARGEST_MESSAGE_BYTES, QueueKey, message_request

CALL_LIMITS = Limits(seconds=30.0, bytes=LARGEST_DATA_BYTES)


def post(url: str, body: Any, *, headers: Mapping[str, str] | None = None) -> Reply:
    """Send JSON to another server.

    Raises:
        OutboundError: it cannot be called, or does not take it.
    """
    return call(
        "POST",
        url,
        body=json.dumps(body, ensure_ascii=False).encode(),
        headers={"Content-Type": "application/json", "Accept": "application/json", **(headers or {})},
        allowed=settings.OUTBOUND_ALLOWED,
        limits=CALL_LIMITS,
    )


def send_message(url: str, body: Any) -> None:
    """Put JSON into a queue.

    Raises:
        OutboundError: it cannot be reached, or does not take it.
        ReductionError: it is more than a message may hold.
    """
    message = json.dumps(body, ensure_ascii=False)
    if len(message.encode()) > LARGEST_MESSAGE_BYTES:
        raise ReductionError(f"The extracts are more than {LARGEST_MESSAGE_BYTES:,} bytes, and no message holds them.")
    key = QueueKey(
        access_key_id=settings.SQS_ACCESS_KEY_ID, secret=settings.SQS_SECRET_ACCESS_KEY, region=settings.SQS_REGION
    )
    form, headers = message_request(url, message, key=key, at=datetime.now(UTC))
    call("POST", url, body=form, headers=headers, allowed=settings.OUTBOUND_ALLOWED, limits=CALL_LIMITS)


def read_reply(reply: Reply) -> dict[str, Any] | None:
    """The object in an answer; None when it has none (204, or what is to follow later).

    Raises:
        ReplyRefusedError: it is something else.
    """
    if reply.status == 204 or not reply.body.strip():
        return None
    try:
        data = json.loads(reply.body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise ReplyRefusedError("The answer is not JSON.") from None
    if not isinstance(data, dict) or "\\u0000" in json.dumps(data):
        raise ReplyRefusedError("The answer is no JSON object that can be kept.")
    return data


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def call_extractor(*, extractor_id: int, classification_id: int, key: str) -> Callable[[], None] | None:
    """Have another server read a classification.

    Raises:
        OutboundError: it cannot be called, or answers with something else than an object.
    """
    row = Extractor.objects.select_related("workflow").filter(pk=extractor_id, type="external").first()
    if row is None:
        return None
    chosen = Classification.objects.filter(pk=classification_id)
    classified = next(list_classified(row.workflow, chosen), None)
    if classified is None or is_too_old(spec_of(row), classified):
        return None
    data = read_reply(post(row.config["url"], classified.document, headers={"Idempotency-Key": key}))
    if data is None:
        return None
    workflow, subject_id = row.workflow, classified.subject_id

    def write() -> None:
        lock_workflow(workflow.pk)
        if not Extractor.objects.filter(pk=row.pk, updated_at=row.updated_at).exists():
            return  # changed meanwhile: the answer is to another question
        Extract.objects.bulk_create(
            [Extract(extractor=row, subject_id=subject_id, classification_id=classification_id, data=data)],
            ignore_conflicts=True,
        )
        order_subjects(workflow.pk, [subject_id])

    return write


def call_reducer(
    *,
    reducer_id: int,
    subgroup: str,
    sha256: str,
    key: str,
    subject_id: int | None = None,
    user_id: int | None = None,
) -> Callable[[], None] | None:
    """Have another server reduce a subject's or a volunteer's extracts; None when they are others by now.

    Raises:
        OutboundError: it cannot be called, or answers with something else than an object.
    """
    row = Reducer.objects.select_related("workflow").filter(pk=reducer_id, type__in=CALLED).first()
    if row is None:
        return None
    rows = Extract.objects.filter(extractor__workflow=row.workflow)
    if subject_id is not None:
        extracts = read_extracts(rows.filter(subject=subject_id), by="subject_id").get(subject_id, [])
    else:
        chosen = rows.filter(classification__volunteer__user=user_id)
        extracts = read_extracts(chosen, by="user_id").get(user_id or 0, [])
    sent = select_or_nothing(reducer_spec_of(row), extracts).get(subgroup, [])
    if not sent or digest_of(sent) != sha256:
        return None  # a later call is ordered for what they are now
    body = [read_document(one) for one in sent]
    if row.type == "sqs":
        send_message(row.config["queue_url"], body)
        return None  # whoever reads the queue writes the reduction
    data = read_reply(post(row.config["url"], body, headers={"Idempotency-Key": key}))
    if data is None:
        return None

    def write() -> None:
        lock_workflow(row.workflow_id)
        if not Reducer.objects.filter(pk=row.pk, updated_at=row.updated_at).exists():
            return
        store_reduction(row, data, subgroup=subgroup, subject_id=subject_id, user_id=user_id, sha256=sha256)

    return write


def store_reduction(
    row: Reducer,
    data: dict[str, Any],
    *,
    subgroup: str = "_default",
    subject_id: int | None = None,
    user_id: int | None = None,
    sha256: str = "",
) -> None:
    """Write a reduction that somebody else made, and have the rules worked out on it. The caller holds the lock."""
    written: dict[str, Any] = {
        "reducer_id": row.pk,
        "subgroup": subgroup,
        "data": data,
        "input_sha256": sha256,
        "updated_at": Now(),
    }
    fields = ["data", "input_sha256", "updated_at"]
    if subject_id is not None:
        upsert(SubjectReduction, "subject_id", [SubjectReduction(subject_id=subject_id, **written)], fields)
        order_subjects(row.workflow_id, [subject_id])
    elif user_id is not None:
        upsert(UserReduction, "user_id", [UserReduction(user_id=user_id, **written)], fields)
        seen = Classification.objects.filter(workflow=row.workflow_id, volunteer__user=user_id)
        # A volunteer's rules are worked out with any of their subjects.
        order_subjects(row.workflow_id, list(seen.order_by("-id").values_list("subject_id", flat=True)[:1]))
