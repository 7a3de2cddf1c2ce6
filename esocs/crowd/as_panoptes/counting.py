"""What Panoptes counts towards retirement. Rows and consensus are as in esocs; only the subject's count differs.

A classification counts there if its project is live and its sender has not classified the subject before; of an
anonymous sender nobody knows. So gold counts, anonymous repeats count, and nothing does before a project is live.
Retired subjects, which its selection repeats, go on counting.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from django.db import connection, transaction

from esocs.crowd.rules import decide
from esocs.crowd.submission import Recorded, Submission, record_classification

CORRECT = """
WITH earlier AS (
    SELECT EXISTS (SELECT 1 FROM crowd_classification c WHERE c.workflow_id = %(workflow)s
        AND c.subject_id = %(subject)s AND c.volunteer_id = %(volunteer)s AND c.id < %(id)s) AS seen
), wanted AS (
    SELECT (%(live)s AND (%(anonymous)s OR NOT seen))::int - %(counted)s::int AS correction
    FROM earlier, crowd_subjectstatus practice
    WHERE practice.workflow_id = %(workflow)s AND practice.subject_id = %(subject)s AND NOT practice.training
), noted AS (
    UPDATE crowd_classification SET count_correction = correction FROM wanted WHERE id = %(id)s AND correction <> 0
)
UPDATE crowd_subjectstatus st
SET classifications_count = st.classifications_count + correction, updated_at = now()
FROM wanted, projects_workflow w
WHERE st.workflow_id = %(workflow)s AND st.subject_id = %(subject)s AND correction <> 0 AND w.id = st.workflow_id
RETURNING st.id, correction, st.classifications_count, st.state, st.retirement_reason, w.retirement
"""

CHANGE = """
WITH history AS (
    INSERT INTO crowd_statuschange (status_id, before, after, cause, reason, classifications_count)
    VALUES (%(status)s, %(before)s, %(state)s, 'submission', %(reason)s, %(count)s)
)
UPDATE crowd_subjectstatus SET state = %(state)s, retirement_reason = %(reason)s, updated_at = now(),
    retired_at = CASE WHEN %(retires)s THEN now() END, retirement_cause = CASE WHEN %(retires)s THEN 'rule' ELSE '' END,
    retired_count = CASE WHEN %(retires)s THEN %(count)s END,
    retired_epoch_number = NULL, retired_answer = NULL, retired_probability = NULL
WHERE id = %(status)s
"""


@transaction.atomic
def record_as_panoptes(submission: Submission, *, live: bool) -> Recorded:
    """Store one submission exactly once, as `record_classification` does, and count it as Panoptes does.

    Args:
        submission: what was sent; also about a retired subject.
        live: whether the project is.

    Raises:
        EsocsError: as `record_classification`; nothing is stored then.
    """
    recorded = record_classification(replace(submission, settled_too=True))
    if not recorded.created:
        return recorded
    with connection.cursor() as cursor:
        cursor.execute(
            CORRECT,
            {
                "id": recorded.id,
                "workflow": submission.workflow_id,
                "subject": submission.subject_id,
                "volunteer": submission.volunteer_id,
                "live": live,
                "anonymous": submission.user_id is None,
                "counted": recorded.counted,
            },
        )
        row = cursor.fetchone()
        return recorded if row is None else replace(recorded, retired=_decide_again(cursor, *row))


def _decide_again(
    cursor: Any, status_id: int, correction: int, count: int, state: str, reason: str, retirement: Any
) -> bool:
    """What the corrected count makes of a criterion that counts. Returns whether the subject is retired by now."""
    criterion = json.loads(retirement) if isinstance(retirement, str) else retirement
    if (criterion or {}).get("criteria", "classification_count") != "classification_count":
        return state == "retired"
    decision = decide(criterion=criterion, n=count)
    retires = decision.state == "retired" and state != "retired"
    # What was not to count had been counted: it alone can have retired the subject.
    opens = correction < 0 and state == "retired" and reason == "classification_count" and decision.state != "retired"
    if retires or opens:
        after = "retired" if retires else "open"
        cursor.execute(
            CHANGE,
            {
                "status": status_id,
                "before": state,
                "state": after,
                "reason": decision.reason if retires else "",
                "count": count,
                "retires": retires,
            },
        )
        return retires
    return state == "retired"
