"""Whether a submission is taken: what its workflow, its subject and its sender allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from classifier.errors import EsocsError
from esocs.crowd.errors import (
    ExpertsOnlyError,
    GoldStandardForbiddenError,
    SubjectRetiredError,
    WorkflowInactiveError,
    WorkflowNotInProjectError,
)
from esocs.crowd.facts import Facts
from esocs.crowd.reading import ReadStatus
from esocs.projects.models import ProjectRole

if TYPE_CHECKING:
    from esocs.crowd.submission import Submission

GOLD_ROLES = {
    ProjectRole.Role.OWNER: "owner",
    ProjectRole.Role.EXPERT: "expert",
    ProjectRole.Role.COLLABORATOR: "expert",
}


@dataclass(frozen=True)
class Admission:
    """Why a submission is refused, if it is; and as what its sender may set a gold standard, where that matters."""

    error: EsocsError | None = None
    expert: str = ""


def admit(submission: Submission, status: ReadStatus, facts: Facts) -> Admission:
    """Whether the submission may be stored."""
    if submission.project_id not in {None, facts.project_id}:
        return Admission(WorkflowNotInProjectError("This workflow belongs to another project."))
    if not facts.active:
        return Admission(WorkflowInactiveError("This workflow takes no classifications at present."))
    if submission.gold_standard:
        expert = _expert_role(submission.user_id, facts.project_id)
        if expert:
            return Admission(expert=expert)
        return Admission(GoldStandardForbiddenError("Only the project's owner and experts may set a gold standard."))
    if submission.settled_too or status.held:
        return Admission()
    if status.state == "retired":
        return Admission(
            SubjectRetiredError("Enough people have looked at this subject.", hint="Ask for the next one.")
        )
    if status.audience == "experts" and not _expert_role(submission.user_id, facts.project_id):
        return Admission(ExpertsOnlyError("This subject waits for an expert's answer."))
    return Admission()


def _expert_role(user_id: int | None, project_id: int) -> str:
    """`owner`, `expert` or nothing; read each time, since roles are taken away."""
    if user_id is None:
        return ""
    roles = set(ProjectRole.objects.filter(project_id=project_id, user_id=user_id).values_list("role", flat=True))
    return next((name for role, name in GOLD_ROLES.items() if role in roles), "")
