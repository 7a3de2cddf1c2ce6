"""A real Chromium at the real site. Needs the built front end and Debian's Chromium; `make test` sets both up."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = os.environ.get("ESOCS_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), "")
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 360, "height": 740}
# Two cores may be shared with other work; a condition is waited for, never a time.
expect.set_options(timeout=20_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for the session; each test gets a fresh profile in it."""
    if not CHROMIUM or not Path(CHROMIUM).exists():
        pytest.fail(f"no Chromium ({CHROMIUM or 'none on PATH'}); run scripts/find_chromium.sh or set ESOCS_CHROMIUM")
    if not django_settings.DJANGO_VITE["default"]["manifest_path"].exists():
        pytest.fail("the front end is not built; run `npm run build` in frontend/")
    # Playwright keeps an event loop in this thread, which Django takes for asynchronous code.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture(scope="session", autouse=True)
def _static_root() -> None:
    """The static server warns of a missing folder, and warnings are errors here."""
    Path(django_settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)


@pytest.fixture(autouse=True)
def _quick_passwords(settings: object) -> None:
    """What a password costs to check is Django's own affair."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # type: ignore[attr-defined]


@pytest.fixture
def site(live_server: object) -> str:
    """The address of the running site, on a real database."""
    return str(live_server)


@pytest.fixture
def context(chromium: Browser, site: str) -> Iterator[BrowserContext]:
    """A fresh profile at desktop size, with the animations off."""
    context = chromium.new_context(base_url=site, viewport=DESKTOP, color_scheme="light", reduced_motion="reduce")
    context.set_default_timeout(20_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A tab. A script's own error or a breach of the pages' policy fails the test."""
    page = context.new_page()
    complaints: list[str] = []
    running: set[Request] = set()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: complaints.append(message.text) if "Content Security Policy" in message.text else None,
    )

    # Playwright marks its listeners, and a set's own methods cannot be marked.
    def started(request: Request) -> None:
        running.add(request)

    def ended(request: Request) -> None:
        running.discard(request)

    page.on("request", started)
    page.on("requestfinished", ended)
    page.on("requestfailed", ended)
    yield page
    page.unroute_all(behavior="ignoreErrors")
    # The database is emptied next: what the page has asked the server for must be answered by then.
    for _ in range(200):
        if not running:
            break
        page.wait_for_timeout(25)
    assert complaints == []
