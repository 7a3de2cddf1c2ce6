from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from esocs.demo.survey import SurveySummary, TruthRow
from esocs.demo.survey.artifacts import KINDS, draw_artifact
from esocs.demo.survey.difficulty import IMAGE_CLASSES, Draw, object_rng
from esocs.demo.survey.images import SECOND_CLASSES, SimulatedImage, simulate_image
from esocs.demo.survey.observing import ImageConditions, draw_image_conditions
from esocs.demo.survey.optics import Grid, Seeing, moffat, sersic


def simulate_one(class_name: str, difficulty: float, index: int) -> tuple[SimulatedImage, ImageConditions]:
    rng = object_rng(kind="image", index=index, seed=2)
    conditions = draw_image_conditions(rng)
    return simulate_image(Draw(class_name=class_name, difficulty=difficulty), rng, conditions), conditions


def in_sky_noise(pixels: np.ndarray) -> np.ndarray:
    middle = np.median(pixels)
    return (pixels - middle) / (1.4826 * np.median(np.abs(pixels - middle)))


@pytest.mark.parametrize("class_name", IMAGE_CLASSES)
@pytest.mark.parametrize("difficulty", [0.1, 0.51, 0.8, 1.0])
def test_every_class_gives_finite_pixels_at_every_difficulty(class_name: str, difficulty: float) -> None:
    image, _ = simulate_one(class_name, difficulty, index=4)
    assert image.pixels.shape == (144, 144)
    assert image.pixels.dtype == np.float32
    assert np.isfinite(image.pixels).all()
    assert image.second_class in SECOND_CLASSES[class_name]
    assert image.signal_to_noise > 0


@pytest.mark.parametrize("class_name", ["elliptical", "spiral", "edge-on", "merger", "star"])
def test_an_easy_target_stands_out_where_the_header_says_it_is(class_name: str) -> None:
    for index in range(4):
        image, conditions = simulate_one(class_name, 0.2, index=index)
        x, y = (round(at) for at in conditions.target_px)
        # a merger's nuclei stand on both sides of its middle
        reach = 26 if class_name == "merger" else 4
        assert in_sky_noise(image.pixels)[y - reach : y + reach + 1, x - reach : x + reach + 1].max() > 6


def test_a_hard_target_is_fainter_than_an_easy_one_of_its_class() -> None:
    for class_name in ("elliptical", "spiral", "edge-on", "merger", "star"):
        easy = [simulate_one(class_name, 0.1, index=index)[0].signal_to_noise for index in range(3)]
        hard = [simulate_one(class_name, 0.95, index=index)[0].signal_to_noise for index in range(3)]
        assert max(hard) < min(easy)


@pytest.mark.parametrize("kind", KINDS)
def test_an_artifact_is_plain_when_easy_and_faint_when_hard(kind: str) -> None:
    def total(ambiguity: float, seed: int) -> float:
        rng = np.random.default_rng(seed)
        defect = draw_artifact(kind, rng, (71.0, 72.0), ambiguity=ambiguity, seeing_arcsec=0.8)
        assert defect.shape == (144, 144)
        assert defect.min() >= 0
        return float(np.sqrt(np.sum(defect**2)))

    for seed in range(5):
        assert total(0.0, seed) > 100
        assert total(1.0, seed) < 0.35 * total(0.0, seed)


def test_seeing_keeps_the_flux_and_the_position() -> None:
    grid = Grid.around((70.25, 73.5))
    seeing = Seeing(moffat(seeing_arcsec=0.8, beta=3.5, ellipticity=0.0, angle_deg=0.0))
    blurred = seeing.blur(sersic(grid, index=1.0, radius_arcsec=0.8))
    rows, columns = np.indices(blurred.shape)
    assert blurred.sum() == pytest.approx(1.0, abs=0.01)
    assert np.average(columns, weights=blurred) == pytest.approx(70.25, abs=0.05)
    assert np.average(rows, weights=blurred) == pytest.approx(73.5, abs=0.05)


def test_every_image_is_valid_fits_whose_target_leaves_room_for_a_cut_out_of_128_pixels(
    survey: SurveySummary, truth: list[TruthRow]
) -> None:
    for row in truth:
        if row.kind != "image":
            continue
        with fits.open(survey.directory / row.file_name, checksum=True) as units:
            units.verify("exception")
            header = units[0].header
            x, y = WCS(header).world_to_pixel_values(header["RA"], header["DEC"])
            assert units[0].data.shape == (144, 144)
        for at in (x, y):
            assert 63 <= at <= 80


def test_an_image_has_the_cards_of_a_phase_3_product(survey: SurveySummary, truth: list[TruthRow]) -> None:
    wanted = [
        "ORIGIN",
        "TELESCOP",
        "INSTRUME",
        "FILTER",
        "OBJECT",
        "RA",
        "DEC",
        "EXPTIME",
        "MJD-OBS",
        "MJD-END",
        "DATE-OBS",
        "PROG_ID",
        "OBSTECH",
        "NCOMBINE",
        "PRODCATG",
        "PSF_FWHM",
        "PHOTZP",
        "ABMAGLIM",
        "PHOTSYS",
        "BUNIT",
        "CTYPE1",
        "CD1_1",
        "CD2_2",
        "RADESYS",
        "PROCSOFT",
        "PROV1",
        "ARCFILE",
        "CHECKSUM",
    ]
    for row in truth[:10]:
        header = fits.getheader(survey.directory / row.file_name)
        assert [keyword for keyword in wanted if keyword not in header] == []
        assert header["ARCFILE"] == f"{row.dp_id}.fits"
        assert header["PRODCATG"] == "SCIENCE.IMAGE"
        assert header["ESO TEL AMBI FWHM START"] > 0
        assert row.seeing_arcsec == pytest.approx(header["PSF_FWHM"], rel=0.08)
