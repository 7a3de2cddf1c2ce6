"""Tasks and their labels from a Panoptes workflows export: one row a version. Both columns are read as JSON only."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from esocs.crowd.files.errors import VotesFileError
from esocs.crowd.files.reading import open_text

LARGEST_CELL = 1 << 26
"""Bytes of one cell; one that is larger comes of a quote that is never closed."""


@dataclass(frozen=True, kw_only=True)
class WorkflowVersion:
    """Tasks of one version, with the texts in place of their keys.

    Attributes:
        version: major and minor.
        tasks: Panoptes' task objects by key.
    """

    version: tuple[int, int]
    tasks: Mapping[str, Mapping[str, Any]]

    def labels(self, task_key: str) -> list[str]:
        """The answers' texts, in their order; none for a task that has no answers."""
        answers = self.tasks.get(task_key, {}).get("answers")
        if not isinstance(answers, list):
            return []
        return [str(answer.get("label", "")).strip() if isinstance(answer, dict) else "" for answer in answers]


@dataclass(frozen=True, kw_only=True)
class WorkflowTexts:
    """All versions of one workflow, the oldest first."""

    workflow_id: str
    versions: Sequence[WorkflowVersion]

    def at(self, version: str) -> WorkflowVersion:
        """The version under which a classification's labels are looked up, as Panoptes does it.

        The first with neither number below the classification's, else the last.
        """
        major, minor = parse_version(version)
        for known in self.versions:
            if known.version[0] >= major and known.version[1] >= minor:
                return known
        return self.versions[-1]

    def task(self, task_key: str) -> Mapping[str, Any]:
        """The task in the newest version that has it; {} where none has."""
        found = (known.tasks[task_key] for known in reversed(self.versions) if task_key in known.tasks)
        return next(found, {})

    def labels(self, task_key: str) -> list[str]:
        """The answers of all versions, the newest version's first."""
        versions = reversed(self.versions)
        return list(dict.fromkeys(label for known in versions for label in known.labels(task_key)))

    def question(self, task_key: str) -> str:
        task = self.task(task_key)
        return str(task.get("question") or task.get("instruction") or "").strip()


def parse_version(text: str) -> tuple[int, int]:
    """Major and minor of `5.7`; 0 for what is no number."""
    major, _, minor = text.strip().partition(".")
    return (int(major) if major.isdecimal() else 0, int(minor) if minor.isdecimal() else 0)


def read_workflows(path: Path, *, workflow_id: str) -> WorkflowTexts:
    """The versions of one workflow.

    Raises:
        VotesFileError: no such file, column or workflow, or JSON that is none; names the row.
    """
    raise_field_limit()
    try:
        with open_text(path) as file:
            reader = csv.DictReader(file)
            missing = {"workflow_id", "version", "tasks", "strings"} - {str(name) for name in reader.fieldnames or ()}
            if missing:
                raise VotesFileError(
                    f"the columns {', '.join(sorted(missing))} are missing.",
                    path=path,
                    row=1,
                    hint="Take Panoptes' own.",
                )
            versions = [
                _read_version(cells, path=path, row=reader.line_num)
                for cells in reader
                if cells["workflow_id"] == workflow_id
            ]
    except (csv.Error, UnicodeDecodeError) as error:
        raise VotesFileError(f"this is no CSV in UTF-8 ({error}).", path=path) from error
    if not versions:
        raise VotesFileError(f"there is no workflow {workflow_id} in it.", path=path)
    return WorkflowTexts(workflow_id=workflow_id, versions=sorted(versions, key=lambda known: known.version))


def raise_field_limit() -> None:
    """Subjects' metadata make cells far larger than what Python's csv takes by default."""
    csv.field_size_limit(max(csv.field_size_limit(), LARGEST_CELL))


def _read_version(cells: Mapping[str, str | None], *, path: Path, row: int) -> WorkflowVersion:
    parsed = {}
    for column in ("tasks", "strings"):
        try:
            parsed[column] = json.loads(cells[column] or "{}")
        except (ValueError, RecursionError) as error:
            raise VotesFileError(f"`{column}` is not JSON ({error}).", path=path, row=row) from error
        if not isinstance(parsed[column], dict):
            raise VotesFileError(f"`{column}` is no JSON object.", path=path, row=row)
    tasks = {key: _with_texts(task, parsed["strings"]) for key, task in parsed["tasks"].items()}
    version = (parse_version(cells["version"] or "")[0], parse_version(cells.get("minor_version") or "")[0])
    return WorkflowVersion(version=version, tasks={key: task for key, task in tasks.items() if isinstance(task, dict)})


def _with_texts(value: Any, strings: Mapping[str, Any]) -> Any:
    """The same JSON with each key of `strings` replaced by its text."""
    if isinstance(value, dict):
        return {key: _with_texts(item, strings) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_texts(item, strings) for item in value]
    if isinstance(value, str):
        text = strings.get(value, value)
        return text if isinstance(text, str) else value
    return value
