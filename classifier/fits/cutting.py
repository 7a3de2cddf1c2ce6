"""Which squares of a file's science images become subjects, cut out and in units of their sky noise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from classifier.cutouts import (
    PixelSource,
    average_frame,
    corner_of_average,
    corner_of_cut,
    cut_around,
    find_extremes,
    measure_sky,
    normalise_plane,
    saturated_share,
)
from classifier.fits.bands import Band
from classifier.fits.cards import Header
from classifier.fits.content import Cutout, CutSpec
from classifier.fits.errors import NoFinitePixelsError, NoScienceDataError
from classifier.fits.headers import Hdu
from classifier.fits.images import OnePlane, PlainImage, Scaling, TiledImage, mean_plane, open_images
from classifier.fits.limits import Limits
from classifier.fits.storage import Stored
from classifier.fits.wcs import CelestialWcs, LocalSky, celestial_wcs, local_sky

# Up to this many times the cut-out's side a target is cut out; in larger frames it would be a guess.
TARGET_FRAME_RATIO = 4


class _Told(NamedTuple):
    """What an image's header tells of it, for all of its cut-outs."""

    wcs: CelestialWcs | None
    extension_name: str
    unit: str
    saturation_level: float | None


def _told(header: Header) -> _Told:
    return _Told(
        celestial_wcs(header),
        header.text("EXTNAME") or "",
        header.text("BUNIT") or "",
        header.number("SATURATE", "SATLEVEL", "ESO DET OUT1 SATURATE", "ABMAGSAT_ADU"),
    )


@dataclass(frozen=True, slots=True)
class _Frame:
    """One image of the sky, in one band or in three (red first)."""

    hdu: Hdu
    sources: tuple[PixelSource, ...]
    told: _Told

    @property
    def wcs(self) -> CelestialWcs | None:
        return self.told.wcs

    @property
    def shape(self) -> tuple[int, int]:
        return self.sources[0].shape

    def find(self, ra_deg: float, dec_deg: float) -> tuple[float, float] | None:
        """The pixel at a position; None where it is not on the image."""
        pixel = None if self.wcs is None else self.wcs.to_pixel(ra_deg, dec_deg)
        if pixel is None:
            return None
        height, width = self.shape
        return pixel if -0.5 <= pixel[0] < width - 0.5 and -0.5 <= pixel[1] < height - 0.5 else None


def take_cutouts(
    *,
    stored: Stored,
    hdus: Sequence[Hdu],
    bands: Sequence[Band] | None,
    target: tuple[float | None, float | None],
    spec: CutSpec,
    limits: Limits,
) -> tuple[Cutout, ...]:
    """Cut the subjects out of a file's science images.

    With positions: each is cut at native resolution from the first image it lies on. Without: a plane around
    the header's target where that lies on an image of at most four times the plane's side; else the whole
    frame, averaged in blocks or padded, one subject an image. Three images of one sky in three bands are one subject:
    its plane is their mean, and the bands are kept for eyes.

    Args:
        stored: The open file.
        hdus: The science images.
        bands: Three bands among them, red first; None where there are not.
        target: Its right ascension and declination in degrees, as far as the header tells them.
        spec: Size and positions.
        limits: Most cut-outs.

    Raises:
        NoScienceDataError: Positions were asked and none lies on an image with a WCS.
        NoFinitePixelsError: No cut-out has a finite pixel.
        UnreadableError: The data are damaged.
    """
    if spec.positions is not None and len(spec.positions) > limits.cutouts:
        raise NoScienceDataError(f"{len(spec.positions):,} positions are more than {limits.cutouts:,}.")
    images = open_images(stored, hdus, limits=limits)
    try:
        frames = _frames(hdus, images, bands)
        if spec.positions is None:
            cutouts = tuple(_default_cut(frame, target, spec.size_px) for frame in frames)
        else:
            cutouts = tuple(_cuts_at(frames, spec))
    finally:
        for image in images:
            image.close()
    if not cutouts:
        raise NoScienceDataError("None of the positions lies on an image with celestial coordinates.")
    filled = tuple(cutout for cutout in cutouts if cutout.missing_share < 1.0)
    if not filled:
        raise NoFinitePixelsError("The image has no finite pixel.")
    return filled


def _frames(
    hdus: Sequence[Hdu], images: Sequence[PlainImage | TiledImage], bands: Sequence[Band] | None
) -> list[_Frame]:
    if bands is None:
        return [
            _Frame(hdu, (image,), hdu.header.recall("told", _told)) for hdu, image in zip(hdus, images, strict=True)
        ]
    by_index = {hdu.index: image for hdu, image in zip(hdus, images, strict=True)}
    sources = tuple(
        by_index[band.hdu.index] if band.plane is None else OnePlane(by_index[band.hdu.index], band.plane)
        for band in bands
    )
    return [_Frame(hdus[0], sources, hdus[0].header.recall("told", _told))]


def _cuts_at(frames: Sequence[_Frame], spec: CutSpec) -> Iterator[Cutout]:
    for index, (ra_deg, dec_deg) in enumerate(spec.positions or ()):
        for frame in frames:
            pixel = frame.find(ra_deg, dec_deg)
            if pixel is not None:
                yield _cut_at(frame, pixel, size_px=spec.size_px, position_index=index)
                break


def _default_cut(frame: _Frame, target: tuple[float | None, float | None], size_px: int) -> Cutout:
    height, width = frame.shape
    if max(height, width) <= TARGET_FRAME_RATIO * size_px and min(height, width) > size_px:
        ra_deg, dec_deg = target
        pixel = None if ra_deg is None or dec_deg is None else frame.find(ra_deg, dec_deg)
        if pixel is not None:
            return _cut_at(frame, pixel, size_px=size_px, position_index=None)
    averaged = [average_frame(source, size_px=size_px) for source in frame.sources]
    scale = averaged[0][1]
    return _cutout(
        frame,
        [square for square, _ in averaged],
        position_index=None,
        centre=((width - 1) / 2, (height - 1) / 2),
        corner=corner_of_average(frame.shape, size_px=size_px, scale=scale),
        scale=scale,
        edge=max(height, width) <= (size_px - 1) * scale or height != width,
    )


def _cut_at(frame: _Frame, pixel: tuple[float, float], *, size_px: int, position_index: int | None) -> Cutout:
    cuts = [cut_around(source, x_px=pixel[0], y_px=pixel[1], size_px=size_px) for source in frame.sources]
    squares = [square for square, _ in cuts]
    return _cutout(
        frame,
        squares,
        position_index=position_index,
        centre=pixel,
        corner=corner_of_cut(x_px=pixel[0], y_px=pixel[1], size_px=size_px),
        scale=1,
        edge=cuts[0][1],
    )


def _cutout(
    frame: _Frame,
    squares: Sequence[NDArray[np.float32]],
    *,
    position_index: int | None,
    centre: tuple[float, float],
    corner: tuple[int, int],
    scale: int,
    edge: bool,
) -> Cutout:
    told = frame.told
    square = squares[0] if len(squares) == 1 else mean_plane(squares)
    size_px = square.shape[0]
    extremes = find_extremes(square)
    background, noise = measure_sky(square, complete=extremes is not None)
    missing = 0 if extremes is not None else square.size - int(np.count_nonzero(np.isfinite(square)))
    place = _NOWHERE if told.wcs is None else _place(told.wcs, centre, corner, scale, size_px)
    return Cutout(
        plane=normalise_plane(square, background=background, noise=noise, extremes=extremes),
        bands=None if len(squares) == 1 else np.stack([_in_own_noise(band) for band in squares]),
        hdu=frame.hdu.index,
        extension_name=told.extension_name,
        position_index=position_index,
        x_px=centre[0],
        y_px=centre[1],
        ra_deg=place.ra_deg,
        dec_deg=place.dec_deg,
        sky=place.sky,
        size_px=size_px,
        scale=scale,
        pixel_scale_arcsec=place.pixel_scale_arcsec,
        background=background,
        noise=noise,
        unit=told.unit,
        saturated_share=saturated_share(
            square,
            saturation_level=_saturation_level(frame),
            background=background,
            noise=noise,
            top=extremes and extremes[1],
        ),
        missing_share=missing / square.size,
        edge=edge,
    )


class _Place(NamedTuple):
    """Where a cut-out lies on the sky, as `Cutout` calls it."""

    ra_deg: float | None
    dec_deg: float | None
    sky: LocalSky | None
    pixel_scale_arcsec: float | None


_NOWHERE = _Place(None, None, None, None)


@lru_cache(maxsize=8)
def _place(wcs: CelestialWcs, centre: tuple[float, float], corner: tuple[int, int], scale: int, size_px: int) -> _Place:
    """Of a series of exposures of one field, and of the frames of one detector, it is often the same."""
    ra_deg, dec_deg = wcs.to_sky(*centre) or (None, None)
    sky = local_sky(wcs, corner=corner, scale=scale, size_px=size_px)
    return _Place(ra_deg, dec_deg, sky, wcs.pixel_scale_arcsec * scale)


def _in_own_noise(band: NDArray[np.float32]) -> NDArray[np.float16]:
    background, noise = measure_sky(band)
    return normalise_plane(band, background=background, noise=noise)


def _saturation_level(frame: _Frame) -> float | None:
    level, hdu = frame.told.saturation_level, frame.hdu
    if level is None and hdu.bitpix in {8, 16} and not hdu.compressed:
        ceiling = 255 if hdu.bitpix == 8 else 32767
        level = float(Scaling(hdu).apply(np.array([ceiling]))[0])
    return level
