"""Without a mouse: every control of the volunteers' pages is reached, seen and left, and a whole sitting is done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from esocs.community.models import Comment
from esocs.crowd.models import Classification
from tests.browser.scene import Scene, build_scene
from tests.browser.sitting import make_drawing_workflow, shown_subject, wait_until_saved
from tests.support.factories import PASSWORD

pytestmark = pytest.mark.django_db(transaction=True)

MOST_STOPS = 120
# What Tab should reach: of a group of radio buttons one, of a closed `details` its summary alone.
REACHABLE = """() => {
    const all = document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']");
    const reachable = [...all].filter((one) => !one.disabled && one.type !== "hidden"
        && one.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true }));
    reachable.forEach((one, place) => { one.dataset.walk = one.type === "radio" ? `radio ${one.name}` : place; });
    return [...new Set(reachable.map((one) => one.dataset.walk))];
}"""
STOP = """() => {
    const one = document.activeElement;
    if (!one || one === document.body) return null;
    const label = one.closest("label") ?? one;
    const seen = one.classList.contains("visually-hidden") ? label : one;
    const box = seen.getBoundingClientRect();
    const marks = [one, label, one.parentElement].map((each) => getComputedStyle(each));
    const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
    return {
        walk: one.dataset.walk ?? null,
        what: one.outerHTML.slice(0, 100),
        // What is drawn is marked by its edge.
        marked: marks.some((style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2)
            || [...one.querySelectorAll(".drawing-edge")].some((e) => parseFloat(getComputedStyle(e).strokeWidth) > 5),
        inView: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
        // The handles of black and white lie on one line, by their nature.
        covered: !one.closest(".cuts") && top !== null
            && !seen.contains(top) && !top.contains(seen) && !label.contains(top),
        tabIndex: one.tabIndex,
    };
}"""


@pytest.fixture
def scene(transactional_db: None) -> Scene:
    return build_scene(images=5, spectra=2)


def stops(page: Page) -> Iterator[dict[str, Any]]:
    """Each element that Tab leads to, from the top of the page until it leaves at its end."""
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        stop = page.evaluate(STOP)
        if stop is None:
            return
        yield stop
    pytest.fail(f"Tab does not come to an end at {page.url}")


def go_to(page: Page, target: Locator, key: str = "Tab") -> None:
    """Press Tab until an element has the focus."""
    for _ in range(MOST_STOPS):
        if target.evaluate("(one) => one === document.activeElement"):
            return
        page.keyboard.press(key)
    pytest.fail(f"{key} does not lead to {target}")


def press(page: Page, target: Locator, key: str = "Enter") -> None:
    go_to(page, target)
    page.keyboard.press(key)


def faults_of(page: Page, name: str) -> list[str]:
    expected = set(page.evaluate(REACHABLE))
    found, faults = set(), []
    for stop in stops(page):
        found.add(str(stop["walk"]))
        for fault, wrong in (
            ("is not marked", not stop["marked"]),
            ("is out of view", not stop["inView"]),
            ("is covered", stop["covered"]),
            ("is out of order", stop["tabIndex"] > 0),
        ):
            if wrong:
                faults.append(f"{name}: {stop['what']} {fault}")
    missed = {str(walk) for walk in expected} - found
    faults += [
        f"{name}: Tab does not reach {walk}: "
        + page.evaluate("(walk) => document.querySelector(`[data-walk='${walk}']`).outerHTML.slice(0, 100)", walk)
        for walk in missed
    ]
    return faults


def test_tab_reaches_every_control_of_the_volunteers_pages_and_leaves_each(page: Page, scene: Scene) -> None:
    project = f"/projects/{scene.project.slug}/"
    drawing = make_drawing_workflow(scene.project)
    pages = {
        "home": "/",
        "sign-up": "/sign-up/",
        "project": project,
        "talk": f"{project}talk/",
        "thread": f"{project}subjects/{scene.settled.pk}/",
        "image": scene.path(scene.images, "classify"),
        "spectrum": scene.path(scene.spectra, "classify"),
        "drawing": scene.path(drawing, "classify"),
    }
    faults = []
    for name, address in pages.items():
        page.goto(address)
        if address.endswith("/classify/"):
            stage = "spectrum" if name == "spectrum" else "picture"
            expect(page.locator("#classify")).to_have_attribute("data-stage", stage)
            expect(page.locator("#companion .companion")).to_be_attached()
        if name == "image":
            expect(page.locator("#viewer")).to_have_attribute("data-painter", "canvas")
        if name == "drawing":
            expect(page.get_by_text("Knot", exact=True)).to_be_visible()
        page.wait_for_load_state("networkidle")
        faults += faults_of(page, name)
    log_in_by_keyboard(page)
    for name, address in {
        "account": "/account/", "collections": "/collections/", "work": f"{project}my-work/",
        "thread signed in": pages["thread"], "image signed in": pages["image"],
    }.items():  # fmt: skip
        page.goto(address)
        page.wait_for_load_state("networkidle")
        faults += faults_of(page, name)
    assert not faults, "\n".join(faults)


def log_in_by_keyboard(page: Page) -> None:
    page.goto("/log-in/")
    go_to(page, page.get_by_label("User name"))
    page.keyboard.type("observer")
    go_to(page, page.get_by_label("Password"))
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("details.menu")).to_be_visible()


def test_a_sitting_from_the_log_in_to_a_comment(page: Page, scene: Scene) -> None:
    before = Classification.objects.count()
    log_in_by_keyboard(page)
    press(page, page.get_by_role("main").get_by_role("link", name="Deep field survey").first)
    press(page, page.locator(f"a[href$='workflows/{scene.images.pk}/classify/']").first)
    shell = page.locator("#classify")
    expect(shell).to_have_attribute("data-stage", "picture")
    expect(page.get_by_role("button", name="Favourite")).to_be_visible()
    first = shown_subject(page)
    # Answers by Tab and Enter, not by a key of their own.
    press(page, page.get_by_role("button", name="Spiral"))
    expect(shell).not_to_have_attribute("data-subject", first)
    second = shown_subject(page)
    assert page.evaluate("document.activeElement !== document.body"), "the focus stays among the answers"
    press(page, page.get_by_role("button", name="Undo"))
    expect(shell).to_have_attribute("data-subject", first)
    expect(shell).to_have_attribute("data-stage", "picture")
    press(page, page.get_by_role("button", name="Merger"), "Space")
    expect(shell).to_have_attribute("data-subject", second)
    # Look closer: the picture, its tools, a list of choices, a slider.
    go_to(page, page.locator("#picture"), "Shift+Tab")
    page.keyboard.press("+")
    expect(page.locator("#zoom-readout")).to_have_text("1.4×")
    go_to(page, page.get_by_label("Stretch"))
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("Stretch")).to_have_value("linear")
    go_to(page, page.get_by_role("button", name="Favourite"), "Shift+Tab")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Favourite")).to_have_attribute("aria-pressed", "true")
    # The list of keys holds the focus while it is open, and gives it back.
    keys = page.locator("#show-keys")
    go_to(page, keys, "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(keys).to_be_focused()
    wait_until_saved(page, 1)
    assert Classification.objects.count() == before + 2, "an answer and its revision"
    press(page, page.get_by_role("link", name="Talk about the last one"))
    expect(page.get_by_role("heading", name=f"Subject {first}")).to_be_visible()
    go_to(page, page.get_by_label("Your comment"))
    page.keyboard.type("Two nuclei, so it is a #merger")
    press(page, page.get_by_role("button", name="Say it"))
    expect(page.get_by_role("link", name="#merger")).to_be_visible()
    assert Comment.objects.get().body == "Two nuclei, so it is a #merger"
