"""A volunteer's own pages: votes at work, collections, account, data and erasure."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from esocs.accounts.models import User, Volunteer
from esocs.community.erasure import forget_traces
from esocs.community.models import Comment, Erasure
from esocs.community.work import count_work
from esocs.crowd.models import Classification, SubjectStatus
from esocs.jobs.models import Job
from esocs.projects.models import Collection, Project, Subject, Workflow
from tests.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def workflow() -> Workflow:
    return factories.make_workflow(factories.make_project(owner=factories.make_user("keeper")))


@pytest.fixture
def subjects(workflow: Workflow) -> list[Subject]:
    return [factories.make_subject(workflow.project, published_in=workflow) for _ in range(3)]


@pytest.fixture
def nova(client: Client) -> User:
    user = factories.make_user("nova", email="nova@example.org", credited_name="N. Ova")
    assert client.post("/log-in/", {"login": "nova", "password": factories.PASSWORD}).status_code == 302
    return user


def settle(subject: Subject, answer: int) -> None:
    SubjectStatus.objects.filter(subject=subject).update(
        state="retired", retired_answer=answer, retired_at=datetime.now(tz=UTC)
    )


def test_votes_at_work_tell_how_each_subject_came_out(
    client: Client, nova: User, workflow: Workflow, subjects: list[Subject]
) -> None:
    for subject in subjects:
        factories.classify(workflow, subject, nova.volunteer, T0=0)
    settle(subjects[0], 0)
    settle(subjects[1], 1)
    body = client.get(f"/projects/{workflow.project.slug}/my-work/").content.decode()
    text = " ".join(body.split())
    assert "It was settled as <strong>Yes</strong>, as you said." in text
    assert "It was settled as <strong>No</strong>." in text
    assert "Others are still being asked." in text
    tally = count_work(
        volunteer_id=nova.volunteer.pk, project=workflow.project, today=Classification.objects.first().created_at.date()
    )
    assert (tally.classifications, tally.subjects, tally.settled, tally.today, tally.streak) == (3, 3, 2, 3, 1)


def test_an_anonymous_session_has_work_too_and_one_without_any_is_invited(client: Client, workflow: Workflow) -> None:
    answer = client.get(f"/projects/{workflow.project.slug}/my-work/")
    assert "Once you have classified something" in answer.content.decode()
    assert Volunteer.objects.filter(user=None).count() == 0, "looking makes no volunteer"


def test_a_heart_pressed_twice_is_one_favourite(
    client: Client, nova: User, workflow: Workflow, subjects: list[Subject]
) -> None:
    address = f"/projects/{workflow.project.slug}/subjects/{subjects[0].pk}/collect/"
    for _ in range(2):
        assert client.post(address, {"on": "1"}, headers={"accept": "application/json"}).status_code == 204
    favourites = Collection.objects.get(owner=nova, favorite=True)
    assert [row.pk for row in favourites.subjects.all()] == [subjects[0].pk]
    assert client.post(address, {"on": "0"}).status_code == 302
    assert not favourites.subjects.exists()
    assert Client().post(address, {"on": "1"}).status_code == 403


def test_collections_are_made_shown_changed_and_deleted(
    client: Client, nova: User, workflow: Workflow, subjects: list[Subject]
) -> None:
    made = client.post("/collections/", {"display_name": "Odd ones", "description": "<b>odd</b>"})
    slug = Collection.objects.get().slug
    assert made["Location"] == f"/collections/{slug}/"
    collect = f"/projects/{workflow.project.slug}/subjects/{subjects[0].pk}/collect/"
    client.post(collect, {"collection": Collection.objects.get().pk, "on": "1"})
    page = client.get(f"/collections/{slug}/").content.decode()
    assert f"Subject {subjects[0].pk}" in page
    assert "<b>odd" not in page
    assert Client().get(f"/collections/{slug}/").status_code == 200
    client.post(f"/collections/{slug}/change/", {"display_name": "Odd", "private": "on"})
    assert Client().get(f"/collections/{slug}/").status_code == 404
    assert Client().post(f"/collections/{slug}/change/", {"act": "delete"}).status_code == 404
    client.post(f"/collections/{slug}/change/", {"act": "drop", "subject": subjects[0].pk})
    assert not Collection.objects.get().subjects.exists()
    client.post(f"/collections/{slug}/change/", {"act": "delete"})
    assert not Collection.objects.exists()
    assert client.post("/collections/", {"display_name": ""}).status_code == 422


def test_a_public_collection_shows_no_subject_of_a_closed_project(
    client: Client, nova: User, workflow: Workflow, subjects: list[Subject]
) -> None:
    client.post("/collections/", {"display_name": "Seen"})
    found = Collection.objects.get()
    found.subjects.add(subjects[0])
    Project.objects.filter(pk=workflow.project_id).update(private=True)
    assert f"Subject {subjects[0].pk}" not in Client().get(f"/collections/{found.slug}/").content.decode()


def test_names_and_password_are_changed_on_the_account_page(client: Client, nova: User) -> None:
    assert client.post("/account/", {"form": "names", "display_name": "Nova", "email": "x"}).status_code == 422
    assert client.post("/account/", {"form": "names", "display_name": "Nova"}).status_code == 302
    nova.refresh_from_db()
    assert (nova.display_name, nova.credited_name) == ("Nova", "")
    wrong = client.post("/account/", {"form": "password", "old_password": "no", "password": "another-long-one"})
    assert wrong.status_code == 422
    assert "present password" in wrong.content.decode()
    sent = {"form": "password", "old_password": factories.PASSWORD, "password": "another-long-passphrase"}
    assert client.post("/account/", sent).status_code == 302
    assert client.get("/account/").status_code == 200, "still logged in"
    assert Client().get("/account/").status_code == 302


def test_the_download_holds_everything_of_the_asker_and_nothing_of_others(
    client: Client, nova: User, workflow: Workflow, subjects: list[Subject]
) -> None:
    factories.classify(workflow, subjects[0], nova.volunteer, T0=1)
    factories.classify(workflow, subjects[0], T0=2)
    Comment.objects.create(project=workflow.project, subject=subjects[0], author=nova, body="Mine ∑")
    answer = client.get("/account/data/")
    kept = json.loads(b"".join(answer.streaming_content))
    assert kept["account"]["email"] == "nova@example.org"
    assert [row["annotations"] for row in kept["classifications"]] == [[{"task": "T0", "value": 1}]]
    assert [row["body"] for row in kept["comments"]] == ["Mine ∑"]
    assert set(kept) == {
        "account", "classifications", "skill", "reservations", "comments", "reports", "collections", "preferences",
        "roles",
    }  # fmt: skip


def test_an_erased_account_leaves_answers_that_nobody_can_trace(
    client: Client, nova: User, workflow: Workflow, subjects: list[Subject]
) -> None:
    factories.classify(workflow, subjects[0], nova.volunteer, T0=1)
    Classification.objects.update(metadata={"session": "abc", "started_at": "x"}, ip_key="hash")
    comment = Comment.objects.create(project=workflow.project, subject=subjects[0], author=nova, body="#mine")
    client.post(f"/projects/{workflow.project.slug}/subjects/{subjects[0].pk}/collect/", {"on": "1"})
    elsewhere = Client()
    elsewhere.post("/log-in/", {"login": "nova", "password": factories.PASSWORD})
    assert client.post("/account/erase/", {"password": "wrong"}).status_code == 403
    assert client.post("/account/erase/", {"password": factories.PASSWORD}).status_code == 302

    job = Job.objects.get(kind="community.forget_traces")
    for _ in range(2):
        forget_traces(**job.payload)
    nova.refresh_from_db()
    comment.refresh_from_db()
    kept = Classification.objects.get()
    assert nova.login.startswith("erased-")
    assert (nova.email, nova.credited_name, nova.is_active, nova.has_usable_password()) == ("", "", False, False)
    assert (kept.metadata, kept.ip_key, kept.counted) == ({"started_at": "x"}, "", True)
    assert kept.volunteer.user is None
    assert (comment.author, comment.body, comment.state) == (None, "", "withdrawn")
    assert not Collection.objects.exists()
    assert Erasure.objects.get().classifications == 1
    assert "nova" not in "".join(str(s.get_decoded()) for s in Session.objects.all())
    assert elsewhere.get("/account/").status_code == 302
    assert client.post("/log-in/", {"login": "nova", "password": factories.PASSWORD}).status_code == 422


def test_an_owner_is_told_to_hand_the_projects_over_first(client: Client, workflow: Workflow) -> None:
    client.post("/log-in/", {"login": "keeper", "password": factories.PASSWORD})
    answer = client.post("/account/erase/", {"password": factories.PASSWORD})
    assert answer.status_code == 409
    assert workflow.project.display_name in answer.content.decode()
    assert User.objects.filter(login="keeper", is_active=True).exists()


def test_what_the_machine_learned_is_told(
    client: Client, nova: User, workflow: Workflow, subjects: list[Subject]
) -> None:
    from esocs.machine.models import ModelVersion
    from esocs.training.models import Comparison, TrainingRun, TrainingSet, TrainingSetItem

    factories.classify(workflow, subjects[0], nova.volunteer, T0=0)
    version = ModelVersion.objects.create(
        workflow=workflow, number=2, class_names=["Yes", "No"], weights_path="x", weights_sha256=uuid.uuid4().hex,
        training_prior=[0.5, 0.5],
    )  # fmt: skip
    made = TrainingSet.objects.create(workflow=workflow, task_key="T0", manifest_sha256="m", class_names=["Yes", "No"])
    for subject in subjects[:2]:
        TrainingSetItem.objects.create(training_set=made, subject=subject, source="consensus", counts=[1, 0])
    TrainingRun.objects.create(training_set=made, configuration_sha256="c", seed=1, model_version=version)
    Comparison.objects.create(
        challenger=version, verdict="promoted", reason="better", blind_subjects=100, champion_errors=9,
        challenger_errors=7, challenger_accepted_share=0.5,
    )  # fmt: skip
    text = " ".join(client.get(f"/projects/{workflow.project.slug}/my-work/").content.decode().split())
    assert "was trained on 2 subjects, and you helped to settle 1 of them" in text
    assert "it got 7 wrong; the one before got 9 wrong" in text
    assert "It took over." in text
