"""Ordering an export by the API, and fetching its file by the link it gives."""

from __future__ import annotations

import gzip
import hashlib
from typing import Any

import pytest
from django.test import Client

from esocs.jobs import services as jobs
from esocs.jobs.models import Job
from esocs.panoptes.views import exports
from esocs.projects.models import Project, ProjectRole, Subject, Workflow
from esocs.projects.services import add_role
from esocs.releases import queries
from esocs.releases.models import Export
from tests.panoptes.bodies import bearer, error_of
from tests.releases.exporting import make_export, vote
from tests.support.factories import make_user, make_volunteer

pytestmark = pytest.mark.django_db

BODY = {"media": {"content_type": "text/csv"}}


def _order(client: Client, path: str, person: Any, body: Any = BODY) -> Any:
    return client.post(path, body, content_type="application/json", headers=bearer(person))


def _content(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def test_an_export_is_ordered_made_and_fetched(client: Client, workflow: Workflow, subject: Subject) -> None:
    project, owner = workflow.project, workflow.project.owner
    vote(workflow, subject, make_volunteer())
    path = f"/api/projects/{project.pk}/classifications_export"
    ordered = _order(client, path, owner)
    assert ordered.status_code == 201
    [media] = ordered.json()["media"]
    assert media["metadata"] == {"state": "creating", "recipients": [owner.pk]}
    assert media["media_type"] == "project_classifications_export"
    assert media["content_type"] == "text/csv"
    assert media["links"]["linked"] == {"href": f"/projects/{project.pk}", "id": str(project.pk), "type": "projects"}
    assert error_of(client.get(media["src"])) == (404, "export_not_ready")
    jobs.drain(list(Job.objects.values_list("id", flat=True)))
    [media] = client.get(path, headers=bearer(owner)).json()["media"]
    assert (media["metadata"]["state"], media["metadata"]["row_count"]) == ("ready", 1)
    # Neither token nor cookie: the link is its own permission.
    fetched = Client().get(media["src"])
    assert fetched["Content-Type"] == "text/csv; charset=utf-8"
    plain = _content(fetched)
    assert int(fetched["Content-Length"]) == len(plain)
    assert hashlib.sha256(plain).hexdigest() == media["metadata"]["sha256"]
    assert plain.startswith(b"classification_id,user_name,")
    name = project.slug.rpartition("/")[2]
    assert fetched["Content-Disposition"] == f'attachment; filename="{name}-classifications.csv"'


@pytest.mark.parametrize("accepted", ["gzip", "deflate, gzip;q=0.8", "GZIP , br"])
def test_a_client_that_unpacks_gets_the_packed_file(client: Client, workflow: Workflow, accepted: str) -> None:
    link = _link(client, workflow)
    answer = client.get(link, headers={"Accept-Encoding": accepted})
    assert answer["Content-Encoding"] == "gzip"
    packed = _content(answer)
    assert int(answer["Content-Length"]) == len(packed)
    assert gzip.decompress(packed) == _content(client.get(link))
    assert {"accept-encoding", "origin"} == set(answer["Vary"].lower().split(", "))


@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0", "gzip; q=0.0, br"])
def test_a_client_that_does_not_unpack_gets_the_plain_file(client: Client, workflow: Workflow, accepted: str) -> None:
    answer = client.get(_link(client, workflow), headers={"Accept-Encoding": accepted} if accepted else {})
    assert "Content-Encoding" not in answer
    assert _content(answer).startswith(b"classification_id,")


def _link(client: Client, workflow: Workflow) -> str:
    make_export(workflow.project)
    path = f"/api/projects/{workflow.project_id}/classifications_export"
    link: str = client.get(path, headers=bearer(workflow.project.owner)).json()["media"][0]["src"]
    return link


def test_a_workflows_export_is_its_own(client: Client, workflow: Workflow) -> None:
    make_export(workflow.project)
    path = f"/api/workflows/{workflow.pk}/classifications_export"
    owner = workflow.project.owner
    assert error_of(client.get(path, headers=bearer(owner))) == (404, "not_found")
    [media] = _order(client, path, owner).json()["media"]
    assert media["media_type"] == "workflow_classifications_export"
    assert media["links"]["linked"]["type"] == "workflows"
    assert Export.objects.get(pk=media["id"]).workflow == workflow


@pytest.mark.parametrize("kind", ["classifications", "subjects", "workflows", "consensus"])
def test_every_kind_can_be_ordered_with_or_without_a_body(client: Client, workflow: Workflow, kind: str) -> None:
    path = f"/api/projects/{workflow.project_id}/{kind}_export"
    first, second = (_order(client, path, workflow.project.owner, body) for body in (BODY, {}))
    assert (first.status_code, second.status_code) == (201, 201)
    # The second finds the first still being made.
    assert first.json()["media"][0]["id"] == second.json()["media"][0]["id"]


def test_an_export_that_was_never_ordered_is_not_found_in_panoptes_words(client: Client, workflow: Workflow) -> None:
    path = f"/api/projects/{workflow.project_id}/workflows_export"
    answer = client.get(path, headers=bearer(workflow.project.owner))
    assert error_of(answer) == (404, "not_found")
    message = answer.json()["errors"][0]["message"]
    assert message == f"No workflows_export exists for projects #{workflow.project_id}"


def test_the_workflow_contents_export_is_gone(client: Client, workflow: Workflow) -> None:
    path = f"/api/projects/{workflow.project_id}/workflow_contents_export"
    assert error_of(_order(client, path, workflow.project.owner)) == (410, "gone")


def test_an_unknown_kind_is_not_found(client: Client, workflow: Workflow) -> None:
    path = f"/api/projects/{workflow.project_id}/talk_comments_export"
    assert error_of(_order(client, path, workflow.project.owner)) == (404, "unknown_export_kind")


def test_exports_are_for_the_projects_people(client: Client, workflow: Workflow) -> None:
    path = f"/api/projects/{workflow.project_id}/classifications_export"
    assert error_of(client.post(path, BODY, content_type="application/json")) == (401, "not_signed_in")
    assert error_of(_order(client, path, make_user())) == (403, "forbidden")
    assert error_of(client.get(path, headers=bearer(make_user()))) == (403, "forbidden")
    collaborator = make_user()
    add_role(project=workflow.project, user=collaborator, role=ProjectRole.Role.COLLABORATOR)
    assert _order(client, path, collaborator).status_code == 201
    Project.objects.update(private=True)
    assert error_of(_order(client, path, make_user())) == (404, "not_found")


@pytest.mark.parametrize("body", [{"media": {"content_type": "text/plain"}}, {"media": []}, {"other": 1}, [1]])
def test_only_csv_can_be_ordered(client: Client, workflow: Workflow, body: Any) -> None:
    path = f"/api/projects/{workflow.project_id}/classifications_export"
    assert error_of(_order(client, path, workflow.project.owner, body)) == (422, "invalid_request")


def test_a_failed_export_says_so_and_why(client: Client, workflow: Workflow) -> None:
    path = f"/api/projects/{workflow.project_id}/classifications_export"
    owner = workflow.project.owner
    _order(client, path, owner)
    Job.objects.update(state=Job.State.FAILED, last_error="OSError: [Errno 28] No space left on device\nTraceback")
    [media] = client.get(path, headers=bearer(owner)).json()["media"]
    assert media["metadata"]["state"] == "failed"
    assert media["metadata"]["error"] == "OSError: [Errno 28] No space left on device"


def test_a_link_that_was_altered_or_is_too_old_is_refused(
    client: Client, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = _link(client, workflow)
    start, token, name = link.rsplit("/", 2)
    identity, _, signature = token.partition(".")
    for forged in (token[:-1], f"{int(identity.partition('-')[0]) + 1}-9999999999.{signature}", "x", f"1.{signature}"):
        assert error_of(client.get(f"{start}/{forged}/{name}")) == (403, "export_link_invalid")
    monkeypatch.setattr(exports, "LINK_AGE_S", -2 * exports.LINK_STEP_S)
    stale = client.get(
        f"/api/projects/{workflow.project_id}/classifications_export", headers=bearer(workflow.project.owner)
    ).json()["media"][0]["src"]
    assert error_of(client.get(stale)) == (403, "export_link_invalid")


def test_a_link_to_a_deleted_export_is_not_found(client: Client, workflow: Workflow) -> None:
    link = _link(client, workflow)
    Export.objects.all().delete()
    assert error_of(client.get(link)) == (404, "not_found")
    assert queries.find_latest_export(project=workflow.project, kind="classifications") is None
