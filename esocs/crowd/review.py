"""What experts look at: contested and flagged subjects, and the audit that certificates are made of."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now, Random

from esocs.crowd.answers import gold_answers
from esocs.crowd.certificates import CONFIDENCE, Certificate, certify
from esocs.crowd.models import GoldStandard, SubjectStatus
from esocs.crowd.rules import InvalidRetirementError, parse_consensus
from esocs.projects.models import Workflow
from esocs.projects.rules import list_questions

THRESHOLDS = (0.9, 0.95, 0.99)


@dataclass(frozen=True, kw_only=True)
class ReviewCounts:
    """How many subjects wait for an expert, and why."""

    routed: int
    contested: int
    flagged: int
    audit: int
    disagrees: int

    @property
    def total(self) -> int:
        return self.routed + self.contested + self.flagged + self.audit + self.disagrees


def count_review(workflow: Workflow) -> ReviewCounts:
    """What waits: sent by the machine's route or a reservation, contested, flagged, or of one of the two audits."""
    rows = SubjectStatus.objects.filter(workflow=workflow)
    counts = rows.aggregate(
        routed=Count("id", filter=Q(audience="experts", state="open")),
        **{name: Count("id", filter=Q(review=name)) for name in ("contested", "flagged", "audit", "disagrees")},
    )
    return ReviewCounts(**counts)


def list_review(workflow: Workflow, *, kind: str = "") -> QuerySet[SubjectStatus]:
    """Subjects that wait for an expert's review, in the order in which they are asked."""
    rows = SubjectStatus.objects.filter(workflow=workflow).exclude(review="")
    if kind:
        rows = rows.filter(review=kind)
    return rows.order_by("priority", "random_key")


@transaction.atomic
def draw_audit(*, workflow: Workflow, size: int) -> int:
    """Draw retired subjects uniformly at random for the experts' audit. Returns how many were drawn.

    Only subjects that volunteers retired, with an answer to the first question, that no expert has answered, and that
    were not drawn before.
    """
    gold = GoldStandard.objects.filter(workflow=workflow, subject=OuterRef("subject"))
    candidates = SubjectStatus.objects.filter(
        ~Exists(gold),
        workflow=workflow,
        state="retired",
        retirement_cause="rule",
        retired_answer__isnull=False,
        audited_at__isnull=True,
    )
    drawn = list(candidates.order_by(Random()).values_list("pk", flat=True)[: max(size, 0)])
    return SubjectStatus.objects.filter(pk__in=drawn).update(audited_at=Now(), review="audit", updated_at=Now())


@dataclass(frozen=True, kw_only=True)
class Audit:
    """The audit of a workflow's consensus: what was drawn, what is answered, and what it certifies."""

    drawn: int
    answered: int
    certificates: list[Certificate]

    @property
    def pending(self) -> int:
        return self.drawn - self.answered


def _retired(workflow: Workflow) -> QuerySet[SubjectStatus]:
    """What a certificate speaks of: retired by volunteers, with an answer to the first question."""
    return SubjectStatus.objects.filter(
        workflow=workflow, state="retired", retirement_cause="rule", retired_answer__isnull=False
    )


def list_retired_probabilities(workflow: Workflow) -> array[float]:
    """The probability of each retired subject's answer when it retired."""
    found = _retired(workflow).order_by().values_list("retired_probability", flat=True)
    return array("d", [probability for probability in found if probability is not None])


def get_audit(workflow: Workflow, *, probabilities: Sequence[float]) -> Audit:
    """Certificates at the workflow's own τ and at the usual ones, from the audited subjects that experts answered.

    The consensus is the one at retirement, which was made before the expert was asked: the answer to the first
    question, whichever rule retired the subject.

    Args:
        workflow: whose.
        probabilities: `list_retired_probabilities`, which may be some minutes old.
    """
    retired = _retired(workflow)
    questions = list_questions(workflow.tasks, workflow.first_task)
    gold = gold_answers(workflow, questions[0]) if questions else {}
    drawn = list(
        retired.filter(audited_at__isnull=False).values_list("subject_id", "retired_answer", "retired_probability")
    )
    answered = [(answer, p, gold[subject]) for subject, answer, p in drawn if subject in gold]
    return Audit(
        drawn=len(drawn),
        answered=len(answered),
        certificates=certify(
            p=np.array([p for _, p, _ in answered], float),
            wrong=np.array([answer != truth for answer, _, truth in answered], bool),
            retired_p=np.asarray(probabilities, float),
            thresholds=sorted({*own_thresholds(workflow), *THRESHOLDS}),
            confidence=CONFIDENCE,
        ),
    )


def own_thresholds(workflow: Workflow) -> set[float]:
    """The τ by which the workflow retires; none where it counts, reckons by costs, or cannot be followed."""
    if workflow.retirement.get("criteria") != "consensus":
        return set()
    try:
        rule = parse_consensus(workflow.retirement.get("options") or {})
    except InvalidRetirementError:
        return set()  # the operator's pages say so; what was retired before can be certified all the same
    return set() if rule.costs else {rule.threshold}
