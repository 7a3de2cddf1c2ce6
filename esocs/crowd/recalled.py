"""What this process last saw of subjects and volunteers, so that most answers need not be read for first.

The status row is the source of truth. What is reckoned from a guess is stored only on the very version of the row that
the guess is of, under the very version of the facts, and only if the volunteer has no answer there (`crowd_store`).
Whatever the reckoning depends on makes a new version of one of the two, so a guess that holds is what reading gives.

What a volunteer has answered stays answered. Of what is still open the next hand-out need not ask the database again:
it lies at the head of the queue until others have answered it too, and an eager volunteer has a lot of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from esocs.crowd.reading import ReadStatus

MOST_SUBJECTS = 10_000
MOST_VOLUNTEERS = 2_000
MOST_ANSWERED = 500

# By workflow and subject. Threads share it: each entry is whole, and a stale one is found out when it is used.
_recalled: dict[tuple[int, int], ReadStatus] = {}
# By workflow and volunteer, the subjects in the order of their answers.
_answered: dict[tuple[int, int], dict[int, None]] = {}


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


def note_answered(workflow_id: int, *, volunteer_id: int, subject_id: int) -> None:
    """Keep that an answer of the volunteer is committed."""
    answered = _answered.get((workflow_id, volunteer_id))
    if answered is None:
        if len(_answered) >= MOST_VOLUNTEERS:
            _answered.clear()
        answered = _answered[workflow_id, volunteer_id] = {}
    answered[subject_id] = None


def known_answered(workflow_id: int, *, volunteer_id: int) -> list[int]:
    """Of the subjects that the volunteer answered some, those first of all that may still be open."""
    answered = _answered.get((workflow_id, volunteer_id))
    if answered is None:
        return []
    still_open = [subject_id for subject_id in list(answered) if (workflow_id, subject_id) in _recalled]
    _answered[workflow_id, volunteer_id] = dict.fromkeys(still_open[-MOST_ANSWERED:])
    return still_open


def forget_statuses() -> None:
    """Read everything anew."""
    _recalled.clear()
    _answered.clear()


def _keep(workflow_id: int, status: ReadStatus) -> None:
    if status.state != "open" or status.audience != "volunteers" or status.training:
        return
    if len(_recalled) >= MOST_SUBJECTS:
        _recalled.clear()
    _recalled[workflow_id, status.subject_id] = status
