"""The job of this room: make one export's file."""

from __future__ import annotations

from esocs.jobs.registry import Effect, JobContext, PermanentJobError, handler
from esocs.releases import queries, services
from esocs.releases.models import Export


@handler(services.JOB)
def make_export(context: JobContext) -> Effect | None:
    export = queries.find_export(context.payload["export_id"])
    if export is None:
        raise PermanentJobError("The export was deleted before it was made.")
    if export.state == Export.State.READY:
        return None
    return services.write_export(export, on_progress=context.report_progress)
