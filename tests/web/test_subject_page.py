"""A subject's own page: its way, the experts' answers, and what people drew, wrote and listed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from esocs.crowd.models import StatusChange, SubjectStatus, TaskSummary
from esocs.crowd.summaries import Response, summarise_task
from esocs.projects.models import Media, Subject, Workflow
from esocs.web import overlay
from tests.support import factories
from tests.web.crowd import answer_as_expert, wait_for_expert

pytestmark = pytest.mark.django_db

TASKS: dict[str, dict[str, Any]] = {
    "T1": {
        "type": "drawing",
        "instruction": "T1.instruction",
        "tools": [
            {"type": "point", "label": "T1.tools.0.label", "details": [{"type": "text"}]},
            {"type": "ellipse", "label": "T1.tools.1.label", "details": []},
        ],
    },
    "T2": {"type": "text", "instruction": "What do you read?"},
    "T3": {"type": "slider", "instruction": "How bright?", "min": "0", "max": "10"},
    "T4": {"type": "survey", "choices": {"ZEBRA": {"label": "T4.choices.ZEBRA.label"}}},
    "T5": {"type": "dropdown", "instruction": "Which band?"},
}
VALUES: dict[str, list[Any]] = {
    "T1": [
        [
            {"tool": 0, "x": 40 + d, "y": 60 - d, "details": [{"value": "a knot"}]},
            {"tool": 1, "x": 70 + d, "y": 70, "rx": 20, "ry": 10, "angle": 30},
        ]
        for d in (0, 1, 2)
    ],
    "T2": ["NGC 253", "NGC 253", "<script>alert(1)</script>"],
    "T3": ["3", "4", "4.5"],
    "T4": [
        [{"choice": "ZEBRA", "answers": {"HOWMANY": "2"}}],
        [{"choice": "ZEBRA", "answers": {"HOWMANY": "3"}}],
        [],
    ],
    "T5": [
        [{"value": "r", "option": True}],
        [{"value": "r", "option": True}],
        [{"value": "none <b>", "option": False}],
    ],
}


@pytest.fixture
def workflow() -> Workflow:
    workflow = factories.make_workflow()
    workflow.tasks |= TASKS
    workflow.strings |= {
        "T1.instruction": "Mark the knots",
        "T1.tools.0.label": "Knot",
        "T1.tools.1.label": "Bulge",
        "T4.choices.ZEBRA.label": "Zebra",
    }
    workflow.save()
    return workflow


@pytest.fixture
def subject(workflow: Workflow) -> Subject:
    subject = factories.make_subject(workflow.project, published_in=workflow)
    Media.objects.filter(subject=subject).update(width_px=128, height_px=128)
    return subject


def read(client: Client, workflow: Workflow, subject: Subject) -> str:
    client.force_login(workflow.project.owner)
    answer = client.get(f"/projects/{workflow.project.slug}/workflows/{workflow.pk}/results/{subject.pk}/")
    assert answer.status_code == 200
    return answer.content.decode()


def summarise(workflow: Workflow, subject: Subject, key: str) -> None:
    found = summarise_task(TASKS[key], [Response(i, value) for i, value in enumerate(VALUES[key])])
    status = SubjectStatus.objects.get(workflow=workflow, subject=subject)
    TaskSummary.objects.create(
        status=status, task_key=key, kind=found.kind, seen_by=found.seen_by, rejected=found.rejected, value=found.value
    )


def test_its_way_is_told_step_by_step(client: Client, workflow: Workflow, subject: Subject) -> None:
    status = SubjectStatus.objects.get(subject=subject)
    for before, after, cause, reason in (
        ("open", "contested", "submission", "contested"),
        ("contested", "open", "setting", ""),
    ):
        StatusChange.objects.create(
            status=status, before=before, after=after, cause=cause, reason=reason, classifications_count=6, answer=0,
            probability=0.55, epoch_number=3, author=workflow.project.owner if cause == "setting" else None,
        )  # fmt: skip
    body = read(client, workflow, subject)
    assert "open → <strong>contested</strong>" in body
    assert "many classifications and no consensus" in body
    assert f"changed retirement, {workflow.project.owner}" in body
    assert "6 votes, Yes 0.550, epoch 3" in body


def test_a_subject_that_waits_leads_to_where_it_is_answered(
    client: Client, workflow: Workflow, subject: Subject
) -> None:
    assert "It waits for an expert" not in read(client, workflow, subject)
    wait_for_expert(workflow, subject, "contested")
    body = read(client, workflow, subject)
    assert "It waits for an expert (contested)" in body
    assert "?audience=experts" in body


def test_an_experts_answer_stands_with_its_author(client: Client, workflow: Workflow, subject: Subject) -> None:
    answer_as_expert(workflow, subject, workflow.project.owner, 1)
    text = re.sub(r"<[^>]+>", "", read(client, workflow, subject))
    assert f"Expert answer: No ({workflow.project.owner}," in text


def test_drawings_lie_over_the_picture_with_their_spread(client: Client, workflow: Workflow, subject: Subject) -> None:
    summarise(workflow, subject, "T1")
    body = read(client, workflow, subject)
    assert "Mark the knots" in body
    drawn = body.split('<svg class="drawn"')[1].split("</svg>")[0]
    assert 'viewBox="0 0 128.00 128.00"' in drawn
    assert drawn.count('class="shape"') == 2
    assert drawn.count('class="spread"') == 1, "the ellipse's spread is a number"
    for words in ("Knot", "Bulge", "x ± 1.0 px, y ± 1.0 px", "mean overlap with the consensus (IoU)", "“a knot” (3)"):
        assert words in body


def test_drawings_without_a_readable_picture_are_told_in_words(
    client: Client, workflow: Workflow, subject: Subject
) -> None:
    Media.objects.filter(subject=subject).update(width_px=None, height_px=None)
    summarise(workflow, subject, "T1")
    body = read(client, workflow, subject)
    assert '<svg class="drawn"' not in body
    assert "Knot" in body


def test_texts_numbers_surveys_and_lists_are_tables(client: Client, workflow: Workflow, subject: Subject) -> None:
    for key in ("T2", "T3", "T4", "T5"):
        summarise(workflow, subject, key)
    body = read(client, workflow, subject)
    for words in ("“NGC 253” (2 of 3)", "3 – 4", "<dd>Zebra</dd>", "Zebra: HOWMANY", "How bright?", "List 1"):
        assert words in body
    assert "<script>alert(1)" not in body
    assert "none <b>" not in body


@pytest.mark.parametrize("kind", ["drawing", "text", "slider", "survey", "dropdown", "answers", "unknown", "empty"])
def test_a_summary_of_nothing_breaks_no_page(client: Client, workflow: Workflow, subject: Subject, kind: str) -> None:
    status = SubjectStatus.objects.get(subject=subject)
    TaskSummary.objects.create(status=status, task_key="T9", kind=kind, seen_by=0, value={})
    read(client, workflow, subject)


@pytest.mark.parametrize(
    ("shape", "mark", "path"),
    [
        ("point", {"x": 10, "y": 20}, "M8.00 20.00H12.00M10.00 18.00V22.00"),
        ("line", {"x1": 1, "y1": 2, "x2": 3, "y2": 4}, "M1.00 2.00L3.00 4.00"),
        ("rectangle", {"x": 1, "y": 2, "width": 3, "height": 4}, "M1.00 2.00L4.00 2.00L4.00 6.00L1.00 6.00Z"),
        (
            "rotateRectangle",
            {"x": 0, "y": 0, "width": 4, "height": 2, "angle": 90},
            "M3.00 -1.00L3.00 3.00L1.00 3.00L1.00 -1.00Z",
        ),
        ("column", {"x": 5, "width": 2}, "M5.00 0.00L7.00 0.00L7.00 50.00L5.00 50.00Z"),
        ("fullWidthLine", {"y": 7}, "M0.00 7.00L100.00 7.00"),
        ("fullHeightLine", {"x": 7}, "M7.00 0.00L7.00 50.00"),
        ("freehandLine", {"points": [{"x": 1, "y": 1}, {"x": 2, "y": 3}]}, "M1.00 1.00L2.00 3.00"),
        (
            "polygon",
            {"points": [{"x": 0, "y": 0}, {"x": 2, "y": 0}, {"x": 0, "y": 2}], "more_parts": []},
            "M0.00 0.00L2.00 0.00L0.00 2.00Z",
        ),
        ("point", {"x": "left"}, ""),
        ("point", {"x": float("nan"), "y": 1}, ""),
        ("star", {"x": 1, "y": 1}, ""),
    ],
)
def test_every_shape_has_its_path(shape: str, mark: dict[str, Any], path: str) -> None:
    assert overlay.shape_path(shape, mark, size_px=(100, 50)) == path


def test_an_ellipse_turns_anticlockwise_on_the_screen_as_panoptes_has_it() -> None:
    path = overlay.shape_path("ellipse", {"x": 0, "y": 0, "rx": 10, "ry": 1, "angle": 90}, size_px=(100, 100))
    assert path.startswith("M0.00 -10.00")


def test_a_points_spread_follows_its_covariance() -> None:
    spread = {"sigma_x": 2.0, "sigma_y": 2.0, "cov_xy": 3.9}
    path = overlay.spread_path("point", {"x": 0, "y": 0}, spread, size_px=(100, 100))
    points = [tuple(map(float, pair.split())) for pair in re.findall(r"-?[\d.]+ -?[\d.]+", path)]
    far = max(points, key=lambda point: point[0] ** 2 + point[1] ** 2)
    assert far[0] == pytest.approx(far[1], abs=0.1)
    assert abs(far[0]) == pytest.approx(2 * (7.9 / 2) ** 0.5, abs=0.05)
