"""What every resource of the API has in common: the frame, the ETag, the asker and the site's address."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, cast

from django.conf import settings
from django.http import HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.template.response import SimpleTemplateResponse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from esocs.accounts.identity import Identity
from esocs.panoptes.documents import Document, envelope


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
    ) -> Response:
        """The documents in Panoptes' frame, with an ETag."""
        response = Response(envelope(plural, documents, meta), status=status, headers=headers)
        response.add_post_render_callback(_set_etag)
        return response

    @property
    def identity(self) -> Identity:
        """Who asks. `IdentityAuthentication` gives everybody an identity, the anonymous too."""
        return cast("Identity", self.request.user)

    @property
    def site(self) -> str:
        """The address under which this server was reached, without a slash: what absolute addresses start with."""
        return f"{self.request.scheme}://{self.request.get_host()}"

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        if isinstance(response, Response) and request.method == "GET":
            candidates = request.META.get("HTTP_IF_NONE_MATCH", "")
            if candidates:
                response.add_post_render_callback(lambda rendered: _not_modified(rendered, candidates))
        return response


def _set_etag(response: SimpleTemplateResponse) -> None:
    digest = hashlib.md5(response.content, usedforsecurity=False).hexdigest()
    response["ETag"] = f'W/"{digest}"'


def _not_modified(response: SimpleTemplateResponse, candidates: str) -> HttpResponseBase | None:
    """304 instead of a body that the client already has."""
    etag = response.headers.get("ETag")
    if etag is None or etag not in {candidate.strip() for candidate in candidates.split(",")}:
        return None
    unchanged = HttpResponseNotModified()
    unchanged["ETag"] = etag
    return unchanged


def client_address(request: Request) -> str:
    """The sender's network address: of the connection, or as the proxy of an https deployment wrote it last."""
    if settings.SECURE_PROXY_SSL_HEADER:
        forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
        if forwarded:
            return str(forwarded)
    return str(request.META.get("REMOTE_ADDR", ""))
