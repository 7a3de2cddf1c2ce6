"""What a workflow asks and which answers it allows, read from its Panoptes task objects. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
class Question:
    """What one consensus is about: a single-choice task, or one label of a multiple-choice task (chosen or not).

    Attributes:
        key: the task's key (`T0`), for a label of a multiple choice with its index (`T1.2`).
        task_key: the task that asks it.
        label: index of the label in a multiple-choice task, None for a single choice.
        n_answers: K; 2 for a label: 0 not chosen, 1 chosen.
    """

    key: str
    task_key: str
    label: int | None
    n_answers: int


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A given answer to a question; `task_key` is the question's key."""

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


def check_first_task(tasks: Mapping[str, Any], first_task: str) -> str:
    """The key of the task that is asked first: the named one, or the first of the keys where there is none such."""
    if first_task in tasks or not tasks:
        return first_task
    questions = [key for key in tasks if key != "init"]
    return min(questions) if questions else next(iter(tasks))


def list_questions(tasks: Mapping[str, Any], first_task: str = "") -> list[Question]:
    """Everything that a consensus is reached on, the first task's questions first.

    Tasks of other types (text, drawing, survey, slider) have summaries instead.
    """
    keys = sorted(tasks, key=lambda key: key != first_task)
    return [question for key in keys for question in questions_of(tasks, key)]


def questions_of(tasks: Mapping[str, Any], task_key: str) -> list[Question]:
    """The questions of one task: one for a single choice, one a label for a multiple choice, else none."""
    n_answers = count_answers(tasks, task_key)
    match tasks.get(task_key, {}).get("type"):
        case "single" if n_answers:
            return [Question(key=task_key, task_key=task_key, label=None, n_answers=n_answers)]
        case "multiple":
            return [
                Question(key=f"{task_key}.{label}", task_key=task_key, label=label, n_answers=2)
                for label in range(n_answers)
            ]
        case _:
            return []


def count_answers(tasks: Mapping[str, Any], task_key: str) -> int:
    """How many answers a choice task offers; 0 when the task has none."""
    return len(tasks.get(task_key, {}).get("answers", []))


def map_answers(
    question: Question,
    *,
    old: tuple[Mapping[str, Any], Mapping[str, str]],
    new: tuple[Mapping[str, Any], Mapping[str, str]],
) -> list[int | None]:
    """For each answer of a question at an old version, its index now: by its text, None where it is gone.

    Where the task is the same and only texts have changed (a minor version), a new text at the place of one that is
    gone is the same answer in other words: a typo mended, a sentence made clearer. A new task asks anew.

    Args:
        question: of the new version.
        old: tasks and strings of the version that was answered.
        new: tasks and strings of today's.
    """
    labels_then = answer_labels(*old, question.task_key)
    labels_now = answer_labels(*new, question.task_key)
    reworded = old[0].get(question.task_key) == new[0].get(question.task_key)

    def now(place: int) -> int | None:
        if labels_then[place] in labels_now:
            return labels_now.index(labels_then[place])
        return place if reworded and labels_now[place] not in labels_then else None

    if question.label is None:
        return [now(place) for place in range(len(labels_then))]
    # A label of a multiple choice keeps its two answers as long as it stands at its place.
    same = question.label < len(labels_then) and now(question.label) == question.label
    return [0, 1] if same else [None, None]


def answer_labels(tasks: Mapping[str, Any], strings: Mapping[str, str], task_key: str) -> list[str]:
    """The texts of a task's answers, in their order; "No" and "Yes" for one label of a multiple choice."""
    if task_key not in tasks and "." in task_key:
        return ["No", "Yes"]
    answers = tasks.get(task_key, {}).get("answers", [])
    return [strings.get(answer["label"], answer["label"]) for answer in answers]


def question_label(tasks: Mapping[str, Any], strings: Mapping[str, str], task_key: str) -> str:
    """The text of a question; for one label of a multiple choice the task's, and the label."""
    task, _, label = task_key.rpartition(".")
    if task_key not in tasks and label.isdecimal() and task in tasks:
        labels = answer_labels(tasks, strings, task)
        name = labels[int(label)] if int(label) < len(labels) else label
        return f"{question_label(tasks, strings, task)} {name}"
    key = tasks.get(task_key, {}).get("question", "")
    return strings.get(key, key)


def read_choices(tasks: Mapping[str, Any], annotations: list[dict[str, Any]]) -> list[Choice]:
    """The choices among a submission's annotations, each checked against its task.

    A multiple choice answers one question a label, chosen or not. An unanswered optional task (value null) is no
    choice. Tasks of other types pass unread, and so do the details of a drawing's marks. What an older classifier sends
    inside a combination of tasks is read as if it stood beside it.

    Raises:
        UnknownTaskError: a task the workflow does not have, or the same task twice.
        UnknownAnswerError: a value that is not an index of the task's answers, or a required task left out.
    """
    choices: list[Choice] = []
    answered: set[str] = set()
    for annotation in flatten(annotations):
        key = annotation.get("task")
        if _is_detail(tasks, annotation):
            continue
        task = tasks.get(key) if isinstance(key, str) else None
        if task is None or not isinstance(key, str):
            raise UnknownTaskError(f"This workflow has no task {key!r}.")
        if key in answered:
            raise UnknownTaskError(f"Task {key!r} is answered twice.")
        answered.add(key)
        value = annotation.get("value")
        if task.get("type") not in {"single", "multiple"} or (value is None and not task.get("required")):
            continue
        n_answers = count_answers(tasks, key)
        if task["type"] == "single":
            choices.append(Choice(task_key=key, answer=_index(value, n_answers, key), n_answers=n_answers))
        else:
            chosen = _indices(value, n_answers, key)
            choices += [
                Choice(task_key=f"{key}.{label}", answer=int(label in chosen), n_answers=2)
                for label in range(n_answers)
            ]
    return choices


def flatten(annotations: Sequence[Any]) -> Iterator[Any]:
    """The annotations, each combination of tasks followed by what was answered in it."""
    for annotation in annotations:
        yield annotation
        value = annotation.get("value") if isinstance(annotation, Mapping) else None
        if isinstance(value, list) and value and all(isinstance(one, Mapping) and "task" in one for one in value):
            yield from value


def _is_detail(tasks: Mapping[str, Any], annotation: Mapping[str, Any]) -> bool:
    """Whether the newer classifier wrote it beside a mark of a drawing: task `T0.tool.detail`, once a mark."""
    key = annotation.get("task")
    if not isinstance(key, str) or key in tasks or "markIndex" not in annotation:
        return False
    return bool(tasks.get(key.partition(".")[0], {}).get("type") == "drawing")


def _index(value: object, n_answers: int, key: str) -> int:
    # bool is an int in Python, but True is no index.
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < n_answers:
        raise UnknownAnswerError(f"{value!r} is not an answer of task {key!r}.", hint=f"Use 0 to {n_answers - 1}.")
    return value


def _indices(value: object, n_answers: int, key: str) -> set[int]:
    if not isinstance(value, list):
        raise UnknownAnswerError(f"Task {key!r} takes a list of answers.", hint="Send [] for none of them.")
    return {_index(member, n_answers, key) for member in value}
