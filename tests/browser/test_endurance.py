"""A long sitting: two hundred answers in a row leave the page as light as it was."""

from __future__ import annotations

import pytest
from playwright.sync_api import CDPSession, Page, expect

from esocs.crowd.models import Classification
from esocs.projects.models import Workflow
from tests.browser.sitting import answer, make_picture_workflow, open_page

pytestmark = pytest.mark.django_db(transaction=True)

ANSWERS = 200
WARM_UP = 20
MOST_GROWTH_BYTES = 10_000_000


@pytest.fixture
def workflow(transactional_db: None) -> Workflow:
    return make_picture_workflow(pictures=ANSWERS + WARM_UP + 10)


def heap_bytes(devtools: CDPSession) -> int:
    """What the page's scripts hold once everything that can be let go of is gone."""
    for _ in range(2):
        devtools.send("HeapProfiler.collectGarbage")
    return int(devtools.send("Runtime.getHeapUsage")["usedSize"])


def test_two_hundred_answers_by_keyboard_leave_the_heap_as_it_was(page: Page, workflow: Workflow) -> None:
    open_page(page, workflow)
    devtools = page.context.new_cdp_session(page)
    devtools.send("HeapProfiler.enable")
    for number in range(WARM_UP):
        answer(page, str(number % 6 + 1))
    before = heap_bytes(devtools)
    for number in range(ANSWERS):
        answer(page, str(number % 6 + 1))
    expect(page.locator("#saving")).to_have_text("All answers saved")
    growth = heap_bytes(devtools) - before
    print(f"heap growth over {ANSWERS} answers: {growth / 1e6:.2f} MB from {before / 1e6:.2f} MB")
    assert growth < MOST_GROWTH_BYTES
    assert Classification.objects.filter(counted=True).count() == ANSWERS + WARM_UP
