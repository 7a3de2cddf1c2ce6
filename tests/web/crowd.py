"""A crowd at work, for the scientists' pages: votes, a fit of everybody's skill, gold, what waits for experts."""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence

from django.db import transaction

from esocs.accounts.models import User
from esocs.accounts.services import volunteer_for_user
from esocs.crowd import services
from esocs.crowd.models import SubjectStatus
from esocs.crowd.services import Submission
from esocs.projects.models import Subject, Workflow
from tests.support import factories

CONSENSUS = {"criteria": "consensus", "options": {"threshold": 0.9, "minimum": 3, "maximum": 6}}


def vote(workflow: Workflow, subject: Subject, volunteer_id: int, answer: int, *, expert: User | None = None) -> None:
    """One classification; with an expert, a gold standard one."""
    services.record_classification(
        Submission(
            workflow_id=workflow.pk,
            subject_ids=[subject.pk],
            volunteer_id=volunteer_id,
            user_id=expert.pk if expert else None,
            gold_standard=expert is not None,
            annotations=[{"task": "T0", "value": answer}],
            metadata={},
            workflow_version=workflow.version,
            idempotency_key=str(uuid.uuid4()),
        )
    )


def answer_as_expert(workflow: Workflow, subject: Subject, expert: User, answer: int) -> None:
    vote(workflow, subject, volunteer_for_user(expert).pk, answer, expert=expert)


def refit(workflow: Workflow) -> None:
    effect = services.refit_workflow(workflow)
    assert effect is not None
    with transaction.atomic():
        effect()


def classify_all(
    workflow: Workflow, subjects: Sequence[Subject], volunteers: Sequence[int], *, guessers: int = 1, seed: int = 5
) -> None:
    """Everybody answers everything: right nine times in ten, the last ones the same whatever they see; then a fit."""
    rng = random.Random(seed)
    K = len(workflow.tasks["T0"]["answers"])
    for number, subject in enumerate(subjects):
        for v, volunteer in enumerate(volunteers):
            truth = number % K
            right = truth if rng.random() < 0.9 else rng.randrange(K)
            vote(workflow, subject, volunteer, 0 if v >= len(volunteers) - guessers else right)
    refit(workflow)


def make_voted(
    *, n_subjects: int = 24, n_volunteers: int = 5, workflow: Workflow | None = None, names: Sequence[str] = ()
) -> tuple[Workflow, list[Subject]]:
    """A workflow whose first subjects have been voted on by everybody, and fitted; nothing retires on its own."""
    workflow = workflow or factories.make_workflow(retirement={"criteria": "never_retire"})
    subjects = [factories.make_subject(workflow.project, published_in=workflow) for _ in range(n_subjects)]
    volunteers = [factories.make_volunteer().pk for _ in range(n_volunteers)]
    volunteers = [volunteer_for_user(factories.make_user(name)).pk for name in names] + volunteers
    classify_all(workflow, subjects, volunteers)
    return workflow, subjects


def settle(workflow: Workflow, subjects: Sequence[Subject], *, probability: float = 0.97, answer: int = 0) -> None:
    """Subjects as a rule has retired them."""
    SubjectStatus.objects.filter(workflow=workflow, subject__in=subjects).update(
        state="retired",
        retirement_cause="rule",
        retirement_reason="consensus",
        retired_answer=answer,
        retired_probability=probability,
        retired_count=5,
    )


def wait_for_expert(workflow: Workflow, subject: Subject, review: str) -> None:
    """A subject that is contested or flagged."""
    state = "contested" if review == "contested" else "retired"
    SubjectStatus.objects.filter(workflow=workflow, subject=subject).update(state=state, review=review)
