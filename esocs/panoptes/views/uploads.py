"""PUT /api/uploads/:token: the bytes of a subject's file, by a link that carries its own permission."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from django.core.signing import BadSignature, SignatureExpired, TimestampSigner
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from esocs.crowd.by_hand import open_subjects
from esocs.panoptes import schema
from esocs.panoptes.errors import UploadLinkInvalidError
from esocs.panoptes.renderers import LenientNegotiation
from esocs.panoptes.views.base import PanoptesView
from esocs.projects.media import receive_upload
from esocs.projects.models import Media
from esocs.projects.uploads import UploadTooLargeError

# Long enough for a manifest of thousands over a slow line; the client asks for each subject's link as it comes to it.
LINK_AGE_S = 60 * 60


class BytesParser(BaseParser):
    """The body as it is, as long as it is no larger than an upload may be."""

    media_type = "*/*"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        request = (parser_context or {}).get("request")
        announced = int(request.META.get("CONTENT_LENGTH") or 0) if request is not None else 0
        limit = settings.UPLOAD_LIMIT_BYTES
        # One byte more than is taken tells that there are too many.
        content = b"" if announced > limit else stream.read(limit + 1)
        if announced > limit or len(content) > limit:
            raise UploadTooLargeError(f"The file is larger than {limit:,} bytes.", hint="Send a smaller picture.")
        return bytes(content)


class AnyBody(LenientNegotiation):
    """Whatever the sender calls its body: what it is, is seen by looking at it."""

    def select_parser(self, request: Request, parsers: Any) -> BaseParser | None:
        return next(iter(parsers), None)


class Upload(PanoptesView):
    """A file that was announced when its subject was made. Whoever holds the link may send it for an hour."""

    authentication_classes = ()
    parser_classes = (BytesParser,)
    content_negotiation_class: type[BaseContentNegotiation] = AnyBody

    @extend_schema(
        operation_id="upload_file",
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={201: None, **schema.ERRORS},
    )
    def put(self, request: Request, token: str) -> Response:
        content: Any = request.data
        # DRF reads an empty body without asking the parser.
        media = receive_upload(_read(token), content if isinstance(content, bytes) else b"")
        open_subjects([media.subject_id])
        return Response(status=201)


def upload_address(media: Media, *, site: str) -> str:
    """Where a file that was announced is to be PUT."""
    return f"{site}/api/uploads/{_signer().sign(str(media.pk))}"


def _read(token: str) -> int:
    try:
        return int(_signer().unsign(token, max_age=LINK_AGE_S))
    except SignatureExpired:
        raise UploadLinkInvalidError("This link's time is over.", hint="Create the subject again.") from None
    except (BadSignature, ValueError):
        raise UploadLinkInvalidError("This link is not one of ours.", hint="Create the subject to get one.") from None


def _signer() -> TimestampSigner:
    return TimestampSigner(salt="esocs.panoptes.uploads", sep=".")
