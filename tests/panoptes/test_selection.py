"""Selection and counting exactly as Panoptes, streams, and groups: what a workflow's configuration may ask for."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from esocs.accounts.models import User
from esocs.crowd.models import Assignment, Classification, SubjectStatus
from esocs.crowd.refit import audit_consensus
from esocs.panoptes.access import forget_workflows
from esocs.projects.community import create_collection
from esocs.projects.models import (
    Project,
    ProjectPreference,
    SetMemberSubject,
    Subject,
    SubjectSet,
    Workflow,
)
from tests.panoptes.bodies import bearer, classification, error_of, send
from tests.releases.exporting import make_export, read_export
from tests.support.factories import make_subject, make_user, make_workflow

pytestmark = pytest.mark.django_db

FIELDS = ("retired", "already_seen", "finished_workflow", "user_has_finished_workflow", "favorite", "selection_state")


def configure(workflow: Workflow, **configuration: Any) -> Workflow:
    Workflow.objects.filter(pk=workflow.pk).update(configuration=configuration)
    forget_workflows()
    return Workflow.objects.get(pk=workflow.pk)


@pytest.fixture
def exact(workflow: Workflow) -> Workflow:
    return configure(workflow, selection="panoptes")


@pytest.fixture
def subjects(exact: Workflow) -> list[Subject]:
    return [make_subject(exact.project, published_in=exact) for _ in range(3)]


@pytest.fixture
def volunteer() -> User:
    return make_user()


def ask(client: Client, workflow: Workflow, query: str = "", **headers: str) -> list[dict[str, Any]]:
    answer = client.get(f"/api/subjects/queued?workflow_id={workflow.pk}{query}", headers=headers)
    assert answer.status_code == 200, answer.content
    found: list[dict[str, Any]] = answer.json()["subjects"]
    return found


def answer_all(client: Client, workflow: Workflow, subjects: list[Subject], user: User | None) -> None:
    for subject in subjects:
        sent = send(client, classification(workflow, subject), **(bearer(user) if user else {}))
        assert sent.status_code == 201, sent.content


def count_of(subject: Subject) -> int:
    return SubjectStatus.objects.get(subject=subject).classifications_count


def add_set(workflow: Workflow, n: int, **metadata: Any) -> SubjectSet:
    made = SubjectSet.objects.create(
        project=workflow.project, display_name=f"set {SubjectSet.objects.count()}", metadata=metadata
    )
    kept = list(workflow.subject_sets.all())
    workflow.subject_sets.set([made])
    for _ in range(n):
        make_subject(workflow.project, published_in=workflow)
    workflow.subject_sets.set([*kept, made])
    return made


def ids_of(subject_set: SubjectSet) -> set[str]:
    members = SetMemberSubject.objects.filter(subject_set=subject_set)
    return {str(pk) for pk in members.values_list("subject_id", flat=True)}


# --- selection ----------------------------------------------------------------------------------------------------


def test_each_subject_says_how_it_stands(
    client: Client, exact: Workflow, subjects: list[Subject], volunteer: User
) -> None:
    create_collection(
        owner=volunteer,
        display_name="Mine",
        favorite=True,
        project_ids=[exact.project_id],
        subject_ids=[subjects[0].pk],
    )
    queued = {one["id"]: one for one in ask(client, exact, **bearer(volunteer))}
    assert set(queued) == {str(subject.pk) for subject in subjects}
    first = queued[str(subjects[0].pk)]
    assert {name: first[name] for name in FIELDS} == {
        "retired": False,
        "already_seen": False,
        "finished_workflow": False,
        "user_has_finished_workflow": False,
        "favorite": True,
        "selection_state": "normal",
    }
    assert queued[str(subjects[1].pk)]["favorite"] is False
    assert first["selected_at"].endswith("Z")
    assert [key for location in first["locations"] for key in location] == ["image/jpeg"]


def test_what_was_selected_just_now_comes_again_only_when_nothing_else_is_left(
    client: Client, exact: Workflow, subjects: list[Subject], volunteer: User
) -> None:
    first = ask(client, exact, "&page_size=2", **bearer(volunteer))
    second = ask(client, exact, "&page_size=2", **bearer(volunteer))
    assert {one["id"] for one in first + second} == {str(subject.pk) for subject in subjects}
    assert len(second) == 1
    third = ask(client, exact, "&page_size=2", **bearer(volunteer))
    assert len(third) == 2
    assert {one["selection_state"] for one in third} == {"internal_fallback"}


def test_who_has_seen_everything_is_shown_it_again_and_told_so(
    client: Client, exact: Workflow, subjects: list[Subject], volunteer: User
) -> None:
    answer_all(client, exact, subjects, volunteer)
    queued = ask(client, exact, **bearer(volunteer))
    assert len(queued) == 3
    assert {one["selection_state"] for one in queued} == {"failover_fallback"}
    assert all(one["already_seen"] and one["user_has_finished_workflow"] for one in queued)
    assert not any(one["retired"] or one["finished_workflow"] for one in queued)


def test_a_finished_workflow_is_shown_on_and_its_answers_are_taken(
    client: Client, exact: Workflow, subjects: list[Subject], volunteer: User
) -> None:
    SubjectStatus.objects.update(state="retired", retired_at="2026-01-01T00:00:00Z", retirement_reason="consensus")
    queued = ask(client, exact, **bearer(volunteer))
    assert len(queued) == 3
    assert all(one["retired"] and one["finished_workflow"] and not one["already_seen"] for one in queued)
    answer_all(client, exact, subjects[:1], volunteer)
    assert count_of(subjects[0]) == 1


def test_a_workflow_without_subjects_has_nothing_to_select(client: Client, exact: Workflow) -> None:
    path = f"/api/subjects/queued?workflow_id={exact.pk}"
    assert error_of(client.get(path)) == (404, "nothing_to_select")
    exact.subject_sets.clear()
    assert error_of(client.get(path)) == (404, "nothing_to_select")


def test_nobody_is_kept_from_a_subject_by_others_reservations(
    client: Client, exact: Workflow, subjects: list[Subject]
) -> None:
    for _ in range(5):
        assert len(ask(client, exact, **bearer(make_user()))) == 3


def test_a_prioritized_workflow_goes_by_priority(client: Client, exact: Workflow, subjects: list[Subject]) -> None:
    Workflow.objects.update(prioritized=True)
    for place, subject in enumerate(reversed(subjects)):
        SetMemberSubject.objects.filter(subject=subject).update(priority=place)
    assert [one["id"] for one in ask(client, exact)] == [str(subject.pk) for subject in reversed(subjects)]


def test_a_grouped_workflow_goes_by_the_set_that_is_asked_for(
    client: Client, exact: Workflow, subjects: list[Subject]
) -> None:
    Workflow.objects.update(grouped=True)
    other = add_set(exact, 2)
    assert error_of(client.get(f"/api/subjects/queued?workflow_id={exact.pk}"))[0] == 422
    assert {one["id"] for one in ask(client, exact, f"&subject_set_id={other.pk}")} == ids_of(other)


def test_a_training_set_is_left_to_training(client: Client, exact: Workflow, subjects: list[Subject]) -> None:
    training = add_set(exact, 2, training=True)
    assert {one["id"] for one in ask(client, exact)} == {str(subject.pk) for subject in subjects}
    configure(exact, selection="panoptes", training_set_ids=[training.pk], training_chances=[1.0])
    queued = ask(client, exact, "&page_size=2", **bearer(make_user()))
    assert {one["id"] for one in queued} == ids_of(training)


def test_a_subject_of_two_sets_is_selected_once(client: Client, exact: Workflow, subjects: list[Subject]) -> None:
    other = add_set(exact, 0)
    for subject in subjects:
        SetMemberSubject.objects.create(subject_set=other, subject=subject)
    queued = [one["id"] for one in ask(client, exact)]
    assert sorted(queued) == sorted(str(subject.pk) for subject in subjects)


# --- counting -----------------------------------------------------------------------------------------------------


def test_gold_counts(client: Client, exact: Workflow, subjects: list[Subject]) -> None:
    sent = send(client, classification(exact, subjects[0], gold_standard=True), **bearer(exact.project.owner))
    assert sent.status_code == 201
    assert count_of(subjects[0]) == 1
    headers = bearer(exact.project.owner) | {"Idempotency-Key": "again"}
    again = send(client, classification(exact, subjects[0], 1, gold_standard=True), **headers)
    assert again.status_code == 201
    assert count_of(subjects[0]) == 1
    assert audit_consensus(exact) == []


def test_an_anonymous_repeat_counts_and_retires_and_is_no_repeat_in_the_export(
    client: Client, exact: Workflow, subjects: list[Subject]
) -> None:
    subject = subjects[0]
    for value in (0, 1, 0):
        metadata = {"started_at": f"2026-01-31T12:00:0{value}.000Z"}
        body = classification(exact, subject, value)
        body["classifications"]["metadata"] |= metadata | {"session": f"{Classification.objects.count()}"}
        assert send(client, body).status_code == 201
    status = SubjectStatus.objects.get(subject=subject)
    assert (status.classifications_count, status.state, status.retirement_reason) == (
        3,
        "retired",
        "classification_count",
    )
    assert Classification.objects.filter(counted=True).count() == 1
    assert list(status.changes.values_list("before", "after", "reason")) == [
        ("open", "retired", "classification_count")
    ]
    assert audit_consensus(exact) == []
    rows = read_export(make_export(exact.project))
    assert not any("seen_before" in row["metadata"] for row in rows)


def test_a_repeat_of_somebody_known_does_not_count(
    client: Client, exact: Workflow, subjects: list[Subject], volunteer: User
) -> None:
    for value in (0, 1):
        headers = bearer(volunteer) | {"Idempotency-Key": f"try-{value}"}
        assert send(client, classification(exact, subjects[0], value), **headers).status_code == 201
    assert count_of(subjects[0]) == 1
    rows = read_export(make_export(exact.project))
    assert ["seen_before" in row["metadata"] for row in rows] == [False, True]


def test_a_replay_counts_once(client: Client, exact: Workflow, subjects: list[Subject]) -> None:
    for _ in range(2):
        sent = send(client, classification(exact, subjects[0]), **{"Idempotency-Key": "once"})
        assert sent.status_code == 201
    assert count_of(subjects[0]) == 1


def test_nothing_counts_before_the_project_is_live(client: Client, exact: Workflow, subjects: list[Subject]) -> None:
    Project.objects.update(live=False)
    Workflow.objects.update(retirement={"criteria": "classification_count", "options": {"count": 1}})
    forget_workflows()
    answer_all(client, exact, subjects[:1], exact.project.owner)
    status = SubjectStatus.objects.get(subject=subjects[0])
    assert (status.classifications_count, status.state) == (0, "open")
    assert Classification.objects.count() == 1
    assert audit_consensus(exact) == []


def test_by_default_gold_does_not_count_and_an_exhausted_queue_says_so(
    client: Client, workflow: Workflow, subject: Subject
) -> None:
    owner = workflow.project.owner
    assert send(client, classification(workflow, subject, gold_standard=True), **bearer(owner)).status_code == 201
    assert count_of(subject) == 0
    answer = client.get(f"/api/subjects/queued?workflow_id={workflow.pk}", headers=bearer(owner))
    assert answer.json()["subjects"] == []
    assert answer.json()["meta"]["subjects"]["exhausted"] is True


# --- streams in our own hand-out ----------------------------------------------------------------------------------


def test_streams_hold_in_our_hand_out_too(client: Client, workflow: Workflow) -> None:
    often, never = add_set(workflow, 6), add_set(workflow, 6)
    configure(workflow, subject_set_chances={str(often.pk): 1.0})
    queued = {one["id"] for one in ask(client, workflow, "&page_size=6", **bearer(make_user()))}
    assert queued == ids_of(often)
    assert Assignment.objects.count() == 6
    own = make_user()
    ProjectPreference.objects.create(
        project=workflow.project,
        user=own,
        settings={"designator": {"subject_set_chances": {str(never.pk): 1.0}}, "workflow_id": str(workflow.pk)},
    )
    assert {one["id"] for one in ask(client, workflow, "&page_size=6", **bearer(own))} == ids_of(never)


def test_where_a_stream_runs_dry_the_others_make_up_for_it(client: Client, workflow: Workflow) -> None:
    small, large = add_set(workflow, 2), add_set(workflow, 6)
    configure(workflow, subject_set_chances={str(small.pk): 1.0})
    queued = [one["id"] for one in ask(client, workflow, "&page_size=5")]
    assert len(queued) == len(set(queued)) == 5
    assert ids_of(small) < set(queued) < ids_of(small) | ids_of(large)
    held = ",".join(queued)
    assert len(ask(client, workflow, f"&page_size=5&held={held}")) == 3


def test_the_queue_is_as_long_as_the_workflow_says(client: Client, workflow: Workflow) -> None:
    add_set(workflow, 5)
    configure(workflow, subject_queue_page_size=3)
    assert len(ask(client, workflow)) == 3
    configure(workflow, subject_queue_page_size="many")
    assert len(ask(client, workflow, "&held=")) == 5


# --- groups -------------------------------------------------------------------------------------------------------


def test_a_grid_of_subjects_is_one_subject_and_its_answer_is_all_of_theirs(client: Client, workflow: Workflow) -> None:
    members = ids_of(add_set(workflow, 5))
    path = f"/api/subjects/grouped?workflow_id={workflow.pk}&num_rows=2&num_columns=2&page_size=2"
    [group] = client.get(path).json()["subjects"]
    assert group["id"].startswith("-")
    ids = group["metadata"]["#group_subject_ids"].split("-")
    assert len(ids) == len(group["locations"]) == 4
    assert set(ids) < members
    assert group["metadata"]["#subject_group_id"] == group["id"][1:]
    for _ in range(2):
        sent = send(client, classification(workflow, group["id"]), **{"Idempotency-Key": "grid"})
        assert sent.status_code == 201, sent.content
        assert sent.json()["classifications"][0]["links"]["subjects"] == [group["id"]]
    stored = Classification.objects.values_list("subject_id", "counted")
    assert sorted(stored) == sorted((int(pk), True) for pk in ids)


@pytest.mark.parametrize(
    "query",
    ["", "workflow_id={pk}", "workflow_id={pk}&num_rows=0&num_columns=1", "workflow_id={pk}&num_rows=9&num_columns=9"],
)
def test_a_grid_must_make_sense(client: Client, workflow: Workflow, query: str) -> None:
    assert error_of(client.get(f"/api/subjects/grouped?{query.format(pk=workflow.pk)}"))[0] == 422


def test_a_group_of_another_workflow_is_none(client: Client, workflow: Workflow) -> None:
    add_set(workflow, 1)
    other = make_workflow(workflow.project)
    [group] = client.get(f"/api/subjects/grouped?workflow_id={workflow.pk}&num_rows=1&num_columns=1").json()["subjects"]
    assert error_of(send(client, classification(other, group["id"])))[0] == 404
    assert error_of(send(client, classification(workflow, "--1")))[0] == 422
