"""Subjects to practise on: told only where the workflow wants it, only about them, and never counted."""

from __future__ import annotations

import pytest

from esocs.crowd.by_hand import open_sets
from esocs.crowd.models import Answer, Consensus, SubjectStatus
from esocs.crowd.practice import is_training_subject, read_feedback
from esocs.crowd.refit import refit_workflow
from esocs.projects.models import SetMemberSubject, Subject, SubjectSet, Workflow
from tests.support import factories
from tests.web import crowd

pytestmark = pytest.mark.django_db


@pytest.fixture
def workflow() -> Workflow:
    workflow = factories.make_workflow(
        factories.make_project(owner=factories.make_user("keeper")),
        retirement={"criteria": "classification_count", "options": {"count": 3}},
    )
    workflow.configuration = {"feedback": True}
    workflow.save()
    return workflow


def add(workflow: Workflow, **metadata: object) -> Subject:
    subject = factories.make_subject(workflow.project, metadata=metadata)
    for subject_set in workflow.subject_sets.all():
        SetMemberSubject.objects.create(subject_set=subject_set, subject=subject)
    open_sets(workflow)
    return subject


@pytest.mark.parametrize(
    ("mark", "trains"), [("true", True), (True, True), (1, True), (" YES ", True), ("false", False), ("", False)]
)
def test_panoptes_mark_makes_a_training_subject(mark: object, trains: bool) -> None:
    assert is_training_subject({"#training_subject": mark}) is trains
    assert not is_training_subject({})


def test_what_is_told_is_told_of_training_subjects_alone(workflow: Workflow) -> None:
    training, evaluating = add(workflow, **{"#training_subject": "true"}), add(workflow)
    for subject in (training, evaluating):
        crowd.answer_as_expert(workflow, subject, workflow.project.owner, 2)
    assert read_feedback(workflow, training) == {"T0": {"answer": 2}}
    assert read_feedback(workflow, evaluating) == {}
    workflow.configuration = {}
    assert read_feedback(workflow, training) == {}


def test_the_projects_own_words_and_answer_are_told(workflow: Workflow) -> None:
    words = {"#feedback_1_answer": "1", "#feedback_1_successMessage": "Well seen!", "#feedback_1_failureMessage": 5}
    subject = add(workflow, **{"#training_subject": True, **words})
    assert read_feedback(workflow, subject) == {"T0": {"answer": 1, "success": "Well seen!"}}


def test_answers_to_practise_are_kept_and_never_count(workflow: Workflow) -> None:
    subject = add(workflow, **{"#training_subject": "true"})
    crowd.answer_as_expert(workflow, subject, workflow.project.owner, 2)
    before = Consensus.objects.filter(status__subject=subject).values_list("log_posterior", "answer_counts").first()
    for _ in range(5):
        assert not factories.classify(workflow, subject, T0=2).counted
    assert refit_workflow(workflow) is None, "nothing came that counts"
    status = SubjectStatus.objects.get(subject=subject)
    assert (status.training, status.state, status.classifications_count) == (True, "open", 0)
    after = Consensus.objects.filter(status=status).values_list("log_posterior", "answer_counts").first()
    assert before is None or before[1] == after[1]
    assert Answer.objects.filter(status=status, counted=True).count() == 0
    assert Answer.objects.filter(status=status).count() >= 5


@pytest.mark.parametrize("named", ["in the set", "in the workflow"])
def test_a_set_that_is_for_training_makes_training_subjects(workflow: Workflow, named: str) -> None:
    [ordinary] = workflow.subject_sets.all()
    practice = SubjectSet.objects.create(
        project=workflow.project, display_name="practice", metadata={"training": True} if named == "in the set" else {}
    )
    workflow.subject_sets.add(practice)
    if named == "in the workflow":
        workflow.configuration = {"training_set_ids": [practice.pk]}
        workflow.save()
    subjects = [factories.make_subject(workflow.project) for _ in range(2)]
    for subject_set, subject in zip((practice, ordinary), subjects, strict=True):
        SetMemberSubject.objects.create(subject_set=subject_set, subject=subject)
    open_sets(workflow)
    training = SubjectStatus.objects.filter(training=True).values_list("subject_id", flat=True)
    assert list(training) == [subjects[0].pk]
