"""Pictures: what a volunteer sees of a plane or a spectrum."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.visualization import ZScaleInterval
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from classifier.cutouts import resample_spectrum
from classifier.fits.content import CutSpec, Spectrum
from classifier.fits.limits import Limits
from classifier.fits.parsing import parse_file
from classifier.fits.spectra import NETWORK_WAVELENGTHS_NM
from classifier.rendering import (
    DISPLAY_SIZE_PX,
    Stretch,
    encode_jpeg,
    enlarge,
    render_bands,
    render_planes,
    render_spectrum,
    sky_limits,
    spectrum_json,
    stretch_bands,
    stretch_planes,
    zscale_limits,
)
from classifier.spectrum_picture import tick_positions

ANY_PLANES = hnp.arrays(np.float16, (2, 12, 12), elements=st.floats(-1000, 60000, width=16))


def sky(count: int = 3) -> NDArray[np.float16]:
    planes = np.random.default_rng(0).normal(size=(count, 128, 128))
    planes[:, 60:68, 60:68] += 300.0
    return planes.astype(np.float16)


def a_spectrum(count: int = 1500) -> Spectrum:
    wavelength = np.linspace(400.0, 900.0, count)
    flux = (1e-16 * (1 + np.random.default_rng(1).normal(0.0, 0.1, count))).astype(np.float32)
    flux[100:110] = np.nan
    return Spectrum(
        wavelength_nm=wavelength,
        flux=flux,
        error=np.full(count, 1e-17, dtype=np.float32),
        plane=resample_spectrum(wavelength_nm=wavelength, flux=flux, grid_nm=NETWORK_WAVELENGTHS_NM),
        flux_unit="erg s-1 cm-2 nm-1",
        elements=count,
        from_air=False,
        medium_declared=True,
        missing_share=0.0,
        coverage=0.8,
        snr=10.0,
        wavelength_min_nm=400.0,
        wavelength_max_nm=900.0,
    )


def test_the_noise_is_visible_and_the_source_is_white() -> None:
    (picture,) = stretch_planes(sky(1))
    assert 30 < np.median(picture) < 110
    assert picture[60:68, 60:68].min() > 240


def test_the_first_row_of_the_file_is_at_the_bottom() -> None:
    planes = np.zeros((1, 16, 16), dtype=np.float16)
    planes[0, 0] = 100.0
    (picture,) = stretch_planes(planes)
    assert picture[-1].min() > picture[0].max()


def test_a_blank_field_is_not_stretched_into_texture() -> None:
    low, high = sky_limits(np.random.default_rng(0).normal(size=(1, 64, 64)).astype(np.float16))[0]
    assert high - low >= 10.0


def test_each_plane_of_a_batch_is_stretched_by_itself() -> None:
    planes = sky(3)
    planes[1] *= np.float16(20)
    together = stretch_planes(planes)
    for k in range(3):
        assert np.array_equal(together[k], stretch_planes(planes[k : k + 1])[0])


@given(ANY_PLANES, st.sampled_from(["asinh", "linear", "log"]))
def test_every_stretch_is_monotonic_for_any_plane(planes: NDArray[np.float16], stretch: Stretch) -> None:
    pictures = stretch_planes(planes, stretch=stretch)
    for plane, picture in zip(planes, pictures, strict=True):
        order = np.argsort(plane[::-1].ravel().astype(np.float32), kind="stable")
        assert np.all(np.diff(picture.ravel()[order].astype(int)) >= 0)


def test_the_asinh_stretch_follows_its_formula() -> None:
    planes = sky(1)
    ((low, high),) = limits = np.array([[-1.5, 200.0]], dtype=np.float32)
    a, b = np.arcsinh(low / 2.0), np.arcsinh(high / 2.0)
    expected = np.clip((np.arcsinh(planes[0, ::-1].astype(np.float64) / 2.0) - a) / (b - a) * 255, 0, 255)
    assert np.abs(stretch_planes(planes, limits=limits)[0] - expected).max() <= 0.51


def test_a_jpeg_has_the_size_of_the_display() -> None:
    pictures = render_planes(sky(2))
    for encoded in pictures:
        image = Image.open(io.BytesIO(encoded))
        assert (image.format, image.mode, image.size) == ("JPEG", "L", (DISPLAY_SIZE_PX, DISPLAY_SIZE_PX))


def test_a_jpeg_looks_like_what_was_stretched() -> None:
    (picture,) = stretch_planes(sky(1))
    encoded = encode_jpeg(picture, size_px=128)
    assert np.abs(np.asarray(Image.open(io.BytesIO(encoded))).astype(int) - picture).mean() < 4


def three_bands(*brightness: float) -> NDArray[np.float16]:
    """One picture of noise with a source of that brightness in red, green and blue."""
    bands = np.random.default_rng(0).normal(size=(1, 3, 128, 128))
    bands[0, :, 60:68, 60:68] += np.array(brightness)[:, None, None]
    return bands.astype(np.float16)


def test_a_source_has_the_colour_of_its_bands() -> None:
    (picture,) = stretch_bands(three_bands(400.0, 100.0, 20.0))
    red, green, blue = picture[60:68, 60:68].reshape(-1, 3).mean(axis=0)
    assert red > 1.5 * green > 1.5 * blue
    assert red > 240


def test_the_sky_has_no_colour() -> None:
    (picture,) = stretch_bands(three_bands(400.0, 100.0, 20.0))
    red, green, blue = np.median(picture.reshape(-1, 3), axis=0)
    assert max(red, green, blue) - min(red, green, blue) < 12


def test_equal_bands_are_grey_and_as_bright_as_their_mean() -> None:
    plane = sky(1)
    (colour,) = stretch_bands(np.repeat(plane[:, None], 3, axis=1))
    (grey,) = stretch_planes(plane)
    assert np.abs(colour.astype(int) - grey[..., None].astype(int)).max() <= 2


def test_a_colour_is_kept_where_a_band_would_pass_white() -> None:
    (faint,), (bright,) = stretch_bands(three_bands(90.0, 45.0, 45.0)), stretch_bands(three_bands(9e3, 4.5e3, 4.5e3))
    for picture in (faint, bright):
        red, green, blue = picture[62:66, 62:66].reshape(-1, 3).mean(axis=0)
        assert green / red == pytest.approx(0.5, abs=0.06)
        assert blue / red == pytest.approx(0.5, abs=0.06)


@given(hnp.arrays(np.float16, (1, 3, 9, 9), elements=st.floats(-1000, 60000, width=16)))
def test_any_bands_become_a_picture(bands: NDArray[np.float16]) -> None:
    assert stretch_bands(bands).shape == (1, 9, 9, 3)


def test_a_colour_jpeg_has_three_channels_and_the_size_of_the_display() -> None:
    (encoded,) = render_bands(three_bands(400.0, 100.0, 20.0))
    image = Image.open(io.BytesIO(encoded))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (DISPLAY_SIZE_PX, DISPLAY_SIZE_PX))


@given(st.integers(0, 10**9), st.integers(3, 150), st.integers(3, 150), st.floats(0.0, 1000.0))
def test_zscale_limits_agree_with_astropy(seed: int, height: int, width: int, source: float) -> None:
    # Noise has no ties, so that rounding decides no rejection.
    rng = np.random.default_rng(seed)
    plane = rng.normal(size=(height, width)) + source * (rng.uniform(size=(height, width)) < 0.1)
    plane = plane.astype(np.float16)
    expected = ZScaleInterval().get_limits(plane.astype(np.float64))
    (limits,) = zscale_limits(plane[None])
    assert limits == pytest.approx(expected, abs=1e-3 * float(plane.max() - plane.min()))


def test_zscale_limits_of_a_batch_are_those_of_each_plane() -> None:
    planes = sky(5)
    planes[2] *= np.float16(7)
    expected = [ZScaleInterval().get_limits(plane.astype(np.float64)) for plane in planes]
    assert np.allclose(zscale_limits(planes), expected, atol=1e-4)


def test_pictures_can_be_made_with_zscale_limits() -> None:
    planes = sky(1)
    assert render_planes(planes, limits=zscale_limits(planes)) != render_planes(planes)


def test_enlarging_agrees_with_pillow_and_keeps_proportions() -> None:
    y, x = np.mgrid[:100, :128]
    smooth = (128 + 60 * np.sin(x / 7) * np.cos(y / 9)).astype(np.uint8)
    ours = enlarge(smooth, size_px=424)
    theirs = np.asarray(Image.fromarray(smooth).resize((424, 331), Image.Resampling.BICUBIC))
    assert ours.shape == (331, 424)
    assert np.abs(ours.astype(int) - theirs)[6:-6, 6:-6].max() <= 1


def test_a_spectrum_is_drawn_with_axes_and_band() -> None:
    image = Image.open(io.BytesIO(render_spectrum(a_spectrum())))
    assert (image.format, image.size) == ("PNG", (848, 424))
    assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 10


@pytest.mark.parametrize(
    "flux",
    [np.zeros(50), np.full(50, 7.0), np.where(np.arange(50) == 25, 1.0, np.nan), np.linspace(-1e30, 1e30, 50)],
)
def test_a_strange_spectrum_is_drawn_all_the_same(flux: NDArray[np.float64]) -> None:
    spectrum = replace(
        a_spectrum(50), flux=flux.astype(np.float32), error=None, wavelength_min_nm=652.0, wavelength_max_nm=652.0
    )
    assert render_spectrum(spectrum, width_px=320, height_px=160).startswith(b"\x89PNG")


@given(st.floats(-1e30, 1e30), st.floats(1e-6, 1e30), st.integers(2, 12))
def test_ticks_are_few_and_lie_in_the_range(low: float, span: float, about: int) -> None:
    ticks = tick_positions(low, low + span, about=about)
    assert len(ticks) <= 2 * about + 2
    assert all(low - 0.01 * span <= tick <= low + 1.01 * span for tick in ticks)


def test_the_browser_gets_rounded_numbers_and_nulls() -> None:
    told = json.loads(spectrum_json(a_spectrum()))
    assert told["flux"][100] is None
    assert told["flux"][0] == pytest.approx(float(a_spectrum().flux[0]), rel=1e-4)
    assert told["wavelength_nm"][:2] == [400.0, 400.3336]
    assert len(told["wavelength_nm"]) == len(told["flux"]) == len(told["error"]) == 1500
    assert told["flux_unit"] == "erg s-1 cm-2 nm-1"


@pytest.mark.real_data
def test_genuine_files_are_rendered(real_data: Path) -> None:
    for path in sorted((real_data / "fits").iterdir()):
        content = parse_file(path, spec=CutSpec(), limits=Limits())
        if content.spectrum is not None:
            assert render_spectrum(content.spectrum).startswith(b"\x89PNG")
            assert len(spectrum_json(content.spectrum)) < 200_000
        else:
            (encoded,) = render_planes(content.images[0].plane[None])
            assert len(encoded) > 5000
