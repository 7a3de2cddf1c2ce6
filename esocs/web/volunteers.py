"""Everybody's skill under the current epoch, as the volunteers' page shows it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from django.core.paginator import Page, Paginator
from django.db.models import Count, F, Q, QuerySet

from esocs.crowd import posterior, queries
from esocs.crowd.models import Skill, SkillEpoch
from esocs.crowd.modes import MODES, Mode
from esocs.crowd.skill import JUDGED_AFTER, USELESS_BITS, mutual_information_bits
from esocs.projects.models import Workflow
from esocs.projects.rules import Question, answer_labels, list_questions, question_label

PAGE_SIZE = 50

SORTS = {"answers": "Most answers", "bits": "Most skill", "least": "Least skill", "accuracy": "Most often right"}
SHOWN = {"": "Everybody", "unheard": "Not heard", "named": "With an account", "anonymous": "Anonymous"}

_ORDER = {
    "answers": F("answers_fitted").desc(),
    "bits": F("skill_bits").desc(),
    "least": F("skill_bits").asc(),
    "accuracy": F("accuracy").desc(nulls_last=True),
}
_FILTERS = {
    "unheard": Q(muted=True),
    "named": Q(volunteer__user__isnull=False),
    "anonymous": Q(volunteer__user__isnull=True),
}


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Bits on the common axis from 0 to log2 K, in percent of its length; no interval where a mode has none."""

    point: float
    low: float | None
    width: float


@dataclass(frozen=True, kw_only=True)
class SkillRow:
    """One volunteer's line."""

    name: str
    skill: Skill
    interval: Interval
    not_heard: str


@dataclass(frozen=True, kw_only=True)
class MatrixRow:
    """What people answer when one answer is true: each with its probability and its shade, 0 to 10."""

    truth: str
    cells: list[tuple[str, float, int]]


@dataclass(frozen=True, kw_only=True)
class Newcomer:
    """What somebody of whom nothing is known is taken for."""

    bits: float
    accuracy: float
    interval: Interval
    matrix: list[MatrixRow]
    temper: float


@dataclass(frozen=True, kw_only=True)
class VolunteersPage:
    """The whole page of one question."""

    epoch: SkillEpoch
    mode: Mode | None
    next_mode: Mode | None
    question: Question
    text: str
    labels: list[str]
    axis_bits: float
    newcomer: Newcomer | None
    rows: list[SkillRow]
    page: Page[Skill]
    everybody: int
    unheard: int


def question_choices(workflow: Workflow) -> list[tuple[str, str]]:
    """Key and text of everything that people have a skill in, the first task's first."""
    questions = list_questions(workflow.tasks, workflow.first_task)
    return [(one.key, question_label(workflow.tasks, workflow.strings, one.key)) for one in questions]


def read_volunteers(
    workflow: Workflow, *, task_key: str, shown: str, sort: str, page: str | None
) -> VolunteersPage | None:
    """One page of volunteers, in a fixed number of statements.

    Args:
        workflow: whose volunteers.
        task_key: a question's; the first one for a key that is none.
        shown: of `SHOWN`.
        sort: of `SORTS`.
        page: number of the page.

    Returns:
        None before anybody was asked, and for a workflow without a question of given answers.
    """
    questions = list_questions(workflow.tasks, workflow.first_task)
    epoch = SkillEpoch.objects.filter(workflow=workflow, current=True).first()
    if epoch is None or not questions:
        return None
    question = next((one for one in questions if one.key == task_key), questions[0])
    labels = answer_labels(workflow.tasks, workflow.strings, question.key)
    skills = queries.list_skills(workflow, task_key=question.key)
    counts = skills.order_by().aggregate(n=Count("id"), unheard=Count("id", filter=Q(muted=True)))
    found = Paginator(_select(skills, shown=shown, sort=sort), PAGE_SIZE).get_page(page)
    axis_bits = math.log2(question.n_answers) if question.n_answers > 1 else 1.0
    everybody = queries.get_newcomer(workflow, task_key=question.key)
    # A mode that is changed is followed by the next fit, so until then the two differ.
    waiting = MODES.get(workflow.consensus_mode) if workflow.consensus_mode != epoch.mode else None
    return VolunteersPage(
        epoch=epoch,
        mode=MODES.get(epoch.mode),
        next_mode=waiting,
        question=question,
        text=question_label(workflow.tasks, workflow.strings, question.key),
        labels=labels,
        axis_bits=axis_bits,
        newcomer=_newcomer(everybody, labels, axis_bits) if everybody and everybody.confusion else None,
        rows=[_row(skill, axis_bits=axis_bits, n_answers=question.n_answers) for skill in found],
        page=found,
        everybody=counts["n"],
        unheard=counts["unheard"],
    )


def _select(skills: QuerySet[Skill], *, shown: str, sort: str) -> QuerySet[Skill]:
    if shown in _FILTERS:
        skills = skills.filter(_FILTERS[shown])
    return skills.defer("terms").order_by(_ORDER.get(sort, _ORDER["answers"]), "volunteer_id")


def _row(skill: Skill, *, axis_bits: float, n_answers: int) -> SkillRow:
    user = skill.volunteer.user if skill.volunteer else None
    return SkillRow(
        name=str(user) if user else f"anonymous {skill.volunteer_id}",
        skill=skill,
        interval=_interval(skill.skill_bits, skill.lower_bits, skill.upper_bits, axis_bits=axis_bits),
        not_heard=explain_not_heard(skill, n_answers=n_answers) if skill.muted else "",
    )


def _interval(bits: float, lower: float, upper: float | None, *, axis_bits: float) -> Interval:
    def place(value: float) -> float:
        return 100 * min(max(value / axis_bits, 0.0), 1.0)

    # Of very few answers to a question with many the approximate bound falls below 0, which bounds nothing.
    if (upper is None or upper < 0) and lower <= 0:
        return Interval(point=place(bits), low=None, width=0.0)
    low, high = place(lower), place(axis_bits if upper is None else upper)
    return Interval(point=place(bits), low=low, width=high - low)


def explain_not_heard(skill: Skill, *, n_answers: int) -> str:
    """Why a volunteer's votes have weight 0: the rules of `crowd.skill`, told from the row."""
    if skill.gold_seen >= JUDGED_AFTER and skill.gold_right * n_answers < skill.gold_seen:
        return (
            f"Right on {skill.gold_right} of {skill.gold_seen} subjects that experts answered: less often than"
            " somebody who guesses."
        )
    if skill.answers_fitted >= JUDGED_AFTER and skill.upper_bits is not None and skill.upper_bits < USELESS_BITS:
        return (
            f"After {skill.answers_fitted:,} answers it is clear that they tell less than {USELESS_BITS} bit each:"
            " they are the same whatever is shown."
        )
    return "The answers agree with the truth less often than chance would, as if two of them were mixed up."


def _newcomer(everybody: Skill, labels: list[str], axis_bits: float) -> Newcomer:
    K = math.isqrt(len(everybody.confusion or []))
    confusion = np.asarray(everybody.confusion, float).reshape(K, K)
    start = np.asarray(everybody.log_prior or [0] * K, float) / posterior.UNITS_PER_NAT
    prior = np.exp(start - start.max())
    prior /= prior.sum()
    bits = float(mutual_information_bits(prior[:, None] * confusion))
    names = [labels[i] if i < len(labels) else str(i) for i in range(K)]
    matrix = [
        MatrixRow(
            truth=truth,
            cells=[(names[a], float(p), round(10 * float(np.clip(p, 0, 1)))) for a, p in enumerate(row)],
        )
        for truth, row in zip(names, confusion.tolist(), strict=True)
    ]
    return Newcomer(
        bits=bits,
        accuracy=float(prior @ confusion.diagonal()),
        interval=_interval(bits, 0.0, None, axis_bits=axis_bits),
        matrix=matrix,
        temper=everybody.temper or posterior.UNFITTED_TEMPER,
    )
