from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from esocs.demo.survey import SurveySummary, TruthRow
from esocs.demo.survey.defects import KINDS, draw_defect
from esocs.demo.survey.difficulty import SPECTRUM_CLASSES, Draw, object_rng
from esocs.demo.survey.spectra import SECOND_CLASSES, simulate_spectrum
from esocs.demo.survey.tables import LAYOUTS, to_air
from esocs.demo.survey.templates import lyman_forest


@pytest.mark.parametrize("class_name", SPECTRUM_CLASSES)
@pytest.mark.parametrize("difficulty", [0.1, 0.51, 0.8, 1.0])
def test_every_class_gives_finite_flux_at_every_difficulty(class_name: str, difficulty: float) -> None:
    for index in range(6):
        rng = object_rng(kind="spectrum", index=index, seed=2)
        spectrum = simulate_spectrum(Draw(class_name=class_name, difficulty=difficulty), rng, airmass=1.2)
        assert 2500 <= spectrum.flux.size <= 4000
        assert spectrum.wavelength_nm[0] >= 370
        assert spectrum.wavelength_nm[-1] <= 950
        assert (np.diff(spectrum.wavelength_nm) > 0).all()
        assert np.isfinite(spectrum.flux).all()
        assert (spectrum.error > 0).all()
        assert spectrum.second_class in SECOND_CLASSES[class_name]


@pytest.mark.parametrize(("class_name", "difficulty"), [("star", 0.2), ("galaxy", 0.2), ("quasar", 0.9)])
def test_a_healthy_spectrum_has_the_signal_to_noise_that_the_truth_says(class_name: str, difficulty: float) -> None:
    rng = object_rng(kind="spectrum", index=3, seed=2)
    spectrum = simulate_spectrum(Draw(class_name=class_name, difficulty=difficulty), rng, airmass=1.2)
    assert np.median(spectrum.flux / spectrum.error) == pytest.approx(spectrum.signal_to_noise, rel=0.15)


def test_an_emission_line_galaxy_shows_its_lines_where_its_redshift_puts_them() -> None:
    for index in range(12):
        rng = object_rng(kind="spectrum", index=index, seed=2)
        spectrum = simulate_spectrum(Draw(class_name="emission-line galaxy", difficulty=0.2), rng, airmass=1.0)
        heights = []
        for rest_nm in (372.85, 500.82, 656.46):
            near = np.abs(spectrum.wavelength_nm - rest_nm * (1 + spectrum.redshift)) < 1.0
            if near.any():
                level = spectrum.continuum[near].mean()
                heights.append((spectrum.flux[near].max() - level) / np.median(spectrum.error[near]))
        assert max(heights) > 8


@pytest.mark.parametrize("kind", KINDS)
def test_a_defect_is_plain_when_easy_and_slight_when_hard(kind: str) -> None:
    wavelength = np.linspace(370, 950, 3000)
    healthy = 1 + 0.3 * np.sin(wavelength / 90)

    def damage(ambiguity: float, seed: int) -> float:
        rng = np.random.default_rng(seed)
        bad = draw_defect(kind, wavelength, healthy, rng, ambiguity=ambiguity, sigma_nm=0.15)
        return float(np.sqrt(np.mean((bad / np.median(np.abs(bad) + 1e-9) - healthy) ** 2)))

    for seed in range(5):
        assert damage(0.0, seed) > 0.05
    if kind != "saturated":  # its throughput remains when nothing is clipped
        assert np.mean([damage(1.0, seed) for seed in range(5)]) < 0.15


def test_every_spectrum_is_a_valid_phase_3_table_of_one_row(survey: SurveySummary, truth: list[TruthRow]) -> None:
    for row in truth:
        if row.kind != "spectrum":
            continue
        with fits.open(survey.directory / row.file_name, checksum=True) as units:
            units.verify("exception")
            primary, table = units[0].header, units[1].header
            assert primary["NAXIS"] == 0
            assert primary["PRODCATG"] == "SCIENCE.SPECTRUM"
            assert primary["ARCFILE"] == f"{row.dp_id}.fits"
            assert table["NAXIS2"] == 1
            assert table["VOCLASS"].startswith("SPECTRUM V")
            utypes = [table[f"TUTYP{number}"] for number in range(1, table["TFIELDS"] + 1)]
            own = [utype for utype in utypes if utype.startswith(("spec:", "Spectrum."))]
            for ending in ("Data.SpectralAxis.Value", "Data.FluxAxis.Value", "Data.FluxAxis.Accuracy.StatError"):
                assert sum(utype.endswith(ending) for utype in own) == 1
            for column in units[1].columns:
                assert units[1].data[column.name].shape == (1, table["NELEM"])
            assert table["TUCD1"] in {"em.wl", "em.wl;obs.atmos"}


def test_the_survey_has_every_layout_and_some_errors_that_hold_nothing(
    survey: SurveySummary, truth: list[TruthRow]
) -> None:
    seen, empty = set(), 0
    for row in truth:
        if row.kind == "spectrum":
            with fits.open(survey.directory / row.file_name) as units:
                names = units[1].columns.names
                seen.add((units[0].header["TELESCOP"], units[0].header["INSTRUME"]))
                error = next(name for name in names if name in {"ERR", "ERR_FLUX", "SIGMA"})
                empty += bool(np.isnan(units[1].data[error]).all())
    assert seen == {(layout.telescope, layout.instrument) for layout in LAYOUTS}
    assert 1 <= empty <= 15


@pytest.mark.parametrize("redshift", [2.03, 2.0437, 2.05, 3.9])
def test_the_forest_may_begin_anywhere_near_the_blue_end(redshift: float) -> None:
    rest = np.linspace(370, 950, 3000) / (1 + redshift)
    transmission = lyman_forest(rest, np.random.default_rng(1), redshift=redshift)
    assert ((transmission > 0) & (transmission <= 1)).all()
    assert (transmission[rest > 121] == 1).all()


def test_air_wavelengths_are_those_of_the_standard_tables() -> None:
    # Halpha and [O III] 5007 in vacuum and in air (Morton 1991)
    assert to_air(np.array([656.4614, 500.8240])) == pytest.approx([656.2801, 500.6843], abs=1e-3)
