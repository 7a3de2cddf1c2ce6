"""Every page in light and dark, on a desk and on a phone: nothing overflows, nothing fails the accessibility rules.

Screenshots are kept where ESOCS_SCREENSHOTS names a folder (docs/images is made this way).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import DESKTOP, PHONE
from tests.browser.scene import Scene, build_crowd, build_scene
from tests.browser.test_people import log_in

pytestmark = pytest.mark.django_db(transaction=True)

AXE = Path(__file__).resolve().parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
RUN_AXE = """async () => {
    const runOnly = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
    const found = await axe.run(document, {runOnly});
    return found.violations.map(v => `${v.id}: ${v.nodes.map(n => n.target + " " + n.failureSummary).join("; ")}`);
}"""


@pytest.fixture
def scene(transactional_db: None) -> Scene:
    scene = build_scene()
    build_crowd(scene)
    return scene


def pages_for_everybody(scene: Scene) -> dict[str, str]:
    return {
        "home": "/",
        "sign-up": "/sign-up/",
        "log-in": "/log-in/",
        "project": f"/projects/{scene.project.slug}/",
        "classify-image": scene.path(scene.images, "classify"),
        "classify-spectrum": scene.path(scene.spectra, "classify"),
        "not-found": "/no-such-page/",
    }


def pages_for_scientists(scene: Scene) -> dict[str, str]:
    return {
        "project-owner": f"/projects/{scene.project.slug}/",
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
        "exports": f"/projects/{scene.project.slug}/exports/",
        "operations": f"/projects/{scene.project.slug}/operations/",
    }


def inspect(page: Page, name: str, address: str, folder: Path | None, *, axe: bool = True) -> list[str]:
    """Open a page, keep its picture, and list what is wrong with it."""
    page.goto(address)
    if name.startswith("classify"):
        expect(page.locator("#classify")).to_have_attribute("data-stage", "picture" if "image" in name else "spectrum")
    page.evaluate("document.fonts.ready")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"{name}.png", full_page=not name.startswith("classify"))
    faults = []
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        faults.append("it scrolls sideways")
    if axe:
        # By the debugger's door: the pages' policy lets no foreign script in.
        page.evaluate(AXE.read_text(encoding="utf-8") + "; 0")
        faults += page.evaluate(RUN_AXE)
    return [f"{name}: {fault}" for fault in faults]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("device", "viewport"), [("desktop", DESKTOP), ("phone", PHONE), ("narrow", {"width": 320, "height": 640})]
)
def test_every_page_fits_and_has_no_accessibility_violation(
    chromium: Browser, site: str, scene: Scene, scheme: str, device: str, viewport: dict[str, int]
) -> None:
    folder = os.environ.get("ESOCS_SCREENSHOTS")
    kept = Path(folder) / f"{device}-{scheme}" if folder else None
    context: BrowserContext = chromium.new_context(
        base_url=site, viewport=viewport, color_scheme=scheme, reduced_motion="reduce", has_touch=device != "desktop"
    )
    page = context.new_page()
    faults = []
    for name, address in pages_for_everybody(scene).items():
        faults += inspect(page, name, address, kept)
    log_in(page, "observer")
    expect(page.locator("details.menu")).to_be_visible()
    for name, address in pages_for_scientists(scene).items():
        faults += inspect(page, name, address, kept)
    page.goto("about:blank")
    context.close()
    assert faults == []
