"""Rendered pictures, where no nginx stands in front. A name is never given to other bytes, so they are kept for ever."""

from __future__ import annotations

import re

from django.conf import settings
from django.http import FileResponse, Http404, HttpRequest, HttpResponseBase
from django.views.decorators.http import require_safe

MEDIA_TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".json": "application/json"}
NAME = re.compile(r"[0-9a-f]{2}/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\.jpg|\.png|\.json)")


@require_safe
def media(request: HttpRequest, path: str) -> HttpResponseBase:  # noqa: ARG001 - Django's signature
    """One file below MEDIA_ROOT, by its unguessable name.

    Raises:
        Http404: the name is not one of ours, or its file is gone.
    """
    match = NAME.fullmatch(path)
    if match is None:
        raise Http404("There is no such picture.")
    file = settings.MEDIA_ROOT / path
    try:
        response = FileResponse(file.open("rb"), content_type=MEDIA_TYPES[match.group(2)])
    except FileNotFoundError as error:
        raise Http404("This picture is gone.") from error
    response["Cache-Control"] = "public, max-age=31536000, immutable"
    # Volunteers' programs on other sites draw pictures on a canvas, which asks for this.
    response["Access-Control-Allow-Origin"] = "*"
    return response
