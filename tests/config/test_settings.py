"""A wrong setting fails at start, and says which; a deployment must have its own key."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from esocs.config.checks import check_secret_key

ROOT = Path(__file__).resolve().parents[2]


def load_settings(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import esocs.config.settings as s; print(s.DEBUG, s.SERVE_MEDIA, s.CELERY_BROKER_URL)"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ESOCS_JOB_LEASE_S", "abc"),
        ("ESOCS_DEBUG", "perhaps"),
        ("ESOCS_OUTBOUND_ALLOWED", "http://127.0.0.1:9000,127.0.0.1"),
        ("DATABASE_URL", "not an address"),
        ("DATABASE_URL", "sqlite:///db.sqlite3"),
    ],
)
def test_a_wrong_value_fails_loudly_and_is_named(name: str, value: str) -> None:
    done = load_settings(**{name: value})
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert name in last


def test_a_deployment_is_strict_by_default() -> None:
    done = load_settings(DATABASE_URL="postgresql://me@db.example/esocs", REDIS_URL="unix:///run/redis.sock")
    assert done.stdout.split() == ["False", "False", "redis+socket:///run/redis.sock"]


def test_a_deployment_without_a_key_of_its_own_is_stopped_by_a_check(settings: object) -> None:
    assert check_secret_key() == []
    settings.EMBEDDED = False  # type: ignore[attr-defined]
    (found,) = check_secret_key()
    assert found.id == "esocs.E001"
    assert "ESOCS_SECRET_KEY" in found.msg
    settings.SECRET_KEY = "x" * 50  # type: ignore[attr-defined]
    assert check_secret_key() == []
