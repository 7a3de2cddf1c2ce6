"""Writes simulated classification and workflows exports."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from esocs.releases.columns.classifications import HEADER as COLUMNS


def row(user: str, subject: str, annotations: Any, **cells: str) -> dict[str, str]:
    """One classification; what is not given is as in an ordinary row."""
    text = annotations if isinstance(annotations, str) else json.dumps(annotations)
    base = dict.fromkeys(COLUMNS, "")
    base |= {"workflow_id": "7", "workflow_version": "1.1", "metadata": '{"a": "b,""c"}', "subject_data": "{}"}
    return base | {"user_name": user, "subject_ids": subject, "annotations": text} | cells


def answer(value: Any, task: str = "T0", **members: Any) -> list[dict[str, Any]]:
    return [{"task": task, "task_label": "What is it?", "value": value, **members}]


def write_export(path: Path, rows: Sequence[Mapping[str, str]], *, columns: Sequence[str] = COLUMNS) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_workflows(path: Path, versions: Mapping[str, Mapping[str, Any]]) -> Path:
    """A workflows export of workflow 7: tasks by version, each with its labels spelled out in the strings."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["workflow_id", "display_name", "version", "minor_version", "tasks", "strings"])
        for version, tasks in versions.items():
            major, minor = version.split(".")
            keyed, strings = {}, {}
            for key, task in tasks.items():
                strings[f"{key}.question"] = task.get("question", "")
                keyed[key] = dict(task) | {"question": f"{key}.question"}
                if "answers" in task:
                    keyed[key]["answers"] = [{"label": f"{key}.answers.{i}.label"} for i in range(len(task["answers"]))]
                    strings |= {f"{key}.answers.{i}.label": label for i, label in enumerate(task["answers"])}
            writer.writerow(["7", "w", major, minor, json.dumps(keyed), json.dumps(strings)])
    return path
