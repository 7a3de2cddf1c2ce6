"""Every public method of panoptes-client 1.7.1 that calls the API, on a live server: one row each in a table.

The table is complete: a method that is not in it, or among those named as out of reach, fails the test.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import panoptes_client
import pytest
import requests
from panoptes_client import (
    Classification,
    Collection,
    Panoptes,
    Project,
    ProjectPreferences,
    ProjectRole,
    Subject,
    SubjectSet,
    SubjectWorkflowStatus,
    User,
    Workflow,
)
from panoptes_client.aggregation import Aggregation
from panoptes_client.collection_role import CollectionRole
from panoptes_client.inaturalist import Inaturalist
from panoptes_client.panoptes import PanoptesAPIException
from panoptes_client.set_member_subject import SetMemberSubject
from panoptes_client.workflow_version import WorkflowVersion
from PIL import Image

from esocs.jobs import services as jobs
from esocs.jobs.models import Job
from esocs.projects import models as rows
from tests.releases.exporting import vote
from tests.support.factories import PASSWORD, make_project, make_subject, make_user, make_volunteer, make_workflow

pytestmark = pytest.mark.django_db(transaction=True)

OUT_OF_REACH = {
    "caesar": "its tests are those of the companion API; the client's address of it cannot be changed",
    "panoptes.Talk": "another service, at an address that the client fixes when it is imported",
    "panoptes.Panoptes.interactive_login": "asks at the terminal",
    "panoptes.Panoptes.post_request": "broken in the client: it looks for a header under a key that it does not set",
    "panoptes.Panoptes.delete_request": "broken likewise",
    "organization": "organizations are not served",
}
"""Modules, classes and methods that no row tests, and why."""


@dataclass(kw_only=True)
class Site:
    """What the calls are about."""

    client: Panoptes
    workflow: rows.Workflow
    folder: Path
    subject: rows.Subject
    subject_set: rows.SubjectSet

    @property
    def project_id(self) -> int:
        return self.workflow.project_id

    @property
    def owner_id(self) -> int:
        return self.workflow.project.owner_id


@pytest.fixture
def site(live_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr("redo.time.sleep", lambda seconds: None)
    workflow = make_workflow(make_project(owner=make_user("owner"), display_name="ESO test", live=False))
    subject = make_subject(workflow.project, published_in=workflow)
    vote(workflow, subject, make_volunteer())
    [subject_set] = workflow.subject_sets.all()
    with Panoptes(endpoint=live_server.url, username="owner", password=PASSWORD) as client:
        yield Site(client=client, workflow=workflow, folder=tmp_path, subject=subject, subject_set=subject_set)
        for session in (client.session, Panoptes.client().session):
            session.close()  # an open connection keeps a thread of the server, and its connection to the database


def made_by_workers(call: Callable[[], Any], *, monkeypatch: Any) -> Any:
    """The call's answer; whenever it waits, workers do what is ordered."""
    monkeypatch.setattr("panoptes_client.exportable.time.sleep", lambda seconds: drain())
    return call()


def drain() -> None:
    jobs.drain(list(Job.objects.filter(state="queued").values_list("id", flat=True)))


def picture(site: Site) -> str:
    path = site.folder / "t.png"
    Image.new("RGB", (8, 8), "navy").save(path)
    return str(path)


def new_subject(site: Site) -> Subject:
    made = Subject()
    made.links.project = site.project_id
    made.add_location(picture(site))
    made.save()
    return made


def new_collection(site: Site) -> Collection:
    made = Collection()
    made.display_name = "Best"
    made.links.project = site.project_id
    made.save()
    return made


def another_set(site: Site) -> rows.SubjectSet:
    return rows.SubjectSet.objects.create(project=site.workflow.project, display_name="another")


def fails(call: Callable[[], Any], words: str) -> bool:
    with pytest.raises(PanoptesAPIException, match=words):
        call()
    return True


# --- one function a row where it takes more than a line ------------------------------------------------------------


def save_and_delete(site: Site) -> bool:
    project = Project()
    project.display_name = "Nebulae"
    project.description = "Which?"
    project.primary_language = "en"
    project.private = True
    project.save()
    project.configuration["x"] = 1
    project.save()
    project.reload()
    kept = dict(project.configuration)
    project.delete()
    return kept == {"x": 1} and fails(lambda: Project.find(project.id), "Could not find")


def save_workflow(site: Site) -> bool:
    workflow = Workflow.find(site.workflow.pk)
    workflow.configuration["selection"] = "panoptes"
    workflow.retirement["options"] = {"count": 7}
    workflow.retirement["criteria"] = "classification_count"
    workflow.save()
    return Workflow.find(site.workflow.pk).retirement["options"] == {"count": 7}


def save_set(site: Site) -> bool:
    subject_set = SubjectSet.find(site.subject_set.pk)
    subject_set.metadata["night"] = "2026"
    subject_set.save()
    return SubjectSet.find(site.subject_set.pk).metadata == {"night": "2026"}


def save_subjects_at_once(site: Site) -> bool:
    with Subject.async_saves():
        made = [Subject() for _ in range(2)]
        for one in made:
            one.links.project = site.project_id
            one.add_location({"image/png": "https://example.org/x.png"})
            one.save()
    return all(one.async_save_result for one in made)


def add_and_remove(site: Site) -> bool:
    subject, subject_set = new_subject(site), SubjectSet.find(site.subject_set.pk)
    subject_set.add([subject])
    there = subject in subject_set
    listed = [one.id for one in subject_set.subjects]
    subject_set.remove(subject)
    return there and subject.id in listed and subject not in SubjectSet.find(site.subject_set.pk)


def link_sets(site: Site) -> bool:
    other, workflow = another_set(site), Workflow.find(site.workflow.pk)
    workflow.add_subject_sets(other.pk)
    linked = {one.id for one in Workflow.find(site.workflow.pk).links.subject_sets}
    workflow.remove_subject_sets(other.pk)
    return str(other.pk) in linked and str(other.pk) not in Workflow.find(site.workflow.pk).links.subject_sets


def retire(site: Site) -> bool:
    workflow = Workflow.find(site.workflow.pk)
    status = workflow.subject_workflow_status
    workflow.retire_subjects(site.subject.pk, reason="blank")
    retired = status(site.subject.pk).retirement_reason
    workflow.unretire_subjects([site.subject.pk])
    opened = status(site.subject.pk).retired_at
    workflow.retire_subjects([site.subject.pk])
    workflow.unretire_subjects_by_subject_set([site.subject_set.pk])
    return retired == "nothing_here" and opened is None and status(site.subject.pk).retired_at is None


def statuses(site: Site) -> bool:
    of_workflow = Workflow.find(site.workflow.pk).subject_workflow_statuses(site.subject_set.pk)
    of_set = SubjectSet.find(site.subject_set.pk).subject_workflow_statuses(site.workflow.pk)
    return [one.classifications_count for each in (of_workflow, of_set) for one in each] == [1, 1]


def aggregate(site: Site) -> bool:
    workflow = Workflow.find(site.workflow.pk)
    ordered = workflow.run_aggregation()
    pending = workflow.get_batch_aggregation_status()
    drain()
    found = workflow.get_batch_aggregation()
    same = workflow.run_aggregation(user=site.owner_id)
    again = workflow.run_aggregation(delete_if_exists=True)
    assert fails(lambda: workflow._create_agg(site.owner_id), "has an aggregation")
    assert pending == "pending"
    assert (found.status, found.uuid, same.id) == ("completed", ordered.uuid, ordered.id)
    assert again.id != ordered.id
    assert again.uuid in workflow.get_batch_aggregation_links()["reductions"]
    drain()
    answer = requests.get(Aggregation.find(again.id).raw["reductions"], timeout=30)
    return answer.status_code == 200 and answer.text.startswith("subject_id,")


def copy_project(site: Site) -> bool:
    project = Project.find(site.project_id)
    assert fails(project.copy, "Only a template")
    project.configuration["template"] = True
    project.save()
    copy = Project.find(site.project_id).copy("Uploads")
    assert (copy.display_name, copy.slug) == ("ESO test (copy)", "owner/eso-test-copy")
    copy.description = "mine"
    copy.save()
    [workflow] = [Workflow.find(one.id) for one in copy.links.workflows]
    assert workflow.tasks == Workflow.find(site.workflow.pk).tasks
    return not workflow.active and [one.display_name for one in copy.links.subject_sets] == ["Uploads"]


def copy_into(site: Site) -> bool:
    other = Project.find(make_project(owner=site.workflow.project.owner).pk)
    assert fails(lambda: other.add_subject_sets(site.subject_set.pk), "not there")  # its picture is but a row
    rows.Media.objects.all().delete()
    SubjectSet.find(site.subject_set.pk).add(new_subject(site))
    other.add_workflows(site.workflow.pk)
    other.add_subject_sets([site.subject_set.pk])
    own = Project.find(site.project_id)
    own.add_subject_sets(site.subject_set.pk)
    other.reload()
    own.reload()
    copied = {one.id for one in SubjectSet.where(project_id=other.id)}
    [_, copy] = SubjectSet.find(copied.pop()).subjects
    assert copy.links.project.id == other.id
    assert requests.get(next(iter(copy.locations[0].values())), timeout=30).ok
    return len(list(other.links.workflows)) == 1 and len(list(own.links.subject_sets)) == 2


def attach(site: Site) -> bool:
    project = Project.find(site.project_id)
    assert fails(lambda: project.attached_images, "No attached_images")
    project.add_attached_image("https://example.org/a.png", metadata={"filename": "a.png"})
    assert fails(lambda: project.add_attached_image("javascript:alert(1)"), "address")
    return bool(project.attached_images["media"][0]["src"] == "https://example.org/a.png")


def collect(site: Site) -> bool:
    collection = new_collection(site)
    collection.add(site.subject.pk)
    collection.set_default_subject(site.subject.pk)
    held = [one.id for one in Collection.find(collection.id).subjects]
    collection.remove(site.subject.pk)
    left = len(list(Collection.find(slug=collection.slug).subjects))
    roles = [one.roles for one in CollectionRole.where(collection_id=collection.id)]
    return (held, left, roles) == ([str(site.subject.pk)], 0, [["owner"]])


def preferences(site: Site) -> bool:
    settings = {"designator": {"subject_set_weights": {str(site.subject_set.pk): 2}}}
    ProjectPreferences.save_settings(project=site.project_id, user=site.owner_id, settings=settings)
    fetched = next(ProjectPreferences.fetch_settings(project=site.project_id, user=site.owner_id))
    found = ProjectPreferences.find(user=site.owner_id, project=site.project_id)
    return bool(fetched.settings == settings and found.id)


def low_level(site: Site) -> bool:
    client, path = site.client, f"/subject_sets/{another_set(site).pk}"
    sent = {"subject_sets": {"display_name": "renamed"}}
    _, etag = client.get(path)
    client.put(path, json=sent, etag=etag)
    answer = client.get_request(path)
    assert answer.headers["ETag"] != etag
    assert client.put_request(path, json=sent, etag=answer.headers["ETag"]).ok
    client.post("/subject_sets", json={"subject_sets": {"display_name": "n", "links": {"project": site.project_id}}})
    document, etag = client.get(path)
    client.delete(path, etag=etag)
    assert client.json_request("GET", "/me")[0]["users"][0]["login"] == "owner"
    assert client.http_request("GET", "/me", headers={"Accept": "application/json"}).ok
    return bool(document["subject_sets"][0]["display_name"] == "renamed")


def sessions(site: Site) -> bool:
    client = site.client
    token = client.get_bearer_token()
    return bool(token and client.valid_bearer_token() and client.has_bearer_token() and client.get_csrf_token())


def log_in(site: Site) -> bool:
    again = Panoptes(endpoint=site.client.endpoint)
    with again.session:
        return bool(again.login("owner", PASSWORD).ok)


Row = Callable[[Site], Any]
TABLE: dict[tuple[str, ...], Row] = {
    ("panoptes.Panoptes.connect", "panoptes.Panoptes.client"): lambda site: (
        Panoptes.connect(endpoint=site.client.endpoint, username="owner", password=PASSWORD) and Panoptes.client()
    ),
    (
        "panoptes.Panoptes.get_csrf_token",
        "panoptes.Panoptes.get_bearer_token",
        "panoptes.Panoptes.valid_bearer_token",
        "panoptes.Panoptes.has_bearer_token",
    ): sessions,
    ("panoptes.Panoptes.login",): log_in,
    tuple(
        f"panoptes.Panoptes.{name}"
        for name in (
            "http_request",
            "json_request",
            "get_request",
            "get",
            "put_request",
            "put",
            "post",
            "delete",
        )
    ): low_level,
    (
        "panoptes.PanoptesObject.url",
        "panoptes.PanoptesObject.http_get",
        "panoptes.PanoptesObject.paginated_results",
        "panoptes.PanoptesObject.set_raw",
        "panoptes.PanoptesObject.where",
        "panoptes.PanoptesObject.find",
        "panoptes.ResultPaginator.set_page",
        "panoptes.ResultPaginator.next",
        "project.Project.find",
        "project.Project.set_raw",
    ): lambda site: (
        Project.find(site.project_id).id == Project.find(slug="owner/eso-test").id == next(Project.where()).id
    ),
    (
        "panoptes.PanoptesObject.http_post",
        "panoptes.PanoptesObject.http_put",
        "panoptes.PanoptesObject.http_delete",
        "panoptes.PanoptesObject.save",
        "panoptes.PanoptesObject.reload",
        "panoptes.PanoptesObject.delete",
        "project.Project.save",
    ): save_and_delete,
    (
        "panoptes.LinkResolver.register",
        "panoptes.LinkResolver.isreadonly",
        "panoptes.LinkCollection.add",
        "panoptes.LinkCollection.remove",
        "workflow.Workflow.add_subject_sets",
        "workflow.Workflow.remove_subject_sets",
        "workflow.Workflow.set_raw",
        "subject_set.SubjectSetLinkCollection.remove",
    ): link_sets,
    ("project.Project.collaborators", "project_role.ProjectRole"): lambda site: (
        [one.id for one in Project.find(site.project_id).collaborators("owner")] == [str(site.owner_id)]
        and next(ProjectRole.where(project_id=site.project_id)).roles == ["owner"]
    ),
    (
        "project.Project.add_subject_sets",
        "project.Project.add_workflows",
        "project.ProjectLinkCollection.add",
    ): copy_into,
    ("project.Project.copy",): copy_project,
    ("project.Project.avatar",): lambda site: fails(lambda: Project.find(site.project_id).avatar, "No avatar"),
    ("project.Project.attached_images", "project.Project.add_attached_image"): attach,
    ("workflow.Workflow.save",): save_workflow,
    (
        "workflow.Workflow.retire_subjects",
        "workflow.Workflow.unretire_subjects",
        "workflow.Workflow.unretire_subjects_by_subject_set",
        "workflow.Workflow.subject_workflow_status",
    ): retire,
    ("workflow.Workflow.subject_workflow_statuses", "subject_set.SubjectSet.subject_workflow_statuses"): statuses,
    (
        "workflow.Workflow.run_aggregation",
        "workflow.Workflow.get_batch_aggregation",
        "workflow.Workflow.get_batch_aggregation_status",
        "workflow.Workflow.get_batch_aggregation_links",
        "aggregation.Aggregation",
    ): aggregate,
    (
        "workflow.Workflow.versions",
        "workflow_version.WorkflowVersion.http_get",
        "workflow_version.WorkflowVersion.workflow",
    ): lambda site: next(Workflow.find(site.workflow.pk).versions).workflow.id == str(site.workflow.pk),
    ("workflow_version.WorkflowVersion.find",): lambda site: (
        WorkflowVersion.find(next(Workflow.find(site.workflow.pk).versions).id, Workflow.find(site.workflow.pk)).id
    ),
    ("subject_set.SubjectSet.save", "subject_set.SubjectSet.set_raw"): save_set,
    (
        "subject_set.SubjectSet.add",
        "subject_set.SubjectSet.remove",
        "subject_set.SubjectSet.subjects",
        "subject_set.SubjectSetLinkCollection.add",
        "set_member_subject.SetMemberSubject",
    ): lambda site: add_and_remove(site) and next(SetMemberSubject.where(subject_set_id=site.subject_set.pk)).id,
    ("subject.Subject.save", "subject.Subject.add_location", "subject.Subject.set_raw"): lambda site: (
        requests.get(next(iter(Subject.find(new_subject(site).id).locations[0].values())), timeout=30).ok
    ),
    ("subject.Subject.async_saves", "subject.Subject.async_save_result"): save_subjects_at_once,
    ("subject.Subject.subject_workflow_status", "subject_workflow_status.SubjectWorkflowStatus"): lambda site: (
        Subject.find(site.subject.pk).subject_workflow_status(site.workflow.pk).id
        == next(SubjectWorkflowStatus.where(subject_id=site.subject.pk)).id
    ),
    ("classification.Classification.where",): lambda site: (
        next(Classification.where(scope="project", project_id=site.project_id)).links.subjects[0].id
        == str(site.subject.pk)
    ),
    (
        "collection.Collection.find",
        "collection.Collection.subjects",
        "collection.Collection.add",
        "collection.Collection.remove",
        "collection.Collection.set_default_subject",
        "collection_role.CollectionRole",
    ): collect,
    (
        "project_preferences.ProjectPreferences.find",
        "project_preferences.ProjectPreferences.save_settings",
        "project_preferences.ProjectPreferences.fetch_settings",
    ): preferences,
    ("user.User.where", "user.User.me"): lambda site: next(User.where(login=["owner"])).id == User.me().id,
    ("user.User.avatar",): lambda site: fails(lambda: User.me().avatar, "No avatar"),
    ("inaturalist.Inaturalist.inat_import",): lambda site: fails(
        lambda: Inaturalist.inat_import(46017, site.subject_set.pk), "503"
    ),
}


@pytest.mark.parametrize("methods", TABLE, ids=lambda methods: methods[0].rpartition(".")[2])
def test_the_call_works(methods: tuple[str, ...], site: Site) -> None:
    assert TABLE[methods](site)


def test_exports_are_generated_waited_for_and_described(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for about in (Project.find(site.project_id), Workflow.find(site.workflow.pk), SubjectSet.find(site.subject_set.pk)):
        export = made_by_workers(lambda: about.get_export("classifications", generate=True), monkeypatch=monkeypatch)  # noqa: B023
        assert len(list(export.csv_dictreader())) == 1
        assert about.describe_export("classifications")["media"][0]["metadata"]["state"] == "ready"
        about.generate_export("classifications")
        assert made_by_workers(lambda: about.wait_export("classifications"), monkeypatch=monkeypatch)  # noqa: B023


def public_methods() -> Iterator[str]:
    """`module.Class.method` of all that a user of the client can call; a class without any stands for itself."""
    for module in pkgutil.iter_modules(panoptes_client.__path__):
        if module.name in {"tests", "utils", "exportable"}:
            continue
        loaded = importlib.import_module(f"panoptes_client.{module.name}")
        for name, defined in inspect.getmembers(loaded, inspect.isclass):
            if defined.__module__ != loaded.__name__ or issubclass(defined, Exception):
                continue
            own = [
                method
                for method, value in vars(defined).items()
                if not method.startswith("_") and isinstance(value, property | classmethod | staticmethod | type(fails))
            ]
            yield from (f"{module.name}.{name}.{method}" for method in own) if own else (f"{module.name}.{name}",)


def test_the_table_knows_every_method() -> None:
    tested = {method for methods in TABLE for method in methods}
    known = set(public_methods())
    assert tested <= known
    left = {one for one in known - tested if not any(f"{one}.".startswith(f"{name}.") for name in OUT_OF_REACH)}
    about_caesar = {one for one in left if "caesar" in one or "alice" in one}
    assert left - about_caesar == {"workflow_version.WorkflowVersion.save"}  # raises whatever the server says
