"""JSON on its way from PostgreSQL to a file: without blanks, with every letter and digit."""

from __future__ import annotations

import json

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from esocs.releases.scope import compact_jsonb

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='a "\\,:{}\n é🌌') | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet='k: ,"'), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_only_the_blanks_between_the_parts_go(value: object) -> None:
    spaced = json.dumps(value, ensure_ascii=False)
    assert compact_jsonb(spaced) == json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@pytest.mark.django_db
def test_numbers_keep_every_digit_that_postgresql_keeps() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT '{"id": 123456789012345678901234567890, "ra": 150.1163210000000000100}'::jsonb::text"""
        )
        [text] = cursor.fetchone()
    assert compact_jsonb(text) == '{"id":123456789012345678901234567890,"ra":150.1163210000000000100}'
