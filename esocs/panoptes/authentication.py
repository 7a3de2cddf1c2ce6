"""Who sends a request: a bearer token, else the session's cookie, else nobody. No statement of SQL for any of them."""

from __future__ import annotations

from enum import Enum, auto
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from esocs.accounts.identity import (
    Identity,
    TokenInvalidError,
    ensure_volunteer,
    identity_from_session,
    identity_from_token,
    identity_of_page,
)
from esocs.accounts.seals import identity_from_seal
from esocs.accounts.throttling import client_address
from esocs.panoptes.errors import ForeignOriginError

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class IdentityAuthentication(BaseAuthentication):
    """`request.user` is an `Identity`, `request.auth` the token or None."""

    def authenticate(self, request: Request) -> tuple[Identity, str | None]:
        """The asker's identity; see `identify` for the errors."""
        return identify(request._request)  # noqa: SLF001 - DRF's name for Django's request

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class Means(Enum):
    """By what an asker is known."""

    TOKEN = auto()
    SESSION = auto()
    SEAL = auto()


def identify(request: HttpRequest) -> tuple[Identity, str | None]:
    """Who asks, and the token by which, if it is one.

    Raises:
        TokenInvalidError, TokenExpiredError: a token came and cannot be believed.
        ForeignOriginError: a cookie came with a write from a page of another site.
    """
    token = _token_of(request)
    if token is not None:
        return identity_from_token(token), token
    if request.method not in SAFE_METHODS:
        refuse_foreign_origin(request)
    return identity_from_session(request), None


def identify_volunteer(request: HttpRequest) -> tuple[Identity, Means]:
    """Who answers, and by what that is known: like `identify`, but a seal spares the session."""
    token = _token_of(request)
    if token is not None:
        return identity_from_token(token), Means.TOKEN
    refuse_foreign_origin(request)
    sealed = identity_from_seal(request)
    if sealed is not None:
        return sealed, Means.SEAL
    return identity_from_session(request), Means.SESSION


def _token_of(request: HttpRequest) -> str | None:
    # The Zooniverse classifier sends an empty Authorization header for anonymous volunteers.
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    if scheme:
        if scheme.lower() != "bearer" or not token:
            raise TokenInvalidError("The Authorization header holds no bearer token.")
        return str(token.strip())
    return None


def refuse_foreign_origin(request: HttpRequest | Request) -> None:
    """Refuse a browser's write from another site's page.

    A form cannot send JSON, the cookie is SameSite=Lax, and a script says its origin: programs need no token.
    """
    origin = request.META.get("HTTP_ORIGIN")
    trusted = origin in settings.CSRF_TRUSTED_ORIGINS or origin in settings.CORS_ALLOWED_ORIGINS
    if origin and not trusted and urlsplit(origin).netloc != request.get_host():
        raise ForeignOriginError("Pages of other sites may not write here.", hint="List it in ESOCS_CORS_ORIGINS.")


def somebody_who_asks(request: Request, identity: Identity) -> Identity:
    """The asker with a volunteer, for whom subjects can be reserved.

    A browser sends our cookie to no page of a foreign site (it is SameSite=Lax, unless the operator says otherwise), so
    that such a page would be somebody new at each request, hold ten more subjects each time, and leave a row behind. It
    is known again by its address and its browser; who answers is told apart by the session that the answer names.
    """
    plain = request._request  # noqa: SLF001 - DRF's name for Django's request
    if settings.SESSION_COOKIE_NAME in plain.COOKIES or not _keeps_no_cookie(plain):
        return ensure_volunteer(plain, identity)
    return identity_of_page(identity, f"queue/{client_address(plain)}/{plain.headers.get('User-Agent', '')}")


def _keeps_no_cookie(request: HttpRequest) -> bool:
    """Whether a page of another site asks, as the browser says, or an older one by the origin alone."""
    if settings.SESSION_COOKIE_SAMESITE == "None":
        return False
    said = request.headers.get("Sec-Fetch-Site")
    if said is not None:
        return said == "cross-site"
    origin = request.headers.get("Origin")
    return origin is not None and urlsplit(origin).hostname != request.get_host().partition(":")[0]


class IdentityScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI document names it."""

    target_class = IdentityAuthentication
    name = ["bearer", "session"]

    def get_security_requirement(self, auto_schema: object) -> list[dict[str, list[str]]]:
        return [{"bearer": []}, {"session": []}, {}]

    def get_security_definition(self, auto_schema: object) -> list[dict[str, str]]:
        return [
            {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME},
        ]
