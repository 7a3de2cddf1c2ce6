"""Every kind of task on the volunteer's page: asked, answered, taken back, stored as the crowd's summaries read it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from esocs.crowd.models import Answer, Classification, TaskSummary
from esocs.crowd.summarising import summarise_workflow
from esocs.projects.models import Media, ProjectRole, Workflow
from tests.browser.conftest import DESKTOP
from tests.browser.pictures import make_picture_subject
from tests.browser.sitting import classify_path, make_task_workflow, open_page, shown_subject, wait_until_saved
from tests.browser.test_looks import AXE, RUN_AXE
from tests.browser.test_people import log_in
from tests.support import factories

pytestmark = pytest.mark.django_db(transaction=True)

EVERY_TASK = json.loads((Path(__file__).parents[2] / "docs" / "examples" / "every-task.json").read_text("utf-8"))
Visit = Callable[[Page, str], None]


def no_visit(page: Page, name: str) -> None:
    """Only pass by."""


def question(page: Page) -> Any:
    return page.locator(".question").first


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def draw_bulge_by_keyboard(page: Page) -> None:
    """The tool by its digit, the cursor by arrows, both ends by Enter; then out of the drawing."""
    press(page, "2", "d", "Enter", *["Shift+ArrowRight"] * 3, *["ArrowUp"] * 4, "Enter")
    expect(page.locator(".mark:not(.draft)")).to_have_count(1)


def walk_the_long_way(page: Page, visit: Visit = no_visit) -> None:
    """By keyboard alone: a disk with arms and a bar, its bulge, its tilt, and three questions side by side."""
    visit(page, "single")
    press(page, "1")
    expect(question(page)).to_have_text("What can you see in the disk?")
    press(page, "1", "2")
    visit(page, "multiple")
    press(page, "Enter")
    expect(page.get_by_role("button", name="Bulge")).to_be_visible()
    draw_bulge_by_keyboard(page)
    visit(page, "drawing")
    page.get_by_role("button", name="Next").focus()
    press(page, "Enter")
    expect(question(page)).to_have_text("How far is the disk seen from the side?")
    page.get_by_role("button", name="Next").click()
    expect(page.locator("#task-missing")).to_have_text("Please answer this question first.")
    expect(page.get_by_role("slider", name="How far is the disk")).to_be_focused()
    press(page, "Home", "ArrowRight", "ArrowRight")
    visit(page, "slider")
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Survey", exact=True).select_option(label="ATLAS")
    page.get_by_label("Band", exact=True).select_option(label="g")
    page.get_by_role("radio", name="No", exact=True).check()
    page.get_by_role("textbox", name="Anything else?").fill("A faint tail")
    visit(page, "combo")
    page.get_by_role("button", name="Done").click()


LONG_WAY = [
    {"task": "T0", "value": 0},
    {"task": "T1", "value": [0, 1]},
    {"task": "T3", "value": 10},
    {"task": "T9", "value": [{"value": "atlas", "option": True}, {"value": "g", "option": True}]},
    {"task": "T10", "value": 1},
    {"task": "T11", "value": "A faint tail"},
]


def find_a_star(page: Page, visit: Visit = no_visit) -> None:
    """A survey: narrow the list, choose, mend a confusion, answer what is asked, add another."""
    press(page, "3")
    expect(page.get_by_role("button", name="A star", exact=True)).to_be_visible()
    visit(page, "survey")
    page.get_by_text("Narrow the list").click()
    page.get_by_label("Shape").select_option(label="A point")
    expect(page.get_by_role("button", name="A cluster of stars")).to_be_hidden()
    page.get_by_role("button", name="A star", exact=True).click()
    page.get_by_role("button", name="I see it").click()
    expect(page.locator(".choice-panel [role=alert]")).to_have_text("Please answer this question first.")
    press(page, "2", "5")
    visit(page, "choice")
    page.get_by_role("button", name="I see it").click()
    expect(page.get_by_role("button", name="Change “A star”")).to_be_visible()
    page.get_by_label("Shape").select_option(label="any")
    page.get_by_role("button", name="A satellite's trail").click()
    press(page, "1")
    page.get_by_role("button", name="I see it").click()
    page.get_by_role("button", name="Done").click()


FOUND = [
    {"choice": "STAR", "answers": {"HOWMANY": "2", "WHERE": ["EDGE"]}, "filters": {"SHAPE": "POINT"}},
    {"choice": "SATELLITE", "answers": {"HOWMANY": "1"}, "filters": {}},
]


@pytest.mark.parametrize(
    ("device", "viewport", "scheme"),
    [("desktop", DESKTOP, "light"), ("desktop", DESKTOP, "dark"), ("phone", {"width": 320, "height": 640}, "dark")],
)
def test_every_kind_of_task_is_answered_by_keyboard_and_breaks_no_rule_of_accessibility(
    chromium: Browser, site: str, transactional_db: None, device: str, viewport: dict[str, int], scheme: str
) -> None:
    workflow = make_task_workflow(EVERY_TASK)
    folder = os.environ.get("ESOCS_SCREENSHOTS")
    faults: list[str] = []

    def visit(page: Page, name: str) -> None:
        if folder:
            path = Path(folder) / f"{device}-{scheme}" / f"classify-{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=path)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            faults.append(f"{name} scrolls sideways")
        page.evaluate(AXE.read_text(encoding="utf-8") + "; 0")
        faults.extend(f"{name}: {fault}" for fault in page.evaluate(RUN_AXE))

    context = chromium.new_context(base_url=site, viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    page = context.new_page()
    open_page(page, workflow)
    walk_the_long_way(page, visit)
    wait_until_saved(page, 1)
    find_a_star(page, visit)
    wait_until_saved(page, 2)
    context.close()
    assert faults == []
    first, second = Classification.objects.order_by("id")
    drawn = first.annotations.pop(2)
    assert first.annotations == LONG_WAY
    [bulge] = drawn["value"]
    assert drawn["task"] == "T2"
    assert (bulge["tool"], bulge["frame"], bulge["details"]) == (1, 0, [])
    assert bulge["rx"] == pytest.approx(2 * bulge["ry"], abs=0.02)
    assert 0 < bulge["angle"] < 10, "the long axis rises to the right: against the clock"
    assert second.annotations == [{"task": "T0", "value": 2}, {"task": "T7", "value": FOUND}]


def test_what_was_answered_reaches_the_consensus_and_the_summaries(page: Page, transactional_db: None) -> None:
    workflow = make_task_workflow(EVERY_TASK, pictures=1)
    open_page(page, workflow)
    walk_the_long_way(page)
    wait_until_saved(page, 1)
    given = {(row.task_key, row.answer) for row in Answer.objects.all()}
    assert given == {("T0", 0), ("T1.0", 1), ("T1.1", 1), ("T1.2", 0), ("T1.3", 0), ("T10", 1)}
    write = summarise_workflow(workflow)
    assert write is not None
    write()
    summaries = {row.task_key: row for row in TaskSummary.objects.all()}
    assert {key: row.rejected for key, row in summaries.items() if row.rejected} == {}
    assert summaries["T2"].value["marks"] == 1
    assert summaries["T3"].value["mean"] == 10
    assert summaries["T9"].value["selects"][1]["counts"] == {"g": 1}
    assert summaries["T11"].value["texts"] == {"a faint tail": 1}


def test_back_keeps_answers_on_the_same_path_and_drops_those_on_another(page: Page, transactional_db: None) -> None:
    workflow = make_task_workflow(EVERY_TASK)
    open_page(page, workflow)
    press(page, "2")
    expect(question(page)).to_have_text("How round is it?")
    press(page, "3")
    expect(question(page)).to_have_text("Where would you look it up?")
    page.get_by_role("textbox", name="Anything else?").fill("kept")
    page.get_by_role("button", name="Back").click()
    expect(page.get_by_role("button", name="Like a cigar")).to_have_attribute("aria-current", "true")
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("textbox", name="Anything else?")).to_have_value("kept")
    page.get_by_role("button", name="Back").click()
    page.get_by_role("button", name="Back").click()
    expect(page.get_by_role("button", name="Back")).to_be_hidden()
    expect(question(page)).to_be_focused()
    press(page, "0")
    expect(question(page)).to_have_text("What makes it hard to tell?")
    area = page.get_by_role("textbox")
    area.fill("a halo")
    area.select_text()
    page.get_by_role("button", name="unclear").click()
    page.get_by_role("button", name="Done").click()
    wait_until_saved(page, 1)
    assert Classification.objects.get().annotations == [
        {"task": "T0", "value": 3},
        {"task": "T5", "value": "[unclear]a halo[/unclear]"},
    ]


def test_a_shortcut_ends_the_walk_and_leaves_no_half_answer(page: Page, transactional_db: None) -> None:
    workflow = make_task_workflow(EVERY_TASK)
    open_page(page, workflow)
    first = shown_subject(page)
    page.get_by_role("button", name="The picture is empty").click()
    expect(page.locator("#classify")).not_to_have_attribute("data-subject", first)
    wait_until_saved(page, 1)
    assert Classification.objects.get().annotations == [{"task": "T8", "value": [0]}]


def test_the_focus_follows_the_questions_and_stays_where_it_was_outside(page: Page, transactional_db: None) -> None:
    workflow = make_task_workflow(EVERY_TASK)
    open_page(page, workflow)
    page.get_by_role("button", name="A smooth galaxy").focus()
    press(page, "Enter")
    expect(question(page)).to_be_focused()
    page.get_by_role("button", name="Back").click()
    page.locator("#picture").focus()
    press(page, "2")
    expect(question(page)).to_have_text("How round is it?")
    expect(page.locator("#picture")).to_be_focused()
    expect(page.locator("#task-status")).to_have_text("How round is it?")


def test_questions_show_their_marks_and_pictures_and_never_html(page: Page, transactional_db: None) -> None:
    picture = "https://pictures.example.org/disk.png"
    task = {
        "type": "single",
        "question": f"Is it **flat**? <b>no</b>\n\n![A disk]({picture} =40x)\n\n![bad](javascript:alert)",
        "help": "One.\n\n- a *b*\n- [c](https://example.org/c)\n\n[d](javascript:alert(1)) <script>alert(2)</script>",
        "answers": [{"label": "Yes, [really](https://example.org)"}, {"label": "No"}],
    }
    workflow = make_task_workflow({"tasks": {"T0": task}})
    page.route("https://**", lambda route: route.abort())
    open_page(page, workflow)
    expect(question(page)).to_have_text("Is it flat? <b>no</b>")
    expect(question(page).locator("strong")).to_have_text("flat")
    with page.expect_request(picture):
        page.reload()
    expect(page.locator(".asked img")).to_have_attribute("alt", "A disk")
    page.get_by_text("Help with this question").click()
    expect(page.get_by_role("link", name="c", exact=True)).to_have_attribute("rel", "noopener noreferrer")
    assert page.locator(".asked a").count() == 1, "none to a script, and none inside a button"
    assert page.locator(".asked script").count() == 0


def test_steps_of_several_tasks_and_a_simple_list(page: Page, transactional_db: None) -> None:
    tasks = {
        "T0": {"type": "single", "question": "There?", "answers": [{"label": "Yes", "next": "S2"}, {"label": "No"}]},
        "T1": {"type": "text", "instruction": "Why?", "required": "true"},
        "T2": {
            "type": "dropdown-simple",
            "instruction": "Which?",
            "selects": [{"allowCreate": True, "options": {"*": [{"label": x, "value": x[0]} for x in ("One", "Two")]}}],
        },
        "T3": {"type": "transcription", "instruction": "Read it"},
    }  # fmt: skip
    steps = [
        ["S0", {"taskKeys": ["T0", "T1"], "next": "S1"}],
        ["S1", {"taskKeys": ["T3"]}],
        ["S2", {"taskKeys": ["T2"]}],
    ]
    workflow = make_task_workflow({"tasks": tasks, "steps": steps})
    open_page(page, workflow)
    page.get_by_role("radio", name="Yes").check()
    press(page, "Enter")
    expect(page.locator("#task-missing")).to_have_text("Please answer this question first.")
    expect(page.get_by_role("textbox", name="Why?")).to_be_focused()
    page.get_by_role("textbox", name="Why?").fill("because")
    page.get_by_role("button", name="Next").click()
    page.get_by_role("region", name="Questions").locator("select").select_option(label="Two")
    page.get_by_role("button", name="Done").click()
    wait_until_saved(page, 1)
    page.get_by_role("radio", name="No").check()
    page.get_by_role("textbox", name="Why?").fill("not")
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("cannot be shown on this page")).to_be_visible()
    page.get_by_role("button", name="Done").click()
    wait_until_saved(page, 2)
    first, second = (row.annotations for row in Classification.objects.order_by("id"))
    assert first[2] == {"task": "T2", "taskType": "dropdown-simple", "value": {"selection": 1, "option": True}}
    assert second == [{"task": "T0", "value": 1}, {"task": "T1", "value": "not"}, {"task": "T3", "value": None}]


def test_an_answer_of_several_tasks_is_taken_back_and_comes_back_whole(page: Page, transactional_db: None) -> None:
    workflow = make_task_workflow(EVERY_TASK)
    open_page(page, workflow)
    first = shown_subject(page)
    walk_the_long_way(page)
    wait_until_saved(page, 1)
    given = Classification.objects.get().annotations
    # In the midst of the next one, which keeps nothing of it.
    second = shown_subject(page)
    press(page, "1", "1", "2")
    press(page, "u")
    expect(page.locator("#classify")).to_have_attribute("data-subject", first)
    expect(page.locator("#classify")).to_have_attribute("data-stage", "picture")
    # The last question as it was answered, and every one before it.
    expect(page.get_by_role("textbox", name="Anything else?")).to_have_value("A faint tail")
    expect(page.get_by_label("Survey", exact=True).locator("option:checked")).to_have_text("ATLAS")
    expect(page.get_by_role("radio", name="No", exact=True)).to_be_checked()
    page.get_by_role("button", name="Back").click()
    expect(page.get_by_role("slider", name="How far is the disk")).to_have_value("10")
    page.get_by_role("button", name="Back").click()
    expect(page.locator(".mark:not(.draft)")).to_have_count(1)
    page.get_by_role("button", name="Back").click()
    expect(page.get_by_role("checkbox", checked=True)).to_have_count(2)
    press(page, "2")
    for _ in range(3):
        page.get_by_role("button", name="Next").click()
    page.get_by_role("textbox", name="Anything else?").fill("No tail")
    page.get_by_role("button", name="Done").click()
    expect(page.locator("#classify")).to_have_attribute("data-subject", second)
    wait_until_saved(page, 1)
    expect(question(page)).to_have_text(EVERY_TASK["tasks"]["T0"]["question"].replace("**", ""))
    before, after = Classification.objects.order_by("id")
    assert (before.counted, after.counted, after.revises) == (False, True, before.idempotency_key)
    changed = {"T1": [0], "T11": "No tail"}
    assert after.annotations == [{**one, "value": changed.get(one["task"], one["value"])} for one in given]
    # And a survey.
    find_a_star(page)
    wait_until_saved(page, 2)
    press(page, "u")
    expect(page.locator("#classify")).to_have_attribute("data-subject", second)
    expect(page.get_by_role("button", name="Change “A star”")).to_be_visible()
    page.get_by_role("button", name="Done").click()
    wait_until_saved(page, 2)
    assert Classification.objects.latest("id").annotations == [
        {"task": "T0", "value": 2},
        {"task": "T7", "value": FOUND},
    ]


def test_a_survey_shows_its_pictures_and_goes_on_without_one_that_is_gone(page: Page, transactional_db: None) -> None:
    survey: dict[str, Any] = {
        "type": "survey",
        "choices": {
            "GALAXY": {"label": "A galaxy", "images": ["one.jpg", "two.jpg"], "noQuestions": True},
            "GHOST": {"label": "A ghost", "images": ["gone.jpg", "bad.jpg"], "noQuestions": True},
        },
        "choicesOrder": ["GALAXY", "GHOST"],
    }
    workflow = make_task_workflow({"tasks": {"T0": survey}})
    picture = Media.objects.filter(role="location")[0].url
    images = {"one.jpg": picture, "two.jpg": picture, "gone.jpg": "/media/gone.jpg", "bad.jpg": "javascript:alert(1)"}
    workflow.tasks["T0"]["images"] = images
    workflow.save()
    open_page(page, workflow)
    galaxy = page.get_by_role("button", name="A galaxy")
    expect(galaxy.locator("img")).to_have_js_property("naturalWidth", 424)
    galaxy.click()
    panel = page.locator(".choice-panel")
    expect(panel.get_by_role("img")).to_have_count(2)
    expect(panel.get_by_role("img").first).to_have_js_property("naturalWidth", 424)
    press(page, "Escape")
    page.get_by_role("button", name="A ghost").click()
    assert page.locator("img[src^='javascript']").count() == 0
    page.get_by_role("button", name="I see it").click()
    page.get_by_role("button", name="Done").click()
    wait_until_saved(page, 1)
    [found] = Classification.objects.get().annotations[0]["value"]
    assert found["choice"] == "GHOST"


def test_experts_set_the_gold_standard_where_there_is_one_and_may_draw_too(page: Page, transactional_db: None) -> None:
    workflow = make_task_workflow(EVERY_TASK, pictures=0)
    expert = factories.make_user("expert")
    ProjectRole.objects.create(project=workflow.project, user=expert, role="expert")
    _wait_for_experts(workflow)
    log_in(page, "expert")
    page.goto(f"{classify_path(workflow)}?audience=experts")
    expect(page.locator("#classify")).to_have_attribute("data-stage", "picture")
    walk_the_long_way(page)
    wait_until_saved(page, 1)
    row = Classification.objects.get()
    assert (row.gold_standard, row.expert, row.counted) == (True, "expert", False)
    assert [annotation["task"] for annotation in row.annotations] == ["T0", "T1", "T2", "T3", "T9", "T10", "T11"]


def _wait_for_experts(workflow: Workflow) -> None:
    make_picture_subject(workflow, 7).statuses.update(audience="experts")
