"""How subjects stand towards a volunteer: what Panoptes tells beside each subject that it selects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from esocs.crowd.models import Classification, SubjectStatus


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One subject in one workflow, for one volunteer."""

    retired: bool
    already_seen: bool
    finished_workflow: bool
    user_has_finished: bool


def list_standing(*, workflow_id: int, subject_ids: Sequence[int], volunteer_id: int | None) -> dict[int, Standing]:
    """Subject id → how it stands; whoever never came has seen nothing.

    Args:
        workflow_id: in which.
        subject_ids: of which.
        volunteer_id: for whom; None: somebody new.
    """
    statuses = SubjectStatus.objects.filter(workflow=workflow_id)
    retired = set(statuses.filter(subject__in=subject_ids, state="retired").values_list("subject_id", flat=True))
    finished = statuses.exists() and not statuses.exclude(state="retired").exists()
    done = Classification.objects.filter(workflow=workflow_id, volunteer=volunteer_id or 0)
    seen = set(done.filter(subject__in=subject_ids).values_list("subject_id", flat=True))
    left = statuses.filter(state="open").exclude(subject__in=done.values("subject_id"))
    has_finished = volunteer_id is not None and not left.exists()
    return {
        pk: Standing(
            retired=pk in retired,
            already_seen=pk in seen,
            finished_workflow=finished,
            user_has_finished=has_finished,
        )
        for pk in subject_ids
    }
