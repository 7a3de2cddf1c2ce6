"""Hands routed predictions over to the crowd room, which stands above: by the name of its job."""

from __future__ import annotations

from esocs.jobs.services import enqueue
from esocs.machine.models import RoutingPolicy


def publish(policy: RoutingPolicy, *, first: int, last: int, again: str = "") -> None:
    """Have those of a range of predictions that people are to be asked about published, by the crowd room."""
    payload = {
        "workflow_id": policy.model_version.workflow_id,
        "policy_id": policy.pk,
        "first_prediction": first,
        "last_prediction": last,
    }
    key = f"policy/{policy.pk}{again}/{first}-{last}"
    enqueue("crowd.publish", key=key, payload=payload, group=group_of(policy))


def group_of(policy: RoutingPolicy) -> str:
    """The group of all jobs that route a policy's predictions and publish what people are asked about."""
    return f"route/{policy.pk}"
