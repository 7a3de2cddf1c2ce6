"""Many rows in one statement with one parameter a column: a tenth of the work of making SQL for every value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from django.db import connection, models

# What travels as it is. All else goes as text, and some of that is to be read as PostgreSQL reads a literal.
_PLAIN = frozenset({"bigint", "integer", "double precision", "boolean"})
_READ = frozenset({"jsonb", "timestamp with time zone", "double precision[]"})


def insert_rows(
    model: type[models.Model],
    names: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    same: Mapping[str, Any] | None = None,
    ignore_conflicts: bool = False,
    now: Sequence[str] = (),
    returning: Sequence[str] = (),
) -> list[tuple[Any, ...]]:
    """Insert new rows of one model; what the database fills in (ids, defaults) is not read back.

    Args:
        model: whose table.
        names: of fields (`shard_id`, not `shard`).
        rows: their values. JSON, times and arrays are texts; a column's numbers are all of one type, and finite.
        same: what all rows have in common. Fields that nobody names get the model's defaults.
        ignore_conflicts: leave out rows whose place another has.
        now: fields that get the database's time.
        returning: fields to give back of what was inserted.

    Returns:
        One tuple an inserted row, in no order, with the fields to give back; none of them where there are no such.

    Raises:
        IntegrityError: a conflict that is not to be ignored.
        DataError: a value that its column does not take, such as a text that is no JSON.
    """
    if not rows:
        return []
    meta = model._meta  # noqa: SLF001 - Django's documented Model _meta API
    fields = {field.attname: field for field in meta.concrete_fields}
    kinds = {name: field.db_type(connection) for name, field in fields.items()}
    constant = {
        name: field.get_default()
        for name, field in fields.items()
        if not field.primary_key and field.db_default is models.NOT_PROVIDED and name not in names and name not in now
    } | dict(same or {})
    prepared = [fields[name].get_db_prep_save(value, connection) for name, value in constant.items()]
    columns = ", ".join(_column(fields[name]) for name in [*constant, *names, *now])
    values = ", ".join(
        [
            *(f"%s::{kinds[name]}" for name in constant),
            *(f'"{name}"::{kinds[name]}' if kinds[name] in _READ else f'"{name}"' for name in names),
            *("statement_timestamp()" for _ in now),
        ]
    )
    arrays = ", ".join(f"%b::{kinds[name] if kinds[name] in _PLAIN else 'text'}[]" for name in names)
    listed = ", ".join(f'"{name}"' for name in names)
    statement = (
        f'INSERT INTO "{meta.db_table}" ({columns}) SELECT {values} FROM unnest({arrays}) AS row ({listed})'
        f"{' ON CONFLICT DO NOTHING' if ignore_conflicts else ''}"
        f"{' RETURNING ' + ', '.join(_column(fields[name]) for name in returning) if returning else ''}"
    )
    with connection.wrap_database_errors:
        # Bound by the server: Django's own cursor would write the values into the statement, for the server to find
        # their end letter by letter.
        cursor = psycopg.Cursor(_connected())
        cursor.execute(statement, [*prepared, *map(list, zip(*rows, strict=True))])
        return cursor.fetchall() if returning else []


def _column(field: models.Field[Any, Any]) -> str:
    return f'"{field.column}"'


def _connected() -> psycopg.Connection[Any]:
    connection.ensure_connection()
    connected: psycopg.Connection[Any] = connection.connection
    return connected
