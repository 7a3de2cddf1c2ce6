"""How far the workflows of a project are, for its front page."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from esocs.crowd.models import SubjectStatus
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
    """The project's workflows in their order, by one statement."""
    of_workflow = SubjectStatus.objects.filter(workflow=OuterRef("pk")).order_by().values("workflow")
    workflows = Workflow.objects.filter(project=project).order_by("id")
    if active_only:
        workflows = workflows.filter(active=True)
    rows = workflows.annotate(
        asked=Coalesce(Subquery(of_workflow.annotate(n=Count("id")).values("n")), 0),
        settled=Coalesce(Subquery(of_workflow.annotate(n=Count("id", filter=~Q(state="open"))).values("n")), 0),
    )
    return [WorkflowProgress(workflow=row, asked=row.asked, settled=row.settled) for row in rows]
