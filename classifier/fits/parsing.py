"""One file to one ``FitsContent``: pre-scan, facts, the science HDU, cut-outs or spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from classifier.fits.bands import find_bands
from classifier.fits.cards import Header
from classifier.fits.content import CutSpec, FitsContent
from classifier.fits.cutting import take_cutouts
from classifier.fits.errors import (
    FitsError,
    NoFluxColumnError,
    NoScienceDataError,
    TooMuchMemoryError,
    UnreadableError,
)
from classifier.fits.facts import gather_facts
from classifier.fits.headers import Hdu, scan_hdus
from classifier.fits.images import is_science_image
from classifier.fits.limits import Limits
from classifier.fits.spectra import has_flux_column, is_line_spectrum, read_line_spectrum, read_table_spectrum
from classifier.fits.storage import Stored, open_stored

# A mosaic of more detectors than any ESO instrument has is not cut blindly into subjects.
_MAX_IMAGES = 64


def parse_file(path: Path, *, spec: CutSpec, limits: Limits) -> FitsContent:
    """Read one file in this process.

    Untrusted files belong into ``classifier.fits.sandbox.FitsReader``, which calls this in a limited child.

    Args:
        path: The file, plain, gzipped or tile-compressed.
        spec: Cut-outs to take from images.
        limits: Sizes beyond which the file is refused.

    Raises:
        FitsError: One of the errors of ``classifier.fits.errors``; nothing else.
    """
    try:
        with open_stored(path, limits=limits) as stored:
            return _parse(stored, spec=spec, limits=limits)
    except FitsError:
        raise
    except MemoryError as error:
        raise TooMuchMemoryError("Reading the file needs more memory than is allowed.") from error
    except Exception as error:  # whatever a hostile file provokes becomes a named error
        raise UnreadableError(f"The file cannot be read ({type(error).__name__}): {error!s:.200}") from error


def _parse(stored: Stored, *, spec: CutSpec, limits: Limits) -> FitsContent:
    hdus = scan_hdus(stored.buffer, limits=limits)
    science = _science_hdus(hdus)
    headers = list(dict.fromkeys((hdus[0].header, science[0].header)))
    facts = gather_facts(headers)
    if science[0].is_table:
        spectrum = read_table_spectrum(stored, science[0], headers)
    elif is_line_spectrum(science[0]):
        spectrum = read_line_spectrum(stored, science[0], headers)
    else:
        bands = find_bands(science)
        if bands is not None and (names := [band.name for band in reversed(bands) if band.name]):
            facts = replace(facts, filter=", ".join(names))
        cutouts = take_cutouts(
            stored=stored, hdus=science, bands=bands, target=(facts.ra_deg, facts.dec_deg), spec=spec, limits=limits
        )
        return FitsContent(
            kind="image",
            facts=facts,
            sha256=stored.sha256(),
            size_bytes=stored.size_bytes,
            images=cutouts,
            width_px=science[0].shape[-1],
            height_px=science[0].shape[-2],
        )
    return FitsContent(
        kind="spectrum", facts=facts, sha256=stored.sha256(), size_bytes=stored.size_bytes, spectrum=spectrum
    )


def _science_hdus(hdus: Sequence[Hdu]) -> list[Hdu]:
    """The science images, or one spectrum; a product category decides where a file holds both.

    Raises:
        NoFluxColumnError: There are tables only, and none with a flux over wavelength.
        NoScienceDataError: There is nothing of either kind.
    """
    category: str = hdus[0].header.recall("category", _category)
    images = [hdu for hdu in hdus if is_science_image(hdu)][:_MAX_IMAGES]
    if images and not category.startswith("SCIENCE.SPECTRUM"):
        return images
    tables = [hdu for hdu in hdus if hdu.is_table]
    spectra = [hdu for hdu in hdus if is_line_spectrum(hdu) or (hdu.is_table and has_flux_column(hdu))]
    if spectra:
        return spectra[:1]
    if images:
        return images
    if tables:
        raise NoFluxColumnError(_what_tables_hold(tables))
    raise NoScienceDataError("The file holds neither an image nor a spectrum with wavelengths.")


def _category(header: Header) -> str:
    return (header.text("PRODCATG") or "").upper()


def _what_tables_hold(tables: Sequence[Hdu]) -> str:
    from classifier.fits.tables import list_columns

    names = ", ".join(column.name for column in list_columns(tables[0])[:12])
    return f"No column is a flux over wavelength; the columns are: {names or 'none':.200}."
