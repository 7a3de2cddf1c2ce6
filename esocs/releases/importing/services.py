"""Import of a project from the export files of a Panoptes server, in pieces stored whole; repeated, it does nothing.

An import that was stopped goes on when it is run again: what is stored is found by its foreign id and passed over.
Exports of the imported project print what the files said (`releases.imported`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.timezone import now

from classifier.errors import EsocsError
from esocs.crowd.caesar.deriving import order_all
from esocs.crowd.elsewhere import sum_again
from esocs.crowd.models import CaesarWorkflow
from esocs.projects.models import Project, Workflow
from esocs.releases.columns import subjects as subject_columns
from esocs.releases.importing import classifications, subjects, workflows
from esocs.releases.importing.labels import SeenWorkflow
from esocs.releases.importing.reading import Line, pieces, read_lines
from esocs.releases.importing.workflows import differences
from esocs.releases.models import ImportedProject, ImportedSubject, ImportedWorkflow
from esocs.releases.scope import Scope

ROWS_AT_ONCE = 1_000

Step = Callable[[str], Callable[[int], None]]
"""Given what a long step is called, what to tell how many rows of it are done."""


class ImportIntoOwnProjectError(EsocsError):
    """A project that was made here takes no import: its classifications would mix with foreign ones."""

    code = "import_into_own_project"
    status = 409


@dataclass(kw_only=True)
class Imported:
    """What an import has stored, and what its files hold beside that: known already."""

    versions: int = 0
    subject_rows: int = 0
    classification_rows: int = 0
    classifications: int = 0


def import_project(
    project: Project,
    *,
    workflows_file: Path | None = None,
    subjects_file: Path | None = None,
    classifications_file: Path | None = None,
    kind: str = "image",
    step: Step | None = None,
) -> Imported:
    """Read export files into a project.

    Args:
        project: an empty one, or one that was imported before.
        workflows_file: its workflows export; without it tasks are worked out from the annotations.
        subjects_file: its subjects export; without it subjects have no pictures, sets or times.
        classifications_file: its classifications export, of the project, a workflow or a subject set.
        kind: of the subjects, `image` or `spectrum`.
        step: is told of long steps.

    Returns:
        What was new.

    Raises:
        ImportIntoOwnProjectError: the project has classifications of its own and was never imported.
        ImportFileError: a row that cannot be read; the pieces before it stay stored.
    """
    _begin(project)
    step = step or (lambda _: lambda _: None)
    done = Imported()
    if workflows_file is not None:
        lines = read_lines(workflows_file, needed=workflows.NEEDED)
        done.versions = workflows.write_versions(project, lines, kind=kind, scope_of=lambda: _scope(project))
    if subjects_file is not None:
        done.subject_rows = _import_subjects(project, subjects_file, kind=kind, step=step)
    if classifications_file is not None:
        _describe(project, classifications_file, kind=kind, step=step)
        _import_classifications(project, classifications_file, kind=kind, step=step, done=done)
    return done


def _begin(project: Project) -> None:
    with transaction.atomic():
        Project.objects.select_for_update().only("id").get(pk=project.pk)
        if ImportedProject.objects.filter(project=project).exists():
            return
        if Workflow.objects.filter(project=project, classifications__isnull=False).exists():
            raise ImportIntoOwnProjectError(
                f"{project.slug} has classifications of its own.", hint="Import into a new project."
            )
        ImportedProject.objects.create(project=project)


def _scope(project: Project, as_of: datetime | None = None) -> Scope:
    return Scope(
        project=project,
        workflows=list(Workflow.objects.filter(project=project).order_by("id")),
        whole_project=True,
        as_of=as_of or now(),
        site=settings.PUBLIC_URL,
    )


def _import_subjects(project: Project, path: Path, *, kind: str, step: Step) -> int:
    count = 0
    lines = read_lines(path, needed=subjects.NEEDED)
    for piece in pieces(lines, size=ROWS_AT_ONCE, on_piece=step("reading subjects")):
        with transaction.atomic():
            by_subject = subjects.write_subjects(project, piece, kind=kind)
            _keep_subject_texts(project, by_subject)
        count += len(piece)
    return count


def _keep_subject_texts(project: Project, by_subject: dict[int, Line]) -> None:
    """Of each subject the texts that our own export would write otherwise, in all of its rows."""
    kept: dict[int, dict[str, str]] = {}
    header = subject_columns.HEADER
    alike = {"metadata", "locations", "created_at", "updated_at"}
    for subject_id, made in subject_columns.rows_of(_scope(project), only=sorted(by_subject)):
        cells = differences(header, made, by_subject[subject_id].cells)
        kept[subject_id] = {name: text for name, text in cells.items() if name in alike}
    rows = [ImportedSubject(subject_id=pk, cells=cells) for pk, cells in kept.items() if cells]
    ImportedSubject.objects.bulk_update(rows, ["cells"], batch_size=500)


def _describe(project: Project, path: Path, *, kind: str, step: Step) -> None:
    """Work out the tasks of those workflows that no workflows export has described."""
    described = set(
        ImportedWorkflow.objects.filter(project=project, guessed=False).values_list("foreign_id", flat=True)
    )
    seen: dict[int, SeenWorkflow] = {}
    lines = read_lines(path, needed=classifications.NEEDED)
    for piece in pieces(lines, size=ROWS_AT_ONCE, on_piece=step("looking at the answers")):
        classifications.see_workflows(piece, seen, described=described)
    workflows.write_guessed(project, seen, kind=kind)


def _import_classifications(project: Project, path: Path, *, kind: str, step: Step, done: Imported) -> None:
    known = classifications.Workflows(project)
    moment = now()
    lines = read_lines(path, needed=classifications.NEEDED)
    scope = _scope(project, moment)
    for piece in pieces(lines, size=ROWS_AT_ONCE, on_piece=step("reading classifications")):
        rows = [classifications.read_line(line, now=moment) for line in piece]
        done.classification_rows += len(rows)
        done.classifications += classifications.write_piece(rows, workflows=known, kind=kind, scope=scope)
    for workflow in known.by_id.values():
        if CaesarWorkflow.objects.filter(workflow=workflow).exists():
            order_all(workflow.pk)
        if _is_behind(workflow):
            step(f"summing up {workflow}")
            sum_again(workflow)


def _is_behind(workflow: Workflow) -> bool:
    """Whether there are classifications that the sums do not know, of this import or of one that was stopped."""
    newest: Any = workflow.classifications.order_by("-id").values_list("id", flat=True).first()
    epoch = workflow.epochs.filter(current=True).first()
    return newest is not None and (epoch is None or epoch.last_classification_id < newest)
