"""Whatever becomes of the line, the tab, the clock or the session: each answer is stored, and counted once."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from esocs.accounts.models import User
from esocs.crowd.models import Classification, Consensus
from esocs.projects.models import Workflow
from esocs.projects.rules import build_question
from esocs.projects.services import change_workflow
from esocs.web.views import classify
from tests.browser.pictures import make_picture_subject
from tests.browser.sitting import (
    answer,
    classify_path,
    make_drawing_workflow,
    make_picture_workflow,
    open_page,
    shown_subject,
    wait_until_saved,
)
from tests.support.factories import PASSWORD

pytestmark = pytest.mark.django_db(transaction=True)

SAVED = "All answers saved"
SHELL = "#classify"


@pytest.fixture
def workflow(transactional_db: None) -> Workflow:
    return make_picture_workflow(pictures=10)


def assert_counted_once(expected: dict[str, int]) -> None:
    """Each subject's counted answers are this one, and the sums were made of it."""
    counted = Classification.objects.filter(counted=True)
    found = [(str(row.subject_id), row.annotations[0]["value"]) for row in counted]
    assert sorted(found) == sorted(expected.items())
    for subject, value in expected.items():
        counts = Consensus.objects.get(status__subject=int(subject)).answer_counts
        assert counts == [int(place == value) for place in range(len(counts))]


class Line:
    """A line to the site that can be cut: what is behind it is, for the browser, a server that stopped."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self.target = (parts.hostname or "127.0.0.1", parts.port or 80)
        self.up()
        self.address = "http://{}:{}".format(*self.door.getsockname())

    def up(self, port: int = 0) -> None:
        self.door = socket.create_server(("127.0.0.1", port))
        self.open: list[socket.socket] = []
        threading.Thread(target=self._accept, args=(self.door,), daemon=True).start()

    def down(self) -> int:
        """Cut every connection and take no new one; returns the port, to come back under."""
        port = int(self.door.getsockname()[1])
        for end in [self.door, *self.open]:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        return port

    def _accept(self, door: socket.socket) -> None:
        while True:
            try:
                near, _ = door.accept()
                far = socket.create_connection(self.target)
            except OSError:
                return
            self.open += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    @staticmethod
    def _carry(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


@pytest.fixture
def line(site: str) -> Iterator[Line]:
    line = Line(site)
    yield line
    line.down()


def test_fifty_answers_without_a_connection_and_back(
    page: Page, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classify, "PLENTY", 60)
    for seed in range(10, 68):
        make_picture_subject(workflow, seed)
    open_page(page, workflow)
    given: dict[str, int] = {}
    # Each answer brings a few more subjects than it takes, until the page holds its fill.
    while int(page.locator(SHELL).get_attribute("data-queued") or 0) < 51:
        subject, value = shown_subject(page), len(given) % 6
        given[answer(page, str(value + 1))] = value
        expect(page.locator("#saving")).to_have_text(SAVED)
        assert len(given) < 14
        assert subject in given
    # Each picture that was shown, is shown or waits has come by now.
    queued = int(page.locator(SHELL).get_attribute("data-queued") or 0)
    page.wait_for_function(
        """n => new Set(performance.getEntriesByType("resource").map((one) => one.name)
            .filter((name) => name.includes("/media/") && name.endsWith(".jpg"))).size >= n""",
        arg=len(given) + 1 + queued,
    )
    before = Classification.objects.count()
    page.context.set_offline(True)
    for number in range(50):
        expect(page.locator(SHELL)).to_have_attribute("data-stage", "picture")
        given[answer(page, str(number % 6 + 1))] = number % 6
    expect(page.locator("#saving")).to_have_text("50 answers kept here until the connection is back")
    assert Classification.objects.count() == before
    page.context.set_offline(False)
    expect(page.locator("#saving")).to_have_text(SAVED)
    assert len(given) == before + 50
    assert_counted_once(given)


def test_a_stopped_server_and_a_closed_tab_lose_nothing(
    context: BrowserContext, workflow: Workflow, line: Line
) -> None:
    page = context.new_page()
    page.goto(line.address + classify_path(workflow))
    expect(page.locator(SHELL)).to_have_attribute("data-stage", "picture")
    given = {answer(page, "1"): 0}
    expect(page.locator("#saving")).to_have_text(SAVED)
    port = line.down()
    given[answer(page, "2")] = 1
    given[answer(page, "3")] = 2
    expect(page.locator("#saving")).to_have_text("2 answers kept here until the connection is back")
    page.close()
    assert Classification.objects.count() == 1
    line.up(port)
    page = context.new_page()
    page.goto(line.address + classify_path(workflow))
    expect(page.locator(SHELL)).to_have_attribute("data-stage", "picture")
    expect(page.locator("#saving")).to_have_text(SAVED)
    assert shown_subject(page) not in given
    assert_counted_once(given)
    page.close()


@pytest.mark.parametrize("trouble", ["an error before", "an error after", "a time-out before", "a time-out after"])
def test_an_error_or_a_time_out_before_or_after_the_answer_was_stored(
    page: Page, workflow: Workflow, trouble: str
) -> None:
    open_page(page, workflow)
    seen: list[str] = []

    def disturb(route: Route) -> None:
        seen.append(trouble)
        if len(seen) > 2:
            route.continue_()
            return
        if trouble.endswith("after"):
            route.fetch()
        if trouble.startswith("an error"):
            route.fulfill(status=500, body="<h1>broken</h1>", content_type="text/html")
        else:
            route.abort("timedout")

    page.route("**/api/classifications**", disturb)
    given = {answer(page, "2"): 1}
    expect(page.locator("#saving")).to_have_text(SAVED)
    assert len(seen) == 3
    page.unroute_all(behavior="wait")
    assert_counted_once(given)
    assert Classification.objects.count() == 1


def test_an_answer_is_taken_back_and_given_anew(page: Page, workflow: Workflow) -> None:
    open_page(page, workflow)
    undo = page.get_by_role("button", name="Undo", exact=True)
    expect(undo).to_have_attribute("aria-disabled", "true")
    first = answer(page, "1")
    after = shown_subject(page)
    page.keyboard.press("u")
    expect(page.locator(SHELL)).to_have_attribute("data-subject", first)
    expect(page.locator("#notice")).to_have_text("Give your answer anew, or skip to leave it as it was.")
    expect(page.locator(SHELL)).to_have_attribute("data-stage", "picture")
    page.keyboard.press("3")
    expect(page.locator(SHELL)).to_have_attribute("data-subject", after)
    wait_until_saved(page, 1)
    rows = Classification.objects.order_by("id")
    assert [(row.annotations[0]["value"], row.counted, row.revision) for row in rows] == [(0, False, 0), (2, True, 1)]
    assert rows[1].revises == rows[0].idempotency_key
    assert rows[0].metadata["superseded"] is True
    assert_counted_once({first: 2})
    # Again, and again without a connection; and once thought better of.
    undo.click()
    expect(page.locator(SHELL)).to_have_attribute("data-subject", first)
    expect(page.locator(SHELL)).to_have_attribute("data-stage", "picture")
    page.context.set_offline(True)
    page.keyboard.press("4")
    expect(page.locator(SHELL)).to_have_attribute("data-subject", after)
    page.keyboard.press("u")
    expect(page.locator(SHELL)).to_have_attribute("data-subject", first)
    page.keyboard.press("s")
    expect(page.locator(SHELL)).to_have_attribute("data-subject", after)
    expect(undo).to_have_attribute("aria-disabled", "true")
    page.context.set_offline(False)
    wait_until_saved(page, 1)
    assert Classification.objects.count() == 3
    assert_counted_once({first: 3})


def test_after_half_a_minute_an_answer_stands(page: Page, workflow: Workflow) -> None:
    page.clock.install()
    open_page(page, workflow)
    answer(page, "1")
    undo = page.get_by_role("button", name="Undo", exact=True)
    page.clock.fast_forward(29_000)
    expect(undo).to_have_attribute("aria-disabled", "false")
    page.clock.fast_forward(2_000)
    expect(undo).to_have_attribute("aria-disabled", "true")
    shown = shown_subject(page)
    page.keyboard.press("u")
    assert shown_subject(page) == shown


def test_a_full_storage_is_told_and_the_answer_kept(page: Page, workflow: Workflow) -> None:
    page.add_init_script(
        "IDBObjectStore.prototype.put = () => { throw new DOMException('no room', 'QuotaExceededError'); };"
        "Storage.prototype.setItem = () => { throw new DOMException('no room', 'QuotaExceededError'); };"
    )
    open_page(page, workflow)
    page.context.set_offline(True)
    given = {answer(page, "1"): 0}
    expect(page.locator("#notice")).to_contain_text("Your browser cannot store answers, so please keep this tab open")
    given[answer(page, "2")] = 1
    page.context.set_offline(False)
    wait_until_saved(page, 2)
    assert_counted_once(given)


def test_a_clock_that_is_wrong_by_a_day_changes_nothing(page: Page, workflow: Workflow) -> None:
    page.clock.install(time=datetime.now(UTC) - timedelta(days=1))
    open_page(page, workflow)
    given = {answer(page, "1"): 0}
    page.clock.set_system_time(datetime.now(UTC) + timedelta(days=1))
    given[answer(page, "2")] = 1
    wait_until_saved(page, 2)
    assert_counted_once(given)
    for row in Classification.objects.all():
        assert abs(row.created_at - datetime.now(UTC)) < timedelta(hours=1), "the server's clock decides"


def test_a_session_that_expired_is_renewed_and_the_answer_kept(page: Page, workflow: Workflow) -> None:
    open_page(page, workflow)
    page.context.clear_cookies()
    given = {answer(page, "1"): 0}
    wait_until_saved(page, 1)
    given[answer(page, "2")] = 1
    wait_until_saved(page, 2)
    assert_counted_once(given)
    assert not page.locator("#notice").is_visible()


def test_a_workflow_that_changed_underneath_still_takes_the_answer_and_a_closed_one_says_so(
    page: Page, workflow: Workflow
) -> None:
    open_page(page, workflow)
    tasks, strings = build_question(question="What is it?", answers=["Star", "Spiral", "Other"])
    change_workflow(workflow, tasks=tasks, strings=strings)
    subject = answer(page, "2")
    wait_until_saved(page, 1)
    assert Classification.objects.get().annotations == [{"task": "T0", "value": 1}]
    assert Consensus.objects.get(status__subject=int(subject)).answer_counts == [0, 1, 0]
    Workflow.objects.update(active=False)
    answer(page, "1")
    expect(page.get_by_text("This question has just been closed. Thank you for every answer you gave.")).to_be_visible()
    kept = page.evaluate(
        """() => new Promise((resolve) => {
            indexedDB.open("esocs").onsuccess = (event) => {
                const all = event.target.result.transaction("outbox").objectStore("outbox").getAll();
                all.onsuccess = () => resolve(all.result.map((letter) => letter.refused?.code));
            };
        })"""
    )
    assert kept == ["workflow_inactive"], "the answer is kept in the browser"
    Workflow.objects.update(active=True)
    page.reload()
    wait_until_saved(page, 2)


def test_an_answer_that_waits_during_the_sign_up_joins_the_account(page: Page, workflow: Workflow) -> None:
    open_page(page, workflow)
    given = {answer(page, "1"): 0}
    wait_until_saved(page, 1)
    page.route("**/api/classifications**", lambda route: route.abort())
    given[answer(page, "2")] = 1
    expect(page.locator("#saving")).to_have_text("1 answer kept here until the connection is back")
    page.get_by_role("main").get_by_role("link", name="Sign up to keep your work").click()
    page.get_by_label("User name").fill("newcomer")
    page.get_by_label("Password").fill(PASSWORD)
    page.unroute_all(behavior="ignoreErrors")
    page.get_by_role("button", name="Create my account").click()
    expect(page.locator(SHELL)).to_have_attribute("data-stage", "picture")
    expect(page.locator("#saving")).to_have_text(SAVED)
    assert_counted_once(given)
    newcomer = User.objects.get(login="newcomer")
    assert set(Classification.objects.values_list("volunteer__user", flat=True)) == {newcomer.pk}
    assert shown_subject(page) not in given


def test_a_script_that_does_not_come_is_told_and_the_answer_is_kept(page: Page, workflow: Workflow) -> None:
    lost = ("companion", "picture-tools", "drawing-view")

    def lose(route: Route) -> None:
        if any(f"/{name}." in route.request.url for name in lost):
            route.abort()
        else:
            route.continue_()

    page.route("**/*.js", lose)
    open_page(page, workflow)
    notice = page.locator("#notice")
    expect(notice).to_contain_text("A part of this page could not be fetched. Your answers are kept.")
    given = {answer(page, "2"): 1}
    wait_until_saved(page, 1)
    assert_counted_once(given)
    # What a question cannot do without is asked for again.
    drawing = make_drawing_workflow(workflow.project)
    page.goto(classify_path(drawing))
    expect(page.get_by_text("The tools for this question could not be fetched.")).to_be_visible()
    expect(notice.get_by_role("button", name="Load the page again")).to_be_visible()
    page.unroute_all(behavior="wait")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("Knot", exact=True)).to_be_visible()
    page.get_by_role("button", name="Load the page again").click()
    expect(page.get_by_role("button", name="Invert")).to_be_visible()
    expect(page.locator("#viewer")).to_have_attribute("data-painter", "canvas")
    expect(notice).to_be_hidden()
