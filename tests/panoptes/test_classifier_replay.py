"""The requests that Zooniverse's classifier was recorded to send, one by one: what L3 needs without a browser."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from esocs.accounts.models import Volunteer
from esocs.crowd.models import Classification, SubjectStatus
from esocs.panoptes.access import forget_workflows
from esocs.projects.community import create_translation, create_tutorial
from esocs.projects.models import FieldGuide, Subject, Workflow
from tests.panoptes.bodies import bearer
from tests.support.factories import make_subject, make_tree_workflow, make_user

pytestmark = pytest.mark.django_db

ORIGIN = "https://classifier.example.org"
ACCEPT = "application/vnd.api+json; version=1"


@pytest.fixture(autouse=True)
def _allowed(settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]


@pytest.fixture
def workflow(db: None) -> Workflow:
    forget_workflows()
    return make_tree_workflow(retirement={"criteria": "classification_count", "options": {"count": 3}})


@pytest.fixture
def subject(workflow: Workflow) -> Subject:
    return make_subject(workflow.project, published_in=workflow)


def ask(client: Client, path: str, body: Any = None, **headers: str) -> Any:
    """As the classifier does it: a preflight, then the request, with an empty Authorization for somebody anonymous."""
    method = "GET" if body is None else "POST"
    preflight = client.options(
        path,
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization,content-type,if-match,accept",
        },
    )
    assert preflight.status_code == 200
    assert preflight["Access-Control-Allow-Origin"] == ORIGIN
    assert preflight["Access-Control-Allow-Credentials"] == "true"
    allowed = {name.strip() for name in preflight["Access-Control-Allow-Headers"].split(",")}
    assert {"accept", "authorization", "content-type", "if-match"} <= allowed
    sent = {"Origin": ORIGIN, "Accept": ACCEPT, "Authorization": "", **headers}
    if body is None:
        answer = client.get(path, headers=sent, content_type="application/json")
    else:
        answer = client.post(path, json.dumps(body), content_type="application/json", headers=sent)
    assert answer["Access-Control-Allow-Origin"] == ORIGIN
    exposed = {name.strip() for name in answer["Access-Control-Expose-Headers"].split(",")}
    assert {"ETag", "X-CSRF-Token"} <= exposed
    return answer


def test_an_anonymous_volunteers_session_is_served(client: Client, workflow: Workflow, subject: Subject) -> None:
    project, pk = workflow.project_id, workflow.pk
    tutorial = create_tutorial(project=workflow.project, workflow_ids=[pk], steps=[{"content": "Look."}], language="en")
    guide = FieldGuide.objects.create(project=workflow.project, items=[{"title": "Bar", "content": "A bar."}])
    [shown] = ask(client, f"/api/projects/{project}?http_cache=true").json()["projects"]
    assert shown["links"]["active_workflows"] == [str(pk)]
    fields = "completeness%2Cconfiguration%2Cdisplay_name%2Cgrouped"
    [listed] = ask(client, f"/api/workflows?fields={fields}&id={pk}&http_cache=true").json()["workflows"]
    assert listed["grouped"] is False
    [found] = ask(client, f"/api/field_guides?project_id={project}&http_cache=true").json()["field_guides"]
    assert (found["id"], found["items"][0]["title"]) == (str(guide.pk), "Bar")
    [one] = ask(client, f"/api/workflows/{pk}?http_cache=true").json()["workflows"]
    assert one["version"] == workflow.version
    texts = ask(client, f"/api/translations?language=en&translated_id={pk}&translated_type=workflow&http_cache=true")
    [translation] = texts.json()["translations"]
    assert translation["language"] == "en"
    assert translation["strings"]["display_name"] == workflow.display_name
    assert translation["strings"]["tasks.T0.question"] == "What is it?"
    assert translation["strings"]["tasks.T0.answers.0.label"] == "Smooth"
    assert ask(client, "/api/me?http_cache=true").status_code == 401
    [read] = ask(client, f"/api/tutorials?workflow_id={pk}&http_cache=true").json()["tutorials"]
    assert (read["id"], read["steps"]) == (str(tutorial.pk), [{"content": "Look."}])
    [queued] = ask(client, f"/api/subjects/queued?workflow_id={pk}&http_cache=true").json()["subjects"]
    [[[media_type, address]]] = [location.items() for location in queued["locations"]]
    assert media_type == "image/jpeg"
    assert address.endswith(".jpg")
    body = {
        "classifications": {
            "annotations": [
                {"task": "T0", "taskType": "single", "value": 0},
                {"task": "T2", "taskType": "multiple", "value": [1]},
            ],
            "completed": True,
            "links": {"project": str(project), "subjects": [queued["id"]], "workflow": str(pk)},
            "metadata": {
                "classifier_version": "2.0",
                "feedback": {},
                "finished_at": "2026-11-22T08:06:49.731Z",
                "revision": "Not a git repository.",
                "session": "22b24df485c8f74318e958603173437865d6515b2259a84709181ee466e1da02",
                "source": "api",
                "started_at": "2026-11-22T08:06:42.218Z",
                "subject_dimensions": [
                    {"clientHeight": 882, "clientWidth": 882, "naturalHeight": 32, "naturalWidth": 32}
                ],
                "subject_selection_state": {
                    name: queued[name]
                    for name in (
                        "already_seen",
                        "finished_workflow",
                        "retired",
                        "selected_at",
                        "selection_state",
                        "user_has_finished_workflow",
                    )
                },
                "subject_flagged": False,
                "user_agent": "Mozilla/5.0",
                "user_language": "en",
                "utc_offset": "0",
                "viewport": {"width": 1400, "height": 1000},
                "workflow_version": one["version"],
            },
        }
    }
    assert ask(client, "/api/classifications?http_cache=true", body).status_code == 201
    assert ask(client, "/api/classifications?http_cache=true", body).status_code == 201
    assert Classification.objects.count() == 1


def test_what_somebody_signed_in_asks_beside_is_served(client: Client, workflow: Workflow, subject: Subject) -> None:
    volunteer = make_user("volunteer")
    who, project = bearer(volunteer), workflow.project_id
    path = f"/api/project_preferences?project_id={project}&user_id={volunteer.pk}&http_cache=true"
    assert ask(client, path, **who).json()["project_preferences"] == []
    made = ask(
        client,
        "/api/project_preferences?http_cache=true",
        {"project_preferences": {"links": {"project": str(project)}, "preferences": {}}},
        **who,
    )
    [preference] = made.json()["project_preferences"]
    changed = client.put(
        f"/api/project_preferences/{preference['id']}",
        json.dumps({"project_preferences": {"preferences": {"tutorials_completed_at": {"1": "now"}}}}),
        content_type="application/json",
        headers={"Origin": ORIGIN, "If-Match": made["ETag"], **who},
    )
    assert changed.status_code == 200
    roles = ask(client, f"/api/project_roles?project_id={project}&http_cache=true", **who).json()["project_roles"]
    assert [role["roles"] for role in roles] == [["owner"]]
    assert (
        ask(client, f"/api/users?id={volunteer.pk}&http_cache=true", **who).json()["users"][0]["login"] == "volunteer"
    )
    favourites = {
        "collections": {
            "display_name": "Favorites",
            "favorite": True,
            "private": True,
            "links": {"projects": [str(project)], "subjects": [str(subject.pk)]},
        }
    }
    [kept] = ask(client, "/api/collections?http_cache=true", favourites, **who).json()["collections"]
    query = f"/api/collections?favorite=true&project_ids={project}&owner=volunteer&http_cache=true"
    assert [found["id"] for found in ask(client, query, **who).json()["collections"]] == [kept["id"]]
    assert ask(client, query).json()["collections"] == []
    # A machine's marks to be corrected; a workflow that Caesar does not know has none, which is told as GraphQL does.
    marks = (
        f'{{workflow(id: {workflow.pk}) {{subject_reductions(subjectId: 1, reducerKey: "machineLearnt") {{data}}}}}}'
    )
    told = ask(client, "/graphql", {"query": marks, "variables": None}, **bearer(workflow.project.owner)).json()
    assert told["errors"][0]["extensions"]["code"] == "caesar_workflow_not_found"


def test_texts_in_another_language_come_beside_the_own_ones(client: Client, workflow: Workflow) -> None:
    create_translation(kind="workflow", resource=workflow, language="FR", strings={"tasks.T0.question": "Qu'est-ce ?"})
    path = f"/api/translations?translated_id={workflow.pk}&translated_type=Workflow"
    assert [each["language"] for each in ask(client, path).json()["translations"]] == ["en", "fr"]
    [french] = ask(client, f"{path}&language=fr").json()["translations"]
    assert french["strings"] == {"tasks.T0.question": "Qu'est-ce ?"}
    assert ask(client, f"{path}&language=de").json()["translations"] == []
    own = ask(client, f"{path}&language=en").json()["translations"][0]
    assert ask(client, f"/api{own['href']}").json()["translations"] == [own]


def test_a_page_of_a_site_that_is_not_listed_gets_no_leave(client: Client, workflow: Workflow) -> None:
    answer = client.get(f"/api/projects/{workflow.project_id}", headers={"Origin": "https://elsewhere.example.org"})
    assert answer.status_code == 200
    assert "Access-Control-Allow-Origin" not in answer


def test_errors_are_told_to_pages_of_other_sites_too(client: Client, db: None) -> None:
    answer = ask(client, "/api/projects/999")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, "not_found")


def test_a_grouped_workflow_wants_a_subject_set(client: Client, workflow: Workflow, subject: Subject) -> None:
    Workflow.objects.update(grouped=True)
    answer = ask(client, f"/api/subjects/queued?workflow_id={workflow.pk}")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "invalid_request")
    subject_set = workflow.subject_sets.get()
    path = f"/api/subjects/queued?workflow_id={workflow.pk}&subject_set_id={subject_set.pk}"
    assert [each["id"] for each in ask(client, path).json()["subjects"]] == [str(subject.pk)]


def test_a_page_without_cookies_is_one_asker_however_often_it_asks(workflow: Workflow) -> None:
    for _ in range(12):
        make_subject(workflow.project, published_in=workflow)
    path = f"/api/subjects/queued?workflow_id={workflow.pk}&page_size=4"
    first, second = (ask(Client(), path, **{"Sec-Fetch-Site": "cross-site"}) for _ in range(2))
    shown = [{each["id"] for each in answer.json()["subjects"]} for answer in (first, second)]
    assert len(shown[0]) == len(shown[1]) == 4
    assert not shown[0] & shown[1]
    assert Volunteer.objects.filter(user=None).count() == 1
    assert not first.cookies, "nothing is begun that the browser would not send back"
    ask(Client(), path)  # an older browser says the origin alone
    assert Volunteer.objects.filter(user=None).count() == 1
    ask(Client(), path, **{"Sec-Fetch-Site": "same-site"})
    assert Volunteer.objects.filter(user=None).count() == 2


def test_an_exhausted_queue_is_empty_and_says_so(client: Client, workflow: Workflow, subject: Subject) -> None:
    path = f"/api/subjects/queued?workflow_id={workflow.pk}"
    assert ask(client, path).json()["meta"]["subjects"] == {"page_size": 1, "exhausted": False}
    SubjectStatus.objects.update(state="retired", retired_at="2026-01-01T00:00:00Z")
    empty = ask(client, path).json()
    assert (empty["subjects"], empty["meta"]["subjects"]) == ([], {"page_size": 0, "exhausted": True})


def test_named_subjects_come_in_the_order_in_which_they_were_named(client: Client, workflow: Workflow) -> None:
    ids = [str(make_subject(workflow.project, published_in=workflow).pk) for _ in range(3)]
    wanted = [ids[2], ids[0]]
    path = f"/api/subjects/selection?workflow_id={workflow.pk}&ids={','.join(wanted)}"
    selected = ask(client, path).json()["subjects"]
    assert [each["id"] for each in selected] == wanted
    assert [(each["retired"], each["already_seen"]) for each in selected] == [(False, False)] * 2
    assert ask(client, f"/api/subjects/selection?workflow_id={workflow.pk}&ids=999999").status_code == 404
