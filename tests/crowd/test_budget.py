"""A day's votes are spent on the most telling subjects, once, and what waits is published another day."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F

from esocs.crowd import budget, services
from esocs.crowd.models import Publication, SubjectStatus
from esocs.jobs.models import Job
from esocs.jobs.services import enqueue
from esocs.machine.handover import publish
from esocs.machine.models import Prediction, Route, RoutingPolicy
from esocs.machine.rules import InvalidRoutingError
from esocs.projects.models import Workflow
from tests.support.factories import make_workflow
from tests.support.routes import make_champion, make_policy, route
from tests.support.survey import run_jobs

pytestmark = pytest.mark.django_db

TEN_VOTES = {"criteria": "classification_count", "options": {"count": 10}}


def make_scene(votes_per_day: int | None) -> RoutingPolicy:
    """A workflow whose subjects take ten votes each, with a champion and its policy."""
    routing: dict[str, Any] = {} if votes_per_day is None else {"votes_per_day": votes_per_day}
    workflow = make_workflow(retirement=TEN_VOTES, routing=routing)
    return make_policy(make_champion(workflow))


def workflow_of(policy: RoutingPolicy) -> Workflow:
    return Workflow.objects.get(pk=policy.model_version.workflow_id)


def plan(policy: RoutingPolicy) -> None:
    with transaction.atomic():
        services.plan_publication(workflow_of(policy))()


def published(policy: RoutingPolicy) -> set[int]:
    run_jobs()
    return set(SubjectStatus.objects.filter(workflow=workflow_of(policy)).values_list("subject_id", flat=True))


def next_day() -> None:
    """A day goes by: what was spent was spent yesterday."""
    Publication.objects.update(day=F("day") - timedelta(days=1))


def test_the_most_telling_are_published_as_far_as_the_votes_reach() -> None:
    policy = make_scene(35)
    subjects = route(policy, "volunteers", 6, bits=[0.1, 0.9, 0.5, 0.7, 0.3, 0.2])
    plan(policy)
    assert published(policy) == {subjects[1], subjects[3], subjects[2]}
    state = budget.get_budget(workflow_of(policy))
    assert (state.spent, state.published, state.waiting, state.left) == (30.0, 3, 3, 5.0)


def test_what_waits_is_published_on_the_next_days() -> None:
    policy = make_scene(30)
    subjects = route(policy, "volunteers", 7, bits=[i / 10 for i in range(7)])
    expected: set[int] = set()
    for batch in (subjects[4:], subjects[1:4], subjects[:1]):
        plan(policy)
        expected |= set(batch)
        assert published(policy) == expected
        next_day()
    assert budget.get_budget(workflow_of(policy)).waiting == 0


def test_the_audit_comes_first_then_the_experts_then_the_others() -> None:
    policy = make_scene(22)
    others = route(policy, "volunteers", 2, bits=0.9)
    experts = route(policy, "experts", 2, bits=0.1)
    audit = route(policy, "audit", 1, bits=0.0)
    plan(policy)
    # Ten votes for the audit, one for each expert's; ten more for one of the others.
    assert published(policy) == {*audit, *experts, others[0]}
    assert SubjectStatus.objects.get(subject_id=audit[0]).blind
    assert set(SubjectStatus.objects.filter(audience="experts").values_list("subject_id", flat=True)) == set(experts)


def test_planning_again_spends_nothing_more() -> None:
    policy = make_scene(20)
    route(policy, "volunteers", 5)
    plan(policy)
    before = (list(Publication.objects.order_by("pk").values()), Job.objects.count(), published(policy))
    plan(policy)
    assert (list(Publication.objects.order_by("pk").values()), Job.objects.count(), published(policy)) == before


def test_without_a_budget_nothing_waits() -> None:
    policy = make_scene(None)
    subjects = route(policy, "volunteers", 5)
    plan(policy)
    assert published(policy) == set(subjects)


def test_no_votes_publish_nothing_and_a_scarce_day_publishes_one() -> None:
    nothing, scarce = make_scene(0), make_scene(3)
    route(nothing, "volunteers", 2)
    route(scarce, "volunteers", 2)
    plan(nothing)
    plan(scarce)
    plan(scarce)
    assert published(nothing) == set()
    assert len(published(scarce)) == 1


def test_what_was_accepted_never_waits() -> None:
    policy = make_scene(100)
    route(policy, "accept", 3)
    plan(policy)
    assert published(policy) == set()
    assert budget.get_budget(workflow_of(policy)).waiting == 0


def test_votes_are_expected_from_what_retired_subjects_took() -> None:
    policy = make_scene(100)
    workflow = workflow_of(policy)
    assert budget.expect_votes(workflow) == budget.ExpectedVotes(audit=10.0, others=10.0)
    for subject in route(policy, "volunteers", 20):
        SubjectStatus.objects.create(
            workflow=workflow, subject_id=subject, state="retired", retirement_cause="rule", retired_count=4
        )
    assert budget.expect_votes(workflow) == budget.ExpectedVotes(audit=10.0, others=7.0)


@pytest.mark.parametrize(
    ("retirement", "votes"),
    [
        ({"criteria": "consensus", "options": {"minimum": 3, "maximum": 15}}, 9.0),
        ({"criteria": "consensus", "options": {"minimum": "many"}}, 15.0),
        ({"criteria": "never_retire"}, 15.0),
        ({}, 15.0),
    ],
)
def test_at_first_votes_are_expected_from_the_criterion(retirement: dict[str, Any], votes: float) -> None:
    policy = make_scene(100)
    Workflow.objects.filter(pk=workflow_of(policy).pk).update(retirement=retirement)
    assert budget.expect_votes(workflow_of(policy)).others == votes


def test_a_routed_range_waits_until_all_is_routed_and_the_best_of_all_come_first() -> None:
    policy = make_scene(10)
    first, second = route(policy, "volunteers", 1, bits=0.2), route(policy, "volunteers", 1, bits=0.8)
    ids = list(Prediction.objects.order_by("id").values_list("id", flat=True))
    routing = Job.objects.filter(pk=enqueue("machine.route", key="still", group=f"route/{policy.pk}"))
    routing.update(attempts=1)  # it failed once and waits for its next attempt
    publish(policy, first=ids[0], last=ids[0])
    assert published(policy) == set()
    routing.update(state="done")
    publish(policy, first=ids[1], last=ids[1])
    assert published(policy) == set(second)
    assert first[0] in budget.list_waiting(workflow_of(policy)).values_list("prediction__subject_id", flat=True)


def test_settings_that_cannot_be_followed_publish_nothing_and_say_so() -> None:
    policy = make_scene(10)
    route(policy, "volunteers", 1)
    Workflow.objects.update(routing={"votes_per_day": -5})
    with pytest.raises(InvalidRoutingError, match="votes_per_day -5"):
        plan(policy)
    assert not Publication.objects.exists()


def test_every_hour_what_waits_is_looked_at_for_every_champion() -> None:
    policies = [make_scene(10), make_scene(10)]
    subjects = {policy.pk: route(policy, "volunteers", 2, bits=[0.9, 0.1]) for policy in policies}
    enqueue("crowd.publish_waiting", key="slot/1")
    for policy in policies:
        assert published(policy) == {subjects[policy.pk][0]}


@pytest.mark.django_db(transaction=True)
def test_many_planners_at_once_spend_a_days_votes_once() -> None:
    policy = make_scene(50)
    route(policy, "volunteers", 30, bits=[i / 30 for i in range(30)])
    ready = threading.Barrier(6)
    errors: list[BaseException] = []

    def plan_beside() -> None:
        try:
            ready.wait(timeout=30)
            plan(policy)
        except BaseException as error:  # noqa: BLE001 - a thread's error is the test's
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=plan_beside) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert errors == []
    assert Publication.objects.count() == 5
    best = Route.objects.order_by("-information_bits").values_list("pk", flat=True)[:5]
    assert set(Publication.objects.values_list("route_id", flat=True)) == set(best)
