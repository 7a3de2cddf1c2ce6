"""The volunteer's answer, `POST /api/classifications`: the most frequent request, so it takes the shortest way.

A plain view: negotiation, parsers and renderers of a framework cost more than everything that it does itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from django.http import HttpRequest, HttpResponse

from classifier.errors import EsocsError
from esocs.accounts.identity import Identity, ensure_volunteer
from esocs.accounts.seals import set_seal
from esocs.accounts.services import hash_ip
from esocs.accounts.throttling import client_address
from esocs.crowd.services import Recorded, Refill, Submission
from esocs.panoptes.access import OpenWorkflow, open_workflow
from esocs.panoptes.authentication import Means, identify_volunteer
from esocs.panoptes.documents import Document, envelope, queued_subject_document, recorded_document
from esocs.panoptes.errors import InvalidRequestError, answer_error, unsupported_media_type
from esocs.panoptes.parameters import read_count
from esocs.panoptes.recording import record
from esocs.panoptes.renderers import JSON_TYPES, MEDIA_TYPE, content_length, encode, media_type_of, read_json
from esocs.panoptes.selection import LONGEST_QUEUE, next_subjects
from esocs.panoptes.submissions import ClassificationRequest, read_classification, read_idempotency_key
from esocs.panoptes.views.base import etag_of, site_of
from esocs.panoptes.views.subjects import read_held

MOST_PARAMETERS = 100


def classify(request: HttpRequest) -> HttpResponse:
    """Store a classification, and hand out the next subjects where `refill` asks for them."""
    try:
        response = _classify(request)
    except Exception as error:  # noqa: BLE001 - the one handler of this door knows them all
        response = answer_error(error, {"request": request})
    response["Content-Length"] = str(len(response.content))
    return response


def _classify(request: HttpRequest) -> HttpResponse:
    site = site_of(request)  # first of all: it refuses a host that is not ours
    identity, means = identify_volunteer(request)
    sent = read_classification(_read_body(request))
    key = read_idempotency_key(request.META.get("HTTP_IDEMPOTENCY_KEY"))
    query = _read_query(request)
    limit = read_count(query, "refill", default=0, least=0, most=LONGEST_QUEUE)
    held = read_held(query)
    refill = Refill(limit=limit, held=held) if limit else None
    workflow = open_workflow(sent.workflow_id, identity)
    address = client_address(request)
    identity = ensure_volunteer(request, identity, page=_name_page(sent.metadata.get("session"), address))
    assert identity.volunteer_id is not None
    recorded = record(
        Submission(
            workflow_id=workflow.id,
            project_id=sent.project_id,
            subject_ids=[sent.subject_id],
            volunteer_id=identity.volunteer_id,
            user_id=identity.user_id,
            annotations=sent.annotations,
            metadata=_with_server_facts(sent, workflow, identity),
            workflow_version=sent.workflow_version,
            idempotency_key=key,
            gold_standard=sent.gold_standard,
            ip_key=hash_ip(address),
        ),
        workflow,
        refill=refill,
    )
    document = recorded_document(
        recorded,
        project_id=workflow.project_id,
        workflow_id=workflow.id,
        workflow_version=sent.workflow_version,
        subject_id=sent.subject_id,
        user_id=identity.user_id,
    )
    meta = {"subjects": _next(recorded, refill, workflow, identity, site=site)} if refill else {}
    content = encode(envelope("classifications", [document], meta))
    headers = {"Location": f"{site}/api{document['href']}", "ETag": etag_of(content)}
    if not recorded.created:
        headers["Idempotency-Replayed"] = "true"
    response = HttpResponse(content, content_type=MEDIA_TYPE, status=201, headers=headers)
    if means is Means.SESSION:
        set_seal(request, response, identity)
    return response


def _next(
    recorded: Recorded, refill: Refill, workflow: OpenWorkflow, identity: Identity, *, site: str
) -> list[Document]:
    """The next subjects. The classification is stored by now, so nothing here may turn its answer into an error."""
    if recorded.subjects is not None:
        return [
            queued_subject_document(subject, site=site, project_id=workflow.project_id) for subject in recorded.subjects
        ]
    try:
        return next_subjects(workflow, identity, limit=refill.limit, held=refill.held, site=site)
    except EsocsError:
        return []


def _read_query(request: HttpRequest) -> Mapping[str, str]:
    """The few parameters there are; Django's own dictionary of them holds lists and costs as much."""
    sent = request.META.get("QUERY_STRING", "")
    try:
        return dict(parse_qsl(sent, keep_blank_values=True, max_num_fields=MOST_PARAMETERS))
    except ValueError:
        raise InvalidRequestError("These are too many parameters.") from None


def _read_body(request: HttpRequest) -> Any:
    announced = content_length(request.META)
    if not announced:
        return {}
    media_type = media_type_of(request.META.get("CONTENT_TYPE"))
    if media_type not in JSON_TYPES:
        raise unsupported_media_type(media_type)
    return read_json(request.read, announced=announced)


def _name_page(session: object, address: str) -> str:
    """How a page that sends no cookie is known again: by the session that it names itself, at its address."""
    return f"{session}@{address}" if isinstance(session, str) and session else ""


def _with_server_facts(sent: ClassificationRequest, workflow: OpenWorkflow, identity: Identity) -> dict[str, object]:
    """The metadata with what Panoptes' server adds to it."""
    metadata = sent.metadata | {"live_project": workflow.live}
    if not identity.anonymous:
        metadata["user_group_ids"] = []
    return metadata
