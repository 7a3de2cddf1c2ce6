"""Addresses that belong to no room: health for load balancers, media where no nginx stands in front."""

from __future__ import annotations

from django.conf import settings
from django.core.cache import caches
from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.views.static import serve

from esocs.config.cache import ForgetfulRedisCache

YEAR_S = 365 * 24 * 60 * 60
MEDIA_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


def health(request: HttpRequest) -> JsonResponse:  # noqa: ARG001 - Django's signature
    """200 while PostgreSQL answers. A missing Redis is told but is no outage: the ledger holds the work."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        database = True
    except OperationalError:
        database = False
    redis = caches["default"]
    assert isinstance(redis, ForgetfulRedisCache)
    return JsonResponse({"postgresql": database, "redis": redis.ping()}, status=200 if database else 503)


def serve_media(request: HttpRequest, path: str) -> HttpResponseBase:
    """A rendered file. Its name is unguessable and its content never changes, so browsers may keep it for a year."""
    response = serve(request, path, document_root=str(settings.MEDIA_ROOT))
    response["Cache-Control"] = f"public, max-age={YEAR_S}, immutable"
    response["Access-Control-Allow-Origin"] = "*"
    # People upload what is shown from here: opened by itself, a picture runs nothing (an SVG may hold a script).
    response["Content-Security-Policy"] = MEDIA_POLICY
    return response
