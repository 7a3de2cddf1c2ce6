"""The room's background work: what is left of an erased account."""

from __future__ import annotations

from esocs.community import erasure
from esocs.jobs.registry import Effect, JobContext, handler


@handler(erasure.JOB)
def forget_traces(job: JobContext) -> Effect | None:
    return lambda: erasure.forget_traces(user_id=job.payload["user_id"], volunteer_id=job.payload["volunteer_id"])
