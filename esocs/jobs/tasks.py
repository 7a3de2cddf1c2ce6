"""The two Celery tasks there are: run the job with this id; beat."""

from __future__ import annotations

from celery import shared_task

from classifier.errors import EsocsError
from esocs.jobs import services


@shared_task(name="esocs.jobs.run")
def run(job_id: int) -> None:
    try:
        services.run_job(job_id)
    except EsocsError as error:
        # The pool replaces a child that ends; the job waits in the ledger for one that can.
        raise SystemExit(f"{error.code}: {error}") from error


@shared_task(name="esocs.jobs.tick")
def tick() -> None:
    services.tick()
