"""The live path: one volunteer's submission becomes a row, and its term is added to the consensus, at once.

`Classification` rows are the source of truth. One statement reads, one writes; the first is spared where the process
knows the subject already. The second does nothing unless the status row still is the version that was read; otherwise
both run once more, at last under the row's lock. So any order, repetition or interleaving with a refit ends in the same
sums (DESIGN §5 Crowd, §6).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from classifier.errors import EsocsError
from esocs.crowd.admission import admit
from esocs.crowd.errors import (
    IdempotencyKeyReusedError,
    SubjectNotInWorkflowError,
    WorkflowVersionUnknownError,
)
from esocs.crowd.facts import Epoch, Facts, as_json, asked_at, read_with_facts, recall_facts, todays_questions
from esocs.crowd.gold import reckon_gold
from esocs.crowd.handout import QueuedSubject, capped, queued_subjects
from esocs.crowd.live import Change, Effects, Worth, order_effects, reckon_counted
from esocs.crowd.prepared import call_function
from esocs.crowd.reading import ReadStatus, Terms
from esocs.crowd.recalled import known_answered, note_answered, note_stored, recall
from esocs.crowd.todays_answers import in_todays_answers, mapper
from esocs.projects.rules import Question, read_choices

encode_json = json.JSONEncoder(separators=(",", ":")).encode
_encode_sorted = json.JSONEncoder(sort_keys=True).encode


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What a volunteer sent, already of the right types."""

    workflow_id: int
    subject_ids: list[int]
    volunteer_id: int
    annotations: list[dict[str, Any]]
    metadata: dict[str, Any]
    workflow_version: str
    user_id: int | None = None
    idempotency_key: str | None = None
    gold_standard: bool = False
    ip_key: str = ""
    project_id: int | None = None
    settled_too: bool = False
    """Also about a subject that has retired or waits for experts: Panoptes refuses neither."""

    @property
    def subject_id(self) -> int:
        return self.subject_ids[0]


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """The stored classification: the same for the first request and for each of its replays."""

    id: int
    created: bool
    counted: bool
    created_at: datetime
    annotations: list[dict[str, Any]]
    metadata: dict[str, Any]
    gold_standard: bool
    retired: bool
    subjects: list[QueuedSubject] | None = None
    """The next ones; None where none were asked for, and of a replay: nothing was stored then."""


@dataclass(frozen=True, kw_only=True)
class Refill:
    """The wish for further subjects with the answer.

    Attributes:
        limit: how many.
        held: what the asker still holds, None where it does not say (`hand_out_subjects`).
    """

    limit: int
    held: frozenset[int] | None = None


LOCK_STATUS = """
SELECT 1 FROM crowd_subjectstatus WHERE workflow_id = %s AND subject_id = %s FOR NO KEY UPDATE
"""


def record_classification(submission: Submission, *, refill: Refill | None = None) -> Recorded:
    """Store one submission exactly once, and count it exactly once.

    A replay (same key, same words) gets the first answer. A second submission by the same volunteer on the same
    subject is stored and not counted. A subject that retired while the volunteer was holding it still takes the
    answer; otherwise a retired subject refuses.

    Args:
        submission: what was sent.
        refill: asks for the next subjects too; they come in `Recorded.subjects`.

    Raises:
        EsocsError: one of this module's errors, `unknown_task` or `unknown_answer`; nothing is stored then.
    """
    sent = _Sent(submission)
    recorded = _try_a_guess(sent, refill) or _try_to_record(sent, refill)
    if recorded is None:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(LOCK_STATUS, [submission.workflow_id, submission.subject_id])
            recorded = _try_to_record(sent, refill, locked=True)
    assert recorded is not None, "the row is locked, so it is the one that was read"
    return recorded


class _Sent:
    """A submission with what is worked out from it alone."""

    def __init__(self, submission: Submission) -> None:
        self.submission = submission
        self.version = _read_version(submission)
        self.choices = read_choices(asked_at(submission.workflow_id, *self.version).tasks, submission.annotations)
        self.key = submission.idempotency_key or _derived_key(submission)
        self.sha256 = _request_sha256(submission)


def _try_a_guess(sent: _Sent, refill: Refill | None) -> Recorded | None:
    """Reckon from what the process last saw, and store; None when that is not enough, and nothing is stored then."""
    submission = sent.submission
    status = recall(submission.workflow_id, submission.subject_id)
    known = recall_facts(workflow_id=submission.workflow_id, volunteer_id=submission.volunteer_id)
    if status is None or known is None or submission.gold_standard:
        return None
    facts, own = known
    if admit(submission, status, facts).error is not None:
        return None
    try:
        effects = _reckon(sent, status, facts, own, counted=True)
    except EsocsError:
        return None  # what is read will say whether it is true
    if effects.decision.fired or effects.afterwards:
        return None
    stored = _store(sent, status, facts, effects, refill, counted=True, expert="", guessed=True)
    return _recorded(sent, effects, stored, refill, counted=True) if stored.seen and stored.id else None


def _try_to_record(sent: _Sent, refill: Refill | None, *, locked: bool = False) -> Recorded | None:
    """Read, reckon and store; None when the status's lock is needed, and nothing is stored then."""
    submission = sent.submission
    workflow_id, volunteer_id = submission.workflow_id, submission.volunteer_id
    read = read_with_facts(workflow_id=workflow_id, subject_id=submission.subject_id, volunteer_id=volunteer_id)
    if read is None:
        raise SubjectNotInWorkflowError(
            f"Subject {submission.subject_id} is not asked about in workflow {workflow_id}."
        )
    status, facts, own = read
    admission = admit(submission, status, facts)
    if admission.error is not None:
        if _find_by_key(sent.key) is not None:
            return _replay(sent)
        raise admission.error
    counted = not (submission.gold_standard or status.training or status.answered_before)
    effects = _reckon(sent, status, facts, own, counted=counted)
    if (effects.decision.fired or effects.afterwards) and not locked:
        return None  # what is ordered or written besides belongs to the same transaction
    stored = _store(sent, status, facts, effects, refill, counted=counted, expert=admission.expert)
    if not stored.seen:
        return None
    if stored.id is None:
        return _replay(sent)
    if effects.afterwards:
        effects.afterwards(stored.id)
    if locked:
        order_effects([(effects.decision, status.subject_id)])
    return _recorded(sent, effects, stored, refill, counted=counted)


def _recorded(sent: _Sent, effects: Effects, stored: _Stored, refill: Refill | None, *, counted: bool) -> Recorded:
    assert stored.id is not None
    assert stored.created_at is not None
    submission = sent.submission
    return Recorded(
        id=stored.id,
        created=True,
        counted=counted,
        created_at=stored.created_at,
        annotations=submission.annotations,
        metadata=submission.metadata,
        gold_standard=submission.gold_standard,
        retired=effects.retired,
        subjects=None if refill is None else stored.subjects,
    )


def _reckon(sent: _Sent, status: ReadStatus, facts: Facts, own: Terms, *, counted: bool) -> Effects:
    """What the submission does beside being kept."""
    submission, questions = sent.submission, todays_questions(facts)
    if counted:
        epoch = facts.epoch_of(status.epoch_id)
        return reckon_counted(
            status,
            facts,
            questions=questions,
            choices=in_todays_answers(sent.choices, facts, sent.version),
            worth=_worth(status, facts, own, questions, epoch),
            epoch=epoch,
            to_today=mapper(facts),
        )
    if submission.gold_standard:
        return reckon_gold(
            status,
            facts,
            today=in_todays_answers(sent.choices, facts, sent.version),
            asks_first=any(question.task_key == facts.first_task for question in questions),
            volunteer_id=submission.volunteer_id,
            author_id=submission.user_id,
        )
    return Effects(retired=status.state == "retired")


def _worth(
    status: ReadStatus, facts: Facts, own: Terms, questions: list[Question], epoch: Epoch | None
) -> dict[str, Worth]:
    """What is known of each question: what has been summed, and what this volunteer's answer adds."""
    worth: dict[str, Worth] = {}
    for question in questions:
        sums, counts = status.sums.get(question.key, (None, None))
        known = worth[question.key] = Worth(sums=sums, counts=counts)
        everybody = facts.everybody.get((epoch.id, question.key)) if epoch else None
        if epoch:
            known.terms = own.get((epoch.id, question.key)) or (everybody.terms if everybody else None)
        if everybody:
            known.log_prior, known.temper = everybody.log_prior, everybody.temper
            known.confusion = everybody.confusion
    return worth


@dataclass(frozen=True)
class _Stored:
    """What `crowd_store` gave: nothing was stored unless the row was the one seen, nor where there is no id."""

    seen: bool
    id: int | None
    created_at: datetime | None
    subjects: list[QueuedSubject]


def _store(
    sent: _Sent,
    status: ReadStatus,
    facts: Facts,
    effects: Effects,
    refill: Refill | None,
    *,
    counted: bool,
    expert: str,
    guessed: bool = False,
) -> _Stored:
    """Write all that a submission does in one call; of a guess only if it still holds."""
    submission, change, summed = sent.submission, effects.change, effects.summed
    # The queue does not see this answer in time: what is being answered counts as held.
    held = {*((refill and refill.held) or ()), submission.subject_id}
    if refill:
        held.update(known_answered(submission.workflow_id, volunteer_id=submission.volunteer_id))
    row = call_function(
        "crowd_store",
        (
            status.id,
            status.seen,
            facts.version if guessed else None,
            submission.workflow_id,
            submission.subject_id,
            submission.volunteer_id,
            sent.key,
            sent.sha256,
            *sent.version,
            encode_json(submission.annotations),
            encode_json(submission.metadata),
            submission.gold_standard,
            expert,
            submission.ip_key,
            counted,
            [choice.task_key for choice in sent.choices],
            [choice.answer for choice in sent.choices],
            facts.derived,
            effects.epoch_id,
            [each.task_key for each in summed],
            [_array(each.sums) for each in summed],
            [_array(each.counts) for each in summed],
            [each.answer for each in summed],
            [each.probability for each in summed],
            [each.majority for each in summed],
            [each.flagged for each in summed],
            *(_NO_CHANGE if change is None else _change_values(change)),
            capped(refill.limit) if refill else 0,
            sorted(held),
            refill is not None and refill.held is not None,
        ),
    )
    if row[1] is not None and not connection.in_atomic_block:
        note_answered(submission.workflow_id, volunteer_id=submission.volunteer_id, subject_id=submission.subject_id)
    if row[1] is not None and counted:
        note_stored(
            submission.workflow_id,
            status,
            seen=None if row[4] is None else row[4].decode(),
            epoch_id=effects.epoch_id,
            sums={each.task_key: (list(each.sums), list(each.counts)) for each in summed},
        )
    return _Stored(
        seen=row[0] == b"t",
        id=None if row[1] is None else int(row[1]),
        created_at=None if row[2] is None else datetime.fromisoformat(row[2].decode()),
        subjects=queued_subjects(row[3]),
    )


_NO_CHANGE = (None,) * 8


def _change_values(change: Change) -> tuple[Any, ...]:
    return (
        change.before,
        change.state,
        change.reason,
        change.review,
        change.epoch_number,
        change.count,
        change.answer,
        change.probability,
    )


def _array(numbers: Sequence[int]) -> str:
    return "{" + ",".join(map(str, numbers)) + "}"


def _find_by_key(key: str) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.id, c.counted, c.created_at, c.annotations, c.metadata, c.gold_standard, c.request_sha256,"
            " c.volunteer_id, st.state FROM crowd_classification c LEFT JOIN crowd_subjectstatus st"
            " ON st.workflow_id = c.workflow_id AND st.subject_id = c.subject_id WHERE c.idempotency_key = %s",
            [key],
        )
        found: tuple[Any, ...] | None = cursor.fetchone()
    return found


def _replay(sent: _Sent) -> Recorded:
    row = _find_by_key(sent.key)
    assert row is not None, "the key conflicted, so its row is committed"
    if row[6] != sent.sha256 or row[7] != sent.submission.volunteer_id:
        raise IdempotencyKeyReusedError(
            "This submission key was used before, for another answer.",
            hint="Use a new key for each submission.",
        )
    return Recorded(
        id=row[0],
        created=False,
        counted=row[1],
        created_at=row[2],
        annotations=as_json(row[3]),
        metadata=as_json(row[4]),
        gold_standard=row[5],
        retired=row[8] == "retired",
    )


def _read_version(submission: Submission) -> tuple[int, int]:
    major, _, minor = submission.workflow_version.partition(".")
    if not (major.isdecimal() and minor.isdecimal()):
        raise WorkflowVersionUnknownError(
            f"{submission.workflow_version!r} is not a workflow version.",
            hint="Send it as text, such as '1.1'.",
        )
    return int(major), int(minor)


def _derived_key(submission: Submission) -> str:
    """The key of a client that sends none: who, what and when make a retry recognisable."""
    when = [submission.metadata.get(name) for name in ("session", "started_at", "finished_at")]
    parts = [
        submission.workflow_id,
        submission.subject_ids,
        submission.volunteer_id,
        submission.gold_standard,
        when,
    ]
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()


def _request_sha256(submission: Submission) -> str:
    words = [submission.workflow_id, submission.subject_ids, submission.annotations, submission.gold_standard]
    return hashlib.sha256(_encode_sorted(words).encode()).hexdigest()
