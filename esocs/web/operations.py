"""What went wrong, for the people who run a project: rejected products and failed jobs."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet

from esocs.archive.models import IngestBatch, Product
from esocs.jobs.models import Job
from esocs.projects.models import Project, Subject


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
    planes = Subject.objects.filter(project=project, plane__isnull=False)
    made_subjects = Q(id__in=planes.values("plane__product__batch_id"))
    batches = IngestBatch.objects.filter(made_subjects | Q(created_by_id=project.owner_id))
    return rejected.filter(batch__in=batches)


def count_rejections(rejected: QuerySet[Product]) -> list[RejectionCount]:
    """The rejected by their error, most frequent first."""
    counted = rejected.order_by().values_list("error_code").annotate(n=Count("id")).order_by("-n", "error_code")
    return [RejectionCount(error_code=code, count=n) for code, n in counted]


def count_jobs() -> dict[str, int]:
    """How many jobs of the whole site are in each state."""
    return dict(Job.objects.order_by().values_list("state").annotate(n=Count("id")))
