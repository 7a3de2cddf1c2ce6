"""What must be right before esocs serves anybody, and one clear line for what is not there."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.db import OperationalError


def check_secret_key(**_: Any) -> list[CheckMessage]:
    """A deployment with its own database must have its own key."""
    if not settings.EMBEDDED and settings.SECRET_KEY == settings.INSECURE_KEY:
        return [Error("ESOCS_SECRET_KEY is not set.", hint="Set it to 50 random characters.", id="esocs.E001")]
    return []


def register_checks() -> None:
    register(check_secret_key)


def explain_database_error(error: OperationalError) -> str:
    """One line that says what is missing and what to do."""
    if settings.EMBEDDED:
        return (
            "service_unavailable: the embedded PostgreSQL does not run. "
            "Start it with `make services` (or set DATABASE_URL to a server of your own)."
        )
    host = urlsplit(settings.DATABASE_URL).hostname or "its socket"
    return (
        f"service_unavailable: PostgreSQL at {host} does not answer: {str(error).strip().splitlines()[0]} "
        "Check DATABASE_URL and that the server runs."
    )
