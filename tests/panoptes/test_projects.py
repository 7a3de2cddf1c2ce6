"""GET /api/projects and /api/projects/:id."""

from __future__ import annotations

import pytest
from django.test import Client

from esocs.projects.models import Project, ProjectRole, Subject, Workflow
from esocs.projects.services import add_role
from tests.panoptes.bodies import bearer, classification, error_of, send
from tests.support.factories import make_project, make_user, make_workflow

pytestmark = pytest.mark.django_db


def test_a_project_is_answered_in_an_array_with_string_ids_and_every_link(
    client: Client, workflow: Workflow, subject: Subject
) -> None:
    inactive = make_workflow(workflow.project)
    Workflow.objects.filter(pk=inactive.pk).update(active=False)
    send(client, classification(workflow, subject))
    project = workflow.project
    answer = client.get(f"/api/projects/{project.pk}")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/vnd.api+json; version=1"
    assert answer["ETag"].startswith('W/"')
    body = answer.json()
    assert set(body) == {"projects", "links", "meta"}
    [document] = body["projects"]
    assert (document["id"], document["slug"]) == (str(project.pk), project.slug)
    assert (document["subjects_count"], document["classifications_count"]) == (1, 1)
    links = document["links"]
    assert links["workflows"] == [str(workflow.pk), str(inactive.pk)]
    assert links["active_workflows"] == [str(workflow.pk)]
    assert links["owner"] == {
        "id": str(project.owner_id),
        "type": "users",
        "href": f"/users/{project.owner_id}",
        "display_name": str(project.owner),
    }
    assert len(links["subject_sets"]) == 2
    assert len(links["project_roles"]) == 1
    assert links["pages"] == []


def test_a_project_is_found_by_its_slug_in_any_case(client: Client) -> None:
    project = make_project(display_name="Round Things")
    make_project()
    found = client.get("/api/projects", {"slug": project.slug.upper()}).json()
    assert [document["id"] for document in found["projects"]] == [str(project.pk)]
    assert found["meta"]["projects"]["count"] == 1


def test_projects_are_searched_by_the_words_of_their_names(client: Client) -> None:
    wanted = make_project(display_name="Mergers of the south")
    make_project(display_name="Southern stars")
    found = client.get("/api/projects", {"search": "south merg"}).json()["projects"]
    assert [document["id"] for document in found] == [str(wanted.pk)]


def test_pages_are_linked_by_addresses_that_repeat_the_filters(client: Client) -> None:
    for n in range(5):
        make_project(display_name=f"Page {n}")
    first = client.get("/api/projects", {"page_size": "2", "search": "Page"}).json()
    meta = first["meta"]["projects"]
    assert (meta["page"], meta["page_size"], meta["count"], meta["page_count"]) == (1, 2, 5, 3)
    assert meta["previous_href"] is None
    assert meta["next_href"] == "/projects?page_size=2&search=Page&page=2"
    seen = [document["id"] for document in first["projects"]]
    href = meta["next_href"]
    while href:
        body = client.get(f"/api{href}").json()
        seen += [document["id"] for document in body["projects"]]
        href = body["meta"]["projects"]["next_href"]
    assert len(seen) == len(set(seen)) == 5


def test_the_page_after_the_last_is_empty(client: Client) -> None:
    make_project()
    assert client.get("/api/projects", {"page": "7"}).json()["projects"] == []


def test_a_listing_costs_the_same_few_statements_for_any_number_of_projects(
    client: Client, django_assert_max_num_queries: object
) -> None:
    for _ in range(4):
        make_workflow()
    with django_assert_max_num_queries(6):  # type: ignore[operator]
        client.get("/api/projects")


@pytest.mark.parametrize("hidden", [{"live": False}, {"private": True}])
def test_a_closed_project_is_shown_to_its_people_only(client: Client, hidden: dict[str, bool]) -> None:
    project = make_project()
    Project.objects.filter(pk=project.pk).update(**hidden)
    tester, stranger = make_user(), make_user()
    add_role(project=project, user=tester, role=ProjectRole.Role.TESTER)
    staff = make_user()
    staff.is_staff = True
    path = f"/api/projects/{project.pk}"
    assert error_of(client.get(path)) == (404, "not_found")
    assert error_of(client.get(path, headers=bearer(stranger))) == (404, "not_found")
    for person in (project.owner, tester, staff):
        assert client.get(path, headers=bearer(person)).status_code == 200
        assert client.get("/api/projects", headers=bearer(person)).json()["projects"]
    assert client.get("/api/projects").json()["projects"] == []


@pytest.mark.parametrize("pk", ["999999", "99999999999999999999999", "0"])
def test_an_unknown_project_is_not_found(client: Client, pk: str) -> None:
    status, code = error_of(client.get(f"/api/projects/{pk}"))
    assert (status, code) in {(404, "not_found"), (422, "invalid_request")}


@pytest.mark.parametrize("query", ["page=x", "page=0", "page_size=-1", "page_size=1.5", "id=1,x", "slug=%00"])
def test_a_parameter_of_the_wrong_kind_is_refused(client: Client, query: str) -> None:
    assert error_of(client.get(f"/api/projects?{query}")) == (422, "invalid_request")


def test_an_unchanged_answer_is_not_sent_again(client: Client) -> None:
    path = f"/api/projects/{make_project().pk}"
    etag = client.get(path)["ETag"]
    again = client.get(path, headers={"If-None-Match": etag})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", etag)
    assert client.get(path, headers={"If-None-Match": 'W/"other"'}).status_code == 200


@pytest.mark.parametrize("accept", ["application/vnd.api+json; version=1", "application/json", "text/html", "*/*", "x"])
def test_every_accept_header_gets_the_answer(client: Client, accept: str) -> None:
    answer = client.get("/api/projects", headers={"Accept": accept})
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/vnd.api+json; version=1")
