"""How far the workflows of a project are, for its front page."""

from __future__ import annotations

from dataclasses import dataclass

from esocs.crowd.figures import read_figures
from esocs.projects.models import Project, Workflow


@dataclass(frozen=True, kw_only=True)
class WorkflowProgress:
    """A workflow with how many subjects volunteers are asked about, and how many of those are settled."""

    workflow: Workflow
    asked: int
    settled: int

    @property
    def percent(self) -> int:
        """Whole percents, rounded down: 100 means finished."""
        return 100 * self.settled // self.asked if self.asked else 0

    @property
    def open(self) -> int:
        return self.asked - self.settled


def list_progress(project: Project, *, active_only: bool) -> list[WorkflowProgress]:
    """The project's workflows in their order."""
    workflows = Workflow.objects.filter(project=project).order_by("id")
    if active_only:
        workflows = workflows.filter(active=True)
    found = []
    for workflow in workflows:
        asked, settled = read_figures(workflow, "progress").value
        found.append(WorkflowProgress(workflow=workflow, asked=asked, settled=settled))
    return found
