"""An expert's answer becomes gold with its author; it settles what waited for an expert, and counts nowhere."""

from __future__ import annotations

from typing import Any

from esocs.crowd import rules
from esocs.crowd.live import WRITE_ANSWERS, LockedStatus, order_effects
from esocs.projects.rules import Choice

COUNT_EXPERTS = """
SELECT count(DISTINCT c.volunteer_id) FROM crowd_classification c
WHERE c.workflow_id = %(workflow)s AND c.subject_id = %(subject)s AND c.gold_standard
"""

WRITE_GOLD = """, gold AS (
    INSERT INTO crowd_goldstandard (workflow_id, subject_id, task_key, answer, author_id, classification_id)
    SELECT %(workflow)s, %(subject)s, x.task_key, x.answer, %(author)s, %(classification)s
    FROM unnest(%(today_tasks)s::text[], %(today_answers)s::int[]) AS x(task_key, answer)
    ON CONFLICT (workflow_id, subject_id, task_key) DO UPDATE SET answer = EXCLUDED.answer,
        author_id = EXCLUDED.author_id, classification_id = EXCLUDED.classification_id
), changed AS (
    INSERT INTO crowd_statuschange (status_id, before, after, cause, reason, classifications_count, answer,
        probability, author_id)
    SELECT %(status)s, %(before)s, CASE WHEN %(settles)s THEN 'retired' ELSE %(before)s END, 'expert', 'human',
        %(count)s, %(answer)s, 1, %(author)s
    WHERE %(settles)s OR %(reviewed)s
)
UPDATE crowd_subjectstatus
SET review = '', updated_at = now(),
    state = CASE WHEN %(settles)s THEN 'retired' ELSE state END,
    retired_at = CASE WHEN %(settles)s THEN now() ELSE retired_at END,
    retirement_reason = CASE WHEN %(settles)s THEN 'human' ELSE retirement_reason END,
    retirement_cause = CASE WHEN %(settles)s THEN 'expert' ELSE retirement_cause END,
    retired_count = CASE WHEN %(settles)s THEN %(count)s ELSE retired_count END,
    retired_answer = CASE WHEN %(settles)s THEN %(answer)s::int ELSE retired_answer END,
    retired_probability = CASE WHEN %(settles)s THEN 1 ELSE retired_probability END
WHERE id = %(status)s"""


def write_gold(
    cursor: Any, status: LockedStatus, *, today: list[Choice], author_id: int | None, parameters: dict[str, Any]
) -> bool:
    """Write an expert's answer under the status's lock.

    It retires a subject that is not retired yet and waited for an expert, or for which a rule says that so many experts
    are enough. A retired subject keeps what was known when it retired: certificates compare it with the gold.

    Returns:
        Whether the subject is retired by now.
    """
    where = {"workflow": status.workflow_id, "subject": status.subject_id}
    waited = status.audience == "experts" or status.review != ""
    fired = rules.Decision("open", "")
    if status.rules and today:
        cursor.execute(COUNT_EXPERTS, where)
        # What only counts experts; the volunteers' own answers were weighed when they came.
        fired = rules.decide(
            criterion={"criteria": "never_retire"}, n=status.count, experts=cursor.fetchone()[0], rules=status.rules
        )
    settles = status.state != "retired" and bool(today) and (waited or fired.state == "retired")
    first = next((choice.answer for choice in today if choice.task_key == status.first_task), None)
    parameters |= where | {
        "author": author_id,
        "before": status.state,
        "settles": settles,
        "reviewed": status.review != "" and bool(today),
        "count": status.count,
        "answer": first,
        "today_tasks": [choice.task_key for choice in today],
        "today_answers": [choice.answer for choice in today],
    }
    cursor.execute(WRITE_ANSWERS + WRITE_GOLD, parameters)
    order_effects(fired, subject_id=status.subject_id)
    return settles or status.state == "retired"
