"""POST /api/classifications and the listings of classifications."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext

from esocs.crowd.models import Answer, Assignment, Classification, SubjectStatus
from esocs.projects.models import Project, ProjectRole, Subject, Workflow
from esocs.projects.services import add_role
from tests.panoptes.bodies import bearer, classification, error_of, send, with_metadata
from tests.support.factories import make_project, make_subject, make_user, make_workflow

pytestmark = pytest.mark.django_db

TRANSACTION_CONTROL = ("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT")


def test_a_classification_is_stored_and_answered_as_it_was_sent(
    client: Client, workflow: Workflow, subject: Subject
) -> None:
    answer = send(client, classification(workflow, subject, 1))
    assert answer.status_code == 201
    [document] = answer.json()["classifications"]
    assert answer["Location"] == f"http://testserver/api/classifications/{document['id']}"
    assert answer["ETag"].startswith('W/"')
    assert document["annotations"] == [{"task": "T0", "value": 1}]
    assert document["metadata"] == with_metadata(live_project=True)
    assert document["completed"] is True
    assert document["links"] == {
        "project": str(workflow.project_id),
        "workflow": str(workflow.pk),
        "user": None,
        "user_group": None,
        "subjects": [str(subject.pk)],
    }
    stored = Classification.objects.get()
    assert (stored.workflow_major, stored.workflow_minor, stored.counted) == (1, 1, True)
    assert "workflow_version" not in stored.metadata
    assert Answer.objects.get().answer == 1


def test_numbers_are_as_good_as_strings_for_ids(client: Client, workflow: Workflow, subject: Subject) -> None:
    links = {"project": workflow.project_id, "workflow": workflow.pk, "subjects": [subject.pk]}
    assert send(client, classification(workflow, subject, links=links)).status_code == 201


def test_a_logged_in_volunteer_is_known_by_the_bearer_token(
    client: Client, workflow: Workflow, subject: Subject
) -> None:
    user = make_user()
    answer = send(client, classification(workflow, subject), **bearer(user))
    [document] = answer.json()["classifications"]
    assert document["links"]["user"] == str(user.pk)
    assert document["metadata"]["user_group_ids"] == []
    assert Classification.objects.get().volunteer == user.volunteer


def test_a_logged_in_volunteer_is_known_by_the_session(client: Client, workflow: Workflow, subject: Subject) -> None:
    user = make_user()
    client.force_login(user)
    send(client, classification(workflow, subject))
    assert Classification.objects.get().volunteer == user.volunteer


def test_the_body_of_the_zooniverse_classifier_is_taken(client: Client, workflow: Workflow, subject: Subject) -> None:
    body = classification(
        workflow,
        subject,
        completed=True,
        annotations=[{"task": "T0", "taskType": "single", "value": 0}],
        metadata=with_metadata(
            classifier_version="2.0",
            feedback={},
            session="22b24df4",
            source="api",
            subject_dimensions=[{"clientHeight": 882, "naturalWidth": 32}, None],
            subject_selection_state={"retired": False, "selected_at": "2026-01-01T00:00:00.000Z"},
            viewport={"width": 1400, "height": 1000},
        ),
    )
    answer = send(client, body, "?http_cache=true", Authorization="")
    assert answer.status_code == 201


def test_a_media_type_of_json_api_is_read_too(client: Client, workflow: Workflow, subject: Subject) -> None:
    answer = client.post(
        "/api/classifications",
        json.dumps(classification(workflow, subject)),
        content_type="application/vnd.api+json; version=1",
    )
    assert answer.status_code == 201


# --- once, however often it is sent -------------------------------------------------------------------------------


def test_the_same_key_and_words_get_the_first_answer_again(
    client: Client, workflow: Workflow, subject: Subject
) -> None:
    headers = {"Idempotency-Key": "7d3c1f8a"}
    first = send(client, classification(workflow, subject), **headers)
    again = send(client, classification(workflow, subject), **headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert "Idempotency-Replayed" not in first
    assert again["Idempotency-Replayed"] == "true"
    assert Classification.objects.count() == 1
    assert SubjectStatus.objects.get().classifications_count == 1


def test_the_same_key_with_other_words_is_a_conflict(client: Client, workflow: Workflow, subject: Subject) -> None:
    headers = {"Idempotency-Key": "7d3c1f8a"}
    send(client, classification(workflow, subject, 0), **headers)
    again = send(client, classification(workflow, subject, 1), **headers)
    assert error_of(again) == (409, "idempotency_key_reused")
    assert Classification.objects.count() == 1


def test_a_retry_without_a_key_is_recognised_by_who_what_and_when(
    client: Client, workflow: Workflow, subject: Subject
) -> None:
    first, again = (send(client, classification(workflow, subject)) for _ in range(2))
    assert first.json() == again.json()
    assert Classification.objects.count() == 1


def test_a_second_opinion_of_the_same_volunteer_is_kept_and_not_counted(
    client: Client, workflow: Workflow, subject: Subject
) -> None:
    send(client, classification(workflow, subject, 0))
    later = with_metadata(finished_at="2026-01-31T13:00:00.000Z")
    assert send(client, classification(workflow, subject, 1, metadata=later)).status_code == 201
    assert list(Classification.objects.order_by("id").values_list("counted", flat=True)) == [True, False]
    assert SubjectStatus.objects.get().classifications_count == 1


@pytest.mark.parametrize("key", ["", "x" * 65, "with blank", "é"])
def test_a_key_must_be_printable_and_short(client: Client, workflow: Workflow, subject: Subject, key: str) -> None:
    answer = send(client, classification(workflow, subject), **{"Idempotency-Key": key})
    assert error_of(answer) == (422, "invalid_request")


# --- the refill ---------------------------------------------------------------------------------------------------


def test_the_answer_brings_the_next_subjects(client: Client, workflow: Workflow) -> None:
    subjects = [make_subject(workflow.project, published_in=workflow) for _ in range(3)]
    first, second = client.get(f"/api/subjects/queued?workflow_id={workflow.pk}&page_size=2").json()["subjects"]
    answer = send(client, classification(workflow, first["id"]), f"?refill=2&held={second['id']}")
    refill = answer.json()["meta"]["subjects"]
    [third] = {str(each.pk) for each in subjects} - {first["id"], second["id"]}
    assert [document["id"] for document in refill] == [third]
    assert refill[0]["locations"][0]["image/jpeg"].startswith("http://testserver/media/")
    assert Assignment.objects.count() == 2


def test_no_refill_is_given_unasked(client: Client, workflow: Workflow, subject: Subject) -> None:
    assert send(client, classification(workflow, subject)).json()["meta"] == {}


def test_an_exhausted_queue_refills_with_nothing(client: Client, workflow: Workflow, subject: Subject) -> None:
    answer = send(client, classification(workflow, subject), "?refill=3&held=")
    assert (answer.status_code, answer.json()["meta"]) == (201, {"subjects": []})


@pytest.mark.parametrize("query", ["?refill=x", "?refill=-1", "?refill=1&held=x"])
def test_a_wrong_refill_is_refused_before_anything_is_stored(
    client: Client, workflow: Workflow, subject: Subject, query: str
) -> None:
    assert error_of(send(client, classification(workflow, subject), query)) == (422, "invalid_request")
    assert not Classification.objects.exists()


def test_next_and_submit_together_cost_at_most_six_statements(client: Client, workflow: Workflow) -> None:
    for _ in range(4):
        make_subject(workflow.project, published_in=workflow)
    queue = client.get(f"/api/subjects/queued?workflow_id={workflow.pk}&page_size=2").json()["subjects"]
    warm, measured = (document["id"] for document in queue)
    send(client, classification(workflow, warm), "?refill=1&held=")
    with CaptureQueriesContext(connection) as captured:
        assert send(client, classification(workflow, measured), "?refill=1&held=").status_code == 201
    texts = [query["sql"] or "prepared" for query in captured]
    statements = [text for text in texts if not text.startswith(TRANSACTION_CONTROL)]
    assert len(statements) <= 6, statements


# --- what is refused ----------------------------------------------------------------------------------------------


def _without(part: str, name: str) -> dict[str, Any]:
    def remove(body: dict[str, Any]) -> None:
        del (body["classifications"][part] if part else body["classifications"])[name]

    return {"change": remove}


def _with(part: str, **members: Any) -> dict[str, Any]:
    def add(body: dict[str, Any]) -> None:
        (body["classifications"][part] if part else body["classifications"]).update(members)

    return {"change": add}


REFUSED: dict[str, dict[str, Any]] = {
    "an unknown member": _with("", surprise=1),
    "an unknown link": _with("links", user="1"),
    "gold_standard false": _with("", gold_standard=False),
    "an incomplete classification": _with("", completed=False),
    "completed that is no boolean": _with("", completed="yes"),
    "no annotations": _without("", "annotations"),
    "no metadata": _without("", "metadata"),
    "no links": _without("", "links"),
    "no start": _without("metadata", "started_at"),
    "no end": _without("metadata", "finished_at"),
    "no user agent": _without("metadata", "user_agent"),
    "no language": _without("metadata", "user_language"),
    "no version": _without("metadata", "workflow_version"),
    "a version that is a number": _with("metadata", workflow_version=1.1),
    "a version that is a word": _with("metadata", workflow_version="latest"),
    "a time that is none": _with("metadata", started_at="yesterday"),
    "a time that is a number": _with("metadata", started_at=5),
    "an offset that is a number": _with("metadata", utc_offset=0),
    "annotations that are an object": _with("", annotations={}),
    "an annotation that is a text": _with("", annotations=["T0"]),
    "an annotation without a task": _with("", annotations=[{"value": 0}]),
    "an annotation without a value": _with("", annotations=[{"task": "T0"}]),
    "metadata that are a list": _with("", metadata=[]),
    "links that are a text": _with("", links="1"),
    "no subject": _with("links", subjects=[]),
    "two subjects": _with("links", subjects=["1", "2"]),
    "a subject that is a word": _with("links", subjects=["first"]),
    "a subject that is true": _with("links", subjects=[True]),
    "a subject beyond all numbers": _with("links", subjects=["9" * 40]),
    "a negative workflow": _with("links", workflow=-1),
    "a project that is null": _with("links", project=None),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_a_body_that_breaks_the_schema_is_refused_and_nothing_stored(
    client: Client, workflow: Workflow, subject: Subject, case: dict[str, Any]
) -> None:
    body = classification(workflow, subject)
    case["change"](body)
    assert error_of(send(client, body)) == (422, "invalid_request")
    assert not Classification.objects.exists()


@pytest.mark.parametrize(
    ("value", "code"),
    [(3, "unknown_answer"), (-1, "unknown_answer"), ("0", "unknown_answer"), (True, "unknown_answer")],
)
def test_an_unknown_answer_is_refused(
    client: Client, workflow: Workflow, subject: Subject, value: Any, code: str
) -> None:
    assert error_of(send(client, classification(workflow, subject, value))) == (422, code)
    assert not Classification.objects.exists()


def test_an_unknown_task_is_refused(client: Client, workflow: Workflow, subject: Subject) -> None:
    body = classification(workflow, subject, annotations=[{"task": "T9", "value": 0}])
    assert error_of(send(client, body)) == (422, "unknown_task")


def test_an_unknown_version_is_refused(client: Client, workflow: Workflow, subject: Subject) -> None:
    body = classification(workflow, subject, metadata=with_metadata(workflow_version="7.1"))
    assert error_of(send(client, body)) == (422, "workflow_version_unknown")


def test_a_retired_subject_is_refused_to_whoever_does_not_hold_it(
    client: Client, other_client: Client, workflow: Workflow, subject: Subject
) -> None:
    client.get(f"/api/subjects/queued?workflow_id={workflow.pk}")
    # A test is one transaction, whose `now()` stands still.
    Assignment.objects.update(served_at=Now() - timedelta(minutes=1))
    for _ in range(3):
        send(Client(), classification(workflow, subject))
    assert SubjectStatus.objects.get().state == "retired"
    assert error_of(send(other_client, classification(workflow, subject))) == (422, "subject_retired")
    assert send(client, classification(workflow, subject)).status_code == 201


def test_a_foreign_workflow_or_project_is_refused(client: Client, workflow: Workflow, subject: Subject) -> None:
    stranger = make_workflow(make_project())
    body = classification(stranger, subject)
    assert error_of(send(client, body)) == (422, "subject_not_in_workflow")
    body = classification(workflow, subject)
    body["classifications"]["links"]["project"] = str(stranger.project_id)
    assert error_of(send(client, body)) == (422, "workflow_not_in_project")
    body["classifications"]["links"]["workflow"] = "999999"
    assert error_of(send(client, body)) == (404, "not_found")


def test_a_workflow_of_a_closed_project_takes_nothing(client: Client, workflow: Workflow, subject: Subject) -> None:
    Project.objects.update(live=False)
    assert error_of(send(client, classification(workflow, subject))) == (404, "not_found")


def test_an_inactive_workflow_takes_nothing(client: Client, workflow: Workflow, subject: Subject) -> None:
    Workflow.objects.update(active=False)
    assert error_of(send(client, classification(workflow, subject))) == (409, "workflow_inactive")


def test_a_gold_standard_is_taken_from_experts_alone(client: Client, workflow: Workflow, subject: Subject) -> None:
    body = classification(workflow, subject, gold_standard=True)
    assert error_of(send(client, body)) == (403, "gold_standard_forbidden")
    expert = make_user()
    add_role(project=workflow.project, user=expert, role=ProjectRole.Role.EXPERT)
    answer = send(client, body, **bearer(expert))
    assert answer.json()["classifications"][0]["gold_standard"] is True
    assert SubjectStatus.objects.get().classifications_count == 0


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 422, "invalid_request"),
        (b"null", 422, "invalid_request"),
        (b"[]", 422, "invalid_request"),
        (b'"text"', 422, "invalid_request"),
        (b'{"classifications": []}', 422, "invalid_request"),
        (b'{"subjects": {}}', 422, "invalid_request"),
        (b"{", 400, "malformed_request"),
        (b'{"a": NaN}', 400, "malformed_request"),
        (b'{"a": 1e999}', 400, "malformed_request"),
        (b'{"a": "\\u0000"}', 400, "malformed_request"),
        (b'{"a": "\\ud800"}', 400, "malformed_request"),
        (b'{"a": "\xff"}', 400, "malformed_request"),
        (b"[" * 100_000, 400, "malformed_request"),
    ],
)
def test_a_body_that_is_no_json_or_no_object_is_refused(client: Client, body: bytes, status: int, code: str) -> None:
    assert error_of(send(client, body)) == (status, code)


def test_an_escaped_backslash_before_u0000_is_only_text(client: Client, workflow: Workflow, subject: Subject) -> None:
    metadata = with_metadata(note="\\u0000 and \u00e9")
    raw = json.dumps(classification(workflow, subject, metadata=metadata), ensure_ascii=True)
    answer = send(client, raw)
    assert answer.json()["classifications"][0]["metadata"]["note"] == "\\u0000 and \u00e9"


def test_a_huge_body_is_refused_unread(client: Client, workflow: Workflow, subject: Subject) -> None:
    body = classification(workflow, subject, metadata=with_metadata(note="x" * 1_000_000))
    assert error_of(send(client, body)) == (413, "request_too_large")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_body_of_another_type_is_not_read(client: Client, content_type: str) -> None:
    answer = client.post("/api/classifications", b"{}", content_type=content_type)
    assert error_of(answer) == (415, "unsupported_media_type")


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_no_other_method_is_taken(client: Client, method: str) -> None:
    assert error_of(getattr(client, method)("/api/classifications")) == (405, "method_not_allowed")


def test_the_short_way_keeps_what_every_answer_carries(client: Client, workflow: Workflow, subject: Subject) -> None:
    answers = [
        send(client, classification(workflow, subject), origin="http://testserver"),
        send(client, b"{", origin="http://testserver"),
        client.post("/api/projects", b"{", "application/json", headers={"origin": "http://testserver"}),
    ]
    guards = ("X-Frame-Options", "X-Content-Type-Options", "Referrer-Policy", "Cross-Origin-Opener-Policy", "Vary")
    long_way = {name: answers[-1].headers.get(name) for name in guards}
    assert all(long_way.values())
    for answer in answers[:-1]:
        assert {name: answer.headers.get(name) for name in guards} == long_way
        assert int(answer["Content-Length"]) == len(answer.content)
    assert answers[0]["ETag"].startswith('W/"')
    assert error_of(send(client, classification(workflow, subject), host="elsewhere.example")) == (
        400,
        "malformed_request",
    )


def test_a_page_without_cookies_is_known_by_its_session_and_address(workflow: Workflow, subject: Subject) -> None:
    body = classification(workflow, subject, 1, metadata=with_metadata(session="a" * 64))

    def send_from(address: str, sent: Any) -> Any:
        return Client(REMOTE_ADDR=address).post("/api/classifications", json.dumps(sent), "application/json")

    first = send_from("192.0.2.1", body)
    again = send_from("192.0.2.1", body)
    assert again["Idempotency-Replayed"] == "true"
    assert again.json() == first.json()
    later = with_metadata(session="a" * 64, started_at="2026-01-31T12:01:00.000Z")
    assert send_from("192.0.2.1", classification(workflow, subject, 1, metadata=later)).status_code == 201
    # The same person's second answer is kept and does not count; somebody else's does.
    assert list(Classification.objects.order_by("id").values_list("counted", flat=True)) == [True, False]
    assert "Idempotency-Replayed" not in send_from("192.0.2.2", body).headers
    assert "Idempotency-Replayed" not in send_from(
        "192.0.2.1", classification(workflow, subject, 1, metadata=with_metadata(session="b" * 64))
    )
    assert Classification.objects.filter(counted=True).count() == 3


# --- listings -----------------------------------------------------------------------------------------------------


def test_volunteers_are_shown_their_own_classifications(
    client: Client, other_client: Client, workflow: Workflow, subject: Subject
) -> None:
    send(client, classification(workflow, subject, 1))
    send(other_client, classification(workflow, subject, 2))
    found = client.get("/api/classifications", {"workflow_id": str(workflow.pk)}).json()
    [document] = found["classifications"]
    assert document["annotations"] == [{"task": "T0", "value": 1}]
    assert document["metadata"]["workflow_version"] == "1.1"
    assert found["meta"]["classifications"]["count"] == 1
    assert client.get("/api/classifications", {"workflow_id": "999"}).json()["classifications"] == []
    assert Client().get("/api/classifications").json()["classifications"] == []


def test_collaborators_read_all_of_a_project_from_the_last_id_on(client: Client, workflow: Workflow) -> None:
    for _ in range(5):
        send(Client(), classification(workflow, make_subject(workflow.project, published_in=workflow)))
    headers = bearer(workflow.project.owner)
    path = f"/classifications/project?project_id={workflow.project_id}&page_size=2"
    seen: list[str] = []
    href: str | None = path
    while href:
        body = client.get(f"/api{href}", headers=headers).json()
        seen += [document["id"] for document in body["classifications"]]
        href = body["meta"]["classifications"]["next_href"]
        assert href is None or ("last_id=" in href and "&page=" not in href)
    assert seen == [str(pk) for pk in Classification.objects.order_by("id").values_list("id", flat=True)]
    numbered = client.get(f"/api{path}&page=2", headers=headers).json()
    assert [document["id"] for document in numbered["classifications"]] == seen[2:4]


def test_a_projects_classifications_are_for_its_collaborators(client: Client, workflow: Workflow) -> None:
    path = f"/api/classifications/project?project_id={workflow.project_id}"
    assert error_of(client.get(path)) == (401, "not_signed_in")
    assert error_of(client.get(path, headers=bearer(make_user()))) == (403, "forbidden")
    collaborator = make_user()
    add_role(project=workflow.project, user=collaborator, role=ProjectRole.Role.COLLABORATOR)
    assert client.get(path, headers=bearer(collaborator)).status_code == 200


def test_one_classification_is_shown_to_its_volunteer_and_the_projects_people(
    client: Client, other_client: Client, workflow: Workflow, subject: Subject
) -> None:
    path = send(client, classification(workflow, subject))["Location"]
    assert client.get(path).status_code == 200
    assert other_client.get(path, headers=bearer(workflow.project.owner)).status_code == 200
    assert error_of(other_client.get(path)) == (404, "not_found")
    assert error_of(other_client.get(path, headers=bearer(make_user()))) == (404, "not_found")
