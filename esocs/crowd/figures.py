"""Numbers of whole workflows for pages: counted anew for small ones, kept and counted by a job for large ones.

The rows are the truth. A count of ten million votes takes seconds, so that a page shows the last one with its time and
orders the next. What is kept lies in the cache; if it is lost, it is counted again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any

from django.core.cache import cache

from esocs.crowd.models import SubjectStatus
from esocs.crowd.queries import count_current_routes, count_progress, count_settled, summarise_workflow
from esocs.crowd.review import count_review, list_retired_probabilities
from esocs.jobs.services import enqueue
from esocs.projects.models import Workflow

JOB = "crowd.count"
SMALL = 5_000
"""Subjects of a workflow up to which everything is counted when somebody looks."""

COUNTED: dict[str, Callable[[Workflow], Any]] = {
    "summary": summarise_workflow,
    "settled": count_settled,
    "routes": count_current_routes,
    "progress": count_progress,
    "review": count_review,
    "retired": list_retired_probabilities,
}
FRESH_FOR = timedelta(seconds=10)
# Counting may take a twentieth of the time, as fitting the skill may.
SHARE = 20
KEPT_S = 7 * 24 * 60 * 60


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What was counted, when, and how long that took; `counted_at` None: this moment."""

    value: Any
    counted_at: datetime | None = None
    seconds: float = 0.0


def read_figures(workflow: Workflow, name: str) -> Figures:
    """The numbers of that name; of a large workflow those that were counted last.

    Args:
        workflow: whose.
        name: of `COUNTED`.
    """
    if _is_small(workflow):
        return Figures(value=COUNTED[name](workflow))
    kept: Figures | None = cache.get(_key(workflow.pk, name))
    if kept is None:
        return count_figures(workflow, name)
    assert kept.counted_at is not None
    age = datetime.now(UTC) - kept.counted_at
    if age > max(FRESH_FOR, timedelta(seconds=SHARE * kept.seconds)):
        enqueue(
            JOB,
            key=f"{name}/{workflow.pk}/{kept.counted_at.isoformat()}",
            payload={"workflow_id": workflow.pk, "name": name},
        )
    return kept


def count_figures(workflow: Workflow, name: str) -> Figures:
    """Count, and keep what was counted."""
    counted_at, started = datetime.now(UTC), perf_counter()
    value = COUNTED[name](workflow)
    figures = Figures(value=value, counted_at=counted_at, seconds=perf_counter() - started)
    cache.set(_key(workflow.pk, name), figures, KEPT_S)
    return figures


def _is_small(workflow: Workflow) -> bool:
    return SubjectStatus.objects.filter(workflow=workflow).order_by()[: SMALL + 1].count() <= SMALL


def _key(workflow_id: int, name: str) -> str:
    return f"figures/{workflow_id}/{name}"
