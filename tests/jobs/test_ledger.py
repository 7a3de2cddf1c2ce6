"""The ledger: exactly one winner a claim, nothing lost when a worker or the broker dies."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from esocs.jobs import queries, registry, services
from esocs.jobs.models import Job, PeriodicSlot
from esocs.jobs.registry import JobContext, PermanentJobError

pytestmark = pytest.mark.django_db(transaction=True)
KIND = "crowd.publish"


@pytest.fixture
def handle(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have jobs of KIND run by a function of the test."""

    def use(function: Any) -> None:
        monkeypatch.setitem(registry._handlers, KIND, function)

    return use


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ids that were rung for."""
    rung: list[int] = []
    monkeypatch.setattr(services, "_publish", lambda job_id, queue: rung.append(job_id) or True)
    return rung


def test_enqueueing_the_same_key_twice_makes_one_job(published: list[int]) -> None:
    first = services.enqueue(KIND, key="a")
    assert services.enqueue(KIND, key="a") == first
    assert Job.objects.count() == 1


def test_a_job_is_rung_for_only_after_its_cause_is_committed(published: list[int]) -> None:
    with transaction.atomic():
        job = services.enqueue(KIND, key="a")
        assert published == []
    assert published == [job]


def test_a_rolled_back_cause_leaves_no_job(published: list[int]) -> None:
    with transaction.atomic():
        services.enqueue(KIND, key="a")
        transaction.set_rollback(True)
    assert not Job.objects.exists()
    assert published == []


def test_a_broker_that_is_gone_does_not_fail_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise ConnectionError("no broker")

    monkeypatch.setattr("celery.app.base.Celery.send_task", refuse)
    job = services.enqueue(KIND, key="a")
    row = Job.objects.get(pk=job)
    assert row.state == Job.State.QUEUED
    assert row.rung_at is None


def test_the_effect_and_the_finish_share_one_transaction(handle: Any, published: list[int]) -> None:
    def fail_late(job: JobContext) -> Any:
        def effect() -> None:
            PeriodicSlot.objects.create(name="effect", slot=1)
            raise ValueError("after the write")

        return effect

    handle(fail_late)
    services.run_job(services.enqueue(KIND, key="a"))
    row = Job.objects.get()
    assert row.state == Job.State.QUEUED
    assert "after the write" in row.last_error
    assert not PeriodicSlot.objects.filter(name="effect").exists()


def test_of_many_workers_exactly_one_claims_a_job(handle: Any, published: list[int]) -> None:
    runs: list[int] = []
    handle(lambda job: runs.append(job.id))
    job = services.enqueue(KIND, key="a")

    def work() -> None:
        services.run_job(job)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert runs == [job]


def test_after_three_attempts_a_job_fails_with_its_error(handle: Any, published: list[int]) -> None:
    def fail(job: JobContext) -> None:
        raise ValueError("broken")

    handle(fail)
    job = services.enqueue(KIND, key="a")
    for _ in range(3):
        Job.objects.update(run_after=Now())
        assert services.run_job(job)
    row = Job.objects.get()
    assert (row.state, row.attempts) == (Job.State.FAILED, 3)
    assert row.last_error.startswith("ValueError: broken")
    with pytest.raises(queries.JobsFailedError):
        queries.wait_for([job])


def test_a_permanent_error_is_not_tried_again(handle: Any, published: list[int]) -> None:
    def fail(job: JobContext) -> None:
        raise PermanentJobError("never")

    handle(fail)
    services.run_job(services.enqueue(KIND, key="a"))
    assert Job.objects.get().state == Job.State.FAILED


def test_the_sweeper_gives_a_dead_workers_job_to_another(handle: Any, published: list[int]) -> None:
    job = services.enqueue(KIND, key="a")
    assert services.claim(job) is not None
    Job.objects.update(lease_until=Now() - timedelta(seconds=1))
    published.clear()
    services.sweep()
    assert published == [job]
    ran: list[int] = []
    handle(lambda context: ran.append(context.attempt))
    services.run_job(job)
    assert ran == [2]
    assert Job.objects.get().state == Job.State.DONE


def test_a_worker_that_lost_its_lease_commits_nothing(handle: Any, published: list[int]) -> None:
    def lose(job: JobContext) -> Any:
        Job.objects.update(lease_token="00000000-0000-0000-0000-000000000000")
        return lambda: PeriodicSlot.objects.create(name="effect", slot=1)

    handle(lose)
    services.run_job(services.enqueue(KIND, key="a"))
    assert not PeriodicSlot.objects.exists()
    assert Job.objects.get().state == Job.State.RUNNING


def test_the_sweeper_rings_for_what_was_never_published(published: list[int]) -> None:
    job = services.enqueue(KIND, key="a")
    Job.objects.update(rung_at=None)
    published.clear()
    assert services.sweep() == 1
    assert published == [job]


def test_a_delayed_job_waits_in_the_ledger(handle: Any, published: list[int]) -> None:
    handle(lambda job: None)
    with connection.cursor() as cursor:
        cursor.execute("SELECT now() + interval '1 hour'")
        later = cursor.fetchone()[0]
    job = services.enqueue(KIND, key="a", run_after=later)
    assert published == []
    assert services.sweep() == 0
    assert not services.run_job(job)


def test_a_periodic_slot_has_one_winner_among_many_beats() -> None:
    wins: list[int | None] = []

    def beat() -> None:
        wins.append(services.claim_slot("x", every_s=3600))
        connection.close()

    threads = [threading.Thread(target=beat) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(win is not None for win in wins) == 1


def test_an_operator_can_have_failed_jobs_tried_again(handle: Any, published: list[int]) -> None:
    def fail(job: JobContext) -> None:
        raise PermanentJobError("never")

    handle(fail)
    job = services.enqueue(KIND, key="a")
    services.run_job(job)
    assert services.retry_failed(Job.objects.all()) == 1
    handle(lambda context: None)
    assert services.run_job(job)
    assert Job.objects.get().state == Job.State.DONE


def test_every_kind_has_a_known_queue_and_a_handler() -> None:
    from esocs.config.celery import app

    app.loader.import_default_modules()
    assert set(registry.KINDS.values()) == set(registry.QUEUES)
    assert set(registry.KINDS) == set(registry._handlers)


def test_draining_waits_for_the_next_attempt_and_ends_with_the_jobs(
    handle: Any, published: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[int] = []

    def fail_once(job: JobContext) -> None:
        attempts.append(job.attempt)
        if job.attempt == 1:
            raise ValueError("not yet")

    monkeypatch.setattr(services, "RETRY_AFTER_S", (0,))
    handle(fail_once)
    services.drain([services.enqueue(KIND, key="a")])
    assert attempts == [1, 2]
    assert Job.objects.get().state == Job.State.DONE
