"""An answer taken back and given anew: both rows are kept and the last counts, whatever order they arrive in."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from classifier.errors import EsocsError
from esocs.accounts.models import Volunteer
from esocs.crowd import services
from esocs.crowd.models import Answer, Classification, Consensus, StatusChange, SubjectStatus, TaskSummary
from esocs.crowd.refit import audit_consensus
from esocs.crowd.services import Recorded, Submission
from esocs.projects.models import Subject, Workflow
from tests.support.consensus import from_rows, live
from tests.support.factories import classify, make_tree_workflow, make_volunteer, make_workflow, publish

pytestmark = pytest.mark.django_db

NEVER = {"criteria": "never_retire"}


def answer(
    workflow: Workflow, subject: Subject, volunteer: Volunteer, key: str, *, revises: str = "", revision: int = 1,
    **values: Any,
) -> Recorded:  # fmt: skip
    metadata = {"revises": revises, "revision": revision} if revises else {}
    return services.record_answer(
        Submission(
            workflow_id=workflow.pk,
            subject_ids=[subject.pk],
            volunteer_id=volunteer.pk,
            annotations=[{"task": task, "value": value} for task, value in values.items()],
            metadata=metadata,
            workflow_version=workflow.version,
            idempotency_key=key,
        )
    )


def counts(subject: Subject, task: str = "T0") -> list[int]:
    return Consensus.objects.get(status__subject=subject, task_key=task).answer_counts


def test_the_last_answer_counts_and_both_rows_are_kept() -> None:
    workflow = make_workflow(retirement=NEVER)
    (subject,) = publish(workflow)
    classify(workflow, subject, T0=0)
    volunteer = make_volunteer()
    first = answer(workflow, subject, volunteer, "first", T0=2)
    assert counts(subject) == [1, 0, 1]
    second = answer(workflow, subject, volunteer, "second", revises="first", T0=1)
    assert second.counted
    assert counts(subject) == [1, 1, 0]
    assert SubjectStatus.objects.get().classifications_count == 2
    assert live(workflow) == from_rows(workflow)
    rows = {row.pk: row for row in Classification.objects.filter(volunteer=volunteer)}
    assert (rows[first.id].counted, rows[first.id].metadata) == (False, {"superseded": True})
    assert rows[first.id].annotations == [{"task": "T0", "value": 2}]
    assert (rows[second.id].counted, rows[second.id].revises, rows[second.id].revision) == (True, "first", 1)
    # Replays of either change nothing.
    for key, extra, value in (("first", {}, 2), ("second", {"revises": "first"}, 1)):
        assert not answer(workflow, subject, volunteer, key, T0=value, **extra).created
    assert counts(subject) == [1, 1, 0]
    assert audit_consensus(workflow) == []


def refit(workflow: Workflow) -> None:
    """Switch to a new epoch if there is anything to fit."""
    effect = services.refit_workflow(Workflow.objects.get(pk=workflow.pk))
    if effect is not None:
        effect()


steps = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=8
)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    arrivals=st.permutations([*range(3)] * 2 + [None]),
    others=steps,
    values=st.lists(st.integers(0, 2), min_size=3, max_size=3),
)
def test_any_order_any_repetition_and_any_refit_end_in_the_sums_of_the_last_answers(
    arrivals: list[int | None], others: list[tuple[int, int, int, int]], values: list[int]
) -> None:
    """One volunteer's answer and its two revisions arrive twice each, among others' answers and a refit."""
    with transaction.atomic():
        workflow = make_workflow(retirement=NEVER)
        subjects = publish(workflow, 2)
        volunteer, *crowd = (make_volunteer() for _ in range(3))
        waiting = list(others)
        for arrival in arrivals:
            if arrival is None:
                refit(workflow)
            else:
                extra = {"revises": "key-0", "revision": arrival} if arrival else {}
                answer(workflow, subjects[0], volunteer, f"key-{arrival}", T0=values[arrival], **extra)
            if waiting:
                person, subject, value, number = waiting.pop()
                extra = {"revises": f"{person}-{subject}-0", "revision": number} if number else {}
                key = f"{person}-{subject}-{number}"
                try:
                    answer(workflow, subjects[subject], crowd[person], key, T0=value, **extra)
                except EsocsError as error:
                    assert error.code == "idempotency_key_reused"  # noqa: PT017 - the sequence may repeat a key
        mine = Classification.objects.filter(volunteer=volunteer)
        assert mine.count() == 3
        assert [row.idempotency_key for row in mine.filter(counted=True)] == ["key-2"]
        assert set(mine.filter(metadata__superseded=True).values_list("revision", flat=True)) == {0, 1}
        assert live(workflow) == from_rows(workflow)
        assert audit_consensus(workflow) == []
        refit(workflow)
        assert live(workflow) == from_rows(workflow)
        transaction.set_rollback(True)


def test_a_question_that_the_revision_does_not_reach_is_taken_back_too() -> None:
    workflow = make_tree_workflow(retirement=NEVER)
    (subject,) = publish(workflow)
    volunteer, other = make_volunteer(), make_volunteer()
    classify(workflow, subject, other, T0=1, T1=0, T2=[1])
    refit(workflow)
    before = live(workflow)
    answer(workflow, subject, volunteer, "first", T0=1, T1=1, T2=[0, 1])
    assert live(workflow) != before
    answer(workflow, subject, volunteer, "second", revises="first", T0=0)
    assert live(workflow) == from_rows(workflow)
    assert counts(subject, "T1") == [1, 0]


def test_a_revision_counts_for_its_own_answer_alone() -> None:
    workflow = make_workflow(retirement=NEVER)
    (subject,) = publish(workflow)
    mine, other = make_volunteer(), make_volunteer()
    answer(workflow, subject, mine, "mine", T0=0)
    # Another person's key, and a key that nobody used: ordinary answers of whoever sends them.
    assert answer(workflow, subject, other, "theirs", revises="mine", T0=1).counted
    assert not answer(workflow, subject, mine, "odd", revises="nothing", T0=2).counted
    assert counts(subject) == [1, 1, 0]
    # Too late to be a slip.
    Classification.objects.filter(idempotency_key="mine").update(created_at=timezone.now() - timedelta(days=2))
    assert not answer(workflow, subject, mine, "late", revises="mine", T0=2).counted
    assert counts(subject) == [1, 1, 0]
    assert live(workflow) == from_rows(workflow)


def test_a_subject_that_the_answer_retired_is_open_again_until_the_revision_decides() -> None:
    workflow = make_workflow(retirement={"criteria": "classification_count", "options": {"count": 2}})
    (subject,) = publish(workflow)
    volunteer = make_volunteer()
    classify(workflow, subject, T0=0)
    assert answer(workflow, subject, volunteer, "first", T0=1).retired
    assert answer(workflow, subject, volunteer, "second", revises="first", T0=0).retired
    status = SubjectStatus.objects.get()
    assert (status.state, status.retired_count, status.retired_answer) == ("retired", 2, 0)
    changes = StatusChange.objects.order_by("id").values_list("before", "after", "classifications_count")
    assert list(changes) == [("open", "retired", 2), ("retired", "open", 1), ("open", "retired", 2)]
    assert live(workflow) == from_rows(workflow)


def test_a_subject_that_a_person_retired_stays_so_and_its_sums_follow_the_revision() -> None:
    workflow = make_workflow(retirement=NEVER)
    (subject,) = publish(workflow)
    volunteer = make_volunteer()
    answer(workflow, subject, volunteer, "first", T0=1)
    SubjectStatus.objects.update(state="retired", retirement_cause="person", retired_at=timezone.now())
    refit(workflow)
    refit(workflow)
    refit(workflow)
    assert answer(workflow, subject, volunteer, "second", revises="first", T0=0).counted
    status = SubjectStatus.objects.get()
    assert (status.state, status.retirement_cause) == ("retired", "person")
    assert counts(subject) == [1, 0, 0]
    assert live(workflow) == from_rows(workflow)


@pytest.mark.parametrize(
    "closed", [{"state": "retired", "retired_at": "2026-01-01T00:00:00Z"}, {"audience": "experts"}]
)
def test_a_first_answer_that_comes_after_its_revision_is_kept_though_the_subject_is_closed(closed: Any) -> None:
    workflow = make_workflow(retirement=NEVER)
    (subject,) = publish(workflow)
    volunteer = make_volunteer()
    answer(workflow, subject, volunteer, "second", revises="first", T0=0)
    SubjectStatus.objects.update(**closed)
    first = answer(workflow, subject, volunteer, "first", T0=1)
    assert (first.created, first.counted) == (True, False)
    assert Classification.objects.get(pk=first.id).metadata == {"superseded": True}
    assert counts(subject) == [1, 0, 0]
    with pytest.raises(EsocsError):
        answer(workflow, subject, make_volunteer(), "stranger", T0=1)


def test_what_was_drawn_is_summarised_again_after_a_revision() -> None:
    workflow = make_workflow(retirement=NEVER)
    (subject,) = publish(workflow)
    volunteer = make_volunteer()
    answer(workflow, subject, volunteer, "first", T0=1)
    status = SubjectStatus.objects.get()
    TaskSummary.objects.create(status=status, task_key="T1", kind="text", seen_by=1, counted=1, value={})
    answer(workflow, subject, volunteer, "second", revises="first", T0=0)
    assert TaskSummary.objects.get().counted != status.classifications_count


@pytest.mark.django_db(transaction=True)
def test_answers_and_revisions_sent_at_once_count_once() -> None:
    workflow = make_workflow(retirement=NEVER)
    subjects, volunteers = publish(workflow, 3), [make_volunteer() for _ in range(4)]
    sent = [
        (subject, volunteer, number)
        for subject in subjects
        for volunteer in volunteers
        for number in (2, 0, 1, 0, 2)
    ]  # fmt: skip
    barrier = threading.Barrier(6)

    def send(part: int) -> None:
        barrier.wait()
        for subject, volunteer, number in sent[part::6]:
            first = f"{subject.pk}-{volunteer.pk}"
            extra = {"revises": first, "revision": number} if number else {}
            answer(workflow, subject, volunteer, f"{first}-{number}" if number else first, T0=number, **extra)
        connection.close()

    threads = [threading.Thread(target=send, args=(part,)) for part in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Classification.objects.count() == 36
    assert set(Classification.objects.filter(counted=True).values_list("revision", flat=True)) == {2}
    assert [counts(subject) for subject in subjects] == [[0, 0, 4]] * 3
    assert Answer.objects.filter(counted=True).count() == 12
    assert list(SubjectStatus.objects.values_list("classifications_count", flat=True)) == [4, 4, 4]
    assert live(workflow) == from_rows(workflow)


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        ({"revises": 7}, "metadata.revises"),
        ({"revises": ""}, "metadata.revises"),
        ({"revises": "x" * 65}, "metadata.revises"),
        ({"revises": {"a": 1}}, "metadata.revises"),
        ({"revises": "a", "revision": 0}, "metadata.revision"),
        ({"revises": "a", "revision": "2"}, "metadata.revision"),
        ({"revises": "a", "revision": True}, "metadata.revision"),
        ({"revises": "a", "revision": 10**9}, "metadata.revision"),
    ],
)
def test_the_door_refuses_a_revision_that_makes_no_sense(client: Client, metadata: dict[str, Any], told: str) -> None:
    workflow = make_workflow()
    (subject,) = publish(workflow)
    facts = {
        "started_at": "2026-01-01T00:00:00Z",
        "finished_at": "2026-01-01T00:00:05Z",
        "user_agent": "a browser",
        "user_language": "en",
        "workflow_version": workflow.version,
    }
    links = {"project": str(workflow.project_id), "workflow": str(workflow.pk), "subjects": [str(subject.pk)]}
    body = {"classifications": {"annotations": [], "metadata": {**facts, **metadata}, "links": links}}
    answered = client.post(
        "/api/classifications",
        json.dumps(body),
        content_type="application/json",
        headers={"accept": "application/vnd.api+json; version=1"},
    )
    assert answered.status_code == 422
    assert told in answered.json()["errors"][0]["message"]
