"""The refit moves open subjects to a new epoch without losing or doubling a submission."""

from __future__ import annotations

import random
import threading

import pytest
from django.db import connection, transaction

from esocs.crowd import posterior, refit, services
from esocs.crowd.models import Answer, Consensus, Skill, SkillEpoch, SubjectStatus
from esocs.crowd.services import Submission
from esocs.projects.models import Workflow
from tests.support.factories import make_subject, make_volunteer, make_workflow

pytestmark = pytest.mark.django_db


def vote(workflow: Workflow, subject_id: int, volunteer_id: int, answer: int) -> None:
    services.record_classification(
        Submission(
            workflow_id=workflow.pk,
            subject_ids=[subject_id],
            volunteer_id=volunteer_id,
            annotations=[{"task": "T0", "value": answer}],
            metadata={},
            workflow_version=workflow.version,
            idempotency_key=f"{subject_id}-{volunteer_id}",
        )
    )


def switch(workflow: Workflow) -> None:
    effect = services.refit_workflow(workflow)
    assert effect is not None
    with transaction.atomic():
        effect()


@pytest.fixture
def voted() -> Workflow:
    """Twelve subjects, ten volunteers of whom two guess; nothing retires on its own."""
    workflow = make_workflow(retirement={"criteria": "never_retire"})
    subjects = [make_subject(workflow.project, published_in=workflow).pk for _ in range(12)]
    volunteers = [make_volunteer().pk for _ in range(10)]
    rng = random.Random(5)
    for number, subject in enumerate(subjects):
        for v, volunteer in enumerate(volunteers):
            right = number % 3
            answer = rng.randrange(3) if v >= 8 else right if rng.random() < 0.9 else rng.randrange(3)
            vote(workflow, subject, volunteer, answer)
    return workflow


def batch_sums(workflow: Workflow) -> dict[int, list[int]]:
    """Every subject's sum, from the rows and the current epoch's skill alone."""
    epoch = SkillEpoch.objects.get(workflow=workflow, current=True)
    skill = {s.volunteer_id: s for s in Skill.objects.filter(epoch=epoch)}
    sums = {}
    for status in SubjectStatus.objects.filter(workflow=workflow):
        total = list(status.machine_prior or skill[None].log_prior or [])
        for row in Answer.objects.filter(status=status, counted=True).order_by("?"):
            total = posterior.add(total, skill.get(row.volunteer_id, skill[None]).terms, row.answer)
        sums[status.pk] = total
    return sums


def live_sums(workflow: Workflow) -> dict[int, list[int]]:
    rows = Consensus.objects.filter(status__workflow=workflow)
    return dict(rows.values_list("status_id", "log_posterior"))


def test_the_live_sums_equal_the_batch_bit_for_bit(voted: Workflow) -> None:
    assert live_sums(voted) == batch_sums(voted)
    switch(voted)
    assert SkillEpoch.objects.get(workflow=voted, current=True).number == 2
    assert live_sums(voted) == batch_sums(voted)


def test_answers_after_the_switch_are_added_under_the_new_epoch(voted: Workflow) -> None:
    switch(voted)
    newcomer = make_volunteer().pk
    for subject in SubjectStatus.objects.filter(workflow=voted).values_list("subject_id", flat=True):
        vote(voted, subject, newcomer, 1)
    assert live_sums(voted) == batch_sums(voted)


def test_guessers_are_told_from_those_who_see(voted: Workflow) -> None:
    switch(voted)
    bits = dict(
        Skill.objects.filter(epoch__current=True, volunteer__isnull=False).values_list("volunteer", "skill_bits")
    )
    ordered = sorted(bits, key=lambda volunteer: bits[volunteer])
    guessers = set(Answer.objects.order_by("volunteer_id").values_list("volunteer_id", flat=True).distinct()[8:])
    assert set(ordered[:2]) == guessers


@pytest.mark.django_db(transaction=True)
def test_refits_and_submissions_at_the_same_time_lose_and_double_nothing(voted: Workflow) -> None:
    switch(voted)
    subjects = list(SubjectStatus.objects.filter(workflow=voted).values_list("subject_id", flat=True))
    newcomers = [make_volunteer().pk for _ in range(4)]
    errors: list[Exception] = []

    def guard(function: object, *args: object) -> None:
        try:
            function(*args)  # type: ignore[operator]
        except Exception as error:  # noqa: BLE001 - told to the test below
            errors.append(error)
        finally:
            connection.close()

    def answer_all(volunteer: int) -> None:
        for subject in subjects:
            vote(voted, subject, volunteer, 2)

    threads = [threading.Thread(target=guard, args=(answer_all, v)) for v in newcomers]
    threads += [threading.Thread(target=guard, args=(switch, voted)) for _ in range(1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert live_sums(voted) == batch_sums(voted)
    assert refit.audit_consensus(voted) == []
    assert set(SubjectStatus.objects.values_list("classifications_count", flat=True)) == {14}


def test_too_few_rows_leave_the_first_epoch(db: None) -> None:
    workflow = make_workflow()
    subject = make_subject(workflow.project, published_in=workflow)
    vote(workflow, subject.pk, make_volunteer().pk, 0)
    assert services.refit_workflow(workflow) is None


def test_a_retired_subject_keeps_its_epoch_and_probability(voted: Workflow) -> None:
    status = SubjectStatus.objects.filter(workflow=voted).first()
    assert status is not None
    SubjectStatus.objects.filter(pk=status.pk).update(
        state="retired", retired_at="2026-01-01T00:00:00Z", retired_epoch_number=1, retired_probability=0.97
    )
    before = Consensus.objects.get(status=status).log_posterior
    switch(voted)
    status.refresh_from_db()
    assert (status.retired_epoch_number, status.retired_probability) == (1, 0.97)
    assert Consensus.objects.get(status=status).log_posterior == before
