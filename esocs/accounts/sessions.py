"""Django's cached database sessions: Redis answers, PostgreSQL is the source of truth, a lost Redis logs nobody out."""

from django.contrib.sessions.backends.cached_db import SessionStore

__all__ = ["SessionStore"]
