"""What every test may use: the embedded PostgreSQL and Redis, folders of its own, and the genuine files if present."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from esocs.config import embedded

if "PYTEST_XDIST_WORKER" in os.environ:
    # As many test processes as cores: a network's threads would only wait for one another.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]
REAL_DATA = Path(os.environ.get("ESOCS_REAL_DATA", ROOT.parent / "shared" / "data"))


def pytest_configure() -> None:
    """The services are started before Django looks for its database; a running one is used as it is."""
    var = embedded.default_var()
    embedded.start(var)
    # Where collected static files would lie; whitenoise warns of a missing folder, and warnings are errors here.
    (var / "static").mkdir(exist_ok=True)
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        _take_own_cache(int(worker.removeprefix("gw")) + 1)


def _take_own_cache(number: int) -> None:
    """Tests that run beside others (pytest-xdist) have a database each; here each gets a cache of its own too."""
    from django.conf import settings

    cache = settings.CACHES["default"]
    cache["LOCATION"] += f"{'&' if '?' in cache['LOCATION'] else '?'}db={number % 16}"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of genuine files; a test that needs it is skipped where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no genuine files at {REAL_DATA}; set ESOCS_REAL_DATA")
    return REAL_DATA


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """At the end a thread or a process of some test may still hold a connection; then the database could not go."""
    yield
    from django.db import connection

    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, settings: object) -> None:
    """Files that a test makes lie in its own folder; caches of one test's rows do not reach the next."""
    from esocs.crowd import facts

    for name in ("MEDIA_ROOT", "SHARD_ROOT", "WEIGHTS_ROOT", "EXPORT_ROOT"):
        setattr(settings, name, tmp_path / name.lower())
    # A million rounds a password protect people; here they took most of the time of most tests.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # type: ignore[attr-defined]
    facts.forget()
