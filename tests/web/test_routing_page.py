"""The routing page: thresholds, the audit's alarm, today's votes, and the button that withdraws."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from esocs.crowd.models import Publication
from esocs.machine.models import RoutingPolicy, Threshold
from esocs.projects.models import ProjectRole, Workflow
from esocs.projects.services import add_role
from tests.support import factories
from tests.support.routes import make_champion, make_policy, route

pytestmark = pytest.mark.django_db

AUDIT: dict[str, Any] = {
    "audited": 210, "settled": 200, "unconfirmed": 3, "errors": 2, "fired_at": None, "p_value": 0.4, "delta": 0.01,
    "thresholds": [], "path": [[1, 0.0], [100, -0.4], [210, 0.1]], "wrong_subjects": [],
}  # fmt: skip


def page_of(workflow: Workflow) -> str:
    return f"/projects/{workflow.project.slug}/workflows/{workflow.pk}/routing/"


def make_scene(**fields: Any) -> RoutingPolicy:
    return make_policy(make_champion(factories.make_workflow()), **fields)


def read(client: Client, workflow: Workflow) -> str:
    client.force_login(workflow.project.owner)
    answer = client.get(page_of(workflow))
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def test_a_workflow_without_a_machine_says_so(client: Client) -> None:
    assert "There is no machine yet" in read(client, factories.make_workflow())


def test_each_group_has_its_threshold_and_what_the_audit_found(client: Client) -> None:
    groups = [{"number": i, "audited": n, "errors": k} for i, (n, k) in enumerate([(120, 0), (90, 2)])]
    policy = make_scene(
        strata=(("UVES",), ("", "HARPS")), stratify_by="instrument", alarm={**AUDIT, "thresholds": groups}
    )
    Threshold.objects.filter(policy=policy, number=1).update(value=None, answer=1)
    body = read(client, policy.model_version.workflow)
    assert re.search(r"UVES 0\.900 5\.0 % 1 of 150 sample 250 0 of 120", body)
    assert re.search(r"No, not stated, HARPS nothing 5\.0 % .* 2 of 90", body)
    assert "Answer those that wait" in body
    assert "The stake against the promise" in body


def test_a_withdrawn_policy_says_when_and_why_and_what_to_do(client: Client) -> None:
    policy = make_scene(state="withdrawn", withdrawn_at=timezone.now(), withdrawn_because="a lamp was on")
    body = read(client, policy.model_version.workflow)
    assert "The machine accepts nothing" in body
    assert "a lamp was on" in body
    assert "manage.py route --again" in body
    assert "Withdraw it now" not in body


def test_todays_votes_and_what_waits_are_told(client: Client) -> None:
    policy = make_scene()
    workflow = policy.model_version.workflow
    Workflow.objects.filter(pk=workflow.pk).update(routing={"votes_per_day": 20_000})
    (subject, *_) = route(policy, "volunteers", 4)
    Publication.objects.create(workflow=workflow, subject_id=subject, day=timezone.now().date(), votes=9)
    body = read(client, Workflow.objects.get(pk=workflow.pk))
    assert re.search(r"Votes a day 20,000 Spent today 9 1 subjects Wait for another day 3", body)


def test_settings_that_cannot_be_followed_are_named(client: Client) -> None:
    policy = make_scene()
    Workflow.objects.update(routing={"alpha_by_answer": {"Lens": 0.1}})
    body = read(client, policy.model_version.workflow)
    assert "names &#x27;Lens&#x27;, which is no answer. The answers are Yes, No, Unclear." in body


def test_changed_settings_are_pointed_out(client: Client) -> None:
    policy = make_scene(alpha=0.01, audit_share=0.02)
    assert "settings were changed" not in read(client, policy.model_version.workflow)
    Workflow.objects.update(routing={"alpha": 0.02})
    assert "settings were changed" in read(client, policy.model_version.workflow)


def test_the_owner_withdraws_it_with_a_reason_once(client: Client) -> None:
    policy = make_scene()
    workflow = policy.model_version.workflow
    client.force_login(workflow.project.owner)
    address = page_of(workflow) + "withdraw/"
    assert client.post(address, {"policy": policy.pk, "because": " "}).status_code == 422
    assert client.post(address, {"policy": policy.pk + 1, "because": "x"}).status_code == 302
    policy.refresh_from_db()
    assert policy.state == "active"
    assert client.post(address, {"policy": policy.pk, "because": "fog"}).status_code == 302
    client.post(address, {"policy": policy.pk, "because": "rain"})
    policy.refresh_from_db()
    assert (policy.state, policy.withdrawn_because) == ("withdrawn", "fog")
    assert policy.withdrawn_by == workflow.project.owner


def test_experts_read_it_and_only_owners_withdraw(client: Client) -> None:
    policy = make_scene()
    workflow = policy.model_version.workflow
    expert = factories.make_user()
    add_role(project=workflow.project, user=expert, role=ProjectRole.Role.EXPERT)
    client.force_login(expert)
    assert "Withdraw it now" not in client.get(page_of(workflow)).content.decode()
    assert client.post(page_of(workflow) + "withdraw/", {"policy": policy.pk, "because": "x"}).status_code == 403
    client.force_login(factories.make_user())
    assert client.get(page_of(workflow)).status_code == 403


def test_the_number_of_statements_does_not_grow(client: Client) -> None:
    policy = make_scene(alarm=AUDIT)
    workflow = policy.model_version.workflow
    client.force_login(workflow.project.owner)
    client.get(page_of(workflow))
    counts = []
    for _ in range(2):
        route(policy, "accept", 3)
        with CaptureQueriesContext(
            connection,
        ) as captured:
            client.get(page_of(workflow))
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 15
