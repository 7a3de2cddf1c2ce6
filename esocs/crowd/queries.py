"""Reads of the crowd room: results for scientists, counted from the rows, and progress for everybody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, Prefetch, Q, QuerySet
from django.db.models.functions import Now

from esocs.crowd import posterior
from esocs.crowd.models import (
    Answer,
    Assignment,
    Classification,
    Consensus,
    GoldStandard,
    RetirementSetting,
    Skill,
    SkillEpoch,
    StatusChange,
    SubjectStatus,
    TaskSummary,
)
from esocs.machine.models import Prediction, Route
from esocs.machine.queries import policy_in_force
from esocs.projects.models import Media, Subject, Workflow
from esocs.projects.rules import answer_labels, list_questions, question_label


@dataclass(frozen=True, kw_only=True)
class WorkflowSummary:
    """How far a workflow is."""

    subjects: int
    published: int
    open: int
    retired: int
    contested: int
    waiting_for_experts: int
    classifications: int
    volunteers: int
    flagged: int
    routes: dict[str, int] = field(default_factory=dict)

    @property
    def completeness(self) -> float:
        """Share of the published subjects that need nobody any more, in [0, 1]."""
        return self.retired / self.published if self.published else 0.0


def current_epoch_number(workflow: Workflow) -> int:
    """0 before anything was published."""
    epoch = SkillEpoch.objects.filter(workflow=workflow, current=True).values_list("number", flat=True).first()
    return epoch or 0


def summarise_workflow(workflow: Workflow) -> WorkflowSummary:
    """The numbers of a workflow, counted from the rows; gold and repeats are not counted."""
    statuses = SubjectStatus.objects.filter(workflow=workflow)
    experts = Q(audience=SubjectStatus.Audience.EXPERTS)
    counts = statuses.aggregate(
        published=Count("id", filter=~experts),
        open=Count("id", filter=Q(state="open") & ~experts),
        retired=Count("id", filter=Q(state="retired") & ~experts),
        contested=Count("id", filter=Q(state="contested")),
        waiting=Count("id", filter=Q(state="open") & experts),
    )
    classified = Classification.objects.filter(workflow=workflow, counted=True).aggregate(
        n=Count("id"), volunteers=Count("volunteer", distinct=True)
    )
    return WorkflowSummary(
        subjects=Subject.objects.filter(set_members__subject_set__workflows=workflow).distinct().count(),
        published=counts["published"],
        open=counts["open"],
        retired=counts["retired"],
        contested=counts["contested"],
        waiting_for_experts=counts["waiting"],
        classifications=classified["n"],
        volunteers=classified["volunteers"],
        flagged=Consensus.objects.filter(status__workflow=workflow, flagged=True).count(),
        routes=count_current_routes(workflow),
    )


def count_settled(workflow: Workflow) -> dict[int, int]:
    """How many settled subjects each answer of the first task has."""
    settled = Consensus.objects.filter(
        status__workflow=workflow, status__state=SubjectStatus.State.RETIRED, task_key=workflow.first_task
    )
    return dict(settled.order_by().values_list("answer").annotate(n=Count("id")))


def count_progress(workflow: Workflow) -> tuple[int, int]:
    """How many subjects people are asked about, and how many of these are settled."""
    counts = SubjectStatus.objects.filter(workflow=workflow).aggregate(
        asked=Count("id"), settled=Count("id", filter=~Q(state="open"))
    )
    return counts["asked"], counts["settled"]


def count_current_routes(workflow: Workflow) -> dict[str, int]:
    """Where the policy in force sends the workflow's subjects."""
    policy = current_policy_id(workflow)
    if policy is None:
        return {}
    rows = Route.objects.filter(policy_id=policy).values_list("decision").annotate(n=Count("id")).order_by()
    return dict(rows)


def current_policy_id(workflow: Workflow) -> int | None:
    """The policy in force (`machine.queries.policy_in_force`)."""
    policy = policy_in_force(workflow)
    return policy.pk if policy else None


def list_status_ids(
    workflow: Workflow,
    *,
    after: int,
    limit: int,
    state: str = "",
    answer: int | None = None,
    decision: str = "",
    flagged: bool = False,
    subject_id: int | None = None,
) -> list[int]:
    """The ids of published subjects after one of them: a page's worth, from an index that has this order.

    Selected with all that a line shows, PostgreSQL joins first and sorts then, a million rows for each page.
    """
    rows: QuerySet[Any] = SubjectStatus.objects.filter(workflow=workflow, pk__gt=after)
    name, at = "pk", ""
    if answer is not None or flagged:
        found = Consensus.objects.filter(status__workflow=workflow, status__gt=after)
        found = found.filter(flagged=True) if flagged else found
        found = found.filter(task_key=workflow.first_task, answer=answer) if answer is not None else found
        rows, name, at = found, "status_id", "status__"
    if state:
        rows = rows.filter(**{f"{at}state": state})
    if decision:
        rows = rows.filter(**{f"{at}route__decision": decision})
    if subject_id is not None:
        rows = rows.filter(**{f"{at}subject": subject_id})
    # Of several questions several rows may say the same.
    return list(rows.order_by(name).values_list(name, flat=True).distinct()[:limit])


def with_results(rows: QuerySet[SubjectStatus]) -> QuerySet[SubjectStatus]:
    """The statuses with all that a line of a table shows.

    Each row carries `consensus_rows`, `pictures` (prefetched lists), `route` and `subject.plane.product`.
    """
    return rows.select_related("subject__plane__product", "route__prediction__model_version").prefetch_related(
        Prefetch("consensus", to_attr="consensus_rows"),
        Prefetch("subject__media", queryset=Media.objects.filter(role=Media.Role.LOCATION), to_attr="pictures"),
    )


def list_accepted(workflow: Workflow, *, answer: int | None = None) -> QuerySet[Route]:
    """What the machine answered alone, under the policy in force."""
    rows = Route.objects.filter(policy_id=current_policy_id(workflow), decision=Route.Decision.ACCEPT)
    if answer is not None:
        rows = rows.filter(answer=answer)
    return rows.select_related("prediction__subject__plane__product").order_by("-score")


@dataclass(frozen=True, kw_only=True)
class Vote:
    """One classification as scientists read it."""

    classification_id: int
    volunteer: str
    answers: dict[str, str]
    created_at: datetime
    counted: bool
    gold_standard: bool


@dataclass(frozen=True, kw_only=True)
class SubjectResult:
    """Everything known about one subject in one workflow."""

    subject: Subject
    workflow: Workflow
    status: SubjectStatus | None
    question: str
    labels: list[str]
    consensus: Consensus | None
    votes: list[Vote]
    predictions: list[Prediction]
    routes: list[Route]
    gold: list[GoldStandard]
    changes: list[StatusChange]
    summaries: list[TaskSummary]
    pictures: list[Media]
    spectrum_data: Media | None


def get_subject_result(workflow: Workflow, subject_id: int) -> SubjectResult | None:
    """One subject with its votes, consensus, predictions, routes and gold; None when the workflow does not have it."""
    members = Subject.objects.filter(set_members__subject_set__workflows=workflow, pk=subject_id)
    subject = members.select_related("plane__product__batch", "plane__shard").first()
    if subject is None:
        return None
    status = SubjectStatus.objects.filter(workflow=workflow, subject=subject).select_related("epoch").first()
    consensus = Consensus.objects.filter(status=status, task_key=workflow.first_task).first() if status else None
    media = list(Media.objects.filter(subject=subject).order_by("position"))
    predictions = Prediction.objects.filter(subject=subject, model_version__workflow=workflow)
    routes = Route.objects.filter(prediction__subject=subject, policy__model_version__workflow=workflow)
    return SubjectResult(
        subject=subject,
        workflow=workflow,
        status=status,
        question=question_label(workflow.tasks, workflow.strings, workflow.first_task),
        labels=answer_labels(workflow.tasks, workflow.strings, workflow.first_task),
        consensus=consensus,
        votes=list_votes(workflow, subject_id),
        predictions=list(predictions.select_related("model_version").defer("embedding").order_by("-id")),
        routes=list(routes.select_related("policy__model_version").order_by("-id")),
        gold=list(GoldStandard.objects.filter(workflow=workflow, subject=subject).select_related("author")),
        changes=list(StatusChange.objects.filter(status=status).select_related("author").order_by("id")),
        summaries=list(TaskSummary.objects.filter(status=status).order_by("task_key")),
        pictures=[m for m in media if m.role == Media.Role.LOCATION],
        spectrum_data=next((m for m in media if m.role == Media.Role.SPECTRUM_DATA), None),
    )


def list_votes(workflow: Workflow, subject_id: int) -> list[Vote]:
    """Every classification of a subject, oldest first, with the labels of the workflow as it is now."""
    rows = Classification.objects.filter(workflow=workflow, subject_id=subject_id)
    rows = rows.select_related("volunteer__user").prefetch_related("answers").order_by("id")
    return [
        Vote(
            classification_id=row.pk,
            volunteer=str(row.volunteer.user) if row.volunteer.user else f"anonymous {row.volunteer_id}",
            answers={a.task_key: _label(workflow, a) for a in row.answers.all()},
            created_at=row.created_at,
            counted=row.counted,
            gold_standard=row.gold_standard,
        )
        for row in rows
    ]


def _label(workflow: Workflow, answer: Answer) -> str:
    labels = answer_labels(workflow.tasks, workflow.strings, answer.task_key)
    return labels[answer.answer] if answer.answer < len(labels) else str(answer.answer)


def list_skills(workflow: Workflow, *, task_key: str = "") -> QuerySet[Skill]:
    """Everybody's skill in a question (the first without one) under the current epoch, those with most answers first.

    Bits with their 95 % bounds, accuracy, answers, gold seen and right, and whether they are heard.
    """
    rows = Skill.objects.filter(
        epoch__workflow=workflow,
        epoch__current=True,
        task_key=task_key or _first_question(workflow),
        volunteer__isnull=False,
    )
    return rows.select_related("volunteer__user").order_by("-answers_fitted", "volunteer_id")


def get_newcomer(workflow: Workflow, *, task_key: str = "") -> Skill | None:
    """What somebody of whom nothing is known is taken for: `confusion` K×K, `temper` of the read-out."""
    rows = Skill.objects.filter(epoch__workflow=workflow, epoch__current=True, volunteer=None)
    return rows.filter(task_key=task_key or _first_question(workflow)).select_related("epoch").first()


def _first_question(workflow: Workflow) -> str:
    questions = list_questions(workflow.tasks, workflow.first_task)
    return questions[0].key if questions else workflow.first_task


def list_retirement_settings(workflow: Workflow) -> QuerySet[RetirementSetting]:
    """How the workflow retired its subjects, newest first."""
    return RetirementSetting.objects.filter(workflow=workflow).select_related("author").order_by("-id")


def list_changes(workflow: Workflow) -> QuerySet[StatusChange]:
    """Every change of a subject's state, newest first, with its subject and author."""
    rows = StatusChange.objects.filter(status__workflow=workflow)
    return rows.select_related("status", "author").order_by("-id")


def read_out_consensus(rows: QuerySet[Consensus]) -> Iterator[tuple[Consensus, list[float]]]:
    """Each consensus with its (K,) probabilities, under its own epoch."""
    everybody = {
        (skill.epoch_id, skill.task_key): skill.temper
        for skill in Skill.objects.filter(volunteer=None, epoch__statuses__consensus__in=rows).distinct()
    }
    for row in rows.select_related("status__epoch", "status__workflow").iterator(chunk_size=2000):
        epoch = row.status.epoch
        temper = everybody.get((epoch.pk, row.task_key)) if epoch else None
        temper = temper or posterior.UNFITTED_TEMPER
        kind = epoch.read_out if epoch else posterior.ReadOut.TEMPERED
        opinion = posterior.opinion_in(
            row.status.machine_prior,
            first=row.task_key == row.status.workflow.first_task,
            n_answers=len(row.log_posterior),
            kind=kind,
        )
        votes = sum(row.answer_counts)
        yield row, posterior.read_out(row.log_posterior, temper, votes=votes, kind=kind, opinion=opinion)


def count_available(workflow: Workflow, volunteer_id: int) -> int:
    """How many open subjects a volunteer has not classified yet, whoever else holds them."""
    done = Classification.objects.filter(workflow=workflow, volunteer_id=volunteer_id).values("subject_id")
    rows = SubjectStatus.objects.filter(workflow=workflow, state="open", audience="volunteers")
    return rows.exclude(subject_id__in=done).count()


def count_reserved(workflow: Workflow) -> int:
    """Reservations that somebody holds at this moment."""
    return Assignment.objects.filter(status__workflow=workflow, expires_at__gt=Now()).count()


def consensus_by_subject(workflow: Workflow) -> dict[int, dict[str, Any]]:
    """Subject id → answer, probability, state and votes of every published subject."""
    rows = Consensus.objects.filter(status__workflow=workflow, task_key=workflow.first_task)
    values = rows.values_list(
        "status__subject_id", "answer", "probability", "status__state", "answer_counts", "status__blind"
    )
    names = ("answer", "probability", "state", "answer_counts", "blind")
    return {row[0]: dict(zip(names, row[1:], strict=True)) for row in values}
