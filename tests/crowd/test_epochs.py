"""Whatever is late, stale or repeated, and whatever the answers are called by then: the sums are of one epoch."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from esocs.crowd import reassessment, refit, services, submission
from esocs.crowd.epochs import forget_unused_epochs, switch_epoch
from esocs.crowd.models import Answer, Classification, Consensus, GoldStandard, Skill, SkillEpoch, SubjectStatus
from esocs.crowd.posterior import ReadOut
from esocs.crowd.refit import audit_consensus, list_due_workflows
from esocs.crowd.services import RuleRequest, change_retirement
from esocs.jobs import services as jobs
from esocs.jobs.models import Job
from esocs.projects.models import Subject, Workflow
from esocs.projects.rules import build_question
from esocs.projects.services import change_workflow
from tests.support.consensus import from_rows, live, switch
from tests.support.factories import (
    classify,
    make_project,
    make_subject,
    make_tree_workflow,
    make_user,
    make_volunteer,
    make_workflow,
    publish,
)

pytestmark = pytest.mark.django_db

NEVER = {"criteria": "never_retire"}


def vote_much(workflow: Workflow, n_subjects: int = 8, n_volunteers: int = 8) -> list[Subject]:
    """Enough to fit skill on."""
    rng = random.Random(7)
    subjects = publish(workflow, n_subjects)
    volunteers = [make_volunteer() for _ in range(n_volunteers)]
    for number, subject in enumerate(subjects):
        for volunteer in volunteers:
            classify(workflow, subject, volunteer, T0=number % 2 if rng.random() < 0.85 else rng.randrange(2))
    return subjects


def reword(workflow: Workflow, *answers: str) -> Workflow:
    tasks, strings = build_question(question="Is it a galaxy?", answers=list(answers))
    return change_workflow(workflow, tasks=tasks, strings=strings)


def test_a_subject_first_answered_two_epochs_late_is_summed_under_the_current_one() -> None:
    workflow = make_workflow(retirement=NEVER)
    waited = make_subject(workflow.project, published_in=workflow)
    vote_much(workflow)
    switch(workflow)
    current = switch(workflow)
    classify(workflow, waited, T0=1)
    assert SubjectStatus.objects.get(subject=waited).epoch == current
    assert live(workflow) == from_rows(workflow)


def test_a_prior_of_an_older_epoch_does_not_survive_an_answer_that_skipped_its_question() -> None:
    workflow = make_tree_workflow(retirement=NEVER)
    tasks = {**workflow.tasks, "T0": {**workflow.tasks["T0"], "required": False}}
    workflow = change_workflow(workflow, tasks=tasks)
    vote_much(workflow)
    switch(workflow)
    (waited,) = publish(workflow)
    status = SubjectStatus.objects.get(subject=waited)
    # As published under a prior that no epoch has any more.
    Consensus.objects.create(
        status=status, task_key="T0", log_posterior=[7, -7], answer_counts=[0, 0], answer=0, probability=0.5
    )
    classify(workflow, waited, T0=None, T2=[0])
    classify(workflow, waited, T0=1)
    assert live(workflow) == from_rows(workflow)


@pytest.mark.parametrize("state", ["retired", "contested"])
def test_a_late_answer_takes_every_question_of_a_closed_subject_to_the_current_epoch(state: str) -> None:
    workflow = make_tree_workflow(retirement=NEVER)
    holder = make_volunteer()
    (closed,) = publish(workflow)
    for labels in ([0], [0, 1]):
        classify(workflow, closed, T0=1, T1=1, T2=labels)
    services.hand_out_subjects(workflow_id=workflow.pk, volunteer_id=holder.pk)
    known = {"retired_epoch_number": 1, "retired_count": 2, "retired_answer": 1, "retired_probability": 0.9}
    SubjectStatus.objects.filter(subject=closed).update(state=state, retired_at="2099-01-01T00:00:00Z", **known)
    vote_much(workflow)
    for _ in range(3):
        current = switch(workflow)
    forget_unused_epochs()
    assert SkillEpoch.objects.filter(workflow=workflow, number=1).exists(), "a subject's sums are of it"
    # Only the first question is answered: the others must not stay behind under the old epoch.
    classify(workflow, closed, holder, T0=0)
    status = SubjectStatus.objects.get(subject=closed)
    assert status.epoch == current
    assert live(workflow) == from_rows(workflow)
    if state == "retired":
        assert {name: getattr(status, name) for name in known} == known
    assert audit_consensus(workflow) == []


def test_only_epochs_that_no_subject_needs_are_forgotten() -> None:
    workflow = make_workflow(retirement=NEVER)
    subjects = vote_much(workflow)
    SubjectStatus.objects.filter(subject=subjects[0]).update(state="retired", retired_at="2026-01-01T00:00:00Z")
    for _ in range(4):
        switch(workflow)
    forget_unused_epochs()
    # 1 is the retired subject's, 4 may still be read by a submission on its way, 5 is current.
    assert list(SkillEpoch.objects.order_by("number").values_list("number", flat=True)) == [1, 4, 5]
    assert not Skill.objects.filter(epoch__number=1, volunteer__isnull=False).exists()


@pytest.mark.parametrize(
    ("answers", "votes"),
    [
        (("No", "Yes", "Unclear"), [1, 4, 0]),
        (("Yes", "No", "Unclear", "Artefact"), [4, 1, 0, 0]),
        (("No", "Yes"), [1, 4]),
        (("Artefact", "Unclear", "Yes", "No"), [0, 0, 4, 1]),
    ],
)
def test_answers_of_an_older_version_are_found_by_their_text(answers: tuple[str, ...], votes: list[int]) -> None:
    workflow = make_workflow(retirement=NEVER)
    old = workflow.version
    vote_much(workflow)
    subject = publish(workflow)[0]
    switch(workflow)
    for answer in (0, 0, 0, 1):
        classify(workflow, subject, T0=answer)
    workflow = reword(workflow, *answers)
    # Sent by a page that was loaded before the change. The epoch's skill is of other answers: only counts are right.
    classify(workflow, subject, T0=0, version=old)
    consensus = Consensus.objects.get(status__subject=subject)
    assert consensus.answer_counts == votes
    assert len(set(consensus.log_posterior)) == 1
    assert workflow in list_due_workflows()
    switch(workflow)
    assert Consensus.objects.get(status__subject=subject).answer_counts == votes
    assert live(workflow) == from_rows(workflow)
    assert audit_consensus(workflow) == []
    classify(workflow, subject, T0=answers.index("No"))
    classify(workflow, subject, T0=0, version=old)
    assert live(workflow) == from_rows(workflow)


def test_a_changed_text_that_is_no_answer_leaves_the_sums_alone() -> None:
    workflow = make_workflow(retirement=NEVER)
    vote_much(workflow)
    switch(workflow)
    workflow = change_workflow(workflow, strings={**workflow.strings, "T0.help": "Look for arms."})
    for subject in Subject.objects.filter(statuses__workflow=workflow):
        classify(workflow, subject, T0=1)
    assert live(workflow) == from_rows(workflow)


def test_removed_answers_are_kept_as_rows_and_not_summed() -> None:
    workflow = make_workflow(retirement=NEVER)
    old = workflow.version
    (subject,) = publish(workflow)
    classify(workflow, subject, T0=2)
    workflow = reword(workflow, "Yes", "No")
    classify(workflow, subject, T0=2, version=old)
    classify(workflow, subject, T0=1)
    assert Answer.objects.filter(answer=2, counted=True).count() == 2
    assert Consensus.objects.get().answer_counts == [0, 1]
    assert SubjectStatus.objects.get().classifications_count == 3


def test_too_few_rows_under_new_answers_begin_a_new_epoch_of_newcomers() -> None:
    workflow = make_workflow(retirement=NEVER)
    (subject,) = publish(workflow)
    classify(workflow, subject, T0=0)
    workflow = reword(workflow, "Yes", "No")
    assert workflow in list_due_workflows()
    assert switch(workflow).number == 2
    assert refit.refit_workflow(workflow) is None
    classify(workflow, subject, T0=1)
    assert live(workflow) == from_rows(workflow)


def test_what_is_known_of_retired_subjects_is_told_in_todays_answers() -> None:
    workflow = make_workflow(retirement={"criteria": "classification_count", "options": {"count": 8}})
    subjects = vote_much(workflow)
    SubjectStatus.objects.filter(subject=subjects[0]).update(machine_answer=0, machine_prior=[-1, -2, -3])
    before = dict(SubjectStatus.objects.values_list("subject", "retired_answer"))
    assert set(before.values()) == {0, 1}
    workflow = reword(workflow, "No", "Yes", "Unclear")
    switch(workflow)
    after = dict(SubjectStatus.objects.values_list("subject", "retired_answer"))
    assert after == {subject: 1 - answer for subject, answer in before.items() if answer is not None}
    assert set(SubjectStatus.objects.values_list("state", flat=True)) == {"retired"}
    # The machine's opinion was of the answers in their old order.
    assert not SubjectStatus.objects.exclude(machine_prior=None).exists()
    assert live(workflow) == from_rows(workflow)
    assert audit_consensus(workflow) == []


def test_gold_is_read_in_todays_answers() -> None:
    workflow = make_workflow(retirement=NEVER)
    subjects = vote_much(workflow)
    for number, subject in enumerate(subjects):
        classify(workflow, subject, gold=workflow.project.owner, T0=number % 2)
    workflow = reword(workflow, "Unclear", "No", "Yes")
    skill = {s.volunteer_id: s for s in Skill.objects.filter(epoch=switch(workflow), volunteer__isnull=False)}
    assert all(s.gold_seen == 8 and s.gold_right >= 5 for s in skill.values())


def test_a_fit_of_the_questions_before_a_change_writes_nothing_of_the_questions_after_it() -> None:
    workflow = make_workflow(retirement=NEVER)
    vote_much(workflow)
    effect = services.refit_workflow(workflow)
    assert effect is not None
    changed = reword(Workflow.objects.get(pk=workflow.pk), "No", "Yes")
    subject = Subject.objects.filter(statuses__workflow=workflow).first()
    assert subject is not None
    classify(changed, subject, T0=1)
    with transaction.atomic():
        effect()
    assert changed in list_due_workflows()
    classify(changed, subject, T0=1)
    switch(changed)
    assert live(changed) == from_rows(changed)


def test_a_switch_that_breaks_off_leaves_the_epoch_before(monkeypatch: pytest.MonkeyPatch) -> None:
    workflow = make_workflow(retirement=NEVER)
    vote_much(workflow)
    before = live(workflow)

    def killed(*_: Any, **__: Any) -> None:
        raise RuntimeError("killed")

    effect = services.refit_workflow(workflow)
    assert effect is not None
    monkeypatch.setattr(reassessment, "_write_states", killed)
    with pytest.raises(RuntimeError), transaction.atomic():
        effect()
    assert SkillEpoch.objects.get(current=True).number == 1
    assert live(workflow) == before == from_rows(workflow)


def test_a_submission_whose_orders_break_off_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project()
    workflow, other = make_workflow(project, retirement=NEVER), make_workflow(project)
    blanks = {"answer": 0, "count": 1, "probability": 0.1, "subject_set": other.subject_sets.get().pk}
    change_retirement(workflow=workflow, criterion=NEVER, requests=[RuleRequest(template="move", options=blanks)])
    (subject,) = publish(workflow)

    def killed(*_: Any, **__: Any) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr("esocs.crowd.submission.order_effects", killed)
    with pytest.raises(RuntimeError):
        classify(workflow, subject, T0=0)
    assert not Classification.objects.exists()
    assert not Answer.objects.exists()
    assert SubjectStatus.objects.get().classifications_count == 0


@pytest.mark.django_db(transaction=True)
def test_a_submission_reckoned_on_a_row_that_changed_since_is_reckoned_again(monkeypatch: pytest.MonkeyPatch) -> None:
    workflow = make_workflow(retirement={"criteria": "classification_count", "options": {"count": 3}})
    (subject,) = publish(workflow)
    reckon, counts = submission._reckon, []

    def overtaken(sent: Any, status: Any, *rest: Any, **named: Any) -> Any:
        counts.append(status.count)
        if len(counts) == 1:
            classify(workflow, subject, T0=1)
        return reckon(sent, status, *rest, **named)

    monkeypatch.setattr(submission, "_reckon", overtaken)
    assert classify(workflow, subject, T0=0).counted
    # Read with none, overtaken by one that was read with none too, and read again under the lock with that one.
    assert counts == [0, 0, 1]
    assert SubjectStatus.objects.get().classifications_count == 2
    assert live(workflow) == from_rows(workflow)


def test_a_refit_takes_as_many_statements_for_many_subjects_as_for_few(django_assert_max_num_queries: Any) -> None:
    workflow = make_workflow(retirement={"criteria": "consensus", "options": {"minimum": 8, "threshold": 0.6}})
    vote_much(workflow, n_subjects=30, n_volunteers=6)
    with django_assert_max_num_queries(45):
        switch(workflow)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), mode=st.sampled_from(["hierarchical", "majority", "dawid_skene"]))
def test_any_order_with_duplicates_repeats_and_refits_ends_in_the_sums_of_one_batch(data: Any, mode: str) -> None:
    workflow = make_workflow(make_project(owner=make_user()), answers=("Yes", "No"), retirement=NEVER)
    Workflow.objects.filter(pk=workflow.pk).update(consensus_mode=mode)
    workflow.refresh_from_db()
    subjects, volunteers = publish(workflow, 6), [make_volunteer() for _ in range(9)]
    counted = [(s, v, (s + (v == 8)) % 2, f"{s}-{v}") for s in range(6) for v in range(9)]
    answer = {(s, v): a for s, v, a, _ in counted}
    repeats = data.draw(st.lists(st.sampled_from(counted), max_size=6))
    sent: list[Any] = counted + repeats + [(s, v, 1 - a, f"{key}-again") for s, v, a, key in repeats]
    order = data.draw(st.permutations([*sent, "refit", "refit"]))
    for item in order:
        if item == "refit":
            effect = refit.refit_workflow(Workflow.objects.get(pk=workflow.pk))
            if effect is not None:
                with transaction.atomic():
                    effect()
            continue
        s, v, a, key = item
        # Whichever of a volunteer's two comes first is the one that counts: make both say the same then.
        classify(
            workflow,
            subjects[s],
            volunteers[v],
            T0=answer[s, v] if key.endswith("again") else a,
            key=_own(workflow, key),
        )
    assert live(workflow) == from_rows(workflow)
    epoch = switch(workflow)
    ended = live(workflow)
    assert ended == from_rows(workflow)
    for s, subject in enumerate(subjects):
        votes = [sum(answer[s, v] == k for v in range(9)) for k in range(2)]
        assert ended[subject.pk, "T0"][1] == votes
    # One batch of the same votes in their plain order learns the same, bit for bit.
    assert _sums_of_a_batch(mode, counted) == [ended[subject.pk, "T0"][0] for subject in subjects]
    assert (epoch.mode, audit_consensus(workflow)) == (mode, [])


def _own(workflow: Workflow, key: str) -> str:
    return f"{workflow.pk}-{key}"


def _sums_of_a_batch(mode: str, counted: list[Any]) -> list[list[int]]:
    workflow = make_workflow(answers=("Yes", "No"), retirement=NEVER)
    Workflow.objects.filter(pk=workflow.pk).update(consensus_mode=mode)
    workflow.refresh_from_db()
    subjects, volunteers = publish(workflow, 6), [make_volunteer() for _ in range(9)]
    for s, v, a, key in counted:
        classify(workflow, subjects[s], volunteers[v], T0=a, key=_own(workflow, key))
    switch(workflow)
    made = live(workflow)
    return [made[subject.pk, "T0"][0] for subject in subjects]


@pytest.mark.django_db(transaction=True)
def test_a_submission_need_not_wait_for_a_switch_that_waits_for_its_subject() -> None:
    workflow = make_workflow(retirement=NEVER)
    vote_much(workflow)
    (reopened,) = publish(workflow)
    classify(workflow, reopened, T0=0)
    SubjectStatus.objects.filter(subject=reopened).update(state="contested")
    switch(workflow)
    switch(workflow)
    # Open again, under an epoch that is past: its next answer takes it to the current one, which a switch has locked.
    SubjectStatus.objects.filter(subject=reopened).update(state="open")
    errors: list[Exception] = []

    def answer() -> None:
        try:
            classify(workflow, reopened, T0=0)
        except Exception as error:  # noqa: BLE001 - told to the test below
            errors.append(error)
        finally:
            connection.close()

    with transaction.atomic():
        switch_epoch(workflow, [], read_out=ReadOut.TEMPERED, figures={})
        thread = threading.Thread(target=answer)
        thread.start()
        thread.join(timeout=20)
        assert not thread.is_alive()
        transaction.set_rollback(True)
    thread.join()
    assert errors == []
    assert live(workflow) == from_rows(workflow)


@pytest.mark.django_db(transaction=True)
def test_two_switches_at_once_follow_one_another() -> None:
    workflow = make_workflow(retirement=NEVER)
    vote_much(workflow)
    effects = [services.refit_workflow(workflow) for _ in range(3)]
    errors: list[Exception] = []

    def run(effect: Any) -> None:
        try:
            with transaction.atomic():
                effect()
        except Exception as error:  # noqa: BLE001 - told to the test below
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(effect,)) for effect in effects]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert SkillEpoch.objects.get(current=True).number == 4
    assert live(workflow) == from_rows(workflow)


def test_a_workflow_is_due_for_new_rows_new_modes_and_new_gold_and_then_no_more() -> None:
    workflow = make_workflow(retirement=NEVER)
    subjects = vote_much(workflow)
    assert list_due_workflows() == [workflow]
    switch(workflow)
    assert list_due_workflows() == []
    Workflow.objects.filter(pk=workflow.pk).update(consensus_mode="majority")
    assert list_due_workflows() == [workflow]
    SkillEpoch.objects.filter(pk=switch(workflow).pk).update(fit_s=1000.0)
    classify(workflow, subjects[0], T0=0)
    assert list_due_workflows() == [workflow], "one row in a hundred is new"
    SkillEpoch.objects.filter(current=True).update(classifications_fitted=1_000_000)
    assert list_due_workflows() == [], "the fit was slow, and few rows are new"
    SkillEpoch.objects.filter(current=True).update(fit_s=0.0)
    assert list_due_workflows() == [workflow]
    SkillEpoch.objects.filter(pk=switch(workflow).pk).update(fit_s=0.0)
    classify(workflow, subjects[0], gold=workflow.project.owner, T0=0)
    assert GoldStandard.objects.count() == 1
    assert list_due_workflows() == [workflow], "gold teaches, though it is not counted"
    switch(workflow)
    assert list_due_workflows() == []


def test_a_label_keeps_its_votes_while_it_stands_at_its_place() -> None:
    workflow = make_tree_workflow(retirement=NEVER)
    (subject,) = publish(workflow)
    classify(workflow, subject, T0=1, T2=[0, 2])
    _, strings = build_question(question="What else?", answers=["Ring", "Bar", "Tail"], task_key="T2")
    workflow = change_workflow(workflow, strings={**workflow.strings, **strings})
    switch(workflow)
    assert {key: counts for (_, key), (_, counts) in live(workflow).items()} == {"T0": [0, 1], "T2.2": [0, 1]}
    classify(workflow, subject, T0=1, T2=[1])
    assert live(workflow) == from_rows(workflow)
    assert live(workflow)[subject.pk, "T2.1"][1] == [0, 1]


def test_a_fit_that_is_under_way_is_not_ordered_again() -> None:
    workflow = make_workflow(retirement=NEVER)
    vote_much(workflow)
    for minute in ("1", "2", "3"):
        jobs.drain([jobs.enqueue("crowd.refit", key=minute)])
    (ordered,) = Job.objects.filter(kind="crowd.refit", payload__workflow_id=workflow.pk)
    jobs.drain([ordered.pk])
    assert SkillEpoch.objects.get(current=True).number == 2
    jobs.drain([jobs.enqueue("crowd.refit", key="4")])
    assert Job.objects.filter(kind="crowd.refit", payload__workflow_id=workflow.pk).count() == 1, "nothing is new"


def test_votes_that_are_only_counted_are_shares_from_the_first_one_on() -> None:
    workflow = make_workflow(retirement={"criteria": "never_retire"})
    Workflow.objects.filter(pk=workflow.pk).update(consensus_mode="majority")
    workflow.refresh_from_db()
    subject = make_subject(workflow.project, published_in=workflow)
    for answer in (1, 1, 2):
        classify(workflow, subject, make_volunteer(), T0=answer)
    consensus = Consensus.objects.get(status__subject=subject, task_key="T0")
    assert (consensus.answer, consensus.probability) == (1, pytest.approx(2 / 3))
