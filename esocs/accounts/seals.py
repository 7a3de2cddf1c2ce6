"""The volunteer's seal: a cookie that says for ten minutes who answers, so that an answer need not ask for its session.

The session stays the source of truth. A seal is bound to the key of the session it was made from, and that key changes
at each log-in, log-out and change of the password: beside another session it is nothing.
"""

from __future__ import annotations

import hmac
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import cache

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from esocs.accounts.identity import Identity

COOKIE = "esocs_volunteer"
# Nothing else reads it, so it is sent nowhere else.
PATH = "/api/classifications"
AGE_S = 10 * 60


def identity_from_seal(request: HttpRequest) -> Identity | None:
    """Whom the seal names; None without one made here, for the request's session key, in the last ten minutes."""
    cookies = request.COOKIES
    sealed, session_key = cookies.get(COOKIE), cookies.get(settings.SESSION_COOKIE_NAME)
    if not sealed or not session_key:
        return None
    said, _, digest = sealed.partition(".")
    if not hmac.compare_digest(digest.encode(), _digest(said, session_key)):
        return None
    until, volunteer_id, user_id, login, is_staff = json.loads(urlsafe_b64decode(said))
    if time.time() >= until:
        return None
    return Identity(volunteer_id=volunteer_id, user_id=user_id, login=login, is_staff=is_staff)


def set_seal(request: HttpRequest, response: HttpResponseBase, identity: Identity) -> None:
    """Seal the identity that was read from the request's session.

    Nothing is sealed before the volunteer and the session are kept, nor for a session that is not the cookie's.
    """
    session_key = request.session.session_key
    kept = session_key == request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    if session_key is None or not kept or identity.volunteer_id is None:
        return
    values = (int(time.time()) + AGE_S, identity.volunteer_id, identity.user_id, identity.login, identity.is_staff)
    said = urlsafe_b64encode(json.dumps(values).encode()).decode()
    response.set_cookie(
        COOKIE,
        f"{said}.{_digest(said, session_key).decode()}",
        max_age=AGE_S,
        path=PATH,
        domain=settings.SESSION_COOKIE_DOMAIN,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="None" if settings.SESSION_COOKIE_SAMESITE == "None" else "Lax",
    )


def _digest(said: str, session_key: str) -> bytes:
    # The session's key stays secret: only its digest leaves, under a key of its own.
    digest = hmac.digest(_sealing_key(settings.SECRET_KEY), f"{said}.{session_key}".encode(), "sha256")
    return digest.hex().encode()


@cache
def _sealing_key(secret: str) -> bytes:
    return f"volunteer-seal:{secret}".encode()
