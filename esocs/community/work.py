"""A volunteer's votes at work: how the subjects they saw came out, and what the network learned from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import Count, F, Prefetch, Q
from django.db.models.functions import TruncDate

from esocs.community.rules import count_streak
from esocs.crowd.models import Answer, Classification, SubjectStatus
from esocs.projects.models import Media, Project, Subject, Workflow
from esocs.projects.rules import answer_labels
from esocs.training.models import Comparison, TrainingSetItem

SHOWN_AT_ONCE = 24
# Somebody who comes daily for years is counted no further back.
MOST_DAYS = 400


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What a volunteer did in a project.

    Attributes:
        classifications: all that were stored, gold and repeats included.
        subjects: different ones that they were counted on.
        settled: of these, the ones that need no more votes.
        today: classifications of this UTC day.
        days: on how many days they were here, of the latest `MOST_DAYS`.
        streak: how many in a row, up to today or yesterday.
    """

    classifications: int
    subjects: int
    settled: int
    today: int
    days: int
    streak: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One classification and what became of its subject.

    Attributes:
        given: the label they chose for the first question; empty where it has no answers.
        settled: the label that was settled on; empty while it is open or cannot be told.
        state: of the subject in the workflow: open, retired, contested, or empty where it is not asked about any more.
        people: how many volunteers were counted.
        agrees: whether both labels are the same; None where one is missing.
    """

    classification_id: int
    subject: Subject
    picture: Media | None
    workflow: Workflow
    given: str
    settled: str
    state: str
    people: int
    at: datetime

    @property
    def agrees(self) -> bool | None:
        return self.given == self.settled if self.given and self.settled else None


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """A network that was trained on subjects which the volunteer helped to settle.

    Attributes:
        subjects: how many of them.
        trained_on: how many it was trained on in all.
        errors: it made on the blind sample.
        errors_before: the network it was compared with made; None of a first network.
        blind: size of that sample.
    """

    workflow: Workflow
    number: int
    promoted: bool
    subjects: int
    trained_on: int
    errors: int
    errors_before: int | None
    blind: int


def count_work(*, volunteer_id: int, project: Project, today: date) -> Tally:
    """What a volunteer did in a project so far; `today` in UTC."""
    rows = Classification.objects.filter(volunteer_id=volunteer_id, workflow__project=project)
    of_days = rows.annotate(day=TruncDate("created_at")).values("day").annotate(n=Count("id")).order_by("-day")
    days = {row["day"]: row["n"] for row in of_days[:MOST_DAYS]}
    counted = rows.filter(counted=True)
    settled = SubjectStatus.objects.filter(
        state=SubjectStatus.State.RETIRED,
        workflow__project=project,
        workflow__classifications__volunteer_id=volunteer_id,
        workflow__classifications__counted=True,
        workflow__classifications__subject_id=F("subject_id"),
    )
    return Tally(
        classifications=rows.count(),
        subjects=counted.values("subject_id").distinct().count(),
        settled=settled.count(),
        today=days.get(today, 0),
        days=len(days),
        streak=count_streak(list(days), today),
    )


def list_outcomes(
    *, volunteer_id: int, project: Project, before: int | None = None, limit: int = SHOWN_AT_ONCE
) -> list[Outcome]:
    """The volunteer's latest counted classifications and what became of them, newest first; four statements.

    Args:
        volunteer_id: whose.
        project: where.
        before: only classifications with a smaller id: the next page.
        limit: at most so many.
    """
    rows = Classification.objects.filter(volunteer_id=volunteer_id, workflow__project=project, counted=True)
    if before is not None:
        rows = rows.filter(id__lt=before)
    pictures = Media.objects.filter(role=Media.Role.LOCATION, pending=False).order_by("position")
    found = list(
        rows.select_related("workflow", "subject")
        .prefetch_related(
            Prefetch("subject__media", queryset=pictures, to_attr="pictures"),
            Prefetch("answers", queryset=Answer.objects.order_by("id"), to_attr="given"),
        )
        .order_by("-id")[:limit]
    )
    wanted = Q(pk__in=[])
    for row in found:
        wanted |= Q(workflow_id=row.workflow_id, subject_id=row.subject_id)
    statuses = {(s.workflow_id, s.subject_id): s for s in SubjectStatus.objects.filter(wanted)}
    return [_outcome(row, statuses.get((row.workflow_id, row.subject_id))) for row in found]


def _outcome(row: Classification, status: SubjectStatus | None) -> Outcome:
    labels = answer_labels(row.workflow.tasks, row.workflow.strings, row.workflow.first_task)
    given = next((a.answer for a in row.given if a.task_key == row.workflow.first_task), None)  # type: ignore[attr-defined]
    settled = status.retired_answer if status and status.state == SubjectStatus.State.RETIRED else None
    pictures: list[Media] = row.subject.pictures  # type: ignore[attr-defined]
    return Outcome(
        classification_id=row.pk,
        subject=row.subject,
        picture=next((m for m in pictures if m.media_type.startswith("image/")), None),
        workflow=row.workflow,
        given=_label(labels, given),
        settled=_label(labels, settled),
        state=status.state if status else "",
        people=status.classifications_count if status else 0,
        at=row.created_at,
    )


def _label(labels: Sequence[str], answer: int | None) -> str:
    return labels[answer] if answer is not None and 0 <= answer < len(labels) else ""


def list_lessons(*, volunteer_id: int, project: Project, limit: int = 5) -> list[Lesson]:
    """The latest compared networks that learned from subjects which the volunteer was counted on, newest first."""
    compared = Comparison.objects.filter(challenger__workflow__project=project).order_by("-id")
    compared = compared.select_related("challenger__workflow", "challenger__training_run")
    lessons = []
    for one in compared[:20]:
        run = getattr(one.challenger, "training_run", None)
        if run is None:
            continue
        items = TrainingSetItem.objects.filter(
            training_set_id=run.training_set_id, source=TrainingSetItem.Source.CONSENSUS
        )
        mine = Classification.objects.filter(
            volunteer_id=volunteer_id, counted=True, workflow=one.challenger.workflow_id
        )
        n = items.filter(subject__in=mine.values("subject_id")).count()
        if n:
            lessons.append(
                Lesson(
                    workflow=one.challenger.workflow,
                    number=one.challenger.number,
                    promoted=one.verdict == Comparison.Verdict.PROMOTED,
                    subjects=n,
                    trained_on=TrainingSetItem.objects.filter(training_set_id=run.training_set_id).count(),
                    errors=one.challenger_errors,
                    errors_before=one.champion_errors,
                    blind=one.blind_subjects,
                )
            )
        if len(lessons) == limit:
            break
    return lessons
