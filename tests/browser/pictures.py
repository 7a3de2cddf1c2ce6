"""Subjects with something to see, for the browser: drawn here, rendered by the product's own renderer."""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
from django.conf import settings

from classifier.display_plane import EXTENSION, MEDIA_TYPE, encode_display_plane
from classifier.fits.content import DisplaySpectrum
from classifier.rendering import render_bands, render_planes, sky_limits, spectrum_json
from classifier.spectrum_picture import render_spectrum
from esocs.projects.models import Media, Subject, Workflow
from tests.support import factories

SIDE_PX = 128


def galaxy_plane(seed: int) -> np.ndarray:
    """A (128, 128) float16 plane in units of sky noise: a disc with two arms, and a few stars."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX] - SIDE_PX / 2.0
    angle, axis_ratio = random.uniform(0, np.pi), random.uniform(0.35, 0.95)
    u = x * np.cos(angle) + y * np.sin(angle)
    v = (-x * np.sin(angle) + y * np.cos(angle)) / axis_ratio
    radius = np.hypot(u, v) + 0.1
    arms = 1 + 0.7 * np.cos(2 * np.arctan2(v, u) - 3.2 * np.log(radius))
    plane = 60 * np.exp(-radius / random.uniform(7, 14)) * arms + 120 * np.exp(-radius / 2.5)
    for _ in range(random.integers(3, 8)):
        x0, y0 = random.uniform(-60, 60, size=2)
        plane += random.uniform(10, 150) * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / 3.5)
    return (plane + random.normal(size=plane.shape)).astype(np.float16)


def emission_spectrum(seed: int, *, samples: int = 2400) -> DisplaySpectrum:
    """An emission-line galaxy with a gap where the detector has none."""
    random = np.random.default_rng(seed)
    wavelength = np.linspace(370.0, 950.0, samples)
    flux = 1.2 - 0.0006 * (wavelength - 370)
    redshift = random.uniform(0.02, 0.3)
    for rest_nm, strength in ((372.7, 2.0), (486.1, 1.1), (500.7, 3.4), (656.3, 4.2), (671.6, 0.8)):
        flux += strength * np.exp(-(((wavelength - rest_nm * (1 + redshift)) / 0.9) ** 2))
    error = np.full(samples, 0.09)
    flux = flux + random.normal(size=samples) * error
    flux[1400:1430] = np.nan
    error[1400:1430] = np.nan
    return DisplaySpectrum(
        wavelength_nm=wavelength,
        flux=flux,
        error=error,
        flux_unit="10^-17 erg/s/cm2/Angstrom",
        wavelength_min_nm=370.0,
        wavelength_max_nm=950.0,
    )


def _store(subject: Subject, content: bytes, *, extension: str, media_type: str, role: str, position: int = 0) -> None:
    name = uuid.uuid4()
    path = f"{name.hex[:2]}/{name}{extension}"
    file = Path(settings.MEDIA_ROOT) / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    Media.objects.create(
        subject=subject,
        role=role,
        position=position,
        media_type=media_type,
        name=name,
        path=path,
        size_bytes=len(content),
    )


def make_picture_subject(workflow: Workflow, seed: int) -> Subject:
    """An image subject with its picture on disk, open in the workflow."""
    metadata = {"instrument": "SIMCAM", "filter": "r", "#truth": "hidden from volunteers", "!after": "hidden too"}
    subject = factories.make_subject(workflow.project, published_in=workflow, metadata=metadata)
    Media.objects.filter(subject=subject).delete()
    _store_picture(subject, galaxy_plane(seed))
    return subject


# A tangent plane turned by 20 degrees, 0.3 arcseconds a pixel, as classifier.fits.wcs.LocalSky has it.
TURN = np.radians(20)
CD = 0.3 / 3600 * np.array([[-np.cos(TURN), np.sin(TURN)], [np.sin(TURN), np.cos(TURN)]])
SKY = (150.0512, -30.0034, 40.0, 90.0, *CD.ravel().tolist(), 0.0)
BACKGROUND, NOISE, UNIT = 1200.0, 4.0, "adu"


def make_plane_subject(workflow: Workflow, samples: np.ndarray, *, sky: tuple[float, ...] | None = SKY) -> Subject:
    """An image subject with its samples, (H, W) or three bands, beside its picture."""
    subject = factories.make_subject(workflow.project, published_in=workflow, metadata={"instrument": "SIMCAM"})
    Media.objects.filter(subject=subject).delete()
    _store_picture(subject, samples, sky=sky)
    return subject


def _store_picture(subject: Subject, samples: np.ndarray, *, sky: tuple[float, ...] | None = SKY) -> None:
    render = render_planes if samples.ndim == 2 else render_bands
    [picture] = render(samples[np.newaxis])
    brightness = samples if samples.ndim == 2 else samples.astype(np.float32).mean(axis=0).astype(np.float16)
    [(low, high)] = sky_limits(brightness[np.newaxis]).tolist()
    plane = encode_display_plane(samples, limits=(low, high), background=BACKGROUND, noise=NOISE, unit=UNIT, sky=sky)
    _store(subject, picture, extension=".jpg", media_type="image/jpeg", role=Media.Role.LOCATION)
    _store(subject, plane, extension=EXTENSION, media_type=MEDIA_TYPE, role=Media.Role.PLANE)


def make_frames_subject(workflow: Workflow, seeds: list[int]) -> Subject:
    """An uploaded subject of several pictures, without samples."""
    subject = factories.make_subject(workflow.project, published_in=workflow)
    Media.objects.filter(subject=subject).delete()
    for position, seed in enumerate(seeds):
        [picture] = render_planes(galaxy_plane(seed)[np.newaxis])
        _store(
            subject,
            picture,
            extension=".jpg",
            media_type="image/jpeg",
            role=Media.Role.LOCATION,
            position=position,
        )
    return subject


def colour_bands(seed: int) -> np.ndarray:
    """Three bands of one galaxy, redder in its middle."""
    plane = galaxy_plane(seed).astype(np.float32)
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX] - SIDE_PX / 2.0
    redder = 1.3 * np.exp(-np.hypot(x, y) / 25.0)
    return np.stack([plane * (0.6 + redder), plane * 0.9, plane * (1.3 - 0.6 * redder)]).astype(np.float16)


def make_spectrum_subject(workflow: Workflow, seed: int) -> Subject:
    """A spectrum subject with its drawn picture and its numbers on disk, open in the workflow."""
    metadata = {"instrument": "SIMSPEC", "object": "a simulated galaxy"}
    subject = factories.make_subject(workflow.project, kind="spectrum", published_in=workflow, metadata=metadata)
    Media.objects.filter(subject=subject).delete()
    spectrum = emission_spectrum(seed)
    drawn = render_spectrum(spectrum)
    _store(subject, drawn, extension=".png", media_type="image/png", role=Media.Role.LOCATION)
    numbers = spectrum_json(spectrum)
    _store(subject, numbers, extension=".json", media_type="application/json", role=Media.Role.SPECTRUM_DATA)
    return subject


def break_picture(subject: Subject) -> None:
    """The picture's file holds something that is no picture."""
    media = Media.objects.get(subject=subject, role=Media.Role.LOCATION)
    (Path(settings.MEDIA_ROOT) / media.path).write_bytes(b"not a picture")
