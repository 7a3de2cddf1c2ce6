"""The volunteer's page as a person uses it: by keyboard, by mouse, and over a bad connection."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Route, expect

from esocs.crowd.models import Classification
from esocs.projects.models import Workflow
from tests.browser.pictures import break_picture
from tests.browser.sitting import (
    answer,
    classify_path,
    make_picture_workflow,
    open_page,
    shown_subject,
    wait_until_saved,
)
from tests.support import factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def workflow(transactional_db: None) -> Workflow:
    return make_picture_workflow()


def test_an_anonymous_volunteer_labels_images_by_keyboard(page: Page, workflow: Workflow) -> None:
    page.goto("/")
    page.get_by_role("link", name="Take part in Galaxy shapes").click()
    page.get_by_role("link", name="Classify Shapes").click()
    expect(page.locator("#classify")).to_have_attribute("data-stage", "picture")
    seen = []
    for key in (1, 2, 6):
        seen.append(shown_subject(page))
        page.keyboard.press(str(key))
        expect(page.locator("#classify")).not_to_have_attribute("data-subject", seen[-1])
    wait_until_saved(page, 3)
    stored = Classification.objects.order_by("id")
    assert [str(row.subject_id) for row in stored] == seen
    assert [row.annotations for row in stored] == [[{"task": "T0", "value": value}] for value in (0, 1, 5)]
    assert {row.volunteer.user for row in stored} == {None}
    metadata = stored[0].metadata
    assert metadata["source"] == "esocs"
    assert metadata["started_at"] < metadata["finished_at"]
    assert metadata["subject_dimensions"][0]["naturalWidth"] > 0


def test_an_anonymous_volunteer_labels_images_by_mouse(page: Page, workflow: Workflow) -> None:
    open_page(page, workflow)
    first = shown_subject(page)
    page.get_by_role("button", name="Spiral").click()
    expect(page.locator("#classify")).not_to_have_attribute("data-subject", first)
    wait_until_saved(page, 1)
    assert Classification.objects.get().annotations == [{"task": "T0", "value": 1}]


def test_arrows_and_enter_answer_too(page: Page, workflow: Workflow) -> None:
    open_page(page, workflow)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    wait_until_saved(page, 1)
    assert Classification.objects.get().annotations == [{"task": "T0", "value": 1}]


def test_the_next_picture_is_already_there(page: Page, workflow: Workflow) -> None:
    open_page(page, workflow)
    page.wait_for_load_state("networkidle")
    # With every request for a subject or a picture held back, the next picture must still come.
    held_back: list[Route] = []

    def hold_back(route: Route) -> None:
        held_back.append(route)

    page.route("**/media/**", hold_back)
    page.route("**/api/**", hold_back)
    for _ in range(2):
        before = shown_subject(page)
        page.keyboard.press("1")
        expect(page.locator("#classify")).not_to_have_attribute("data-subject", before)
        expect(page.locator("#classify")).to_have_attribute("data-stage", "picture")
    assert held_back
    for route in held_back:
        route.continue_()
    page.unroute_all(behavior="wait")
    page.reload()
    wait_until_saved(page, 2)


def test_an_answer_is_stored_once_though_the_line_is_cut_and_the_page_reloaded(page: Page, workflow: Workflow) -> None:
    open_page(page, workflow)
    # The first send reaches the server, and its answer is lost on the way back.
    lost: list[int] = []

    def lose_the_answer(route: Route) -> None:
        if not lost:
            lost.append(route.fetch().status)
        route.abort()

    page.route("**/api/classifications**", lose_the_answer)
    answered = shown_subject(page)
    page.keyboard.press("2")
    expect(page.locator("#saving")).to_have_text("1 answer kept here until the connection is back")
    assert lost == [201]
    assert Classification.objects.count() == 1
    page.keyboard.press("3")
    expect(page.locator("#saving")).to_have_text("2 answers kept here until the connection is back")
    page.unroute_all(behavior="ignoreErrors")
    page.reload()
    expect(page.locator("#saving")).to_have_text("All answers saved")
    expect(page.locator("#classify")).to_have_attribute("data-stage", "picture")
    stored = list(Classification.objects.order_by("id"))
    assert [row.annotations[0]["value"] for row in stored] == [1, 2]
    assert str(stored[0].subject_id) == answered
    assert shown_subject(page) not in {str(row.subject_id) for row in stored}


def test_a_key_held_down_answers_once(page: Page, workflow: Workflow) -> None:
    open_page(page, workflow)
    for _ in range(5):
        page.keyboard.down("1")
    page.keyboard.up("1")
    wait_until_saved(page, 1)
    assert Classification.objects.count() == 1


def test_a_damaged_picture_is_told_kindly_and_can_be_skipped(page: Page, workflow: Workflow) -> None:
    for subject in workflow.project.subjects.all():
        break_picture(subject)
    page.goto(classify_path(workflow))
    expect(page.get_by_role("heading", name="This one cannot be shown")).to_be_visible()
    first = shown_subject(page)
    page.keyboard.press("1")
    assert shown_subject(page) == first, "what cannot be seen cannot be answered"
    page.get_by_role("button", name="Skip it").click()
    expect(page.locator("#classify")).not_to_have_attribute("data-subject", first)
    assert Classification.objects.count() == 0


def test_when_nothing_is_left_the_volunteer_is_thanked(page: Page, workflow: Workflow) -> None:
    other = factories.make_workflow(workflow.project, display_name="Another question")
    for subject in workflow.project.subjects.all()[3:]:
        subject.statuses.update(state="retired")
    open_page(page, workflow)
    for count in range(1, 4):
        answer(page)
        expect(page.locator("#count")).to_have_text(str(count))
    expect(page.get_by_role("heading", name="Nothing is left for you here. Thank you!")).to_be_visible()
    expect(page.get_by_role("link", name=f"Go on with {other.display_name}")).to_be_visible()
    wait_until_saved(page, 3)
    assert Classification.objects.count() == 3


def test_hidden_metadata_stays_hidden(page: Page, workflow: Workflow) -> None:
    open_page(page, workflow)
    page.get_by_text("About this image").click()
    expect(page.locator("#facts")).to_contain_text("SIMCAM")
    expect(page.locator("#facts")).not_to_contain_text("hidden")


def test_the_viewer_zooms_and_inverts_by_key(page: Page, workflow: Workflow) -> None:
    open_page(page, workflow)
    page.keyboard.press("+")
    expect(page.locator("#zoom-readout")).to_have_text("1.4×")
    page.keyboard.press("r")
    expect(page.locator("#zoom-readout")).to_have_text("1.0×")
    page.keyboard.press("i")
    expect(page.get_by_role("button", name="Invert")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("1")
    assert Classification.objects.count() == 0, "a key in the help does not answer"
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()


def test_a_refused_answer_is_told_in_a_sentence_and_the_page_goes_on(page: Page, workflow: Workflow) -> None:
    open_page(page, workflow)
    subject = workflow.project.subjects.get(pk=int(shown_subject(page)))
    subject.set_members.all().delete()
    subject.statuses.all().delete()
    page.keyboard.press("1")
    expect(page.locator("#notice")).to_contain_text("taken out of this question")
    expect(page.locator("#classify")).to_have_attribute("data-stage", "picture")
    page.keyboard.press("2")
    wait_until_saved(page, 2)
    assert Classification.objects.count() == 1


def test_two_tabs_hold_different_subjects_and_each_answer_counts_once(page: Page, workflow: Workflow) -> None:
    open_page(page, workflow)
    other = page.context.new_page()
    open_page(other, workflow)
    assert shown_subject(other) != shown_subject(page)
    page.context.set_offline(True)
    page.keyboard.press("1")
    expect(page.locator("#saving")).to_have_text("1 answer kept here until the connection is back")
    other.keyboard.press("2")
    expect(other.locator("#saving")).to_have_text("2 answers kept here until the connection is back")
    page.context.set_offline(False)
    for tab in (page, other):
        wait_until_saved(tab, 1)
    stored = list(Classification.objects.all())
    assert sorted(row.annotations[0]["value"] for row in stored) == [0, 1]
    assert len({row.subject_id for row in stored}) == 2
    assert all(row.counted for row in stored)
    other.close()
