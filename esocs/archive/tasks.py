"""The archive's background work: read a chunk of files."""

from __future__ import annotations

from esocs.archive import rules, services
from esocs.jobs.registry import Effect, JobContext, handler


@handler("archive.ingest")
def ingest(job: JobContext) -> Effect | None:
    payload = job.payload
    return services.ingest_files(
        batch_id=payload["batch_id"],
        number=payload["number"],
        paths=[rules.path_of(uri) for uri in payload["paths"]],
        project_id=payload.get("project_id"),
        positions=payload.get("positions"),
        report_progress=job.report_progress,
    )
