"""Ordering an export, asking after it, and fetching its file by a link that carries its own permission."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.signing import BadSignature, Signer
from django.http import StreamingHttpResponse
from django.utils.dateparse import parse_datetime
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from esocs.accounts.models import User
from esocs.panoptes import schema
from esocs.panoptes.access import (
    list_visible_projects,
    list_visible_workflows,
    require_collaborator,
    require_signed_in,
)
from esocs.panoptes.documents import Document, timestamp
from esocs.panoptes.errors import (
    ExportLinkInvalidError,
    ExportNotReadyError,
    GoneError,
    InvalidRequestError,
    NotFoundError,
)
from esocs.panoptes.parameters import parse_id
from esocs.panoptes.views.base import PanoptesView
from esocs.projects.models import Project, SubjectSet
from esocs.releases import queries
from esocs.releases.columns import KINDS
from esocs.releases.models import Export
from esocs.releases.queries import Variant
from esocs.releases.services import UnknownExportKindError, file_name, request_export

LINK_AGE_S = 24 * 60 * 60
# Links are made to end on the hour, so that the same export has the same link, and ETag, for an hour.
LINK_STEP_S = 60 * 60
PIECE_BYTES = 1 << 18


Part = dict[str, Any]
"""`workflow` or `subject_set`, where the export is not of the whole project."""

CONTENT_TYPES = {"text/csv": Export.Format.CSV, "application/vnd.apache.parquet": Export.Format.PARQUET}
CONTENT_TYPE_OF = {str(file_format): content_type for content_type, file_format in CONTENT_TYPES.items()}


class ExportOrder(PanoptesView):
    """`/api/<projects|workflows|subject_sets>/:id/<kind>_export`.

    A GET asks after the last order of just the variant that its parameters name; a POST's `media` orders one:
    `content_type`, and in `metadata` `pseudonymised`, `last_id`, `created_from` and `created_before`.
    """

    plural = "projects"

    @extend_schema(responses={200: schema.answer("media", schema.MEDIA), **schema.ERRORS})
    def get(self, request: Request, pk: str, kind: str) -> Response:
        project, scope = self._find(pk, kind)
        asked = {name: value for name, value in request.query_params.items() if name != "content_type"}
        variant = _read_variant(request.query_params.get("content_type", "text/csv"), asked)
        export = queries.find_latest_export(project=project, kind=kind, variant=variant, **scope)
        if export is None:
            raise NotFoundError(f"No {kind}_export exists for {self.plural} #{pk}", hint="POST here to order one.")
        return self.answer("media", [self._document(export)])

    @extend_schema(request=schema.EXPORT_BODY, responses={201: schema.answer("media", schema.MEDIA), **schema.ERRORS})
    def post(self, request: Request, pk: str, kind: str) -> Response:
        project, scope = self._find(pk, kind)
        variant = _read_body(request.data)
        user = User.objects.get(id=require_signed_in(self.identity))
        export = request_export(project=project, kind=kind, variant=variant, user=user, **scope)
        return self.answer("media", [self._document(export)], status=201)

    def _find(self, pk: str, kind: str) -> tuple[Project, Part]:
        if kind == "workflow_contents":
            raise GoneError("The workflow contents are part of the workflows export.", hint="Order workflows_export.")
        if kind not in KINDS:
            raise UnknownExportKindError(f"There is no export of {kind!r}.", hint=f"Kinds: {', '.join(KINDS)}.")
        project, scope = self._find_resource(parse_id(pk, "id"))
        require_collaborator(self.identity, project)
        return project, scope

    def _find_resource(self, pk: int) -> tuple[Project, Part]:
        project = list_visible_projects(self.identity).filter(id=pk).first()
        if project is None:
            raise NotFoundError(f"Could not find project with id='{pk}'")
        return project, {}

    def _document(self, export: Export) -> Document:
        pk = export.workflow_id or export.subject_set_id or export.project_id
        href = f"/{self.plural}/{pk}/{export.kind}_export"
        failure = queries.find_failure(export)
        metadata: Document = {"state": "failed" if failure else export.state}
        metadata["recipients"] = [export.requested_by_id] if export.requested_by_id else []
        if failure:
            metadata["error"] = failure
        if export.as_of is not None and export.state == Export.State.READY:
            metadata["as_of"] = timestamp(export.as_of)
            metadata["row_count"] = export.row_count
            metadata["sha256"] = export.sha256
        if export.pseudonymised:
            metadata["pseudonymised"] = True
        if export.after_id is not None:
            metadata["last_id"] = str(export.after_id)
        for name, moment in (("created_from", export.created_from), ("created_before", export.created_before)):
            if moment is not None:
                metadata[name] = timestamp(moment)
        return {
            "id": str(export.pk),
            "href": href,
            "src": f"{self.site}/api/exports/{_sign(export)}/{file_name(export)}",
            "content_type": CONTENT_TYPE_OF[export.format],
            "media_type": f"{self.plural.removesuffix('s')}_{export.kind}_export",
            "external_link": False,
            "created_at": timestamp(export.created_at),
            "updated_at": timestamp(export.updated_at),
            "metadata": metadata,
            "links": {"linked": {"href": f"/{self.plural}/{pk}", "id": str(pk), "type": self.plural}},
        }


class WorkflowExportOrder(ExportOrder):
    """The same for a workflow."""

    plural = "workflows"

    def _find_resource(self, pk: int) -> tuple[Project, Part]:
        workflow = list_visible_workflows(self.identity).filter(id=pk).select_related("project").first()
        if workflow is None:
            raise NotFoundError(f"Could not find workflow with id='{pk}'")
        return workflow.project, {"workflow": workflow}


class SubjectSetExportOrder(ExportOrder):
    """The same for a subject set: classifications, annotations and subjects."""

    plural = "subject_sets"

    def _find_resource(self, pk: int) -> tuple[Project, Part]:
        projects = list_visible_projects(self.identity)
        found = SubjectSet.objects.filter(id=pk, project__in=projects).select_related("project").first()
        if found is None:
            raise NotFoundError(f"Could not find subject_set with id='{pk}'")
        return found.project, {"subject_set": found}


class ExportFile(PanoptesView):
    """The file itself. Whoever holds the link may fetch it for a day; no log-in is asked for."""

    authentication_classes = ()

    @extend_schema(
        operation_id="fetch_export",
        responses={
            (200, "text/csv"): OpenApiTypes.STR,
            (200, "application/vnd.apache.parquet"): OpenApiTypes.BINARY,
            **schema.ERRORS,
        },
    )
    def get(self, request: Request, token: str, name: str) -> StreamingHttpResponse:
        return send_export(_find_by_token(token), request)


def send_export(export: Export, request: Request) -> StreamingHttpResponse:
    """A ready export's file, packed if the client takes it so."""
    path = queries.export_path(export)
    is_csv = export.format == Export.Format.CSV
    packed = is_csv and "gzip" in _accepted_encodings(request)
    content_type = CONTENT_TYPE_OF[export.format] + ("; charset=utf-8" if is_csv else "")
    response = StreamingHttpResponse(_pieces(path, unpack=is_csv and not packed), content_type=content_type)
    response["Content-Length"] = str(path.stat().st_size if packed else export.size_bytes)
    response["Content-Disposition"] = f'attachment; filename="{file_name(export)}"'
    response["Vary"] = "Accept-Encoding"
    response["ETag"] = f'"{export.sha256}{"-gzip" if packed else ""}"'
    if packed:
        response["Content-Encoding"] = "gzip"
    return response


def _find_by_token(token: str) -> Export:
    try:
        export_id, ends_at = _signer().unsign(token).split("-")
    except (BadSignature, ValueError):
        raise ExportLinkInvalidError("This link is not one of ours.", hint="Ask the API for a new one.") from None
    if int(ends_at) < time.time():
        raise ExportLinkInvalidError("This link's time is over.", hint="Ask the API for a new one.")
    export = queries.find_export(int(export_id))
    if export is None:
        raise NotFoundError("This export was deleted.")
    if export.state != Export.State.READY:
        raise ExportNotReadyError("This export is not ready yet.", hint="Ask for its state and try again.")
    return export


def _sign(export: Export) -> str:
    """The link's permission: which export, until when."""
    ends_at = (int(time.time()) // LINK_STEP_S + 1) * LINK_STEP_S + LINK_AGE_S
    return _signer().sign(f"{export.pk}-{ends_at}")


def _signer() -> Signer:
    return Signer(salt="esocs.panoptes.exports", sep=".")


def _accepted_encodings(request: Request) -> set[str]:
    """The encodings that the client takes; one with q=0 it does not."""
    accepted = set()
    for part in request.headers.get("Accept-Encoding", "").split(","):
        name, _, quality = part.partition(";")
        if quality.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}:
            accepted.add(name.strip().lower())
    return accepted


def _pieces(path: Path, *, unpack: bool) -> Iterator[bytes]:
    with gzip.open(path) if unpack else path.open("rb") as source:
        while piece := source.read(PIECE_BYTES):
            yield piece


def _read_body(body: object) -> Variant:
    """Clients send `{"media": {"content_type": "text/csv"}}`, or nothing."""
    if not body:
        return Variant()
    media = body.get("media") if isinstance(body, dict) else None
    if not isinstance(media, dict):
        raise InvalidRequestError('Exports are ordered by {"media": {"content_type": "text/csv"}}.')
    asked = media.get("metadata") or {}
    if not isinstance(asked, dict):
        raise InvalidRequestError("`metadata` is an object.")
    return _read_variant(media.get("content_type", "text/csv"), asked)


def _read_variant(content_type: object, asked: Mapping[str, object]) -> Variant:
    if not isinstance(content_type, str) or content_type not in CONTENT_TYPES:
        raise InvalidRequestError(f"An export is one of {', '.join(CONTENT_TYPES)}.")
    last_id = asked.get("last_id")
    return Variant(
        format=CONTENT_TYPES[content_type],
        pseudonymised=_read_boolean(asked.get("pseudonymised")),
        after_id=None if last_id is None else parse_id(str(last_id), "last_id"),
        created_from=_read_time(asked, "created_from"),
        created_before=_read_time(asked, "created_before"),
    )


def _read_boolean(value: object) -> bool:
    if value is None or value is False or value == "false":
        return False
    if value is True or value == "true":
        return True
    raise InvalidRequestError("`pseudonymised` is true or false.")


def _read_time(asked: Mapping[str, object], name: str) -> datetime | None:
    text = asked.get(name)
    if text is None:
        return None
    try:
        moment = parse_datetime(text) if isinstance(text, str) else None
    except ValueError:  # the 31st of February
        moment = None
    if moment is None:
        raise InvalidRequestError(f"`{name}` is a time.", hint="Write it as 2026-01-31T12:00:00Z.")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
