"""The volunteers' page: everybody's skill in bits, who is not heard and why, what is mistaken for what."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from esocs.crowd.models import Skill, SkillEpoch
from esocs.projects.models import Workflow
from esocs.web.volunteers import explain_not_heard
from tests.support import factories
from tests.web.crowd import make_voted

pytestmark = pytest.mark.django_db


@pytest.fixture
def workflow() -> Workflow:
    workflow, _subjects = make_voted(names=["volunteer-17"])
    return workflow


def page_of(workflow: Workflow) -> str:
    return f"/projects/{workflow.project.slug}/workflows/{workflow.pk}/volunteers/"


def read(client: Client, workflow: Workflow, query: str = "", **headers: str) -> str:
    answer = client.get(page_of(workflow) + query, headers=headers)
    assert answer.status_code == 200
    return answer.content.decode()


def names(body: str) -> list[str]:
    return re.findall(r'<th scope="row" class="who">([^<]*)</th>', body)


def test_everybody_stands_with_answers_bits_and_a_name(client: Client, workflow: Workflow) -> None:
    client.force_login(workflow.project.owner)
    body = read(client, workflow)
    anonymous = list(Skill.objects.filter(volunteer__user=None, volunteer__isnull=False).order_by("volunteer_id"))
    assert set(names(body)) == {"volunteer-17", *(f"anonymous {skill.volunteer_id}" for skill in anonymous)}
    assert "Somebody new" in body
    assert "up to 1.58 bit" in body
    assert body.count('class="range"') == 6
    epoch = SkillEpoch.objects.get(workflow=workflow, current=True)
    assert f"<dd>{epoch.number} <small>" in body
    assert "Hierarchical skill" in body


def test_the_page_says_who_is_not_heard_and_why(client: Client, workflow: Workflow) -> None:
    Skill.objects.filter(volunteer__user__isnull=False).update(muted=True, upper_bits=0.01)
    client.force_login(workflow.project.owner)
    body = read(client, workflow, "?shown=unheard")
    assert names(body) == ["volunteer-17"]
    assert "they tell less than 0.02 bit each" in body


def test_volunteers_are_filtered_and_sorted(client: Client, workflow: Workflow) -> None:
    client.force_login(workflow.project.owner)
    assert names(read(client, workflow, "?shown=named")) == ["volunteer-17"]
    assert len(names(read(client, workflow, "?shown=anonymous"))) == 5
    best, worst = names(read(client, workflow, "?sort=bits")), names(read(client, workflow, "?sort=least"))
    assert set(best) == set(worst)
    assert best[0] == worst[-1]
    assert names(read(client, workflow, "?sort=%27;--&shown=x&question=T9&page=x")) != []


def test_an_htmx_request_gets_the_table_alone(client: Client, workflow: Workflow) -> None:
    client.force_login(workflow.project.owner)
    body = read(client, workflow, "?shown=named", **{"HX-Request": "true"})
    assert "<html" not in body
    assert names(body) == ["volunteer-17"]


def test_mistakes_stand_in_a_matrix_of_percents_that_add_up(client: Client, workflow: Workflow) -> None:
    client.force_login(workflow.project.owner)
    table = read(client, workflow).split('<table class="confusion">')[1].split("</table>")[0]
    rows = [[float(p) for p in re.findall(r'shade-\d+">([\d.]+)<', row)] for row in table.split("<tr>")[2:]]
    assert [len(row) for row in rows] == [3, 3, 3]
    assert all(sum(row) == pytest.approx(100, abs=0.2) for row in rows)
    assert all(row[i] == max(row) for i, row in enumerate(rows))


def test_before_anybody_has_answered_there_is_only_somebody_new(client: Client) -> None:
    workflow = factories.make_workflow()
    client.force_login(workflow.project.owner)
    assert "Nobody has been asked yet" in read(client, workflow)
    factories.make_subject(workflow.project, published_in=workflow)
    body = read(client, workflow)
    assert "too few classifications to tell skill from luck" in body
    assert "70.0 %" in body


def test_the_page_takes_as_many_statements_for_many_volunteers_as_for_few(client: Client, workflow: Workflow) -> None:
    client.force_login(workflow.project.owner)
    read(client, workflow)
    with CaptureQueriesContext(connection) as few:
        read(client, workflow, "?shown=named")
    with CaptureQueriesContext(connection) as many:
        read(client, workflow)
    assert len(many) == len(few) <= 14


def test_a_hostile_name_stays_text(client: Client, workflow: Workflow) -> None:
    user = Skill.objects.filter(volunteer__user__isnull=False).first().volunteer.user
    user.display_name = '"><img src=x onerror=alert(1)>'
    user.save()
    client.force_login(workflow.project.owner)
    body = read(client, workflow)
    assert "<img src=x" not in body
    assert "&quot;&gt;&lt;img src=x" in body


def test_volunteers_themselves_do_not_see_the_page(client: Client, workflow: Workflow) -> None:
    assert client.get(page_of(workflow)).status_code == 403
    client.force_login(factories.make_user())
    assert client.get(page_of(workflow)).status_code == 403


def test_a_changed_mode_is_announced_until_the_next_fit(client: Client, workflow: Workflow) -> None:
    workflow.consensus_mode = "majority"
    workflow.save()
    client.force_login(workflow.project.owner)
    assert "from the next fit: Majority vote" in read(client, workflow)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"gold_seen": 20, "gold_right": 3, "answers_fitted": 40, "upper_bits": 1.0}, "Right on 3 of 20 subjects"),
        ({"answers_fitted": 400, "upper_bits": 0.01}, "After 400 answers"),
        ({"answers_fitted": 30, "upper_bits": 1.2}, "less often than chance"),
    ],
)
def test_each_reason_for_not_being_heard_has_its_sentence(row: dict[str, float], sentence: str) -> None:
    assert sentence in explain_not_heard(Skill(muted=True, **row), n_answers=4)
