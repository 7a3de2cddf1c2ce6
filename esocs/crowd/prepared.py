"""Calls of the database's functions that every answer makes: planned once a connection, sent without detours.

A general cursor looks at the type of each value and splits each text anew, which takes longer than the calls
themselves. Here the values go as text in the order of the function's parameters, and PostgreSQL, which knows their
types, reads them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from psycopg import pq

Value = str | float | list[Any] | tuple[Any, ...] | None

# Which functions each connection has prepared.
_prepared: WeakKeyDictionary[psycopg.Connection[Any], set[str]] = WeakKeyDictionary()


def call_function(name: str, values: Sequence[Value]) -> list[bytes | None]:
    """The columns of the one row that a function of `crowd.functions` gives, as PostgreSQL writes them.

    Raises:
        django.db.Error: what the database said.
    """
    database = connections[DEFAULT_DB_ALIAS]
    # As Django's own cursors do: once a request, where a connection may have died since the last one.
    database.close_if_health_check_failed()
    database.ensure_connection()
    with database.wrap_database_errors:
        if not database.queries_logged:
            return _call(database.connection, name, values)
        started = time.monotonic()
        try:
            return _call(database.connection, name, values)
        finally:
            database.queries_log.append({"sql": name, "time": f"{time.monotonic() - started:.3f}"})


def _call(raw: psycopg.Connection[Any], name: str, values: Sequence[Value]) -> list[bytes | None]:
    server = raw.pgconn
    if not raw.autocommit and server.transaction_status == pq.TransactionStatus.IDLE:
        _checked(raw, server.exec_(b"BEGIN"))
    sent: Any = [_WRITERS[type(value)](value) for value in values]  # None is null, which psycopg's types forget
    if settings.PREPARES_STATEMENTS:
        known = _prepared.get(raw)
        if known is None:
            known = _prepared[raw] = set()
        if name not in known:
            _checked(raw, server.prepare(name.encode(), _text(name, len(sent))))
            known.add(name)
        result = server.exec_prepared(name.encode(), sent)
    else:
        result = server.exec_params(_text(name, len(sent)), sent)
    _checked(raw, result)
    return [result.get_value(0, column) for column in range(result.nfields)]


@cache
def _text(name: str, n: int) -> bytes:
    parameters = ", ".join(f"${i + 1}" for i in range(n))
    return f"SELECT * FROM {name}({parameters})".encode()


def _checked(raw: Any, result: pq.abc.PGresult) -> None:
    if result.status not in {pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK}:
        raise psycopg.errors.error_from_result(result, encoding=raw.info.encoding)


def _array(values: Sequence[Any]) -> bytes:
    return ("{" + ",".join(map(_member, values)) + "}").encode()


def _member(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return repr(value)


def _number(value: float) -> bytes:
    return repr(value).encode()


_WRITERS: dict[type, Callable[[Any], bytes | None]] = {
    type(None): lambda value: value,
    bool: lambda value: b"t" if value else b"f",
    str: str.encode,
    int: _number,
    float: _number,
    list: _array,
    tuple: _array,
}
