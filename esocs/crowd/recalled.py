"""What this process last saw of a subject: a guess to reckon from, so that most answers need not be read for first.

The status row is the source of truth. What is reckoned from a guess is stored only on the very version of the row that
the guess is of, under the very version of the facts, and only if the volunteer has no answer there (`crowd_store`).
Whatever the reckoning depends on makes a new version of one of the two, so a guess that holds is what reading gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from esocs.crowd.reading import ReadStatus

MOST_SUBJECTS = 10_000

# By workflow and subject. Threads share it: each entry is whole, and a stale one is found out when it is used.
_recalled: dict[tuple[int, int], ReadStatus] = {}


def recall(workflow_id: int, subject_id: int) -> ReadStatus | None:
    """The subject as it was last seen, if it waited for volunteers then."""
    return _recalled.get((workflow_id, subject_id))


def note_shown(subject_id: int, row: Sequence[Any]) -> None:
    """Keep what `crowd_show` tells of a subject's status beside the subject."""
    workflow_id, pk, seen, state, audience, review, epoch_id, machine_answer, machine_prior, count, training, sums = row
    status = ReadStatus(
        id=pk,
        subject_id=subject_id,
        state=state,
        audience=audience,
        review=review,
        epoch_id=epoch_id,
        machine_answer=machine_answer,
        machine_prior=machine_prior,
        count=count,
        training=training,
        seen=seen,
        held=True,
        answered_before=False,
        facts=None,
        sums={task_key: (total, counts) for task_key, total, counts in sums or ()},
    )
    _keep(workflow_id, status)


def note_stored(
    workflow_id: int,
    status: ReadStatus,
    *,
    seen: str | None,
    epoch_id: int | None,
    sums: dict[str, tuple[list[int], list[int]]],
) -> None:
    """Keep what a counted answer made of a status.

    Args:
        workflow_id: its workflow.
        status: as it was.
        seen: the version of the row that it made; None where its state is another one now.
        epoch_id: of the sums; None leaves the status's.
        sums: sums and counts of the questions that were summed.
    """
    if seen is None:
        _recalled.pop((workflow_id, status.subject_id), None)
        return
    made = replace(
        status,
        seen=seen,
        count=status.count + 1,
        epoch_id=status.epoch_id if epoch_id is None else epoch_id,
        sums=status.sums | sums,
        own=None,
    )
    _keep(workflow_id, made)


def forget_statuses() -> None:
    """Read every status anew."""
    _recalled.clear()


def _keep(workflow_id: int, status: ReadStatus) -> None:
    if status.state != "open" or status.audience != "volunteers" or status.training:
        return
    if len(_recalled) >= MOST_SUBJECTS:
        _recalled.clear()
    _recalled[workflow_id, status.subject_id] = status
