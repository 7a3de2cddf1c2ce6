"""Sky and pixel positions. The tangent plane is computed here; other projections go to wcslib.

Formulas: Greisen & Calabretta 2002 (A&A 395, 1061), Calabretta & Greisen 2002 (A&A 395, 1077), section 5.1.3.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from classifier.fits.cards import BLOCK_BYTES, CARD_BYTES, Header

# PV and SIP terms bend the plane; anything with them is left to wcslib.
_DISTORTIONS = ("PV1_", "PV2_", "A_ORDER", "B_ORDER", "CPDIS", "D2IMDIS")
# Points along each side of a cut-out at which its own tangent plane is fitted to the image's WCS.
_GRID = 5
_WCS_CARDS = re.compile(
    rb"WCSAXES|CTYPE[12]|CRVAL[12]|CRPIX[12]|CDELT[12]|CUNIT[12]|CROTA2|(?:CD|PC)[12]_[12]|PV[12]_[0-9]+"
    rb"|[AB]P?_(?:ORDER|[0-9]_[0-9])|LONPOLE|LATPOLE|RADESYS|RADECSYS|EQUINOX|NAXIS[12]?"
)


class LocalSky(NamedTuple):
    """A tangent plane (TAN) that is right for one cut-out, however the image itself is projected or distorted.

    Attributes:
        ra_deg, dec_deg: The point where it touches the sky.
        x_px, y_px: That point in the cut-out's pixels, 0-based, (0, 0) the centre of the file's first.
        cd11, cd12, cd21, cd22: Degrees a pixel of the cut-out, as FITS means them.
        tolerance_px: How far it is at most from the image's own WCS, on a grid over the cut-out, in its pixels.
    """

    ra_deg: float
    dec_deg: float
    x_px: float
    y_px: float
    cd11: float
    cd12: float
    cd21: float
    cd22: float
    tolerance_px: float


class CelestialWcs(Hashable, Protocol):
    """Right ascension and declination (degrees) to 0-based pixels and back."""

    def to_pixel(self, ra_deg: float, dec_deg: float) -> tuple[float, float] | None:
        """(x, y), or None for a point that the projection does not show."""

    def to_sky(self, x_px: float, y_px: float) -> tuple[float, float] | None:
        """(right ascension in [0, 360), declination), or None."""

    def tangent_over(self, *, corner: tuple[int, int], side_px: int) -> tuple[TangentPlane, float] | None:
        """The plane that fits best over a square of pixels, and the largest distance from it in pixels."""

    @property
    def pixel_scale_arcsec(self) -> float:
        """Side of a pixel, the root of its area."""


@dataclass(frozen=True, slots=True)
class TangentPlane:
    """The gnomonic projection (TAN) with a linear matrix.

    Attributes:
        crpix: Reference pixel, 1-based as in the header.
        crval: Its right ascension and declination in degrees.
        cd: (cd11, cd12, cd21, cd22) in degrees per pixel, not singular.
    """

    crpix: tuple[float, float]
    crval: tuple[float, float]
    cd: tuple[float, float, float, float]

    def to_pixel(self, ra_deg: float, dec_deg: float) -> tuple[float, float] | None:
        ra, dec = math.radians(ra_deg - self.crval[0]), math.radians(dec_deg)
        dec0 = math.radians(self.crval[1])
        cosine = math.sin(dec0) * math.sin(dec) + math.cos(dec0) * math.cos(dec) * math.cos(ra)
        if cosine <= 0.0:  # the other hemisphere
            return None
        xi = math.degrees(math.cos(dec) * math.sin(ra) / cosine)
        eta = math.degrees((math.cos(dec0) * math.sin(dec) - math.sin(dec0) * math.cos(dec) * math.cos(ra)) / cosine)
        cd11, cd12, cd21, cd22 = self.cd
        determinant = cd11 * cd22 - cd12 * cd21
        x = (cd22 * xi - cd12 * eta) / determinant + self.crpix[0] - 1
        y = (cd11 * eta - cd21 * xi) / determinant + self.crpix[1] - 1
        return (x, y) if math.isfinite(x) and math.isfinite(y) else None

    def to_sky(self, x_px: float, y_px: float) -> tuple[float, float] | None:
        dx, dy = x_px + 1 - self.crpix[0], y_px + 1 - self.crpix[1]
        cd11, cd12, cd21, cd22 = self.cd
        xi, eta = math.radians(cd11 * dx + cd12 * dy), math.radians(cd21 * dx + cd22 * dy)
        dec0 = math.radians(self.crval[1])
        below = math.cos(dec0) - eta * math.sin(dec0)
        ra = self.crval[0] + math.degrees(math.atan2(xi, below))
        dec = math.degrees(math.atan2(math.sin(dec0) + eta * math.cos(dec0), math.hypot(xi, below)))
        return (ra % 360.0, dec) if math.isfinite(ra) and math.isfinite(dec) else None

    def tangent_over(self, *, corner: tuple[int, int], side_px: int) -> tuple[TangentPlane, float] | None:
        return self, 0.0

    @property
    def pixel_scale_arcsec(self) -> float:
        cd11, cd12, cd21, cd22 = self.cd
        return 3600.0 * math.sqrt(abs(cd11 * cd22 - cd12 * cd21))


class WcslibWcs:
    """Any other celestial projection, by astropy's wcslib; only ever inside the limited child process."""

    def __init__(self, wcs: Any) -> None:
        self._wcs = wcs

    def to_pixel(self, ra_deg: float, dec_deg: float) -> tuple[float, float] | None:
        return self._finite(self._wcs.all_world2pix, ra_deg, dec_deg)

    def to_sky(self, x_px: float, y_px: float) -> tuple[float, float] | None:
        sky = self._finite(self._wcs.all_pix2world, x_px, y_px)
        return None if sky is None else (sky[0] % 360.0, sky[1])

    def tangent_over(self, *, corner: tuple[int, int], side_px: int) -> tuple[TangentPlane, float] | None:
        """A linear fit to the gnomonic projection about the pixels' middle (A&A 395, 1077, section 5.1.3)."""
        steps = np.linspace(0.0, side_px - 1.0, _GRID)
        x_px, y_px = (axis.ravel() for axis in np.meshgrid(corner[0] + steps, corner[1] + steps))
        middle = self.to_sky(float(x_px.mean()), float(y_px.mean()))
        try:
            ra, dec = self._wcs.all_pix2world(x_px, y_px, 0)
        except (ValueError, ArithmeticError, RuntimeError):
            return None
        shown = np.isfinite(ra) & np.isfinite(dec)
        if middle is None or not shown.all():
            return None
        ra, dec, dec0 = np.radians(ra - middle[0]), np.radians(dec), math.radians(middle[1])
        cosine = math.sin(dec0) * np.sin(dec) + math.cos(dec0) * np.cos(dec) * np.cos(ra)
        xi = np.degrees(np.cos(dec) * np.sin(ra) / cosine)
        eta = np.degrees((math.cos(dec0) * np.sin(dec) - math.sin(dec0) * np.cos(dec) * np.cos(ra)) / cosine)
        design = np.stack([x_px, y_px, np.ones_like(x_px)], axis=1)
        measured = np.stack([xi, eta], axis=1)
        fitted, *_ = np.linalg.lstsq(design, measured, rcond=None)
        cd = fitted[:2].T
        if cosine.min() <= 0.0 or not np.isfinite(cd).all() or abs(np.linalg.det(cd)) < 1e-30:
            return None
        off = np.linalg.solve(cd, (design @ fitted - measured).T)
        crpix = np.linalg.solve(cd, -fitted[2])
        plane = TangentPlane(
            (float(crpix[0]) + 1, float(crpix[1]) + 1), middle, (cd[0, 0], cd[0, 1], cd[1, 0], cd[1, 1])
        )
        return plane, float(np.hypot(*off).max())

    @property
    def pixel_scale_arcsec(self) -> float:
        cd = self._wcs.pixel_scale_matrix
        return 3600.0 * math.sqrt(abs(float(cd[0, 0] * cd[1, 1] - cd[0, 1] * cd[1, 0])))

    @staticmethod
    def _finite(convert: Any, first: float, second: float) -> tuple[float, float] | None:
        try:
            a, b = (float(value) for value in convert(first, second, 0))
        except (ValueError, ArithmeticError, RuntimeError):  # wcslib's and astropy's non-convergence
            return None
        return (a, b) if math.isfinite(a) and math.isfinite(b) else None


def local_sky(wcs: CelestialWcs, *, corner: tuple[int, int], scale: int, size_px: int) -> LocalSky | None:
    """Where the pixels of a cut-out lie on the sky.

    Args:
        wcs: Of the image.
        corner: The image's pixel (column, row), 0-based, at which the cut-out's first pixel begins.
        scale: Image pixels averaged into one of the cut-out, along each axis.
        size_px: Side of the cut-out.
    """
    found = wcs.tangent_over(corner=corner, side_px=size_px * scale)
    if found is None:
        return None
    plane, tolerance_px = found
    # A block's centre lies half a block from where it begins, less half a pixel.
    x, y = (
        (reference - 1 - first - (scale - 1) / 2) / scale for reference, first in zip(plane.crpix, corner, strict=True)
    )
    cd = [float(value) * scale for value in plane.cd]
    sky = LocalSky(plane.crval[0], plane.crval[1], x, y, cd[0], cd[1], cd[2], cd[3], tolerance_px / scale)
    return sky if all(map(math.isfinite, sky)) else None


def celestial_wcs(header: Header) -> CelestialWcs | None:
    """The image's equatorial WCS; None where it has none that makes sense."""
    axes = (header.text("CTYPE1") or "", header.text("CTYPE2") or "")
    if {axis[:4].rstrip("-") for axis in axes} != {"RA", "DEC"}:
        return None
    plain = axes == ("RA---TAN", "DEC--TAN") and (header.number("LONPOLE") or 180.0) == 180.0
    if plain and not header.has_any(*_DISTORTIONS):
        return _tangent_plane(header)
    return _wcslib(header)


def _tangent_plane(header: Header) -> TangentPlane | None:
    crval = (header.number("CRVAL1"), header.number("CRVAL2"))
    crpix = (header.number("CRPIX1") or 0.0, header.number("CRPIX2") or 0.0)
    if crval[0] is None or crval[1] is None or not -90.0 <= crval[1] <= 90.0:
        return None
    if any((header.text(f"CUNIT{axis}") or "deg").lower() not in {"deg", "degree", "degrees"} for axis in (1, 2)):
        return None
    cd = _matrix(header)
    determinant = cd[0] * cd[3] - cd[1] * cd[2]
    if not math.isfinite(determinant) or abs(determinant) < 1e-30:
        return None
    return TangentPlane(crpix, (crval[0], crval[1]), cd)


def _matrix(header: Header) -> tuple[float, float, float, float]:
    """The CD matrix, or PC times CDELT, or CDELT turned by CROTA2."""
    names = ("1_1", "1_2", "2_1", "2_2")
    cd = [header.number(f"CD{name}") for name in names]
    if any(value is not None for value in cd):
        return (cd[0] or 0.0, cd[1] or 0.0, cd[2] or 0.0, cd[3] or 0.0)
    step1, step2 = (header.number(f"CDELT{axis}") or 1.0 for axis in (1, 2))
    pc = [header.number(f"PC{name}") for name in names]
    if all(value is None for value in pc):
        turn = math.radians(header.number("CROTA2") or 0.0)
        return (
            step1 * math.cos(turn),
            -step2 * math.sin(turn),
            step1 * math.sin(turn),
            step2 * math.cos(turn),
        )
    unit = (1.0, 0.0, 0.0, 1.0)
    a, b, c, d = (default if value is None else value for value, default in zip(pc, unit, strict=True))
    return (step1 * a, step1 * b, step2 * c, step2 * d)


def _wcslib(header: Header) -> WcslibWcs | None:
    from astropy.io import fits
    from astropy.wcs import WCS

    cards = header.matching(_WCS_CARDS) + b"END".ljust(CARD_BYTES)
    text = cards.ljust(-(-len(cards) // BLOCK_BYTES) * BLOCK_BYTES).decode("latin-1")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # astropy remarks on what it mends; nobody here can change the file
            wcs = WCS(fits.Header.fromstring(text), naxis=2)
            usable = wcs.has_celestial and (wcs.wcs.lngtyp, wcs.wcs.lattyp, wcs.wcs.lng) == ("RA", "DEC", 0)
            projected = WcslibWcs(wcs)
            usable = usable and 0.0 < projected.pixel_scale_arcsec < math.inf  # false for a NaN too
    except Exception:  # noqa: BLE001 - wcslib's errors have no common base, and a bad WCS costs only the sky position
        return None
    return projected if usable else None
