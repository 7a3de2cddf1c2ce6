"""Drawing on pictures and spectra: by mouse, by fingers, by keyboard alone; where the marks lie, and who reads them."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from esocs.crowd.models import Classification, TaskSummary
from esocs.crowd.summarising import summarise_workflow
from esocs.projects.models import Media, Workflow
from tests.browser.pictures import make_frames_subject
from tests.browser.sitting import classify_path, make_task_workflow, open_page, shown_subject, wait_until_saved
from tests.support.aggregation import read_table, run_aggregation

pytestmark = pytest.mark.django_db(transaction=True)

TYPES = (
    "point", "line", "circle", "ellipse", "rectangle", "rotateRectangle", "polygon", "freehandLine", "column",
    "fullWidthLine", "fullHeightLine",
)  # fmt: skip
TOOLS: list[dict[str, Any]] = [{"type": kind, "label": f"A {kind}"} for kind in TYPES]


def make_drawing_workflow(tools: list[dict[str, Any]], **more: Any) -> Workflow:
    task = {"type": "drawing", "instruction": "Mark it.", "tools": tools}
    return make_task_workflow({"tasks": {"T0": task}}, **more)


@dataclass(frozen=True)
class Sheet:
    """Where the picture lies on the page, shown whole and upright: its side in pixels, and CSS pixels for each."""

    left: float
    top: float
    side: int
    scale: float

    def at(self, x: float, y: float) -> tuple[float, float]:
        """A place of the picture, in shares of its side, on the page."""
        return self.left + x * self.side * self.scale, self.top + y * self.side * self.scale


def sheet_of(page: Page) -> Sheet:
    media = Media.objects.filter(role=Media.Role.LOCATION).first()
    assert media is not None
    with Image.open(Path(settings.MEDIA_ROOT) / media.path) as image:
        side = image.width
    box = page.locator("#overlay").bounding_box()
    assert box is not None
    scale = min(box["width"], box["height"]) / side
    left = box["x"] + (box["width"] - side * scale) / 2
    return Sheet(left, box["y"] + (box["height"] - side * scale) / 2, side, scale)


def take(page: Page, kind: str) -> None:
    page.get_by_role("button", name=f"A {kind}", exact=False).first.click()


def drag(page: Page, *places: tuple[float, float]) -> None:
    page.mouse.move(*places[0])
    page.mouse.down()
    for x, y in places[1:]:
        page.mouse.move(x, y, steps=4)
    page.mouse.up()


def marks(page: Page) -> Locator:
    return page.locator(".mark:not(.draft)")


def stored_marks() -> dict[int, list[dict[str, Any]]]:
    """The last classification's marks by tool."""
    [annotation] = Classification.objects.latest("id").annotations
    found: dict[int, list[dict[str, Any]]] = {}
    for mark in annotation["value"]:
        found.setdefault(mark["tool"], []).append(mark)
    return found


def centre_of(locator: Locator) -> tuple[float, float]:
    box = locator.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def draw_all_by_mouse(page: Page, sheet: Sheet) -> None:
    at = sheet.at
    take(page, "point")
    page.mouse.click(*at(0.1, 0.2))
    take(page, "line")
    drag(page, at(0.2, 0.1), at(0.4, 0.15))
    take(page, "circle")
    drag(page, at(0.25, 0.4), at(0.3, 0.4))
    take(page, "ellipse")
    drag(page, at(0.7, 0.25), at(0.8, 0.15))
    take(page, "rectangle")
    # A press at either end instead of a drag.
    page.mouse.click(*at(0.65, 0.55))
    page.mouse.click(*at(0.55, 0.45))
    take(page, "rotateRectangle")
    drag(page, at(0.2, 0.6), at(0.4, 0.7))
    drag(page, centre_of(page.locator("[data-handle=turn]")), at(0.3, 0.9))
    take(page, "polygon")
    for place in ((0.6, 0.7), (0.8, 0.7), (0.7, 0.85), (0.6, 0.7)):
        page.mouse.click(*at(*place))
    take(page, "freehandLine")
    drag(page, at(0.1, 0.8), at(0.15, 0.9), at(0.25, 0.95))
    take(page, "column")
    drag(page, at(0.9, 0.5), at(0.95, 0.6))
    take(page, "fullWidthLine")
    page.mouse.click(*at(0.5, 0.97))
    take(page, "fullHeightLine")
    page.mouse.click(*at(0.03, 0.5))
    expect(marks(page)).to_have_count(len(TYPES))


EXPECTED: dict[str, dict[str, float]] = {
    "point": {"x": 0.1, "y": 0.2},
    "line": {"x1": 0.2, "y1": 0.1, "x2": 0.4, "y2": 0.15},
    "circle": {"x": 0.25, "y": 0.4, "r": 0.05},
    "ellipse": {"x": 0.7, "y": 0.25, "rx": 0.1 * math.sqrt(2), "ry": 0.05 * math.sqrt(2)},
    "rectangle": {"x": 0.55, "y": 0.45, "width": 0.1, "height": 0.1},
    "rotateRectangle": {"x": 0.2, "y": 0.6, "width": 0.2, "height": 0.1},
    "column": {"x": 0.9, "width": 0.05},
    "fullWidthLine": {"y": 0.97},
    "fullHeightLine": {"x": 0.03},
}
"""In shares of the picture's side."""


def test_every_tool_by_mouse_and_every_mark_reaches_the_summaries_and_zooniverses_program(
    page: Page, transactional_db: None, tmp_path: Path
) -> None:
    workflow = make_drawing_workflow(TOOLS, pictures=1)
    open_page(page, workflow)
    sheet = sheet_of(page)
    draw_all_by_mouse(page, sheet)
    page.get_by_role("button", name="Done").click()
    wait_until_saved(page, 1)
    found = stored_marks()
    assert sorted(found) == list(range(len(TYPES)))
    for tool, kind in enumerate(TYPES):
        [mark] = found[tool]
        assert mark["frame"] == 0
        assert mark["details"] == []
        for key, share in EXPECTED.get(kind, {}).items():
            assert mark[key] == pytest.approx(share * sheet.side, abs=1 + 1 / sheet.scale), (kind, key)
    assert found[3][0]["angle"] == pytest.approx(45, abs=1.5), "the long axis rises to the right, against the clock"
    assert found[5][0]["angle"] == pytest.approx(90, abs=1.5), "turned downwards, with the clock"
    assert len(found[6][0]["points"]) == 3
    assert found[6][0]["closed"] is True
    path = found[7][0]["points"]
    assert 3 <= len(path) <= 8, "a path is simplified to a pixel of the screen"
    assert path[-1]["x"] == pytest.approx(0.25 * sheet.side, abs=1 + 1 / sheet.scale)
    _check_summary(workflow)
    _check_aggregation(workflow, found, tmp_path)


def _check_summary(workflow: Workflow) -> None:
    write = summarise_workflow(workflow)
    assert write is not None
    write()
    summary = TaskSummary.objects.get(task_key="T0")
    assert (summary.rejected, summary.value["marks"]) == ({}, len(TYPES))


def _check_aggregation(workflow: Workflow, found: dict[int, list[dict[str, Any]]], folder: Path) -> None:
    """Zooniverse's program, set up by itself, extracts the numbers that the page sent."""
    for kind in ("workflows", "classifications"):
        call_command("export", "--project", str(workflow.project_id), "--kind", kind, "--output", str(folder))
    name = workflow.project.slug.rpartition("/")[2]
    run_aggregation("config", f"{name}-workflows.csv", workflow.pk, "-d", folder, folder=folder)
    config = f"Extractor_config_workflow_{workflow.pk}_V{workflow.version}.yaml"
    run_aggregation(
        "extract", f"{name}-classifications.csv", config, "-d", folder, "-o", "out", "-vv", folder=folder
    )  # fmt: skip
    for tool, kind in enumerate(TYPES):
        extractor = {"point": "point_extractor_by_frame", "polygon": "polygon_extractor"}.get(kind)
        extractor = extractor or ("polygon_extractor" if kind == "freehandLine" else f"shape_extractor_{kind}")
        [row] = read_table(folder / f"{extractor}_out.csv")
        for key, value in found[tool][0].items():
            if isinstance(value, float | int) and key in EXPECTED.get(kind, {}):
                assert json.loads(row[f"data.frame0.T0_tool{tool}_{key}"]) == [pytest.approx(value)], (kind, key)
        if "points" in found[tool][0]:
            xs = [point["x"] for point in found[tool][0]["points"]]
            assert json.loads(row[f"data.frame0.T0_tool{tool}_pathX"]) == [pytest.approx(xs)]


def test_marks_stay_on_the_picture_when_it_is_zoomed_and_can_be_moved_undone_and_deleted(
    page: Page, transactional_db: None
) -> None:
    workflow = make_drawing_workflow([{"type": "point", "label": "A point"}, {"type": "line", "label": "A line"}])
    open_page(page, workflow)
    sheet = sheet_of(page)
    page.mouse.click(*sheet.at(0.4, 0.4))
    expect(page.locator("#task-status")).to_contain_text(f"A point 1 at {0.4 * sheet.side:.0f}, ")
    before = centre_of(marks(page).first)
    page.mouse.move(*sheet.at(0.6, 0.6))
    for _ in range(2):
        page.mouse.wheel(0, -200)
    page.wait_for_function("(x) => document.querySelector('.mark').getBoundingClientRect().x < x", arg=before[0] - 60)
    # Away from the mark by as much as it is from its first place, on the zoomed picture.
    now = centre_of(marks(page).first)
    page.locator(".draw-tools button", has_text="A line").click()
    start = (now[0] + 60, now[1])
    drag(page, start, (start[0] + 90, start[1] + 30))
    page.get_by_role("button", name="Show all of it").click()
    page.wait_for_function(
        "(x) => Math.abs(document.querySelector('.mark').getBoundingClientRect().x - x) < 20", arg=before[0]
    )
    # With its own tool in hand the point is dragged, and brought back; a third mark is made and deleted.
    page.locator(".draw-tools button", has_text="A point").click()
    drag(page, before, (before[0] + 50, before[1]))
    page.locator(".draw-actions button", has_text="Undo").click()
    page.mouse.click(*sheet.at(0.2, 0.8))
    expect(marks(page)).to_have_count(3)
    page.get_by_role("button", name="Delete mark").click()
    expect(marks(page)).to_have_count(2)
    page.get_by_role("button", name="Done").click()
    wait_until_saved(page, 1)
    found = stored_marks()
    [point], [line] = found[0], found[1]
    assert (point["x"], point["y"]) == pytest.approx((0.4 * sheet.side, 0.4 * sheet.side), abs=1 + 1 / sheet.scale)
    zoom = 60 / (line["x1"] - point["x"]) / sheet.scale
    assert zoom > 1.5
    assert line["y1"] == pytest.approx(point["y"], abs=1)
    assert line["x2"] - line["x1"] == pytest.approx(90 / zoom / sheet.scale, abs=1)
    assert line["y2"] - line["y1"] == pytest.approx(30 / zoom / sheet.scale, abs=1)


def test_fingers_draw_and_two_of_them_zoom_and_turn_beneath_the_marks(
    chromium: Browser, site: str, transactional_db: None
) -> None:
    workflow = make_drawing_workflow([{"type": "point", "label": "A point"}, {"type": "line", "label": "A line"}])
    context = chromium.new_context(
        base_url=site, viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True, reduced_motion="reduce"
    )
    page = context.new_page()
    open_page(page, workflow)
    sheet = sheet_of(page)
    fingers = page.context.new_cdp_session(page)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": index} for index, (x, y) in enumerate(places)]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def draw(*places: tuple[float, float]) -> None:
        touch("touchStart", places[0])
        for place in places[1:]:
            touch("touchMove", place)
        touch("touchEnd")

    draw(sheet.at(0.4, 0.5))
    draw(sheet.at(0.6, 0.5))
    expect(marks(page)).to_have_count(2)
    # The first finger of two begins nothing.
    middle = sheet.at(0.5, 0.5)
    for degrees in range(0, 75, 5):
        c, s = (
            (90 + degrees / 3) * math.cos(math.radians(degrees)),
            (90 + degrees / 3) * math.sin(math.radians(degrees)),
        )
        pair = ((middle[0] - c, middle[1] - s), (middle[0] + c, middle[1] + s))
        if degrees == 0:
            touch("touchStart", pair[0])
            touch("touchStart", *pair)
        else:
            touch("touchMove", *pair)
    touch("touchEnd")
    expect(marks(page)).to_have_count(2)
    page.evaluate("() => new Promise(requestAnimationFrame)")
    a, b = centre_of(marks(page).nth(0)), centre_of(marks(page).nth(1))
    turn = math.degrees(math.atan2(b[1] - a[1], b[0] - a[0]))
    assert turn > 30
    scale = math.dist(a, b) / (0.2 * sheet.side)
    assert abs(scale / sheet.scale - 1) > 0.05
    take(page, "line")
    draw((a[0], a[1] - 50), (a[0] + 20, a[1] - 60), (a[0] + 70, a[1] - 50))
    expect(marks(page)).to_have_count(3)
    page.get_by_role("button", name="Done").click()
    wait_until_saved(page, 1)
    context.close()
    found = stored_marks()
    first = found[0][0]
    [line] = found[1]

    def natural(x: float, y: float) -> tuple[float, float]:
        """A step on the screen as one on the picture."""
        c, s = math.cos(math.radians(-turn)), math.sin(math.radians(-turn))
        return (x * c - y * s) / scale, (x * s + y * c) / scale

    start, end = natural(0, -50), natural(70, -50)
    close = pytest.approx
    assert (line["x1"] - first["x"], line["y1"] - first["y"]) == close(start, abs=3)
    assert (line["x2"] - first["x"], line["y2"] - first["y"]) == close(end, abs=3)


def test_a_finger_draws_and_taps_done_again_and_again(chromium: Browser, site: str, transactional_db: None) -> None:
    workflow = make_drawing_workflow([{"type": "line", "label": "A line"}], pictures=9)
    context = chromium.new_context(
        base_url=site, viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True, reduced_motion="reduce"
    )
    page = context.new_page()
    open_page(page, workflow)
    sheet = sheet_of(page)
    fingers = page.context.new_cdp_session(page)
    done = page.get_by_role("button", name="Done")

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y} for x, y in places]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    for number in range(8):
        shown = shown_subject(page)
        expect(marks(page)).to_have_count(0)
        touch("touchStart", sheet.at(0.3, 0.4))
        for step in range(1, 6):
            touch("touchMove", sheet.at(0.3 + step / 15, 0.4 + step / 40))
        touch("touchEnd")
        # As soon as the mark is seen, and where the button is then: no click, which would wait for it to come to rest.
        expect(marks(page)).to_have_count(1)
        touch("touchStart", centre_of(done))
        touch("touchEnd")
        expect(page.locator("#count")).to_have_text(str(number + 1))
        expect(page.locator("#classify")).not_to_have_attribute("data-subject", shown)
    wait_until_saved(page, 8)
    context.close()
    assert [len(row.annotations[0]["value"]) for row in Classification.objects.all()] == [1] * 8


def test_marks_belong_to_the_frame_they_are_drawn_on_and_come_back_with_it(page: Page, transactional_db: None) -> None:
    def seen(page: Page) -> Locator:
        return marks(page).filter(visible=True)

    workflow = make_drawing_workflow(
        [{"type": "point", "label": "A point"}, {"type": "circle", "label": "A circle"}], pictures=0
    )
    for first in (1, 4):
        make_frames_subject(workflow, [first, first + 1, first + 2])
    open_page(page, workflow)
    answered = shown_subject(page)
    sheet = sheet_of(page)
    place = page.locator("#frame-place")
    take(page, "point")
    page.mouse.click(*sheet.at(0.2, 0.3))
    page.get_by_role("button", name="Next picture of this subject").click()
    expect(place).to_have_text("2 of 3")
    expect(seen(page)).to_have_count(0)
    take(page, "circle")
    drag(page, sheet.at(0.6, 0.6), sheet.at(0.7, 0.6))
    expect(seen(page)).to_have_count(1)
    # Side by side each frame has its own marks, and a press falls on the frame beneath it.
    page.get_by_role("button", name="Pictures side by side").click()
    expect(seen(page)).to_have_count(2)
    box = page.locator("#overlay").bounding_box()
    assert box is not None
    first, second = centre_of(seen(page).nth(0)), centre_of(seen(page).nth(1))
    assert first != second
    page.get_by_role("button", name="Pictures side by side").click()
    page.get_by_role("button", name="Next picture of this subject").click()
    take(page, "point")
    page.mouse.click(*sheet.at(0.8, 0.1))
    page.get_by_role("button", name="Done").click()
    wait_until_saved(page, 1)
    found = stored_marks()
    assert [(mark["frame"], round(mark["x"] / sheet.side, 1)) for mark in found[0]] == [(0, 0.2), (2, 0.8)]
    assert [(mark["frame"], round(mark["r"] / sheet.side, 1)) for mark in found[1]] == [(1, 0.1)]
    page.keyboard.press("u")
    expect(page.locator("#classify")).to_have_attribute("data-subject", answered)
    expect(place).to_have_text("1 of 3")
    expect(seen(page)).to_have_count(1)
    page.get_by_role("button", name="Next picture of this subject").click()
    expect(seen(page)).to_have_count(1)
    page.get_by_role("button", name="Done").click()
    wait_until_saved(page, 1)
    assert Classification.objects.count() == 2
    assert stored_marks() == found


def test_every_tool_by_keyboard_alone_and_marks_are_moved_resized_and_deleted(
    page: Page, transactional_db: None
) -> None:
    workflow = make_drawing_workflow(TOOLS)
    open_page(page, workflow)
    sheet = sheet_of(page)
    fine = max(1, 1 / sheet.scale)
    far = 20 * fine

    def press(*keys: str) -> None:
        for key in keys:
            page.keyboard.press(key)

    for number, kind in enumerate(TYPES, start=1):
        if number <= 9:
            press(str(number))
        else:
            page.get_by_role("button", name=f"A {kind}").focus()
            press("Enter")
        press("d", "Enter")
        if kind in {"line", "circle", "ellipse", "rectangle", "rotateRectangle", "column"}:
            press("Shift+ArrowRight", "ArrowDown", "ArrowDown", "Enter")
        if kind == "polygon":
            press("Shift+ArrowRight", "Enter", "Shift+ArrowDown", "Enter", "f")
        if kind == "freehandLine":
            press("Shift+ArrowUp", "Shift+ArrowLeft", "Enter")
        expect(marks(page)).to_have_count(number)
    # Tab goes to the first mark; arrows move it.
    press("Tab")
    expect(marks(page).first).to_be_focused()
    press("ArrowRight", "Shift+ArrowDown")
    middle = round(sheet.side / 2)
    moved = f"A point 1 at {middle + fine:.0f}, {middle + far:.0f}"
    expect(page.locator("#task-status")).to_have_text(moved)
    expect(marks(page).first).to_have_attribute("aria-label", moved)
    # The line's second end, by its handles.
    press("Tab", "h")
    expect(page.locator("#task-status")).to_have_text("Arrow keys now move a corner.")
    press("h", "Shift+ArrowRight")
    page.locator(".mark").nth(10).focus()
    press("Delete")
    expect(marks(page)).to_have_count(10)
    expect(page.locator(".drawing")).to_be_focused()
    press("Control+z")
    expect(marks(page)).to_have_count(11)
    page.get_by_role("button", name="Done").focus()
    press("Enter")
    wait_until_saved(page, 1)
    found = stored_marks()
    [point], [line], [circle] = found[0], found[1], found[2]
    assert (point["x"], point["y"]) == pytest.approx((middle + fine, middle + far), abs=0.05)
    assert (line["x1"], line["y1"]) == pytest.approx((middle, middle), abs=0.05)
    assert (line["x2"], line["y2"]) == pytest.approx((middle + 2 * far, middle + 2 * fine), abs=0.05)
    assert circle["r"] == pytest.approx(math.hypot(far, 2 * fine), abs=0.05)
    assert len(found[6][0]["points"]) == 3
    assert len(found[7][0]["points"]) == 3


def test_questions_about_marks_limits_and_sizes(page: Page, transactional_db: None) -> None:
    question = {
        "type": "single",
        "question": "Bright?",
        "required": True,
        "answers": [{"label": "Yes"}, {"label": "No"}],
    }
    more = [{"type": "multiple", "question": "What else?", "answers": [{"label": "Red"}, {"label": "Round"}]},
            {"type": "slider", "instruction": "How sure?", "min": 0, "max": 10}]  # fmt: skip
    tools = [
        {"type": "point", "label": "A point", "min": 2, "max": 2, "details": [question, *more]},
        {"type": "circle", "label": "A circle", "presets": [20, 40]},
    ]
    workflow = make_drawing_workflow(tools)
    open_page(page, workflow)
    sheet = sheet_of(page)
    page.mouse.click(*sheet.at(0.3, 0.3))
    about = page.get_by_role("dialog", name="A point 1")
    expect(about).to_be_visible()
    page.keyboard.press("2")
    page.keyboard.press("3")
    about.get_by_role("button", name="Done").click()
    page.get_by_role("button", name="Done").click()
    expect(page.locator("#task-missing")).to_have_text("Please mark at least 2 of “A point”.")
    page.mouse.click(*sheet.at(0.6, 0.3))
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.mouse.click(*sheet.at(0.8, 0.8))
    expect(marks(page)).to_have_count(2)
    expect(page.locator("#task-status")).to_have_text("2 are enough of “A point”.")
    take(page, "circle")
    page.get_by_role("button", name="40", exact=True).click()
    page.mouse.click(*sheet.at(0.5, 0.6))
    expect(marks(page)).to_have_count(3)
    page.get_by_role("button", name="Done").click()
    expect(page.locator("#task-missing")).to_have_text("Please answer the questions about “A point 2”.")
    expect(page.get_by_role("dialog", name="A point 2")).to_be_visible()
    page.get_by_role("dialog").get_by_role("radio", name="Yes").check()
    page.get_by_role("dialog").get_by_role("button", name="Done").click()
    page.get_by_role("button", name="Done").click()
    wait_until_saved(page, 1)
    found = stored_marks()
    assert [mark["details"] for mark in found[0]] == [
        [{"value": 1}, {"value": [0]}, {"value": None}],
        [{"value": 0}, {"value": []}, {"value": None}],
    ]
    assert found[1][0]["r"] == 40


def test_ranges_of_a_spectrum_are_sent_in_its_wavelengths(page: Page, transactional_db: None) -> None:
    graph = {
        "type": "dataVisAnnotation",
        "instruction": "Mark the lines",
        "tools": [{"type": "graph2dRangeX", "label": "A line"}],
        "next": "T1",
    }
    drawing = {
        "type": "drawing",
        "instruction": "Mark the bands",
        "tools": [{"type": "column", "label": "A band"}, {"type": "fullHeightLine", "label": "A place"}],
    }
    workflow = make_task_workflow({"tasks": {"T0": graph, "T1": drawing}}, kind="spectrum", pictures=1)
    page.goto(classify_path(workflow))
    expect(page.locator("#classify")).to_have_attribute("data-stage", "spectrum")
    plot = page.locator("#spectrum .u-over").bounding_box()
    assert plot is not None
    y = plot["y"] + plot["height"] / 2

    def x(share: float) -> float:
        return plot["x"] + share * plot["width"]

    drag(page, (x(0.25), y), (x(0.5), y + 5))
    expect(marks(page)).to_have_count(1)
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("button", name="A band")).to_be_visible()
    drag(page, (x(0.5), y), (x(0.25), y + 5))
    page.get_by_role("button", name="A place").click()
    page.mouse.click(x(0.75), y)
    expect(page.locator(".drawing:not(.resting) .mark:not(.draft)")).to_have_count(2)
    page.get_by_role("button", name="Done").click()
    wait_until_saved(page, 1)
    ranges, bands = Classification.objects.get().annotations
    nm = lambda share: 370 + share * 580  # noqa: E731
    assert (ranges["task"], ranges["taskType"]) == ("T0", "dataVisAnnotation")
    [line] = ranges["value"]
    assert (line["tool"], line["toolType"]) == (0, "graph2dRangeX")
    assert (line["x"], line["width"]) == pytest.approx((nm(0.375), 145), abs=12), "x is the middle of a graph's range"
    band, place = bands["value"]
    assert (band["x"], band["width"]) == pytest.approx((nm(0.25), 145), abs=12), "and the left edge of a column"
    assert band["width"] == pytest.approx(line["width"], rel=1e-3)
    assert place["x"] == pytest.approx(nm(0.75), abs=12)
    write = summarise_workflow(workflow)
    assert write is not None
    write()
    assert {row.task_key: row.value["marks"] for row in TaskSummary.objects.all()} == {"T0": 1, "T1": 2}
