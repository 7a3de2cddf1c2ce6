"""Epochs: frozen snapshots of everybody's skill, of which exactly one a workflow is current."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from numpy.typing import NDArray

from esocs.crowd import posterior
from esocs.crowd.models import Skill, SkillEpoch, SubjectStatus
from esocs.crowd.modes import Learned, get_mode
from esocs.crowd.posterior import Fixed, ReadOut
from esocs.crowd.skill import VolunteerSkill, mutual_information_bits
from esocs.projects.models import Workflow
from esocs.projects.rules import Question, list_questions

# The confusion matrix of somebody of whom nothing is known (DESIGN §5): right in 7 of 10 cases.
NEWCOMER_ACCURACY = 0.7
VOLUNTEERS_AT_ONCE = 5_000
SKILL_COLUMNS = (
    "epoch_id, task_key, volunteer_id, terms, answers_fitted, skill_bits, lower_bits, upper_bits, accuracy, gold_seen,"
    " gold_right, muted"
)


@dataclass(frozen=True, kw_only=True)
class EpochStart:
    """What a new subject needs of the current epoch."""

    epoch_id: int
    read_out: ReadOut
    temper: float
    log_prior: list[int]


@dataclass(frozen=True, kw_only=True)
class QuestionSkill:
    """Everybody's skill in one question: what an epoch freezes.

    Attributes:
        question: the question.
        learned: what the mode has learned; None where there are too few rows to tell skill from luck.
        temper: of the read-out.
        volunteers: (V,) ids that the learned skill indexes.
        answered: (V,) answers of each.
        judged: their skill in bits, and who is heard.
    """

    question: Question
    learned: Learned | None
    temper: float
    volunteers: NDArray[np.int64]
    answered: NDArray[np.int64]
    judged: VolunteerSkill | None = None

    def everybody(self, epoch: SkillEpoch) -> Skill:
        """The row of somebody without a vote, which also says how sums start and are read."""
        K = self.question.n_answers
        if self.learned is None:
            confusion = newcomer_confusion(K)
            terms, start = newcomer_terms(K, epoch.read_out)
        else:
            nobody = np.array([-1])
            confusion = self.learned.confusion(nobody)[0]
            terms, start = self.learned.terms(nobody)[0], self.learned.start
        return Skill(
            epoch=epoch,
            task_key=self.question.key,
            volunteer=None,
            terms=terms.ravel().tolist(),
            log_prior=start.tolist(),
            temper=self.temper,
            confusion=np.asarray(confusion, float).ravel().tolist(),
        )

    @classmethod
    def nobody(cls, question: Question) -> QuestionSkill:
        """Before there are answers enough: everybody is a newcomer."""
        none = np.zeros(0, np.int64)
        return cls(
            question=question,
            learned=None,
            temper=posterior.UNFITTED_TEMPER,
            volunteers=none,
            answered=none,
        )


def newcomer_confusion(n_answers: int) -> NDArray[np.float64]:
    """(K, K) of somebody of whom nothing is known."""
    if n_answers == 1:
        return np.ones((1, 1))
    confusion = np.full((n_answers, n_answers), (1 - NEWCOMER_ACCURACY) / (n_answers - 1))
    np.fill_diagonal(confusion, NEWCOMER_ACCURACY)
    return confusion


def newcomer_terms(n_answers: int, read_out: str) -> tuple[Fixed, Fixed]:
    """Terms (K, K) and start (K,) before anything was learned: a vote each where votes are only counted."""
    if read_out == ReadOut.SHARES:
        return np.eye(n_answers, dtype=np.int64) * posterior.UNITS_PER_NAT, np.zeros(n_answers, np.int64)
    even = posterior.to_fixed(np.full(n_answers, -np.log(n_answers)))
    return posterior.log_likelihood_terms(newcomer_confusion(n_answers)), even


def ensure_epoch(workflow: Workflow) -> EpochStart:
    """The workflow's current epoch; the first one, where everybody is a newcomer, is made on first need."""
    epoch = SkillEpoch.objects.filter(workflow=workflow, current=True).first()
    if epoch is None:
        with transaction.atomic():
            epoch, made = SkillEpoch.objects.get_or_create(
                workflow=workflow,
                number=1,
                defaults={
                    "current": True,
                    "mode": workflow.consensus_mode,
                    "read_out": get_mode(workflow.consensus_mode).read_out,
                    "workflow_major": workflow.major_version,
                    "workflow_minor": workflow.minor_version,
                },
            )
            if made:
                questions = list_questions(workflow.tasks, workflow.first_task)
                Skill.objects.bulk_create([QuestionSkill.nobody(question).everybody(epoch) for question in questions])
    everybody = Skill.objects.filter(epoch=epoch, task_key=workflow.first_task, volunteer=None).first()
    return EpochStart(
        epoch_id=epoch.pk,
        read_out=ReadOut(epoch.read_out),
        temper=everybody.temper if everybody and everybody.temper else posterior.UNFITTED_TEMPER,
        log_prior=list(everybody.log_prior or []) if everybody else [],
    )


def switch_epoch(
    workflow: Workflow, skills: Iterable[QuestionSkill], *, read_out: ReadOut, figures: dict[str, Any]
) -> SkillEpoch:
    """Freeze new skill and make it current, in the caller's transaction.

    The skill of the epoch before stays for those who read it a moment ago; older matrices have no further use. What
    everybody new is like stays with each epoch, as long as a subject's consensus is of it.
    """
    ensure_epoch(workflow)
    before = _lock_current(workflow)
    SkillEpoch.objects.filter(pk=before.pk).update(current=False)
    epoch = SkillEpoch.objects.create(
        workflow=workflow,
        number=before.number + 1,
        current=True,
        mode=workflow.consensus_mode,
        read_out=read_out,
        workflow_major=workflow.major_version,
        workflow_minor=workflow.minor_version,
        **figures,
    )
    for skill in skills:
        skill.everybody(epoch).save()
        _write_volunteers(epoch, skill)
    Skill.objects.filter(epoch__workflow=workflow, epoch__number__lt=before.number, volunteer__isnull=False).delete()
    return epoch


def _lock_current(workflow: Workflow) -> SkillEpoch:
    while True:
        # Not FOR UPDATE: a submission that moves its subject to this epoch holds what the switch waits for, and must
        # be able to refer to the epoch meanwhile.
        rows = SkillEpoch.objects.select_for_update(no_key=True).filter(workflow=workflow, current=True)
        found = rows.first()
        if found is not None:
            return found
        # Another refit switched while we waited for the row: look for its epoch.


def forget_unused_epochs() -> None:
    """Delete epochs of which no subject's consensus is any more."""
    in_use = SubjectStatus.objects.filter(epoch=OuterRef("pk"))
    newer = SkillEpoch.objects.filter(workflow=OuterRef("workflow"), current=True, number__gt=OuterRef("number") + 1)
    SkillEpoch.objects.filter(Exists(newer), ~Exists(in_use), current=False).delete()


def _write_volunteers(epoch: SkillEpoch, skill: QuestionSkill) -> None:
    if skill.learned is None or not len(skill.volunteers):
        return
    statement = f"COPY crowd_skill ({SKILL_COLUMNS}) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in _volunteer_rows(epoch, skill):
            copy.write_row(row)


def _volunteer_rows(epoch: SkillEpoch, skill: QuestionSkill) -> Iterator[tuple[Any, ...]]:
    learned, judged = skill.learned, skill.judged
    assert learned is not None
    for low in range(0, len(skill.volunteers), VOLUNTEERS_AT_ONCE):
        indices = np.arange(low, min(low + VOLUNTEERS_AT_ONCE, len(skill.volunteers)))
        terms = learned.terms(indices).reshape(len(indices), -1).tolist()
        about = _judgements(learned, judged, indices)
        for v, own, told in zip(indices.tolist(), terms, about, strict=True):
            yield epoch.pk, skill.question.key, int(skill.volunteers[v]), own, int(skill.answered[v]), *told


def _judgements(learned: Learned, judged: VolunteerSkill | None, indices: NDArray[np.int64]) -> list[tuple[Any, ...]]:
    """Bits with bounds, accuracy, gold seen and right, muted; a mode that judges nobody tells bits and accuracy."""
    if judged is None:
        joint = learned.class_prior[None, :, None] * learned.confusion(indices)
        bits, accuracy = mutual_information_bits(joint), np.einsum("vkk->v", joint)
        return [(float(b), 0.0, None, float(a), 0, 0, False) for b, a in zip(bits, accuracy, strict=True)]
    return [
        (
            float(judged.bits[v]),
            float(judged.lower_bits[v]),
            float(judged.upper_bits[v]) if np.isfinite(judged.upper_bits[v]) else None,
            float(judged.accuracy[v]),
            int(judged.gold_seen[v]),
            int(judged.gold_right[v]),
            bool(judged.weight[v] == 0),
        )
        for v in indices.tolist()
    ]
