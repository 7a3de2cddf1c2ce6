"""Reads of this room: which export is the latest, whether it failed, and where its file lies."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from classifier.errors import EsocsError
from esocs.jobs.models import Job
from esocs.projects.models import Project, SubjectSet, Workflow
from esocs.releases.models import Export, ImportedClassification


class SubjectSetNotFoundError(EsocsError):
    """The project has no such subject set."""

    code = "subject_set_not_found"
    status = 404


@dataclass(frozen=True, kw_only=True)
class Variant:
    """How an export differs from Panoptes' own: its format, whether it names anybody, and which part of the rows it is.

    Attributes:
        format: `csv` or `parquet`.
        pseudonymised: names stand for people without telling who; what may tell is left out.
        after_id: only classifications after the one that an export calls so: what came since an earlier file.
        created_from: only classifications made then or later.
        created_before: only classifications made earlier.
    """

    format: str = Export.Format.CSV
    pseudonymised: bool = False
    after_id: int | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None

    @property
    def is_partial(self) -> bool:
        return any(bound is not None for bound in (self.after_id, self.created_from, self.created_before))

    def columns(self) -> dict[str, Any]:
        """The same as an export's columns."""
        return asdict(self)


def find_latest_export(
    *,
    project: Project,
    kind: str,
    workflow: Workflow | None = None,
    subject_set: SubjectSet | None = None,
    variant: Variant | None = None,
) -> Export | None:
    """The last ordered export of exactly this scope and variant, ready or not."""
    exports = Export.objects.filter(
        project=project, workflow=workflow, subject_set=subject_set, kind=kind, **(variant or Variant()).columns()
    )
    return exports.select_related("project", "workflow", "subject_set").order_by("-id").first()


def get_subject_set(*, project: Project, subject_set_id: int) -> SubjectSet:
    """A subject set of a project.

    Raises:
        SubjectSetNotFoundError: there is none of this number.
    """
    found = SubjectSet.objects.filter(project=project, pk=subject_set_id).first()
    if found is None:
        raise SubjectSetNotFoundError(f"The project has no subject set {subject_set_id}.")
    return found


def find_own_id(project: Project, printed_id: int | None) -> int | None:
    """The id under which we keep the classification that exports of the project call `printed_id`."""
    if printed_id is None:
        return None
    imported = ImportedClassification.objects.filter(project=project, foreign_id=printed_id)
    return imported.values_list("classification_id", flat=True).first() or printed_id


def find_export(export_id: int) -> Export | None:
    exports = Export.objects.filter(pk=export_id)
    return exports.select_related("project", "workflow", "subject_set").first()


def job_key(export: Export) -> str:
    """The key under which the ledger knows the export's job."""
    return f"export/{export.pk}"


def find_job_id(export: Export) -> int | None:
    return Job.objects.filter(kind="releases.export", key=job_key(export)).values_list("id", flat=True).first()


def find_failure(export: Export) -> str:
    """The first line of the error for which the export will never be ready; empty when it may be."""
    if export.state == Export.State.READY:
        return ""
    failed = Job.objects.filter(kind="releases.export", key=job_key(export), state=Job.State.FAILED)
    error = failed.values_list("last_error", flat=True).first()
    return "" if error is None else error.partition("\n")[0] or "failed"


def list_first_errors(job_ids: list[int]) -> list[str]:
    """What went wrong with those of the jobs that are not done and wait for another attempt."""
    waiting = Job.objects.filter(id__in=job_ids, state=Job.State.QUEUED).exclude(last_error="")
    return [error.partition("\n")[0] for error in waiting.order_by("id").values_list("last_error", flat=True)]


def export_path(export: Export) -> Path:
    """The gzip file of a ready export."""
    return Path(settings.EXPORT_ROOT) / export.path
