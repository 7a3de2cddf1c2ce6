"""The two Celery tasks there are: run the job with this id; beat."""

from __future__ import annotations

from celery import shared_task

from esocs.jobs import services


@shared_task(name="esocs.jobs.run")
def run(job_id: int) -> None:
    services.run_job(job_id)


@shared_task(name="esocs.jobs.tick")
def tick() -> None:
    services.tick()
