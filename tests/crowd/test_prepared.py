"""Calls of the database's functions on connections that come and go."""

from __future__ import annotations

import psycopg
import pytest
from django.db import connection

from esocs.crowd.prepared import call_function

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_connection_that_died_between_two_requests_is_made_anew_where_that_is_asked_for():
    assert call_function("crowd_show", ([],)) == [None]
    before = connection.connection.info.backend_pid
    with psycopg.connect(connection.connection.info.dsn, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [before])
    # What Django sets at the beginning of each request (CONN_HEALTH_CHECKS).
    connection.health_check_enabled, connection.health_check_done = True, False
    try:
        assert call_function("crowd_show", ([],)) == [None]
    finally:
        connection.health_check_enabled = False
    assert connection.connection.info.backend_pid != before
