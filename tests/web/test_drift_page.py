"""The drift page says what is usual and what is not, draws it, and gives the numbers away."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from esocs.machine.models import DriftCount, DriftReference, ReliabilityCount, RoutingPolicy
from esocs.machine.services import promote
from esocs.projects.models import Workflow
from tests.support import factories
from tests.support.drift import make_drift
from tests.support.predictions import make_model

pytestmark = pytest.mark.django_db

Open = Callable[..., Any]


@pytest.fixture
def workflow() -> Workflow:
    return factories.make_workflow()


@pytest.fixture
def policy(workflow: Workflow) -> RoutingPolicy:
    model = make_model(workflow)
    promote(model)
    return make_policy(model)


def make_policy(model: Any, number: int = 1) -> RoutingPolicy:
    return RoutingPolicy.objects.create(
        model_version=model, number=number, alpha=0.01, delta=0.05, audit_share=0.02, ood_p_min=0.01, calibrated_on=500
    )


@pytest.fixture
def visit(client: Client, workflow: Workflow) -> Open:
    client.force_login(workflow.project.owner)

    def get(**query: Any) -> Any:
        return client.get(f"/projects/{workflow.project.slug}/workflows/{workflow.pk}/drift/", query)

    return get


def states(answer: Any) -> list[str]:
    return [verdict["state"] for verdict in answer.json()["verdicts"]]


def test_before_anything_was_routed_the_page_says_what_to_do(visit: Open) -> None:
    answer = visit()
    assert answer.status_code == 200
    assert "manage.py route" in answer.content.decode()


def test_a_routed_policy_without_counts_is_not_judged(visit: Open, policy: RoutingPolicy) -> None:
    assert "not known yet" in visit().content.decode()
    assert states(visit(format="json")) == ["unknown"] * 3


def test_usual_nights_scores_and_answers_are_called_so(visit: Open, policy: RoutingPolicy) -> None:
    make_drift(policy, odd=0)
    text = visit().content.decode()
    assert states(visit(format="json")) == ["good"] * 3
    assert "look at this" not in text
    assert "None of the last 24 nights" in text


def test_strange_nights_another_population_and_overconfidence_are_named_with_advice(
    visit: Open, policy: RoutingPolicy
) -> None:
    make_drift(policy, odd=2, surer=True, overconfident=True)
    answer = visit(format="json").json()
    assert [verdict["state"] for verdict in answer["verdicts"]] == ["warn"] * 3
    nights, scores, reliability = (verdict["sentence"] for verdict in answer["verdicts"])
    assert "2 of the last 24 nights" in nights
    assert "2026-03-23, 2026-03-24" in nights
    assert "another population" in scores
    assert "right less often than it says" in reliability
    assert all(verdict["advice"] for verdict in answer["verdicts"])
    assert [night["night"] for night in answer["nights"] if night["above"]] == ["2026-03-23", "2026-03-24"]


def test_a_batch_from_which_the_model_chose_its_lessons_is_shown_and_not_judged(
    visit: Open, policy: RoutingPolicy
) -> None:
    batches = make_drift(policy, surer=True)
    DriftCount.objects.filter(batch=batches[-1]).update(learned_from=50)
    answer = visit(format="json").json()
    assert answer["batches"][0]["judged"] is False
    assert answer["verdicts"][1]["state"] == "good"
    assert "not compared" in visit().content.decode()


def test_charts_have_names_and_every_number_stands_in_a_table(visit: Open, policy: RoutingPolicy) -> None:
    make_drift(policy)
    text = visit().content.decode()
    assert text.count('role="img"') == text.count("<title id=")
    assert "2026-03-24" in text
    assert "NaN" not in text
    assert "nan" not in text.split("<main")[1].split("</main>")[0].replace("finance", "")


def test_a_policy_without_a_calibration_sample_and_nights_without_a_date_are_shown(
    visit: Open, policy: RoutingPolicy
) -> None:
    DriftReference.objects.create(
        policy=policy, routes_counted=3, subjects=0, out_of_distribution=0, score_counts=[0] * 21
    )
    DriftCount.objects.create(
        policy=policy, subjects=3, learned_from=0, out_of_distribution=1, score_counts=[3] + [0] * 20
    )
    text = visit().content.decode()
    assert "do not say when they were observed" in text
    assert "Without a batch" in text


def test_the_counts_come_as_csv_and_add_up(visit: Open, policy: RoutingPolicy) -> None:
    make_drift(policy)
    rows = list(csv.DictReader(io.StringIO(visit(format="csv").content.decode())))
    assert len(rows) == 24
    for row in rows:
        scores = [int(value) for name, value in row.items() if name.startswith("scores_")]
        assert sum(scores) == int(row["subjects"])
    bins = list(csv.DictReader(io.StringIO(visit(format="csv", table="reliability").content.decode())))
    counted = sum(sum(row.subjects) for row in ReliabilityCount.objects.all())
    assert sum(int(row["subjects"]) for row in bins) == counted


def test_an_earlier_policy_can_be_looked_at_and_the_champions_newest_comes_first(
    visit: Open, policy: RoutingPolicy
) -> None:
    newer = make_policy(policy.model_version, number=2)
    make_drift(policy)
    assert visit(format="json").json()["policy"] == newer.number
    assert visit(format="json", policy=policy.pk).json()["policy"] == policy.number
    assert visit(policy="nonsense").status_code == 200


def test_more_nights_cost_no_more_statements(visit: Open, policy: RoutingPolicy) -> None:
    make_drift(policy, nights=9)
    visit()
    with CaptureQueriesContext(connection) as few:
        visit()
    make_drift(make_policy(policy.model_version, number=2), nights=60)
    with CaptureQueriesContext(connection) as many:
        visit()
    assert len(many) == len(few)


def test_only_the_projects_scientists_may_look(client: Client, workflow: Workflow, policy: RoutingPolicy) -> None:
    address = f"/projects/{workflow.project.slug}/workflows/{workflow.pk}"
    (subject,) = factories.publish(workflow)
    pages = ["drift/", "oddest/", f"results/{subject.pk}/similar/", f"results/{subject.pk}/picture/"]
    assert {client.get(f"{address}/{page}").status_code for page in pages} == {403}
