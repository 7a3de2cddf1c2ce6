"""What a workflow asks and which answers it allows, read from its Panoptes task objects. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from classifier.errors import EsocsError


class UnknownTaskError(EsocsError):
    """An annotation answers a task that the workflow does not have."""

    code = "unknown_task"
    status = 422


class UnknownAnswerError(EsocsError):
    """An annotation's value is not one of its task's answers."""

    code = "unknown_answer"
    status = 422


class InvalidWorkflowError(EsocsError):
    """A workflow's tasks do not make sense."""

    code = "invalid_workflow"
    status = 422


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A given answer to a single-choice task."""

    task_key: str
    answer: int
    n_answers: int


def build_question(*, question: str, answers: list[str], task_key: str = "T0") -> tuple[dict[str, Any], dict[str, str]]:
    """Panoptes' `tasks` and `strings` for one single-choice question.

    Raises:
        InvalidWorkflowError: fewer than two answers, or two of the same name.
    """
    if len(answers) < 2 or len(set(answers)) != len(answers):
        raise InvalidWorkflowError("A question needs at least two different answers.")
    labels = [f"{task_key}.answers.{i}.label" for i in range(len(answers))]
    tasks = {
        task_key: {
            "type": "single",
            "question": f"{task_key}.question",
            "help": f"{task_key}.help",
            "required": True,
            "answers": [{"label": label} for label in labels],
        }
    }
    strings = {
        f"{task_key}.question": question,
        f"{task_key}.help": "",
        **dict(zip(labels, answers, strict=True)),
    }
    return tasks, strings


def count_answers(tasks: Mapping[str, Any], task_key: str) -> int:
    """How many answers a single-choice task offers; 0 when the task has none."""
    return len(tasks.get(task_key, {}).get("answers", []))


def answer_labels(tasks: Mapping[str, Any], strings: Mapping[str, str], task_key: str) -> list[str]:
    """The texts of a task's answers, in their order."""
    answers = tasks.get(task_key, {}).get("answers", [])
    return [strings.get(answer["label"], answer["label"]) for answer in answers]


def question_label(tasks: Mapping[str, Any], strings: Mapping[str, str], task_key: str) -> str:
    key = tasks.get(task_key, {}).get("question", "")
    return strings.get(key, key)


def read_choices(tasks: Mapping[str, Any], annotations: list[dict[str, Any]]) -> list[Choice]:
    """The single choices among a submission's annotations, each checked against its task.

    An unanswered optional task (value null) is no choice. Tasks of other types pass unread.

    Raises:
        UnknownTaskError: a task the workflow does not have, or the same task twice.
        UnknownAnswerError: a value that is not an index of the task's answers, or a required task left out.
    """
    choices: dict[str, Choice] = {}
    for annotation in annotations:
        key = annotation.get("task")
        task = tasks.get(key) if isinstance(key, str) else None
        if task is None or not isinstance(key, str):
            raise UnknownTaskError(f"This workflow has no task {key!r}.")
        if key in choices:
            raise UnknownTaskError(f"Task {key!r} is answered twice.")
        if task.get("type") != "single":
            continue
        n_answers = len(task["answers"])
        value = annotation.get("value")
        if value is None and not task.get("required"):
            continue
        # bool is an int in Python, but True is no index.
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < n_answers:
            raise UnknownAnswerError(f"{value!r} is not an answer of task {key!r}.", hint=f"Use 0 to {n_answers - 1}.")
        choices[key] = Choice(task_key=key, answer=value, n_answers=n_answers)
    return list(choices.values())
