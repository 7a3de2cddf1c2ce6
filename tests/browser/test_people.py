"""Accounts in a browser: an anonymous volunteer's work joins the account they make."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from esocs.accounts.models import User
from esocs.crowd.models import Classification
from tests.browser.scene import Scene, build_scene
from tests.support.factories import PASSWORD

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def scene(transactional_db: None) -> Scene:
    return build_scene(images=6, spectra=0)


def log_in(page: Page, login: str, password: str = PASSWORD) -> None:
    page.goto("/log-in/")
    page.get_by_label("User name").fill(login)
    page.get_by_label("Password").fill(password)
    page.get_by_role("main").get_by_role("button", name="Log in").click()


def test_anonymous_work_joins_the_account_at_sign_up(page: Page, scene: Scene) -> None:
    before = Classification.objects.count()
    page.goto(scene.path(scene.images, "classify"))
    expect(page.locator("#classify")).to_have_attribute("data-stage", "picture")
    page.keyboard.press("2")
    expect(page.locator("#count")).to_have_text("1")
    expect(page.locator("#saving")).to_have_text("All answers saved")
    page.get_by_role("main").get_by_role("link", name="Sign up").click()
    page.get_by_label("User name").fill("newcomer")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create my account").click()
    expect(page.get_by_text("Everything you classified so far is now yours.")).to_be_visible()
    assert "/classify/" in page.url, "the volunteer is back where they were"
    expect(page.locator("#classify")).to_have_attribute("data-stage", "picture")
    page.keyboard.press("1")
    expect(page.locator("#saving")).to_have_text("All answers saved")
    expect(page.locator("#count")).to_have_text("2")
    newcomer = User.objects.get(login="newcomer")
    assert Classification.objects.filter(volunteer__user=newcomer).count() == 2
    assert Classification.objects.count() == before + 2


def test_a_person_logs_in_and_out(page: Page, scene: Scene) -> None:
    log_in(page, "observer", "a wrong password")
    expect(page.get_by_role("alert")).to_contain_text("do not belong together")
    log_in(page, "OBSERVER")
    menu = page.locator("details.menu")
    expect(menu).to_contain_text("observer")
    menu.locator("summary").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_text("You are logged out.")).to_be_visible()
    expect(page.get_by_role("link", name="Log in")).to_be_visible()


def test_the_chosen_colours_stay(page: Page, scene: Scene) -> None:
    page.goto("/")
    page.get_by_role("button", name="Switch to dark colours").click()
    page.goto(f"/projects/{scene.project.slug}/")
    assert page.locator("html").get_attribute("data-theme") == "dark"
    expect(page.get_by_role("button", name="Switch to light colours")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
