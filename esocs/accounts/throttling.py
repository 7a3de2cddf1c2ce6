"""How often a password may be guessed. Redis counts; while it is gone nobody is refused."""

from __future__ import annotations

import hashlib

from django.conf import settings
from django.contrib.auth import authenticate
from django.core.cache import cache
from django.http import HttpRequest

from classifier.errors import EsocsError
from esocs.accounts.models import User

# Somebody who forgot a password tries a few; somebody who guesses it needs millions.
FAILURES = 10
WITHIN_S = 60


class TooManyAttemptsError(EsocsError):
    """The same address has guessed this person's password too often."""

    code = "too_many_attempts"
    status = 429


def try_password(request: HttpRequest, *, login: str, password: str) -> User | None:
    """The person to whom the password belongs; None where it belongs to nobody of that name.

    Raises:
        TooManyAttemptsError: the same address has failed too often within the last minute.
    """
    address = client_address(request)
    if (cache.get(_key(login, address)) or 0) >= FAILURES:
        raise TooManyAttemptsError("Too many failed attempts.", hint=f"Wait for {WITHIN_S} seconds.")
    user = authenticate(request, username=login, password=password)
    if isinstance(user, User):
        return user
    cache.set(_key(login, address), (cache.get(_key(login, address)) or 0) + 1, WITHIN_S)
    return None


def client_address(request: HttpRequest) -> str:
    """The sender's network address: of the connection, or as the proxy of an https deployment wrote it last."""
    if settings.SECURE_PROXY_SSL_HEADER:
        forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
        if forwarded:
            return str(forwarded)
    return str(request.META.get("REMOTE_ADDR", ""))


def _key(login: str, address: str) -> str:
    digest = hashlib.sha256(f"{login.casefold()}\0{address}".encode(errors="replace")).hexdigest()
    return f"failed-log-in/{digest}"
