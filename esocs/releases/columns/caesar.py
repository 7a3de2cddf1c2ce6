"""The exports of extracts and reductions, as Caesar writes them: the rows' columns, and one `data.<key>` for each key.

`Extract`, `SubjectReduction` and `UserReduction` rows are the source; they are derived, so a later file may differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from esocs.releases.scope import Scope, boolean, compact_json, parse_jsonb, stream, time_text

MOST_KEYS = 1_000
"""Columns of one file: what has more is no table."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a kind of these exports is read from.

    Attributes:
        columns: of the file, before those of the data.
        select: their values and the data, by SQL.
        tables: joined; each row has the columns `created_at` and `data` under the alias `e`.
    """

    columns: tuple[str, ...]
    select: str
    tables: str

    def header(self, scope: Scope) -> Sequence[str]:
        """The columns; `data` alone where a row's data are one value."""
        keys = self._keys(scope)
        return (*self.columns, *(f"data.{key}" if key is not None else "data" for key in keys))

    def count(self, scope: Scope) -> int:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {self.tables} {WHERE}", _parameters(scope))
            return int(cursor.fetchone()[0])

    def rows(self, scope: Scope) -> Iterator[Sequence[Any]]:
        """One row an extract or reduction, in the order of their ids."""
        keys = self._keys(scope)
        statement = f"SELECT {self.select}, e.data::text FROM {self.tables} {WHERE} ORDER BY e.id"
        for *values, text in stream(statement, _parameters(scope)):
            yield (*map(_cell, values), *_of_data(parse_jsonb(text), keys))

    def _keys(self, scope: Scope) -> list[str | None]:
        """Every key of the data, looked up once a file; None stands for data without keys."""
        if self.tables not in scope.looked_up:
            scope.looked_up[self.tables] = self._read_keys(scope)
        found: list[str | None] = scope.looked_up[self.tables]
        return found

    def _read_keys(self, scope: Scope) -> list[str | None]:
        with connection.cursor() as cursor:
            cursor.execute(
                f"""SELECT DISTINCT k.key FROM {self.tables}
                CROSS JOIN LATERAL (
                    SELECT jsonb_object_keys(e.data) AS key WHERE jsonb_typeof(e.data) = 'object'
                    UNION ALL SELECT NULL WHERE jsonb_typeof(e.data) <> 'object'
                ) k {WHERE} ORDER BY k.key LIMIT %(most)s""",
                {**_parameters(scope), "most": MOST_KEYS},
            )
            return sorted((key for (key,) in cursor.fetchall()), key=lambda key: (key is not None, key or ""))


WHERE = "WHERE w.workflow_id = ANY(%(workflows)s) AND e.created_at <= %(as_of)s AND e.data IS NOT NULL"


def _parameters(scope: Scope) -> dict[str, Any]:
    return {"workflows": scope.workflow_ids, "as_of": scope.as_of}


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return boolean(value)
    return time_text(value) if hasattr(value, "strftime") else value


def _of_data(data: Any, keys: Sequence[str | None]) -> Iterator[Any]:
    for key in keys:
        if key is None:
            yield None if isinstance(data, dict) else _text(data)
        else:
            yield _text(data[key]) if isinstance(data, dict) and key in data else None


def _text(value: Any) -> Any:
    """A text as it is; anything else as JSON."""
    return value if value is None or isinstance(value, str) else compact_json(value)


TIMES = "e.created_at AT TIME ZONE 'UTC', e.updated_at AT TIME ZONE 'UTC'"

EXTRACTS = Source(
    columns=(
        "id", "extractor_key", "workflow_id", "subject_id", "classification_id", "classification_at", "user_id",
        "machine_data", "created_at", "updated_at",
    ),
    select=f"""e.id, w.key, w.workflow_id, e.subject_id, e.classification_id, c.created_at AT TIME ZONE 'UTC',
        v.user_id, e.machine_data, {TIMES}""",
    tables="""crowd_extract e JOIN crowd_extractor w ON w.id = e.extractor_id AND e.error = ''
        LEFT JOIN crowd_classification c ON c.id = e.classification_id
        LEFT JOIN accounts_volunteer v ON v.id = c.volunteer_id""",
)  # fmt: skip
SUBJECT_REDUCTIONS = Source(
    columns=("id", "reducer_key", "workflow_id", "subject_id", "subgroup", "created_at", "updated_at"),
    select=f"e.id, w.key, w.workflow_id, e.subject_id, e.subgroup, {TIMES}",
    tables="crowd_subjectreduction e JOIN crowd_reducer w ON w.id = e.reducer_id",
)
USER_REDUCTIONS = Source(
    columns=("id", "reducer_key", "workflow_id", "user_id", "subgroup", "created_at", "updated_at"),
    select=f"e.id, w.key, w.workflow_id, e.user_id, e.subgroup, {TIMES}",
    tables="crowd_userreduction e JOIN crowd_reducer w ON w.id = e.reducer_id",
)
