"""The projects room's background work: subjects out of freshly ingested products."""

from __future__ import annotations

from esocs.jobs.registry import Effect, JobContext, handler
from esocs.projects import from_planes
from esocs.projects.models import Project


@handler("projects.make_subjects")
def make_subjects(job: JobContext) -> Effect | None:
    project = Project.objects.get(pk=job.payload["project_id"])

    def write() -> None:
        from_planes.make_subjects(project=project, product_ids=job.payload["product_ids"])

    return write
