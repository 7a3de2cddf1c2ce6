"""Answers as indices into what a workflow offers today: its tasks may have changed since they were given."""

from __future__ import annotations

from collections.abc import Sequence

from esocs.crowd.facts import Facts, asked_at, todays_questions
from esocs.crowd.live import Mapper
from esocs.projects.rules import Choice, map_answers


def in_todays_answers(choices: Sequence[Choice], facts: Facts, version: tuple[int, int]) -> list[Choice]:
    """The choices as indices into the workflow's present answers; those whose answer is gone are left out."""
    if version == (facts.major, facts.minor):
        return list(choices)
    to_today = mapper(facts)
    now = {question.key: question for question in todays_questions(facts)}
    today = []
    for choice in choices:
        answer = to_today(choice.task_key, choice.answer, *version)
        if answer is not None:
            n_answers = now[choice.task_key].n_answers
            today.append(Choice(task_key=choice.task_key, answer=answer, n_answers=n_answers))
    return today


def mapper(facts: Facts) -> Mapper:
    """See `Mapper`."""

    def to_today(task_key: str, answer: int, major: int, minor: int) -> int | None:
        if (major, minor) == (facts.major, facts.minor):
            return answer
        now, then = (asked_at(facts.workflow_id, *v) for v in ((facts.major, facts.minor), (major, minor)))
        question = next((q for q in todays_questions(facts) if q.key == task_key), None)
        if question is None:
            return None
        answers = map_answers(question, old=(then.tasks, then.strings), new=(now.tasks, now.strings))
        return answers[answer] if answer < len(answers) else None

    return to_today
