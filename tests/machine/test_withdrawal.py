"""A withdrawn policy accepts nothing any more, and gives what it had accepted to volunteers, once."""

from __future__ import annotations

import pytest

from esocs.jobs.models import Job
from esocs.machine import routing, withdrawal
from esocs.machine.models import Prediction, Route, RoutingPolicy
from tests.machine.test_routing import Scene

pytestmark = pytest.mark.django_db


def withdraw(policy: RoutingPolicy, because: str = "a test") -> bool:
    return withdrawal.withdraw_policy(RoutingPolicy.objects.get(pk=policy.pk), because=because)


def reroute(policy: RoutingPolicy) -> None:
    """What the ordered jobs do."""
    withdrawal.order_reroutes(policy)()
    for job in Job.objects.filter(kind="machine.withdraw", payload__has_key="first"):
        withdrawal.reroute_accepted(policy, first=job.payload["first"], last=job.payload["last"])()


def test_who_withdraws_first_does_it_and_says_why() -> None:
    policy = Scene().certify()
    assert withdraw(policy, "too many errors")
    assert not withdraw(policy, "another reason")
    policy.refresh_from_db()
    assert (policy.state, policy.withdrawn_because) == ("withdrawn", "too many errors")
    assert policy.withdrawn_at is not None
    assert Job.objects.filter(kind="machine.withdraw").count() == 1


def test_what_was_accepted_goes_to_volunteers_and_the_rest_stays() -> None:
    scene = Scene()
    policy = scene.certify()
    scene.route(policy)
    accepted = set(Route.objects.filter(policy=policy, decision="accept").values_list("pk", flat=True))
    others = list(Route.objects.filter(policy=policy).exclude(pk__in=accepted).order_by("pk").values())
    assert accepted
    withdraw(policy)
    reroute(policy)
    taken_back = Route.objects.filter(policy=policy, decision="volunteers", reason="withdrawn")
    assert set(taken_back.values_list("pk", flat=True)) == accepted
    assert set(taken_back.values_list("acceptable", flat=True)) == {True}
    assert list(Route.objects.filter(policy=policy).exclude(pk__in=accepted).order_by("pk").values()) == others


def test_taking_back_twice_changes_and_orders_nothing_more() -> None:
    scene = Scene()
    policy = scene.certify()
    scene.route(policy)
    withdraw(policy)
    reroute(policy)
    jobs, routes = Job.objects.count(), list(Route.objects.order_by("pk").values())
    reroute(policy)
    assert (Job.objects.count(), list(Route.objects.order_by("pk").values())) == (jobs, routes)


def test_what_is_decided_while_the_policy_is_withdrawn_is_no_acceptance() -> None:
    scene = Scene()
    policy = RoutingPolicy.objects.get(pk=scene.certify().pk)
    first, last = (Prediction.objects.order_by(order).values_list("id", flat=True)[0] for order in ("id", "-id"))
    write = routing.route_predictions(policy=policy, first=first, last=last)
    withdraw(policy)
    write()
    assert not Route.objects.filter(decision="accept").exists()
    assert ("volunteers", "withdrawn") in scene.decisions(policy, scene.others)


def test_new_subjects_of_a_withdrawn_policy_go_to_volunteers() -> None:
    scene = Scene()
    policy = scene.certify()
    withdraw(policy)
    scene.route(RoutingPolicy.objects.get(pk=policy.pk))
    assert set(scene.decisions(policy, scene.others)) == {("volunteers", "withdrawn")}


def test_a_new_policy_accepts_again() -> None:
    scene = Scene()
    withdraw(scene.certify())
    second = scene.certify()
    scene.route(second)
    assert second.state == "active"
    assert Route.objects.filter(policy=second, decision="accept").exists()
