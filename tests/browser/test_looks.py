"""Every page in light and dark, on a desk, on a phone and at 320 pixels, in English, in German and from right to left:
nothing overflows, nothing fails the accessibility rules.

Screenshots are kept where ESOCS_SCREENSHOTS names a folder (docs/images is made this way).
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.urls import resolve
from oauth2_provider.models import Application
from playwright.sync_api import Browser, BrowserContext, Page, expect

from esocs.accounts.identity import Identity
from esocs.community.services import report_comment, write_comment
from esocs.projects.models import Collection, Workflow
from esocs.web import urls
from tests.browser.conftest import DESKTOP, PHONE
from tests.browser.scene import Scene, build_crowd, build_scene
from tests.browser.sitting import make_drawing_workflow
from tests.browser.test_people import log_in

pytestmark = pytest.mark.django_db(transaction=True)

NARROW = {"width": 320, "height": 640}
AXE = Path(__file__).resolve().parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
RUN_AXE = """async () => {
    const runOnly = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
    const found = await axe.run(document, {runOnly});
    return found.violations.map(v => `${v.id}: ${v.nodes.map(n => n.target + " " + n.failureSummary).join("; ")}`);
}"""
# Addresses that answer a form, send a file or are asked by scripts: they show no page of their own.
NO_PAGES = {
    "robots",
    "log-out",
    "change-language",
    "renew-csrf",
    "account-data",
    "collection-change",
    "comment-write",
    "collect",
    "comment-edit",
    "comment-withdraw",
    "comment-report",
    "comment-judge",
    "feedback",
    "picture",
    "draw-audit",
    "withdraw",
    "export-request",
    "export-progress",
    "export-file",
}


@pytest.fixture
def scene(transactional_db: None) -> Scene:
    scene = build_scene()
    build_crowd(scene)
    _talk(scene)
    return scene


def _talk(scene: Scene) -> None:
    """A thread with a reported comment, and a collection."""
    owner = Identity(user_id=scene.owner.pk, volunteer_id=scene.owner.volunteer.pk)
    comment = write_comment(
        identity=owner, subject=scene.settled, body="Two arms, and a tail. #spiral #tail", key=uuid.uuid4()
    )
    report_comment(identity=owner, comment=comment, reason="Only to see what a report looks like.")
    collection = Collection.objects.create(owner=scene.owner, display_name="Tails", slug="observer/tails")
    collection.projects.add(scene.project)
    collection.subjects.add(scene.settled, scene.drawn)


@pytest.fixture
def drawing(scene: Scene) -> Workflow:
    return make_drawing_workflow(scene.project)


def pages_for_everybody(scene: Scene, drawing: Workflow) -> dict[str, str]:
    project = f"/projects/{scene.project.slug}/"
    return {
        "home": "/",
        "sign-up": "/sign-up/",
        "log-in": "/log-in/",
        "project": project,
        "talk": f"{project}talk/",
        "work-nothing": f"{project}my-work/",
        "thread": f"{project}subjects/{scene.settled.pk}/",
        "classify-image": scene.path(scene.images, "classify"),
        "classify-spectrum": scene.path(scene.spectra, "classify"),
        "classify-drawing": scene.path(drawing, "classify"),
        "not-found": "/no-such-page/",
        "not-for-you": scene.path(scene.images, "results"),
    }


def pages_for_the_signed_in(scene: Scene) -> dict[str, str]:
    project = f"/projects/{scene.project.slug}/"
    return {
        "account": "/account/",
        "erase": "/account/erase/",
        "collections": "/collections/",
        "collection": "/collections/observer/tails/",
        "thread-signed-in": f"{project}subjects/{scene.settled.pk}/",
        "moderation": f"{project}moderation/",
        "work": f"{project}my-work/",
        "project-owner": project,
        "classify-image-expert": scene.path(scene.images, "classify") + "?audience=experts",
        "results": scene.path(scene.images, "results"),
        "subject": scene.path(scene.images, "results") + f"{scene.settled.pk}/",
        "subject-drawn": scene.path(scene.images, "results") + f"{scene.drawn.pk}/",
        "similar": scene.path(scene.images, "results") + f"{scene.settled.pk}/similar/",
        "oddest": scene.path(scene.images, "oddest"),
        "drift": scene.path(scene.images, "drift"),
        "drift-unknown": scene.path(scene.spectra, "drift"),
        "review": scene.path(scene.images, "review"),
        "volunteers": scene.path(scene.images, "volunteers"),
        "routing": scene.path(scene.images, "routing"),
        "routing-unknown": scene.path(scene.spectra, "routing"),
        "retirement": scene.path(scene.images, "retirement"),
        "exports": f"{project}exports/",
        "operations": f"{project}operations/",
    }


def test_the_walk_leaves_no_page_out(scene: Scene, drawing: Workflow) -> None:
    addresses = {**pages_for_everybody(scene, drawing), **pages_for_the_signed_in(scene)}
    walked = {resolve(address.partition("?")[0]).url_name for name, address in addresses.items() if name != "not-found"}
    assert {pattern.name for pattern in urls.urlpatterns} - NO_PAGES - walked == set()


def open_settled(page: Page, name: str, address: str) -> None:
    """Open a page and wait until it shows what it is for."""
    page.goto(address)
    if name.startswith("classify"):
        stage = re.compile("spectrum" if "spectrum" in name else "picture")
        expect(page.locator("#classify")).to_have_attribute("data-stage", stage)
    if name == "classify-drawing":
        expect(page.locator("#task-step").get_by_text("Knot")).to_be_visible()
    page.evaluate("document.fonts.ready")


def faults_of(page: Page, name: str) -> Iterator[str]:
    """What is wrong with an open page in both colours, on a desk and at 320 pixels."""
    # By the debugger's door: the pages' policy lets no foreign script in.
    page.evaluate(AXE.read_text(encoding="utf-8") + "; 0")
    for device, viewport in (("desktop", DESKTOP), ("narrow", NARROW)):
        page.set_viewport_size(viewport)  # type: ignore[arg-type]
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
            yield from (f"{name}, {device}, {scheme}: {fault}" for fault in page.evaluate(RUN_AXE))
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            yield f"{name}, {device}: it scrolls sideways"
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]


def test_no_page_of_the_visitors_has_an_accessibility_violation(page: Page, scene: Scene, drawing: Workflow) -> None:
    faults = []
    for name, address in pages_for_everybody(scene, drawing).items():
        open_settled(page, name, address)
        faults += faults_of(page, name)
        if name == "classify-image":
            page.keyboard.press("?")
            faults += faults_of(page, "keys")
        if name in {"sign-up", "log-in"}:
            page.get_by_role("main").get_by_role("button").first.click()
            expect(page.get_by_label("User name")).to_have_attribute("aria-invalid", "true")
            expect(page.get_by_label("User name")).to_have_accessible_description(re.compile("required"))
            faults += faults_of(page, f"{name}-refused")
    assert faults == []


def test_the_page_that_lets_a_program_in_has_no_accessibility_violation(page: Page, scene: Scene) -> None:
    program = Application.objects.create(
        name="A classifier of somebody else, with a name that is rather long",
        client_type=Application.CLIENT_PUBLIC,
        authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
        redirect_uris="https://classifier.example.org/",
    )
    asked = {
        "response_type": "code",
        "client_id": program.client_id,
        "redirect_uri": "https://classifier.example.org/",
        "scope": "public classification",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }
    log_in(page, "observer")
    expect(page.locator("details.menu")).to_be_visible()
    page.goto(f"/oauth/authorize?{urlencode(asked)}")
    expect(page.get_by_role("main")).to_contain_text(program.name)
    faults = list(faults_of(page, "authorize"))
    page.goto("/oauth/authorize?client_id=nobody")
    faults += faults_of(page, "authorize-refused")
    assert faults == []


def test_no_page_of_the_signed_in_has_an_accessibility_violation(page: Page, scene: Scene) -> None:
    log_in(page, "observer")
    expect(page.locator("details.menu")).to_be_visible()
    faults = []
    for name, address in pages_for_the_signed_in(scene).items():
        open_settled(page, name, address)
        faults += faults_of(page, name)
    assert faults == []


def test_pages_in_german_fit_a_narrow_screen_and_their_scripts_speak_it(
    page: Page, scene: Scene, drawing: Workflow
) -> None:
    page.goto("/")
    page.get_by_role("button", name="Deutsch").click()
    expect(page.get_by_role("heading", name="Eine Maschine sortiert das Archiv.")).to_be_visible()
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    faults = []
    for name, address in pages_for_everybody(scene, drawing).items():
        page.goto(address)
        if name == "classify-image":
            expect(page.locator("#classify")).to_have_attribute("data-stage", "picture")
            expect(page.locator("#saving")).to_have_text("Alle Antworten gespeichert")
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            faults.append(f"{name}: it scrolls sideways")
        assert page.locator("html").get_attribute("lang") == "de"
    assert faults == []
    page.goto("/log-in/")
    page.get_by_role("main").get_by_role("button", name="Anmelden").click()
    expect(page.get_by_text("Dieses Feld ist zwingend erforderlich.").first).to_be_visible()


def test_pages_read_from_right_to_left_are_mirrored_and_fit(
    page: Page, scene: Scene, drawing: Workflow, settings: Any
) -> None:
    """Arabic stands for every such language: its texts are not there yet, its direction is."""
    settings.LANGUAGES = [*settings.LANGUAGES, ("ar", "العربية")]
    kept = os.environ.get("ESOCS_SCREENSHOTS")
    page.goto("/")
    page.get_by_role("button", name="العربية").click()
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    faults = []
    for name, address in pages_for_everybody(scene, drawing).items():
        open_settled(page, name, address)
        for device, viewport in (("desktop", DESKTOP), ("narrow", NARROW)):
            page.set_viewport_size(viewport)  # type: ignore[arg-type]
            mark, nav = page.locator(".wordmark").bounding_box(), page.locator(".site-nav").bounding_box()
            assert mark is not None
            assert nav is not None
            if mark["x"] < nav["x"]:
                faults.append(f"{name}, {device}: the header is not mirrored")
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                faults.append(f"{name}, {device}: it scrolls sideways")
            if kept and name.startswith("classify"):
                page.screenshot(path=Path(kept) / f"{device}-rtl" / f"{name}.png")
        page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    assert faults == []


SMALL_TARGETS = """() => [...document.querySelectorAll(".classify :is(button, a, summary, input)")]
    .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.closest("svg, .visually-hidden"))
    .map((one) => [one, (one.closest("label") ?? one).getBoundingClientRect()])
    .filter(([, box]) => box.width > 1 && (box.width < 43.5 || box.height < 43.5))
    .map(([one, box]) => `${one.outerHTML.slice(0, 80)}: ${box.width} by ${box.height}`)"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("device", "viewport"), [("desktop", DESKTOP), ("phone", PHONE)])
def test_pictures_of_the_classify_page_have_room_for_fingers(
    chromium: Browser,
    site: str,
    scene: Scene,
    drawing: Workflow,
    scheme: Any,
    device: str,
    viewport: Any,
    tmp_path: Path,
) -> None:
    kept = os.environ.get("ESOCS_SCREENSHOTS")
    folder = Path(kept or tmp_path) / f"{device}-{scheme}"
    folder.mkdir(parents=True, exist_ok=True)
    context: BrowserContext = chromium.new_context(
        base_url=site, viewport=viewport, color_scheme=scheme, reduced_motion="reduce", has_touch=device == "phone"
    )
    page = context.new_page()
    small = []
    for name, address in pages_for_everybody(scene, drawing).items():
        if not kept and not name.startswith("classify"):
            continue
        open_settled(page, name, address)
        page.screenshot(path=folder / f"{name}.png", full_page=not name.startswith("classify"))
        small += [f"{name}: {one}" for one in page.evaluate(SMALL_TARGETS)]
    if kept:
        log_in(page, "observer")
        expect(page.locator("details.menu")).to_be_visible()
        for name, address in pages_for_the_signed_in(scene).items():
            open_settled(page, name, address)
            page.screenshot(path=folder / f"{name}.png", full_page=True)
    page.goto("about:blank")
    context.close()
    assert small == []
