"""Every key of the classify page: listed, changed, refused, kept, reset, switched off (WCAG 2.1.4)."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Browser, Page, expect

from esocs.crowd.models import Classification
from esocs.projects.models import Workflow
from tests.browser.conftest import PHONE
from tests.browser.sitting import make_picture_workflow, open_page, shown_subject, wait_until_saved

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def workflow(transactional_db: None) -> Workflow:
    return make_picture_workflow(pictures=6)


def choose_key(page: Page, action: str, key: str) -> None:
    page.locator(f"[data-key-action={action}]").click()
    expect(page.locator("[data-key-status]")).to_contain_text("Press the new key")
    page.keyboard.press(key)


def test_a_volunteer_gives_the_actions_keys_of_their_own(page: Page, workflow: Workflow) -> None:
    open_page(page, workflow)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    choose_key(page, "answer-2", "j")
    expect(page.locator("[data-key-status]")).to_have_text("“Give answer 2” is now j.")
    # A key that is taken is told, and given only when the volunteer insists.
    choose_key(page, "skip", "1")
    expect(page.locator("[data-key-status]")).to_have_text("1 is the key for “Give answer 1” already.")
    expect(page.get_by_role("button", name="Skip this one: s. Change")).to_be_visible()
    page.get_by_role("button", name="Use 1 for “Skip this one” instead").click()
    expect(page.get_by_role("button", name="Give answer 1: none. Change")).to_be_visible()
    # Escape leaves a key as it is, and the list open.
    choose_key(page, "keys", "Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()

    page.reload()
    expect(page.locator("#classify")).to_have_attribute("data-stage", "picture")
    expect(page.get_by_role("button", name="Spiral").locator("kbd")).to_have_text("j")
    expect(page.locator("#skip")).to_have_attribute("aria-keyshortcuts", "1")
    skipped = shown_subject(page)
    page.keyboard.press("1")
    expect(page.locator("#classify")).not_to_have_attribute("data-subject", skipped)
    page.keyboard.press("2")
    page.keyboard.press("J")  # with shift, or caps lock on
    wait_until_saved(page, 1)
    assert Classification.objects.get().annotations == [{"task": "T0", "value": 1}]

    page.keyboard.press("?")
    page.get_by_role("button", name="Reset all keys").click()
    expect(page.get_by_role("button", name="Skip this one: s. Change")).to_be_visible()


def test_keys_of_one_character_can_be_switched_off(page: Page, workflow: Workflow) -> None:
    open_page(page, workflow)
    page.get_by_role("button", name="Keys", exact=True).click()
    page.get_by_label("Keys of one character work").uncheck()
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("button", name="Spiral").locator("kbd")).to_be_hidden()
    shown = shown_subject(page)
    for key in ("1", "s", "?"):
        page.keyboard.press(key)
    assert shown_subject(page) == shown
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
    # What is no character still works.
    page.locator("main").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    wait_until_saved(page, 1)
    assert Classification.objects.get().annotations == [{"task": "T0", "value": 0}]


def test_a_key_belongs_to_the_control_that_has_the_focus(page: Page, workflow: Workflow) -> None:
    open_page(page, workflow)
    shown = shown_subject(page)
    slider = page.get_by_label("Angle")
    slider.focus()
    page.keyboard.press("ArrowUp")
    expect(slider).to_be_focused()
    # Inside the picture the arrows move it; outside they walk through the answers.
    page.locator("#picture").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#picture")).to_be_focused()
    page.get_by_role("button", name="Skip").focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("button", name="Elliptical")).to_be_focused()
    assert shown_subject(page) == shown


def swipe(page: Page, from_x: float, to_x: float) -> None:
    """A finger drawn across the picture, as a touch screen tells it."""
    page.evaluate("scrollTo(0, 0)")
    box = page.locator("#viewer").bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    devtools = page.context.new_cdp_session(page)
    # The finger takes a tenth of a second, however long the machine takes to tell of it.
    began = time.time()
    way = [("touchStart", from_x), ("touchMove", (from_x + to_x) / 2), ("touchMove", to_x), ("touchEnd", None)]
    for step, (kind, x) in enumerate(way):
        points = [] if x is None else [{"x": box["x"] + x * box["width"], "y": y}]
        event = {"type": kind, "touchPoints": points, "timestamp": began + step / 30}
        devtools.send("Input.dispatchTouchEvent", event)


def test_swipes_skip_take_back_and_answer_as_the_volunteer_chooses(
    chromium: Browser, site: str, workflow: Workflow
) -> None:
    context = chromium.new_context(base_url=site, viewport=PHONE, has_touch=True, is_mobile=True)
    page = context.new_page()
    open_page(page, workflow)
    skipped = shown_subject(page)
    swipe(page, 0.8, 0.2)
    expect(page.locator("#classify")).not_to_have_attribute("data-subject", skipped)
    answered = shown_subject(page)
    page.get_by_role("button", name="Elliptical").click()
    wait_until_saved(page, 1)
    swipe(page, 0.2, 0.8)
    expect(page.locator("#classify")).to_have_attribute("data-subject", answered)
    expect(page.locator("#classify")).to_have_attribute("data-stage", "picture")
    page.get_by_role("button", name="Swipes and keys").click()
    page.get_by_label("Swipe to the right").select_option(label="Give answer 2")
    page.get_by_role("button", name="Close").click()
    swipe(page, 0.2, 0.8)
    expect(page.locator("#classify")).not_to_have_attribute("data-subject", answered)
    expect(page.locator("#saving")).to_have_text("All answers saved")
    counted = Classification.objects.get(counted=True)
    assert (str(counted.subject_id), counted.annotations[0]["value"]) == (answered, 1)
    # A picture that is zoomed in is moved, not answered.
    expect(page.locator("#classify")).to_have_attribute("data-stage", "picture")
    shown = shown_subject(page)
    page.get_by_role("button", name="Zoom in").click()
    swipe(page, 0.2, 0.8)
    assert shown_subject(page) == shown
    page.goto("about:blank")
    context.close()
