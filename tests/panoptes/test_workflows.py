"""GET /api/workflows and /api/workflows/:id."""

from __future__ import annotations

import pytest
from django.test import Client

from esocs.panoptes.documents import inject_strings
from esocs.projects.models import Project, Workflow
from tests.panoptes.bodies import error_of
from tests.support.factories import make_workflow

pytestmark = pytest.mark.django_db


def test_a_workflow_says_what_it_asks_in_the_words_that_volunteers_read(client: Client, workflow: Workflow) -> None:
    answer = client.get(f"/api/workflows/{workflow.pk}")
    [document] = answer.json()["workflows"]
    assert answer["ETag"].startswith('W/"')
    assert document["version"] == "1.1"
    assert document["first_task"] == "T0"
    assert document["tasks"]["T0"]["question"] == "Is it a galaxy?"
    assert [each["label"] for each in document["tasks"]["T0"]["answers"]] == ["Yes", "No", "Unclear"]
    assert document["retirement"] == {"criteria": "classification_count", "options": {"count": 3}}
    assert document["links"]["project"] == str(workflow.project_id)
    assert set(document["links"]) == {
        "project",
        "subject_sets",
        "tutorial_subject",
        "published_version",
        "classifications_export",
    }


def test_workflows_are_listed_by_project_and_by_being_active(client: Client, workflow: Workflow) -> None:
    closed = make_workflow(workflow.project)
    Workflow.objects.filter(pk=closed.pk).update(active=False)
    make_workflow()

    def ids(**query: str) -> list[str]:
        return [document["id"] for document in client.get("/api/workflows", query).json()["workflows"]]

    project = str(workflow.project_id)
    assert ids(project_id=project) == [str(workflow.pk), str(closed.pk)]
    assert ids(project_id=project, active="true") == [str(workflow.pk)]
    assert ids(project_id=project, active="false") == [str(closed.pk)]
    assert ids(id=f"{closed.pk},{workflow.pk}") == [str(workflow.pk), str(closed.pk)]
    assert len(ids()) == 3


def test_a_workflow_of_a_closed_project_is_not_found(client: Client, workflow: Workflow) -> None:
    Project.objects.update(live=False)
    assert error_of(client.get(f"/api/workflows/{workflow.pk}")) == (404, "not_found")


def test_a_listing_is_sorted_as_asked_and_by_nothing_else(client: Client, workflow: Workflow) -> None:
    second = make_workflow(workflow.project)

    def ids(sort: str) -> list[str]:
        return [document["id"] for document in client.get("/api/workflows", {"sort": sort}).json()["workflows"]]

    assert ids("id") == ids("created_at") == [str(workflow.pk), str(second.pk)]
    assert ids("-id") == ids("-updated_at,id") == [str(second.pk), str(workflow.pk)]
    for unknown in ("retirement", "--id", "id;drop", "project__owner__password"):
        assert error_of(client.get("/api/workflows", {"sort": unknown})) == (422, "invalid_request")


def test_active_must_be_true_or_false(client: Client) -> None:
    assert error_of(client.get("/api/workflows?active=perhaps")) == (422, "invalid_request")


def test_strings_take_the_place_of_their_keys_and_nothing_else_changes() -> None:
    tasks = {"T0": {"question": "T0.question", "required": True, "answers": [{"label": "T0.a", "next": "T1"}]}}
    strings = {"T0.question": "Why?", "T0.a": "So."}
    injected = {"T0": {"question": "Why?", "required": True, "answers": [{"label": "So.", "next": "T1"}]}}
    assert inject_strings(tasks, strings) == injected
    assert tasks["T0"]["question"] == "T0.question"
