"""Spectra on the volunteer's page."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import Page, expect

from esocs.crowd.models import Classification
from esocs.projects.models import Media, Workflow
from tests.browser.pictures import make_spectrum_subject
from tests.support import factories

pytestmark = pytest.mark.django_db(transaction=True)

COUNT_DATA_PIXELS = """() => {
    const canvas = document.querySelector("#spectrum canvas");
    const style = getComputedStyle(document.documentElement).getPropertyValue("--data").trim();
    const wanted = [1, 3, 5].map(i => parseInt(style.slice(i, i + 2), 16));
    const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let n = 0;
    for (let i = 0; i < data.length; i += 4)
        if (data[i + 3] > 200 && wanted.every((value, c) => Math.abs(data[i + c] - value) < 12)) n++;
    return n;
}"""


@pytest.fixture
def workflow(transactional_db: None) -> Workflow:
    workflow = factories.make_workflow(
        factories.make_project(owner=factories.make_user("scientist")),
        kind="spectrum",
        answers=("Star", "Galaxy", "Emission-line galaxy", "Quasar", "Bad"),
        question="What kind of object has this spectrum?",
    )
    for seed in range(4):
        make_spectrum_subject(workflow, seed)
    return workflow


def open_page(page: Page, workflow: Workflow, stage: str = "spectrum") -> None:
    page.goto(f"/projects/{workflow.project.slug}/workflows/{workflow.pk}/classify/")
    expect(page.locator("#classify")).to_have_attribute("data-stage", stage)


def test_a_spectrum_is_drawn_and_labelled(page: Page, workflow: Workflow) -> None:
    open_page(page, workflow)
    assert page.evaluate(COUNT_DATA_PIXELS) > 500
    page.get_by_role("button", name="Emission-line galaxy").click()
    expect(page.locator("#saving")).to_have_text("All answers saved")
    expect(page.locator("#count")).to_have_text("1")
    assert Classification.objects.get().annotations == [{"task": "T0", "value": 2}]


def test_a_spectrum_is_zoomed_by_dragging_and_shown_whole_again(page: Page, workflow: Workflow) -> None:
    open_page(page, workflow)
    plot = page.locator("#spectrum .u-over")
    box = plot.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.4, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, middle, steps=4)
    page.mouse.up()
    page.mouse.move(box["x"] + box["width"] - 2, middle)
    # 370 to 950 nm: half of the way is 660 nm, where the right edge lies after the zoom.
    expect(page.locator("#readout")).to_contain_text("65")
    page.keyboard.press("r")
    page.mouse.move(box["x"] + box["width"] - 3, middle)
    expect(page.locator("#readout")).to_contain_text("94")


def test_smoothing_changes_what_is_drawn_and_says_so(page: Page, workflow: Workflow) -> None:
    open_page(page, workflow)
    rough = page.evaluate(COUNT_DATA_PIXELS)
    page.get_by_label("Smoothing").fill("31")
    expect(page.locator("#smoothing-value")).to_have_text("31 samples")
    page.wait_for_function(f"() => ({COUNT_DATA_PIXELS})() < {rough} * 0.8")


def test_without_its_numbers_a_spectrum_is_shown_as_its_picture(page: Page, workflow: Workflow) -> None:
    for media in Media.objects.filter(role=Media.Role.SPECTRUM_DATA):
        (Path(settings.MEDIA_ROOT) / media.path).write_text("{not json", encoding="utf-8")
    open_page(page, workflow, stage="picture")
    page.keyboard.press("1")
    expect(page.locator("#saving")).to_have_text("All answers saved")
    expect(page.locator("#count")).to_have_text("1")
    assert Classification.objects.count() == 1
