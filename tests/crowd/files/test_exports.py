"""Panoptes classification exports of every kind of task, of both classifiers, and hostile ones."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from typing import Any

import pytest

from esocs.crowd.files.errors import VotesFileError
from esocs.crowd.files.exports import read_export
from esocs.crowd.files.questions import Questions, TaskResponses
from esocs.crowd.files.tables import QuestionTable
from esocs.crowd.files.workflows import read_workflows
from tests.crowd.files.exporting import COLUMNS, answer, row, write_export, write_workflows
from tests.crowd.files.test_reading import triples


def tables(path: Path, **options: Any) -> dict[str, QuestionTable]:
    gold = options.pop("gold", None)
    return {table.key: table for table in Questions(read_export(path, **options), gold=gold).tables()}


def summarised(path: Path, **options: Any) -> list[TaskResponses]:
    return list(Questions(read_export(path, **options)).responses())


def test_a_single_choice_is_one_question_with_its_labels_sorted(tmp_path: Path) -> None:
    rows = [row("ann", "1", answer("star")), row("bob", "1", answer("galaxy")), row("ann", "2", answer(None))]
    (table,) = tables(write_export(tmp_path / "e.csv", rows)).values()
    assert (table.key, table.text, table.answers) == ("T0", "What is it?", ("galaxy", "star"))
    assert triples(table) == [("1", "ann", "star"), ("1", "bob", "galaxy")]


def test_several_answers_are_one_question_a_label(tmp_path: Path) -> None:
    rows = [row("ann", "1", answer(["ring", "arm"])), row("bob", "1", answer([])), row("cid", "1", answer(None))]
    found = tables(write_export(tmp_path / "e.csv", rows))
    assert list(found) == ["T0.0", "T0.1"]
    assert found["T0.0"].text == "What is it? arm"
    assert triples(found["T0.1"]) == [("1", "ann", "1"), ("1", "bob", "0")]


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    columns = ["", *reversed(COLUMNS), "more"]
    path = write_export(tmp_path / "e.csv", [row("ann", "1", answer("a"))], columns=columns)
    assert triples(tables(path)["T0"]) == [("1", "ann", "a")]


def test_a_compressed_export_is_read(tmp_path: Path) -> None:
    plain = write_export(tmp_path / "e.csv", [row("ann", "1", answer("a"))])
    with plain.open("rb") as source, gzip.open(tmp_path / "e.csv.gz", "wb") as target:
        shutil.copyfileobj(source, target)
    assert triples(tables(tmp_path / "e.csv.gz")["T0"]) == [("1", "ann", "a")]


def test_the_first_classification_of_a_volunteer_on_a_subject_counts_whole(tmp_path: Path) -> None:
    rows = [row("ann", "1", answer("a")), row("ann", "1", answer("b") + answer("c", task="T1"))]
    export = read_export(write_export(tmp_path / "e.csv", rows))
    found = {table.key: table for table in Questions(export).tables()}
    assert triples(found["T0"]) == [("1", "ann", "a")]
    assert "T1" not in found
    assert export.report.repeats == 1


def test_subjects_shown_together_are_one(tmp_path: Path) -> None:
    path = write_export(tmp_path / "e.csv", [row("ann", "12;7", answer("a"))])
    assert tables(path)["T0"].subjects.to_pylist() == ["12;7"]


def test_experts_gold_standard_is_gold_and_no_vote(tmp_path: Path) -> None:
    expert = {"gold_standard": "true", "expert": "expert"}
    rows = [
        row("ann", "1", answer("a")),
        row("bob", "1", answer("b")),
        row("eva", "1", answer("b"), **expert),
        row("ann", "2", answer("a")),
        row("eva", "2", answer("b"), **expert),
        row("fay", "2", answer("a"), **expert),
        row("gil", "3", answer("a"), gold_standard="NA", expert="NA"),
    ]
    export = read_export(write_export(tmp_path / "e.csv", rows))
    (table,) = Questions(export).tables()
    assert table.gold is not None
    # Two experts who disagree are no gold.
    assert dict(zip(table.subjects.to_pylist(), table.gold, strict=True)) == {"1": 1, "2": -1, "3": -1}
    assert "eva" not in table.volunteers.to_pylist()
    assert export.report.gold_rows == 3


def test_gold_from_a_file_goes_before_the_exports(tmp_path: Path) -> None:
    rows = [
        row("ann", "1", answer("a")),
        row("ann", "2", answer("b")),
        row("e", "1", answer("a"), gold_standard="true"),
    ]
    table = tables(write_export(tmp_path / "e.csv", rows), gold={"": {"1": "b"}})["T0"]
    assert table.gold is not None
    assert table.gold.tolist() == [1, -1]


def test_gold_of_one_question_is_no_answer_of_another(tmp_path: Path) -> None:
    export = read_export(write_export(tmp_path / "e.csv", [row("ann", "1", answer("a") + answer("big", task="T1"))]))
    found = {t.key: t for t in Questions(export, gold={"": {"1": "b"}, "T1": {"1": "big"}, "T9": {"1": "c"}}).tables()}
    assert (found["T0"].answers, found["T1"].answers) == (("a", "b"), ("big",))
    assert found["T0"].gold is not None
    assert found["T0"].gold.tolist() == [1]
    assert export.report.notes == ["There is gold for 'T9', and no such question."]


def test_sessions_without_an_account_are_anonymous(tmp_path: Path) -> None:
    rows = [row("not-logged-in-1f", "1", answer("a")), row("", "1", answer("a"), user_ip="ab12")]
    table = tables(write_export(tmp_path / "e.csv", rows))["T0"]
    assert table.volunteers.to_pylist() == ["not-logged-in-1f", "not-logged-in-ab12"]
    assert table.anonymous.all()


def test_a_decision_tree_asks_only_those_who_reached_the_question(tmp_path: Path) -> None:
    rows = [row("ann", "1", answer("yes") + answer("big", task="T1")), row("bob", "2", answer("no"))]
    found = tables(write_export(tmp_path / "e.csv", rows))
    assert found["T0"].subjects.to_pylist() == ["1", "2"]
    assert found["T1"].subjects.to_pylist() == ["1"]


def test_an_export_of_several_workflows_wants_one_named(tmp_path: Path) -> None:
    rows = [row("ann", "1", answer("a")), row("ann", "2", answer("b"), workflow_id="8")]
    path = write_export(tmp_path / "e.csv", rows)
    with pytest.raises(VotesFileError, match=r"the workflows 7 .* 8 .*--workflow"):
        read_export(path)
    export = read_export(path, workflow_id="8")
    assert export.report.other_workflows == 1
    assert triples(next(Questions(export).tables())) == [("2", "ann", "b")]
    with pytest.raises(VotesFileError, match="no row is of workflow 9"):
        read_export(path, workflow_id="9")


@pytest.mark.parametrize(("version", "subjects"), [("5", ["1", "2"]), ("5.7", ["2"]), (None, ["1", "2", "3"])])
def test_a_version_is_chosen_whole_or_by_its_major_number(tmp_path: Path, version: str, subjects: list[str]) -> None:
    rows = [row("u", str(i), answer("a"), workflow_version=v) for i, v in enumerate(["5.6", "5.7", "55.7"], start=1)]
    table = tables(write_export(tmp_path / "e.csv", rows), version=version)["T0"]
    assert table.subjects.to_pylist() == subjects


def test_labels_and_indices_are_looked_up_at_the_classifications_version(tmp_path: Path) -> None:
    question = {"type": "single", "question": "Kind?"}
    workflows = write_workflows(
        tmp_path / "w.csv",
        {
            "1.1": {"T0": question | {"answers": ["star", "galaxy"]}},
            "2.1": {"T0": question | {"answers": ["galaxy", "star", "artefact"]}},
        },
    )
    rows = [
        row("ann", "1", answer(0), workflow_version="1.1"),
        row("bob", "1", answer(0), workflow_version="2.1"),
        row("cid", "1", answer("star"), workflow_version="2.1"),
        row("dan", "1", answer("planet"), workflow_version="2.1"),
        row("eve", "1", answer(9), workflow_version="2.1"),
    ]
    workflow = read_workflows(workflows, workflow_id="7")
    table = tables(write_export(tmp_path / "e.csv", rows), workflow=workflow)["T0"]
    assert table.text == "Kind?"
    assert table.answers == ("galaxy", "star", "artefact", "planet")
    assert triples(table) == [
        ("1", "ann", "star"),
        ("1", "bob", "galaxy"),
        ("1", "cid", "star"),
        ("1", "dan", "planet"),
    ]


def test_the_newer_classifier_sends_indices_and_types(tmp_path: Path) -> None:
    rows = [
        row("ann", "1", answer(1, taskType="single") + answer([0, 2], task="T1", taskType="multiple")),
        row("bob", "1", answer(0.25, task="T2", taskType="slider") + answer("hm", task="T3", taskType="text")),
    ]
    path = write_export(tmp_path / "e.csv", rows)
    assert triples(tables(path)["T0"]) == [("1", "ann", "1")]
    assert triples(tables(path)["T1.1"]) == [("1", "ann", "1")]
    assert {(item.task_key, item.task["type"]) for item in summarised(path)} == {("T2", "slider"), ("T3", "text")}


def test_what_is_not_voted_on_is_left_to_the_summaries(tmp_path: Path) -> None:
    survey = [{"choice": "LION", "answers": {"HOWMANY": "2"}, "filters": {}}]
    marks = [{"tool": 0, "frame": 0, "x": 1.5, "y": 2, "details": []}]
    dropdown = [{"select_label": "Where", "option": True, "value": "c6e0", "label": "Oceania"}]
    rows = [
        row("ann", "1", answer(survey) + answer(marks, task="T1") + answer(dropdown, task="T2")),
        row("bob", "1", answer([]) + answer([], task="T1") + answer(0.5, task="T4")),
    ]
    items = summarised(write_export(tmp_path / "e.csv", rows))
    assert [(item.task_key, item.task.get("type")) for item in items] == [
        ("T0", "survey"),
        ("T1", "drawing"),
        ("T2", "dropdown"),
        ("T4", "slider"),
    ]
    assert items[0].responses == [("ann", survey), ("bob", [])]


def test_a_combination_is_taken_apart_and_a_marks_questions_are_put_into_it(tmp_path: Path) -> None:
    combination = [{"task": "T1", "value": "a"}, {"task": "T2", "value": ["b"]}]
    mark = {"toolIndex": 0, "toolType": "point", "x": 1, "y": 2, "frame": 0}
    flat = [
        {"task": "T5", "taskType": "drawing", "value": [mark]},
        {"task": "T5.0.1", "taskType": "single", "markIndex": 0, "value": 3},
    ]
    path = write_export(tmp_path / "e.csv", [row("ann", "1", [{"task": "T3", "value": combination}, *flat])])
    assert set(tables(path)) == {"T1", "T2.0"}
    (item,) = summarised(path)
    assert item.responses[0][1][0]["details"] == [None, {"value": 3}]


def test_many_different_texts_are_free_text(tmp_path: Path) -> None:
    rows = [row(f"u{i}", "1", answer(f"I see {i}")) for i in range(100)]
    path = write_export(tmp_path / "e.csv", rows)
    assert not tables(path)
    assert summarised(path)[0].task == {"type": "text"}


HOSTILE = [
    "[{",
    "{}",
    "null",
    '["T0"]',
    '[{"value": 1}]',
    '[{"task": 5, "value": 1}]',
    "[" * 100_000,
    '[{"task": "T0", "value": ' + "9" * 5000 + "}]",
]


def test_a_row_that_cannot_be_read_is_counted_with_its_line(tmp_path: Path) -> None:
    rows = [row("ann", "1", answer("a")), *(row("bob", "1", text) for text in HOSTILE)]
    path = write_export(tmp_path / "e.csv", rows)
    export = read_export(path)
    assert export.report.n_skipped == len(HOSTILE)
    assert [skipped.row for skipped in export.report.skipped] == list(range(3, 3 + len(HOSTILE)))
    assert triples(next(Questions(export).tables())) == [("1", "ann", "a")]
    with pytest.raises(VotesFileError, match=r"e\.csv, row 3: the annotations are not JSON"):
        read_export(path, strict=True)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"selection": None},
        True,
        [True],
        [None],
        [[]],
        [{"x": "a"}],
        [{"choice": {"a": 1}}],
        "\ud800",
        "a\u0000b",
        10**300,
        -1,
        float("nan"),
        float("inf"),
        [{"task": "T9"}],
        ["x" * 10_000],
    ],
)
def test_no_value_breaks_the_reading(tmp_path: Path, value: Any) -> None:
    rows = [row("ann", "1", answer("a")), row("bob", "1", answer("a")), row("cid", "1", answer(value))]
    questions = Questions(read_export(write_export(tmp_path / "e.csv", rows)))
    (table,) = questions.tables()
    assert {("1", "ann", "a"), ("1", "bob", "a")} <= set(triples(table))
    list(questions.responses())
    alone = Questions(read_export(write_export(tmp_path / "f.csv", rows[2:])))
    list(alone.tables())
    list(alone.responses())


def test_a_task_that_changed_its_type_is_told(tmp_path: Path) -> None:
    rows = [row("ann", "1", answer("a")), row("bob", "1", answer("b")), row("cid", "1", answer(["a"]))]
    export = read_export(write_export(tmp_path / "e.csv", rows))
    assert len(triples(next(Questions(export).tables()))) == 2
    assert "T0" in export.report.notes[0]


def test_rows_with_other_numbers_of_cells_are_counted(tmp_path: Path) -> None:
    path = write_export(tmp_path / "e.csv", [row("ann", "1", answer("a"))])
    path.write_text(path.read_text() + "1,2,3\n\n")
    report = read_export(path).report
    assert [skipped.reason for skipped in report.skipped] == ["3 cells, the header has 14"]


def test_a_cell_of_many_megabytes_is_read(tmp_path: Path) -> None:
    path = write_export(tmp_path / "e.csv", [row("ann", "1", answer("a"), subject_data="x" * 3_000_000)])
    assert triples(tables(path)["T0"]) == [("1", "ann", "a")]


def test_a_header_alone_asks_nothing(tmp_path: Path) -> None:
    assert not tables(write_export(tmp_path / "e.csv", []))


def test_strings_that_are_code_are_an_error_and_never_run(tmp_path: Path) -> None:
    path = tmp_path / "w.csv"
    path.write_text("workflow_id,version,minor_version,tasks,strings\n7,1,1,{},__import__('os').getcwd()\n")
    with pytest.raises(VotesFileError, match=r"w\.csv, row 2: `strings` is not JSON"):
        read_workflows(path, workflow_id="7")
    with pytest.raises(VotesFileError, match="no workflow 8"):
        read_workflows(path, workflow_id="8")


def test_genuine_survey_exports_are_read(real_data: Path) -> None:
    for name, rows, workflow in [
        ("camcat_sa", 1000, None),
        ("chicago_sample_version5", 1000, None),
        ("kenya-sample", 2000, "2030"),
        ("wildcam_gorongosa_sample", 20, None),
    ]:
        export = read_export(real_data / "panoptes" / f"{name}.csv", workflow_id=workflow)
        assert (export.report.rows, export.report.n_skipped) == (rows, 0)
        questions = Questions(export)
        list(questions.tables())
        assert any(item.task == {"type": "survey"} for item in questions.responses())
