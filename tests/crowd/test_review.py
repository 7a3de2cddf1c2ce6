"""What waits for an expert is handed to experts, until one of them has answered; an audit is drawn by chance."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from django.db.models.functions import Now

from esocs.crowd import services
from esocs.crowd.models import Consensus, StatusChange, SubjectStatus
from esocs.crowd.review import count_review, draw_audit, get_audit, list_retired_probabilities, list_review
from esocs.crowd.services import RuleRequest, change_retirement
from esocs.jobs import services as jobs
from esocs.jobs.models import Job
from esocs.projects.models import ProjectRole, Subject, Workflow
from esocs.projects.services import add_role
from tests.support.factories import ask, classify, make_tree_workflow, make_user, make_volunteer, make_workflow, publish

pytestmark = pytest.mark.django_db

CONSENSUS = {"criteria": "consensus", "options": {"threshold": 0.8, "minimum": 3, "maximum": 5}}


@pytest.fixture
def workflow() -> Workflow:
    return make_workflow(retirement=CONSENSUS)


def retire(workflow: Workflow, n: int, answer: int = 1) -> list[Subject]:
    """Subjects that volunteers retired by consensus."""
    subjects = publish(workflow, n)
    for subject in subjects:
        while not classify(workflow, subject, T0=answer).retired:
            pass
    return subjects


def queue(workflow: Workflow, user: Any) -> list[int]:
    handed = services.hand_out_subjects(
        workflow_id=workflow.pk, volunteer_id=user.volunteer.pk, audience="experts", held=frozenset()
    )
    return [subject.subject_id for subject in handed]


def test_contested_flagged_and_audited_subjects_are_handed_to_experts_in_order(workflow: Workflow) -> None:
    owner = workflow.project.owner
    (contested,) = publish(workflow)
    classify(workflow, contested, owner.volunteer, T0=0)  # as a volunteer, before
    for answer in (1, 0, 1, 2):
        classify(workflow, contested, T0=answer)
    flagged, audited, _ = retire(workflow, 3)
    SubjectStatus.objects.filter(subject=flagged).update(review="flagged", priority=-2)
    SubjectStatus.objects.filter(subject=audited).update(review="audit", audited_at=Now(), priority=-3)
    (routed,) = publish(workflow, audience="experts")
    SubjectStatus.objects.filter(subject=routed).update(priority=1)
    order = [audited.pk, flagged.pk, contested.pk, routed.pk]
    assert queue(workflow, owner) == order
    assert [status.subject_id for status in list_review(workflow)] == order[:3]
    assert list(list_review(workflow, kind="flagged").values_list("subject", flat=True)) == [flagged.pk]
    counts = count_review(workflow)
    assert (counts.routed, counts.contested, counts.flagged, counts.audit, counts.total) == (1, 1, 1, 1, 4)
    # Volunteers get none of them.
    assert services.hand_out_subjects(workflow_id=workflow.pk, volunteer_id=make_volunteer().pk) == []


def test_after_gold_a_subject_leaves_the_queue_with_one_step_in_its_history(workflow: Workflow) -> None:
    owner = workflow.project.owner
    (contested,) = publish(workflow)
    for answer in (0, 1, 0, 1, 2):
        classify(workflow, contested, T0=answer)
    (flagged,) = retire(workflow, 1)
    SubjectStatus.objects.filter(subject=flagged).update(review="flagged")
    before = StatusChange.objects.count()
    for subject in (contested, flagged):
        assert classify(workflow, subject, gold=owner, T0=0).retired
    assert queue(workflow, owner) == []
    assert count_review(workflow).total == 0
    steps = StatusChange.objects.order_by("id")[before:]
    assert [(s.before, s.after, s.cause, s.author, s.answer) for s in steps] == [
        ("contested", "retired", "expert", owner, 0),
        ("retired", "retired", "expert", owner, 0),
    ]
    assert SubjectStatus.objects.get(subject=contested).retirement_cause == "expert"
    # The volunteers' consensus is what it was when they retired it.
    kept = SubjectStatus.objects.get(subject=flagged)
    assert (kept.retirement_cause, kept.retired_answer) == ("rule", 1)
    # Another expert is asked neither, and one more answer adds no step.
    expert = make_user()
    add_role(project=workflow.project, user=expert, role=ProjectRole.Role.EXPERT)
    assert queue(workflow, expert) == []
    classify(workflow, flagged, gold=expert, T0=1)
    assert StatusChange.objects.count() == before + 2


def test_where_any_label_is_flagged_an_expert_looks() -> None:
    tree = make_tree_workflow(retirement={"criteria": "classification_count", "options": {"count": 3}})
    workflow = ask(tree, {"T2": tree.tasks["T2"]}, first="T2")
    (subject,) = publish(workflow)
    # The machine's prior weighs on no label; a majority that the epoch's prior overrules is flagged.
    everybody = SubjectStatus.objects.get().epoch
    assert everybody is not None
    everybody.skills.filter(task_key="T2.1").update(log_prior=[0, 40 << 32])
    for _ in range(3):
        classify(workflow, subject, T2=[0])
    assert list(Consensus.objects.filter(flagged=True).values_list("task_key", flat=True)) == ["T2.1"]
    assert SubjectStatus.objects.get().review == "flagged"


def test_an_audit_draws_never_twice_never_gold_and_only_what_volunteers_retired(workflow: Workflow) -> None:
    subjects = retire(workflow, 6)
    publish(workflow, 2)
    classify(workflow, subjects[0], gold=workflow.project.owner, T0=1)
    SubjectStatus.objects.filter(subject=subjects[1]).update(retirement_cause="person")
    assert draw_audit(workflow=workflow, size=3) == 3
    assert draw_audit(workflow=workflow, size=3) == 1
    assert draw_audit(workflow=workflow, size=3) == 0
    assert draw_audit(workflow=workflow, size=-1) == 0
    drawn = set(SubjectStatus.objects.filter(review="audit").values_list("subject", flat=True))
    assert drawn == {subject.pk for subject in subjects[2:]}


def test_an_audit_draws_each_subject_equally_often(workflow: Workflow) -> None:
    retire(workflow, 4)
    drawn: Counter[int] = Counter()
    for _ in range(200):
        draw_audit(workflow=workflow, size=1)
        drawn[SubjectStatus.objects.get(review="audit").pk] += 1
        SubjectStatus.objects.update(review="", audited_at=None)
    assert len(drawn) == 4
    # Binomial(200, ¼): seven standard deviations on either side.
    assert all(7 < n < 93 for n in drawn.values())


def test_a_certificate_counts_errors_at_retirement_whatever_comes_later(workflow: Workflow) -> None:
    late = make_volunteer()
    services.hand_out_subjects(workflow_id=workflow.pk, volunteer_id=late.pk)
    subjects = retire(workflow, 4, answer=1)
    assert draw_audit(workflow=workflow, size=4) == 4
    SubjectStatus.objects.filter(subject=subjects[0]).update(retired_at="2099-01-01T00:00:00Z")
    # Late votes turn the consensus of the first; what was certified is what it was.
    for _ in range(20):
        volunteer = make_volunteer()
        status = SubjectStatus.objects.get(subject=subjects[0])
        status.assignments.create(volunteer=volunteer, expires_at="2099-01-01T00:00:00Z")
        classify(workflow, subjects[0], volunteer, T0=0)
    assert Consensus.objects.get(status__subject=subjects[0]).answer == 0
    owner = workflow.project.owner
    for subject, truth in zip(subjects[:3], (0, 1, 1), strict=True):
        classify(workflow, subject, gold=owner, T0=truth)
    audit = get_audit(workflow, probabilities=list_retired_probabilities(workflow))
    assert (audit.drawn, audit.answered, audit.pending) == (4, 3, 1)
    own = audit.certificates[0]
    assert (own.threshold, own.audited, own.errors, own.covered) == (0.8, 3, 1, 4)


def test_an_audit_goes_on_when_a_raised_limit_opens_its_subject_again() -> None:
    workflow = make_workflow(retirement=CONSENSUS)
    (subject,) = retire(workflow, 1)
    draw_audit(workflow=workflow, size=1)

    def change(minimum: int) -> None:
        options = {**CONSENSUS["options"], "minimum": minimum, "maximum": 30}  # type: ignore[dict-item]
        change_retirement(workflow=workflow, criterion={"criteria": "consensus", "options": options}, requests=[])
        jobs.drain(list(Job.objects.filter(state="queued").values_list("pk", flat=True)))

    change(8)
    assert SubjectStatus.objects.get().state == "open"
    while not classify(workflow, subject, T0=1).retired:
        pass
    status = SubjectStatus.objects.get()
    assert (status.review, status.retired_count) == ("audit", 8)
    assert queue(workflow, workflow.project.owner) == [subject.pk]


def test_an_audit_of_counted_workflows_is_counted_too() -> None:
    workflow = make_workflow(retirement={"criteria": "classification_count", "options": {"count": 3}})
    rules = [RuleRequest(template="blanks", options={"answer": 0, "count": 2})]
    change_retirement(workflow=workflow, criterion=workflow.retirement, requests=rules)
    first, second = retire(workflow, 1, answer=0) + retire(workflow, 1, answer=1)
    assert draw_audit(workflow=workflow, size=5) == 2
    classify(workflow, first, gold=workflow.project.owner, T0=0)
    classify(workflow, second, gold=workflow.project.owner, T0=2)
    audit = get_audit(workflow, probabilities=list_retired_probabilities(workflow))
    assert (audit.drawn, audit.answered) == (2, 2)


def test_an_audit_of_labels_compares_the_first_label() -> None:
    tree = make_tree_workflow(retirement={"criteria": "consensus", "options": {"threshold": 0.7}})
    workflow = ask(tree, {"T2": tree.tasks["T2"]}, first="T2")
    (subject,) = publish(workflow)
    while not classify(workflow, subject, T2=[0]).retired:
        pass
    draw_audit(workflow=workflow, size=1)
    classify(workflow, subject, gold=workflow.project.owner, T2=[])
    audit = get_audit(workflow, probabilities=list_retired_probabilities(workflow))
    assert (audit.answered, audit.certificates[0].errors) == (1, 1)
