"""Which routed subjects are published when volunteers have only so many votes a day: the most telling first.

A `Publication` row is the spending of some of a UTC day's votes on one subject; the rows are the source of truth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from django.db import connection
from django.db.models import Avg, Case, Count, Exists, F, IntegerField, OuterRef, QuerySet, Sum, When

from esocs.crowd.models import Publication, SubjectStatus
from esocs.crowd.queries import current_policy_id
from esocs.crowd.rules import InvalidRetirementError, parse_consensus
from esocs.jobs.models import Job
from esocs.jobs.services import enqueue_many
from esocs.machine.handover import group_of
from esocs.machine.models import Route, RoutingPolicy
from esocs.machine.rules import read_settings
from esocs.projects.models import Workflow

# Asked of people. An accepted prediction needs nobody.
PUBLISHED = (Route.Decision.VOLUNTEERS, Route.Decision.AUDIT, Route.Decision.EXPERTS)

ROUTES_PER_JOB = 250
# Without a budget a run orders so many at most; the next one goes on.
MOST_AT_ONCE = 50_000
# The estimate from the criterion counts like so many retired subjects.
PRIOR_SUBJECTS = 20
DEFAULT_VOTES = 15.0


@dataclass(frozen=True, kw_only=True)
class ExpectedVotes:
    """How many votes a subject is expected to take until it retires, the blind audit and the others apart."""

    audit: float
    others: float

    def of(self, decision: str) -> float:
        """Of a subject that was routed so; an expert's answer is one vote."""
        if decision == Route.Decision.EXPERTS:
            return 1.0
        return self.audit if decision == Route.Decision.AUDIT else self.others


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A workflow's votes today, and what waits for others.

    Attributes:
        votes_per_day: None: nothing is held back.
        spent: votes that today's publications are expected to take.
        published: subjects published today.
        waiting: routed subjects that no day's votes were spent on yet.
        expected: votes a subject is expected to take.
    """

    votes_per_day: int | None
    spent: float
    published: int
    waiting: int
    expected: ExpectedVotes

    @property
    def left(self) -> float | None:
        return None if self.votes_per_day is None else max(0.0, self.votes_per_day - self.spent)


def get_budget(workflow: Workflow) -> Budget:
    """Today's votes of a workflow.

    Raises:
        InvalidRoutingError: its settings cannot be followed.
    """
    today = Publication.objects.filter(workflow=workflow, day=_today()).aggregate(spent=Sum("votes"), n=Count("id"))
    return Budget(
        votes_per_day=read_settings(workflow.routing).votes_per_day,
        spent=today["spent"] or 0.0,
        published=today["n"],
        waiting=list_waiting(workflow).count(),
        expected=expect_votes(workflow),
    )


def list_waiting(workflow: Workflow) -> QuerySet[Route]:
    """Routed subjects, under the policy in force, that people are to be asked about and that wait.

    The blind audit comes first, because the alarm lives on it, then the experts', then the others, the most telling
    vote first.
    """
    subject = OuterRef("prediction__subject_id")
    return (
        Route.objects.filter(policy_id=current_policy_id(workflow), decision__in=PUBLISHED)
        .filter(~Exists(SubjectStatus.objects.filter(workflow=workflow, subject_id=subject)))
        .filter(~Exists(Publication.objects.filter(workflow=workflow, subject_id=subject)))
        .order_by(
            Case(
                When(decision=Route.Decision.AUDIT, then=0),
                When(decision=Route.Decision.EXPERTS, then=1),
                default=2,
                output_field=IntegerField(),
            ),
            F("information_bits").desc(),
            "id",
        )
    )


def expect_votes(workflow: Workflow) -> ExpectedVotes:
    """From what retired subjects took, and from the criterion while these are few."""
    retired = SubjectStatus.objects.filter(
        workflow=workflow, audience="volunteers", state="retired", retirement_cause="rule", retired_count__gt=0
    )
    known = {
        blind: (n, mean)
        for blind, n, mean in retired.values_list("blind").annotate(n=Count("id"), mean=Avg("retired_count")).order_by()
    }
    before = _votes_by_criterion(workflow)

    def estimate(blind: bool) -> float:
        n, mean = known.get(blind, (0, 0.0))
        return float((PRIOR_SUBJECTS * before + n * mean) / (PRIOR_SUBJECTS + n))

    return ExpectedVotes(audit=estimate(True), others=estimate(False))


def _votes_by_criterion(workflow: Workflow) -> float:
    """The count, or the middle between the fewest and the most votes of a consensus."""
    options = workflow.retirement.get("options") or {}
    try:
        if workflow.retirement.get("criteria") == "consensus":
            wanted = parse_consensus(options)
            return (wanted.minimum + wanted.maximum) / 2
        return max(1.0, float(options.get("count", DEFAULT_VOTES)))
    except (InvalidRetirementError, TypeError, ValueError):
        return DEFAULT_VOTES  # the retirement page says what is wrong with it


def plan_publication(workflow: Workflow) -> Callable[[], None]:
    """The effect that spends what is left of today's votes on what waits, and orders its publication.

    A day's first subject is published even where it is expected to take more than the day has. Nothing is spent while
    predictions are still being routed: the most telling of all come first, not those that were routed first.
    """

    def write() -> None:
        # One planner at a time; volunteers' submissions, which refer to the workflow, need not wait for it.
        locked = Workflow.objects.select_for_update(no_key=True).get(pk=workflow.pk)
        if _is_routing(locked):
            return
        budget = get_budget(locked)
        chosen = _choose(locked, budget)
        today = _today()
        Publication.objects.bulk_create(
            [
                Publication(
                    workflow=locked,
                    subject_id=subject_id,
                    route_id=route_id,
                    day=today,
                    votes=budget.expected.of(decision),
                )
                for route_id, subject_id, decision in chosen
            ],
            batch_size=2000,
        )
        ids = [route_id for route_id, _, _ in chosen]
        items = [
            (
                f"workflow/{locked.pk}/planned/{ids[start]}",
                {"workflow_id": locked.pk, "route_ids": ids[start : start + ROUTES_PER_JOB]},
            )
            for start in range(0, len(ids), ROUTES_PER_JOB)
        ]
        enqueue_many("crowd.publish", items=items, group=f"publish/{locked.pk}")

    return write


def _choose(workflow: Workflow, budget: Budget) -> list[tuple[int, int, str]]:
    """(route, subject, decision) of what waits, in its order, as far as today's votes reach."""
    left = budget.left
    waiting = list_waiting(workflow).values_list("id", "prediction__subject_id", "decision")
    if left is None:
        return list(waiting[:MOST_AT_ONCE])
    if budget.votes_per_day == 0:
        return []
    cheapest = min(1.0, budget.expected.audit, budget.expected.others)
    chosen: list[tuple[int, int, str]] = []
    for row in waiting[: min(MOST_AT_ONCE, int(left / cheapest) + 1)]:
        votes = budget.expected.of(row[2])
        if votes > left and (chosen or budget.published):
            break
        chosen.append(row)
        left -= votes
    return chosen


def _is_routing(workflow: Workflow) -> bool:
    """Whether the current policy's routes are still being made."""
    policy_id = current_policy_id(workflow)
    if policy_id is None:
        return False
    policy = RoutingPolicy.objects.get(pk=policy_id)
    under_way = Job.objects.filter(group=group_of(policy), kind__in=["machine.route", "machine.withdraw"])
    return under_way.filter(state__in=[Job.State.QUEUED, Job.State.RUNNING]).exists()


def _today() -> date:
    """The UTC day of the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT (now() AT TIME ZONE 'UTC')::date")
        row = cursor.fetchone()
    assert row is not None
    day: date = row[0]
    return day
