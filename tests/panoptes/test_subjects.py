"""GET /api/subjects/queued and /api/subjects/:id."""

from __future__ import annotations

import time

import pytest
from django.test import Client

from esocs.crowd.models import Assignment, SubjectStatus
from esocs.panoptes import access
from esocs.projects.models import Media, Project, ProjectRole, Subject, SubjectSet, Workflow
from esocs.projects.services import add_role
from tests.panoptes.bodies import bearer, classification, error_of, send
from tests.support.factories import make_subject, make_user, make_workflow

pytestmark = pytest.mark.django_db


def _queued(client: Client, workflow: Workflow, **query: str) -> list[str]:
    answer = client.get("/api/subjects/queued", {"workflow_id": str(workflow.pk), **query})
    assert answer.status_code == 200, answer.content
    return [document["id"] for document in answer.json()["subjects"]]


def test_a_queued_subject_carries_what_a_classifier_needs(client: Client, workflow: Workflow, subject: Subject) -> None:
    answer = client.get(f"/api/subjects/queued?workflow_id={workflow.pk}")
    [document] = answer.json()["subjects"]
    assert document["id"] == str(subject.pk)
    assert document["metadata"] == {"object": "M 51", "#hidden": 1}
    assert document["esocs"] == {"kind": "image", "spectrum_data": None, "plane": None}
    assert document["selection_state"] == "normal"
    assert document["selected_at"].endswith("Z")
    for fact in ("retired", "already_seen", "finished_workflow", "user_has_finished_workflow", "favorite"):
        assert document[fact] is False
    assert answer["Cache-Control"] == "no-store"


def test_every_location_is_an_absolute_address_that_ends_in_its_types_extension(
    client: Client, workflow: Workflow, subject: Subject
) -> None:
    [document] = client.get(f"/api/subjects/queued?workflow_id={workflow.pk}").json()["subjects"]
    [location] = document["locations"]
    [(media_type, address)] = location.items()
    assert media_type == "image/jpeg"
    assert address.startswith("http://testserver/media/")
    assert address.endswith(".jpg")


def test_a_spectrum_brings_the_address_of_its_data(client: Client) -> None:
    workflow = make_workflow(kind="spectrum")
    subject = make_subject(workflow.project, kind="spectrum", published_in=workflow)
    Media.objects.create(
        subject=subject, role="spectrum_data", media_type="application/json", path="ab/data.json", size_bytes=1
    )
    shown = client.get(f"/api/subjects/{subject.pk}").json()["subjects"][0]
    [queued] = client.get(f"/api/subjects/queued?workflow_id={workflow.pk}").json()["subjects"]
    for document in (shown, queued):
        assert document["esocs"] == {
            "kind": "spectrum",
            "spectrum_data": "http://testserver/media/ab/data.json",
            "plane": None,
        }
        [[media_type]] = document["locations"]
        assert media_type == "image/png"


def test_an_anonymous_visitor_becomes_a_volunteer_with_a_session(client: Client, workflow: Workflow) -> None:
    make_subject(workflow.project, published_in=workflow)
    _queued(client, workflow)
    assert "sessionid" in client.cookies
    assert Assignment.objects.get().volunteer.user is None


def test_a_subject_is_never_offered_again_to_whoever_classified_it(
    client: Client, workflow: Workflow, subject: Subject
) -> None:
    assert _queued(client, workflow) == [str(subject.pk)]
    assert send(client, classification(workflow, subject)).status_code == 201
    assert _queued(client, workflow) == []


def test_a_page_asks_for_as_many_as_it_wants(client: Client, workflow: Workflow) -> None:
    for _ in range(4):
        make_subject(workflow.project, published_in=workflow)
    first = _queued(client, workflow, page_size="3")
    second = _queued(client, workflow, page_size="3")
    assert (len(first), len(second)) == (3, 1)
    assert not set(first) & set(second)


def test_a_reloaded_page_gets_its_queue_back_by_saying_that_it_holds_nothing(
    client: Client, workflow: Workflow
) -> None:
    for _ in range(3):
        make_subject(workflow.project, published_in=workflow)
    first = _queued(client, workflow, page_size="2")
    assert _queued(client, workflow, page_size="2", held="") == first
    third = _queued(client, workflow, page_size="2", held=",".join(first))
    assert len(third) == 1
    assert not set(third) & set(first)


def test_only_subjects_of_the_named_set_are_handed_out(client: Client, workflow: Workflow) -> None:
    make_subject(workflow.project, published_in=workflow)
    wanted = make_subject(workflow.project, published_in=workflow)
    subject_set = SubjectSet.objects.create(project=workflow.project, display_name="wanted")
    wanted.set_members.create(subject_set=subject_set)
    assert _queued(client, workflow, subject_set_id=str(subject_set.pk)) == [str(wanted.pk)]


def test_what_waits_for_experts_is_handed_to_experts_alone(client: Client, workflow: Workflow) -> None:
    waiting = make_subject(workflow.project, published_in=workflow, audience="experts")
    path = f"/api/subjects/queued?workflow_id={workflow.pk}&audience=experts"
    expert = make_user()
    add_role(project=workflow.project, user=expert, role=ProjectRole.Role.EXPERT)
    assert error_of(client.get(path)) == (403, "forbidden")
    assert _queued(client, workflow) == []
    found = client.get(path, headers=bearer(expert)).json()["subjects"]
    assert [document["id"] for document in found] == [str(waiting.pk)]
    # It is reserved for the first expert now; the owner may ask, and is given nothing.
    assert client.get(path, headers=bearer(workflow.project.owner)).json()["subjects"] == []


@pytest.mark.parametrize(
    "query", ["", "workflow_id=x", "workflow_id=1&page_size=0", "workflow_id=1&held=a", "workflow_id=1&audience=cats"]
)
def test_a_queue_asked_for_wrongly_is_refused(client: Client, query: str) -> None:
    status, code = error_of(client.get(f"/api/subjects/queued?{query}"))
    assert (status, code) in {(422, "invalid_request"), (404, "not_found")}


def test_a_page_cannot_hold_more_than_a_page_holds(client: Client, workflow: Workflow) -> None:
    held = ",".join(map(str, range(201)))
    answer = client.get(f"/api/subjects/queued?workflow_id={workflow.pk}&held={held}")
    assert error_of(answer) == (422, "invalid_request")


def test_an_unknown_workflow_is_not_found_and_an_inactive_one_says_so(client: Client, workflow: Workflow) -> None:
    assert error_of(client.get("/api/subjects/queued?workflow_id=999999")) == (404, "not_found")
    Workflow.objects.update(active=False)
    answer = client.get(f"/api/subjects/queued?workflow_id={workflow.pk}")
    assert error_of(answer) == (409, "workflow_inactive")


def test_one_subject_is_shown_with_its_links(client: Client, workflow: Workflow, subject: Subject) -> None:
    [document] = client.get(f"/api/subjects/{subject.pk}").json()["subjects"]
    [subject_set] = workflow.subject_sets.all()
    assert document["links"]["project"] == str(workflow.project_id)
    assert document["links"]["subject_sets"] == [str(subject_set.pk)]
    assert document["links"]["collections"] == []
    assert "selection_state" not in document


def test_a_subject_of_a_closed_project_is_not_found(client: Client, subject: Subject) -> None:
    Project.objects.update(live=False)
    assert error_of(client.get(f"/api/subjects/{subject.pk}")) == (404, "not_found")
    assert SubjectStatus.objects.count() == 1


def test_a_closed_project_is_noticed_within_seconds(
    client: Client, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/api/subjects/queued?workflow_id={workflow.pk}"
    assert client.get(path).status_code == 200
    Project.objects.update(live=False)
    later = time.monotonic() + access.REMEMBERED_FOR_S
    monkeypatch.setattr(access.time, "monotonic", lambda: later)
    assert error_of(client.get(path)) == (404, "not_found")
    assert client.get(path, headers=bearer(workflow.project.owner)).status_code == 200
