"""What stands above a workflow's results besides the crowd room's own numbers: the machine's licence, the shares."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from esocs.crowd.figures import read_figures
from esocs.crowd.queries import WorkflowSummary
from esocs.machine.models import ModelVersion, Route, RoutingPolicy, Threshold
from esocs.projects.models import Workflow
from esocs.projects.rules import answer_labels
from esocs.web.results import Share


@dataclass(frozen=True, kw_only=True)
class Overview:
    """A workflow in numbers; `counted_at` says when those of a large one were counted."""

    counts: WorkflowSummary
    counted_at: datetime | None
    champion: ModelVersion | None
    policy: RoutingPolicy | None
    thresholds: list[Threshold]
    consensus: list[Share]

    @property
    def certified(self) -> list[Threshold]:
        """The thresholds that accept anything."""
        return [threshold for threshold in self.thresholds if threshold.value is not None]

    @property
    def accepted(self) -> int:
        return self.counts.routes.get(Route.Decision.ACCEPT, 0)


def read_overview(workflow: Workflow) -> Overview:
    """The numbers, in a fixed number of statements."""
    champion = ModelVersion.objects.filter(workflow=workflow, state=ModelVersion.State.CHAMPION).first()
    policy = RoutingPolicy.objects.filter(model_version=champion).order_by("-number").first() if champion else None
    counts = read_figures(workflow, "summary")
    return Overview(
        counts=counts.value,
        counted_at=counts.counted_at,
        champion=champion,
        policy=policy,
        thresholds=list(policy.thresholds.defer("steps").order_by("number")) if policy else [],
        consensus=_settled_shares(workflow),
    )


def _settled_shares(workflow: Workflow) -> list[Share]:
    """How the settled subjects divide among the answers, in the workflow's order."""
    labels = answer_labels(workflow.tasks, workflow.strings, workflow.first_task)
    counts: dict[int, int] = read_figures(workflow, "settled").value
    total = sum(counts.values()) or 1
    return [
        Share(label=label, count=counts.get(i, 0), share=counts.get(i, 0) / total) for i, label in enumerate(labels)
    ]
