"""One piece of a classifications export: its subjects, people and classifications, stored together or not at all."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from esocs.crowd.elsewhere import Made, reserve_ids, store_classifications
from esocs.projects.models import Project, Workflow, WorkflowVersion
from esocs.releases.columns import classifications as columns
from esocs.releases.importing.labels import SeenWorkflow, choices_of, unlabel_annotations
from esocs.releases.importing.people import Person, find_people
from esocs.releases.importing.reading import Line
from esocs.releases.importing.subjects import Progress, count_imported, find_subjects, keep_progress, read_progress
from esocs.releases.importing.workflows import differences
from esocs.releases.models import ImportedClassification, ImportedWorkflow
from esocs.releases.rules import Version, version_for
from esocs.releases.scope import Scope

NEEDED = (
    "classification_id", "user_name", "workflow_id", "workflow_version", "created_at", "metadata", "annotations",
    "subject_data", "subject_ids",
)  # fmt: skip
_VERSION = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


@dataclass(frozen=True)
class Read:
    """A row, read and checked."""

    line: Line
    foreign_id: int
    workflow_id: int
    version: tuple[int, int]
    name: str
    user_id: int | None
    subjects: dict[int, dict[str, Any]]
    progress: dict[int, Progress]
    annotations: list[Any]
    created_at: datetime


@dataclass
class Workflows:
    """The project's imported workflows by foreign id, with their versions."""

    project: Project
    by_id: dict[int, Workflow] = field(default_factory=dict)
    versions: dict[int, list[Version]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        rows = ImportedWorkflow.objects.filter(project=self.project).select_related("workflow")
        self.by_id = {row.foreign_id: row.workflow for row in rows}
        stored = WorkflowVersion.objects.filter(workflow__in=self.by_id.values()).order_by("major", "minor")
        for row in stored:
            version = Version(major=row.major, minor=row.minor, tasks=row.tasks, strings=row.strings)
            self.versions[row.workflow_id].append(version)


def see_workflows(lines: Sequence[Line], seen: dict[int, SeenWorkflow], *, described: set[int]) -> None:
    """Take in what a piece tells of workflows that no workflows export describes."""
    for line in lines:
        workflow_id = line.identifier("workflow_id")
        if workflow_id in described:
            continue
        told = seen.setdefault(workflow_id, SeenWorkflow())
        told.name = told.name or line.cells.get("workflow_name", "")
        told.see(_version(line), line.json("annotations", list, default="[]"))


def read_line(line: Line, *, now: datetime) -> Read:
    """One row.

    Raises:
        ImportFileError: it cannot be a classification; names the line.
    """
    told = line.json("subject_data", dict, default="{}")
    ids = line.text("subject_ids").split(";")
    subjects, progress = {}, {}
    for text in ids:
        if not re.fullmatch(r"-?[0-9]{1,18}", text):
            raise line.error(f"`subject_ids` holds {text[:40]!r}, which is no number.")
        about = told.get(text, {})
        if not isinstance(about, dict):
            raise line.error("`subject_data` holds a subject that is none.")
        retired = about.get("retired")
        is_ours = retired is None or (
            isinstance(retired, dict) and "subject_id" in retired and "workflow_id" in retired
        )
        subjects[int(text)] = {key: value for key, value in about.items() if not (is_ours and key == "retired")}
        progress[int(text)] = read_progress(retired if is_ours else None, line)
    created_at = line.time("created_at")
    if created_at is None or created_at > now:
        raise line.error("`created_at` is empty or lies in the future.")
    user_id = line.whole("user_id")
    name = line.text("user_name") or (f"user {user_id}" if user_id is not None else "")
    if not name or len(name) > 1000:
        raise line.error("there is no `user_name`.")
    line.json("metadata", dict, default="{}")
    return Read(
        line=line,
        foreign_id=line.identifier("classification_id"),
        workflow_id=line.identifier("workflow_id"),
        version=_version(line),
        name=name,
        user_id=user_id,
        subjects=subjects,
        progress=progress,
        annotations=line.json("annotations", list, default="[]"),
        created_at=created_at,
    )


def _version(line: Line) -> tuple[int, int]:
    text = line.text("workflow_version")
    if not _VERSION.fullmatch(text):
        raise line.error(f"`workflow_version` holds {text[:40]!r}, which is no version.", hint="Such as 16.50.")
    major, _, minor = text.partition(".")
    return int(major), int(minor or 0)


@transaction.atomic
def write_piece(rows: Sequence[Read], *, workflows: Workflows, kind: str, scope: Scope) -> int:
    """Store a piece of a file. Returns how many of its classifications are new."""
    project = workflows.project
    _one_at_a_time(project)
    ours = find_subjects(project, {pk: about for row in rows for pk, about in row.subjects.items()}, kind=kind)
    people = find_people(project, {(row.name, row.user_id) for row in rows})
    by_workflow: dict[int, list[Read]] = defaultdict(list)
    for row in rows:
        if row.workflow_id not in workflows.by_id:
            raise row.line.error(f"workflow {row.workflow_id} is not known.", hint="Give the workflows export too.")
        by_workflow[row.workflow_id].append(row)
    ids = dict(zip((id(row) for row in rows), reserve_ids(len(rows)), strict=True))
    new = 0
    for foreign_id, members in by_workflow.items():
        workflow = workflows.by_id[foreign_id]
        told = {ours[pk]: known for row in members for pk, known in row.progress.items()}
        keep_progress(workflow, told)
        made = {
            f"imported/{project.pk}/{row.foreign_id}": (
                row,
                _made(row, ids[id(row)], workflow, workflows, ours, people),
            )
            for row in members
        }
        stored = store_classifications(workflow, [one for _, one in made.values()])
        count_imported(workflow, Counter(made[key][1].subject_id for key, (_, counts) in stored.items() if counts))
        _keep_foreign(project, {stored[key][0]: made[key][0] for key in stored}, scope)
        new += len(stored)
    return new


def _one_at_a_time(project: Project) -> None:
    """Two imports into one project take turns, piece by piece."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('releases.import'), %s)", [project.pk % (1 << 31)])


def _made(
    row: Read, pk: int, workflow: Workflow, workflows: Workflows, ours: dict[int, int], people: dict[str, Person]
) -> Made:
    version = version_for(workflows.versions[workflow.pk], *row.version)
    sent = unlabel_annotations(row.annotations, version)
    person = people[row.name]
    gold = row.line.text("gold_standard") in {"true", "TRUE", "True"}
    return Made(
        id=pk,
        key=f"imported/{workflows.project.pk}/{row.foreign_id}",
        subject_id=ours[next(iter(row.subjects))],
        volunteer_id=person.volunteer_id,
        major=row.version[0],
        minor=row.version[1],
        annotations=sent,
        metadata=row.line.text("metadata") or "{}",
        created_at=row.created_at,
        choices=choices_of(sent, version),
        gold_standard=gold,
        expert=row.line.text("expert") if row.line.text("expert") in {"expert", "owner"} else "",
        author_id=person.user_id,
        ip_key=row.line.text("user_ip")[:64],
    )


def _keep_foreign(project: Project, rows: dict[int, Read], scope: Scope) -> None:
    """Keep the foreign ids, and of each row the texts that our own export of it would write otherwise."""
    kept = {
        pk: ImportedClassification(classification_id=pk, project=project, foreign_id=row.foreign_id)
        for pk, row in rows.items()
    }
    ImportedClassification.objects.bulk_create(kept.values())
    changed = []
    for pk, printed in zip(sorted(rows), columns.rows(scope, only=sorted(rows)), strict=True):
        cells = differences(columns.HEADER, printed, rows[pk].line.cells)
        if cells:
            kept[pk].cells = cells
            changed.append(kept[pk])
    ImportedClassification.objects.bulk_update(changed, ["cells"], batch_size=500)
