"""A submission is stored once and counted once, whatever is repeated, forged or late."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from classifier.errors import EsocsError
from esocs.accounts.models import User
from esocs.crowd import services
from esocs.crowd.models import Answer, Assignment, Classification, Consensus, GoldStandard, SubjectStatus
from esocs.crowd.services import Refill, Submission
from esocs.projects.models import Subject, Workflow
from tests.support.factories import make_project, make_subject, make_user, make_volunteer, make_workflow

pytestmark = pytest.mark.django_db


@pytest.fixture
def workflow() -> Workflow:
    return make_workflow()


@pytest.fixture
def subject(workflow: Workflow) -> Subject:
    return make_subject(workflow.project, published_in=workflow)


def submission(workflow: Workflow, subject: Subject, answer: Any = 0, **fields: Any) -> Submission:
    given = {
        "workflow_id": workflow.pk,
        "subject_ids": [subject.pk],
        "volunteer_id": fields.pop("volunteer_id", None) or make_volunteer().pk,
        "annotations": [{"task": "T0", "value": answer}],
        "metadata": {"started_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T00:00:05Z"},
        "workflow_version": workflow.version,
    }
    return Submission(**{**given, **fields})


def status_of(subject: Subject) -> SubjectStatus:
    return SubjectStatus.objects.get(subject=subject)


def test_it_counts_an_answer_and_moves_the_consensus(workflow: Workflow, subject: Subject) -> None:
    recorded = services.record_classification(submission(workflow, subject, 1))
    assert recorded.created
    assert recorded.counted
    consensus = Consensus.objects.get()
    assert (consensus.answer, consensus.answer_counts) == (1, [0, 1, 0])
    assert consensus.probability > 1 / 3
    assert status_of(subject).classifications_count == 1


def test_it_takes_one_statement_to_read_and_one_to_write(workflow: Workflow, subject: Subject) -> None:
    services.record_classification(submission(workflow, subject))
    make_subject(workflow.project, published_in=workflow)
    sent = submission(workflow, subject)
    with CaptureQueriesContext(connection) as queries:
        recorded = services.record_classification(sent, refill=Refill(limit=3, held=frozenset()))
    assert len(queries) == 2
    assert len(recorded.subjects) == 1


def test_a_replay_gets_the_first_answer_and_counts_once(workflow: Workflow, subject: Subject) -> None:
    sent = submission(workflow, subject, 2, idempotency_key="k1")
    first = services.record_classification(sent)
    again = services.record_classification(sent)
    assert (again.id, again.created, again.annotations) == (first.id, False, first.annotations)
    assert Classification.objects.count() == 1
    assert status_of(subject).classifications_count == 1


def test_a_replay_after_retirement_still_gets_the_first_answer(workflow: Workflow, subject: Subject) -> None:
    sent = submission(workflow, subject, 2, idempotency_key="k1")
    first = services.record_classification(sent)
    SubjectStatus.objects.update(state="retired", retired_at=Now())
    assert services.record_classification(sent).id == first.id


def test_a_client_without_keys_is_recognised_by_what_it_sent(workflow: Workflow, subject: Subject) -> None:
    sent = submission(workflow, subject)
    assert services.record_classification(sent).created
    assert not services.record_classification(sent).created


def test_a_key_with_other_words_is_refused(workflow: Workflow, subject: Subject) -> None:
    volunteer = make_volunteer().pk
    services.record_classification(submission(workflow, subject, 0, idempotency_key="k", volunteer_id=volunteer))
    with pytest.raises(EsocsError) as refused:
        services.record_classification(submission(workflow, subject, 1, idempotency_key="k", volunteer_id=volunteer))
    assert refused.value.code == "idempotency_key_reused"


def test_a_second_answer_by_the_same_volunteer_is_kept_and_not_counted(workflow: Workflow, subject: Subject) -> None:
    volunteer = make_volunteer().pk
    services.record_classification(submission(workflow, subject, 0, idempotency_key="a", volunteer_id=volunteer))
    second = services.record_classification(
        submission(workflow, subject, 1, idempotency_key="b", volunteer_id=volunteer)
    )
    assert second.created
    assert not second.counted
    assert Consensus.objects.get().answer_counts == [1, 0, 0]
    assert Answer.objects.count() == 2


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"annotations": [{"task": "T0", "value": 7}]}, "unknown_answer"),
        ({"annotations": [{"task": "T0", "value": True}]}, "unknown_answer"),
        ({"annotations": [{"task": "T0", "value": "Yes"}]}, "unknown_answer"),
        ({"annotations": [{"task": "T0", "value": None}]}, "unknown_answer"),
        ({"annotations": [{"task": "T9", "value": 0}]}, "unknown_task"),
        ({"annotations": [{"task": "T0", "value": 0}, {"task": "T0", "value": 1}]}, "unknown_task"),
        ({"workflow_id": 999_999}, "workflow_not_found"),
        ({"workflow_version": "9.9"}, "workflow_version_unknown"),
        ({"workflow_version": "one"}, "workflow_version_unknown"),
        ({"subject_ids": [999_999]}, "subject_not_in_workflow"),
        ({"project_id": 999_999}, "workflow_not_in_project"),
        ({"gold_standard": True}, "gold_standard_forbidden"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name_and_nothing_is_stored(
    workflow: Workflow, subject: Subject, change: dict[str, Any], code: str
) -> None:
    with pytest.raises(EsocsError) as refused:
        services.record_classification(submission(workflow, subject, **change))
    assert refused.value.code == code
    assert 400 <= refused.value.status < 500
    assert not Classification.objects.exists()
    assert status_of(subject).classifications_count == 0


def test_a_subject_of_another_workflow_is_refused(workflow: Workflow) -> None:
    other = make_workflow(workflow.project)
    foreign = make_subject(workflow.project, published_in=other)
    with pytest.raises(EsocsError) as refused:
        services.record_classification(submission(workflow, foreign))
    assert refused.value.code == "subject_not_in_workflow"


def test_a_retired_subject_refuses_who_was_not_holding_it(workflow: Workflow, subject: Subject) -> None:
    SubjectStatus.objects.update(state="retired", retired_at=Now() - timedelta(hours=1))
    with pytest.raises(EsocsError) as refused:
        services.record_classification(submission(workflow, subject))
    assert refused.value.code == "subject_retired"


def test_a_subject_that_retired_in_a_volunteers_hands_takes_the_answer(workflow: Workflow, subject: Subject) -> None:
    volunteer = make_volunteer().pk
    assert services.hand_out_subjects(workflow_id=workflow.pk, volunteer_id=volunteer)
    SubjectStatus.objects.update(state="retired", retired_at=Now(), retirement_reason="consensus")
    recorded = services.record_classification(submission(workflow, subject, volunteer_id=volunteer))
    assert recorded.counted
    status = status_of(subject)
    assert (status.state, status.retirement_reason, status.classifications_count) == ("retired", "consensus", 1)


def test_agreeing_volunteers_retire_a_subject_once_with_its_evidence(workflow: Workflow, subject: Subject) -> None:
    retired = []
    for _ in range(8):
        if status_of(subject).state != "open":
            break
        retired.append(services.record_classification(submission(workflow, subject, 1)).retired)
    status = status_of(subject)
    assert status.state == "retired"
    assert status.retirement_reason == "consensus"
    assert status.classifications_count >= 3
    assert status.retired_epoch_number == 1
    assert status.retired_probability is not None
    assert status.retired_probability >= 0.95
    assert retired.count(True) == 1


def test_panoptes_counting_retires_at_its_count() -> None:
    workflow = make_workflow(retirement={"criteria": "classification_count", "options": {"count": 2}})
    subject = make_subject(workflow.project, published_in=workflow)
    services.record_classification(submission(workflow, subject, 0))
    assert services.record_classification(submission(workflow, subject, 1)).retired
    assert status_of(subject).retirement_reason == "classification_count"


def make_owner_submission(workflow: Workflow, subject: Subject, owner: User, answer: int = 1) -> Submission:
    return submission(workflow, subject, answer, user_id=owner.pk, volunteer_id=owner.volunteer.pk, gold_standard=True)


def test_gold_is_kept_apart_and_never_counts(workflow: Workflow, subject: Subject) -> None:
    owner = workflow.project.owner
    recorded = services.record_classification(make_owner_submission(workflow, subject, owner))
    assert not recorded.counted
    assert GoldStandard.objects.get().answer == 1
    assert Classification.objects.get().expert == "owner"
    assert status_of(subject).classifications_count == 0
    assert status_of(subject).state == "open"


def test_an_experts_answer_settles_what_waits_for_experts(workflow: Workflow) -> None:
    subject = make_subject(workflow.project, published_in=workflow, audience="experts")
    with pytest.raises(EsocsError) as refused:
        services.record_classification(submission(workflow, subject))
    assert refused.value.code == "experts_only"
    assert services.record_classification(make_owner_submission(workflow, subject, workflow.project.owner)).retired
    assert status_of(subject).retirement_reason == "human"


def test_an_inactive_workflow_takes_nothing(workflow: Workflow, subject: Subject) -> None:
    Workflow.objects.update(active=False)
    with pytest.raises(EsocsError) as refused:
        services.record_classification(submission(workflow, subject))
    assert refused.value.code == "workflow_inactive"


@pytest.mark.django_db(transaction=True)
def test_under_sixteen_threads_with_replays_and_second_tries_the_counts_are_exact() -> None:
    workflow = make_workflow(retirement={"criteria": "never_retire"})
    subjects = [make_subject(workflow.project, published_in=workflow) for _ in range(3)]
    volunteers = [make_volunteer().pk for _ in range(8)]
    sent = []
    for subject in subjects:
        for number, volunteer in enumerate(volunteers):
            one = submission(
                workflow, subject, number % 3, volunteer_id=volunteer, idempotency_key=f"{subject.pk}-{volunteer}"
            )
            other = submission(
                workflow, subject, 0, volunteer_id=volunteer, idempotency_key=f"{subject.pk}-{volunteer}-again"
            )
            sent += [one, one, other]
    errors: list[Exception] = []

    def send(part: list[Submission]) -> None:
        try:
            for item in part:
                services.record_classification(item)
        except Exception as error:  # noqa: BLE001 - told to the test below
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=send, args=(sent[i::16],)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert Classification.objects.count() == 2 * len(subjects) * len(volunteers)
    for subject in subjects:
        assert Classification.objects.filter(subject=subject, counted=True).count() == len(volunteers)
        assert status_of(subject).classifications_count == len(volunteers)
        assert sum(Consensus.objects.get(status__subject=subject).answer_counts) == len(volunteers)
    assert not Assignment.objects.exists()


def test_nobody_is_handed_a_subject_twice_or_beyond_what_can_settle_it(workflow: Workflow) -> None:
    for _ in range(2):
        make_subject(workflow.project, published_in=workflow)
    handed = [
        {s.subject_id for s in services.hand_out_subjects(workflow_id=workflow.pk, volunteer_id=make_volunteer().pk)}
        for _ in range(4)
    ]
    # Three people can settle a subject; a fourth is not asked while they are at it.
    assert [len(h) for h in handed] == [2, 2, 2, 0]


def test_a_reloaded_page_gets_its_queue_back_and_a_stateless_client_new_subjects(workflow: Workflow) -> None:
    for _ in range(4):
        make_subject(workflow.project, published_in=workflow)
    volunteer = make_volunteer().pk
    first = services.hand_out_subjects(workflow_id=workflow.pk, volunteer_id=volunteer, limit=2)
    reloaded = services.hand_out_subjects(workflow_id=workflow.pk, volunteer_id=volunteer, limit=2, held=frozenset())
    assert {s.subject_id for s in reloaded} == {s.subject_id for s in first}
    more = services.hand_out_subjects(workflow_id=workflow.pk, volunteer_id=volunteer, limit=2)
    assert not {s.subject_id for s in more} & {s.subject_id for s in first}


def test_an_exhausted_queue_is_empty_and_a_wrong_workflow_is_said(workflow: Workflow, subject: Subject) -> None:
    volunteer = make_volunteer().pk
    services.record_classification(submission(workflow, subject, volunteer_id=volunteer))
    assert services.hand_out_subjects(workflow_id=workflow.pk, volunteer_id=volunteer) == []
    with pytest.raises(EsocsError) as refused:
        services.hand_out_subjects(workflow_id=999_999, volunteer_id=volunteer)
    assert refused.value.code == "workflow_not_found"


def test_handing_out_takes_one_statement(workflow: Workflow, subject: Subject) -> None:
    volunteer = make_volunteer().pk
    with CaptureQueriesContext(connection) as queries:
        services.hand_out_subjects(workflow_id=workflow.pk, volunteer_id=volunteer)
    assert len(queries) == 1


def test_a_user_has_a_volunteer_from_the_start() -> None:
    assert make_user().volunteer.pk
    assert make_project().roles.get().role == "owner"
