"""The pages through Django's test client: who gets which page, and what is on it."""

from __future__ import annotations

import json
import re

import pytest
from django.test import Client

from esocs.accounts.models import Volunteer
from esocs.projects.models import Project, ProjectRole, Workflow
from esocs.projects.services import add_role
from tests.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def workflow() -> Workflow:
    workflow = factories.make_workflow(factories.make_project(owner=factories.make_user("owner")))
    for _ in range(3):
        factories.make_subject(workflow.project, published_in=workflow)
    return workflow


def log_in(client: Client, login: str) -> None:
    answer = client.post("/log-in/", {"login": login, "password": factories.PASSWORD})
    assert answer.status_code == 302


def addresses(workflow: Workflow) -> list[str]:
    project = f"/projects/{workflow.project.slug}/"
    return [
        f"{project}workflows/{workflow.pk}/results/",
        f"{project}workflows/{workflow.pk}/results/{workflow.project.subjects.first().pk}/",
        f"{project}exports/",
        f"{project}operations/",
    ]


def test_the_front_page_lists_open_projects_only(client: Client, workflow: Workflow) -> None:
    closed = factories.make_project(live=False)
    body = client.get("/").content.decode()
    assert workflow.project.display_name in body
    assert closed.display_name not in body


def test_a_closed_project_is_shown_to_its_people_alone(client: Client) -> None:
    project = factories.make_project(owner=factories.make_user("keeper"), live=False)
    assert client.get(f"/projects/{project.slug}/").status_code == 404
    log_in(client, "keeper")
    assert client.get(f"/projects/{project.slug}/").status_code == 200


def test_every_page_is_under_the_content_policy(client: Client, workflow: Workflow) -> None:
    for address in ("/", "/sign-up/", "/log-in/", f"/projects/{workflow.project.slug}/"):
        policy = client.get(address)["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy


def test_no_page_carries_inline_script_or_style(client: Client, workflow: Workflow) -> None:
    log_in(client, "owner")
    project = f"/projects/{workflow.project.slug}/"
    of_workflow = [f"{project}workflows/{workflow.pk}/{name}/" for name in ("review", "volunteers", "retirement")]
    pages = [
        "/",
        "/sign-up/",
        project,
        f"{project}workflows/{workflow.pk}/classify/",
        *of_workflow,
        *addresses(workflow),
    ]
    for address in pages:
        body = client.get(address).content.decode()
        scripts = re.findall(r"<script(?![^>]*(?:src=|application/json))[^>]*>", body)
        assert scripts == [], address
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=", body), address


def test_the_classify_page_carries_its_workflow_and_a_volunteer(client: Client, workflow: Workflow) -> None:
    answer = client.get(f"/projects/{workflow.project.slug}/workflows/{workflow.pk}/classify/")
    found = re.search(r'<script id="classify-data" type="application/json">(.*?)</script>', answer.content.decode())
    assert found is not None
    data = json.loads(found.group(1))
    assert data["workflow"]["id"] == str(workflow.pk)
    assert data["workflow"]["version"] == "1.1"
    assert data["workflow"]["tasks"] == workflow.tasks
    assert data["queue"]["depth"] - data["queue"]["refill_from"] >= 3
    assert data["queue"]["decode_ahead"] >= 2
    assert answer.cookies["csrftoken"].value
    assert Volunteer.objects.filter(user=None).count() == 1


def test_the_addresses_in_the_classify_page_are_those_of_the_programs_door(client: Client, workflow: Workflow) -> None:
    from esocs.web.views.classify import CLASSIFICATIONS_URL, QUEUE_URL

    queue = client.get(QUEUE_URL, {"workflow_id": workflow.pk, "held": ""})
    assert len(queue.json()["subjects"]) == 3
    assert client.post(CLASSIFICATIONS_URL, data="{}", content_type="application/json").status_code == 422


def test_scripts_in_a_question_stay_text(client: Client, workflow: Workflow) -> None:
    workflow.strings["T0.question"] = "</script><script>alert(1)</script>"
    workflow.save()
    body = client.get(f"/projects/{workflow.project.slug}/workflows/{workflow.pk}/classify/").content.decode()
    assert "<script>alert(1)" not in body


@pytest.mark.parametrize("role", ["", ProjectRole.Role.TESTER, ProjectRole.Role.MODERATOR])
def test_results_are_closed_to_volunteers(client: Client, workflow: Workflow, role: str) -> None:
    for address in addresses(workflow):
        assert client.get(address).status_code == 403
    user = factories.make_user("somebody")
    if role:
        add_role(project=workflow.project, user=user, role=role)
    log_in(client, "somebody")
    for address in addresses(workflow):
        assert client.get(address).status_code == 403


def test_experts_review_and_do_not_operate(client: Client, workflow: Workflow) -> None:
    add_role(project=workflow.project, user=factories.make_user("expert"), role=ProjectRole.Role.EXPERT)
    log_in(client, "expert")
    assert [client.get(address).status_code for address in addresses(workflow)] == [200, 200, 403, 403]


def test_owners_and_staff_see_every_page(client: Client, workflow: Workflow) -> None:
    staff = factories.make_user("operator")
    staff.is_staff = True
    staff.save()
    for login in ("owner", "operator"):
        log_in(client, login)
        assert {client.get(address).status_code for address in addresses(workflow)} == {200}


def test_a_subject_of_another_workflow_is_not_found(client: Client, workflow: Workflow) -> None:
    stranger = factories.make_workflow(factories.make_project())
    subject = factories.make_subject(stranger.project, published_in=stranger)
    log_in(client, "owner")
    results = f"/projects/{workflow.project.slug}/workflows/{workflow.pk}/results/"
    assert client.get(f"{results}{subject.pk}/").status_code == 404
    foreign = f"/projects/{workflow.project.slug}/workflows/{stranger.pk}/results/"
    assert client.get(foreign).status_code == 404


def test_filters_that_make_no_sense_are_left_out(client: Client, workflow: Workflow) -> None:
    log_in(client, "owner")
    query = {"route": "nowhere", "state": "'; --", "answer": "-1", "subject": "9" * 40, "after": "x", "flagged": "2"}
    answer = client.get(addresses(workflow)[0], query)
    assert answer.status_code == 200
    assert answer.content.decode().count('scope="row"') == 3


def test_an_htmx_request_gets_the_table_alone(client: Client, workflow: Workflow) -> None:
    log_in(client, "owner")
    body = client.get(addresses(workflow)[0], headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in body
    assert 'id="results-table"' in body


def test_results_are_paged_by_id(client: Client, workflow: Workflow) -> None:
    for _ in range(30):
        factories.make_subject(workflow.project, published_in=workflow)
    log_in(client, "owner")
    first = client.get(addresses(workflow)[0]).content.decode()
    found = re.search(r"after=(\d+)", first)
    assert found is not None
    second = client.get(addresses(workflow)[0], {"after": found.group(1)}).content.decode()
    assert (first.count('scope="row"'), second.count('scope="row"')) == (25, 8)
    assert "Next page" not in second


def test_the_results_page_takes_as_many_statements_for_many_subjects_as_for_few(
    client: Client, workflow: Workflow, django_assert_max_num_queries: object
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    log_in(client, "owner")
    client.get(addresses(workflow)[0])
    with CaptureQueriesContext(connection) as few:
        client.get(addresses(workflow)[0])
    for _ in range(20):
        factories.make_subject(workflow.project, published_in=workflow)
    with CaptureQueriesContext(connection) as many:
        client.get(addresses(workflow)[0])
    assert len(many) == len(few) <= 24


def test_an_export_is_ordered_once_however_often_the_button_is_pressed(client: Client, workflow: Workflow) -> None:
    from esocs.releases.models import Export

    log_in(client, "owner")
    order = {"kind": "classifications", "workflow": str(workflow.pk)}
    for _ in range(3):
        answer = client.post(f"/projects/{workflow.project.slug}/exports/request/", order)
        assert answer.status_code == 302
    assert Export.objects.count() == 1
    export = Export.objects.get()
    file = f"/projects/{workflow.project.slug}/exports/{export.pk}/file/"
    assert client.get(file).status_code == 404, "it is not ready"


def test_a_foreign_export_is_not_found(client: Client, workflow: Workflow) -> None:
    from esocs.releases.services import request_export

    other: Project = factories.make_project()
    export = request_export(project=other, kind="workflows")
    log_in(client, "owner")
    assert client.get(f"/projects/{workflow.project.slug}/exports/{export.pk}/").status_code == 404
