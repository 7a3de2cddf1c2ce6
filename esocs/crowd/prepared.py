"""A cursor for the few statements that every answer runs: PostgreSQL plans them once a connection, not once a request.

Planning the hand-out takes longer than running it. Django's own cursor puts the values into the text, so that each
execution is another statement; this one binds them on the server, and psycopg prepares what it sees repeated.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection
from django.db.backends.postgresql.base import ServerBindingCursor
from django.db.backends.utils import CursorWrapper


@contextmanager
def prepared_cursor() -> Iterator[CursorWrapper]:
    """Django's wrapper (its errors, its query log) around a cursor that binds on the server."""
    connection.ensure_connection()
    raw: Any = ServerBindingCursor(connection.connection)  # type: ignore[call-arg]  # the stub forgets its parent
    with connection.make_debug_cursor(raw) if connection.queries_logged else connection.make_cursor(raw) as cursor:
        yield cursor
