"""Spectra: Phase 3 tables by utype, one-dimensional images, plain tables; wavelengths in nm in vacuum.

The Phase 3 standard is ESO-044286; the linear and logarithmic axes are Greisen et al. 2006 (A&A 446, 747).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classifier.cutouts import resample_spectrum
from classifier.fits.cards import Header
from classifier.fits.content import Spectrum
from classifier.fits.errors import NoFinitePixelsError, NoFluxColumnError, NoScienceDataError, UnreadableError
from classifier.fits.headers import Hdu
from classifier.fits.images import PlainImage
from classifier.fits.storage import Stored
from classifier.fits.tables import Column, list_columns, read_column

# The grid on which every network sees every spectrum: nm in vacuum.
NETWORK_WAVELENGTHS_NM: NDArray[np.float64] = np.geomspace(370.0, 950.0, 1024)
NETWORK_WAVELENGTHS_NM.setflags(write=False)

DISPLAY_BINS = 4096

_UNIT_NAMES = {
    1.0: ("nm", "nanometer", "nanometers", "nanometre", "nanometres", "10**-9 m", "10-9 m"),
    0.1: ("angstrom", "angstroms", "ang", "a", "aa", "0.1nm", "0.1 nm", "10**-10 m", "10-10 m"),
    1e3: ("um", "micron", "microns", "micrometer", "micrometers", "micrometre", "micrometres", "mum"),
    1e6: ("mm",),
    1e7: ("cm",),
    1e9: ("m", "meter", "metre"),
}
_NM_PER_UNIT = {name: factor for factor, names in _UNIT_NAMES.items() for name in names}

# These pipelines deliver wavelengths in air without saying so in the header.
_PIPELINES_IN_AIR = frozenset({"HARPS", "HARPN", "FEROS", "UVES"})
# Air and vacuum part only where the atmosphere is looked through (Morton 2000).
_AIR_FROM_NM = 200.0

_FLUX_UTYPE = re.compile(r"(?:([^:]*):)?(?:.*\.)?Data\.FluxAxis\.Value", re.IGNORECASE)
_ERROR_UTYPE = re.compile(r"(?:([^:]*):)?(?:.*\.)?Data\.FluxAxis\.Accuracy\.StatError", re.IGNORECASE)
_WAVELENGTH_UTYPE = re.compile(r"(?:([^:]*):)?(?:.*\.)?Data\.SpectralAxis\.Value", re.IGNORECASE)
_WAVELENGTH_NAMES = ("wave", "wavelength", "lambda", "wavelen", "wl", "wave_air", "awav", "lam", "loglam")
_FLUX_NAMES = (
    "flux",
    "flux_reduced",
    "flux_obs",
    "flux_cal",
    "fluxes",
    "spec",
    "spectrum",
    "intensity",
    "flx",
    "counts",
)
_ERROR_NAMES = (
    "err",
    "error",
    "err_flux",
    "flux_err",
    "err_reduced",
    "flux_error",
    "sigma",
    "e_flux",
    "noise",
    "errs",
)


@dataclass(frozen=True, slots=True)
class _Elements:
    """A spectrum as the file holds it, wavelengths in nm of the medium the file means."""

    wavelength_nm: NDArray[np.float64]
    flux: NDArray[np.float64]
    error: NDArray[np.float64] | None
    flux_unit: str
    in_air: bool
    medium_declared: bool


def air_to_vacuum(wavelength_nm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Vacuum wavelengths from those in standard air; below 200 nm unchanged.

    N. Piskunov's inverse of Morton's relation (2000, ApJS 130, 403, equation 8), as the VALD database uses
    it: accurate to 1e-6 nm over the optical and near infrared.

    Args:
        wavelength_nm: In air at 15 °C and 101,325 Pa, any shape.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        s2 = (1e3 / wavelength_nm) ** 2
        index = (
            1.0
            + 0.00008336624212083
            + 0.02408926869968 / (130.1065924522 - s2)
            + 0.0001599740894897 / (38.92568793293 - s2)
        )
    return np.where(wavelength_nm >= _AIR_FROM_NM, wavelength_nm * index, wavelength_nm)


def vacuum_to_air(wavelength_nm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Wavelengths in standard air from those in vacuum; below 200 nm unchanged.

    Morton 2000 (ApJS 130, 403), equation 8, the IAU standard.

    Args:
        wavelength_nm: In vacuum, any shape.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        s2 = (1e3 / wavelength_nm) ** 2
        index = 1.0 + 8.34254e-5 + 2.406147e-2 / (130.0 - s2) + 1.5998e-4 / (38.9 - s2)
    return np.where(wavelength_nm >= _AIR_FROM_NM, wavelength_nm / index, wavelength_nm)


def has_flux_column(hdu: Hdu) -> bool:
    """Whether a table tells, by utype or by name, a flux over wavelength."""
    columns = list_columns(hdu)
    return _flux_column(columns) is not None and _wavelength_column(columns) is not None


def is_line_spectrum(hdu: Hdu) -> bool:
    """Whether an image HDU is a one-dimensional spectrum with a wavelength axis."""
    if not hdu.is_image or hdu.compressed or not hdu.shape or hdu.shape[-1] < 16:
        return False
    if any(length != 1 for length in hdu.shape[:-1]):
        return False
    step = hdu.header.number("CDELT1", "CD1_1")
    return hdu.header.number("CRVAL1") is not None and step is not None and step != 0.0


def read_table_spectrum(stored: Stored, hdu: Hdu, headers: Sequence[Header]) -> Spectrum:
    """The spectrum in a binary table.

    Args:
        stored: The open file.
        hdu: The table.
        headers: Where to look for the instrument.

    Raises:
        NoFluxColumnError: No column is a flux over wavelength.
        NoFinitePixelsError: No flux is finite.
        UnreadableError: The table is damaged.
    """
    columns = list_columns(hdu)
    flux_column, axis_column = _flux_column(columns), _wavelength_column(columns)
    if flux_column is None or axis_column is None:
        names = ", ".join(column.name for column in columns[:12]) or "none"
        raise NoFluxColumnError(f"No column is a flux over wavelength; the columns are: {names:.200}.")
    error_column = _error_column(columns, flux_column)
    axis = read_column(stored.buffer, hdu, axis_column)
    flux = read_column(stored.buffer, hdu, flux_column)
    error = None if error_column is None else read_column(stored.buffer, hdu, error_column)
    if axis.size != flux.size:
        raise UnreadableError(f"{axis.size:,} wavelengths for {flux.size:,} fluxes.")
    if error is not None and error.size != flux.size:
        error = None
    if axis_column.name.lower() == "loglam":
        with np.errstate(over="ignore"):
            axis = 10.0**axis / 10.0
    else:
        axis = axis * _nm_per_unit(axis_column.unit, axis)
    words = axis_column.ucd.lower().replace(" ", "")
    declared = words.startswith("em.wl")
    in_air = "obs.atmos" in words or axis_column.name.lower() in {"wave_air", "awav"}
    if not declared and not in_air and not axis_column.utype:
        in_air = _pipeline_in_air(headers)
    return _spectrum(_Elements(axis, flux, error, flux_column.unit, in_air, declared or in_air))


def read_line_spectrum(stored: Stored, hdu: Hdu, headers: Sequence[Header]) -> Spectrum:
    """The spectrum in a one-dimensional image, as the HARPS pipeline writes it.

    Args:
        stored: The open file.
        hdu: The image.
        headers: Where to look for the instrument.

    Raises:
        NoScienceDataError: Its axis is not a wavelength.
        NoFinitePixelsError: No flux is finite.
    """
    header = hdu.header
    length = hdu.shape[-1]
    kind = (header.text("CTYPE1") or "").upper()
    if kind[:4] in {"FREQ", "ENER", "WAVN", "VRAD", "VELO", "VOPT", "BETA", "ZOPT"}:
        raise NoScienceDataError(f"The axis {kind} is not a wavelength.")
    start, step = header.number("CRVAL1"), header.number("CDELT1", "CD1_1")
    reference = header.number("CRPIX1")
    if start is None or step is None:
        raise NoScienceDataError("The one-dimensional image has no wavelengths (CRVAL1, CDELT1).")
    offset = (np.arange(length) + 1 - (1.0 if reference is None else reference)) * step
    with np.errstate(over="ignore", invalid="ignore"):
        if kind.endswith("-LOG") and start != 0.0:
            axis = start * np.exp(offset / start)
        elif header.number("DC-FLAG") == 1.0 or kind.startswith("LOG"):
            axis = 10.0 ** (start + offset)
        else:
            axis = start + offset
    unit = header.text("CUNIT1") or (kind if kind.lower() in _NM_PER_UNIT else "")
    declared = kind[:4] in {"WAVE", "AWAV"}
    in_air = kind.startswith("AWAV") or (not declared and _pipeline_in_air(headers))
    flat = Hdu(hdu.index, hdu.extension, hdu.bitpix, (1, length), hdu.data_offset, hdu.data_bytes, False, header)
    flux = PlainImage(stored.buffer, flat).region(slice(0, 1), slice(0, length))[0].astype(np.float64)
    return _spectrum(
        _Elements(axis * _nm_per_unit(unit, axis), flux, None, header.text("BUNIT") or "", in_air, declared)
    )


def measure_snr(flux: NDArray[np.float64]) -> float | None:
    """Signal-to-noise per element, DER_SNR (Stoehr et al. 2008, ASP Conf. 394, 505); None if untold.

    Args:
        flux: (n,), only finite values.
    """
    if flux.size < 16:
        return None
    noise = 0.6052697 * float(np.median(np.abs(2.0 * flux[2:-2] - flux[:-4] - flux[4:])))
    return float(np.median(flux)) / noise if noise > 0.0 else None


def _flux_column(columns: Sequence[Column]) -> Column | None:
    """By utype, the data model's own before others; ``meta.main`` decides; then by name."""
    ranked = []
    for column in columns:
        found = _FLUX_UTYPE.fullmatch(column.utype)
        if found is None or not column.is_numeric or (found[1] or "").lower() == "eso":
            continue
        own = (found[1] or "").lower() in {"", "spec", "spectrum", "ssa"}
        ranked.append(("meta.main" not in column.ucd.lower(), not own, column.number, column))
    if ranked:
        return min(ranked)[-1]
    return _by_name(columns, _FLUX_NAMES)


def _error_column(columns: Sequence[Column], flux: Column) -> Column | None:
    """The error that belongs to the chosen flux: the same utype prefix, or a plain name."""
    prefix = flux.utype.partition(":")[0].lower()
    for column in columns:
        same = column.utype.partition(":")[0].lower() == prefix or ":" not in column.utype
        if same and column.is_numeric and _ERROR_UTYPE.fullmatch(column.utype):
            return column
    return _by_name(columns, _ERROR_NAMES)


def _wavelength_column(columns: Sequence[Column]) -> Column | None:
    for column in columns:
        found = _WAVELENGTH_UTYPE.fullmatch(column.utype)
        if found is None or not column.is_numeric or (found[1] or "").lower() == "eso":
            continue
        if not column.ucd or column.ucd.lower().startswith("em.wl"):
            return column
    return _by_name(columns, _WAVELENGTH_NAMES)


def _by_name(columns: Sequence[Column], names: Sequence[str]) -> Column | None:
    by_name = {
        column.name.lower(): column
        for column in columns
        if column.is_numeric and not column.utype.lower().startswith("eso:")
    }
    return next((by_name[name] for name in names if name in by_name), None)


def _nm_per_unit(unit: str, axis: NDArray[np.float64]) -> float:
    """From the unit's name; an unnamed unit is told by the numbers, as optical wavelengths allow."""
    factor = _NM_PER_UNIT.get(unit.strip().strip("[]").lower())
    if factor is not None:
        return factor
    finite = axis[np.isfinite(axis)]
    middle = float(np.median(finite)) if finite.size else 0.0
    if middle < 30.0:
        return 1e3
    return 1.0 if middle < 2600.0 else 0.1


def _pipeline_in_air(headers: Sequence[Header]) -> bool:
    return any((header.text("INSTRUME") or "").upper() in _PIPELINES_IN_AIR for header in headers)


def _spectrum(elements: _Elements) -> Spectrum:
    wavelength, flux, error = elements.wavelength_nm, elements.flux, elements.error
    flux = np.where(np.abs(flux) < 1e38, flux, np.nan)  # infinities and what float32 cannot hold
    error = None if error is None else np.where((error >= 0.0) & (error < 1e38), error, np.nan)
    known = np.isfinite(wavelength) & (wavelength > 0.0) & (wavelength < 1e9)
    if not np.any(known & np.isfinite(flux)):
        raise NoFinitePixelsError("The spectrum has no finite flux.")
    total = flux.size
    missing_share = 1.0 - float(np.count_nonzero(known & np.isfinite(flux))) / total
    if elements.in_air:
        wavelength = air_to_vacuum(wavelength)
    if not (known.all() and np.all(np.diff(wavelength) >= 0.0)):
        order = np.argsort(wavelength[known], kind="stable")
        wavelength, flux = wavelength[known][order], flux[known][order]
        error = None if error is None else error[known][order]
    finite = np.isfinite(flux)
    # Fluxes of 1e-17 erg/s are ordinary: float32 holds them, their squares it would not.
    flux32 = flux.astype(np.float32)
    plane = resample_spectrum(wavelength_nm=wavelength, flux=flux32, grid_nm=NETWORK_WAVELENGTHS_NM)
    snr = measure_snr(flux[finite])
    covered = wavelength[finite]
    wavelength, flux, error = _binned(wavelength, flux, error)
    return Spectrum(
        wavelength_nm=wavelength,
        flux=flux.astype(np.float32),
        error=None if error is None else error.astype(np.float32),
        plane=plane,
        flux_unit=elements.flux_unit,
        elements=total,
        from_air=elements.in_air,
        medium_declared=elements.medium_declared,
        missing_share=missing_share,
        coverage=float(plane[1].mean(dtype=np.float64)),
        snr=snr if snr is not None and math.isfinite(snr) else None,
        wavelength_min_nm=float(covered[0]),
        wavelength_max_nm=float(covered[-1]),
    )


def _binned(
    wavelength: NDArray[np.float64], flux: NDArray[np.float64], error: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64] | None]:
    """Means of neighbouring elements, so many that at most DISPLAY_BINS bins remain."""
    step = -(-flux.size // DISPLAY_BINS)
    if step == 1:
        return wavelength, flux, error
    first = np.arange(0, flux.size, step)
    finite = np.isfinite(flux)
    count = np.add.reduceat(finite, first, dtype=np.int64)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        mean = np.add.reduceat(np.where(finite, flux, 0.0), first) / count
        places = np.diff(np.append(first, flux.size))
        centre = np.add.reduceat(wavelength, first) / places
        if error is not None:
            unit = float(np.nanmax(np.append(error, 1e-300)))
            scaled = np.where(finite, error / unit, 0.0) ** 2
            error = np.sqrt(np.add.reduceat(scaled, first)) / count * unit
    return centre, mean, error
