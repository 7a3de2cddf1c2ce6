"""An answer that its volunteer takes back and gives anew: both rows are kept, and the last one counts.

A revision names the first answer's key and its own number in its metadata (`revises`, `revision`). Whatever order the
two arrive in, and however often, the highest number counts, once. Which row counts is decided under the lock of the
subject's status, and the subject is then summed again from its rows, so that its sums are those of the last answers
to the bit (`crowd.live`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from esocs.crowd.errors import ExpertsOnlyError, SubjectRetiredError
from esocs.crowd.submission import Recorded, Submission, record_classification


@dataclass(frozen=True, kw_only=True)
class Revision:
    """What an answer says of itself: the key of the first answer, and the how manieth revision of it this is."""

    first: str
    number: int


LOCK = """
SELECT st.id FROM crowd_subjectstatus st WHERE st.workflow_id = %(workflow)s AND st.subject_id = %(subject)s FOR UPDATE
"""

# A day after the first answer nobody has merely slipped: by then the volunteer may have read what others say.
SUPERSEDE = """
WITH old AS (
    -- Panoptes goes on counting what it has counted.
    UPDATE crowd_classification SET counted = false, count_correction = count_correction + 1 - %(taken)s,
        metadata = metadata || '{"superseded": true}'::jsonb
    WHERE workflow_id = %(workflow)s AND subject_id = %(subject)s AND volunteer_id = %(volunteer)s AND counted
        AND %(first)s IN (idempotency_key, revises) AND revision < %(number)s
        AND created_at > now() - interval '1 day'
        AND NOT EXISTS (SELECT 1 FROM crowd_classification c WHERE c.idempotency_key = %(key)s)
    RETURNING id
), answers AS (
    UPDATE crowd_answer SET counted = false WHERE classification_id IN (SELECT id FROM old)
), sums AS (
    DELETE FROM crowd_consensus WHERE status_id = %(status)s AND EXISTS (SELECT 1 FROM old)
), summaries AS (
    -- As many people, but other words: nothing else would tell that they are to be summarised again.
    UPDATE crowd_tasksummary SET counted = 0 WHERE status_id = %(status)s AND EXISTS (SELECT 1 FROM old)
)
SELECT count(*) FROM old
"""

# The subject is in the volunteer's hands again. What a rule decided on the answer that is taken back is decided anew;
# what a person or an expert decided stays.
TAKE_BACK = """
WITH before AS (
    SELECT id, state, retired_at, state = 'retired' AND retirement_cause = 'rule' AS reopens
    FROM crowd_subjectstatus WHERE id = %(status)s
), held AS (
    INSERT INTO crowd_assignment (status_id, volunteer_id, served_at, expires_at)
    SELECT id, %(volunteer)s, LEAST(now(), retired_at), now() FROM before
    ON CONFLICT (status_id, volunteer_id) DO UPDATE SET served_at = EXCLUDED.served_at
), changed AS (
    INSERT INTO crowd_statuschange (status_id, before, after, cause, reason, classifications_count)
    SELECT id, state, 'open', 'submission', 'revised', %(count)s FROM before WHERE reopens
)
UPDATE crowd_subjectstatus st
SET classifications_count = classifications_count - %(taken)s, updated_at = now(),
    state = CASE WHEN reopens THEN 'open' ELSE st.state END,
    retired_at = CASE WHEN reopens THEN NULL ELSE st.retired_at END,
    retirement_reason = CASE WHEN reopens THEN '' ELSE retirement_reason END,
    retirement_cause = CASE WHEN reopens THEN '' ELSE retirement_cause END,
    retired_epoch_number = CASE WHEN reopens THEN NULL ELSE retired_epoch_number END,
    retired_count = CASE WHEN reopens THEN NULL ELSE retired_count END,
    retired_answer = CASE WHEN reopens THEN NULL ELSE retired_answer END,
    retired_probability = CASE WHEN reopens THEN NULL ELSE retired_probability END,
    review = CASE WHEN reopens AND review = 'flagged' THEN '' ELSE review END
FROM before WHERE st.id = before.id
"""

MARK = """
UPDATE crowd_classification c SET metadata = c.metadata || '{"superseded": true}'::jsonb
WHERE c.id = %(id)s AND NOT c.counted AND EXISTS (SELECT 1 FROM crowd_classification later
    WHERE later.revises = %(first)s AND later.volunteer_id = c.volunteer_id AND later.revision > %(number)s)
"""


def read_revision(metadata: dict[str, Any]) -> Revision | None:
    """What the metadata say; None for an answer that revises none."""
    first = metadata.get("revises")
    return Revision(first=str(first), number=int(metadata.get("revision", 1))) if first else None


Store = Callable[[Submission], Recorded]


def record_answer(
    submission: Submission, *, store: Store = record_classification, keeps_count: bool = False
) -> Recorded:
    """Store an answer or the revision of one, exactly once; of an answer and its revisions the last one counts.

    Args:
        submission: what was sent.
        store: how the workflow records and counts an answer.
        keeps_count: whether an answer that was taken back still counts towards retirement, as it does in Panoptes.

    Raises:
        EsocsError: as `record_classification`.
    """
    revision = read_revision(submission.metadata)
    if revision is not None and not submission.gold_standard:
        return _record_revision(submission, revision, store=store, taken=0 if keeps_count else 1)
    try:
        recorded = store(submission)
    except (SubjectRetiredError, ExpertsOnlyError):
        # Its revision was faster, and with it the subject was settled. The first words are kept all the same.
        if not _was_revised(submission):
            raise
        with transaction.atomic():
            _take_back(submission, taken=0)
            recorded = store(submission)
    if recorded.created and not recorded.counted and submission.idempotency_key:
        _mark(recorded.id, Revision(first=submission.idempotency_key, number=0))
    return recorded


@transaction.atomic
def _record_revision(submission: Submission, revision: Revision, *, store: Store, taken: int) -> Recorded:
    where = _where(submission)
    with connection.cursor() as cursor:
        cursor.execute(LOCK, where)
        status = cursor.fetchone()
        if status is not None:
            keys: dict[str, Any] = {
                "first": revision.first,
                "number": revision.number,
                "key": submission.idempotency_key or "",
            }
            cursor.execute(SUPERSEDE, {**where, **keys, "status": status[0], "taken": taken})
            if cursor.fetchone()[0]:
                _take_back(submission, taken=taken)
    recorded = store(submission)
    if recorded.created:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE crowd_classification SET revises = %s, revision = %s WHERE id = %s",
                [revision.first, revision.number, recorded.id],
            )
        _mark(recorded.id, revision)
    return recorded


def _take_back(submission: Submission, *, taken: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT st.id, st.classifications_count FROM crowd_subjectstatus st"
            " WHERE st.workflow_id = %(workflow)s AND st.subject_id = %(subject)s FOR UPDATE",
            _where(submission),
        )
        status, count = cursor.fetchone()
        cursor.execute(TAKE_BACK, {**_where(submission), "status": status, "count": count - taken, "taken": taken})


def _was_revised(submission: Submission) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM crowd_classification WHERE revises = %s AND volunteer_id = %s)",
            [submission.idempotency_key or "", submission.volunteer_id],
        )
        return bool(cursor.fetchone()[0])


def _mark(classification_id: int, revision: Revision) -> None:
    with connection.cursor() as cursor:
        cursor.execute(MARK, {"id": classification_id, "first": revision.first, "number": revision.number})


def _where(submission: Submission) -> dict[str, Any]:
    return {
        "workflow": submission.workflow_id,
        "subject": submission.subject_id,
        "volunteer": submission.volunteer_id,
    }
