"""What a process last saw of a subject spares a statement and never changes what is stored."""

from __future__ import annotations

import random
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from esocs.crowd import facts, recalled
from esocs.crowd.models import Classification, SubjectStatus
from esocs.crowd.refit import audit_consensus
from esocs.crowd.services import (
    Recorded,
    Refill,
    Submission,
    ensure_epoch,
    hand_out_subjects,
    record_answer,
    record_classification,
    refit_workflow,
)
from esocs.projects.models import Workflow
from tests.support.factories import make_subject, make_volunteer, make_workflow

pytestmark = pytest.mark.django_db(transaction=True)

SUBJECTS = 6


@pytest.fixture
def workflow() -> Workflow:
    made = make_workflow()
    for _ in range(SUBJECTS):
        make_subject(made.project, published_in=made)
    ensure_epoch(made)
    return made


def _submission(workflow: Workflow, subject_id: int, volunteer_id: int, **changes: Any) -> Submission:
    value = changes.pop("value", 0)
    fields: dict[str, Any] = {
        "annotations": [{"task": workflow.first_task, "value": value}],
        "metadata": {},
        "idempotency_key": f"{subject_id}/{volunteer_id}",
    }
    return Submission(
        workflow_id=workflow.pk,
        subject_ids=[subject_id],
        volunteer_id=volunteer_id,
        workflow_version=workflow.version,
        **fields | changes,
    )


def _calls(queries: CaptureQueriesContext) -> list[str]:
    return [query["sql"] for query in queries if query["sql"].startswith("crowd_")]


def test_what_was_handed_out_is_answered_by_one_statement_and_what_was_not_by_two(workflow: Workflow) -> None:
    volunteer, other = (make_volunteer().pk for _ in range(2))
    [first, second, third] = hand_out_subjects(workflow_id=workflow.pk, volunteer_id=volunteer, limit=3)
    record_classification(_submission(workflow, first.subject_id, volunteer))  # reads what is known of the volunteer
    with CaptureQueriesContext(connection) as queries:
        record_classification(_submission(workflow, second.subject_id, volunteer))
    assert _calls(queries) == ["crowd_store"]
    # Somebody else answered by another process: the guess is found out, and what is true is read.
    guess = recalled.recall(workflow.pk, third.subject_id)
    record_classification(_submission(workflow, third.subject_id, other))
    assert guess is not None
    recalled._keep(workflow.pk, guess)  # as the first process still knows it
    with CaptureQueriesContext(connection) as queries:
        record_classification(_submission(workflow, third.subject_id, volunteer))
    assert _calls(queries) == ["crowd_store", "crowd_read_status", "crowd_store"]
    assert SubjectStatus.objects.get(subject_id=third.subject_id).classifications_count == 2
    assert audit_consensus(workflow) == []


def test_a_guess_does_not_count_a_second_answer_nor_store_a_replay(workflow: Workflow) -> None:
    volunteer = make_volunteer().pk
    [subject] = hand_out_subjects(workflow_id=workflow.pk, volunteer_id=volunteer, limit=1)
    once = _submission(workflow, subject.subject_id, volunteer)
    first = record_classification(once)
    assert recalled.recall(workflow.pk, subject.subject_id) is not None
    assert record_classification(once).id == first.id
    again = record_classification(_submission(workflow, subject.subject_id, volunteer, idempotency_key="again"))
    assert (again.created, again.counted) == (True, False)
    assert SubjectStatus.objects.get(subject_id=subject.subject_id).classifications_count == 1
    assert audit_consensus(workflow) == []


def test_a_guess_under_former_settings_is_not_stored(workflow: Workflow) -> None:
    volunteer = make_volunteer().pk
    handed = hand_out_subjects(workflow_id=workflow.pk, volunteer_id=volunteer, limit=2)
    record_classification(_submission(workflow, handed[0].subject_id, volunteer))
    criterion = {"criteria": "classification_count", "options": {"count": 1}}
    Workflow.objects.filter(pk=workflow.pk).update(retirement=criterion)
    assert record_classification(_submission(workflow, handed[1].subject_id, volunteer)).retired


def test_what_a_volunteer_answered_is_passed_over_though_it_is_open(workflow: Workflow) -> None:
    volunteer = make_volunteer().pk
    seen: list[int] = []
    refill = Refill(limit=1, held=frozenset())
    queue = hand_out_subjects(workflow_id=workflow.pk, volunteer_id=volunteer, limit=1, held=frozenset())
    while queue:
        seen.append(queue[0].subject_id)
        recorded = record_classification(_submission(workflow, queue[0].subject_id, volunteer), refill=refill)
        assert recalled.known_answered(workflow.pk, volunteer_id=volunteer) == seen
        queue = recorded.subjects or []
    assert sorted(seen) == sorted(set(seen))
    assert len(seen) == SUBJECTS
    assert hand_out_subjects(workflow_id=workflow.pk, volunteer_id=volunteer) == []


@pytest.mark.parametrize("seed", range(4))
def test_any_order_over_several_processes_ends_in_the_sums_of_the_rows(
    workflow: Workflow, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(seed)
    volunteers = [make_volunteer().pk for _ in range(7)]
    subjects = list(SubjectStatus.objects.filter(workflow=workflow).values_list("subject_id", flat=True))
    processes: list[list[dict[Any, Any]]] = [[{}, {}, {}] for _ in range(3)]

    def work(volunteer: int) -> Recorded | None:
        if dice.random() < 0.2:
            hand_out_subjects(workflow_id=workflow.pk, volunteer_id=volunteer, limit=3)
            return None
        subject = dice.choice(subjects)
        changes: dict[str, Any] = {"value": dice.randrange(3), "settled_too": True}
        draw = dice.random()
        if draw < 0.1:
            changes["idempotency_key"] = f"{subject}/{volunteer}/{dice.random()}"
        elif draw < 0.2:
            changes["metadata"] = {"revises": f"{subject}/{volunteer}", "revision": dice.randrange(1, 1000)}
            changes["idempotency_key"] = f"{subject}/{volunteer}/{dice.random()}"
        elif Classification.objects.filter(idempotency_key=f"{subject}/{volunteer}").exists():
            return None
        return record_answer(_submission(workflow, subject, volunteer, **changes))

    for step in range(90):
        known = dice.choice(processes)
        for module, name, value in zip(
            (recalled, recalled, facts), ("_recalled", "_answered", "_known"), known, strict=True
        ):
            monkeypatch.setattr(module, name, value)
        work(dice.choice(volunteers))
        if step in {30, 60} and (switch := refit_workflow(workflow)):
            with transaction.atomic():
                switch()
    assert audit_consensus(workflow) == []
    counted = Classification.objects.filter(counted=True)
    assert counted.count() == counted.values("subject_id", "volunteer_id").distinct().count()
