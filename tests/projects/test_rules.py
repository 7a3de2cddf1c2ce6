"""What a workflow asks, and which annotations answer it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esocs.projects import rules

TASKS, STRINGS = rules.build_question(question="What is it?", answers=["Star", "Galaxy", "Neither"])


def test_a_question_is_built_as_panoptes_writes_it() -> None:
    assert TASKS["T0"]["type"] == "single"
    assert rules.question_label(TASKS, STRINGS, "T0") == "What is it?"
    assert rules.answer_labels(TASKS, STRINGS, "T0") == ["Star", "Galaxy", "Neither"]
    assert rules.count_answers(TASKS, "T0") == 3
    assert rules.count_answers(TASKS, "T9") == 0


@pytest.mark.parametrize("answers", [[], ["Only"], ["Same", "Same"]])
def test_a_question_without_a_choice_is_refused(answers: list[str]) -> None:
    with pytest.raises(rules.InvalidWorkflowError):
        rules.build_question(question="?", answers=answers)


@given(st.integers(0, 2))
def test_every_index_of_an_answer_is_a_choice(answer: int) -> None:
    (choice,) = rules.read_choices(TASKS, [{"task": "T0", "value": answer}])
    assert (choice.task_key, choice.answer, choice.n_answers) == ("T0", answer, 3)


@given(
    st.one_of(
        st.integers(max_value=-1),
        st.integers(min_value=3),
        st.booleans(),
        st.floats(),
        st.text(),
        st.none(),
        st.lists(st.integers(0, 2)),
        st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    )
)
def test_nothing_else_is(value: Any) -> None:
    with pytest.raises(rules.UnknownAnswerError):
        rules.read_choices(TASKS, [{"task": "T0", "value": value}])


@pytest.mark.parametrize("key", ["T1", "", None, 0, ["T0"], {"T0": 1}])
def test_an_unknown_task_is_refused(key: Any) -> None:
    with pytest.raises(rules.UnknownTaskError):
        rules.read_choices(TASKS, [{"task": key, "value": 0}])


def test_a_task_is_answered_once() -> None:
    with pytest.raises(rules.UnknownTaskError):
        rules.read_choices(TASKS, [{"task": "T0", "value": 0}, {"task": "T0", "value": 0}])


def test_an_optional_task_may_be_left_open() -> None:
    optional = {"T0": {**TASKS["T0"], "required": False}}
    assert rules.read_choices(optional, [{"task": "T0", "value": None}]) == []


def test_tasks_of_other_types_pass_unread() -> None:
    tasks = {**TASKS, "T1": {"type": "text"}}
    choices = rules.read_choices(tasks, [{"task": "T1", "value": "a ghost?"}, {"task": "T0", "value": 2}])
    assert [choice.task_key for choice in choices] == ["T0"]


def test_an_answer_in_other_words_is_the_same_answer_and_one_of_a_new_task_is_not():
    tasks, strings = rules.build_question(question="What?", answers=["Star", "Galxy", "Other"])
    mended = strings | {"T0.answers.1.label": "Galaxy"}
    swapped = strings | {"T0.answers.0.label": "Other", "T0.answers.2.label": "Star"}
    (question,) = rules.list_questions(tasks)
    assert rules.map_answers(question, old=(tasks, strings), new=(tasks, mended)) == [0, 1, 2]
    assert rules.map_answers(question, old=(tasks, strings), new=(tasks, swapped)) == [2, 1, 0]
    fewer, words = rules.build_question(question="What?", answers=["Star", "Galaxy"])
    (anew,) = rules.list_questions(fewer)
    assert rules.map_answers(anew, old=(tasks, strings), new=(fewer, words)) == [0, None, None]
