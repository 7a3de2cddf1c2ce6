"""Answers by keyboard in Chromium: from key to feedback, from answer to the next picture, the first picture, and a
frame of the viewer.

The peer is the same page with its prefetch off: it holds no subject beside the one that is shown. Both are measured by
the same script from outside: `keydown` to the frame that shows another subject, and the browser's Event Timing for the
key. The first picture is timed with an empty cache on a line of 1.6 Mbit/s and 150 ms, a usual slow 4G.

A frame of the viewer is what the page does between a handle moved and a frame handed over, of a picture of 1,000 by
1,000 samples, without the wait for the screen. Both painters are timed: `canvas`, which the page takes where no
graphics card draws, and `webgl2`, which on such a machine is the processor playing a card, and not what a volunteer
gets.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tests.benchmarks.report import parse_arguments, print_result, print_table
from tests.benchmarks.site import own_database, web_server
from tests.browser.scripts import PAINTERS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Route

FIRST_PICTURES = 5
LARGE_PX = 1000
FRAME_COUNT = 60
SLOW_4G = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 750e3 / 8}
# Shorter ones are not told; they count as this long.
SHORTEST_EVENT_MS = 16.0

MEASURE = """
(() => {
  const figures = { next: [], keys: [], first: null, error: "" };
  window.loopFigures = figures;
  addEventListener("error", (event) => { figures.error ||= event.message; });
  addEventListener("unhandledrejection", (event) => { figures.error ||= String(event.reason); });
  const painted = (then) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => then(performance.now());
    channel.port2.postMessage(null);
  });
  let pressed = null;
  addEventListener("keydown", (event) => {
    const root = document.querySelector("#classify");
    if (/^[1-9]$/.test(event.key)) pressed = { at: event.timeStamp, subject: root.dataset.subject };
  }, true);
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (entry.name === "keydown") figures.keys.push(entry.duration);
  }).observe({ type: "event", durationThreshold: 16, buffered: true });
  document.addEventListener("DOMContentLoaded", () => {
    const root = document.querySelector("#classify");
    if (!root) return;
    new MutationObserver(() => {
      const { stage, subject } = root.dataset;
      if (stage !== "picture" && stage !== "spectrum") return;
      if (figures.first === null) { figures.first = 0; painted((at) => { figures.first = at; }); }
      if (pressed === null || subject === pressed.subject) return;
      const { at: start } = pressed;
      pressed = null;
      painted((at) => figures.next.push(at - start));
    }).observe(root, { attributes: true });
  });
})();
"""
SHOWN = "() => window.loopFigures?.first > 0 || window.loopFigures?.error"
FRAMES = """async (count) => {
  const white = document.querySelector("#cut-white");
  const picture = document.querySelector("#picture");
  const box = picture.getBoundingClientRect();
  const message = () => new Promise((done) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = done;
    channel.port2.postMessage(null);
  });
  const frame = async (act) => {
    await new Promise(requestAnimationFrame);
    await message();
    const began = performance.now();
    act();
    const acted = performance.now() - began;
    const opened = await new Promise((done) => requestAnimationFrame(() => done(performance.now())));
    await message();
    return acted + performance.now() - opened;
  };
  const stretch = [], zoom = [];
  for (let i = 0; i < count; i++) {
    stretch.push(await frame(() => {
      white.value = String(500 + (i * 7) % 400);
      white.dispatchEvent(new Event("input", { bubbles: true }));
    }));
    zoom.push(await frame(() => picture.dispatchEvent(new WheelEvent("wheel", {
      deltaY: i % 20 < 10 ? -60 : 60, clientX: box.x + box.width / 3, clientY: box.y + box.height / 3,
      bubbles: true, cancelable: true,
    }))));
  }
  return { stretch, zoom };
}"""
SCRIPT_BYTES = """() => performance.getEntriesByType("resource")
    .filter((entry) => new URL(entry.name).pathname.endsWith(".js"))
    .reduce((sum, entry) => sum + entry.encodedBodySize, 0)"""

# What changed → the milliseconds of each frame.
Frames: TypeAlias = dict[str, list[float]]


@dataclass(frozen=True, kw_only=True)
class Loop:
    """What a run of answers took, in milliseconds, and the page's scripts in kB as they travelled."""

    next_picture: list[float]
    key_feedback: list[float]
    javascript_kb: float


def main() -> None:
    """Fill a site, answer in the browser with and without prefetch, and print the figures."""
    arguments = parse_arguments(description=__doc__ or "", size=50, size_help="answers in a row")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # Playwright keeps an event loop in this thread
    with own_database():
        paths = fill(pictures=2 * arguments.size + 60)
        with web_server("esocs.config.wsgi:application", path="/api/me") as site:
            address = f"http://127.0.0.1:{site.port}"
            ours, without, first_ms, kinds, frames = measure(address, paths, answers=arguments.size)
    figures = {
        "next_picture_p95_ms": p95(ours.next_picture),
        "key_feedback_p95_ms": p95(ours.key_feedback),
        "javascript_kb": max(kinds.values()),
        "first_picture_ms": median(first_ms),
        "frame_ms": max(p95(times) for times in frames["canvas"].values()),
        "frame_webgl2_by_processor_ms": max(p95(times) for times in frames["webgl2"].values()),
    }
    print(f"{arguments.size} answers by keyboard in Chromium, the server on the same machine")
    print_table(
        ("page", "next picture p50 ms", "p95 ms", "key p95 ms"),
        [
            (name, median(loop.next_picture), p95(loop.next_picture), p95(loop.key_feedback))
            for name, loop in (("as it is", ours), ("prefetch off", without))
        ],
    )
    print_table(("page of", "JavaScript kB"), sorted(kinds.items()))
    print_table(
        ("a frame of 1,000 px", "painted by", "p50 ms", "p95 ms"),
        [
            (what, painter, median(times), p95(times))
            for painter, kinds_of in frames.items()
            for what, times in kinds_of.items()
        ],
    )
    print(f"first picture on slow 4G, empty cache: {', '.join(f'{ms:.0f}' for ms in first_ms)} ms")
    peer = p95(without.next_picture)
    print_result(
        name="browser_loop",
        ours=figures["next_picture_p95_ms"],
        peer=peer,
        ratio=peer / figures["next_picture_p95_ms"],
        unit="ms",
        **figures,
        first_picture_worst_ms=max(first_ms),
        prefetch_off_key_feedback_p95_ms=p95(without.key_feedback),
    )


def p95(values: list[float]) -> float:
    return quantiles(values, n=20)[-1] if len(values) > 1 else values[0]


def fill(*, pictures: int) -> dict[str, str]:
    """A workflow of pictures, one of a large one, one of spectra and one to draw on; kind → the address of its page."""
    from esocs.projects.rules import build_question
    from tests.browser.pictures import make_picture_subject, make_plane_subject, make_spectrum_subject
    from tests.support import factories

    project = factories.make_project(display_name="Browser loop")
    answers = ("Elliptical", "Spiral", "Edge-on", "Merger", "Star", "Artifact")
    images = factories.make_workflow(project, answers=answers, display_name="Images")
    large = factories.make_workflow(project, answers=answers, display_name="Large")
    samples = np.random.default_rng(0).normal(size=(LARGE_PX, LARGE_PX)).astype(np.float16)
    make_plane_subject(large, samples, sky=None)
    spectra = factories.make_workflow(project, answers=answers, kind="spectrum", display_name="Spectra")
    drawn = factories.make_workflow(project, answers=answers, display_name="Drawing")
    tasks, strings = build_question(question="Which?", answers=list(answers))
    tools = [{"type": kind, "label": kind, "details": []} for kind in ("point", "ellipse", "polygon")]
    drawn.tasks = {"T0": {"type": "drawing", "instruction": "Mark what you see", "tools": tools, "next": "T1"}}
    drawn.tasks |= {"T1": tasks["T0"]}
    drawn.strings = {key.replace("T0", "T1"): text for key, text in strings.items()}
    drawn.save()
    for seed in range(pictures):
        make_picture_subject(images, seed)
    for seed in range(4):
        make_spectrum_subject(spectra, seed)
        make_picture_subject(drawn, seed)
    return {
        kind: f"/projects/{project.slug}/workflows/{workflow.pk}/classify/"
        for kind, workflow in (("images", images), ("large", large), ("spectra", spectra), ("drawing", drawn))
    }


def measure(
    address: str, paths: dict[str, str], *, answers: int
) -> tuple[Loop, Loop, list[float], dict[str, float], dict[str, Frames]]:
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import CHROMIUM, FLAGS

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            first_ms = [first_picture(browser, address, paths["images"]) for _ in range(FIRST_PICTURES)]
            kinds = {kind: scripts_of(browser, address, path) for kind, path in paths.items() if kind != "large"}
            ours = answer(browser, address, paths["images"], answers=answers, prefetch=True)
            without = answer(browser, address, paths["images"], answers=answers, prefetch=False)
            frames = {painter: frames_of(browser, address, paths["large"], painter=painter) for painter in PAINTERS}
        finally:
            browser.close()
    return ours, without, first_ms, kinds, frames


def _open(browser: Browser, address: str) -> tuple[BrowserContext, Page]:
    context = browser.new_context(base_url=address, viewport={"width": 1280, "height": 800})
    context.add_init_script(MEASURE)
    return context, context.new_page()


def _wait_until_shown(page: Page) -> None:
    page.wait_for_function(SHOWN)
    error = page.evaluate("() => window.loopFigures.error")
    if error:
        raise RuntimeError(f"The page's script failed: {error} (`make frontend` builds it from its sources)")


def first_picture(browser: Browser, address: str, path: str) -> float:
    """Milliseconds from the navigation to the first picture on the screen, with an empty cache."""
    context, page = _open(browser, address)
    devtools = context.new_cdp_session(page)
    devtools.send("Network.enable")
    devtools.send("Network.emulateNetworkConditions", SLOW_4G)
    page.goto(path, wait_until="commit")
    _wait_until_shown(page)
    figure = float(page.evaluate("() => window.loopFigures.first"))
    context.close()
    return figure


def scripts_of(browser: Browser, address: str, path: str) -> float:
    """Kilobytes of script that a kind of page loads, what it loads late included."""
    context, page = _open(browser, address)
    page.goto(path)
    _wait_until_shown(page)
    page.wait_for_load_state("networkidle")
    total = float(page.evaluate(SCRIPT_BYTES)) / 1e3
    context.close()
    return total


def answer(browser: Browser, address: str, path: str, *, answers: int, prefetch: bool) -> Loop:
    """Answer so many subjects, each as soon as it is on the screen."""
    context, page = _open(browser, address)
    if not prefetch:
        page.route("**/classify/", _without_prefetch)
    page.goto(path)
    _wait_until_shown(page)
    page.wait_for_load_state("networkidle")
    for number in range(answers):
        page.keyboard.press(str(number % 6 + 1))
        page.wait_for_function("n => window.loopFigures.next.length > n", arg=number)
    figures: dict[str, Any] = page.evaluate("() => window.loopFigures")
    javascript_kb = float(page.evaluate(SCRIPT_BYTES)) / 1e3
    context.close()
    keys = [*figures["keys"], *[SHORTEST_EVENT_MS] * (answers - len(figures["keys"]))]
    return Loop(next_picture=figures["next"], key_feedback=keys, javascript_kb=javascript_kb)


def frames_of(browser: Browser, address: str, path: str, *, painter: str) -> Frames:
    """Milliseconds of each frame while the white level is dragged, and while the wheel zooms."""
    context, page = _open(browser, address)
    page.add_init_script(PAINTERS[painter])
    page.goto(path)
    _wait_until_shown(page)
    page.locator(f'#viewer[data-painter="{painter}"]').wait_for()
    page.wait_for_load_state("networkidle")
    frames: Frames = page.evaluate(FRAMES, FRAME_COUNT)
    context.close()
    return frames


def _without_prefetch(route: Route) -> None:
    """The page as the server sends it, but holding one subject and decoding none ahead."""
    answered = route.fetch()
    body = re.sub(
        r'"queue": \{[^}]*\}',
        '"queue": {"depth": 1, "at_once": 1, "refill_from": 1, "decode_ahead": 0}',
        answered.text(),
    )
    body = re.sub(r"page_size=\d+", "page_size=1", body)
    route.fulfill(response=answered, body=body)


if __name__ == "__main__":
    main()
