"""The real panoptes-client 1.7.1, unmodified, against a live server."""

from __future__ import annotations

import importlib.metadata
import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from oauth2_provider.models import Application
from panoptes_client import Classification, Panoptes, Project, Subject, Workflow
from panoptes_client.panoptes import PanoptesAPIException

from esocs.crowd.models import Classification as ClassificationRow
from esocs.jobs import services as jobs
from esocs.jobs.models import Job
from esocs.projects import models as rows
from tests.releases.exporting import vote
from tests.support.factories import PASSWORD, make_project, make_subject, make_user, make_volunteer, make_workflow

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def workflow() -> rows.Workflow:
    project = make_project(owner=make_user("owner"), display_name="ESO test")
    return make_workflow(project, answers=("Yes, 🌀", "No\nor maybe"), question="Is it round?")


@pytest.fixture
def client(live_server: object, workflow: rows.Workflow) -> Iterator[Panoptes]:
    url = live_server.url  # type: ignore[attr-defined]
    with Panoptes(endpoint=url, username="owner", password=PASSWORD) as client:
        yield client


def test_the_client_is_the_one_that_the_contract_names() -> None:
    assert importlib.metadata.version("panoptes-client") == "1.7.1"


def test_it_connects_and_knows_who_it_is(client: Panoptes, workflow: rows.Workflow) -> None:
    assert client.logged_in
    assert client.logged_in_user_id == workflow.project.owner_id
    assert client.get_bearer_token()
    assert client.valid_bearer_token()


def test_a_token_is_renewed_before_its_time_is_over(client: Panoptes, workflow: rows.Workflow) -> None:
    first = client.get_bearer_token()
    client.bearer_expires = datetime.now() + timedelta(minutes=1)  # noqa: DTZ005 - the client's own clock
    client.session.cookies.clear()
    second = client.get_bearer_token()
    assert second != first
    assert Project.find(workflow.project_id).id == str(workflow.project_id)


def test_a_program_with_a_secret_acts_as_its_owner(live_server: object, workflow: rows.Workflow) -> None:
    program = Application.objects.create(
        user=workflow.project.owner,
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
        client_secret="secret",
    )
    rows.Project.objects.update(live=False)
    url = live_server.url  # type: ignore[attr-defined]
    with Panoptes(endpoint=url, client_id=program.client_id, client_secret="secret"):
        assert Project.find(workflow.project_id).id == str(workflow.project_id)


def test_a_wrong_password_is_said_in_our_words(live_server: object, workflow: rows.Workflow) -> None:
    with pytest.raises(PanoptesAPIException, match="Invalid login or password"):
        Panoptes(endpoint=live_server.url, username="owner", password="wrong")  # type: ignore[attr-defined]


def test_a_project_is_found_by_id_by_slug_and_by_search(client: Panoptes, workflow: rows.Workflow) -> None:
    pk = str(workflow.project_id)
    project = Project.find(pk)
    assert (project.id, project.display_name, project.slug) == (pk, "ESO test", "owner/eso-test")
    assert project.etag
    assert Project.find(slug="owner/eso-test").id == pk
    assert [found.id for found in Project.where(search="ESO")] == [pk]
    assert [linked.id for linked in project.links.workflows] == [str(workflow.pk)]
    assert [linked.id for linked in project.links.active_workflows] == [str(workflow.pk)]
    assert project.links.owner.id == str(workflow.project.owner_id)


def test_a_listing_is_walked_page_by_page(client: Panoptes, workflow: rows.Workflow) -> None:
    for n in range(25):
        make_project(display_name=f"Another {n}", owner=workflow.project.owner)
    ids = [project.id for project in Project.where(page_size=10)]
    assert len(ids) == len(set(ids)) == 26


def test_what_is_not_there_is_an_error_with_our_message(client: Panoptes) -> None:
    with pytest.raises(PanoptesAPIException, match="Could not find project with id='999'"):
        Project.find(999)
    with pytest.raises(PanoptesAPIException, match="slug='no/body'"):
        Project.find(slug="no/body")


def test_a_workflow_and_its_subject_are_read(client: Panoptes, workflow: rows.Workflow) -> None:
    found = Workflow.find(workflow.pk)
    assert (found.version, found.first_task) == ("1.1", "T0")
    assert found.tasks["T0"]["answers"][0]["label"] == "Yes, 🌀"
    assert found.links.project.id == str(workflow.project_id)
    row = make_subject(workflow.project, published_in=workflow, metadata={"object": "M 51"})
    subject = Subject.find(row.pk)
    assert subject.metadata == {"object": "M 51"}
    [[address]] = [location.values() for location in subject.locations]
    assert address.endswith(".jpg")
    assert subject.links.project.id == str(workflow.project_id)
    assert len(subject.raw["links"]["subject_sets"]) == 1


def test_own_classifications_and_the_projects_are_listed(client: Panoptes, workflow: rows.Workflow) -> None:
    subjects = [make_subject(workflow.project, published_in=workflow) for _ in range(25)]
    for subject in subjects:
        vote(workflow, subject, make_volunteer())
    own = vote(workflow, subjects[0], workflow.project.owner.volunteer, 1)
    [mine] = Classification.where(workflow_id=workflow.pk)
    assert (mine.id, mine.metadata["workflow_version"]) == (str(own.id), "1.1")
    assert [linked.id for linked in mine.links.subjects] == [str(subjects[0].pk)]
    everybodys = list(Classification.where(scope="project", project_id=workflow.project_id, page_size=10))
    assert len(everybodys) == 26 == ClassificationRow.objects.count()
    later = Classification.where(scope="project", project_id=workflow.project_id, last_id=everybodys[20].id)
    assert [found.id for found in later] == [found.id for found in everybodys[21:]]


@pytest.mark.parametrize("resource", ["project", "workflow"])
def test_an_export_is_generated_waited_for_and_read(
    client: Panoptes, workflow: rows.Workflow, resource: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = make_subject(workflow.project, published_in=workflow)
    for value in (0, 1):
        vote(workflow, subject, make_volunteer(), value)
    asked = threading.Event()

    def work_instead_of_sleeping(seconds: float) -> None:
        # The client waits two seconds between its questions; a worker makes the export in that time.
        asked.set()
        jobs.drain(list(Job.objects.filter(kind="releases.export").values_list("id", flat=True)))

    monkeypatch.setattr("panoptes_client.exportable.time.sleep", work_instead_of_sleeping)
    found = Project(workflow.project_id) if resource == "project" else Workflow(workflow.pk)
    export = found.get_export("classifications", generate=True, wait=True)
    assert asked.is_set()
    assert export.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert int(export.headers["Content-Length"]) > 0
    table = list(export.csv_reader())
    assert len(table[0]) == 14
    again = found.get_export("classifications")
    labels = [json.loads(row["annotations"])[0]["value"] for row in again.csv_dictreader()]
    assert labels == ["Yes, 🌀", "No\nor maybe"]


def test_an_export_that_nobody_ordered_is_an_error_in_panoptes_words(client: Panoptes, workflow: rows.Workflow) -> None:
    with pytest.raises(PanoptesAPIException, match=f"No workflows_export exists for projects #{workflow.project_id}"):
        Project(workflow.project_id).get_export("workflows")


def test_an_anonymous_client_reads_what_is_public(live_server: object, workflow: rows.Workflow) -> None:
    with Panoptes(endpoint=live_server.url):  # type: ignore[attr-defined]
        assert Project.find(workflow.project_id).display_name == "ESO test"
