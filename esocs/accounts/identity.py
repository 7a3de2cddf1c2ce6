"""Who is asking: built from the session or a signed token without touching the database."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, replace
from typing import Any

import jwt
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.http import HttpRequest

from classifier.errors import EsocsError
from esocs.accounts import services
from esocs.accounts.models import User

ANONYMOUS_TOKEN = "anonymous_token"  # noqa: S105 - a session key, not a secret
VOLUNTEER_ID = "volunteer_id"
LOGIN = "login"
STAFF = "is_staff"
ALGORITHM = "HS256"
ISSUER = "esocs"


class TokenInvalidError(EsocsError):
    """The bearer token was not issued here, or was altered."""

    code = "token_invalid"
    status = 401


class TokenExpiredError(EsocsError):
    """The bearer token's time is over."""

    code = "token_expired"
    status = 401


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The asker. `volunteer_id` is None until an anonymous visitor first needs one."""

    volunteer_id: int | None = None
    user_id: int | None = None
    login: str = ""
    is_staff: bool = False

    @property
    def anonymous(self) -> bool:
        return self.user_id is None

    @property
    def is_authenticated(self) -> bool:
        """DRF's and drf-spectacular's word for it."""
        return self.user_id is not None


def remember_in_session(request: HttpRequest, user: User) -> None:
    """Keep in the session what the volunteer's path needs, so that a classification costs no look-up of its sender."""
    request.session[VOLUNTEER_ID] = services.volunteer_for_user(user).pk
    request.session[LOGIN] = user.login
    request.session[STAFF] = user.is_staff


def identity_from_session(request: HttpRequest) -> Identity:
    """The session's identity; anonymous when nobody is logged in."""
    session = request.session
    user_id = session.get(SESSION_KEY)
    if user_id is not None and not {BACKEND_SESSION_KEY, HASH_SESSION_KEY} <= set(session.keys()):
        user_id = None
    if user_id is not None and VOLUNTEER_ID not in session:
        remember_in_session(request, User.objects.get(pk=user_id))
    return Identity(
        volunteer_id=session.get(VOLUNTEER_ID),
        user_id=int(user_id) if user_id is not None else None,
        login=session.get(LOGIN, "") if user_id is not None else "",
        is_staff=bool(session.get(STAFF, False)) if user_id is not None else False,
    )


def ensure_volunteer(request: HttpRequest, identity: Identity, *, page: str = "") -> Identity:
    """The same identity with a volunteer: an anonymous visitor gets one, kept in the session.

    Args:
        request: whose session it is.
        identity: who asks.
        page: a name by which a page that sends no cookie is known again, if there is one. Pages of other sites send
            none, and would be somebody new at each request.
    """
    if identity.volunteer_id is not None:
        return identity
    token = request.session.get(ANONYMOUS_TOKEN)
    if token is None and page:
        # Not kept as the session's own: what is derived from names and addresses is nothing to sign up with later.
        token = f"page:{page}"
    elif token is None:
        token = request.session[ANONYMOUS_TOKEN] = secrets.token_urlsafe(32)
    volunteer_id = services.volunteer_for_anonymous(token).pk
    request.session[VOLUNTEER_ID] = volunteer_id
    return replace(identity, volunteer_id=volunteer_id)


def identity_of_page(identity: Identity, page: str) -> Identity:
    """The same identity with the volunteer of a page that keeps no session: one row a name, however often it asks."""
    if identity.volunteer_id is not None:
        return identity
    return replace(identity, volunteer_id=services.volunteer_for_anonymous(f"page:{page}").pk)


def issue_token(user: User) -> str:
    """A signed bearer token with Panoptes' claims, valid for ACCESS_TOKEN_AGE_S seconds."""
    data = {
        "id": user.pk,
        "login": user.login,
        "dname": str(user),
        "scope": ["public", "user", "project", "classification"],
        "admin": user.is_staff,
        VOLUNTEER_ID: services.volunteer_for_user(user).pk,
    }
    # Two tokens of the same second are two tokens.
    claims = {"exp": int(time.time()) + settings.ACCESS_TOKEN_AGE_S, "iss": ISSUER, "jti": secrets.token_urlsafe(12)}
    return jwt.encode({"data": data, **claims}, _signing_key(), algorithm=ALGORITHM)


def identity_from_token(token: str) -> Identity:
    """The identity a bearer token was issued to.

    Raises:
        TokenExpiredError: its time is over.
        TokenInvalidError: it is not one of ours.
    """
    try:
        claims: dict[str, Any] = jwt.decode(token, _signing_key(), algorithms=[ALGORITHM], issuer=ISSUER)
    except jwt.ExpiredSignatureError as error:
        raise TokenExpiredError("Your access token has expired.", hint="Ask /oauth/token for a new one.") from error
    except jwt.InvalidTokenError as error:
        raise TokenInvalidError("This access token is not valid here.") from error
    data = claims["data"]
    return Identity(
        volunteer_id=int(data[VOLUNTEER_ID]),
        user_id=int(data["id"]),
        login=str(data["login"]),
        is_staff=bool(data["admin"]),
    )


def _signing_key() -> bytes:
    return f"access-token:{settings.SECRET_KEY}".encode()
