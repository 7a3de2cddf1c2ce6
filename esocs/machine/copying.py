"""Predictions into PostgreSQL by binary COPY: numpy lays the rows out, nothing is made or adapted one by one."""

from __future__ import annotations

import numpy as np
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg.errors import UniqueViolation

_FLOAT8_OID = 701
_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = (-1).to_bytes(2, "big", signed=True)
_COLUMNS = "subject_id, model_version_id, probabilities, embedding, strangeness"


def copy_predictions(
    *,
    model_version_id: int,
    subject_ids: np.ndarray,
    probabilities: np.ndarray,
    embeddings: np.ndarray,
    strangeness: np.ndarray,
) -> None:
    """Write predictions; those that are there already stay as they are.

    COPY itself knows no conflicts. They are rare, since a job looks first at what is there: the rows are copied into
    their table, and only where another writer was quicker through a table of the session, which takes a third longer.
    Either way in the order of their subjects: two writers of the same ones wait for each other, and never both.

    Args:
        model_version_id: whose.
        subject_ids: (N,) int64.
        probabilities: (N, K) mean softmax before temperature.
        embeddings: (N, D) of length one, stored as half vectors.
        strangeness: (N,) log odds.
    """
    order = np.argsort(subject_ids)
    columns = (subject_ids, probabilities, embeddings, strangeness)
    rows = _binary_rows(model_version_id, *(column[order] for column in columns))
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            _copy(cursor, "machine_prediction", rows)
    except UniqueViolation:  # psycopg's own: Django gives names of its own to the errors of statements alone
        _copy_what_is_missing(rows)


def _copy(cursor: CursorWrapper, table: str, rows: bytes) -> None:
    with cursor.copy(f"COPY {table} ({_COLUMNS}) FROM STDIN (FORMAT BINARY)") as copy:
        copy.write(_SIGNATURE)
        copy.write(rows)
        copy.write(_TRAILER)


def _copy_what_is_missing(rows: bytes) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE IF NOT EXISTS incoming_prediction (subject_id bigint, model_version_id bigint,"
            " probabilities float8[], embedding halfvec, strangeness float8) ON COMMIT DELETE ROWS"
        )
        _copy(cursor, "incoming_prediction", rows)
        cursor.execute(
            f"WITH taken AS (DELETE FROM incoming_prediction RETURNING {_COLUMNS})"
            f" INSERT INTO machine_prediction ({_COLUMNS}) SELECT {_COLUMNS} FROM taken ORDER BY subject_id"
            " ON CONFLICT (subject_id, model_version_id) DO NOTHING"
        )


def _binary_rows(
    model_version_id: int,
    subject_ids: np.ndarray,
    probabilities: np.ndarray,
    embeddings: np.ndarray,
    strangeness: np.ndarray,
) -> bytes:
    """The tuples of COPY's binary format (PostgreSQL's documentation of COPY, "Binary Format").

    An array is its dimensions, flags, element type, length, lower bound and elements (`array_recv`); a half vector its
    dimension, two bytes unused, and its elements (pgvector's `halfvec_recv`).
    """
    count, K = probabilities.shape
    D = embeddings.shape[1]
    array_bytes, vector_bytes = 20 + 12 * K, 4 + 2 * D
    element = np.dtype([("length", ">i4"), ("value", ">f8")])
    rows = np.zeros(
        count,
        dtype=[
            ("fields", ">i2"),
            ("subject_length", ">i4"),
            ("subject", ">i8"),
            ("model_length", ">i4"),
            ("model", ">i8"),
            ("array", ">i4", 6),
            ("probabilities", element, K),
            ("vector_length", ">i4"),
            ("vector", ">i2", 2),
            ("embedding", ">f2", D),
            ("strangeness_length", ">i4"),
            ("strangeness", ">f8"),
        ],
    )
    rows["fields"] = 5
    rows["subject_length"] = rows["model_length"] = rows["strangeness_length"] = 8
    rows["subject"], rows["model"] = subject_ids, model_version_id
    rows["array"] = (array_bytes, 1, 0, _FLOAT8_OID, K, 1)
    rows["probabilities"]["length"] = 8
    rows["probabilities"]["value"] = probabilities
    rows["vector_length"] = vector_bytes
    rows["vector"] = (D, 0)
    rows["embedding"] = embeddings
    rows["strangeness"] = strangeness
    return rows.tobytes()
