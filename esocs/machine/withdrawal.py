"""A policy's end: its thresholds are withdrawn, and what it had accepted goes to volunteers.

The policy's row is the source of truth. Who writes routes holds it shared, who withdraws it changes it: a route is
written either before the withdrawal, which then takes it back, or after it, and is no acceptance.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from django.db import connection, transaction
from django.db.models import Max, Min
from django.db.models.functions import Now

from esocs.jobs.services import enqueue, enqueue_many
from esocs.machine import handover
from esocs.machine.models import Route, RoutingPolicy

log = logging.getLogger(__name__)

# Predictions are numbered across models: a range of ids holds at most so many of the policy's.
PREDICTIONS_PER_JOB = 10_000


def withdraw_policy(policy: RoutingPolicy, *, because: str, author_id: int | None = None) -> bool:
    """Withdraw a policy's thresholds for good, and order that what it accepted goes to volunteers.

    It stays withdrawn: only a policy that is certified anew accepts again.

    Args:
        policy: of any state.
        because: why, for the people who run the project.
        author_id: the person, where one did it.

    Returns:
        Whether this call did it; False where it was withdrawn before.
    """
    with transaction.atomic():
        won = RoutingPolicy.objects.filter(pk=policy.pk, state=RoutingPolicy.State.ACTIVE).update(
            state=RoutingPolicy.State.WITHDRAWN,
            withdrawn_at=Now(),
            withdrawn_because=because[:300],
            withdrawn_by_id=author_id,
        )
        if won:
            enqueue(
                "machine.withdraw",
                key=f"policy/{policy.pk}",
                payload={"policy_id": policy.pk},
                group=handover.group_of(policy),
            )
            log.error("%s is withdrawn: %s", policy, because)
    return bool(won)


def stands(policy: RoutingPolicy) -> bool:
    """Whether the policy may accept, and that nobody withdraws it before this transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT state FROM machine_routingpolicy WHERE id = %s FOR SHARE", [policy.pk])
        row = cursor.fetchone()
    return row is not None and row[0] == RoutingPolicy.State.ACTIVE


def take_back(routes: Iterable[Route]) -> None:
    """Turn what is about to be accepted under a withdrawn policy to the volunteers, before it is written."""
    for route in routes:
        if route.decision == Route.Decision.ACCEPT:
            route.decision, route.reason = Route.Decision.VOLUNTEERS, "withdrawn"


def order_reroutes(policy: RoutingPolicy) -> Callable[[], None]:
    """The effect that orders, range by range, that what the policy accepted goes to volunteers."""
    accepted = Route.objects.filter(policy=policy, decision=Route.Decision.ACCEPT)
    span = accepted.aggregate(first=Min("prediction_id"), last=Max("prediction_id"))
    items = []
    if span["first"] is not None:
        for first in range(span["first"], span["last"] + 1, PREDICTIONS_PER_JOB):
            last = min(first + PREDICTIONS_PER_JOB - 1, span["last"])
            items.append((f"policy/{policy.pk}/{first}-{last}", {"policy_id": policy.pk, "first": first, "last": last}))
    return lambda: (enqueue_many("machine.withdraw", items=items, group=handover.group_of(policy)), None)[1]


def reroute_accepted(policy: RoutingPolicy, *, first: int, last: int) -> Callable[[], None]:
    """The effect that sends what a withdrawn policy accepted, of a range of predictions, to volunteers."""

    def write() -> None:
        routes = Route.objects.filter(policy=policy, prediction_id__gte=first, prediction_id__lte=last)
        accepted = routes.filter(decision=Route.Decision.ACCEPT)
        if accepted.update(decision=Route.Decision.VOLUNTEERS, reason="withdrawn"):
            handover.publish(policy, first=first, last=last, again="/withdrawn")

    return write
