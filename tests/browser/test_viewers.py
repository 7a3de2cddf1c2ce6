"""What the viewers show, read from the screen: pixels, values, positions on the sky, wavelengths."""

from __future__ import annotations

import io
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from astropy.wcs import WCS
from django.conf import settings
from PIL import Image
from playwright.sync_api import Page, expect

from classifier.fits.spectra import air_to_vacuum, vacuum_to_air
from esocs.crowd.models import Classification
from esocs.projects.models import Media, Workflow
from tests.browser import pictures
from tests.browser.pictures import BACKGROUND, NOISE, SKY, colour_bands, make_frames_subject, make_plane_subject
from tests.browser.scripts import PAINTERS, evaluate_with
from tests.support import factories

pytestmark = pytest.mark.django_db(transaction=True)

SIDE_PX = 40
SETTLED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"
# Every square of the test card has its own level, from below black to above white.
CARD = np.linspace(-6.0, 60.0, SIDE_PX * SIDE_PX).reshape(SIDE_PX, SIDE_PX).astype(np.float16)


@pytest.fixture
def workflow(transactional_db: None) -> Workflow:
    project = factories.make_project(owner=factories.make_user("scientist"), display_name="Viewers")
    return factories.make_workflow(project, answers=("Yes", "No"), question="Is it there?", display_name="Pictures")


def open_page(page: Page, workflow: Workflow, stage: str = "picture") -> None:
    page.goto(f"/projects/{workflow.project.slug}/workflows/{workflow.pk}/classify/")
    expect(page.locator("#classify")).to_have_attribute("data-stage", stage)
    if stage == "picture":
        expect(page.locator("#viewer")).to_have_attribute("data-painter", re.compile("webgl2|canvas"))
        page.wait_for_load_state("networkidle")
    page.evaluate(SETTLED)


def look_at(page: Page) -> np.ndarray:
    """The viewer as it is on the screen, (H, W, 3), without its border."""
    page.evaluate("scrollTo(0, 0)")
    page.evaluate(SETTLED)
    box = page.locator("#picture").bounding_box()
    assert box is not None
    clip = {name: round(value) for name, value in box.items()}
    return np.asarray(Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB")).astype(int)


def whole_picture(page: Page, view: np.ndarray) -> tuple[float, float, float]:
    """Left and top of the picture that just fits the viewer, and pixels of the screen a sample."""
    height, width, _ = view.shape
    side = min(height, width)
    return (width - side) / 2, (height - side) / 2, side / SIDE_PX


def squares(page: Page, places: list[tuple[int, int]]) -> np.ndarray:
    """The colours of samples (column, row from the top), of the whole upright picture."""
    view = look_at(page)
    left, top, step = whole_picture(page, view)
    return np.array([view[int(top + (row + 0.5) * step), int(left + (column + 0.5) * step)] for column, row in places])


PLACES = [(3, 1), (20, 7), (11, 18), (30, 25), (5, 33), (38, 38)]


def expected_levels(stretch: str, low: float, high: float) -> np.ndarray:
    value = np.array([CARD[::-1][row, column] for column, row in PLACES], dtype=float)
    share = np.clip((value - low) / (high - low), 0, 1)
    if stretch == "linear":
        return 255 * share
    if stretch == "sqrt":
        return 255 * np.sqrt(share)
    if stretch == "log":
        return 255 * np.log1p(1000 * share) / math.log(1001)
    black, white = np.arcsinh(low / 2), np.arcsinh(high / 2)
    return 255 * np.clip((np.arcsinh(value / 2) - black) / (white - black), 0, 1)


@pytest.mark.parametrize("painter", ["webgl2", "canvas"])
def test_the_look_changes_each_pixel_as_its_formula_says(page: Page, workflow: Workflow, painter: str) -> None:
    make_plane_subject(workflow, CARD)
    page.add_init_script(PAINTERS[painter])
    open_page(page, workflow)
    expect(page.locator("#viewer")).to_have_attribute("data-painter", painter)
    page.get_by_role("button", name="Show the pixels").click()
    [(low, high)] = pictures.sky_limits(CARD[np.newaxis]).tolist()
    for stretch in ("linear", "asinh", "log", "sqrt"):
        page.locator("#look-stretch").select_option(stretch)
        shown = squares(page, PLACES)
        assert np.abs(shown - expected_levels(stretch, low, high)[:, None]).max() <= 3, stretch
    page.keyboard.press("i")
    assert np.abs(255 - squares(page, PLACES) - expected_levels("sqrt", low, high)[:, None]).max() <= 3
    page.keyboard.press("i")
    page.locator("#look-stretch").select_option("linear")
    page.locator("#look-cuts").select_option("all")
    assert np.abs(squares(page, PLACES) - expected_levels("linear", -6.0, 60.0)[:, None]).max() <= 3
    # Black and white by hand: the white handle to the left makes everything brighter.
    before = squares(page, PLACES)
    page.get_by_label("White level").focus()
    for _ in range(3):
        page.keyboard.press("PageDown")
    after = squares(page, PLACES)
    assert (after >= before).all()
    assert after.sum() > before.sum()
    expect(page.locator("#look-cuts")).to_have_value("own")
    page.locator("#look-map").select_option("viridis")
    page.locator("#look-cuts").select_option("all")
    coloured = squares(page, PLACES)
    assert np.abs(coloured[-1] - [70, 18, 99]).max() <= 8, "viridis begins dark violet"
    assert np.ptp(coloured, axis=1).min() > 20, "no square is grey"
    # What was chosen is there again after a reload.
    page.reload()
    expect(page.locator("#viewer")).to_have_attribute("data-painter", painter)
    expect(page.locator("#look-map")).to_have_value("viridis")
    page.wait_for_load_state("networkidle")
    assert np.abs(squares(page, PLACES) - coloured).max() <= 3
    page.get_by_role("button", name="As it was").click()
    expect(page.locator("#look-map")).to_have_value("grey")


def read_position(text: str) -> tuple[float, float]:
    """Right ascension and declination in degrees from the reading's sexagesimal form."""
    found = re.match(r"(\d+):(\d+):([\d.]+) ([−+])(\d+):(\d+):([\d.]+)", text)
    assert found, text
    h, m, s, sign, d, dm, ds = found.groups()
    dec = (int(d) + int(dm) / 60 + float(ds) / 3600) * (-1 if sign == "−" else 1)
    return 15 * (int(h) + int(m) / 60 + float(s) / 3600), dec


def astropy_wcs() -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = SKY[:2], (SKY[2] + 1, SKY[3] + 1)
    wcs.wcs.cd = np.array(SKY[4:8]).reshape(2, 2)
    return wcs


def test_value_and_sky_position_under_the_pointer_are_those_of_the_file(page: Page, workflow: Workflow) -> None:
    make_plane_subject(workflow, CARD)
    open_page(page, workflow)
    page.get_by_role("button", name="Show the pixels").click()
    page.locator("#look-stretch").select_option("linear")
    page.locator("#look-cuts").select_option("all")
    wcs = astropy_wcs()
    box = page.locator("#picture").bounding_box()
    assert box is not None
    seen = set()
    # Whatever the view: what is read under the pointer is what is painted there.
    for turn in ("upright", "turned", "flipped", "free", "zoomed"):
        if turn == "turned":
            page.keyboard.press("]")
        elif turn == "flipped":
            page.keyboard.press("v")
        elif turn == "free":
            page.get_by_label("Angle").fill("37")
        elif turn == "zoomed":
            page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.6)
            page.mouse.wheel(0, -500)
        view = look_at(page)
        for across, down in ((0.41, 0.33), (0.55, 0.62), (0.48, 0.51), (0.6, 0.4)):
            x, y = box["width"] * across, box["height"] * down
            page.mouse.move(box["x"] + x, box["y"] + y)
            value, place = (page.locator("#pixel-value").text_content() or "").split("\u2003")
            column, row = (int(number) - 1 for number in re.findall(r"\d+", place))
            sample = float(CARD[row, column])
            assert float(value.removesuffix(" adu").replace("−", "-")) == pytest.approx(
                BACKGROUND + NOISE * sample, abs=0.06
            )
            # A turned square's edge may run through the pixel.
            painted = view[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2].mean(axis=2)
            assert np.abs(painted - 255 * (sample + 6) / 66).min() <= 4, (turn, across, down)
            ra, dec = read_position(page.locator("#sky-position").text_content() or "")
            px, py = (float(number) for number in wcs.all_world2pix(ra, dec, 0))
            assert column - 0.6 < px < column + 0.6
            assert row - 0.6 < py < row + 0.6
            seen.add((column, row))
    assert len(seen) > 12
    # By keyboard: the crosshair stands on a sample's centre, which the position tells to a tenth of a pixel.
    page.keyboard.press("r")
    page.locator("#picture").focus()
    page.keyboard.press("x")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    expect(page.locator("#pixel-value")).to_contain_text("x 22 y 30")
    px, py = (
        float(v) for v in wcs.all_world2pix(*read_position(page.locator("#sky-position").text_content() or ""), 0)
    )
    assert (px, py) == (pytest.approx(21, abs=0.1), pytest.approx(29, abs=0.1))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.keyboard.press("c")
    expect(page.locator("#position-told")).to_contain_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    degrees = [float(number) for number in re.findall(r"-?[\d.]+", copied.partition("(")[2])]
    assert degrees == pytest.approx([float(v) for v in wcs.all_pix2world(21, 29, 0)], abs=1e-5)


def test_a_damaged_plane_leaves_the_picture_and_says_nothing(page: Page, workflow: Workflow) -> None:
    make_plane_subject(workflow, CARD)
    media = Media.objects.get(role="plane")
    path = Path(settings.MEDIA_ROOT) / media.path
    path.write_bytes(path.read_bytes()[:-200])
    open_page(page, workflow)
    for notice in ("#notice", ".stage-note.damaged"):
        expect(page.locator(notice)).to_be_hidden()
    assert look_at(page).std() > 20
    # Its levels can be looked at all the same, though not its values.
    page.get_by_role("button", name="Invert").click()
    page.mouse.move(*centre(page))
    expect(page.locator("#pixel-value")).to_have_text(re.compile(r"^\d+\u2003x \d+ y \d+$"))
    page.keyboard.press("1")
    expect(page.locator("#saving")).to_have_text("All answers saved")
    assert Classification.objects.count() == 1


def centre(page: Page) -> tuple[float, float]:
    box = page.locator("#picture").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_bands_are_told_one_by_one_and_can_be_switched_off(page: Page, workflow: Workflow) -> None:
    bands = colour_bands(3)
    make_plane_subject(workflow, bands)
    open_page(page, workflow)
    page.mouse.move(*centre(page))
    value, place = (page.locator("#pixel-value").text_content() or "").split("\u2003")
    column, row = (int(number) - 1 for number in re.findall(r"\d+", place))
    told = [float(number.replace("−", "-")) for number in re.findall(r"[−\d.]+", value)]
    assert told == pytest.approx(bands[:, row, column].astype(float).tolist(), rel=1e-3)
    middle = slice(100, 400), slice(250, 550)
    assert np.ptp(look_at(page)[middle], axis=2).max() > 60, "it is shown in colour"
    for band in ("G", "B"):
        page.get_by_label(band, exact=True).uncheck()
    assert np.ptp(look_at(page)[middle], axis=2).max() <= 2, "one band alone is grey"


def test_frames_are_stepped_through_and_shown_side_by_side(page: Page, workflow: Workflow) -> None:
    workflow.configuration = {"viewer": {"invert": True}}
    workflow.save()
    make_frames_subject(workflow, [1, 2, 3])
    open_page(page, workflow)
    expect(page.get_by_role("button", name="Invert")).to_have_attribute("aria-pressed", "true")
    place = page.locator("#frame-place")
    expect(place).to_have_text("1 of 3")
    first = look_at(page)
    assert np.median(first[:, first.shape[1] // 2]) > 127, "the workflow's own default inverts"
    page.keyboard.press(".")
    expect(place).to_have_text("2 of 3")
    assert np.abs(look_at(page) - first).mean() > 5
    page.keyboard.press(",")
    assert np.abs(look_at(page) - first).mean() < 1
    page.get_by_role("button", name="Play the pictures").click()
    expect(place).to_have_text("3 of 3")
    page.get_by_role("button", name="Pictures side by side").click()
    expect(place).to_have_text("all 3")
    together = look_at(page)
    thirds = np.array_split(together, 3, axis=1)
    assert all(part.std() > 15 for part in thirds)
    page.keyboard.press("1")
    expect(page.locator("#saving")).to_have_text("All answers saved")
    dimensions = Classification.objects.get().metadata["subject_dimensions"]
    assert [one["naturalWidth"] for one in dimensions] == [424, 424, 424]


def test_the_view_and_its_inverse_agree_everywhere(page: Page) -> None:
    page.goto("about:blank")
    random = np.random.default_rng(8)
    cases = [
        {
            "view": {
                "zoom": random.uniform(1, 32),
                "x": random.uniform(-900, 900),
                "y": random.uniform(-900, 900),
                "angle": float(random.choice([0, 90, -90, 180, random.uniform(-180, 180)])),
                "flipped": bool(random.integers(2)),
            },
            "size": {"width": int(random.integers(1, 3000)), "height": int(random.integers(1, 3000))},
            "box": {"x": 10, "y": 20, "width": random.uniform(50, 1500), "height": random.uniform(50, 1500)},
            "point": {"x": random.uniform(-100, 3000), "y": random.uniform(-100, 3000)},
        }
        for _ in range(400)
    ]
    results = evaluate_with(
        page,
        "classify/viewers/geometry.ts",
        """(g, cases) => cases.map(({view, size, box, point}) => {
            const map = g.pictureToScreen(view, size, box);
            const place = g.apply(map, point);
            const back = g.applyInverse(map, place);
            const middle = {x: box.x + box.width / 2, y: box.y + box.height / 2};
            const about = {x: place.x - middle.x, y: place.y - middle.y};
            const moved = [g.zoomAbout(view, 1.7, about, 1e9), g.turnAbout(view, 90, about)].map(next =>
                g.apply(g.pictureToScreen(next, size, box), point));
            const kept = g.keepInside(view, size, box);
            const fit = g.fitScale(size, box, view.angle);
            const determinant = (map.a * map.d - map.b * map.c) / (fit * view.zoom) ** 2;
            return {back, place, moved, kept, determinant};
        })""",
        cases,
    )
    for case, found in zip(cases, results, strict=True):
        point, place = case["point"], found["place"]
        assert (found["back"]["x"], found["back"]["y"]) == pytest.approx((point["x"], point["y"]), abs=1e-6)
        assert found["determinant"] == pytest.approx(-1 if case["view"]["flipped"] else 1)
        zoomed = found["moved"][0]
        assert (zoomed["x"], zoomed["y"]) == pytest.approx((place["x"], place["y"]), abs=1e-6), "it stays in its place"
        if case["size"]["width"] == case["size"]["height"]:
            turned = found["moved"][1]
            assert (turned["x"], turned["y"]) == pytest.approx((place["x"], place["y"]), abs=1e-6)
        assert abs(found["kept"]["x"]) <= abs(case["view"]["x"])


def test_wavelengths_in_air_agree_with_the_formulas_and_with_tables(page: Page) -> None:
    page.goto("about:blank")
    vacuum = np.geomspace(150, 2500, 200)
    air = evaluate_with(page, "classify/viewers/wavelengths.ts", "(w, nm) => nm.map(w.vacuumToAir)", vacuum.tolist())
    back = evaluate_with(page, "classify/viewers/wavelengths.ts", "(w, nm) => nm.map(w.airToVacuum)", air)
    assert np.abs(np.array(air) - vacuum_to_air(vacuum)).max() < 1e-9
    assert np.abs(np.array(back) - air_to_vacuum(np.array(air))).max() < 1e-9
    # To 1e-3 ångström there and back, and what tables of lines give in air and in vacuum.
    assert np.abs(np.array(back) - vacuum)[vacuum > 300].max() < 1e-4
    tables = {5008.240: 5006.843, 4960.295: 4958.911, 6549.86: 6548.05, 6718.29: 6716.44}
    found = evaluate_with(
        page, "classify/viewers/wavelengths.ts", "(w, nm) => nm.map(w.vacuumToAir)", [value / 10 for value in tables]
    )
    assert np.abs(np.array(found) * 10 - list(tables.values())).max() < 1e-2


# Wavelengths in air, in ångström: NIST's Atomic Spectra Database; blends as the page's table names them; band heads.
IN_AIR = {
    "Hα": [6562.79], "Hβ": [4861.33], "Hγ": [4340.47], "Hδ": [4101.73], "Hε": [3970.08], "H8": [3889.06],
    "Paα": [18751.0], "Paβ": [12818.1], "Paγ": [10938.1], "Brγ": [21655.3],
    "He I": [4471.48, 5875.62, 10830.3], "He II": [4685.70], "C II]": [2325.3], "[Ne IV]": [2438.8], "Mg II": [2798.3],
    "[Ne V]": [3425.87], "[O II]": [3726.03, 3727.42, 3728.82], "[Ne III]": [3868.76],
    "[O III]": [4363.21, 4958.91, 5006.84], "[O I]": [5577.34, 6300.30, 6363.78], "[N II]": [6548.05, 6583.45],
    "[S II]": [6716.44, 6730.82], "[S III]": [9068.6, 9530.6], "Na": [5889.95], "Na D": [5889.95, 5895.92],
    "Ca K": [3933.66], "Ca H": [3968.47], "Ca II": [8498.02, 8542.09, 8662.14], "G": [4304.4],
    "Mg b": [5167.32, 5172.68, 5175.3, 5183.60], "Hg": [4358.33, 5460.74], "TiO": [7054.0],
    "O₂ A": [7593.7], "O₂ B": [6867.2],
}  # fmt: skip
# CODATA's Rydberg constant for hydrogen, 1/Å: the fine structure moves these lines by 0.15 Å at most.
RYDBERG = 1.0967758e-3
HYDROGEN = {"Lyα": (1, 2), "Hα": (2, 3), "Hβ": (2, 4), "Hγ": (2, 5), "Hδ": (2, 6), "Hε": (2, 7), "H8": (2, 8)}
HYDROGEN |= {"Paα": (3, 4), "Paβ": (3, 5), "Paγ": (3, 6), "Brγ": (4, 7)}


def test_every_line_lies_where_its_source_has_it_in_vacuum_and_in_air(page: Page) -> None:
    page.goto("about:blank")
    lists = evaluate_with(page, "classify/viewers/spectral-lines.ts", "(lines) => lines.SPECTRAL_LINES", None)
    all_lines = {(line["name"], line["angstrom"]) for one in lists.values() for line in one["lines"]}
    assert len(all_lines) > 50
    found = set()
    for name, vacuum in all_lines:
        if name in HYDROGEN:
            low, high = HYDROGEN[name]
            assert vacuum == pytest.approx(1 / (RYDBERG * (low**-2 - high**-2)), abs=0.2), name
        if vacuum > 2000:
            in_air = 10 * float(vacuum_to_air(np.array(vacuum / 10)))
            nearest = min(IN_AIR[name], key=lambda air: abs(air - in_air))
            # As many digits as the table has.
            assert in_air == pytest.approx(nearest, abs=0.15 if nearest * 10 % 1 < 1e-6 else 0.02), (name, vacuum)
            found.add((name, nearest))
    assert found == {(name, air) for name, wavelengths in IN_AIR.items() for air in wavelengths}
    assert {name for name, vacuum in all_lines if vacuum <= 2000} == {
        "Lyα", "O VI", "N V", "O I", "C II", "Si IV", "C IV", "He II", "Al III", "C III]",
    }  # fmt: skip


def make_spectra(workflow: Workflow) -> Workflow:
    spectra = factories.make_workflow(workflow.project, kind="spectrum", display_name="Spectra")
    pictures.make_spectrum_subject(spectra, 1)
    return spectra


def test_lines_are_dragged_to_a_redshift_and_the_axis_follows(page: Page, workflow: Workflow) -> None:
    open_page(page, make_spectra(workflow), stage="spectrum")
    plot = page.locator("#spectrum .u-over")
    box = plot.bounding_box()
    assert box is not None
    expect(page.locator("#redshift-tools")).to_be_hidden()
    page.get_by_label("Galaxy, emission").check()
    field = page.locator("#redshift")
    expect(field).to_have_value("0.0000")

    def place_of(nm: float) -> float:
        return box["x"] + box["width"] * (nm - 370.0) / 580.0

    middle = box["y"] + box["height"] / 2
    page.mouse.move(place_of(656.461), middle)
    expect(page.locator("#readout")).to_contain_text("Hα")
    page.mouse.down()
    page.mouse.move(place_of(700.0), middle, steps=3)
    page.mouse.move(place_of(750.0), middle, steps=3)
    page.mouse.up()
    assert float(field.input_value()) == pytest.approx(750.0 / 656.461 - 1, abs=0.003)
    page.mouse.move(place_of(800.0), middle)
    field.fill("0.2")
    field.press("Enter")
    page.locator("#spectrum").focus()
    page.keyboard.press("ArrowUp")
    assert float(field.input_value()) == pytest.approx(1.2 * 1.0005 - 1, abs=1e-4)
    redshift = float(field.input_value())
    page.get_by_label("Unit").select_option("angstrom")
    page.get_by_label("Medium").select_option("air")
    page.get_by_role("button", name="At rest").click()
    page.mouse.move(place_of(600.0), middle)
    told = float((page.locator("#readout").text_content() or "").split(" ")[0])
    # The reading is that of the nearest of 2,400 samples.
    assert told == pytest.approx(10 * float(vacuum_to_air(np.array(600.0 / (1 + redshift)))), abs=1.3)
    # Zoomed by the wheel about the pointer, the reading under it stays.
    page.mouse.wheel(0, -400)
    page.evaluate(SETTLED)
    page.mouse.move(place_of(600.0) + 1, middle)
    again = float((page.locator("#readout").text_content() or "").split(" ")[0])
    assert again == pytest.approx(told, abs=6), "a pixel and a sample further at most"
    page.reload()
    expect(page.get_by_label("Unit")).to_have_value("angstrom")
    expect(page.get_by_label("Galaxy, emission")).to_be_checked()
    expect(page.locator("#redshift")).to_have_value("0.0000")


def test_smoothing_weighs_samples_by_their_errors(page: Page) -> None:
    page.goto("about:blank")
    random = np.random.default_rng(2)
    error = random.uniform(0.5, 4.0, 60)
    flux = random.normal(size=60) * error
    for kernel, width in (("boxcar", 7), ("gaussian", 5)):
        if kernel == "boxcar":
            weights = np.ones(7)
        else:
            sigma = width / (2 * math.sqrt(2 * math.log(2)))
            reach = math.ceil(3 * sigma)
            weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
        precision = error**-2
        total = np.convolve(precision, weights, "same")
        expected = np.convolve(flux * precision, weights, "same") / total
        sigma_of_mean = np.sqrt(np.convolve(precision, weights**2, "same")) / total
        found = evaluate_with(
            page,
            "classify/viewers/smoothing.ts",
            "(s, [flux, error, width, kernel]) => s.smooth(flux, error, width, kernel)",
            [flux.tolist(), error.tolist(), width, kernel],
        )
        assert found["flux"] == pytest.approx(expected.tolist(), abs=1e-9)
        assert found["error"] == pytest.approx(sigma_of_mean.tolist(), abs=1e-9)


def test_uploaded_series_of_numbers_are_plotted_with_their_own_axes(page: Page, workflow: Workflow) -> None:
    spectra = make_spectra(workflow)
    [picture] = Media.objects.filter(role="location")
    Media.objects.filter(role="spectrum_data").delete()
    points = [{"x": x / 10, "y": math.sin(x / 9), "y_error": 0.1} for x in range(200)]
    series = [
        {"seriesData": points, "seriesOptions": {"label": "r"}},
        {"seriesData": [{"x": point["x"], "y": point["y"] + 2} for point in points[::2]]},
    ]
    body = {"data": series, "chartOptions": {"xAxisLabel": "Days", "yAxisLabel": "Brightness"}}
    path = Path(settings.MEDIA_ROOT) / picture.path.replace(".png", ".json")
    path.write_text(json.dumps(body))
    Media.objects.filter(pk=picture.pk).update(
        media_type="application/json", path=picture.path.replace(".png", ".json")
    )
    open_page(page, spectra, stage="spectrum")
    expect(page.get_by_label("Unit")).to_be_hidden()
    box = page.locator("#spectrum .u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    x, value = (page.locator("#readout").text_content() or "").split("\u2003")
    assert float(x) == pytest.approx(9.95, abs=0.1)
    assert float(value.split(" ")[0].replace("−", "-")) == pytest.approx(math.sin(float(x) * 10 / 9), abs=1e-3)
