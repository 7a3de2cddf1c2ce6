"""Decision trees and multiple answers: one consensus a question, among those who reached it."""

from __future__ import annotations

import random

import pytest

from esocs.crowd.models import Answer, Consensus, Skill, StatusChange, SubjectStatus
from esocs.crowd.refit import audit_consensus
from esocs.crowd.services import refit_workflow
from esocs.projects.models import Workflow
from esocs.projects.rules import UnknownTaskError, read_choices
from tests.support.consensus import from_rows, live, switch
from tests.support.factories import ask, classify, make_tree_workflow, make_volunteer, make_workflow, publish

pytestmark = pytest.mark.django_db

NEVER = {"criteria": "never_retire"}
QUESTIONS = ["T0", "T1", "T2.0", "T2.1", "T2.2"]


@pytest.fixture
def tree() -> Workflow:
    return make_tree_workflow(retirement=NEVER)


@pytest.fixture
def answered(tree: Workflow) -> Workflow:
    """Ten subjects, eight volunteers; a disk is asked for arms, and everybody for labels."""
    rng = random.Random(3)
    volunteers = [make_volunteer() for _ in range(8)]
    for number, subject in enumerate(publish(tree, 10)):
        for volunteer in volunteers:
            disk = number % 2 if rng.random() < 0.9 else rng.randrange(2)
            arms = {"T1": number % 4 // 2 if rng.random() < 0.9 else 1} if disk else {}
            classify(tree, subject, volunteer, T0=disk, T2=[0] if number % 3 == 0 else [1, 2], **arms)
    return tree


def test_each_label_of_a_multiple_choice_is_a_question_of_its_own(tree: Workflow) -> None:
    (subject,) = publish(tree)
    classify(tree, subject, T0=1, T1=0, T2=[0, 2])
    assert dict(Answer.objects.values_list("task_key", "answer")) == {"T0": 1, "T1": 0, "T2.0": 1, "T2.1": 0, "T2.2": 1}
    assert set(Consensus.objects.values_list("task_key", flat=True)) == set(QUESTIONS)


def test_none_of_the_labels_is_an_answer_and_a_skipped_task_is_none(tree: Workflow) -> None:
    (subject,) = publish(tree)
    classify(tree, subject, T0=0, T2=[])
    classify(tree, subject, T0=0, T2=None)
    votes = {key: counts for (_, key), (_, counts) in live(tree).items()}
    assert votes == {"T0": [2, 0], "T2.0": [1, 0], "T2.1": [1, 0], "T2.2": [1, 0]}


def test_a_later_question_counts_only_those_who_reached_it(answered: Workflow) -> None:
    for status in SubjectStatus.objects.filter(workflow=answered):
        counts = {c.task_key: c.answer_counts for c in status.consensus.all()}
        assert sum(counts["T0"]) == 8
        assert sum(counts.get("T1", [0])) == counts["T0"][1]


def test_the_refit_fits_every_question_and_the_sums_stay_the_batch(answered: Workflow) -> None:
    assert live(answered) == from_rows(answered)
    epoch = switch(answered)
    assert set(Skill.objects.filter(epoch=epoch, volunteer=None).values_list("task_key", flat=True)) == set(QUESTIONS)
    # T1 was reached too rarely to be fitted: there everybody still is a newcomer.
    fitted = set(Skill.objects.filter(epoch=epoch, volunteer__isnull=False).values_list("task_key", flat=True))
    assert fitted == set(QUESTIONS) - {"T1"}
    assert live(answered) == from_rows(answered)
    assert audit_consensus(answered) == []
    for status in SubjectStatus.objects.filter(workflow=answered):
        classify(answered, status.subject, T0=1, T1=1, T2=[])
    assert live(answered) == from_rows(answered)


def test_the_probabilities_lean_to_what_most_have_said(answered: Workflow) -> None:
    switch(answered)
    for row in Consensus.objects.filter(status__workflow=answered, majority__isnull=False):
        assert row.answer == row.majority or row.flagged
        assert 1 / 2 <= row.probability <= 1


def test_only_the_first_task_decides_on_retirement() -> None:
    workflow = make_tree_workflow(retirement={"criteria": "consensus", "options": {"threshold": 0.8}})
    (subject,) = publish(workflow)
    for number in range(8):
        if classify(workflow, subject, T0=1, T1=number % 2, T2=[0] if number % 2 else []).retired:
            break
    status = SubjectStatus.objects.get(subject=subject)
    assert (status.state, status.retired_answer) == ("retired", 1)
    assert status.classifications_count < 8


def test_an_answer_that_skips_the_first_task_is_judged_by_what_others_said_of_it() -> None:
    workflow = make_tree_workflow(retirement={"criteria": "consensus", "options": {"minimum": 4, "threshold": 0.6}})
    tasks = {**workflow.tasks, "T0": {**workflow.tasks["T0"], "required": False}}
    workflow = ask(workflow, tasks)
    (subject,) = publish(workflow)
    for _ in range(3):
        classify(workflow, subject, T0=1)
    assert classify(workflow, subject, T0=None, T2=[0]).retired
    change = StatusChange.objects.get()
    assert (change.answer, change.classifications_count, change.reason) == (1, 4, "consensus")


def test_a_first_task_of_several_labels_needs_each_of_them_settled() -> None:
    workflow = make_tree_workflow(retirement={"criteria": "consensus", "options": {"threshold": 0.8, "maximum": 100}})
    workflow = ask(workflow, {"T2": workflow.tasks["T2"]}, first="T2")
    unsure, sure = publish(workflow, 2)
    for number in range(12):
        classify(workflow, unsure, T2=[0, number % 2 + 1])
    assert SubjectStatus.objects.get(subject=unsure).state == "open"
    retired = [classify(workflow, sure, T2=[0]).retired for _ in range(8) if not _retired(sure.pk)]
    assert retired[-1]
    assert SubjectStatus.objects.get(subject=sure).retired_answer == 1


def _retired(subject_id: int) -> bool:
    return SubjectStatus.objects.get(subject=subject_id).state == "retired"


def test_an_experts_labels_settle_a_first_task_of_several_labels() -> None:
    workflow = ask(make_tree_workflow(), {"T2": make_tree_workflow().tasks["T2"]}, first="T2")
    (subject,) = publish(workflow, audience="experts")
    assert classify(workflow, subject, gold=workflow.project.owner, T2=[0]).retired
    change = StatusChange.objects.get()
    assert (change.cause, change.answer, change.epoch_number) == ("expert", 1, 1)


def test_an_expert_who_skips_the_first_task_settles_nothing() -> None:
    workflow = make_tree_workflow()
    workflow = ask(workflow, {**workflow.tasks, "T0": {**workflow.tasks["T0"], "required": False}})
    (subject,) = publish(workflow, audience="experts")
    SubjectStatus.objects.update(review="flagged")
    assert not classify(workflow, subject, gold=workflow.project.owner, T0=None, T2=[0]).retired
    assert SubjectStatus.objects.get().review == "flagged"


@pytest.mark.parametrize("tasks", [{}, {"T0": {"type": "text", "instruction": "T0.instruction"}}])
def test_a_workflow_without_a_question_counts_its_classifications(tasks: dict[str, object]) -> None:
    workflow = ask(make_workflow(retirement={"criteria": "classification_count", "options": {"count": "2"}}), tasks)
    subject, other = publish(workflow, 2)
    answers = dict.fromkeys(tasks, "a ring")
    assert not classify(workflow, subject, **answers).retired
    assert classify(workflow, subject, **answers).retired
    assert refit_workflow(workflow) is None
    assert audit_consensus(workflow) == []
    # Nothing can be wrong with an expert's word on it either.
    SubjectStatus.objects.filter(subject=other).update(audience="experts")
    assert classify(workflow, other, gold=workflow.project.owner, **answers).retired


def test_a_first_task_that_is_not_there_holds_nobody_up() -> None:
    workflow = ask(make_tree_workflow(retirement={"criteria": "consensus"}), make_tree_workflow().tasks, first="T9")
    (subject,) = publish(workflow)
    for _ in range(14):
        assert not classify(workflow, subject, T0=1).retired
    classify(workflow, subject, T0=1)
    assert SubjectStatus.objects.get().state == "contested"


def test_details_are_only_taken_beside_a_drawing(tree: Workflow) -> None:
    annotations = [{"task": "T0", "value": 0}, {"task": "T0.0.0", "value": "x", "markIndex": 0}]
    with pytest.raises(UnknownTaskError):
        read_choices(tree.tasks, annotations)
    drawn = {**tree.tasks, "T3": {"type": "drawing", "tools": []}}
    marked = [annotations[0], {"task": "T3", "value": []}, {"task": "T3.0.0", "value": "x", "markIndex": 0}]
    assert [choice.task_key for choice in read_choices(drawn, [*marked, marked[-1]])] == ["T0"]
