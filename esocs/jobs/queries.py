"""Reads from the ledger: what waits, runs, is done and has failed, for operators and progress lines."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.db.models import Count, Sum

from classifier.errors import EsocsError
from esocs.jobs.models import Job


class JobsFailedError(EsocsError):
    """Some jobs of an order have failed for good."""

    code = "jobs_failed"


class JobsStalledError(EsocsError):
    """An order's jobs have not moved for a long time: no worker listens."""

    code = "jobs_stalled"


def count_by_state(*, ids: list[int]) -> dict[str, int]:
    """How many of the given jobs are in each state."""
    rows = Job.objects.filter(id__in=ids).values_list("state").annotate(n=Count("id")).order_by()
    return dict(rows)


def list_failed(*, ids: list[int] | None = None) -> list[Job]:
    failed = Job.objects.filter(state=Job.State.FAILED)
    return list(failed.filter(id__in=ids) if ids is not None else failed.order_by("-finished_at")[:200])


def wait_for(
    ids: list[int],
    *,
    on_progress: Callable[[int, int], None] | None = None,
    stalled_after_s: float = 600,
) -> None:
    """Wait until workers have finished the given jobs, reporting (done, total).

    Progress inside a single long job counts as progress too.

    Raises:
        JobsFailedError: at least one failed for good.
        JobsStalledError: nothing moved for `stalled_after_s`.
    """
    last: tuple[int, int] = (-1, -1)
    moved_at = time.monotonic()
    while True:
        jobs = Job.objects.filter(id__in=ids)
        ended = jobs.filter(state__in=[Job.State.DONE, Job.State.FAILED]).count()
        inside = jobs.filter(state=Job.State.RUNNING).aggregate(
            done=Sum("progress_done", default=0), total=Sum("progress_total", default=0)
        )
        state = (ended, int(inside["done"]))
        if state != last:
            last, moved_at = state, time.monotonic()
            if on_progress is not None:
                single = len(ids) == 1 and inside["total"]
                on_progress(*((inside["done"], inside["total"]) if single else (ended, len(ids))))
        if ended == len(ids):
            break
        if time.monotonic() - moved_at > stalled_after_s:
            raise JobsStalledError("Background work has stopped moving.", hint="Are the workers running?")
        time.sleep(0.25)
    failed = list_failed(ids=ids)
    if failed:
        raise JobsFailedError(
            f"{len(failed)} of {len(ids)} {failed[0].kind} jobs failed: {failed[0].last_error.splitlines()[0]}",
            hint="The jobs page of the admin shows each error; mend the cause and retry them there.",
        )


def list_group(group: str) -> list[int]:
    """The ids of all jobs of one order, oldest first."""
    return list(Job.objects.filter(group=group).order_by("id").values_list("id", flat=True))


def list_ids(*, kind: str, keys: list[str]) -> list[int]:
    """The ids of the jobs of a kind with these keys."""
    return list(Job.objects.filter(kind=kind, key__in=keys).order_by("id").values_list("id", flat=True))
