"""Reads of this room: which export is the latest, whether it failed, and where its file lies."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from esocs.jobs.models import Job
from esocs.projects.models import Project, Workflow
from esocs.releases.models import Export


def find_latest_export(*, project: Project, kind: str, workflow: Workflow | None = None) -> Export | None:
    """The last ordered export of exactly this scope, ready or not."""
    exports = Export.objects.filter(project=project, workflow=workflow, kind=kind)
    return exports.select_related("project", "workflow").order_by("-id").first()


def find_export(export_id: int) -> Export | None:
    return Export.objects.filter(pk=export_id).select_related("project", "workflow").first()


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
