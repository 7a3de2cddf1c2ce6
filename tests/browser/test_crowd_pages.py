"""The scientists' pages of the crowd in a browser: forms that change in place, and the same without a script."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from esocs.crowd.models import SubjectRule
from tests.browser.scene import Scene, build_crowd, build_scene
from tests.browser.test_looks import AXE, RUN_AXE
from tests.browser.test_people import log_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def scene(transactional_db: None) -> Scene:
    scene = build_scene(images=2, spectra=0)
    build_crowd(scene, subjects=30)
    return scene


def test_a_rule_is_added_tried_and_saved_without_a_reload(page: Page, scene: Scene) -> None:
    log_in(page, "observer")
    page.goto(scene.path(scene.images, "retirement"))
    page.evaluate("window.stayed = true")
    rules = page.locator(".rules li")
    expect(rules).to_have_count(2)
    page.get_by_role("button", name="So many agree", exact=True).click()
    expect(rules).to_have_count(3)
    blank = page.get_by_label("Volunteers of rule 3")
    expect(blank).to_be_focused()
    blank.fill("0")
    page.get_by_role("button", name="Preview").last.click()
    expect(rules.nth(2)).to_contain_text("is not between 1 and 10000")
    blank.fill("5")
    page.get_by_role("button", name="Preview").last.click()
    expect(page.locator("#preview")).to_contain_text("This would retire")
    assert page.evaluate("window.stayed") is True
    assert SubjectRule.objects.filter(active=True).count() == 2, "a preview changes nothing"
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").first).to_contain_text("Every subject is now considered again")
    expect(rules).to_have_count(3)
    assert SubjectRule.objects.filter(active=True, template="agree", options={"count": 5}).count() == 1


def test_the_fields_of_a_choice_that_is_not_made_are_out_of_sight(page: Page, scene: Scene) -> None:
    log_in(page, "observer")
    page.goto(scene.path(scene.images, "retirement"))
    threshold, count = page.get_by_label("Probability τ"), page.get_by_label("Classifications", exact=True)
    expect(threshold).to_be_visible()
    expect(count).to_be_hidden()
    page.get_by_label("after a number of classifications").check()
    expect(threshold).to_be_hidden()
    expect(count).to_be_visible()


def test_the_enter_key_tries_the_setting_and_does_not_save_it(page: Page, scene: Scene) -> None:
    log_in(page, "observer")
    page.goto(scene.path(scene.images, "retirement"))
    page.get_by_label("Votes at most").fill("30")
    page.get_by_label("Votes at most").press("Enter")
    expect(page.locator("#preview")).to_contain_text("Nothing has been changed yet")
    scene.images.refresh_from_db()
    assert scene.images.retirement["options"]["maximum"] == 15


def test_a_setting_is_changed_without_any_script(chromium: Browser, site: str, scene: Scene) -> None:
    context = chromium.new_context(base_url=site, java_script_enabled=False)
    page = context.new_page()
    log_in(page, "observer")
    page.goto(scene.path(scene.images, "retirement"))
    page.get_by_role("button", name="So many in total").click()
    page.get_by_label("Volunteers of rule 3").fill("9")
    page.get_by_role("button", name="Remove rule 1").click()
    expect(page.locator(".rules li")).to_have_count(2)
    page.get_by_role("button", name="Preview").last.click()
    expect(page.locator("#preview")).to_contain_text("This would retire")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").first).to_contain_text("Saved.")
    context.close()
    rules = SubjectRule.objects.filter(active=True).order_by("position")
    assert list(rules.values_list("template", flat=True)) == ["move", "total"]


def test_volunteers_are_filtered_without_a_reload(page: Page, scene: Scene) -> None:
    log_in(page, "observer")
    page.goto(scene.path(scene.images, "volunteers"))
    page.evaluate("window.stayed = true")
    page.get_by_label("Who", exact=True).select_option("named")
    expect(page.locator("th.who")).to_have_count(3)
    page.get_by_label("Who", exact=True).select_option("unheard")
    expect(page.locator("th.who")).to_have_count(1)
    expect(page.locator("#volunteers-table")).to_contain_text("they tell less than 0.02 bit each")
    assert page.evaluate("window.stayed") is True
    assert "shown=unheard" in page.url


def test_an_expert_goes_from_the_review_to_the_answering_and_back(page: Page, scene: Scene) -> None:
    log_in(page, "observer")
    page.goto(scene.path(scene.images, "review"))
    page.get_by_role("link", name="Contested 2").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    page.locator("tbody tr").first.get_by_role("link").click()
    expect(page.get_by_text("It waits for an expert (contested)")).to_be_visible()
    page.get_by_role("link", name="Answer as an expert").click()
    expect(page.locator("#classify")).to_have_attribute("data-stage", "picture")


def test_an_audit_is_drawn_on_the_page(page: Page, scene: Scene) -> None:
    log_in(page, "observer")
    page.goto(scene.path(scene.images, "review"))
    page.get_by_label("Draw this many at random").fill("2")
    page.get_by_role("button", name="Draw").click()
    expect(page.get_by_role("status").first).to_contain_text("2 retired subjects were drawn")
    expect(page.locator("tbody tr")).to_have_count(5)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_errors_a_preview_and_every_kind_of_rule_have_no_accessibility_violation(
    page: Page, scene: Scene, scheme: str
) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    log_in(page, "observer")
    page.goto(scene.path(scene.images, "retirement"))
    for number, title in enumerate(("So many agree", "One expert is enough", "So many in total"), start=3):
        page.get_by_role("button", name=title, exact=True).click()
        expect(page.locator(".rules li")).to_have_count(number)
        # A new rule's first field takes the focus a moment after it is there, and with it what is typed meanwhile.
        expect(page.locator(".rules li").last.get_by_role("textbox").first).to_be_focused()
    page.get_by_label("Experts of rule 4").fill("none")
    page.get_by_label("Probability τ").fill("2")
    page.get_by_role("button", name="Preview").last.click()
    expect(page.locator(".rules .errors")).to_have_count(1)
    expect(page.locator("#setting-error")).to_be_focused()
    page.evaluate(AXE.read_text(encoding="utf-8") + "; 0")
    assert page.evaluate(RUN_AXE) == []
    page.get_by_label("Experts of rule 4").fill("2")
    page.get_by_label("Probability τ").fill("0.9")
    page.get_by_role("button", name="Preview").last.click()
    expect(page.locator("#preview")).to_be_focused()
    assert page.evaluate(RUN_AXE) == []
