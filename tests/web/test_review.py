"""The review page: what waits for an expert and why, and the audit in words."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from esocs.crowd.certificates import Certificate, upper_error_bound
from esocs.crowd.models import Consensus, SubjectStatus
from esocs.projects.models import ProjectRole, Workflow
from esocs.projects.services import add_role
from esocs.web.audit import count_more_audits, describe_certificates
from tests.support import factories
from tests.web.crowd import answer_as_expert, settle, vote, wait_for_expert

pytestmark = pytest.mark.django_db


def page_of(workflow: Workflow) -> str:
    return f"/projects/{workflow.project.slug}/workflows/{workflow.pk}/review/"


@pytest.fixture
def workflow() -> Workflow:
    """One subject of each kind that waits, and one that does not."""
    workflow = factories.make_workflow(answers=("Spiral", "Elliptical", "Star"))
    sent = factories.make_subject(workflow.project, published_in=workflow, audience="experts")
    contested, flagged, _open = [factories.make_subject(workflow.project, published_in=workflow) for _ in range(3)]
    for answer in (0, 0, 1):
        vote(workflow, contested, factories.make_volunteer().pk, answer)
    wait_for_expert(workflow, contested, "contested")
    wait_for_expert(workflow, flagged, "flagged")
    assert sent.pk
    return workflow


def read(client: Client, workflow: Workflow, query: str = "") -> str:
    answer = client.get(page_of(workflow) + query)
    assert answer.status_code == 200
    return answer.content.decode()


def test_every_reason_has_its_tab_with_its_count(client: Client, workflow: Workflow) -> None:
    client.force_login(workflow.project.owner)
    body = read(client, workflow)
    counts = re.findall(r'>([^<>]+) <span class="count">([\d,]+)</span>', body)
    assert counts == [
        ("Everything", "3"),
        ("Sent to the experts", "1"),
        ("Contested", "1"),
        ("Majority disagrees", "1"),
        ("Audit", "0"),
        ("Machine disagrees", "0"),
    ]
    assert body.count('<th scope="row">') == 3
    assert "audience=experts" in body


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("routed", "Set aside for the experts"),
        ("contested", "3 volunteers were asked, and no answer is probable enough"),
        ("flagged", "Most volunteers say otherwise"),
    ],
)
def test_a_tab_shows_its_kind_alone_and_says_why(client: Client, workflow: Workflow, kind: str, sentence: str) -> None:
    client.force_login(workflow.project.owner)
    body = read(client, workflow, f"?kind={kind}")
    assert body.count('<th scope="row">') == 1
    assert sentence in body


def test_votes_consensus_and_majority_stand_beside_each_other(client: Client, workflow: Workflow) -> None:
    client.force_login(workflow.project.owner)
    body = read(client, workflow, "?kind=contested")
    assert '<span class="lead-answer">Spiral</span>' in body
    assert '<span class="answer-name">Spiral</span>' in body
    assert "<td>Spiral</td>" in body


def test_a_first_question_of_several_choices_shows_what_was_chosen(client: Client, workflow: Workflow) -> None:
    workflow.tasks["T0"]["type"] = "multiple"
    workflow.save()
    status = SubjectStatus.objects.get(workflow=workflow, review="contested")
    for label, (counts, answer, probability) in enumerate((([0, 3], 1, 0.98), ([1, 2], 1, 0.61), ([3, 0], 0, 0.97))):
        Consensus.objects.create(
            status=status, task_key=f"T0.{label}", log_posterior=[0, 0], answer_counts=counts, answer=answer,
            probability=probability, majority=answer,
        )  # fmt: skip
    Consensus.objects.filter(task_key="T0").delete()
    client.force_login(workflow.project.owner)
    body = read(client, workflow, "?kind=contested")
    assert '<span class="answer-name">Spiral, Elliptical</span><br><span class="mono">0.610</span>' in body
    assert body.count('<svg class="bar crowd"') == 2


def test_a_kind_that_does_not_exist_shows_everything(client: Client, workflow: Workflow) -> None:
    client.force_login(workflow.project.owner)
    assert read(client, workflow, "?kind=%27&page=x").count('<th scope="row">') == 3


def test_what_waits_takes_as_many_statements_for_many_as_for_few(client: Client, workflow: Workflow) -> None:
    client.force_login(workflow.project.owner)
    read(client, workflow)
    with CaptureQueriesContext(connection) as few:
        read(client, workflow)
    for _ in range(20):
        factories.make_subject(workflow.project, published_in=workflow, audience="experts")
    with CaptureQueriesContext(connection) as many:
        read(client, workflow)
    assert len(many) == len(few) <= 20


def test_what_waits_is_paged(client: Client, workflow: Workflow) -> None:
    for _ in range(30):
        factories.make_subject(workflow.project, published_in=workflow, audience="experts")
    client.force_login(workflow.project.owner)
    assert read(client, workflow, "?kind=routed").count('<th scope="row">') == 25
    assert read(client, workflow, "?kind=routed&page=2").count('<th scope="row">') == 6


def test_an_audit_is_drawn_answered_and_certifies(client: Client, workflow: Workflow) -> None:
    owner = workflow.project.owner
    subjects = [factories.make_subject(workflow.project, published_in=workflow) for _ in range(8)]
    settle(workflow, subjects)
    client.force_login(owner)
    answer = client.post(page_of(workflow) + "audit/", {"size": "5"}, follow=True)
    assert "5 retired subjects were drawn" in answer.content.decode()
    drawn = list(SubjectStatus.objects.filter(workflow=workflow, review="audit").select_related("subject"))
    assert len(drawn) == 5
    for status in drawn[:4]:
        answer_as_expert(workflow, status.subject, owner, 1 if status is drawn[0] else 0)
    body = re.sub(r"<[^>]+>", "", read(client, workflow))
    bound = 100 * upper_error_bound(1, 4)
    assert (
        f"Among the 8 subjects retired at 0.95 or above, at most {bound:.1f} % are wrong, with 95 % confidence:"
        " 1 error among 4 audited." in body
    )
    assert "No subject was retired at so high a probability" in body
    assert "without an error would certify it, more than the 4 that are left" in body


def test_the_audits_own_consensus_is_not_in_sight(client: Client, workflow: Workflow) -> None:
    subject = factories.make_subject(workflow.project, published_in=workflow)
    settle(workflow, [subject])
    rows = SubjectStatus.objects.filter(subject=subject)
    rows.update(review="audit", audited_at=timezone.now())
    client.force_login(workflow.project.owner)
    body = read(client, workflow, "?kind=audit")
    assert "Hidden: who answers should not know it" in body
    assert '<span class="answer-name">' not in body


@pytest.mark.parametrize("size", ["", "0", "-3", "many", "10001", "9" * 30, "<b>"])
def test_a_size_that_makes_no_sense_is_named_beside_the_field(client: Client, workflow: Workflow, size: str) -> None:
    client.force_login(workflow.project.owner)
    answer = client.post(page_of(workflow) + "audit/", {"size": size})
    assert answer.status_code == 422
    body = answer.content.decode()
    assert "is not a whole number from 1 to 10,000" in body
    assert "<b>" not in body


def test_more_than_there_are_draws_what_there_is_and_says_so(client: Client, workflow: Workflow) -> None:
    settle(workflow, [factories.make_subject(workflow.project, published_in=workflow)])
    client.force_login(workflow.project.owner)
    body = client.post(page_of(workflow) + "audit/", {"size": "50"}, follow=True).content.decode()
    assert "1 were drawn: no more" in body


def test_experts_see_the_page_and_do_not_draw(client: Client, workflow: Workflow) -> None:
    assert client.get(page_of(workflow)).status_code == 403
    expert = factories.make_user()
    add_role(project=workflow.project, user=expert, role=ProjectRole.Role.EXPERT)
    client.force_login(expert)
    assert "Draw this many" not in read(client, workflow)
    assert client.post(page_of(workflow) + "audit/", {"size": "5"}).status_code == 403


def certificate(*, errors: int, audited: int, threshold: float = 0.95) -> Certificate:
    return Certificate(
        threshold=threshold,
        audited=audited,
        errors=errors,
        bound=upper_error_bound(errors, audited),
        confidence=0.95,
        covered=1000,
    )


def test_59_audits_without_an_error_certify_five_percent() -> None:
    assert count_more_audits(certificate(errors=0, audited=0), wish=0.05) == 59
    assert count_more_audits(certificate(errors=0, audited=58), wish=0.05) == 1
    assert count_more_audits(certificate(errors=0, audited=59), wish=0.05) == 0


def test_the_fewest_further_audits_are_just_enough() -> None:
    more = count_more_audits(certificate(errors=2, audited=30), wish=0.05)
    assert more is not None
    assert upper_error_bound(2, 30 + more) <= 0.05 < upper_error_bound(2, 30 + more - 1)


def test_a_wish_of_no_error_at_all_is_never_certified() -> None:
    [line] = describe_certificates([certificate(errors=0, audited=10, threshold=1.0)], own={0.95})
    assert line.more is None
    assert not line.certified
