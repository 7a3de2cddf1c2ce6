"""Programs of others, unmodified, each in a virtual environment of its own: they pin libraries that we have newer."""

from __future__ import annotations

import fcntl
import subprocess
import venv
from pathlib import Path

import pytest

from esocs.config import embedded

INSTALL_TIMEOUT_S = 600


def installed_program(*requirements: str, program: str) -> Path:
    """The program's path. Installed on the first call and kept under var/; tests skip where it cannot be installed."""
    folder = embedded.default_var() / requirements[0].replace("==", "-")
    done = folder / ".installed"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:  # several test processes may want it at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            venv.create(folder, with_pip=True, clear=True)
            command = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            try:
                subprocess.run(
                    [*command, *requirements], check=True, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S
                )
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
                pytest.skip(f"{requirements[0]} cannot be installed: {(error.stderr or '').strip()[-300:]}")
            done.touch()
    return folder / "bin" / program
