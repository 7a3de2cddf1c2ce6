"""How often a password may be guessed. Redis counts; while it is gone nobody is refused."""

from __future__ import annotations

import hashlib

from django.core.cache import cache

from classifier.errors import EsocsError

# Somebody who forgot a password tries a few; somebody who guesses it needs millions.
FAILURES = 10
WITHIN_S = 60


class TooManyAttemptsError(EsocsError):
    """The same address has guessed this person's password too often."""

    code = "too_many_attempts"
    status = 429


def check_attempts(*, login: str, address: str) -> None:
    """Let somebody try a password.

    Raises:
        TooManyAttemptsError: they failed too often within the last minute.
    """
    if (cache.get(_key(login, address)) or 0) >= FAILURES:
        raise TooManyAttemptsError("Too many failed attempts.", hint=f"Wait for {WITHIN_S} seconds.")


def note_failure(*, login: str, address: str) -> None:
    """Remember a failed attempt for a minute."""
    key = _key(login, address)
    cache.set(key, (cache.get(key) or 0) + 1, WITHIN_S)


def _key(login: str, address: str) -> str:
    digest = hashlib.sha256(f"{login.casefold()}\0{address}".encode(errors="replace")).hexdigest()
    return f"failed-log-in/{digest}"
