"""Without PostgreSQL every command says in one line what is missing and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("address", "advice"),
    [
        ("postgresql://nobody@/nothing?host=/nonexistent", "DATABASE_URL"),
        ("", "make services"),
    ],
)
def test_a_command_says_in_one_line_that_the_database_is_gone(tmp_path: Path, address: str, advice: str) -> None:
    environment = {**os.environ, "DATABASE_URL": address, "ESOCS_VAR": str(tmp_path), "ESOCS_SECRET_KEY": "x" * 50}
    done = subprocess.run(
        [sys.executable, "manage.py", "aggregate"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("service_unavailable: ")
    assert advice in line
    assert "Traceback" not in done.stdout
