"""Reads of what was derived, and of what went wrong on the way."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, QuerySet

from esocs.crowd.caesar.extracting import group_of
from esocs.crowd.models import (
    Extract,
    SubjectReduction,
    SubjectRule,
    SubjectRuleMatch,
    Underived,
    UserReduction,
    UserRuleMatch,
)
from esocs.jobs.models import Job
from esocs.projects.models import Workflow

FAILURES_SHOWN = 20


def list_extracts(workflow: Workflow, *, subject_id: int, extractor_key: str | None = None) -> QuerySet[Extract]:
    """What was read about a subject, oldest first."""
    rows = Extract.objects.filter(extractor__workflow=workflow, subject=subject_id, error="")
    rows = rows.filter(extractor__key=extractor_key) if extractor_key is not None else rows
    return rows.select_related("extractor", "classification__volunteer").order_by("id")


def list_subject_reductions(
    workflow: Workflow, *, subject_id: int, reducer_key: str | None = None
) -> QuerySet[SubjectReduction]:
    """What was made of a subject's extracts."""
    rows = SubjectReduction.objects.filter(reducer__workflow=workflow, subject=subject_id)
    rows = rows.filter(reducer__key=reducer_key) if reducer_key is not None else rows
    return rows.select_related("reducer").order_by("id")


def list_user_reductions(
    workflow: Workflow, *, user_id: int, reducer_key: str | None = None
) -> QuerySet[UserReduction]:
    """What was made of a volunteer's extracts."""
    rows = UserReduction.objects.filter(reducer__workflow=workflow, user=user_id)
    rows = rows.filter(reducer__key=reducer_key) if reducer_key is not None else rows
    return rows.select_related("reducer").order_by("id")


def list_hand_written_rules(workflow: Workflow) -> list[SubjectRule]:
    """The active rules that no template made, with their effects and `holding`: of how many subjects they hold."""
    rows = SubjectRule.objects.filter(workflow=workflow, active=True, template="").prefetch_related(
        "effects__subject_set", "effects__collection"
    )
    chosen = list(rows.order_by("position", "id"))
    counts = dict(
        SubjectRuleMatch.objects.filter(rule__in=chosen, holds=True)
        .values_list("rule")
        .annotate(n=Count("id"))
        .order_by()
    )
    for row in chosen:
        row.holding = counts.get(row.pk, 0)  # type: ignore[attr-defined]
    return chosen


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What went wrong: where, with how many subjects or volunteers, and the newest message."""

    where: str
    times: int
    message: str


def list_troubles(workflow: Workflow) -> list[Trouble]:
    """Extractors, reducers, rules and calls that failed, each with the newest message."""
    found: list[Trouble] = []
    for where, kind, rows in (
        ("extractor__key", "Extractor", Extract.objects.filter(extractor__workflow=workflow)),
        ("reducer__key", "Reducer", SubjectReduction.objects.filter(reducer__workflow=workflow)),
        ("reducer__key", "Reducer", UserReduction.objects.filter(reducer__workflow=workflow)),
        ("rule_id", "Rule", SubjectRuleMatch.objects.filter(rule__workflow=workflow, rule__active=True)),
        ("rule_id", "User rule", UserRuleMatch.objects.filter(rule__workflow=workflow, rule__active=True)),
    ):
        failed = rows.exclude(error="")
        for name, n in failed.values_list(where).annotate(n=Count("id")).order_by(where):
            newest = failed.filter(**{where: name}).order_by("-id").values_list("error", flat=True).first()
            found.append(Trouble(where=f"{kind} {name}", times=n, message=newest or ""))
    failed_jobs = Job.objects.filter(group=group_of(workflow.pk), state=Job.State.FAILED)
    for kind, n in failed_jobs.values_list("kind").annotate(n=Count("id")).order_by("kind"):
        error = failed_jobs.filter(kind=kind).order_by("-id").values_list("last_error", flat=True).first() or ""
        found.append(Trouble(where=CALLS.get(kind, kind), times=n, message=error.partition("\n")[0][:300]))
    return found


CALLS = {
    "crowd.call_extractor": "Calls to external extractors",
    "crowd.call_reducer": "Calls to external reducers",
    "crowd.apply_rule": "Effects",
}


def count_waiting(workflow: Workflow) -> int:
    """Subjects that are to be derived anew."""
    return Underived.objects.filter(workflow=workflow).values("subject").distinct().count()
