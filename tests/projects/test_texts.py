"""The texts of a workflow's tasks, taken out and put back."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from esocs.panoptes.documents import inject_strings
from esocs.projects.texts import extract_strings, nested_strings, translatable_strings

TEXT = st.text(min_size=1, max_size=12).filter(lambda text: "." not in text)
ANSWERS = st.lists(st.fixed_dictionaries({"label": TEXT, "next": st.just("T1")}), max_size=3)
TOOL = st.fixed_dictionaries({"type": st.just("point"), "label": TEXT, "details": st.just([])})
TASK = st.one_of(
    st.fixed_dictionaries({"type": st.just("single"), "question": TEXT, "help": TEXT, "answers": ANSWERS}),
    st.fixed_dictionaries({"type": st.just("drawing"), "instruction": TEXT, "tools": st.lists(TOOL, max_size=3)}),
    st.fixed_dictionaries(
        {
            "type": st.just("survey"),
            "choices": st.dictionaries(
                st.sampled_from(["LN", "DR"]),
                st.fixed_dictionaries(
                    {
                        "label": TEXT,
                        "description": TEXT,
                        "confusions": st.dictionaries(st.sampled_from(["LN", "DR"]), TEXT),
                    }
                ),
            ),
        }
    ),
)
TASKS = st.dictionaries(st.sampled_from(["T0", "T1", "T2"]), TASK)


@given(TASKS)
def test_texts_taken_out_and_put_back_are_the_tasks_as_they_were(tasks: dict[str, Any]) -> None:
    keyed, strings = extract_strings(tasks)
    assert inject_strings(keyed, strings) == tasks


@given(TASKS)
def test_taking_out_again_changes_nothing(tasks: dict[str, Any]) -> None:
    keyed, strings = extract_strings(tasks)
    assert extract_strings(keyed, strings) == (keyed, strings)


@given(TASKS, TASKS)
def test_only_texts_differ_where_the_keyed_tasks_are_the_same(first: dict[str, Any], second: dict[str, Any]) -> None:
    (one, texts), (other, others) = extract_strings(first), extract_strings(second)
    if one == other:
        assert set(texts) == set(others)


def test_texts_have_the_names_that_zooniverses_files_use() -> None:
    tasks = {
        "T0": {"question": "Round?", "answers": [{"label": "Yes"}]},
        "T1": {"tools": [{"label": "Centre", "details": [{"question": "How?", "answers": [{"label": "So"}]}]}]},
        "T2": {"choices": {"DR": {"label": "Deer", "confusions": {"LN": "Horns."}}}},
    }
    keyed, strings = extract_strings(tasks)
    assert strings == {
        "T0.question": "Round?",
        "T0.answers.0.label": "Yes",
        "T1.tools.0.label": "Centre",
        "T1.tools.0.details.0.question": "How?",
        "T1.tools.0.details.0.answers.0.label": "So",
        "T2.choices.DR.label": "Deer",
        "T2.choices.DR.confusions.LN": "Horns.",
    }
    assert keyed["T0"] == {"question": "T0.question", "answers": [{"label": "T0.answers.0.label"}]}


def test_translators_find_a_workflows_texts_below_tasks_and_a_tutorials_by_their_path() -> None:
    assert translatable_strings("W", {"T0.help": "?"}) == {"display_name": "W", "tasks.T0.help": "?"}
    assert nested_strings("steps", [{"content": "Look.", "n": 1}]) == {"steps.0.content": "Look."}
