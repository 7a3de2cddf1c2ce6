"""The scientists' pages in a browser: filtering without a reload, one subject's story, exports."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from esocs.jobs.models import Job
from esocs.releases.models import Export
from tests.browser.scene import Scene, build_scene
from tests.browser.test_people import log_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def scene(transactional_db: None) -> Scene:
    return build_scene(images=8, spectra=0)


def test_results_show_consensus_votes_and_prediction(page: Page, scene: Scene) -> None:
    log_in(page, "observer")
    page.goto(scene.path(scene.images, "results"))
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=str(scene.settled.pk), exact=True))
    expect(row).to_contain_text("Retired")
    expect(row.locator(".answer-name")).to_have_text("Spiral")
    expect(row.locator(".bar.machine")).to_have_count(3)
    expect(row.locator(".bar.crowd")).to_have_count(2)
    row.get_by_role("link").click()
    expect(page.get_by_role("heading", name=f"Subject {scene.settled.pk}")).to_be_visible()
    expect(page.get_by_role("region", name="Table of votes").get_by_role("row")).not_to_have_count(0)
    provenance = page.locator("section", has=page.get_by_role("heading", name="Where it comes from"))
    for fact in ("SIM.2026-03-14T02:11:08.123", "5f5f5f5f", "(812.5, 2044.0) px", "SIMCAM"):
        expect(provenance).to_contain_text(fact)


def test_filters_exchange_the_table_without_a_reload(page: Page, scene: Scene) -> None:
    log_in(page, "observer")
    page.goto(scene.path(scene.images, "results"))
    page.evaluate("window.stayed = true")
    rows = page.locator("#results-table tbody tr")
    expect(rows).to_have_count(8)
    page.get_by_label("State").select_option("retired")
    expect(rows).to_have_count(1)
    assert "state=retired" in page.url
    assert page.evaluate("window.stayed") is True
    page.reload()
    expect(rows).to_have_count(1)
    page.get_by_label("State").select_option("")
    page.get_by_label("Route").select_option("audit")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("blind audit")


def test_an_export_is_ordered_watched_and_offered(page: Page, scene: Scene) -> None:
    log_in(page, "observer")
    page.goto(f"/projects/{scene.project.slug}/exports/")
    row = page.locator("tr").filter(has_text="Consensus").filter(has_text="Galaxy shapes")
    row.get_by_role("button", name="Make it").click()
    expect(row).to_contain_text("Being made")
    export = Export.objects.get()
    assert Job.objects.filter(kind="releases.export", key=f"export/{export.pk}").exists()
    Job.objects.update(state="running", lease_until="2100-01-01T00:00:00Z", lease_token="0" * 32)
    Job.objects.update(progress_done=40, progress_total=80)
    expect(row).to_contain_text("50 %")
    Export.objects.update(
        state="ready", path="x.csv.gz", row_count=8, sha256="0" * 64, size_bytes=4321, as_of=export.created_at
    )
    expect(row.get_by_role("link", name="Download CSV")).to_be_visible()
    expect(row).to_contain_text("8 rows, 4.3 kB")


def test_rejected_files_are_listed_with_their_reason(page: Page, scene: Scene) -> None:
    log_in(page, "observer")
    page.goto(f"/projects/{scene.project.slug}/operations/")
    expect(page.get_by_role("row").filter(has_text="fits_truncated")).to_contain_text("the file ends after 811,008")
    page.get_by_role("link", name="not_fits 1").click()
    expect(page.get_by_role("region", name="Table of rejected files").locator("tbody tr")).to_have_count(1)
