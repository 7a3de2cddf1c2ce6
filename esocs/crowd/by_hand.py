"""What a project's people do by hand: open uploaded subjects to volunteers, retire subjects, take that back."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet

from esocs.crowd.epochs import ensure_epoch
from esocs.crowd.errors import RetirementReasonError
from esocs.crowd.models import Classification, SubjectStatus
from esocs.crowd.practice import list_training_subjects
from esocs.crowd.rule_templates import RENAMED_REASONS, RETIREMENT_REASONS
from esocs.projects.editing import InUseError, delete_unused
from esocs.projects.media import forget_files
from esocs.projects.models import Media, Project, Subject, Workflow
from esocs.projects.subjects import lowest_priorities

# Behind all that have a place, and still a number that JSON can write.
LAST_PLACE = 1e300

RETIRE = """
WITH chosen AS (
    SELECT id, state FROM crowd_subjectstatus
    WHERE workflow_id = %(workflow)s AND subject_id = ANY(%(subjects)s) AND state <> 'retired'
    ORDER BY id FOR UPDATE
), history AS (
    INSERT INTO crowd_statuschange (status_id, before, after, cause, reason, classifications_count, author_id)
    SELECT st.id, st.state, 'retired', 'person', %(reason)s, st.classifications_count, %(author)s
    FROM crowd_subjectstatus st JOIN chosen ON chosen.id = st.id
)
UPDATE crowd_subjectstatus st SET state = 'retired', retired_at = now(), retirement_reason = %(reason)s,
    retirement_cause = 'person', retired_count = st.classifications_count, updated_at = now(), review = ''
FROM chosen WHERE chosen.id = st.id
"""

REOPEN = """
WITH chosen AS (
    SELECT id, state FROM crowd_subjectstatus
    WHERE workflow_id = %(workflow)s AND subject_id = ANY(%(subjects)s) AND state = 'retired'
    ORDER BY id FOR UPDATE
), history AS (
    INSERT INTO crowd_statuschange (status_id, before, after, cause, reason, classifications_count, author_id)
    SELECT st.id, 'retired', 'open', 'person', '', st.classifications_count, %(author)s
    FROM crowd_subjectstatus st JOIN chosen ON chosen.id = st.id
)
UPDATE crowd_subjectstatus st SET state = 'open', retired_at = NULL, retirement_reason = '',
    retirement_cause = 'person', retired_epoch_number = NULL, retired_count = NULL, retired_answer = NULL,
    retired_probability = NULL, review = '', updated_at = now(),
    -- Volunteers answer on; what experts alone were ever asked stays with them.
    audience = CASE WHEN st.classifications_count > 0 THEN 'volunteers' ELSE st.audience END
FROM chosen WHERE chosen.id = st.id
"""


def open_subjects(subject_ids: Sequence[int]) -> int:
    """Open uploaded subjects in every workflow whose sets they are in, as soon as all their files are there.

    Subjects out of the archive are opened by their routes instead: the machine looks at them first.

    Returns:
        How many places in workflows are new.
    """
    waiting = Media.objects.filter(subject=OuterRef("pk"), pending=True)
    ready = Subject.objects.filter(~Exists(waiting), pk__in=subject_ids, plane__isnull=True)
    workflows = Workflow.objects.filter(subject_sets__members__subject__in=ready).distinct().order_by("id")
    return sum(_open(workflow, ready) for workflow in workflows)


@transaction.atomic
def _open(workflow: Workflow, ready: QuerySet[Subject]) -> int:
    known = SubjectStatus.objects.filter(workflow=workflow, subject=OuterRef("pk"))
    ids = list(
        ready.filter(~Exists(known), set_members__subject_set__workflows=workflow)
        .distinct()
        .order_by("id")
        .values_list("id", flat=True)
    )
    if not ids:
        return 0
    start = ensure_epoch(workflow)
    places = lowest_priorities(ids, workflow_id=workflow.pk) if workflow.prioritized else {}
    training = list_training_subjects(workflow, ids)
    without_place = LAST_PLACE if workflow.prioritized else 0.0
    SubjectStatus.objects.bulk_create(
        [
            SubjectStatus(
                workflow=workflow,
                subject_id=pk,
                epoch_id=start.epoch_id,
                priority=places.get(pk, without_place),
                training=pk in training,
            )
            for pk in ids
        ],
        ignore_conflicts=True,
        batch_size=2000,
    )
    return len(ids)


def open_sets(workflow: Workflow) -> int:
    """Open the uploaded subjects of all of a workflow's sets. Returns how many are new."""
    return _open(
        workflow,
        Subject.objects.filter(~Exists(Media.objects.filter(subject=OuterRef("pk"), pending=True)), plane__isnull=True),
    )


def order_by_priority(workflow: Workflow) -> None:
    """Put the uploaded subjects of a workflow in its order: by `#priority` where it is prioritized, else by chance."""
    uploaded = SubjectStatus.objects.filter(workflow=workflow, subject__plane__isnull=True)
    if not workflow.prioritized:
        uploaded.update(priority=0.0)
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE crowd_subjectstatus st SET priority = COALESCE((
                SELECT min(m.priority) FROM projects_setmembersubject m
                JOIN projects_workflow_subject_sets l ON l.subjectset_id = m.subject_set_id
                WHERE m.subject_id = st.subject_id AND l.workflow_id = st.workflow_id), %s)
            FROM projects_subject s WHERE s.id = st.subject_id AND s.plane_id IS NULL AND st.workflow_id = %s""",
            [LAST_PLACE, workflow.pk],
        )


@transaction.atomic
def retire_subjects(
    *, workflow: Workflow, subject_ids: Sequence[int], reason: str = "other", author_id: int | None = None
) -> int:
    """Retire subjects of a workflow. Those that are not its own, and those that are retired, are passed over.

    Returns:
        How many retired now.

    Raises:
        RetirementReasonError: Panoptes knows no such reason.
    """
    reason = RENAMED_REASONS.get(reason, reason)
    if reason not in RETIREMENT_REASONS:
        raise RetirementReasonError(
            f"{reason[:40]!r} is no reason to retire a subject.", hint=f"Use {', '.join(RETIREMENT_REASONS)}."
        )
    ensure_statuses(workflow, subject_ids)
    return _execute(RETIRE, workflow, subject_ids, author_id, reason=reason)


def ensure_statuses(workflow: Workflow, subject_ids: Sequence[int]) -> None:
    """Give subjects of the workflow's sets a row that can be retired.

    A subject that was never open is retired all the same: its row keeps it from being opened later.
    """
    own = Subject.objects.filter(set_members__subject_set__workflows=workflow, pk__in=subject_ids).distinct()
    start = ensure_epoch(workflow)
    SubjectStatus.objects.bulk_create(
        [SubjectStatus(workflow=workflow, subject=subject, epoch_id=start.epoch_id) for subject in own],
        ignore_conflicts=True,
    )


@transaction.atomic
def reopen_subjects(*, workflow: Workflow, subject_ids: Sequence[int], author_id: int | None = None) -> int:
    """Take a retirement back, whoever or whatever decided it. The next answer may retire the subject anew.

    Returns:
        How many are open again.
    """
    return _execute(REOPEN, workflow, subject_ids, author_id)


def reopen_sets(*, workflow: Workflow, subject_set_ids: Sequence[int], author_id: int | None = None) -> int:
    """The same for all subjects of the workflow's sets that are named."""
    members = Subject.objects.filter(
        set_members__subject_set__in=subject_set_ids, set_members__subject_set__workflows=workflow
    )
    ids = list(members.distinct().values_list("id", flat=True))
    return reopen_subjects(workflow=workflow, subject_ids=ids, author_id=author_id)


def _execute(
    statement: str, workflow: Workflow, subject_ids: Sequence[int], author_id: int | None, *, reason: str = ""
) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            statement,
            {"workflow": workflow.pk, "subjects": list(subject_ids), "reason": reason, "author": author_id},
        )
        return int(cursor.rowcount)


@transaction.atomic
def delete_workflow(workflow: Workflow) -> None:
    """Delete a workflow that nobody has answered.

    Raises:
        InUseError: it has classifications, or a machine learns from it.
    """
    _withdraw([workflow.pk])
    delete_unused(workflow)


@transaction.atomic
def delete_project(project: Project) -> None:
    """Delete a project that nobody has answered, with all that is in it.

    Raises:
        InUseError: it has classifications, or a machine learns from it.
    """
    _withdraw(list(project.workflows.values_list("id", flat=True)))
    forget_files(Media.objects.filter(subject__project=project))
    delete_unused(project)


def _withdraw(workflow_ids: list[int]) -> None:
    """Forget the subjects' way through workflows, so that nothing protects these any more but people's answers."""
    answered = Classification.objects.filter(workflow__in=workflow_ids).count()
    if answered:
        raise InUseError(
            f"{answered:,} classifications are about it; they are kept.",
            hint="Close it instead: a workflow by active=false, a project by private=true.",
        )
    SubjectStatus.objects.filter(workflow__in=workflow_ids).delete()
