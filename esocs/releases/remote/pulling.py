"""A project of another Panoptes server, brought here by its own exports."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from esocs.projects.models import Project
from esocs.releases.importing.services import Imported, Step, import_project
from esocs.releases.remote.client import RemoteServerError, find_project

KINDS = ("workflows", "subjects", "classifications")
PIECE_BYTES = 1 << 20
TIMEOUT_S = 24 * 60 * 60
"""Zooniverse's exports of large projects take hours."""


def pull_project(
    client: ModuleType, source: str, *, project: Project, folder: Path, generate: bool, kind: str, step: Step
) -> Imported:
    """Fetch the three exports, which are kept in `folder`, and import them.

    Run again it fetches what is newer and imports what is new: every classification is stored once.

    Args:
        client: see `client.connect`.
        source: number or slug of the project there.
        project: ours.
        folder: for the files.
        generate: order fresh exports and wait for them (Zooniverse makes one a day); else the latest there are.
        kind: of the subjects.
        step: is told of long steps.

    Raises:
        RemoteServerError: an export that is not there, or does not come whole.
        ImportFileError: see `import_project`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remote = find_project(client, source)
    if generate:
        for name in KINDS:
            remote.generate_export(name)
    files = {f"{name}_file": _fetch(remote, name, folder, step(f"fetching {name}")) for name in KINDS}
    return import_project(project, **files, kind=kind, step=step)


def _fetch(remote: Any, name: str, folder: Path, tell: Callable[[int], None]) -> Path:
    """One export's plain file; its name appears when it is whole."""
    path = folder / f"{remote.id}-{name}.csv"
    partial = path.with_suffix(".partial")
    response = remote.get_export(name, wait=True, wait_timeout=TIMEOUT_S)
    size = 0
    with response, partial.open("wb") as file:
        if not response.ok:
            raise RemoteServerError(f"The {name} export answers {response.status_code}.", hint="Order a fresh one.")
        for piece in response.iter_content(PIECE_BYTES):
            size += file.write(piece)
            tell(size)
        file.flush()
        os.fsync(file.fileno())
    return partial.replace(path)
