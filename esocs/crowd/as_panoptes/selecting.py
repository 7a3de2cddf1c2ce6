"""The subjects that Panoptes would select, with what it says of each. Nothing is reserved: many may be asked at once.

Three steps, as there: what the streams draw (`normal`); if that is nothing, whatever is open and unseen
(`internal_fallback`); if the workflow is finished or the volunteer has seen all of it, any of its subjects
(`failover_fallback`), retired and seen ones included.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from esocs.crowd.as_panoptes.mixture import Mixture
from esocs.crowd.errors import NothingToSelectError
from esocs.crowd.functions import RESERVED_FOR
from esocs.crowd.standing import Standing, list_standing
from esocs.projects.models import Collection, Workflow

MOST_AT_ONCE = 100

NORMAL, INTERNAL, FAILOVER = "normal", "internal_fallback", "failover_fallback"

# An anonymous volunteer has no list of what they have seen, in Panoptes.
UNSEEN = """ AND NOT EXISTS (SELECT 1 FROM crowd_classification c WHERE c.volunteer_id = %(volunteer)s
    AND c.workflow_id = %(workflow)s AND c.subject_id = m.subject_id OFFSET 0)"""
NOT_RECENT = """ AND NOT EXISTS (SELECT 1 FROM crowd_assignment a WHERE a.status_id = st.id
    AND a.volunteer_id = %(volunteer)s AND a.expires_at > now() OFFSET 0)"""
OPEN = " AND st.state <> 'retired'"

# By chance: from a random place of the sets' random order on, then from its beginning.
FROM_A_PLACE, BEFORE_IT = " AND m.random >= %(start)s", " AND m.random < %(start)s"

CHOOSE = """
SELECT x.subject_id, x.status_id FROM unnest(%(sets)s::bigint[]) AS one(id) CROSS JOIN LATERAL (
    SELECT m.subject_id, st.id AS status_id, m.priority, m.random
    FROM projects_setmembersubject m
    JOIN crowd_subjectstatus st ON st.subject_id = m.subject_id AND st.workflow_id = %(workflow)s
    WHERE m.subject_set_id = one.id AND m.subject_id <> ALL(%(chosen)s::bigint[]){conditions}
    ORDER BY {order} LIMIT %(limit)s
) x ORDER BY {order}
"""

REMEMBER = """
INSERT INTO crowd_assignment (status_id, volunteer_id, expires_at)
SELECT id, %(volunteer)s, now() + %(reserved)s::interval FROM unnest(%(statuses)s::bigint[]) AS id
ON CONFLICT (status_id, volunteer_id) DO UPDATE SET expires_at = EXCLUDED.expires_at, served_at = now()
"""


@dataclass(frozen=True, kw_only=True)
class Selected:
    """A subject as Panoptes selects it for somebody."""

    subject_id: int
    standing: Standing
    favorite: bool
    selection_state: str
    selected_at: datetime


def select_subjects(
    *,
    workflow_id: int,
    volunteer_id: int,
    user_id: int | None,
    limit: int,
    subject_set_id: int | None = None,
    rng: random.Random | None = None,
) -> list[Selected]:
    """The next subjects of a volunteer, as Panoptes selects them; never empty.

    Args:
        workflow_id: of the project's.
        volunteer_id: who will answer.
        user_id: their account; None: anonymous, of whom Panoptes knows nothing.
        limit: at most 100.
        subject_set_id: only from this set, of a grouped workflow.
        rng: where chance comes from.

    Raises:
        NothingToSelectError: the workflow has no subject set, or its sets have no subjects that were published.
    """
    rng = rng or random.Random()  # noqa: S311 - no secret depends on it
    workflow = Workflow.objects.get(pk=workflow_id)
    sample = _Sample(workflow, volunteer_id=volunteer_id, user_id=user_id, subject_set_id=subject_set_id, rng=rng)
    limit = min(limit, MOST_AT_ONCE)
    state, found = NORMAL, sample.by_streams(limit)
    if not found:
        state, found = INTERNAL, sample.take(sample.mixture.ordinary, limit, OPEN + sample.unseen)
    if not found:
        state, found = FAILOVER, sample.take(sample.mixture.sets, limit, "")
        rng.shuffle(found)
    if not found:
        raise NothingToSelectError(
            "No data available for selection.", hint="Link a subject set with subjects to this workflow."
        )
    return _describe(found, state, workflow_id=workflow_id, volunteer_id=volunteer_id, user_id=user_id)


class _Sample:
    """Subjects taken from a workflow's sets, none twice."""

    def __init__(
        self,
        workflow: Workflow,
        *,
        volunteer_id: int,
        user_id: int | None,
        subject_set_id: int | None,
        rng: random.Random,
    ) -> None:
        self.mixture = Mixture(workflow, volunteer_id=volunteer_id, user_id=user_id, subject_set_id=subject_set_id)
        self.unseen = UNSEEN if user_id is not None else ""
        self._workflow, self._volunteer_id, self._rng = workflow, volunteer_id, rng

    def by_streams(self, limit: int) -> list[tuple[int, int]]:
        """What the streams draw; where a set has too few, the ordinary sets make up for it."""
        conditions = OPEN + self.unseen + NOT_RECENT
        drawn = self.mixture.draw(limit, rng=self._rng)
        found: list[tuple[int, int]] = []
        for subject_set_id, n in drawn.items():
            found += self.take([subject_set_id], n, conditions, without=found)
        if len(found) < limit:
            found += self.take(self.mixture.ordinary, limit - len(found), conditions, without=found)
        if not self._workflow.prioritized:
            self._rng.shuffle(found)
        return found

    def take(
        self, sets: Sequence[int], limit: int, conditions: str, *, without: Sequence[tuple[int, int]] = ()
    ) -> list[tuple[int, int]]:
        """Subjects and their statuses' ids, in the workflow's order."""
        parameters: dict[str, Any] = {
            "workflow": self._workflow.pk,
            "volunteer": self._volunteer_id,
            "sets": list(sets),
            "start": self._rng.random(),
            "limit": limit,
        }
        prioritized = self._workflow.prioritized
        order = "priority NULLS LAST, random" if prioritized else "random"
        found: dict[int, int] = {}  # a subject of two sets is selected once
        for part in ("",) if prioritized else (FROM_A_PLACE, BEFORE_IT):
            chosen = [*found, *(subject_id for subject_id, _ in without)]
            with connection.cursor() as cursor:
                statement = CHOOSE.format(order=order, conditions=conditions + part)
                cursor.execute(statement, {**parameters, "chosen": chosen})
                found |= dict(cursor.fetchall())
            if len(found) >= limit:
                break
        return list(found.items())[:limit]


def _describe(
    found: Sequence[tuple[int, int]], state: str, *, workflow_id: int, volunteer_id: int, user_id: int | None
) -> list[Selected]:
    ids = [subject_id for subject_id, _ in found]
    with connection.cursor() as cursor:
        statuses = [status_id for _, status_id in found]
        cursor.execute(REMEMBER, {"volunteer": volunteer_id, "reserved": RESERVED_FOR, "statuses": statuses})
        cursor.execute("SELECT now()")
        [selected_at] = cursor.fetchone()
    known = volunteer_id if user_id is not None else None
    standing = list_standing(workflow_id=workflow_id, subject_ids=ids, volunteer_id=known)
    favorites = Collection.objects.filter(owner=user_id, favorite=True, subjects__in=ids) if user_id else None
    favorite = set(favorites.values_list("subjects", flat=True)) if favorites is not None else set()
    return [
        Selected(
            subject_id=pk,
            standing=standing[pk],
            favorite=pk in favorite,
            selection_state=state,
            selected_at=selected_at,
        )
        for pk in ids
    ]
