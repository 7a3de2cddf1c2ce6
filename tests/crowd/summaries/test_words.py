"""Texts, surveys, sliders, drop-down lists and questions, and the one call for all of them."""

from __future__ import annotations

import csv
import json
import math
import random
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esocs.crowd.summaries import (
    Response,
    summarise_answers,
    summarise_dropdown,
    summarise_slider,
    summarise_survey,
    summarise_task,
    summarise_text,
)
from esocs.crowd.summaries.survey import evenness, parse_count
from esocs.crowd.summaries.text import align, edit_distance, normalised

TYPES = ["single", "multiple", "text", "slider", "survey", "dropdown", "dropdown-simple", "drawing", "combo", "?", None]
KEYS = [
    "choice",
    "answers",
    "value",
    "option",
    "selection",
    "label",
    "x",
    "y",
    "r",
    "tool",
    "details",
    "points",
    "width",
]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=8,
)


def responses_of(*values: Any) -> list[Response]:
    return [Response(f"volunteer {i}", value) for i, value in enumerate(values)]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(TYPES), st.lists(json_values, max_size=5), st.randoms(use_true_random=False))
def test_whatever_volunteers_send_gives_json_without_nan_in_any_order(
    kind: str | None, values: list[Any], rng: random.Random
) -> None:
    task = {"type": kind} if kind else {}
    responses = responses_of(*values)
    summary = summarise_task(task, responses)
    assert 0 <= summary.seen_by <= len(values)
    text = json.dumps(summary.to_dict(), allow_nan=False, ensure_ascii=False)
    text.encode()
    assert "\\u0000" not in text
    rng.shuffle(responses)
    assert json.dumps(summarise_task(task, responses).to_dict(), ensure_ascii=False) == text


def test_the_most_common_text_is_told_as_most_wrote_it() -> None:
    summary = summarise_text(responses_of("NGC 1300", " ngc  1300", "NGC 1300", "M 31", "", None))
    assert summary.seen_by == 6
    assert summary.value["blank"] == 2
    assert summary.value["texts"] == {"ngc 1300": 3, "m 31": 1}
    assert summary.value["most_common"] == {"text": "NGC 1300", "count": 3, "share": 0.75}


def test_a_tie_of_texts_is_told() -> None:
    most_common = summarise_text(responses_of("a b", "c d")).value["most_common"]
    assert most_common["tied"] == ["a b", "c d"]
    assert most_common["share"] == 0.5


def test_texts_are_one_in_any_unicode_form_and_without_punctuation_if_asked() -> None:
    assert normalised("Cafe\u0301  X") == normalised("CAF\u00c9 x")
    summary = summarise_text(responses_of("galaxy, barred.", "galaxy barred"), punctuation=False)
    assert summary.value["texts"] == {"galaxy barred": 2}


def test_no_volunteer_need_write_the_whole_text_right() -> None:
    summary = summarise_text(
        responses_of("a brigt spiral galaxy", "a bright spirl galaxy", "a bright spiral galxy", "bright spiral galaxy")
    )
    majority = summary.value["majority"]
    assert majority["text"] == "a bright spiral galaxy"
    assert majority["tokens"][1] == {"token": "bright", "count": 3, "share": 0.75, "others": {"brigt": 1}}
    assert majority["agreement"] == 0.75


def test_a_word_that_one_volunteer_adds_is_left_out_and_one_that_most_add_is_taken() -> None:
    assert summarise_text(responses_of("red star", "red star", "red very star")).value["majority"]["text"] == "red star"
    texts = ["red dwarf star", "red dwarf star", "red star", "red giant star"]
    assert summarise_text(responses_of(*texts)).value["majority"]["text"] == "red dwarf star"


words = st.lists(st.sampled_from("abcd"), max_size=8).map(tuple)


@given(words, words)
def test_an_alignment_uses_every_token_once_at_the_price_of_the_edit_distance(a: tuple, b: tuple) -> None:
    pairs = align(a, b)
    assert [i for i, _ in pairs if i >= 0] == list(range(len(a)))
    assert [j for _, j in pairs if j >= 0] == list(range(len(b)))
    assert sum(i < 0 or j < 0 or a[i] != b[j] for i, j in pairs) == edit_distance(a, b)


@given(words, words, words)
def test_the_edit_distance_is_a_metric(a: tuple, b: tuple, c: tuple) -> None:
    assert edit_distance(a, b) == edit_distance(b, a)
    assert (edit_distance(a, b) == 0) == (a == b)
    assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)


def test_a_text_too_long_to_read_is_rejected() -> None:
    assert summarise_text(responses_of("x" * 10_001, 5)).rejected == {"not_a_text": 1, "too_long": 1}


def sighting(choice: str, **answers: Any) -> dict[str, Any]:
    return {"choice": choice, "answers": answers, "filters": {}}


def test_the_consensus_has_as_many_choices_as_the_median_volunteer_saw() -> None:
    zebra, gnu = sighting("ZBR"), sighting("GN")
    summary = summarise_survey({}, responses_of([zebra, gnu], [zebra, gnu], [zebra], [zebra, sighting("LN")], []))
    assert summary.seen_by == 5
    assert summary.value["n_choices"] == 2
    assert summary.value["consensus"] == ["ZBR", "GN"]
    assert summary.value["none"] == 1
    assert summary.value["choices"]["ZBR"] == {"count": 4, "share": 0.8, "questions": {}}


def test_a_choice_made_twice_by_a_volunteer_counts_once() -> None:
    summary = summarise_survey({}, responses_of([sighting("ZBR", HWMN="1"), sighting("ZBR", HWMN="3")]))
    assert summary.value["choices"]["ZBR"]["share"] == 1.0
    assert summary.value["choices"]["ZBR"]["questions"]["HWMN"]["counts"] == {"1": 1}


def test_a_tie_at_the_last_place_of_the_consensus_is_told() -> None:
    summary = summarise_survey({}, responses_of([sighting("A")], [sighting("B")]))
    assert summary.value["consensus"] == ["A"]
    assert summary.value["tied"] == ["A", "B"]
    assert summary.value["evenness"] == pytest.approx(1)


def test_how_many_is_the_median_answer_and_knows_ranges() -> None:
    values = [[sighting("ZBR", HWMN=answer)] for answer in ("2", "3", "1150", "10", "3")]
    question = summarise_survey({}, responses_of(*values)).value["choices"]["ZBR"]["questions"]["HWMN"]
    assert question["how_many"] == {"median": "3", "median_low": 3, "median_high": 3, "min": "2", "max": "1150"}


def test_labels_of_the_task_say_what_a_code_means() -> None:
    task = {"questions": {"N": {"answers": {"A": {"label": "1-4"}, "B": {"label": "5+"}}}}}
    values = [[sighting("GLX", N=answer)] for answer in ("B", "B", "A")]
    question = summarise_survey(task, responses_of(*values)).value["choices"]["GLX"]["questions"]["N"]
    assert question["how_many"] == {"median": "B", "median_low": 5, "median_high": None, "min": "A", "max": "B"}


def test_several_answers_to_one_question_have_shares_of_those_who_answered() -> None:
    values = [[sighting("ZBR", DO=["MVNG", "TNG"])], [sighting("ZBR", DO=["MVNG"])], [sighting("ZBR")]]
    question = summarise_survey({}, responses_of(*values)).value["choices"]["ZBR"]["questions"]["DO"]
    assert question["shares"] == {"MVNG": 1.0, "TNG": 0.5}
    assert (question["multiple"], question["how_many"]) == (True, None)


@pytest.mark.parametrize(
    ("answer", "count"),
    [
        ("3", (3, 3)),
        ("11-50", (11, 50)),
        ("11 – 50", (11, 50)),
        ("1150", (11, 50)),
        ("51+", (51, None)),
        ("51PLUS", (51, None)),
        (">50", (51, None)),
        ("10 or more", (10, None)),
        ("many", None),
        ("", None),
        ("³", None),
    ],
)
def test_an_answer_stands_for_a_number_or_a_range(answer: str, count: object) -> None:
    assert parse_count(answer) == count


@given(st.lists(st.integers(0, 1000), max_size=8))
def test_evenness_is_a_share_and_one_for_equal_counts(counts: list[int]) -> None:
    assert 0 <= evenness(counts) <= 1
    assert evenness([7, 7, 7]) == pytest.approx(1)


def test_a_slider_has_robust_and_plain_statistics() -> None:
    task = {"type": "slider", "min": "0", "max": "100"}
    summary = summarise_task(task, responses_of("10", 12, 14.0, "16", 90, "101", "nan", [], None))
    assert summary.seen_by == 6
    assert summary.rejected == {"not_a_number": 2, "out_of_range": 1}
    assert summary.value["median"] == 14
    assert summary.value["mean"] == pytest.approx(28.4)
    assert summary.value["mad"] == pytest.approx(2 * 1.4826)
    assert summary.value["histogram"]["counts"] == [0, 4, 0, 0, 0, 0, 0, 0, 0, 1]


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_slider_statistics_are_those_of_the_standard_library(values: list[float]) -> None:
    told = summarise_slider({}, responses_of(*values)).value
    assert told["n"] == sum(told["histogram"]["counts"]) == len(values)
    assert told["median"] == pytest.approx(statistics.median(values))
    assert told["sd"] == pytest.approx(statistics.stdev(values), rel=1e-6, abs=1e-6)
    assert told["q25"] <= told["median"] <= told["q75"]


def test_a_slider_that_nobody_set_has_no_numbers() -> None:
    assert summarise_slider({}, responses_of(None)).value["mean"] is None
    assert summarise_slider({}, responses_of(3)).value["sd"] is None


def test_drop_down_lists_of_both_generations_are_counted() -> None:
    older = summarise_dropdown(
        responses_of(
            [{"value": "c6e0", "option": True, "label": "Oceania"}, {"value": " Fiji ", "option": False}],
            [{"value": "c6e0", "option": True}, {"value": "fiji", "option": False}],
            [{"value": "aaaa", "option": True}, None],
            None,
        )
    )
    continent, country = older.value["selects"]
    assert continent["counts"] == {"c6e0": 2, "aaaa": 1}
    assert continent["labels"] == {"c6e0": "Oceania"}
    assert country["free_text"] == {"fiji": 2}
    assert (older.seen_by, older.value["unanswered"]) == (4, 1)
    newer = summarise_dropdown(responses_of({"selection": 2, "option": True}, {"selection": 2, "option": True}))
    assert newer.value["selects"][0]["most_common"] == ["2"]


def test_answers_are_counted_by_volunteers_and_an_index_beyond_them_is_rejected() -> None:
    task = {"type": "multiple", "answers": [{"label": "a"}, {"label": "b"}]}
    summary = summarise_answers(task, responses_of([0, 1], [0, 0], [], [2], 1.5))
    assert summary.seen_by == 3
    assert summary.value["answers"] == {"0": {"count": 2, "share": 2 / 3}, "1": {"count": 1, "share": 1 / 3}}
    assert summary.value["unanswered"] == 1
    assert summary.rejected == {"not_an_answer": 2}


def test_a_task_that_has_no_summary_says_so() -> None:
    assert summarise_task({"type": "crop"}, responses_of({"x": 1})).kind == "unknown"
    assert summarise_task({}, responses_of(None, [])).kind == "empty"


def of_subjects(path: Path, task: str) -> dict[str, list[Response]]:
    """Every subject's responses to a task of a real export, repeats of a volunteer left out."""
    csv.field_size_limit(10**8)
    subjects: dict[str, dict[str, Response]] = defaultdict(dict)
    with path.open(encoding="utf-8", errors="replace") as lines:
        for row in csv.DictReader(lines):
            for annotation in json.loads(row["annotations"]):
                if annotation["task"] == task:
                    subjects[row["subject_ids"]].setdefault(
                        row["user_name"], Response(row["user_name"], annotation["value"])
                    )
    return {subject: list(responses.values()) for subject, responses in subjects.items()}


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("camcat_sa.csv", "T0"),
        ("chicago_sample_version5.csv", "T0"),
        ("kenya-sample.csv", "T3"),
        ("wildcam_gorongosa_sample.csv", "T1"),
    ],
)
def test_real_surveys_are_read_to_the_last_row(real_data: Path, name: str, task: str) -> None:
    subjects = of_subjects(real_data / "panoptes" / name, task)
    assert subjects
    counted = 0
    for responses in subjects.values():
        summary = summarise_task({"type": "survey"}, responses)
        assert summary.seen_by == len(responses)
        assert not summary.rejected
        assert len(summary.value["consensus"]) == summary.value["n_choices"]
        assert all(0 < choice["share"] <= 1 for choice in summary.value["choices"].values())
        for choice in summary.value["choices"].values():
            many = choice["questions"].get("HWMN") or choice["questions"].get("HOWMANY")
            assert many is None or math.isfinite(many["how_many"]["median_low"])
        counted += sum(choice["count"] for choice in summary.value["choices"].values())
        if any(r.value for r in responses):
            assert summarise_task({}, responses) == summary
    assert counted == sum(
        len({sight["choice"] for sight in r.value}) for responses in subjects.values() for r in responses
    )


def test_real_drawings_of_an_old_project_are_read(real_data: Path) -> None:
    subjects = of_subjects(real_data / "panoptes" / "kenya-sample.csv", "T2")
    summaries = [summarise_task({"type": "drawing"}, responses) for responses in subjects.values()]
    assert sum(summary.value["marks"] for summary in summaries) > 90
    assert not any(summary.rejected for summary in summaries)
