"""Zooniverse's own aggregation program, unmodified, in a virtual environment of its own: it pins older libraries."""

from __future__ import annotations

import csv
import fcntl
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from esocs.config import embedded

REQUIREMENT = "panoptes-aggregation==5.3.1"
INSTALL_TIMEOUT_S = 600


def aggregation_program() -> Path:
    """The program's path. Installed on the first call and kept under var/ (50 s); tests skip without an index."""
    folder = embedded.default_var() / REQUIREMENT.replace("==", "-")
    program, done = folder / "bin" / "panoptes_aggregation", folder / ".installed"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder.parent / ".aggregation.lock").open("w") as lock:  # several test processes may want it at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists():
            return program
        venv.create(folder, with_pip=True, clear=True)
        command = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        try:
            subprocess.run(
                [*command, REQUIREMENT], check=True, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            pytest.skip(f"{REQUIREMENT} cannot be installed: {(error.stderr or '').strip()[-300:]}")
        done.touch()
    return program


def run_aggregation(*arguments: object, folder: Path) -> str:
    """Run one of its steps in a folder, loudly: without `-vv` it swallows what it cannot read."""
    command = [str(aggregation_program()), *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    sys.stdout.write(done.stdout + done.stderr)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout + done.stderr


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
