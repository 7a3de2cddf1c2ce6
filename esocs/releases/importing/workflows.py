"""Workflows and their versions, from a workflows export or, without one, from what the classifications tell of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.db import transaction

from esocs.projects.models import Project, Workflow, WorkflowVersion
from esocs.releases.columns import workflows as columns
from esocs.releases.importing.labels import SeenWorkflow
from esocs.releases.importing.reading import Line
from esocs.releases.models import ImportedVersion, ImportedWorkflow
from esocs.releases.scope import Scope

LONGEST_KEY = 30
ITEMS = {"single": "answers", "multiple": "answers", "drawing": "tools", "dropdown": "selects"}
"""What a task of a type is made of."""

NEEDED = ("workflow_id", "version", "tasks", "strings")


@transaction.atomic
def write_versions(project: Project, lines: Iterable[Line], *, kind: str, scope_of: Callable[[], Scope]) -> int:
    """Write the versions that are not known yet, and keep what our own export of them would say otherwise.

    Args:
        project: whose.
        lines: of a workflows export.
        kind: of the subjects, `image` or `spectrum`.
        scope_of: says of which rows an export of the project consists.

    Returns:
        How many are new.

    Raises:
        ImportFileError: tasks that no workflow can have; names the line.
    """
    files: dict[int, Line] = {}
    for line in lines:
        tasks, strings = line.json("tasks", dict, default="{}"), line.json("strings", dict, default="{}")
        _check_tasks(tasks, line)
        workflow = _workflow(project, line.identifier("workflow_id"), line.text("display_name"), kind=kind)
        version, made = WorkflowVersion.objects.get_or_create(
            workflow=workflow,
            major=_number(line, "version"),
            minor=_number(line, "minor_version"),
            defaults={
                "first_task": line.text("first_task")[:40] or next(iter(sorted(tasks)), ""),
                "tasks": tasks,
                "strings": {key: text for key, text in strings.items() if isinstance(text, str)},
                "retirement": line.json("retirement", dict, default="{}"),
                **{name: line.text(name) == "true" for name in ("grouped", "pairwise", "prioritized")},
            },
        )
        if made:
            files[version.pk] = line
            workflow.active = line.text("active") == "true"
            workflow.primary_language = line.text("primary_language")[:10] or "en"
            workflow.save(update_fields=["active", "primary_language"])
    _become_newest(project)
    _keep_differences(files, scope_of())
    return len(files)


def _number(line: Line, column: str) -> int:
    number = line.whole(column)
    if number is not None and number >= 1 << 31:
        raise line.error(f"`{column}` holds {number}, which is no version.")
    return number or 0


def write_guessed(project: Project, seen: dict[int, SeenWorkflow], *, kind: str) -> None:
    """Write the workflows that no export describes. A version that is known learns answers that are new to it."""
    with transaction.atomic():
        for foreign_id, told in seen.items():
            workflow = _workflow(project, foreign_id, told.name, kind=kind, guessed=True)
            for version in sorted(told.versions):
                tasks, strings = told.guess(version)
                row, made = WorkflowVersion.objects.get_or_create(
                    workflow=workflow,
                    major=version[0],
                    minor=version[1],
                    defaults={
                        "tasks": tasks,
                        "strings": strings,
                        "first_task": next(iter(tasks), ""),
                        "retirement": {"criteria": "never_retire"},
                    },
                )
                if not made:
                    _learn(row, tasks, strings)
        _become_newest(project)


def _learn(row: WorkflowVersion, tasks: dict[str, Any], strings: dict[str, str]) -> None:
    """Add to a guessed version what another file tells of it; what stands there keeps its place."""
    changed = False
    for key, task in tasks.items():
        known = row.tasks.get(key)
        if known is None:
            row.tasks[key] = task
            row.strings |= {name: text for name, text in strings.items() if name.startswith(f"{key}.")}
            changed = True
            continue
        for items in ("answers", "tools"):
            if known.get("type") != task["type"] or items not in task:
                continue
            labels = [row.strings.get(item["label"], "") for item in known.get(items, [])]
            for text in (strings[item["label"]] for item in task[items]):
                if text not in labels:
                    name = f"{key}.{items}.{len(labels)}.label"
                    known[items].append({"label": name} | ({"details": []} if items == "tools" else {}))
                    row.strings[name] = text
                    labels.append(text)
                    changed = True
    if changed:
        row.save(update_fields=["tasks", "strings"])


def _workflow(project: Project, foreign_id: int, name: str, *, kind: str, guessed: bool = False) -> Workflow:
    known = ImportedWorkflow.objects.filter(project=project, foreign_id=foreign_id).select_related("workflow").first()
    if known is not None:
        if known.guessed and not guessed:
            ImportedWorkflow.objects.filter(pk=known.pk).update(guessed=False)
        return known.workflow
    ours = name[:180] or f"Workflow {foreign_id}"
    if Workflow.objects.filter(project=project, display_name=ours).exists():
        ours = f"{ours} ({foreign_id})"
    workflow = Workflow.objects.create(
        project=project, display_name=ours, subject_kind=kind, active=False, retirement={"criteria": "never_retire"}
    )
    ImportedWorkflow.objects.create(
        workflow=workflow, project=project, foreign_id=foreign_id, display_name=name, guessed=guessed
    )
    return workflow


def _become_newest(project: Project) -> None:
    """Each imported workflow asks what its newest version asks."""
    for known in ImportedWorkflow.objects.filter(project=project).select_related("workflow"):
        workflow = known.workflow
        rows = WorkflowVersion.objects.filter(workflow=workflow).order_by("-major", "-minor")
        newest = rows.first()
        if newest is None:
            continue
        workflow.tasks, workflow.strings, workflow.first_task = newest.tasks, newest.strings, newest.first_task
        workflow.major_version, workflow.minor_version = newest.major, newest.minor
        workflow.retirement = newest.retirement
        workflow.prioritized, workflow.grouped, workflow.pairwise = newest.prioritized, newest.grouped, newest.pairwise
        workflow.save()


def _keep_differences(files: dict[int, Line], scope: Scope) -> None:
    kept = []
    for version_id, made in columns.rows_by_version(scope, version_ids=list(files)):
        cells = files[version_id].cells
        kept.append(ImportedVersion(version_id=version_id, cells=differences(columns.HEADER, made, cells)))
    ImportedVersion.objects.bulk_create(kept)


def differences(header: Iterable[str], made: Iterable[Any], cells: dict[str, str]) -> dict[str, str]:
    """The file's texts of those columns that our own export would print otherwise."""
    return {
        name: cells[name]
        for name, value in zip(header, made, strict=True)
        if name in cells and cells[name] != ("" if value is None else str(value))
    }


def _check_tasks(tasks: dict[str, Any], line: Line) -> None:
    """What the rooms take for granted of a workflow's tasks."""
    for key, task in tasks.items():
        if not isinstance(task, dict) or len(key) > LONGEST_KEY:
            raise line.error(f"task {key[:40]!r} is none.")
        items = ITEMS.get(str(task.get("type")))
        found = task.get(items, []) if items else []
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise line.error(f"the {items} of task {key!r} are no list of objects.")
        if items == "answers" and not all(isinstance(item.get("label"), str) for item in found):
            raise line.error(f"an answer of task {key!r} has no label.")
        if not all(isinstance(task.get(text, ""), str | None) for text in ("question", "instruction")):
            raise line.error(f"the text of task {key!r} is none.")
