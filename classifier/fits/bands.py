"""Three images of one sky in three filters: which HDUs belong together, and which is red, green and blue."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from classifier.fits.cards import Header
from classifier.fits.headers import Hdu
from classifier.fits.wcs import CelestialWcs, celestial_wcs

# Central wavelengths in nm of the broad bands of ESO's imagers, by the letter in a filter's name (ESO's instrument
# manuals; Bessell 2005, ARA&A 43, 293). Case tells Sloan's r from Cousins's R, but u and U lie together.
_LETTERS_NM = {
    letter: float(wavelength)
    for letter, wavelength in zip(
        ("u", "U", "b", "B", "g", "G", "v", "V", "r", "R", "i", "I", "z", "Z", "y", "Y", "J", "H", "K", "Ks"),
        (355, 365, 440, 440, 480, 480, 550, 550, 620, 650, 760, 800, 880, 880, 1020, 1020, 1250, 1640, 2200, 2150),
        strict=True,
    )
}
_LETTER = re.compile(r"(?<![A-Za-z])(Ks|[uUbBgGvVrRiIzZyYJHK])(?![A-Za-z])")
_FILTER_KEYS = ("FILTER", "ESO INS FILT1 NAME", "ESO INS FILT NAME", "FILTER1", "BAND")
_BAND_AXES = frozenset({"BAND", "BANDS", "FILTER", "COLOR", "COLOUR", "RGB"})
_SAME_SKY_PX = 0.5


@dataclass(frozen=True, slots=True)
class Band:
    """One of three bands.

    Attributes:
        hdu: The image it lies in.
        plane: Which plane of a cube; None for an image of two axes.
        name: Of the filter.
    """

    hdu: Hdu
    plane: int | None
    name: str


def find_bands(hdus: Sequence[Hdu]) -> tuple[Band, Band, Band] | None:
    """The three bands of a file, red first; None where it does not hold three of one sky.

    Either exactly three images of one shape whose filters differ and whose sky positions agree to half a pixel in
    every corner, or one cube of three planes that names three bands (CTYPE3 says so, or BANDS, BAND0 to BAND2, BAND1 to
    BAND3 or FILTER1 to FILTER3 do).

    Args:
        hdus: The science images.
    """
    bands = _in_cube(hdus[0]) if len(hdus) == 1 else _in_extensions(hdus)
    if bands is None:
        return None
    wavelengths = [wavelength_nm(band) for band in bands]
    known = [wavelength for wavelength in wavelengths if wavelength is not None]
    if len(set(known)) == 3:
        pairs = sorted(zip(known, range(3), strict=True), reverse=True)
        red, green, blue = (bands[index] for _, index in pairs)
        return red, green, blue
    # Filters that nobody can place: surveys write them as they are observed, from blue to red.
    return bands if _is_rgb(bands[0].hdu.header) else (bands[2], bands[1], bands[0])


def wavelength_nm(band: Band) -> float | None:
    """Central wavelength of a band: what the header says, or by the filter's letter; None where neither tells."""
    header = band.hdu.header
    if band.plane is None:
        low, high = header.number("WAVELMIN"), header.number("WAVELMAX")
        if low is not None and high is not None and 0.0 < low < high:
            return (low + high) / 2
        told = header.number("ESO INS FILT1 WLEN", "ESO INS FILT WLEN")
        if told is not None and told > 0.0:
            return told
    found = _LETTER.search(band.name.replace("_", " "))
    return None if found is None else _LETTERS_NM[found[1]]


def _in_extensions(hdus: Sequence[Hdu]) -> tuple[Band, Band, Band] | None:
    if len(hdus) != 3 or any(len(hdu.shape) != 2 or hdu.shape != hdus[0].shape for hdu in hdus):
        return None
    names = [hdu.header.text(*_FILTER_KEYS) or "" for hdu in hdus]
    if "" in names or len(set(names)) != 3:
        return None
    first, *others = (celestial_wcs(hdu.header) for hdu in hdus)
    if first is None or not all(other is not None and _same_sky(first, other, hdus[0].shape) for other in others):
        return None
    a, b, c = (Band(hdu, None, name) for hdu, name in zip(hdus, names, strict=True))
    return a, b, c


def _in_cube(hdu: Hdu) -> tuple[Band, Band, Band] | None:
    if len(hdu.shape) != 3 or hdu.shape[0] != 3:
        return None
    header = hdu.header
    names = _plane_names(header)
    if names is None:
        if (header.text("CTYPE3") or "").upper() not in _BAND_AXES:
            return None
        names = ("", "", "")
    a, b, c = (Band(hdu, plane, name) for plane, name in enumerate(names))
    return a, b, c


def _plane_names(header: Header) -> tuple[str, str, str] | None:
    for keys in (("BAND0", "BAND1", "BAND2"), ("BAND1", "BAND2", "BAND3"), ("FILTER1", "FILTER2", "FILTER3")):
        a, b, c = (header.text(key) or "" for key in keys)
        if len({a, b, c, ""}) == 4:
            return a, b, c
    letters = header.text("BANDS") or ""
    if len(letters) == 3 and len(set(letters)) == 3:
        return letters[0], letters[1], letters[2]
    return None


def _is_rgb(header: Header) -> bool:
    return (header.text("CTYPE3") or "").upper() == "RGB"


def _same_sky(one: CelestialWcs, other: CelestialWcs, shape: tuple[int, ...]) -> bool:
    height, width = shape[-2:]
    for corner in ((0.0, 0.0), (width - 1.0, 0.0), (0.0, height - 1.0), (width - 1.0, height - 1.0)):
        sky = one.to_sky(*corner)
        back = None if sky is None else other.to_pixel(*sky)
        if back is None or max(abs(back[0] - corner[0]), abs(back[1] - corner[1])) > _SAME_SKY_PX:
            return False
    return True
