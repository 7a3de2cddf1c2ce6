"""The training room's background work: one retraining, from the rows to the verdict."""

from __future__ import annotations

from esocs.jobs.registry import Effect, JobContext, handler
from esocs.projects.models import Workflow
from esocs.training import services
from esocs.training.rules import NetworkWish


@handler("training.retrain")
def retrain(job: JobContext) -> Effect | None:
    workflow = Workflow.objects.get(pk=job.payload["workflow_id"])
    challenger = services.train_challenger(
        workflow,
        seed=job.payload.get("seed", 0),
        wish=NetworkWish(**job.payload.get("network", {})),
        report_progress=job.report_progress,
    )

    def decide() -> None:
        services.compare_and_promote(challenger)

    return decide
