"""Spectra: columns by utype, air and vacuum, units, one-dimensional images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.fits.content import CutSpec, Spectrum
from classifier.fits.errors import FitsError, NoFluxColumnError, NoScienceDataError, UnreadableError
from classifier.fits.limits import Limits
from classifier.fits.parsing import parse_file
from classifier.fits.spectra import DISPLAY_BINS, air_to_vacuum, measure_snr, vacuum_to_air
from tests.classifier.fits.files import (
    PHASE3_COLUMNS,
    CardLine,
    empty_primary,
    header,
    image_hdu,
    padded,
    spectrum_values,
    table_hdu,
    write_spectrum,
)


def read(path: Path) -> Spectrum:
    content = parse_file(path, spec=CutSpec(), limits=Limits())
    assert content.kind == "spectrum"
    assert content.spectrum is not None
    return content.spectrum


def read_table(path: Path, columns: Sequence[tuple[dict[str, str], Any]], **options: Any) -> Spectrum:
    path.write_bytes(empty_primary() + table_hdu(columns, **options))
    return read(path)


def line_position(spectrum: Spectrum) -> float:
    """Wavelength of the brightest element."""
    return float(spectrum.wavelength_nm[np.nanargmax(spectrum.flux)])


@pytest.mark.parametrize(
    ("air_nm", "vacuum_nm"),
    # Lines of the NIST and SDSS tables of vacuum and air wavelengths.
    [(486.1363, 486.2721), (500.6843, 500.8240), (656.2819, 656.4632), (589.15833, 589.32161), (393.3663, 393.4777)],
)
def test_air_wavelengths_become_known_vacuum_wavelengths(air_nm: float, vacuum_nm: float) -> None:
    assert float(air_to_vacuum(np.array(air_nm))) == pytest.approx(vacuum_nm, abs=4e-4)


@given(st.floats(210.0, 3000.0))
def test_air_and_vacuum_are_each_others_inverse(wavelength_nm: float) -> None:
    there = vacuum_to_air(np.array(wavelength_nm))
    assert there < wavelength_nm
    assert float(air_to_vacuum(there)) == pytest.approx(wavelength_nm, abs=2e-5)


def test_below_200_nm_air_and_vacuum_are_the_same() -> None:
    assert float(air_to_vacuum(np.array(150.0))) == 150.0


def test_columns_are_found_by_utype_not_by_name(tmp_path: Path) -> None:
    wavelength, flux, error = spectrum_values()
    columns = [
        ({"TTYPE": "FLUX", "TUTYP": "eso:Data.FluxAxis.Value"}, flux * 100),
        ({"TTYPE": "CONTINUUM", "TUTYP": "continuum:Data.FluxAxis.Value"}, flux * 10),
        ({"TTYPE": "ERR", "TUTYP": "eso:Data.FluxAxis.Accuracy.StatError"}, error * 100),
        *zip(PHASE3_COLUMNS, (wavelength, flux, error), strict=True),
    ]
    spectrum = read_table(tmp_path / "a.fits", columns)
    assert np.allclose(spectrum.flux, flux)
    assert spectrum.error is not None
    assert np.allclose(spectrum.error, error)
    assert spectrum.flux_unit == "adu"
    assert (spectrum.from_air, spectrum.medium_declared, spectrum.elements) == (False, True, 3000)
    assert line_position(spectrum) == pytest.approx(600.0, abs=0.5)


def test_the_main_flux_wins_among_several(tmp_path: Path) -> None:
    wavelength, flux, _ = spectrum_values()
    about = {"TTYPE": "X", "TUTYP": "spec:Data.FluxAxis.Value", "TUCD": "phot.flux.density"}
    main = {**about, "TUCD": "phot.flux.density;meta.main"}
    spectrum = read_table(tmp_path / "a.fits", [(PHASE3_COLUMNS[0], wavelength), (about, flux * 7), (main, flux)])
    assert np.allclose(spectrum.flux, flux)


@pytest.mark.parametrize(
    ("unit", "factor"), [("nm", 1.0), ("Angstrom", 10.0), ("um", 1e-3), ("[angstrom]", 10.0), ("", 10.0)]
)
def test_wavelengths_come_in_nanometres(tmp_path: Path, unit: str, factor: float) -> None:
    wavelength, flux, error = spectrum_values()
    axis = {**PHASE3_COLUMNS[0], "TUNIT": unit}
    columns = [(axis, wavelength * factor), (PHASE3_COLUMNS[1], flux), (PHASE3_COLUMNS[2], error)]
    assert line_position(read_table(tmp_path / "a.fits", columns)) == pytest.approx(600.0, abs=0.5)


def test_wavelengths_in_air_are_converted(tmp_path: Path) -> None:
    wavelength, flux, _ = spectrum_values()
    axis = {**PHASE3_COLUMNS[0], "TUCD": "em.wl;obs.atmos"}
    spectrum = read_table(tmp_path / "a.fits", [(axis, wavelength), (PHASE3_COLUMNS[1], flux)])
    assert spectrum.from_air
    assert spectrum.wavelength_nm[0] == pytest.approx(400.113, abs=1e-3)


def test_errors_that_are_all_nan_are_tolerated(tmp_path: Path) -> None:
    wavelength, flux, error = spectrum_values()
    spectrum = read_table(
        tmp_path / "a.fits", list(zip(PHASE3_COLUMNS, (wavelength, flux, error * np.nan), strict=True))
    )
    assert spectrum.error is not None
    assert np.isnan(spectrum.error).all()


@pytest.mark.parametrize("vector", [True, False])
def test_a_plain_table_with_obvious_columns_is_read(tmp_path: Path, vector: bool) -> None:
    wavelength, flux, error = spectrum_values()
    columns = [({"TTYPE": "Err"}, error), ({"TTYPE": "lambda"}, wavelength * 10), ({"TTYPE": "Flux"}, flux)]
    spectrum = read_table(tmp_path / "a.fits", columns, vector=vector)
    assert np.allclose(spectrum.flux, flux)
    assert line_position(spectrum) == pytest.approx(600.0, abs=0.5)


def test_a_logarithmic_wavelength_column_is_understood(tmp_path: Path) -> None:
    wavelength, flux, _ = spectrum_values()
    columns = [({"TTYPE": "loglam"}, np.log10(wavelength * 10)), ({"TTYPE": "flux"}, flux)]
    assert line_position(read_table(tmp_path / "a.fits", columns, vector=False)) == pytest.approx(600.0, abs=0.5)


def test_a_descending_axis_is_turned_round(tmp_path: Path) -> None:
    wavelength, flux, error = spectrum_values()
    columns = list(zip(PHASE3_COLUMNS, (wavelength[::-1].copy(), flux[::-1].copy(), error), strict=True))
    spectrum = read_table(tmp_path / "a.fits", columns)
    assert np.all(np.diff(spectrum.wavelength_nm) > 0)
    assert line_position(spectrum) == pytest.approx(600.0, abs=0.5)


def test_variable_length_columns_are_read(tmp_path: Path) -> None:
    from astropy.io import fits

    wavelength, flux, _ = spectrum_values(500)
    columns = [
        fits.Column("WAVE", "PD()", array=np.array([wavelength, wavelength], dtype=object), unit="nm"),
        fits.Column("FLUX", "PE()", array=np.array([flux, flux], dtype=object)),
    ]
    path = tmp_path / "a.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]).writeto(path)
    assert np.allclose(read(path).flux, flux)


def test_a_variable_length_column_that_points_outside_its_heap_is_refused(tmp_path: Path) -> None:
    lines: list[CardLine] = [("XTENSION", "BINTABLE"), ("BITPIX", 8), ("NAXIS", 2), ("NAXIS1", 16), ("NAXIS2", 1)]
    lines += [("PCOUNT", 0), ("GCOUNT", 1), ("TFIELDS", 2), ("TFORM1", "1PD"), ("TTYPE1", "WAVE")]
    lines += [("TFORM2", "1PE"), ("TTYPE2", "FLUX")]
    descriptors = np.array([9, 0, 9, 72], dtype=">i4").tobytes()
    path = tmp_path / "a.fits"
    path.write_bytes(empty_primary() + header(lines) + padded(descriptors))
    with pytest.raises(UnreadableError, match="heap"):
        read(path)


def test_columns_wider_than_the_row_are_refused(tmp_path: Path) -> None:
    wavelength, flux, _ = spectrum_values(100)
    table = table_hdu([({"TTYPE": "WAVE"}, wavelength), ({"TTYPE": "FLUX"}, flux)])
    path = tmp_path / "a.fits"
    path.write_bytes(empty_primary() + table.replace(b"'100D    '", b"'900D    '"))
    with pytest.raises(UnreadableError, match="bytes a row"):
        read(path)


def test_a_table_without_flux_names_its_columns(tmp_path: Path) -> None:
    wavelength, flux, _ = spectrum_values(100)
    with pytest.raises(NoFluxColumnError, match="WAVE, MAG"):
        read_table(tmp_path / "a.fits", [({"TTYPE": "WAVE"}, wavelength), ({"TTYPE": "MAG"}, flux)])


def write_line(path: Path, values: Any, cards: Sequence[CardLine]) -> Path:
    path.write_bytes(image_hdu(values, cards))
    return path


LINEAR: list[CardLine] = [("CRVAL1", 4000.0), ("CDELT1", 5000.0 / 2999), ("CRPIX1", 1.0)]


def test_a_one_dimensional_image_is_a_spectrum(tmp_path: Path) -> None:
    path = write_line(tmp_path / "a.fits", spectrum_values()[1], [*LINEAR, ("CUNIT1", "Angstrom")])
    spectrum = read(path)
    assert (spectrum.error, spectrum.from_air, spectrum.medium_declared) == (None, False, False)
    assert line_position(spectrum) == pytest.approx(600.0, abs=0.5)


@pytest.mark.parametrize(
    ("cards", "air", "declared"),
    [
        ([("CTYPE1", "AWAV")], True, True),
        ([("CTYPE1", "WAVE")], False, True),
        ([("INSTRUME", "HARPS")], True, False),
        ([("INSTRUME", "XSHOOTER")], False, False),
        ([("CTYPE1", "WAVE"), ("INSTRUME", "HARPS")], False, True),
    ],
)
def test_the_medium_is_what_the_axis_or_else_the_pipeline_means(
    tmp_path: Path, cards: list[CardLine], air: bool, declared: bool
) -> None:
    spectrum = read(write_line(tmp_path / "a.fits", spectrum_values()[1], [*LINEAR, *cards]))
    assert (spectrum.from_air, spectrum.medium_declared) == (air, declared)


def test_a_logarithmic_axis_is_understood(tmp_path: Path) -> None:
    flux = spectrum_values()[1]
    step = math.log10(900.0 / 400.0) / 2999
    cards: list[CardLine] = [("CRVAL1", math.log10(4000.0)), ("CDELT1", step), ("DC-FLAG", 1)]
    spectrum = read(write_line(tmp_path / "a.fits", flux, cards))
    assert spectrum.wavelength_nm[[0, -1]] == pytest.approx([400.0, 900.0])


def test_an_image_of_one_row_is_a_spectrum_too(tmp_path: Path) -> None:
    path = write_line(tmp_path / "a.fits", spectrum_values()[1][None, :], LINEAR)
    assert line_position(read(path)) == pytest.approx(600.0, abs=0.5)


@pytest.mark.parametrize("cards", [[], [("CRVAL1", 1e9), ("CDELT1", 1e6), ("CTYPE1", "FREQ")]])
def test_a_line_of_numbers_without_wavelengths_is_no_science(tmp_path: Path, cards: list[CardLine]) -> None:
    path = write_line(tmp_path / "a.fits", spectrum_values()[1], cards)
    with pytest.raises(NoScienceDataError):
        read(path)


def test_a_long_spectrum_is_binned_for_display_and_keeps_its_total(tmp_path: Path) -> None:
    wavelength = np.linspace(380.0, 690.0, 300_000)
    flux = np.ones(300_000, dtype=np.float32)
    error = np.full(300_000, 0.1, dtype=np.float32)
    flux[1000:1200] = np.nan
    spectrum = read_table(tmp_path / "a.fits", list(zip(PHASE3_COLUMNS, (wavelength, flux, error), strict=True)))
    assert spectrum.flux.size <= DISPLAY_BINS
    assert (spectrum.elements, spectrum.missing_share) == (300_000, pytest.approx(200 / 300_000))
    assert np.nanmean(spectrum.flux) == pytest.approx(1.0)
    assert spectrum.error is not None
    assert np.nanmedian(spectrum.error) == pytest.approx(0.1 / math.sqrt(74), rel=0.01)
    assert spectrum.coverage == pytest.approx(math.log(690 / 380) / math.log(950 / 370), abs=0.01)


def test_the_category_decides_where_a_file_holds_an_image_and_a_spectrum(tmp_path: Path) -> None:
    columns = list(zip(PHASE3_COLUMNS, spectrum_values(), strict=True))
    both = image_hdu(np.ones((64, 64), dtype=np.float32), extension="SLIT") + table_hdu(columns)
    path = tmp_path / "a.fits"
    path.write_bytes(empty_primary() + both)
    assert parse_file(path, spec=CutSpec(), limits=Limits()).kind == "image"
    path.write_bytes(empty_primary([("PRODCATG", "SCIENCE.SPECTRUM")]) + both)
    assert parse_file(path, spec=CutSpec(), limits=Limits()).kind == "spectrum"


def test_signal_to_noise_is_measured_from_the_flux() -> None:
    flux = np.random.default_rng(3).normal(100.0, 5.0, 20_000)
    assert measure_snr(flux) == pytest.approx(20.0, rel=0.05)
    assert measure_snr(np.ones(100)) is None
    assert measure_snr(np.ones(3)) is None


def test_facts_of_the_product_are_typed(tmp_path: Path) -> None:
    cards: list[CardLine] = [
        ("ARCFILE", "ADP.2016-07-15T08:22:40.678.fits"),
        ("OBJECT", "BR J2349-3712"),
        ("INSTRUME", "XSHOOTER"),
        ("RA", "13:29:24.00"),
        ("DEC", "-47:15:34.00"),
        ("EXPTIME", 3600.0),
        ("DATE-OBS", "2000-01-01T12:00:00"),
        ("ESO OBS PROG ID", "189.A-0424(B)"),
        ("ESO TEL AMBI FWHM START", 0.8),
        ("SNR", 21.5),
        ("WAVELMIN", 400.0),
    ]
    facts = parse_file(write_spectrum(tmp_path / "a.fits", cards=cards), spec=CutSpec(), limits=Limits()).facts
    assert facts.dp_id == "ADP.2016-07-15T08:22:40.678"
    assert (facts.ra_deg, facts.dec_deg) == (pytest.approx(202.35), pytest.approx(-47.259444))
    assert facts.mjd_obs == pytest.approx(51544.5)
    assert (facts.exposure_time_s, facts.proposal_id, facts.seeing_arcsec) == (3600.0, "189.A-0424(B)", 0.8)
    assert (facts.snr, facts.product_category, facts.wavelength_min_nm) == (21.5, "SCIENCE.SPECTRUM", 400.0)
    assert facts.cards["ESO TEL AMBI FWHM START"] == 0.8
    assert "SIMPLE" not in facts.cards


def test_facts_that_make_no_sense_are_none(tmp_path: Path) -> None:
    cards: list[CardLine] = [("RA", 400.0), ("DEC", "north"), ("EXPTIME", -1.0), ("DATE-OBS", "yesterday")]
    facts = parse_file(write_spectrum(tmp_path / "a.fits", cards=cards), spec=CutSpec(), limits=Limits()).facts
    assert (facts.ra_deg, facts.dec_deg, facts.exposure_time_s, facts.mjd_obs) == (None,) * 4


@pytest.mark.real_data
def test_the_genuine_phase3_spectrum_is_read(real_data: Path) -> None:
    content = parse_file(real_data / "fits" / "XShooter_XQ100.fits.gz", spec=CutSpec(), limits=Limits())
    spectrum = content.spectrum
    assert spectrum is not None
    assert content.facts.dp_id == "ADP.2016-07-15T08:22:40.678"
    assert (spectrum.elements, spectrum.from_air, spectrum.medium_declared) == (9771, False, True)
    assert spectrum.wavelength_min_nm == pytest.approx(981.7514)
    assert spectrum.flux_unit.startswith("erg")
    assert spectrum.error is not None


@pytest.mark.real_data
def test_the_genuine_harps_spectrum_is_read_and_its_lines_lie_right(real_data: Path) -> None:
    path = real_data / "fits" / "HARPS.2010-09-18T23_42_36.178_s1d_A.fits.gz"
    spectrum = read(path)
    assert (spectrum.elements, spectrum.from_air) == (313_114, True)
    # The sodium D2 line of Gl 581 (radial velocity -9 km/s), deepest near 588.995 nm in air.
    near = (spectrum.wavelength_nm > 588.8) & (spectrum.wavelength_nm < 589.6)
    assert spectrum.flux[near].min() < 0.3 * np.median(spectrum.flux[near & (spectrum.wavelength_nm < 589.0)])


def test_damage_to_a_spectrum_is_always_a_named_error(tmp_path: Path) -> None:
    content = write_spectrum(tmp_path / "a.fits").read_bytes()
    path = tmp_path / "b.fits"
    for size in range(0, len(content), 2880):
        path.write_bytes(content[:size])
        with pytest.raises(FitsError):
            parse_file(path, spec=CutSpec(), limits=Limits())
