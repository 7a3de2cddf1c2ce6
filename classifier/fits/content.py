"""What a FITS file gives: facts from its header, and cut-outs or a spectrum. The file is the only source."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from classifier.fits.cards import CardValue
from classifier.fits.wcs import LocalSky

Kind = Literal["image", "spectrum"]


class CardsText(Mapping[str, CardValue]):
    """Chosen cards as the JSON text in which they came: most are passed on into a row, and few are looked at.

    Attributes:
        text: A JSON object.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def _values(self) -> dict[str, CardValue]:
        return dict(json.loads(self.text))

    def __getitem__(self, name: str) -> CardValue:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


# What is made for every file is not frozen: that would have each of its fields set by a call, on both sides.
@dataclass(slots=True, kw_only=True)
class HeaderFacts:
    """Typed facts after ObsCore's meaning, each None where the header does not say, and the chosen cards.

    ``cards`` hold printable text, integers, finite floats and booleans only, so it goes into JSON as it is.
    Right ascension and declination are those of the target or pointing in degrees, ICRS or FK5 J2000.
    """

    dp_id: str | None = None
    object: str | None = None
    instrument: str | None = None
    telescope: str | None = None
    ra_deg: float | None = None
    dec_deg: float | None = None
    exposure_time_s: float | None = None
    date_obs: str | None = None
    mjd_obs: float | None = None
    proposal_id: str | None = None
    filter: str | None = None
    snr: float | None = None
    seeing_arcsec: float | None = None
    product_category: str | None = None
    wavelength_min_nm: float | None = None
    wavelength_max_nm: float | None = None
    cards: CardsText = field(default_factory=lambda: CardsText("{}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CutSpec:
    """Which cut-outs to take from an image.

    Attributes:
        size_px: Side of the square plane.
        positions: (right ascension, declination) in degrees of the centres; None takes the header's target or
            the whole frame, as ``classifier.fits.cutting.take_cutouts`` explains.
    """

    size_px: int = 128
    positions: tuple[tuple[float, float], ...] | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Cutout:
    """One square plane out of an image.

    Attributes:
        plane: float16 (size_px, size_px), (pixel - background) / noise clipped to [-1e3, 6e4]; missing pixels
            are -0.0. The value in the file's units is background + noise * plane. Row 0 is the file's first.
        bands: float16 (3, size_px, size_px), red, green and blue, each in units of its own sky noise; the plane is
            then of their mean. None where the image has no three bands.
        hdu: Index of the image's HDU, the first of three bands.
        extension_name: Its EXTNAME, or "".
        position_index: Which of the asked positions this is; None where none were asked.
        x_px, y_px: Centre in the image's pixels, 0-based, (0, 0) the centre of the first pixel.
        ra_deg, dec_deg: Centre on the sky; None without a celestial WCS.
        size_px: Side of the plane.
        scale: Image pixels averaged into one of the plane, along each axis (1 is native).
        sky: Where the plane's pixels lie on the sky (``classifier.fits.wcs.LocalSky``); None without a celestial WCS.
        pixel_scale_arcsec: Side of a plane's pixel on the sky; None without a celestial WCS.
        background, noise: Sky level and its standard deviation, in ``unit``; noise > 0.
        unit: BUNIT, or "".
        saturated_share, missing_share: Shares of the plane's pixels in [0, 1].
        edge: Whether part of the plane lies beyond the image's edge.
    """

    plane: NDArray[np.float16]
    bands: NDArray[np.float16] | None
    hdu: int
    extension_name: str
    position_index: int | None
    x_px: float
    y_px: float
    ra_deg: float | None
    dec_deg: float | None
    sky: LocalSky | None
    size_px: int
    scale: int
    pixel_scale_arcsec: float | None
    background: float
    noise: float
    unit: str
    saturated_share: float
    missing_share: float
    edge: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DisplaySpectrum:
    """A spectrum as eyes see it: all that a picture or a plot needs.

    Attributes:
        wavelength_nm: float64 (n,), n ≤ 4096, vacuum, ascending; means of bins of equally many elements.
        flux: float32 (n,) in ``flux_unit``; NaN where missing.
        error: float32 (n,), one standard deviation; NaN where missing; None where the file has none.
        flux_unit: As the file says, or "".
        wavelength_min_nm, wavelength_max_nm: Of the finite elements.
    """

    wavelength_nm: NDArray[np.float64]
    flux: NDArray[np.float32]
    error: NDArray[np.float32] | None
    flux_unit: str
    wavelength_min_nm: float
    wavelength_max_nm: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spectrum(DisplaySpectrum):
    """A spectrum for eyes and for the network.

    Attributes:
        plane: float16 (2, 1024) on the network's grid: normalised flux, validity.
        elements: Number of elements in the file.
        from_air: Whether wavelengths were converted from air to vacuum.
        medium_declared: Whether the file itself says air or vacuum.
        missing_share: Share of the file's elements without a finite flux, in [0, 1].
        coverage: Share of the network's grid that holds data, in [0, 1]; 0 for a spectrum outside it.
        snr: Signal-to-noise per element measured from the flux (DER_SNR); None where it cannot be told.
    """

    plane: NDArray[np.float16]
    elements: int
    from_air: bool
    medium_declared: bool
    missing_share: float
    coverage: float
    snr: float | None


@dataclass(slots=True, kw_only=True, eq=False)
class FitsContent:
    """One file, read.

    Attributes:
        kind: ``image`` with at least one cut-out, or ``spectrum`` with a spectrum.
        facts: From the primary header, then that of the science extension.
        images: Cut-outs, in the order of the positions asked or of the extensions.
        spectrum: None for images.
        sha256: Of the file on disk, hexadecimal.
        size_bytes: Of the file on disk.
        width_px, height_px: Of the (first) image; None for spectra.
    """

    kind: Kind
    facts: HeaderFacts
    sha256: str
    size_bytes: int
    images: tuple[Cutout, ...] = ()
    spectrum: Spectrum | None = None
    width_px: int | None = None
    height_px: int | None = None
