"""The hand-out of a workflow whose streams say how often each set is drawn from: reserved as every other one."""

from __future__ import annotations

import random

from esocs.crowd.as_panoptes.mixture import Mixture
from esocs.crowd.handout import QueuedSubject, hand_out_subjects
from esocs.projects.models import Workflow


def hand_out_by_streams(
    *,
    workflow_id: int,
    volunteer_id: int,
    user_id: int | None,
    limit: int,
    held: frozenset[int] | None = None,
    rng: random.Random | None = None,
) -> list[QueuedSubject]:
    """`hand_out_subjects`, from the sets that are drawn; where one has too few, the others make up for it.

    Raises:
        NothingToSelectError: the workflow has no subject set.
        WorkflowInactiveError: it takes no classifications at present.
    """
    rng = rng or random.Random()  # noqa: S311 - no secret depends on it
    workflow = Workflow.objects.get(pk=workflow_id)
    drawn = Mixture(workflow, volunteer_id=volunteer_id, user_id=user_id).draw(limit, rng=rng)
    found: dict[int, QueuedSubject] = {}
    for subject_set_id, n in [*drawn.items(), (None, limit)]:
        wanted = min(n, limit - len(found))
        if wanted > 0:
            subjects = hand_out_subjects(
                workflow_id=workflow_id,
                volunteer_id=volunteer_id,
                limit=wanted,
                held=None if held is None else held | found.keys(),
                subject_set_id=subject_set_id,
            )
            found |= {subject.subject_id: subject for subject in subjects if subject.subject_id not in found}
    shuffled = list(found.values())
    rng.shuffle(shuffled)
    return shuffled
