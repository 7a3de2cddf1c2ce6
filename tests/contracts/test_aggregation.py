"""panoptes_aggregation 5.3.1 reads our files without an edit, loses no row of them, and counts as we do."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from esocs.crowd.models import Answer, Classification, Consensus
from esocs.projects.models import Subject, Workflow
from esocs.projects.services import change_workflow
from tests.releases.exporting import METADATA, vote
from tests.support.aggregation import aggregation_program, read_table, run_aggregation
from tests.support.factories import make_subject, make_volunteer, make_workflow

pytestmark = pytest.mark.django_db

TOOLS = ("point", "circle", "rectangle", "ellipse", "rotateRectangle", "line", "polygon", "freehandLine")
TEXTS = {
    "T0.question": "Is it, say, “round”?",
    "T0.answers.0.label": "Yes, 🌀",
    "T0.answers.1.label": "No\nor maybe",
    "T0.answers.2.label": "null",
    "T1.question": "What else?",
    "T1.answers.0.label": "A ring",
    "T1.answers.1.label": "A tail",
    "T2.instruction": "Mark it.",
    "T2.tools.0.details.0.question": "Bright?",
    "T2.tools.0.details.0.answers.0.label": "Bright",
    "T2.tools.0.details.0.answers.1.label": "Faint",
    **{f"T2.tools.{i}.label": name for i, name in enumerate(TOOLS)},
    "T3.instruction": "Write.",
    "T4.instruction": "Estimate.",
    "T5.instruction": "Choose.",
    "T5.selects.0.title": "Constellation",
    "T5.selects.0.options.*.0.label": "Orion",
    "T5.selects.0.options.*.1.label": "Lyra",
}
DETAIL = {
    "type": "single",
    "question": "T2.tools.0.details.0.question",
    "answers": [{"label": f"T2.tools.0.details.0.answers.{i}.label"} for i in range(2)],
}
TASKS: dict[str, Any] = {
    "T0": {"type": "single", "question": "T0.question", "next": "T1",
           "answers": [{"label": f"T0.answers.{i}.label"} for i in range(3)]},
    "T1": {"type": "multiple", "question": "T1.question", "next": "T2",
           "answers": [{"label": f"T1.answers.{i}.label"} for i in range(2)]},
    "T2": {"type": "drawing", "instruction": "T2.instruction",
           "tools": [{"type": name, "label": f"T2.tools.{i}.label", **({"details": [DETAIL]} if i == 0 else {})}
                     for i, name in enumerate(TOOLS)]},
    "T3": {"type": "text", "instruction": "T3.instruction"},
    "T4": {"type": "slider", "instruction": "T4.instruction", "min": "0", "max": "1", "step": "0.1"},
    "T5": {"type": "dropdown", "instruction": "T5.instruction",
           "selects": [{"id": "s0", "title": "T5.selects.0.title", "required": True, "allowCreate": True,
                        "options": {"*": [{"value": "ori", "label": "T5.selects.0.options.*.0.label"},
                                          {"value": "lyr", "label": "T5.selects.0.options.*.1.label"}]}}]},
}  # fmt: skip
V1_MARKS: list[dict[str, Any]] = [
    {"tool": 0, "x": 10.5, "y": 20, "details": [{"value": 1}]},
    {"tool": 1, "x": 30, "y": 40, "r": 5, "angle": 12},
    {"tool": 2, "x": 50, "y": 60, "width": 8, "height": 4, "details": []},
    {"tool": 3, "x": 70, "y": 80, "rx": 6, "ry": 3, "angle": 30, "details": []},
    {"tool": 4, "x": 15, "y": 25, "width": 8, "height": 4, "angle": 45, "details": []},
    {"tool": 5, "x1": 1, "y1": 2, "x2": 30, "y2": 40, "details": []},
    {"tool": 6, "points": [{"x": 0, "y": 0}, {"x": 9, "y": 0}, {"x": 9, "y": 9}], "closed": True, "details": []},
    {"tool": 7, "points": [{"x": 5, "y": 5}, {"x": 7, "y": 5}, {"x": 7, "y": 8}], "details": []},
]
V2_MARKS: list[dict[str, Any]] = [
    {"toolIndex": 0, "toolType": "point", "x": 10.5, "y": 20, "details": [{"task": "T2.0.0"}]},
    {"toolIndex": 1, "toolType": "circle", "x_center": 30, "y_center": 40, "r": 5},
    {"toolIndex": 2, "toolType": "rectangle", "x_center": 54, "y_center": 62, "width": 8, "height": 4},
    {"toolIndex": 3, "toolType": "ellipse", "x_center": 70, "y_center": 80, "rx": 6, "ry": 3, "angle": 30},
    {"toolIndex": 4, "toolType": "rotateRectangle", "x_center": 19, "y_center": 27, "width": 8, "height": 4,
     "angle": 45},
    {"toolIndex": 5, "toolType": "line", "x1": 1, "y1": 2, "x2": 30, "y2": 40},
    {"toolIndex": 6, "toolType": "polygon", "points": [{"x": 0, "y": 0}, {"x": 9, "y": 0}, {"x": 9, "y": 9}]},
    {"toolIndex": 7, "toolType": "freehandLine", "pathX": [5, 7, 7], "pathY": [5, 5, 8]},
]  # fmt: skip


def _older(answer: int) -> list[dict[str, Any]]:
    return [
        {"task": "T0", "value": answer},
        {"task": "T1", "value": [0, 1] if answer else [0]},
        {"task": "T2", "value": [{"frame": 0, "details": [], **mark} for mark in V1_MARKS]},
        {"task": "T3", "value": "a “note”, with\na line"},
        {"task": "T4", "value": "0.3"},
        {"task": "T5", "value": [{"value": "ori", "option": True}]},
    ]


def _newer(answer: int) -> list[dict[str, Any]]:
    return [
        {"task": "T0", "taskType": "single", "value": answer},
        {"task": "T1", "taskType": "multiple", "value": [0, 1] if answer else [0]},
        {"task": "T2", "taskType": "drawing", "value": [{"frame": 0, "details": [], **mark} for mark in V2_MARKS]},
        {"task": "T2.0.0", "taskType": "single", "markIndex": 0, "value": 1},
        {"task": "T3", "taskType": "text", "value": "a “note”, with\na line"},
        {"task": "T4", "taskType": "slider", "value": "0.3"},
        {"task": "T5", "value": [{"value": "lyr", "option": True}]},
    ]


@pytest.fixture
def subjects() -> list[Subject]:
    """Four subjects, six answers each: by both classifiers, by people and by anonymous sessions, and a repeat."""
    aggregation_program()
    workflow = change_workflow(make_workflow(), tasks=TASKS, strings=TEXTS)
    made = [make_subject(workflow.project, published_in=workflow) for _ in range(4)]
    volunteers = [make_volunteer(anonymous=i % 2 == 0) for i in range(6)]
    for s, subject in enumerate(made):
        for v, volunteer in enumerate(volunteers):
            newer = v % 3 == 0
            metadata = {**METADATA, **({"classifier_version": "2.0"} if newer else {})}
            annotations = (_newer if newer else _older)((v + s) % 5 % 3)
            vote(workflow, subject, volunteer, annotations=annotations, metadata=metadata)
    vote(workflow, made[0], volunteers[1], annotations=_older(2), metadata=dict(METADATA))
    return made


@pytest.fixture
def files(subjects: list[Subject], tmp_path: Path) -> Path:
    """What the program made of our files, its configuration as it made it itself."""
    workflow = Workflow.objects.get()
    project = workflow.project
    for kind in ("workflows", "classifications"):
        call_command("export", "--project", str(project.pk), "--kind", kind, "--output", str(tmp_path))
    name = project.slug.rpartition("/")[2]
    run_aggregation("config", f"{name}-workflows.csv", workflow.pk, "-d", tmp_path, folder=tmp_path)
    version = f"{workflow.pk}_V{workflow.version}"
    said = run_aggregation(
        "extract", f"{name}-classifications.csv", f"Extractor_config_workflow_{version}.yaml", "-d", tmp_path,
        "-o", "out", "-vv", folder=tmp_path,
    )  # fmt: skip
    assert "Incorrectly formatted" not in said
    return tmp_path


def test_no_row_and_no_mark_is_lost(files: Path) -> None:
    n = Classification.objects.count()
    assert n == 25
    for extractor, shape in (
        ("point_extractor_by_frame", "T2_tool0_x"),
        ("shape_extractor_circle", "T2_tool1_r"),
        ("shape_extractor_rectangle", "T2_tool2_width"),
        ("shape_extractor_ellipse", "T2_tool3_rx"),
        ("shape_extractor_rotateRectangle", "T2_tool4_angle"),
        ("shape_extractor_line", "T2_tool5_x1"),
        ("polygon_extractor", "T2_tool6_pathX"),
        ("polygon_extractor", "T2_tool7_pathX"),
    ):
        rows = read_table(files / f"{extractor}_out.csv")
        assert len(rows) == n, extractor
        assert sum(len(json.loads(row[f"data.frame0.{shape}"])) for row in rows) == n, shape
    for extractor in ("question_extractor", "text_extractor", "slider_extractor", "dropdown_extractor"):
        tasks = Counter(row["task"] for row in read_table(files / f"{extractor}_out.csv"))
        assert set(tasks.values()) == {n}, extractor


def test_marks_of_both_classifiers_lie_at_the_same_place(files: Path) -> None:
    for extractor, column, expected in (
        ("shape_extractor_rectangle", "T2_tool2_x", [50]),
        ("shape_extractor_rectangle", "T2_tool2_y", [60]),
        ("shape_extractor_circle", "T2_tool1_x", [30]),
        ("shape_extractor_rotateRectangle", "T2_tool4_y", [25]),
        ("polygon_extractor", "T2_tool7_pathY", [[5, 5, 8]]),
    ):
        found = {row[f"data.frame0.{column}"] for row in read_table(files / f"{extractor}_out.csv")}
        assert {json.dumps(json.loads(text.replace(".0", ""))) for text in found} == {json.dumps(expected)}
    details = [row["data.frame0.T2_tool0_details"] for row in read_table(files / "point_extractor_by_frame_out.csv")]
    assert set(details) == {"[[{'1': 1}]]"}


def test_its_counts_are_ours(files: Path, subjects: list[Subject]) -> None:
    workflow = Workflow.objects.get()
    name = f"Reducer_config_workflow_{workflow.pk}_V{workflow.version}_question_extractor.yaml"
    consensus = files / "consensus.yaml"
    consensus.write_text("reducer_config:\n  question_consensus_reducer: {}\n")
    slugs = ["yes", "no-or-maybe", "null"]
    run_aggregation("reduce", "question_extractor_out.csv", name, "-d", files, "-o", "out", folder=files)
    run_aggregation("reduce", "question_extractor_out.csv", consensus, "-d", files, "-o", "out", folder=files)
    counts = {(row["subject_id"], row["task"]): row for row in read_table(files / "question_reducer_out.csv")}
    likely = {(row["subject_id"], row["task"]): row for row in read_table(files / "question_consensus_reducer_out.csv")}
    for subject in subjects:
        ours = Consensus.objects.get(status__subject=subject, task_key="T0")
        theirs = counts[str(subject.pk), "T0"]
        repeats = _repeats(subject)
        expected = [n + repeats["T0", answer] for answer, n in enumerate(ours.answer_counts)]
        assert [int(float(theirs.get(f"data.{slug}") or 0)) for slug in slugs] == expected
        reduced = likely[str(subject.pk), "T0"]
        assert int(reduced["data.num_votes"]) == max(expected)
        assert expected[slugs.index(reduced["data.most_likely"])] == max(expected)
        for label, slug in enumerate(("a-ring", "a-tail")):
            ours = Consensus.objects.get(status__subject=subject, task_key=f"T1.{label}")
            theirs = counts[str(subject.pk), "T1"]
            assert int(float(theirs.get(f"data.{slug}") or 0)) == ours.answer_counts[1] + repeats[f"T1.{label}", 1]


def _repeats(subject: Subject) -> Counter[tuple[str, int]]:
    """Answers that we keep and do not count. The program means to count each volunteer's first alone, and does not.

    (Its `batch_reduce` passes Python's own `filter` where it means the configured one.)
    """
    given = Answer.objects.filter(classification__subject=subject, counted=False)
    return Counter(given.values_list("task_key", "answer"))
