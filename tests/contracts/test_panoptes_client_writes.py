"""The real panoptes-client 1.7.1 making and changing things: every writing call of the contract, on a live server."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from panoptes_client import (
    Classification,
    Collection,
    Panoptes,
    Project,
    ProjectPreferences,
    Subject,
    SubjectSet,
    SubjectWorkflowStatus,
    User,
    Workflow,
)
from panoptes_client.panoptes import PanoptesAPIException
from panoptes_client.set_member_subject import SetMemberSubject
from panoptes_client.workflow_version import WorkflowVersion
from PIL import Image

from esocs.crowd.models import SubjectStatus
from esocs.crowd.services import hand_out_subjects
from esocs.projects import models as rows
from esocs.projects.editing import set_roles
from tests.releases.exporting import vote
from tests.support.factories import PASSWORD, make_project, make_subject, make_user, make_volunteer, make_workflow

pytestmark = pytest.mark.django_db(transaction=True)

TASKS = {
    "T0": {
        "type": "single",
        "question": "Is it round?",
        "help": "Look closely.",
        "required": True,
        "answers": [{"label": "Yes, 🌀"}, {"label": "No"}],
    },
    "T1": {
        "type": "drawing",
        "instruction": "Mark it",
        "tools": [{"type": "point", "label": "Centre", "details": []}],
    },
}


@pytest.fixture
def project() -> rows.Project:
    return make_project(owner=make_user("owner"), display_name="ESO test", live=False)


@pytest.fixture
def client(live_server: object, project: rows.Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Panoptes]:
    # The client waits five seconds after each refusal of a subject; the answer to a refusal does not change.
    monkeypatch.setattr("redo.time.sleep", lambda seconds: None)
    with Panoptes(endpoint=live_server.url, username="owner", password=PASSWORD) as client:  # type: ignore[attr-defined]
        yield client


def png(side: int = 8) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), "navy").save(file, "PNG")
    return file.getvalue()


def new_set(project: rows.Project, name: str = "set A") -> SubjectSet:
    made = SubjectSet()
    made.links.project = project.pk
    made.display_name = name
    made.save()
    return made


def new_subject(project: rows.Project, tmp_path: Path, **metadata: object) -> Subject:
    path = tmp_path / "t.png"
    path.write_bytes(png())
    made = Subject()
    made.links.project = project.pk
    made.add_location(str(path))
    made.metadata.update(metadata)
    made.save()
    return made


def new_workflow(project: rows.Project, **values: object) -> Workflow:
    made = Workflow()
    made.links.project = project.pk
    made.display_name = "Round?"
    made.primary_language = "en"
    made.tasks = TASKS
    made.first_task = "T0"
    for name, value in values.items():
        setattr(made, name, value)
    made.save()
    return made


def test_a_project_is_made_changed_and_deleted(client: Panoptes) -> None:
    made = Project()
    made.display_name = "Nebulae"
    made.description = "Which are planetary?"
    made.primary_language = "en"
    made.private = True
    made.save()
    assert (made.id, made.slug, made.private) == (str(rows.Project.objects.latest("id").pk), "owner/nebulae", True)
    found = Project.find(made.id)
    found.introduction = "Some are."
    found.configuration["default_workflow"] = "2"
    found.tags = ["nebula"]
    found.save()
    row = rows.Project.objects.get(pk=made.id)
    assert (row.introduction, row.configuration, row.tags) == ("Some are.", {"default_workflow": "2"}, ["nebula"])
    assert found.introduction == "Some are."
    found.delete()
    assert not rows.Project.objects.filter(pk=made.id).exists()


def test_a_project_found_by_its_address_can_be_saved(client: Panoptes, project: rows.Project) -> None:
    found = Project.find(slug=project.slug)
    found.description = "By its address."
    found.save()
    project.refresh_from_db()
    assert project.description == "By its address."


def test_a_change_of_what_somebody_else_has_changed_is_refused(client: Panoptes, project: rows.Project) -> None:
    mine, theirs = Project.find(project.pk), Project.find(project.pk)
    theirs.description = "Theirs."
    theirs.save()
    mine.description = "Mine."
    with pytest.raises(PanoptesAPIException, match="changed since you read it"):
        mine.save()


def test_volunteers_at_work_do_not_make_a_reading_stale(client: Panoptes, project: rows.Project) -> None:
    workflow = make_workflow(project)
    subject = make_subject(project, published_in=workflow)
    found = Workflow.find(workflow.pk)
    vote(workflow, subject, make_volunteer())
    found.retirement = {"criteria": "classification_count", "options": {"count": 5}}
    found.save()
    workflow.refresh_from_db()
    assert workflow.retirement == {"criteria": "classification_count", "options": {"count": 5}}


def test_a_workflow_is_made_of_tasks_and_its_texts_become_strings(client: Panoptes, project: rows.Project) -> None:
    made = new_workflow(project)
    row = rows.Workflow.objects.get(pk=made.id)
    assert row.tasks["T0"]["question"] == "T0.question"
    assert row.strings["T0.answers.0.label"] == "Yes, 🌀"
    assert row.strings["T1.tools.0.label"] == "Centre"
    assert row.strings["T1.instruction"] == "Mark it"
    assert (row.active, row.version, row.retirement["options"]["count"]) == (True, "1.1", 15)
    assert Workflow.find(made.id).tasks == TASKS


def test_new_questions_are_a_major_version_and_new_texts_a_minor_one(client: Panoptes, project: rows.Project) -> None:
    made = new_workflow(project)
    found = Workflow.find(made.id)
    found.tasks["T0"]["question"] = "Is it a disk?"
    found.save()
    assert Workflow.find(made.id).version == "1.2"
    found = Workflow.find(made.id)
    found.tasks["T0"]["answers"].append({"label": "Unclear"})
    found.save()
    assert Workflow.find(made.id).version == "2.3"
    versions = list(WorkflowVersion.where(workflow=Workflow(made.id)))
    assert [(each.raw["major_number"], each.raw["minor_number"]) for each in versions] == [(1, 1), (1, 2), (2, 3)]
    assert WorkflowVersion.find(versions[1].id, Workflow(made.id)).tasks["T0"]["question"] == "Is it a disk?"


def test_questions_that_volunteers_are_answering_do_not_change(client: Panoptes, project: rows.Project) -> None:
    workflow = make_workflow(project)
    rows.Project.objects.update(live=True)
    found = Workflow.find(workflow.pk)
    found.tasks["T0"]["answers"].append({"label": "Perhaps"})
    with pytest.raises(PanoptesAPIException, match="tasks of an active workflow in a live project"):
        found.save()
    found = Workflow.find(workflow.pk)
    found.active = False
    found.save()
    found.tasks["T0"]["answers"].append({"label": "Perhaps"})
    found.save()
    assert new_workflow(project).active is False


def test_a_workflow_nobody_answered_is_deleted_and_an_answered_one_kept(
    client: Panoptes, project: rows.Project
) -> None:
    unanswered, answered = make_workflow(project), make_workflow(project)
    make_subject(project, published_in=unanswered)
    vote(answered, make_subject(project, published_in=answered), make_volunteer())
    Workflow.find(unanswered.pk).delete()
    assert not rows.Workflow.objects.filter(pk=unanswered.pk).exists()
    with pytest.raises(PanoptesAPIException, match="1 classifications are about it"):
        Workflow.find(answered.pk).delete()


def test_files_are_uploaded_linked_and_shown_to_volunteers(
    client: Panoptes, project: rows.Project, tmp_path: Path
) -> None:
    workflow, subject_set = new_workflow(project), new_set(project)
    local = new_subject(project, tmp_path, Filename="t.png", ra=10.5)
    remote = Subject()
    remote.links.project = project.pk
    remote.add_location({"image/png": "https://example.org/x.png"})
    remote.save()
    assert remote.locations == [{"image/png": "https://example.org/x.png"}]
    subject_set.add([local, remote])
    subject_set.add([local, remote])
    Workflow(workflow.id).add_subject_sets(subject_set)
    found = SubjectSet.find(subject_set.id)
    assert found.set_member_subjects_count == 2
    assert [each.id for each in found.subjects] == [local.id, remote.id]
    shown = next(found.subjects)
    assert shown.metadata == {"Filename": "t.png", "ra": 10.5}
    [[address]] = [location.values() for location in shown.locations]
    assert address.endswith(".png")
    assert requests.get(address, timeout=10).content == png()
    media = rows.Media.objects.get(subject=local.id)
    assert (media.pending, media.width_px, media.size_bytes) == (False, 8, len(png()))
    handed = hand_out_subjects(workflow_id=int(workflow.id), volunteer_id=make_volunteer().pk)
    assert {str(each.subject_id) for each in handed} == {local.id, remote.id}


def test_several_files_are_uploaded_at_once(client: Panoptes, project: rows.Project, tmp_path: Path) -> None:
    path = tmp_path / "t.png"
    path.write_bytes(png())
    made = []
    with Subject.async_saves():
        for _ in range(6):
            subject = Subject()
            subject.links.project = project.pk
            subject.add_location(str(path))
            subject.add_location(str(path))
            subject.save()
            made.append(subject)
    assert all(subject.async_save_result for subject in made)
    assert rows.Media.objects.filter(pending=False).count() == 12


def test_subjects_leave_a_set_and_are_deleted(client: Panoptes, project: rows.Project, tmp_path: Path) -> None:
    subject_set, subject = new_set(project), new_subject(project, tmp_path)
    subject_set.add(subject)
    assert subject in subject_set
    subject_set.remove(subject)
    assert subject not in subject_set
    assert SetMemberSubject.where(subject_set_id=subject_set.id).object_count == 0
    Subject.find(subject.id).delete()
    assert not rows.Subject.objects.exists()
    SubjectSet.find(subject_set.id).delete()
    assert not rows.SubjectSet.objects.filter(pk=subject_set.id).exists()


def test_metadata_of_sets_and_subjects_change(client: Panoptes, project: rows.Project, tmp_path: Path) -> None:
    subject_set, subject = new_set(project), new_subject(project, tmp_path, **{"#priority": 2})
    subject_set.add(subject)
    assert rows.SetMemberSubject.objects.get().priority == 2
    found = Subject.find(subject.id)
    found.metadata["#priority"] = "1.5"
    found.save()
    assert rows.SetMemberSubject.objects.get().priority == 1.5
    again = SubjectSet.find(subject_set.id)
    again.metadata["indexFields"] = "dec"
    again.save()
    assert rows.SubjectSet.objects.get(pk=subject_set.id).metadata == {"indexFields": "dec"}


def test_a_subject_of_a_type_that_is_not_shown_is_refused(client: Panoptes, project: rows.Project) -> None:
    subject = Subject()
    subject.links.project = project.pk
    subject.add_location({"application/fits": "https://example.org/x.fits"})
    with pytest.raises(PanoptesAPIException, match="are not shown to volunteers"):
        subject.save()


def test_subjects_are_retired_and_opened_again_by_hand(client: Panoptes, project: rows.Project) -> None:
    workflow = make_workflow(project)
    first, second = (make_subject(project, published_in=workflow) for _ in range(2))
    Workflow(workflow.pk).retire_subjects([first.pk, 999_999], reason="blank")
    [status] = SubjectWorkflowStatus.where(subject_id=first.pk, workflow_id=workflow.pk)
    assert (status.retirement_reason, status.classifications_count) == ("nothing_here", 0)
    assert status.retired_at
    subject_set = workflow.subject_sets.get()
    statuses = list(Workflow(workflow.pk).subject_workflow_statuses(subject_set.pk))
    assert [bool(each.retired_at) for each in statuses] == [True, False]
    Workflow(workflow.pk).unretire_subjects(Subject(first.pk))
    assert not SubjectStatus.objects.exclude(state="open").exists()
    Workflow(workflow.pk).retire_subjects([Subject(first.pk), Subject(second.pk)])
    Workflow(workflow.pk).unretire_subjects_by_subject_set(SubjectSet(subject_set.pk))
    assert SubjectStatus.objects.filter(state="open", retired_at=None, retirement_reason="").count() == 2
    with pytest.raises(PanoptesAPIException, match="no reason to retire"):
        Workflow(workflow.pk).retire_subjects(first.pk, reason="boredom")


def test_people_are_found_and_collaborators_listed(client: Panoptes, project: rows.Project) -> None:
    helper = make_user("helper")
    set_roles(project=project, user=helper, roles=["expert", "moderator"])
    assert User.me().login == "owner"
    assert [each.login for each in User.where(login=["owner", "Helper"])] == ["owner", "helper"]
    people = Project(project.pk).collaborators()
    assert [person.login for person in people] == ["owner", "helper"]
    assert [person.id for person in Project(project.pk).collaborators("moderator")] == [str(helper.pk)]
    assert not hasattr(User.find(helper.pk), "email")


def test_settings_are_saved_and_fetched(client: Panoptes, project: rows.Project) -> None:
    volunteer = make_user("volunteer")
    ProjectPreferences.save_settings(project=project.pk, user=volunteer.pk, settings={"workflow_id": 2})
    ProjectPreferences.save_settings(project=Project(project.pk), user=User(volunteer.pk), settings={"other": True})
    [found] = ProjectPreferences.fetch_settings(project=project.pk, user=volunteer.pk)
    assert found.settings == {"workflow_id": 2, "other": True}
    assert len(list(ProjectPreferences.fetch_settings(project=project.pk))) == 1


def test_own_preferences_are_found_and_changed(client: Panoptes, project: rows.Project) -> None:
    rows.ProjectPreference.objects.create(project=project, user=project.owner, preferences={"tutorials": 1})
    found = ProjectPreferences.find(user=project.owner_id, project=project.pk)
    found.preferences = {"tutorials": 2}
    found.save()
    assert rows.ProjectPreference.objects.get().preferences == {"tutorials": 2}


def test_collections_hold_subjects(client: Panoptes, project: rows.Project) -> None:
    first, second = make_subject(project), make_subject(project)
    made = Collection()
    made.links.project = project.pk
    made.display_name = "Best of"
    made.save()
    assert Collection.find(slug="owner/best-of").id == made.id
    made.add([first.pk, second.pk])
    made.set_default_subject(second.pk)
    row = rows.Collection.objects.get()
    assert (row.subjects.count(), row.default_subject_id) == (2, second.pk)
    again = Collection.find(made.id)
    assert [each.id for each in again.subjects] == [str(first.pk), str(second.pk)]
    again.remove([first.pk])
    again.private = True
    again.save()
    assert rows.Collection.objects.get().private
    Collection.find(made.id).delete()
    assert not rows.Collection.objects.exists()


def test_the_narrower_listings_of_classifications_are_there(client: Panoptes, project: rows.Project) -> None:
    workflow = make_workflow(project)
    assert list(Classification.where(scope="incomplete")) == []
    assert list(Classification.where(scope="gold_standard", workflow_id=workflow.pk)) == []


def test_the_admin_switch_of_the_client_is_taken(live_server: object, project: rows.Project) -> None:
    url = live_server.url  # type: ignore[attr-defined]
    with Panoptes(endpoint=url, username="owner", password=PASSWORD, admin=True):
        assert Project.find(project.pk).id == str(project.pk)
        assert [each.id for each in Project.where(page_size=1)] == [str(project.pk)]


def test_somebody_else_changes_nothing(live_server: object, project: rows.Project) -> None:
    rows.Project.objects.update(live=True)
    make_user("stranger")
    url = live_server.url  # type: ignore[attr-defined]
    with Panoptes(endpoint=url, username="stranger", password=PASSWORD):
        found = Project.find(project.pk)
        found.description = "Mine now."
        with pytest.raises(PanoptesAPIException, match="owner and collaborators"):
            found.save()
        with pytest.raises(PanoptesAPIException, match="owner and collaborators"):
            new_set(project)
