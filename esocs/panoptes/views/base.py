"""What every resource of the API has in common: the frame, the ETag, the asker and the site's address."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from django.http import HttpRequest, HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.template.response import SimpleTemplateResponse
from django.utils.http import http_date
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from esocs.accounts.identity import Identity
from esocs.panoptes.documents import Document, envelope
from esocs.panoptes.errors import PreconditionFailedError, PreconditionRequiredError


class PanoptesView(APIView):
    """An address of the API. Subclasses answer with `self.answer`."""

    def answer(
        self,
        plural: str,
        documents: list[Document],
        *,
        meta: Mapping[str, Any] | None = None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        seen_at: datetime | None = None,
    ) -> Response:
        """The documents in Panoptes' frame, with an ETag.

        Args:
            plural: the resource's name.
            documents: of the rows.
            meta: of a listing.
            status: of the answer.
            headers: beside the usual ones.
            seen_at: of a single resource that can be changed, its row's `updated_at`: the ETag is good for `If-Match`.
        """
        response = Response(envelope(plural, documents, meta), status=status, headers=headers)
        version = "" if seen_at is None else etag_version(f"{plural}/{documents[0]['id']}", seen_at) + "-"
        if seen_at is not None:
            response["Last-Modified"] = http_date(seen_at.timestamp())
        response.add_post_render_callback(lambda rendered: _set_etag(rendered, version))
        return response

    @property
    def identity(self) -> Identity:
        """Who asks. `IdentityAuthentication` gives everybody an identity, the anonymous too."""
        return cast("Identity", self.request.user)

    @property
    def site(self) -> str:
        """The address under which this server was reached, without a slash: what absolute addresses start with."""
        return site_of(self.request)

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        if isinstance(response, Response) and request.method == "GET":
            candidates = request.META.get("HTTP_IF_NONE_MATCH", "")
            if candidates:
                response.add_post_render_callback(lambda rendered: _not_modified(rendered, candidates))
        return response


def site_of(request: HttpRequest | Request) -> str:
    """The address under which the server was reached, without a slash."""
    return f"{request.scheme}://{request.get_host()}"


def etag_of(content: bytes, version: str = "") -> str:
    """The ETag of an answer's body; `version` comes first where writers must match it."""
    return f'W/"{version}{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


def etag_version(name: str, seen_at: datetime) -> str:
    """The part of an ETag that a writer must match: the row as its people last changed it.

    The rest of the tag covers what the answer shows beside, such as counts: volunteers at work change these all the
    time, and that is no reason to refuse a change of the title.
    """
    return hashlib.md5(f"{name}@{seen_at.timestamp():.6f}".encode(), usedforsecurity=False).hexdigest()[:16]


def require_match(request: Request, name: str, seen_at: datetime) -> None:
    """Let a writer pass who has seen the row as it is.

    Raises:
        PreconditionRequiredError: no `If-Match` was sent.
        PreconditionFailedError: it is of another state of the row.
    """
    sent = request.headers.get("If-Match", "").strip()
    if not sent:
        raise PreconditionRequiredError("If-Match is missing.", hint="Send the ETag that came with the resource.")
    version = etag_version(name, seen_at)
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in sent.split(",")]
    if sent != "*" and version not in {tag.partition("-")[0] for tag in tags}:
        raise PreconditionFailedError("This was changed since you read it.", hint="Read it again.")


def _set_etag(response: SimpleTemplateResponse, version: str = "") -> None:
    response["ETag"] = etag_of(response.content, version)


def _not_modified(response: SimpleTemplateResponse, candidates: str) -> HttpResponseBase | None:
    """304 instead of a body that the client already has."""
    etag = response.headers.get("ETag")
    if etag is None or etag not in {candidate.strip() for candidate in candidates.split(",")}:
        return None
    unchanged = HttpResponseNotModified()
    unchanged["ETag"] = etag
    return unchanged
