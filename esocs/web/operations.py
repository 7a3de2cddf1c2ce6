"""What went wrong, for the people who run a project: rejected products and failed jobs."""

from __future__ import annotations

from dataclasses import dataclass

from django.core.cache import cache
from django.db.models import Count, QuerySet

from esocs.archive.models import IngestBatch, Product
from esocs.jobs.models import Job
from esocs.projects.models import Project, Subject

SMALL = 5_000
"""Subjects of a project up to which their batches are looked up each time."""
KEPT_S = 300


@dataclass(frozen=True, kw_only=True)
class RejectionCount:
    """How many products one named error has cost."""

    error_code: str
    count: int


def list_rejected(project: Project, *, all_batches: bool) -> QuerySet[Product]:
    """Rejected products of the batches that made the project's subjects or that its owner ordered, newest first.

    Staff see those of every batch.
    """
    rejected = Product.objects.filter(state=Product.State.REJECTED).select_related("batch").order_by("-id")
    if all_batches:
        return rejected
    ordered = IngestBatch.objects.filter(created_by_id=project.owner_id).values_list("id", flat=True)
    return rejected.filter(batch__in={*_batches_of_subjects(project), *ordered})


def _batches_of_subjects(project: Project) -> list[int]:
    """The batches that made the project's subjects; of a large project as they were some minutes ago."""
    key = f"batches/{project.pk}"
    small = Subject.objects.filter(project=project).order_by()[: SMALL + 1].count() <= SMALL
    kept: list[int] | None = None if small else cache.get(key)
    if kept is not None:
        return kept
    planes = Subject.objects.filter(project=project, plane__isnull=False)
    found = list(planes.order_by().values_list("plane__product__batch_id", flat=True).distinct())
    if not small:
        cache.set(key, found, KEPT_S)
    return found


def count_rejections(rejected: QuerySet[Product]) -> list[RejectionCount]:
    """The rejected by their error, most frequent first."""
    counted = rejected.order_by().values_list("error_code").annotate(n=Count("id")).order_by("-n", "error_code")
    return [RejectionCount(error_code=code, count=n) for code, n in counted]


def count_jobs() -> dict[str, int]:
    """How many jobs of the whole site are in each state."""
    return dict(Job.objects.order_by().values_list("state").annotate(n=Count("id")))
