"""What the writing half of the API refuses, and with which words: unknown fields, foreign ids, stale tags."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from esocs.accounts.models import User
from esocs.projects.editing import set_roles
from esocs.projects.models import Collection, Project, ProjectRole, Subject, SubjectSet, Tutorial, Workflow
from esocs.projects.models import ProjectPreference as Preference
from tests.panoptes.bodies import bearer, error_of
from tests.support.factories import make_project, make_subject, make_user, make_workflow

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(db: None) -> Project:
    return make_project()


@pytest.fixture
def owner(project: Project) -> dict[str, str]:
    return bearer(project.owner)


def send(client: Client, method: str, path: str, body: Any = None, **headers: str) -> Any:
    text = body if isinstance(body, str | bytes) else json.dumps(body)
    return getattr(client, method)(f"/api{path}", text, content_type="application/json", headers=headers)


def subject_set_of(project: Project, **changes: Any) -> dict[str, Any]:
    return {"subject_sets": {"display_name": "A", "links": {"project": str(project.pk)}} | changes}


# --- bodies -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"surprise": 1}, "Additional properties are not allowed ('surprise' was unexpected)"),
        ({"display_name": 5}, "subject_sets/display_name: 5 is not of type 'string'"),
        ({"display_name": ""}, "subject_sets/display_name"),
        ({"display_name": "x" * 201}, "is too long"),
        ({"metadata": []}, "subject_sets/metadata: [] is not of type 'object'"),
        ({"links": {"project": "1", "owner": "2"}}, "('owner' was unexpected)"),
        ({"links": {"project": "one"}}, "subject_sets/links/project"),
        ({"links": {"project": -1}}, "subject_sets/links/project"),
        ({"links": {"project": True}}, "subject_sets/links/project"),
        ({"links": {}}, "'project' is a required property"),
    ],
)
def test_a_body_that_breaks_the_schema_is_refused_with_its_place(
    client: Client, project: Project, owner: dict[str, str], changes: dict[str, Any], said: str
) -> None:
    answer = send(client, "post", "/subject_sets", subject_set_of(project, **changes), **owner)
    assert error_of(answer) == (422, "invalid_request")
    assert said in answer.json()["errors"][0]["message"]
    assert not SubjectSet.objects.exists()


@pytest.mark.parametrize(
    "body", ["[]", "5", '{"projects": {}}', '{"subject_sets": []}', "{}", '{"subject_sets": null}']
)
def test_a_body_in_another_frame_is_refused(client: Client, owner: dict[str, str], body: str) -> None:
    assert error_of(send(client, "post", "/subject_sets", body, **owner)) == (422, "invalid_request")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed_request"),
        (b"\xff\xfe", 400, "malformed_request"),
        (b'{"subject_sets": {"display_name": NaN}}', 400, "malformed_request"),
        (b'{"subject_sets": {"display_name": "\\u0000"}}', 400, "malformed_request"),
        (b'{"subject_sets": ' + b"[" * 100_000, 400, "malformed_request"),
        (b'"' + b"x" * 1_000_001 + b'"', 413, "request_too_large"),
    ],
)
def test_a_body_that_is_no_json_or_too_large_is_refused(
    client: Client, owner: dict[str, str], body: bytes, status: int, code: str
) -> None:
    assert error_of(send(client, "post", "/subject_sets", body, **owner)) == (status, code)


def test_a_body_of_another_type_is_refused(client: Client, owner: dict[str, str]) -> None:
    answer = client.post("/api/subject_sets", "display_name=A", content_type="text/plain", headers=owner)
    assert error_of(answer) == (415, "unsupported_media_type")


def test_patch_is_refused(client: Client, project: Project, owner: dict[str, str]) -> None:
    answer = send(client, "patch", f"/projects/{project.pk}", {"projects": {}}, **owner)
    assert error_of(answer) == (405, "method_not_allowed")


# --- who ----------------------------------------------------------------------------------------------------------


def test_making_wants_somebody_signed_in_and_in_the_project(client: Client, project: Project) -> None:
    body = subject_set_of(project)
    assert error_of(send(client, "post", "/subject_sets", body)) == (401, "not_signed_in")
    assert error_of(send(client, "post", "/subject_sets", body, **bearer(make_user()))) == (403, "forbidden")
    expert = make_user()
    set_roles(project=project, user=expert, roles=["expert"])
    assert error_of(send(client, "post", "/subject_sets", body, **bearer(expert))) == (403, "forbidden")
    set_roles(project=project, user=expert, roles=["collaborator"])
    assert send(client, "post", "/subject_sets", body, **bearer(expert)).status_code == 201


def test_what_is_in_a_closed_project_does_not_exist_for_others(client: Client, project: Project) -> None:
    workflow, subject = make_workflow(project), make_subject(project)
    subject_set = workflow.subject_sets.get()
    tutorial = Tutorial.objects.create(project=project)
    Project.objects.update(live=False)
    stranger = bearer(make_user())
    for path in (
        f"/projects/{project.pk}",
        f"/workflows/{workflow.pk}",
        f"/workflows/{workflow.pk}/versions",
        f"/subject_sets/{subject_set.pk}",
        f"/subjects/{subject.pk}",
        f"/tutorials/{tutorial.pk}",
    ):
        assert error_of(client.get(f"/api{path}", headers=stranger)) == (404, "not_found"), path
    for path in (
        f"/subject_sets?project_id={project.pk}",
        f"/set_member_subjects?subject_set_id={subject_set.pk}",
        f"/workflow_versions?workflow_id={workflow.pk}",
        f"/project_roles?project_id={project.pk}",
        f"/subjects?project_id={project.pk}",
        "/subject_workflow_statuses",
        "/tutorials",
        "/field_guides",
    ):
        answer = client.get(f"/api{path}", headers=stranger)
        assert answer.status_code == 200
        [rows] = [value for name, value in answer.json().items() if name not in {"links", "meta"}]
        assert rows == [], path
    path = f"/translations?translated_type=workflow&translated_id={workflow.pk}"
    assert error_of(client.get(f"/api{path}", headers=stranger)) == (404, "not_found")
    body = {"subject_ids": [str(subject.pk)]}
    path = f"/workflows/{workflow.pk}/retired_subjects"
    assert error_of(send(client, "post", path, body, **stranger)) == (404, "not_found")


def test_an_altered_token_changes_nothing(client: Client, project: Project, owner: dict[str, str]) -> None:
    forged = {"Authorization": owner["Authorization"][:-4] + "AAAA"}
    answer = send(client, "post", "/subject_sets", subject_set_of(project), **forged)
    assert error_of(answer) == (401, "token_invalid")


def test_private_collections_are_their_owners(client: Client, project: Project, owner: dict[str, str]) -> None:
    mine = Collection.objects.create(owner=project.owner, display_name="Mine", slug="o/mine", private=True)
    stranger = bearer(make_user())
    assert error_of(client.get(f"/api/collections/{mine.pk}", headers=stranger)) == (404, "not_found")
    Collection.objects.update(private=False)
    shown = client.get(f"/api/collections/{mine.pk}", headers=stranger)
    answer = send(client, "delete", f"/collections/{mine.pk}", **stranger, **{"If-Match": shown["ETag"]})
    assert error_of(answer) == (403, "forbidden")


def test_preferences_are_ones_own(client: Client, project: Project, owner: dict[str, str]) -> None:
    other = make_user()
    row = Preference.objects.create(project=project, user=other)
    assert error_of(client.get(f"/api/project_preferences/{row.pk}", headers=owner)) == (404, "not_found")
    body = {"project_preferences": {"links": {"project": str(project.pk), "user": str(other.pk)}}}
    assert error_of(send(client, "post", "/project_preferences", body, **owner)) == (403, "forbidden")
    settings = {"project_preferences": {"user_id": other.pk, "project_id": project.pk, "settings": {}}}
    path = "/project_preferences/update_settings"
    assert error_of(send(client, "post", path, settings, **bearer(other))) == (403, "forbidden")


def test_addresses_of_others_are_not_told(client: Client) -> None:
    somebody: User = make_user(email="somebody@example.org")
    asker = bearer(make_user())
    [shown] = client.get(f"/api/users/{somebody.pk}", headers=asker).json()["users"]
    assert "email" not in shown
    assert error_of(client.get("/api/users?email=somebody@example.org", headers=asker)) == (403, "forbidden")


# --- which state --------------------------------------------------------------------------------------------------


def test_a_change_must_say_which_state_it_is_about(client: Client, project: Project, owner: dict[str, str]) -> None:
    path, body = f"/projects/{project.pk}", {"projects": {"description": "New."}}
    assert error_of(send(client, "put", path, body, **owner)) == (428, "precondition_required")
    assert error_of(send(client, "delete", path, **owner)) == (428, "precondition_required")
    seen = client.get(f"/api{path}", headers=owner)["ETag"]
    changed = send(client, "put", path, body, **owner, **{"If-Match": seen})
    assert changed.status_code == 200
    assert error_of(send(client, "put", path, body, **owner, **{"If-Match": seen})) == (412, "precondition_failed")
    for tag in ('W/"0"', "nonsense", '""'):
        assert error_of(send(client, "put", path, body, **owner, **{"If-Match": tag})) == (412, "precondition_failed")
    again = send(client, "put", path, body, **owner, **{"If-Match": f'"other", {changed["ETag"]}'})
    assert again.status_code == 200
    assert send(client, "put", path, body, **owner, **{"If-Match": "*"}).status_code == 200


def test_the_tag_of_one_resource_is_not_good_for_another(
    client: Client, project: Project, owner: dict[str, str]
) -> None:
    first, second = (SubjectSet.objects.create(project=project, display_name=name) for name in "AB")
    tag = client.get(f"/api/subject_sets/{first.pk}", headers=owner)["ETag"]
    body = {"subject_sets": {"display_name": "C"}}
    answer = send(client, "put", f"/subject_sets/{second.pk}", body, **owner, **{"If-Match": tag})
    assert error_of(answer) == (412, "precondition_failed")


# --- foreign ids --------------------------------------------------------------------------------------------------


def test_ids_of_other_projects_are_refused(client: Client, project: Project, owner: dict[str, str]) -> None:
    workflow = make_workflow(project)
    own_set = workflow.subject_sets.get()
    foreign = make_workflow()
    foreign_set, foreign_subject = foreign.subject_sets.get(), make_subject(foreign.project)
    links = {"project": str(project.pk)}
    for path, body in (
        (f"/subject_sets/{own_set.pk}/links/subjects", {"subjects": [str(foreign_subject.pk)]}),
        (f"/subject_sets/{own_set.pk}/links/subjects", {"subjects": ["999999"]}),
        (f"/workflows/{workflow.pk}/links/subject_sets", {"subject_sets": [str(foreign_set.pk)]}),
        ("/subject_sets", subject_set_of(project, links={**links, "workflows": [str(foreign.pk)]})),
        ("/subjects", {"subjects": {"locations": ["image/png"], "links": {**links, "subject_sets": [foreign_set.pk]}}}),
        (
            "/tutorials",
            {"tutorials": {"steps": [], "language": "en", "links": {**links, "workflows": [str(foreign.pk)]}}},
        ),
    ):
        assert error_of(send(client, "post", path, body, **owner)) == (422, "not_in_project"), path
    assert not own_set.members.exists()
    assert SubjectSet.objects.count() == 2
    assert Subject.objects.count() == 1


@pytest.mark.parametrize(
    "body", [{}, {"subjects": "one"}, {"subjects": [[]]}, {"workflows": ["1"]}, [], {"subjects": {}}]
)
def test_links_are_lists_of_ids(client: Client, project: Project, owner: dict[str, str], body: Any) -> None:
    own_set = SubjectSet.objects.create(project=project, display_name="A")
    answer = send(client, "post", f"/subject_sets/{own_set.pk}/links/subjects", body, **owner)
    assert error_of(answer) == (422, "invalid_request")


# --- rules --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"tasks": {"T0": []}}, "invalid_workflow"),
        ({"tasks": {"T0": {"type": "single", "answers": ["Yes"]}}}, "invalid_workflow"),
        ({"tasks": {"T0": {"type": 5}}}, "invalid_workflow"),
        ({"retirement": {"criteria": "never"}}, "invalid_retirement"),
        ({"retirement": {"criteria": "classification_count", "options": {"count": "many"}}}, "invalid_retirement"),
        ({"version": "3.1"}, "invalid_request"),
        ({"classifications_count": 3}, "invalid_request"),
        ({"links": {"tutorial_subject": "999999"}}, "not_in_project"),
    ],
)
def test_a_workflow_that_makes_no_sense_is_refused(
    client: Client, owner: dict[str, str], project: Project, changes: dict[str, Any], code: str
) -> None:
    workflow = make_workflow(project, active=False)
    path = f"/workflows/{workflow.pk}"
    tag = client.get(f"/api{path}", headers=owner)["ETag"]
    answer = send(client, "put", path, {"workflows": changes}, **owner, **{"If-Match": tag})
    assert error_of(answer) == (422, code)


def test_a_name_that_is_taken_is_refused(client: Client, project: Project, owner: dict[str, str]) -> None:
    assert send(client, "post", "/subject_sets", subject_set_of(project), **owner).status_code == 201
    assert error_of(send(client, "post", "/subject_sets", subject_set_of(project), **owner)) == (422, "name_taken")
    body = {"workflows": {"display_name": "W", "primary_language": "en", "links": {"project": str(project.pk)}}}
    assert send(client, "post", "/workflows", body, **owner).status_code == 201
    assert error_of(send(client, "post", "/workflows", body, **owner)) == (422, "name_taken")
    body = {"projects": {"display_name": project.display_name.upper()}}
    assert error_of(send(client, "post", "/projects", body, **owner)) == (409, "project_exists")


def test_roles_are_given_and_taken_but_never_the_owners(
    client: Client, project: Project, owner: dict[str, str]
) -> None:
    helper = make_user()
    body = {"project_roles": {"roles": ["expert"], "links": {"project": str(project.pk), "user": str(helper.pk)}}}
    [made] = send(client, "post", "/project_roles", body, **owner).json()["project_roles"]
    assert made["links"]["owner"]["type"] == "users"
    path = f"/project_roles/{made['id']}"
    change = {"project_roles": {"roles": ["tester", "collaborator"]}}
    [changed] = send(client, "put", path, change, **owner).json()["project_roles"]
    assert (changed["id"], changed["roles"]) == (made["id"], ["collaborator", "tester"])
    [shown] = client.get(f"/api/projects/{project.pk}", headers=owner).json()["projects"]
    assert made["id"] in shown["links"]["project_roles"]
    assert len(shown["links"]["project_roles"]) == 2
    assert send(client, "delete", path, **owner).status_code == 204
    assert not ProjectRole.objects.filter(user=helper).exists()
    first = ProjectRole.objects.get(user=project.owner)
    assert error_of(send(client, "delete", f"/project_roles/{first.pk}", **owner)) == (422, "role_invalid")
    body["project_roles"]["roles"] = ["owner"]
    assert error_of(send(client, "post", "/project_roles", body, **owner)) == (422, "invalid_request")


def test_a_change_of_order_is_followed_by_the_queue(client: Client, project: Project, owner: dict[str, str]) -> None:
    workflow = make_workflow(project, active=False)
    subjects = [make_subject(project, published_in=workflow, metadata={"#priority": n}) for n in (3, 1, 2)]
    own_set = workflow.subject_sets.get()
    for subject, place in zip(subjects, (3, 1, 2), strict=True):
        own_set.members.filter(subject=subject).update(priority=place)
    path = f"/workflows/{workflow.pk}"
    for change in ({"prioritized": True}, {"active": True}):
        tag = client.get(f"/api{path}", headers=owner)["ETag"]
        assert send(client, "put", path, {"workflows": change}, **owner, **{"If-Match": tag}).status_code == 200
    queued = client.get(f"/api/subjects/queued?workflow_id={workflow.pk}").json()["subjects"]
    assert [each["metadata"]["#priority"] for each in queued] == [1, 2, 3]


def test_pages_lead_to_each_other_below_api_with_their_filters(
    client: Client, project: Project, owner: dict[str, str]
) -> None:
    own_set = SubjectSet.objects.create(project=project, display_name="A")
    for _ in range(5):
        own_set.members.create(subject=make_subject(project))
    path = f"/set_member_subjects?subject_set_id={own_set.pk}&page_size=2"
    found: list[str] = []
    while path:
        document = client.get(f"/api{path}", headers=owner).json()
        found += [each["links"]["subject"] for each in document["set_member_subjects"]]
        meta = document["meta"]["set_member_subjects"]
        assert (meta["count"], meta["page_size"], meta["page_count"]) == (5, 2, 3)
        path = meta["next_href"]
    assert len(set(found)) == 5


def test_a_workflow_made_in_a_live_project_is_inactive(client: Client, project: Project, owner: dict[str, str]) -> None:
    body = {
        "workflows": {
            "display_name": "W",
            "primary_language": "en",
            "active": True,
            "tasks": {"T0": {"type": "text", "instruction": "Describe it."}},
            "links": {"project": str(project.pk)},
        }
    }
    answer = send(client, "post", "/workflows", body, **owner)
    [made] = answer.json()["workflows"]
    assert (answer.status_code, made["active"], made["first_task"]) == (201, False, "T0")
    assert answer["Location"].endswith(f"/api/workflows/{made['id']}")
    assert Workflow.objects.get(pk=made["id"]).strings == {"T0.instruction": "Describe it."}


def test_a_way_of_selection_that_there_is_not_is_refused(
    client: Client, project: Project, owner: dict[str, str]
) -> None:
    workflow = make_workflow(project)
    Workflow.objects.update(active=False)
    path = f"/workflows/{workflow.pk}"
    for selection, expected in (("Panoptes", 422), ("", 422), (None, 422), (["esocs"], 422), ("panoptes", 200)):
        tag = client.get(f"/api{path}", headers=owner)["ETag"]
        body = {"workflows": {"configuration": {"selection": selection}}}
        answer = send(client, "put", path, body, **owner, **{"If-Match": tag})
        assert answer.status_code == expected, answer.content
        if expected == 422:
            assert error_of(answer) == (422, "selection_unknown")
    workflow.refresh_from_db()
    assert workflow.configuration == {"selection": "panoptes"}


# --- accounts -----------------------------------------------------------------------------------------------------


def test_people_change_their_own_account_of_the_state_that_they_saw(client: Client, owner: dict[str, str]) -> None:
    person, other = make_user("vera"), make_user("rubin")
    path, who = f"/users/{person.pk}", bearer(person)
    tag = client.get(f"/api{path}", headers=who)["ETag"]
    sent = {"users": {"display_name": "Vera, 🌀", "email": "vera@example.org"}}
    assert error_of(send(client, "put", path, sent, **who)) == (428, "precondition_required")
    assert error_of(send(client, "put", path, sent)) == (401, "not_signed_in")
    assert error_of(send(client, "put", path, sent, **bearer(other), **{"If-Match": tag})) == (403, "forbidden")
    [document] = send(client, "put", path, sent, **who, **{"If-Match": tag}).json()["users"]
    assert (document["display_name"], document["email"], document["credited_name"]) == (
        "Vera, 🌀", "vera@example.org", person.credited_name,
    )  # fmt: skip
    assert error_of(send(client, "put", path, sent, **who, **{"If-Match": tag})) == (412, "precondition_failed")
    tag = client.get(f"/api{path}", headers=who)["ETag"]
    for body, code in (
        ({"email": "nowhere"}, "account_invalid"),
        ({"display_name": "x" * 121}, "invalid_request"),
        ({"login": "another"}, "invalid_request"),
        ({"admin": True}, "invalid_request"),
        ({"display_name": 5}, "invalid_request"),
    ):
        answer = send(client, "put", path, {"users": body}, **who, **{"If-Match": tag})
        assert error_of(answer) == (422, code), body
    assert error_of(send(client, "delete", path, **who, **{"If-Match": tag})) == (403, "forbidden")


def test_there_are_no_organizations_and_none_can_be_made(client: Client, owner: dict[str, str]) -> None:
    answer = client.get("/api/organizations?project_id=1").json()
    assert (answer["organizations"], answer["meta"]["organizations"]["next_href"]) == ([], None)
    body = {"organizations": {"display_name": "ESO"}}
    assert error_of(send(client, "post", "/organizations", body, **owner)) == (503, "feature_off")
    assert error_of(client.get("/api/organizations/1")) == (404, "unknown_route")
