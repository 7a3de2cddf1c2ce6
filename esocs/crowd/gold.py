"""An expert's answer becomes gold with its author; it settles what waited for an expert, and counts nowhere."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import connection

from esocs.crowd import rules
from esocs.crowd.facts import Facts
from esocs.crowd.live import Effects
from esocs.crowd.reading import ReadStatus
from esocs.projects.rules import Choice

COUNT_EXPERTS = """
SELECT count(DISTINCT c.volunteer_id) FROM crowd_classification c
WHERE c.workflow_id = %(workflow)s AND c.subject_id = %(subject)s AND c.gold_standard
    AND c.volunteer_id <> %(volunteer)s
"""

WRITE_GOLD = """
WITH gold AS (
    INSERT INTO crowd_goldstandard (workflow_id, subject_id, task_key, answer, author_id, classification_id)
    SELECT %(workflow)s::bigint, %(subject)s::bigint, x.task_key, x.answer, %(author)s::bigint,
        %(classification)s::bigint
    FROM unnest(%(today_tasks)s::text[], %(today_answers)s::int[]) AS x(task_key, answer)
    ON CONFLICT (workflow_id, subject_id, task_key) DO UPDATE SET answer = EXCLUDED.answer,
        author_id = EXCLUDED.author_id, classification_id = EXCLUDED.classification_id
), changed AS (
    INSERT INTO crowd_statuschange (status_id, before, after, cause, reason, epoch_number, classifications_count,
        answer, probability, author_id)
    SELECT %(status)s::bigint, %(before)s::text,
        CASE WHEN %(settles)s::boolean THEN 'retired' ELSE %(before)s::text END, 'expert', 'human',
        (SELECT e.number FROM crowd_skillepoch e WHERE e.id = %(epoch)s::bigint), %(count)s::int, %(leading)s::int, 1,
        %(author)s::bigint
    WHERE %(settles)s::boolean OR %(reviewed)s::boolean
)
UPDATE crowd_subjectstatus st
SET review = CASE WHEN %(decides)s::boolean THEN '' ELSE review END, updated_at = now(),
    state = CASE WHEN %(settles)s::boolean THEN 'retired' ELSE state END,
    retired_at = CASE WHEN %(settles)s::boolean THEN now() ELSE retired_at END,
    retirement_reason = CASE WHEN %(settles)s::boolean THEN 'human' ELSE retirement_reason END,
    retirement_cause = CASE WHEN %(settles)s::boolean THEN 'expert' ELSE retirement_cause END,
    retired_epoch_number = CASE WHEN %(settles)s::boolean
        THEN (SELECT e.number FROM crowd_skillepoch e WHERE e.id = %(epoch)s::bigint) ELSE retired_epoch_number END,
    retired_count = CASE WHEN %(settles)s::boolean THEN %(count)s::int ELSE retired_count END,
    retired_answer = CASE WHEN %(settles)s::boolean THEN %(leading)s::int ELSE retired_answer END,
    retired_probability = CASE WHEN %(settles)s::boolean THEN 1 ELSE retired_probability END
WHERE st.id = %(status)s::bigint
"""


def reckon_gold(
    status: ReadStatus,
    facts: Facts,
    *,
    today: list[Choice],
    asks_first: bool,
    volunteer_id: int,
    author_id: int | None,
) -> Effects:
    """What an expert's answer does.

    It retires a subject that is not retired yet and waited for an expert, or for which a rule says that so many experts
    are enough. A retired subject keeps what was known when it retired: certificates compare it with the gold.

    Args:
        status: the row as it was read.
        facts: of its workflow.
        today: what was answered, in today's indices.
        asks_first: whether the first task is a question; if so, only an answer to it settles the subject.
        volunteer_id: the expert as a volunteer.
        author_id: the expert's user.
    """
    where = {"workflow": facts.workflow_id, "subject": status.subject_id, "volunteer": volunteer_id}
    first = [choice.answer for choice in today if rules.task_of(choice.task_key) == facts.first_task]
    decides = bool(first) or not asks_first
    waited = status.audience == "experts" or status.review != ""
    fired = rules.Decision("open", "")
    if facts.rules and decides:
        # What only counts experts; the volunteers' own answers were weighed when they came.
        with connection.cursor() as cursor:
            cursor.execute(COUNT_EXPERTS, where)
            experts = cursor.fetchone()[0] + 1
        fired = rules.decide(criterion={"criteria": "never_retire"}, n=status.count, experts=experts, rules=facts.rules)
    settles = status.state != "retired" and decides and (waited or fired.state == "retired")
    parameters = {
        **where,
        "status": status.id,
        "author": author_id,
        "before": status.state,
        "settles": settles,
        "decides": decides,
        "reviewed": status.review != "" and decides,
        "epoch": status.epoch_id,
        "count": status.count,
        "leading": first[0] if first else None,
        "today_tasks": [choice.task_key for choice in today],
        "today_answers": [choice.answer for choice in today],
    }
    return Effects(
        retired=settles or status.state == "retired", decision=fired, afterwards=partial(_write_gold, parameters)
    )


def _write_gold(parameters: dict[str, Any], classification_id: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(WRITE_GOLD, {**parameters, "classification": classification_id})
