"""Deriving: classifications are extracted, their subjects reduced, the rules followed; in the background.

`Underived` rows say for whom; a submission writes one in its own transaction. A piece is read and written under the
lock of the workflow's `CaesarWorkflow` row, so that two jobs never overtake each other, and whatever is derived of a
subject is made of all its rows: done twice, or in another order, it is the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from django.db import connection, transaction

from esocs.accounts.models import User
from esocs.crowd.caesar.extracting import write_extracts
from esocs.crowd.caesar.matching import follow_subject_rules, follow_user_rules
from esocs.crowd.caesar.reducing import reduce_subjects, reduce_users
from esocs.crowd.models import CaesarWorkflow, Classification, Underived
from esocs.jobs.services import enqueue
from esocs.projects.models import Workflow

log = logging.getLogger(__name__)

JOB = "crowd.derive"
SUBJECTS_AT_ONCE = 200
ROWS_AT_ONCE = 2_000


@dataclass
class Piece:
    """Some subjects of a workflow that are derived together.

    Attributes:
        workflow: theirs.
        subject_ids: in ascending order.
        answered: those with a new classification.
        reconsidered: those for which a rule was changed.
        user_ids: volunteers whose reductions may have changed.
        rows: ids of the `Underived` rows that are done with it.
    """

    workflow: Workflow
    subject_ids: list[int] = field(default_factory=list)
    answered: set[int] = field(default_factory=set)
    reconsidered: set[int] = field(default_factory=set)
    user_ids: set[int] = field(default_factory=set)
    rows: list[int] = field(default_factory=list)


def list_workflows_to_derive() -> list[int]:
    """Active workflows with subjects that wait."""
    waiting = CaesarWorkflow.objects.filter(status=CaesarWorkflow.Status.ACTIVE)
    return list(waiting.filter(workflow__in=Underived.objects.values("workflow")).values_list("workflow_id", flat=True))


def derive_workflow(workflow_id: int) -> Callable[[], None]:
    """The effect that derives some hundred of a workflow's waiting subjects, and orders the next."""

    def write() -> None:
        setting = lock_workflow(workflow_id)
        if setting is None or setting.status != CaesarWorkflow.Status.ACTIVE:
            return
        piece = _next_piece(setting.workflow)
        if not piece.rows:
            return
        derive(setting, piece)
        Underived.objects.filter(pk__in=piece.rows).delete()
        if Underived.objects.filter(workflow=workflow_id).exists():
            enqueue(JOB, key=f"workflow/{workflow_id}/after/{piece.rows[-1]}", payload={"workflow_id": workflow_id})

    return write


def lock_workflow(workflow_id: int) -> CaesarWorkflow | None:
    """The workflow's row, locked until the end of the transaction; None where Caesar does not know it."""
    rows = CaesarWorkflow.objects.select_for_update(of=("self",)).select_related("workflow")
    return rows.filter(pk=workflow_id).first()


def _next_piece(workflow: Workflow) -> Piece:
    piece = Piece(workflow)
    subjects: set[int] = set()
    waiting = Underived.objects.filter(workflow=workflow).order_by("id")
    columns = ("id", "subject_id", "classification_id", "reconsider", "classification__volunteer__user_id")
    for row_id, subject_id, classification_id, reconsider, user_id in waiting.values_list(*columns)[:ROWS_AT_ONCE]:
        if subject_id not in subjects and len(subjects) == SUBJECTS_AT_ONCE:
            break
        subjects.add(subject_id)
        piece.rows.append(row_id)
        if classification_id is not None:
            piece.answered.add(subject_id)
        if reconsider:
            piece.reconsidered.add(subject_id)
        if user_id is not None:
            piece.user_ids.add(user_id)
    piece.subject_ids = sorted(subjects)
    changed = subjects - piece.answered
    users = Classification.objects.filter(workflow=workflow, subject__in=changed, volunteer__user__isnull=False)
    piece.user_ids |= set(users.values_list("volunteer__user_id", flat=True).distinct())
    return piece


def derive(setting: CaesarWorkflow, piece: Piece) -> None:
    """Extract, reduce and follow the rules for a piece. The caller holds the setting's lock."""
    write_extracts(piece.workflow, piece.subject_ids)
    reduce_subjects(piece.workflow, piece.subject_ids)
    follow_subject_rules(setting, piece.subject_ids, answered=piece.answered, reconsidered=piece.reconsidered)
    user_ids = sorted(User.objects.filter(pk__in=piece.user_ids).values_list("pk", flat=True))
    reduce_users(piece.workflow, user_ids)
    follow_user_rules(setting, user_ids)


ORDER_ALL = """
INSERT INTO crowd_underived (workflow_id, subject_id, classification_id, reconsider)
SELECT %(workflow)s, known.subject_id, NULL, %(reconsider)s
FROM (
    SELECT c.subject_id FROM crowd_classification c WHERE c.workflow_id = %(workflow)s
    UNION
    SELECT e.subject_id FROM crowd_extract e JOIN crowd_extractor x ON x.id = e.extractor_id
    WHERE x.workflow_id = %(workflow)s
    UNION
    SELECT m.subject_id FROM crowd_subjectrulematch m JOIN crowd_subjectrule r ON r.id = m.rule_id
    WHERE r.workflow_id = %(workflow)s
) known
ORDER BY known.subject_id
"""


@transaction.atomic
def order_all(workflow_id: int, *, reconsider: bool = False) -> None:
    """Have every subject of which something is known derived anew: what it is derived by has changed."""
    with connection.cursor() as cursor:
        cursor.execute(ORDER_ALL, {"workflow": workflow_id, "reconsider": reconsider})


def order_subjects(workflow_id: int, subject_ids: Sequence[int]) -> None:
    """Have these subjects derived anew."""
    rows = [Underived(workflow_id=workflow_id, subject_id=pk) for pk in subject_ids]
    Underived.objects.bulk_create(rows, batch_size=2_000)
