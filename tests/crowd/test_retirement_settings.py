"""Changed rules of retirement are followed, forwards and back, as their preview said; every step is kept."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, transaction

from esocs.crowd import reassessment, services
from esocs.crowd.models import Consensus, RetirementSetting, StatusChange, SubjectStatus
from esocs.crowd.refit import audit_consensus
from esocs.crowd.retirement import InvalidRetirementError
from esocs.crowd.retirement_settings import RuleRequest, follow_changed_settings, preview_retirement
from esocs.crowd.services import change_retirement
from esocs.jobs import services as jobs
from esocs.jobs.models import Job
from esocs.projects.models import Subject, Workflow
from tests.support.consensus import switch
from tests.support.factories import classify, make_volunteer, make_workflow, publish

pytestmark = pytest.mark.django_db

NEVER = {"criteria": "never_retire"}
EXPERT = [RuleRequest(template="expert", options={})]


def count(n: Any) -> dict[str, Any]:
    return {"criteria": "classification_count", "options": {"count": n}}


def change(workflow: Workflow, criterion: dict[str, Any], *requests: RuleRequest, author: Any = None) -> None:
    change_retirement(workflow=workflow, criterion=criterion, requests=requests, author=author)
    drain()


def drain() -> None:
    jobs.drain(list(Job.objects.filter(state="queued").values_list("pk", flat=True)))


def states(workflow: Workflow) -> list[str]:
    return list(SubjectStatus.objects.filter(workflow=workflow).order_by("id").values_list("state", flat=True))


@pytest.fixture
def counted() -> Workflow:
    """Four subjects with 1, 2, 3 and 4 classifications."""
    workflow = make_workflow(retirement=NEVER)
    for n, subject in enumerate(publish(workflow, 4), start=1):
        for _ in range(n):
            classify(workflow, subject, T0=1)
    return workflow


@pytest.mark.parametrize("criterion", [{}, {"criteria": "classification_count"}, count(15), count("15")])
def test_fifteen_classifications_retire_by_default_as_in_panoptes(criterion: dict[str, Any]) -> None:
    workflow = make_workflow()
    Workflow.objects.filter(pk=workflow.pk).update(retirement=criterion)
    (subject,) = publish(workflow)
    retired = [classify(workflow, subject, T0=n % 3).retired for n in range(15)]
    assert retired == [False] * 14 + [True]
    assert services.hand_out_subjects(workflow_id=workflow.pk, volunteer_id=make_volunteer().pk) == []


def test_never_retire_never_retires_and_hands_out_for_ever() -> None:
    workflow = make_workflow(retirement=NEVER)
    (subject,) = publish(workflow)
    assert not any(classify(workflow, subject, T0=1).retired for _ in range(20))
    assert services.hand_out_subjects(workflow_id=workflow.pk, volunteer_id=make_volunteer().pk)


def test_gold_and_repeats_are_not_in_the_count() -> None:
    workflow = make_workflow(retirement=count(2))
    (subject,) = publish(workflow)
    volunteer = make_volunteer()
    assert not classify(workflow, subject, volunteer, T0=1).retired
    assert not classify(workflow, subject, volunteer, T0=1).retired
    assert not classify(workflow, subject, gold=workflow.project.owner, T0=1).retired
    assert classify(workflow, subject, T0=1).retired


def test_a_lowered_count_retires_and_a_raised_one_opens_again(counted: Workflow) -> None:
    owner = counted.project.owner
    change(counted, count(3), author=owner)
    assert states(counted) == ["open", "open", "retired", "retired"]
    status = SubjectStatus.objects.order_by("id")[2]
    assert (status.retired_count, status.retired_answer, status.retired_epoch_number) == (3, 1, 1)
    assert (status.retirement_reason, status.retirement_cause) == ("classification_count", "rule")
    change(counted, count(4), author=owner)
    assert states(counted) == ["open", "open", "open", "retired"]
    status.refresh_from_db()
    assert (status.retired_at, status.retired_count, status.retirement_reason, status.retirement_cause) == (
        None,
        None,
        "",
        "",
    )
    steps = StatusChange.objects.filter(status=status).order_by("id")
    assert [(s.before, s.after, s.cause, s.author, s.classifications_count, s.epoch_number) for s in steps] == [
        ("open", "retired", "setting", owner, 3, 1),
        ("retired", "open", "setting", owner, 3, 1),
    ]
    assert steps[0].answer == 1
    assert steps[0].probability == Consensus.objects.get(status=status).probability
    assert StatusChange.objects.count() == 3
    # The same setting once more changes nothing.
    change(counted, count(4))
    assert StatusChange.objects.count() == 3
    assert [s.criterion for s in RetirementSetting.objects.order_by("id")] == [count(3), count(4), count(4)]


def test_what_experts_and_people_retired_stays_retired(counted: Workflow) -> None:
    first, second, *_ = SubjectStatus.objects.order_by("id")
    for status, cause in ((first, "expert"), (second, "person")):
        SubjectStatus.objects.filter(pk=status.pk).update(
            state="retired", retirement_cause=cause, retired_at="2026-01-01T00:00:00Z", retirement_reason="human"
        )
    change(counted, NEVER)
    assert states(counted) == ["retired", "retired", "open", "open"]
    assert preview_retirement(workflow=counted, criterion=count(1), requests=[]).subjects == 2


@pytest.mark.parametrize(
    ("criterion", "requests"),
    [
        (count(2), []),
        (NEVER, [RuleRequest(template="agree", options={"count": 3})]),
        (NEVER, EXPERT),
        ({"criteria": "consensus", "options": {"threshold": 0.6, "minimum": 2, "maximum": 2}}, []),
        ({"criteria": "consensus", "options": {"threshold": 1, "minimum": 2, "maximum": 3}}, []),
    ],
)
def test_a_preview_says_what_then_happens(
    counted: Workflow, criterion: dict[str, Any], requests: list[RuleRequest]
) -> None:
    subject = Subject.objects.get(statuses=SubjectStatus.objects.order_by("id")[0])
    classify(counted, subject, gold=counted.project.owner, T0=1)
    change(counted, count(4))
    before = states(counted)
    said = preview_retirement(workflow=counted, criterion=criterion, requests=requests)
    assert states(counted) == before, "a preview writes nothing"
    change(counted, criterion, *requests)
    after = list(zip(before, states(counted), strict=True))
    assert said.retire == sum(a == "retired" != b for b, a in after)
    assert said.reopen == sum(a == "open" != b for b, a in after)
    assert said.contest == sum(a == "contested" != b for b, a in after)
    assert sum(said.reasons.values()) == said.retire
    assert said.retire + said.reopen + said.contest > 0


def test_one_expert_retires_with_gold_given_before_and_after_the_rule(counted: Workflow) -> None:
    first, second, third, _ = Subject.objects.filter(statuses__workflow=counted).order_by("statuses__id")
    owner = counted.project.owner
    classify(counted, first, gold=owner, T0=1)
    change(counted, NEVER, *EXPERT)
    assert states(counted) == ["retired", "open", "open", "open"]
    assert classify(counted, second, gold=owner, T0=1).retired
    assert not classify(counted, third, T0=1).retired
    causes = dict(StatusChange.objects.values_list("status__subject", "cause"))
    assert causes == {first.pk: "setting", second.pk: "expert"}
    change(counted, NEVER)
    # What the rule retired by itself is open again; what the expert's answer retired is not.
    assert states(counted) == ["open", "retired", "open", "open"]


def test_a_setting_changed_elsewhere_is_followed(counted: Workflow) -> None:
    assert follow_changed_settings() == 0
    Workflow.objects.filter(pk=counted.pk).update(retirement=count(2))
    assert follow_changed_settings() == 1
    drain()
    assert states(counted) == ["open", "retired", "retired", "retired"]
    assert follow_changed_settings() == 0
    assert set(StatusChange.objects.values_list("cause", "author")) == {("setting", None)}


def test_contested_subjects_go_to_the_experts_and_come_back_whatever_happens_between(counted: Workflow) -> None:
    contest = {"criteria": "consensus", "options": {"threshold": 1, "minimum": 2, "maximum": 3}}
    change(counted, contest)
    assert states(counted) == ["open", "open", "contested", "contested"]
    assert set(SubjectStatus.objects.filter(state="contested").values_list("audience", "review")) == {
        ("experts", "contested")
    }
    change(counted, count(3))
    assert states(counted) == ["open", "open", "retired", "retired"]
    change(counted, NEVER)
    assert set(SubjectStatus.objects.values_list("state", "audience", "review")) == {("open", "volunteers", "")}


def test_a_late_answer_to_a_contested_subject_gives_it_back_to_the_volunteers() -> None:
    workflow = make_workflow(retirement={"criteria": "consensus", "options": {"threshold": 1, "maximum": 3}})
    (subject,) = publish(workflow)
    late = make_volunteer()
    services.hand_out_subjects(workflow_id=workflow.pk, volunteer_id=late.pk)
    for _ in range(3):
        classify(workflow, subject, T0=1)
    assert SubjectStatus.objects.get().audience == "experts"
    Workflow.objects.update(retirement=NEVER)
    classify(workflow, subject, late, T0=1)
    status = SubjectStatus.objects.get()
    assert (status.state, status.audience, status.review) == ("open", "volunteers", "")


@pytest.mark.parametrize("criterion", [{"criteria": "guess"}, count(0), {"criteria": "consensus", "options": [1]}])
def test_a_setting_that_cannot_be_followed_changes_nothing(counted: Workflow, criterion: dict[str, Any]) -> None:
    with pytest.raises(InvalidRetirementError):
        change_retirement(workflow=counted, criterion=criterion, requests=[])
    assert Workflow.objects.get(pk=counted.pk).retirement == NEVER
    assert not RetirementSetting.objects.exists()
    assert not Job.objects.exists()


def test_a_job_that_comes_late_decides_by_the_newest_setting(counted: Workflow) -> None:
    old = Workflow.objects.get(pk=counted.pk)
    old.retirement = count(1)
    last = SubjectStatus.objects.order_by("-id")[0].pk
    with transaction.atomic():
        assert reassessment.reconsider(old, first_id=1, last_id=last) == 0
    assert set(states(counted)) == {"open"}


def test_a_refit_decides_by_the_setting_of_its_moment() -> None:
    workflow = make_workflow(retirement=NEVER)
    subjects, volunteers = publish(workflow, 6), [make_volunteer() for _ in range(9)]
    for subject in subjects:
        for volunteer in volunteers:
            classify(workflow, subject, volunteer, T0=1)
    workflow.retirement = count(2)
    effect = services.refit_workflow(workflow)
    assert effect is not None
    with transaction.atomic():
        effect()
    assert set(states(workflow)) == {"open"}
    Workflow.objects.update(retirement=count(9))
    switch(workflow)
    assert set(states(workflow)) == {"retired"}
    assert set(StatusChange.objects.values_list("cause", "epoch_number", "classifications_count")) == {("refit", 3, 9)}


def test_considering_again_takes_as_many_statements_for_many_as_for_few(
    django_assert_max_num_queries: Any,
) -> None:
    workflow, other = make_workflow(retirement=NEVER), None
    other = make_workflow(workflow.project)
    for subject in publish(workflow, 12):
        classify(workflow, subject, T0=1)
    blanks = {"answer": 1, "count": 1, "probability": 0.1, "subject_set": other.subject_sets.get().pk}
    change_retirement(
        workflow=workflow, criterion=count(1), requests=[RuleRequest(template="move", options=blanks), *EXPERT]
    )
    last = SubjectStatus.objects.order_by("-id")[0].pk
    with django_assert_max_num_queries(15), transaction.atomic():
        assert reassessment.reconsider(workflow, first_id=1, last_id=last) == 12
    assert Job.objects.filter(kind="crowd.apply_rule").count() == 12


@pytest.mark.django_db(transaction=True)
def test_submissions_refits_and_changed_settings_at_once_end_as_the_setting_says() -> None:
    workflow = make_workflow(retirement=NEVER)
    subjects, volunteers = publish(workflow, 6), [make_volunteer() for _ in range(9)]
    for subject in subjects:
        for volunteer in volunteers:
            classify(workflow, subject, volunteer, T0=1)
    late = [make_volunteer() for _ in range(3)]
    last = SubjectStatus.objects.order_by("-id")[0].pk
    errors: list[Exception] = []

    def guard(function: Any, *args: Any) -> None:
        try:
            function(*args)
        except Exception as error:  # noqa: BLE001 - told to the test below
            errors.append(error)
        finally:
            connection.close()

    def vote(volunteer: Any) -> None:
        for subject in subjects:
            classify(workflow, subject, volunteer, T0=0)

    def set_count(n: int) -> None:
        change_retirement(workflow=Workflow.objects.get(pk=workflow.pk), criterion=count(n), requests=[])
        with transaction.atomic():
            reassessment.reconsider(Workflow.objects.get(pk=workflow.pk), first_id=1, last_id=last)

    threads = [threading.Thread(target=guard, args=(vote, v)) for v in late]
    threads += [threading.Thread(target=guard, args=(set_count, n)) for n in (100, 200)]
    threads += [threading.Thread(target=guard, args=(switch, workflow)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert set(states(workflow)) == {"open"}
    assert set(SubjectStatus.objects.values_list("classifications_count", flat=True)) == {12}
    assert audit_consensus(workflow) == []
    change(workflow, count(12))
    assert set(states(workflow)) == {"retired"}
