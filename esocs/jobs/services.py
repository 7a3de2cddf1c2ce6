"""Writes to the ledger: enqueue, claim, finish, fail, sweep. `jobs.Job` is the source of truth; messages are hints."""

from __future__ import annotations

import itertools
import logging
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from django.conf import settings
from django.db import DatabaseError, connection, models, transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Now

from classifier.errors import EsocsError
from esocs.jobs.models import Job, PeriodicSlot
from esocs.jobs.registry import (
    KINDS,
    JobContext,
    PermanentJobError,
    UnknownJobKindError,
    get_handler,
    list_periodic,
)

log = logging.getLogger(__name__)

# How long a rung but unclaimed job is left before the sweeper rings again.
RING_AGAIN_AFTER = timedelta(seconds=30)
# Retry delays grow: a broken file is not worth a busy loop, a lost connection is soon back.
RETRY_AFTER_S = (5, 30, 120)


class LeaseLostError(EsocsError):
    """Another worker owns the job by now; this one's effect must not be committed."""

    code = "job_lease_lost"
    status = 409


def enqueue(
    kind: str,
    *,
    key: str,
    payload: Mapping[str, Any] | None = None,
    group: str = "",
    run_after: datetime | None = None,
) -> int:
    """Write a job in the caller's transaction and ring for it after the commit.

    Returns:
        The job's id. Enqueueing the same (kind, key) again returns the first job's id and starts nothing.

    Raises:
        UnknownJobKindError: the kind has no queue.
    """
    return enqueue_many(kind, items=[(key, payload or {})], group=group, run_after=run_after)[0]


def enqueue_many(
    kind: str,
    *,
    items: Iterable[tuple[str, Mapping[str, Any]]],
    group: str = "",
    run_after: datetime | None = None,
) -> list[int]:
    """`enqueue` for many (key, payload) pairs, in one INSERT. Returns the ids in the order of the items."""
    if kind not in KINDS:
        raise UnknownJobKindError(f"The job kind {kind!r} has no queue.", hint="Add it to registry.KINDS.")
    pairs = list(items)
    queue = KINDS[kind]
    extra = {"run_after": run_after} if run_after else {}
    Job.objects.bulk_create(
        [Job(kind=kind, key=key, queue=queue, payload=dict(payload), group=group, **extra) for key, payload in pairs],
        ignore_conflicts=True,
        batch_size=1000,
    )
    ids = dict(Job.objects.filter(kind=kind, key__in=[key for key, _ in pairs]).values_list("key", "id"))
    ordered = [ids[key] for key, _ in pairs]
    if run_after is None:
        transaction.on_commit(lambda: _ring_queued(ordered))
    return ordered


def _ring_queued(job_ids: list[int]) -> None:
    """Ring for those that still wait; what fails to be published is rung again by the sweeper."""
    due = Job.objects.filter(id__in=job_ids, state=Job.State.QUEUED)
    pairs = list(due.order_by("id").values_list("id", "queue"))
    # A broker that does not take one takes none: a request must not wait for each of them.
    rung = [job_id for job_id, _ in itertools.takewhile(lambda pair: _publish(*pair), pairs)]
    Job.objects.filter(id__in=rung).update(rung_at=Now())


def _publish(job_id: int, queue: str) -> bool:
    from celery import current_app

    try:
        current_app.send_task("esocs.jobs.run", args=[job_id], queue=queue)
    except Exception as error:  # noqa: BLE001 - a failed publish never fails a request, whatever the broker raised
        log.warning("job %s was not rung for: %s", job_id, error)
        return False
    return True


def claim(job_id: int, *, lease_s: int | None = None) -> Job | None:
    """Take a due job by conditional UPDATE. Exactly one caller wins; the others get None."""
    lease = timedelta(seconds=lease_s or settings.JOB_LEASE_S)
    token = uuid.uuid4()
    won = Job.objects.filter(id=job_id, state=Job.State.QUEUED, run_after__lte=Now()).update(
        state=Job.State.RUNNING,
        attempts=F("attempts") + 1,
        lease_token=token,
        lease_until=Now() + Value(lease),
        started_at=Now(),
    )
    return Job.objects.get(id=job_id) if won else None


class LeaseKeeper:
    """Extends a running job's lease from a thread of its own, for as long as the handler works.

    When the process dies, so does the thread: the lease runs out and the sweeper gives the job to another worker.
    """

    def __init__(self, job: Job, *, lease_s: int) -> None:
        self._job = job
        self._lease_s = lease_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lease-{job.id}", daemon=True)
        self.progress: tuple[int, int] = (0, 0)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def report_progress(self, done: int, total: int) -> None:
        self.progress = (done, total)

    def _keep(self) -> None:
        try:
            written = (0, 0)
            waited_s = 0.0
            while not self._stop.wait(1.0):
                waited_s += 1.0
                if self.progress == written and waited_s < self._lease_s / 3:
                    continue
                written, waited_s = self.progress, 0.0
                self._extend(written)
        finally:
            connection.close()

    def _extend(self, progress: tuple[int, int]) -> None:
        try:
            Job.objects.filter(id=self._job.id, lease_token=self._job.lease_token).update(
                lease_until=Now() + Value(timedelta(seconds=self._lease_s)),
                progress_done=progress[0],
                progress_total=progress[1],
            )
        except DatabaseError as error:
            log.warning("lease of job %s was not extended: %s", self._job.id, error)
            connection.close()


def run_job(job_id: int) -> bool:
    """Claim and run one job. The handler's effect and the job's finish share one transaction.

    Returns:
        True when this call ran the job (to its end or to a recorded failure), False when there was nothing to claim.

    Raises:
        EsocsError: one that ends the process (a lost GPU); the job is recorded as failed or queued again.
    """
    lease_s = settings.JOB_LEASE_S
    job = claim(job_id, lease_s=lease_s)
    if job is None:
        return False
    with LeaseKeeper(job, lease_s=lease_s) as keeper:
        context = JobContext(
            id=job.id,
            kind=job.kind,
            key=job.key,
            attempt=job.attempts,
            payload=job.payload,
            report_progress=keeper.report_progress,
        )
        try:
            effect = get_handler(job.kind)(context)
            with transaction.atomic():
                if effect is not None:
                    effect()
                _finish(job)
        except LeaseLostError:
            log.warning("job %s %s was taken over by another worker", job.kind, job.key)
        except Exception as error:
            # Every failure of a handler belongs in the ledger; some mean that this process cannot do better.
            _fail(job, error)
            if isinstance(error, EsocsError) and error.ends_process:
                raise
    return True


def _finish(job: Job) -> None:
    kept = Job.objects.filter(id=job.id, lease_token=job.lease_token, state=Job.State.RUNNING).update(
        state=Job.State.DONE, finished_at=Now(), lease_until=None, lease_token=None, last_error=""
    )
    if not kept:
        raise LeaseLostError(f"The lease of job {job.id} was lost before it finished.")


def _fail(job: Job, error: Exception) -> None:
    """Record a failed attempt: queued again with a delay, or failed for good after the last one."""
    log.error("job %s %s failed (attempt %s)", job.kind, job.key, job.attempts, exc_info=error)
    final = isinstance(error, PermanentJobError) or job.attempts >= job.max_attempts
    code = error.code if isinstance(error, EsocsError) else type(error).__name__
    text = f"{code}: {error}\n{''.join(traceback.format_exception(error)[-6:])}"
    delay_s = RETRY_AFTER_S[min(job.attempts, len(RETRY_AFTER_S)) - 1]
    changes: dict[str, Any] = {"lease_until": None, "lease_token": None, "last_error": text[:4000]}
    if final:
        changes |= {"state": Job.State.FAILED, "finished_at": Now()}
    else:
        changes |= {
            "state": Job.State.QUEUED,
            "run_after": Now() + Value(timedelta(seconds=delay_s)),
            "rung_at": None,
        }
    Job.objects.filter(id=job.id, lease_token=job.lease_token).update(**changes)


def sweep() -> int:
    """Free expired leases, fail what has used up its attempts, ring for everything due. Returns how many were rung."""
    expired = Job.objects.filter(state=Job.State.RUNNING, lease_until__lt=Now())
    gone = "worker_lost: the worker that held this job died or was cut off."
    expired.filter(attempts__gte=F("max_attempts")).update(
        state=Job.State.FAILED, finished_at=Now(), lease_until=None, lease_token=None, last_error=gone
    )
    expired.update(state=Job.State.QUEUED, lease_until=None, lease_token=None, rung_at=None, last_error=gone)
    due = Job.objects.filter(state=Job.State.QUEUED, run_after__lte=Now()).filter(
        Q(rung_at__isnull=True) | Q(rung_at__lt=Now() - Value(RING_AGAIN_AFTER))
    )
    ids = list(due.order_by("run_after").values_list("id", flat=True)[:5000])
    _ring_queued(ids)
    return len(ids)


def retry_failed(jobs: models.QuerySet[Job]) -> int:
    """Give failed jobs three new attempts: the operator's decision after mending the cause."""
    return jobs.filter(state=Job.State.FAILED).update(
        state=Job.State.QUEUED, attempts=0, run_after=Now(), rung_at=None, finished_at=None
    )


def claim_slot(name: str, *, every_s: int) -> int | None:
    """Claim the current slot of a periodic job. Returns the slot for the one winner, None for the others."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs_periodicslot (name, slot)"
            " VALUES (%s, floor(extract(epoch FROM clock_timestamp()) / %s)::bigint)"
            " ON CONFLICT DO NOTHING RETURNING slot",
            [name, every_s],
        )
        row = cursor.fetchone()
    return int(row[0]) if row else None


def tick() -> None:
    """One beat: enqueue every periodic job whose slot is still free, then sweep."""
    for job in list_periodic():
        with transaction.atomic():
            slot = claim_slot(job.kind, every_s=job.every_s)
            if slot is not None:
                enqueue(job.kind, key=f"slot/{slot}")
    if claim_slot("jobs.sweep", every_s=settings.JOB_SWEEP_EVERY_S) is not None:
        sweep()
    if claim_slot("jobs.forget", every_s=24 * 60 * 60) is not None:
        forget_old()


def forget_old() -> None:
    """Delete claimed slots and finished periodic jobs older than a week; they have no further use."""
    week = Value(timedelta(days=7))
    PeriodicSlot.objects.filter(claimed_at__lt=Now() - week).delete()
    Job.objects.filter(key__startswith="slot/", state=Job.State.DONE, finished_at__lt=Now() - week).delete()


def drain(job_ids: list[int], *, on_progress: Callable[[int, int], None] | None = None) -> None:
    """Run the given jobs in this process, beside any workers, until each is done or has failed for good.

    Each job is claimed as a worker would claim it, so nothing runs twice.
    """
    from celery import current_app

    # Every room's tasks.py registers its handlers when it is imported, as in a worker, once a process.
    current_app.loader.init_worker()
    while True:
        waiting = Job.objects.filter(id__in=job_ids, state__in=[Job.State.QUEUED, Job.State.RUNNING])
        left = list(waiting.order_by("id").values_list("id", flat=True))
        if not left:
            return
        ran = False
        for job_id in left:
            ran |= run_job(job_id)
            if on_progress is not None:
                ended = [Job.State.DONE, Job.State.FAILED]
                on_progress(Job.objects.filter(id__in=job_ids, state__in=ended).count(), len(job_ids))
        if not ran:
            # The rest waits for its next attempt, or another worker is at it; a dead one's lease is freed here too.
            time.sleep(1.0)
            sweep()
