"""A spectrum as an ESO Phase 3 binary table: one row, vector cells, columns told apart by utype and UCD.

Five column layouts as different instruments' pipelines write them, chosen without regard to the class.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from esocs.demo.survey.headers import observation_cards, progenitor_cards, target_name, telescope_cards
from esocs.demo.survey.lines import Array
from esocs.demo.survey.observing import Pointing
from esocs.demo.survey.spectra import SimulatedSpectrum
from esocs.demo.survey.writer import Card, empty_primary_unit, vector_table_unit

Rng = np.random.Generator

Quantity = Literal["wavelength", "flux", "error", "raw", "telluric-corrected", "continuum", "quality", "snr"]

_FLUX_UCD: Final = "phot.flux.density;em.wl"
_FORMATS: Final = {"E": ">f4", "D": ">f8", "J": ">i4"}


@dataclass(frozen=True, slots=True)
class Column:
    """Name, meaning, utype after its prefix, and FITS type code of one column."""

    name: str
    quantity: Quantity
    utype: str
    code: str = "E"


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """How one instrument's products look.

    Attributes:
        telescope: TELESCOP.
        instrument: INSTRUME.
        raw_prefix: How its raw files' names begin.
        voclass: The data model's name and version.
        wavelength_unit: TUNIT of the wavelength; flux is per the same unit.
        in_air: Whether wavelengths are in air, and so the UCD ``em.wl;obs.atmos``.
        columns: In the order of the table.
    """

    telescope: str
    instrument: str
    raw_prefix: str
    voclass: str
    wavelength_unit: str
    in_air: bool
    columns: tuple[Column, ...]


LAYOUTS: Final = (
    Layout(
        telescope="ESO-VLT-U2",
        instrument="XSHOOTER",
        raw_prefix="XSHOO",
        voclass="SPECTRUM V2.0",
        wavelength_unit="nm",
        in_air=False,
        columns=(
            Column("WAVE", "wavelength", "spec:Data.SpectralAxis.Value"),
            Column("FLUX", "flux", "spec:Data.FluxAxis.Value"),
            Column("ERR_FLUX", "error", "spec:Data.FluxAxis.Accuracy.StatError"),
            Column("CONTINUUM", "continuum", "continuum:Data.FluxAxis.Value"),
            Column("FLUX_TELL_CORR", "telluric-corrected", "eso:Data.FluxAxis.Value"),
        ),
    ),
    Layout(
        telescope="ESO-VLT-U3",
        instrument="XSHOOTER",
        raw_prefix="XSHOO",
        voclass="SPECTRUM V1.0",
        wavelength_unit="nm",
        in_air=True,
        columns=(
            Column("WAVE", "wavelength", "Spectrum.Data.SpectralAxis.Value", "D"),
            Column("FLUX", "flux", "Spectrum.Data.FluxAxis.Value"),
            Column("ERR", "error", "Spectrum.Data.FluxAxis.Accuracy.StatError"),
            Column("QUAL", "quality", "Spectrum.Data.FluxAxis.Accuracy.QualityStatus", "J"),
            Column("SNR", "snr", "eso:Data.FluxAxis.Accuracy.SNR"),
        ),
    ),
    Layout(
        telescope="ESO-VLT-U1",
        instrument="FORS2",
        raw_prefix="FORS2",
        voclass="SPECTRUM V2.0",
        wavelength_unit="Angstrom",
        in_air=True,
        columns=(
            Column("WAVE", "wavelength", "spec:Data.SpectralAxis.Value", "D"),
            # raw counts stand before the flux: a reader that goes by name or order is wrong
            Column("FLUX", "raw", "eso:Data.FluxAxis.Value"),
            Column("FLUX_REDUCED", "flux", "spec:Data.FluxAxis.Value"),
            Column("ERR_FLUX", "error", "spec:Data.FluxAxis.Accuracy.StatError"),
        ),
    ),
    Layout(
        telescope="ESO-VLT-U3",
        instrument="VIMOS",
        raw_prefix="VIMOS",
        voclass="SPECTRUM V2.0",
        wavelength_unit="Angstrom",
        in_air=False,
        columns=(
            Column("WAVE", "wavelength", "spec:Data.SpectralAxis.Value"),
            Column("FLUX", "flux", "spec:Data.FluxAxis.Value"),
            Column("ERR", "error", "spec:Data.FluxAxis.Accuracy.StatError"),
        ),
    ),
    Layout(
        telescope="ESO-VLT-U4",
        instrument="MUSE",
        raw_prefix="MUSE",
        voclass="SPECTRUM V2.0",
        wavelength_unit="Angstrom",
        in_air=True,
        columns=(
            Column("LAMBDA", "wavelength", "spec:Data.SpectralAxis.Value", "D"),
            Column("FLUX_DENSITY", "flux", "spec:Data.FluxAxis.Value", "D"),
            Column("SIGMA", "error", "spec:Data.FluxAxis.Accuracy.StatError", "D"),
        ),
    ),
)
"""Equally likely."""


def to_air(vacuum_nm: Array) -> Array:
    """Wavelengths in standard air (Morton 2000, eq. 8)."""
    wavenumber2 = (1000.0 / vacuum_nm) ** 2
    index = 1 + 8.34254e-5 + 2.406147e-2 / (130 - wavenumber2) + 1.5998e-4 / (38.9 - wavenumber2)
    return np.asarray(vacuum_nm / index)


def column_values(
    spectrum: SimulatedSpectrum, layout: Layout, rng: Rng, *, flux_scale: float, without_error: bool
) -> dict[Quantity, Array]:
    """Every quantity in the layout's units; ``flux_scale`` is the flux density of a template's 1."""
    per_nm = 1.0 if layout.wavelength_unit == "nm" else 10.0
    wavelength = to_air(spectrum.wavelength_nm) if layout.in_air else spectrum.wavelength_nm
    error = spectrum.error * rng.normal(1, 0.03) * flux_scale
    flux = spectrum.flux * flux_scale
    return {
        "wavelength": wavelength * per_nm,
        "flux": flux,
        "error": np.full_like(flux, np.nan) if without_error else error,
        "raw": spectrum.flux * 900.0 * np.linspace(0.4, 1.6, flux.size),
        "telluric-corrected": flux / np.maximum(spectrum.telluric, 0.1),
        "continuum": spectrum.continuum * flux_scale,
        "quality": spectrum.sky,
        "snr": flux / error,
    }


def describe(column: Column, layout: Layout) -> tuple[str, str]:
    """UCD and unit of a column."""
    per = layout.wavelength_unit.lower() if layout.wavelength_unit == "Angstrom" else layout.wavelength_unit
    flux_unit = f"erg cm**(-2) s**(-1) {per}**(-1)"
    return {
        "wavelength": ("em.wl;obs.atmos" if layout.in_air else "em.wl", layout.wavelength_unit),
        "flux": (f"{_FLUX_UCD};src.net;meta.main", flux_unit),
        "error": (f"stat.error;{_FLUX_UCD};src.net", flux_unit),
        "raw": (f"{_FLUX_UCD};src.net;stat.uncalib", "adu"),
        "telluric-corrected": (f"{_FLUX_UCD};src.net", flux_unit),
        "continuum": (f"{_FLUX_UCD};spect.continuum", flux_unit),
        "quality": ("meta.code.qual;meta.main", ""),
        "snr": ("stat.snr", ""),
    }[column.quantity]


def primary_cards(
    spectrum: SimulatedSpectrum,
    layout: Layout,
    pointing: Pointing,
    rng: Rng,
    *,
    dp_id: str,
    published: datetime,
    name: str,
    measured_snr: float,
) -> list[Card]:
    """The primary header of a Phase 3 spectrum after its mandatory keywords."""
    wavelength = to_air(spectrum.wavelength_nm) if layout.in_air else spectrum.wavelength_nm
    cards: list[Card] = [
        *observation_cards(pointing, dp_id=dp_id, published=published, name=name, rng=rng),
        ("TELESCOP", layout.telescope, "ESO telescope designation"),
        ("INSTRUME", layout.instrument, "Instrument name"),
        ("SPECSYS", "HELIOCEN", "Reference frame for spectral coordinates"),
        ("EXT_OBJ", False, "TRUE if extended"),
        ("RADESYS", "FK5", "Coordinate reference frame"),
        ("EQUINOX", 2000.0, "[y] Standard FK5"),
        ("PRODCATG", "SCIENCE.SPECTRUM", "Data product category"),
        ("OBSTECH", "SPECTRUM", "Technique of observation"),
        ("FLUXCAL", "ABSOLUTE", "Type of flux calibration"),
        ("CONTNORM", False, "TRUE if normalised to the continuum"),
        ("WAVELMIN", float(wavelength[0]), "[nm] Minimum wavelength"),
        ("WAVELMAX", float(wavelength[-1]), "[nm] Maximum wavelength"),
        ("SPEC_BIN", float(np.mean(np.diff(wavelength))), "[nm] Wavelength bin size"),
        ("TOT_FLUX", False, "TRUE if all source flux is captured"),
        ("FLUXERR", 10.0, "Uncertainty in flux scale (%)"),
        ("SNR", round(measured_snr, 3), "Median signal to noise ratio per pixel"),
        ("SPEC_RES", round(spectrum.resolution, 1), "Reference spectral resolving power"),
        *progenitor_cards(pointing, prefix=layout.raw_prefix),
        *telescope_cards(pointing, rng),
        ("HIERARCH ESO DPR TECH", "SPECTRUM", "Observation technique"),
        ("HIERARCH ESO INS ID", f"{layout.instrument}/1.4", "Instrument ID"),
        (
            "HIERARCH ESO INS SLIT WID",
            round(float(rng.choice([0.7, 0.9, 1.0, 1.2])), 2),
            "[arcsec] Slit width",
        ),
        ("HIERARCH ESO PRO CATG", "SCIENCE_SPECTRUM", "Category of pipeline product"),
        ("COMMENT", "A simulated observation, made by esocs.demo.survey.", ""),
    ]
    return cards


def table_cards(
    spectrum: SimulatedSpectrum,
    layout: Layout,
    pointing: Pointing,
    columns: list[NDArray[np.generic]],
    *,
    name: str,
) -> list[Card]:
    """The table's header: NELEM, VOCLASS and the description of each column."""
    low, high = float(columns[0][0]), float(columns[0][-1])
    cards: list[Card] = [
        ("VOCLASS", layout.voclass, "VO data model"),
        ("VOPUB", "ESO/SAF", "VO publishing authority"),
        ("TITLE", name, "Dataset title"),
        ("OBJECT", name, "Target designation"),
        ("RA", pointing.ra_deg, "[deg] Target position (J2000.0)"),
        ("DEC", pointing.dec_deg, "[deg] Target position (J2000.0)"),
        ("APERTURE", 0.00025, "[deg] Aperture diameter"),
        ("TELAPSE", round((pointing.mjd_end - pointing.mjd_start) * 86400, 3), "[s] Total elapsed time"),
        ("TMID", round((pointing.mjd_start + pointing.mjd_end) / 2, 8), "[d] MJD mid exposure"),
        ("SPEC_VAL", float(np.mean(spectrum.wavelength_nm[[0, -1]])), "[nm] Mean wavelength"),
        ("SPEC_BW", float(np.ptp(spectrum.wavelength_nm)), "[nm] Bandpass width Wmax - Wmin"),
        ("NELEM", spectrum.flux.size, "Length of the data arrays"),
        ("EXTNAME", "SPECTRUM", "FITS extension name"),
    ]
    for number, column in enumerate(layout.columns, start=1):
        ucd, unit = describe(column, layout)
        cards += [
            (f"TTYPE{number}", column.name, f"Label for field {number}"),
            (f"TFORM{number}", f"{spectrum.flux.size}{column.code}", f"Data format of field {number}"),
            (f"TUTYP{number}", column.utype, ""),
            (f"TUCD{number}", ucd, f"UCD of field {number}"),
        ]
        if unit:
            cards.append((f"TUNIT{number}", unit, f"Physical unit of field {number}"))
    return [
        *cards,
        ("TDMIN1", low, "Start in spectral coordinates"),
        ("TDMAX1", high, "Stop in spectral coordinates"),
    ]


def spectrum_file(
    spectrum: SimulatedSpectrum, pointing: Pointing, rng: Rng, *, dp_id: str, published: datetime
) -> bytes:
    """The whole file: an empty primary unit and the table."""
    layout = LAYOUTS[int(rng.integers(0, len(LAYOUTS)))]
    name = target_name(rng)
    flux_scale = float(10 ** rng.uniform(-17.5, -15.0))
    # in the archive one error column in some twenty holds nothing
    values = column_values(spectrum, layout, rng, flux_scale=flux_scale, without_error=bool(rng.random() < 0.05))
    columns: list[NDArray[np.generic]] = [
        values[column.quantity].astype(_FORMATS[column.code]) for column in layout.columns
    ]
    cards = primary_cards(
        spectrum,
        layout,
        pointing,
        rng,
        dp_id=dp_id,
        published=published,
        name=name,
        measured_snr=float(np.median(spectrum.flux / spectrum.error)),
    )
    table = vector_table_unit(columns, table_cards(spectrum, layout, pointing, columns, name=name))
    return empty_primary_unit(cards) + table
