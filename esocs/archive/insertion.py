"""Many rows in one statement with one parameter: a tenth of the work of making SQL for every value of every row."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import psycopg
from django.db import connection, models

_ENCODER = json.JSONEncoder(allow_nan=False, check_circular=False, separators=(",", ":"))


def insert_rows(
    model: type[models.Model],
    rows: Sequence[Mapping[str, Any]],
    *,
    same: Mapping[str, Any] | None = None,
    texts: Collection[str] = (),
    ignore_conflicts: bool = False,
    now: Sequence[str] = (),
    returning: Sequence[str] = (),
) -> list[tuple[Any, ...]]:
    """Insert new rows of one model; what the database fills in (ids, defaults) is not read back.

    Args:
        model: whose table.
        rows: all with the same keys, names of fields (`shard_id`, not `shard`); values that JSON has: numbers finite.
        same: what all rows have in common. Fields that neither names get the model's defaults.
        texts: fields whose values are texts that PostgreSQL is to read as it reads a literal, JSON above all.
        ignore_conflicts: leave out rows whose place another has.
        now: fields that get the database's time.
        returning: fields to give back of what was inserted.

    Returns:
        One tuple an inserted row, in no order, with the fields to give back; none of them where there are no such.

    Raises:
        IntegrityError: a conflict that is not to be ignored.
        ValueError: a number that is not finite.
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
        if not field.primary_key and field.db_default is models.NOT_PROVIDED and name not in rows[0] and name not in now
    } | dict(same or {})
    prepared = [fields[name].get_db_prep_save(value, connection) for name, value in constant.items()]
    columns = ", ".join(_column(fields[name]) for name in [*rows[0], *constant, *now])
    values = ", ".join(
        [
            *(f'"{name}"::{kinds[name]}' if name in texts else f'"{name}"' for name in rows[0]),
            *(f"%s::{kinds[name]}" for name in constant),
            *("statement_timestamp()" for _ in now),
        ]
    )
    types = ", ".join(f'"{name}" {"text" if name in texts else kinds[name]}' for name in rows[0])
    statement = (
        f'INSERT INTO "{meta.db_table}" ({columns}) SELECT {values} FROM jsonb_to_recordset(%s::jsonb) AS row ({types})'
        f"{' ON CONFLICT DO NOTHING' if ignore_conflicts else ''}"
        f"{' RETURNING ' + ', '.join(_column(fields[name]) for name in returning) if returning else ''}"
    )
    with connection.wrap_database_errors:
        # Bound by the server: Django's own cursor would write the document into the statement, for the server to find
        # its end letter by letter.
        cursor = psycopg.Cursor(_connected())
        cursor.execute(statement, [*prepared, _ENCODER.encode(rows)])
        return cursor.fetchall() if returning else []


def _column(field: models.Field[Any, Any]) -> str:
    return f'"{field.column}"'


def _connected() -> psycopg.Connection[Any]:
    connection.ensure_connection()
    connected: psycopg.Connection[Any] = connection.connection
    return connected
