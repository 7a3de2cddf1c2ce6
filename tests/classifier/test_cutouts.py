"""Cutting, averaging, the sky and the network's grid, as pure functions of arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from classifier.cutouts import (
    average_frame,
    block_mean,
    cut_around,
    measure_sky,
    normalise_plane,
    resample_spectrum,
    saturated_share,
    to_half,
)
from classifier.fits.spectra import NETWORK_WAVELENGTHS_NM

ANY_FLOAT32 = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.floats(width=32)
)


class Frame:
    """An array as a source, which checks that it is never asked for more than it has."""

    def __init__(self, pixels: NDArray[np.float32]) -> None:
        self.pixels = pixels
        self.shape = (pixels.shape[0], pixels.shape[1])

    def region(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        assert 0 <= rows.start < rows.stop <= self.shape[0]
        assert 0 <= columns.start < columns.stop <= self.shape[1]
        return self.pixels[rows, columns]


def numbered(height: int, width: int) -> NDArray[np.float32]:
    return np.arange(height * width, dtype=np.float32).reshape(height, width)


def test_a_cut_has_its_centre_at_the_position() -> None:
    pixels = numbered(50, 60)
    square, edge = cut_around(Frame(pixels), x_px=30.0, y_px=20.0, size_px=5)
    assert not edge
    assert square[2, 2] == pixels[20, 30]


def test_a_cut_over_the_edge_is_padded_with_nan() -> None:
    pixels = numbered(50, 60)
    square, edge = cut_around(Frame(pixels), x_px=0.0, y_px=49.0, size_px=5)
    assert edge
    assert square[2, 2] == pixels[49, 0]
    assert np.isnan(square[:, :2]).all()
    assert np.isnan(square[3:]).all()
    assert np.isfinite(square[:3, 2:]).all()


@given(x_px=st.floats(-200, 200), y_px=st.floats(-200, 200), size_px=st.integers(1, 64))
def test_a_cut_anywhere_has_the_size_asked(x_px: float, y_px: float, size_px: int) -> None:
    square, _ = cut_around(Frame(numbered(50, 60)), x_px=x_px, y_px=y_px, size_px=size_px)
    assert square.shape == (size_px, size_px)


@given(height=st.integers(1, 300), width=st.integers(1, 300), size_px=st.integers(4, 64))
@settings(max_examples=50)
def test_an_averaged_frame_keeps_the_mean_of_the_whole_blocks(height: int, width: int, size_px: int) -> None:
    square, scale = average_frame(Frame(np.full((height, width), 7.0, dtype=np.float32)), size_px=size_px)
    assert square.shape == (size_px, size_px)
    assert np.count_nonzero(np.isfinite(square)) == -(-height // scale) * -(-width // scale)
    assert np.nanmin(square) == np.nanmax(square) == 7.0


def test_a_frame_read_in_strips_is_the_frame_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).normal(size=(333, 217)).astype(np.float32)
    whole, _ = average_frame(Frame(pixels), size_px=32)
    monkeypatch.setattr("classifier.cutouts._STRIP_VALUES", 4000)
    strips, _ = average_frame(Frame(pixels), size_px=32)
    assert np.array_equal(whole, strips, equal_nan=True)


def test_block_means_ignore_missing_pixels() -> None:
    pixels = np.array([[1, np.nan, np.nan], [3, np.nan, np.nan], [5, 5, np.nan]], dtype=np.float32)
    assert np.array_equal(block_mean(pixels, scale=2), [[2.0, np.nan], [5.0, np.nan]], equal_nan=True)


@pytest.mark.parametrize("crowding", [0.0, 0.05, 0.2])
def test_the_sky_is_measured_under_sources(crowding: float) -> None:
    rng = np.random.default_rng(4)
    pixels = rng.normal(1000.0, 20.0, (128, 128))
    sources = rng.random((128, 128)) < crowding
    pixels[sources] += rng.exponential(2000.0, np.count_nonzero(sources))
    background, noise = measure_sky(pixels.astype(np.float32))
    assert background == pytest.approx(1000.0, abs=8.0)
    assert noise == pytest.approx(20.0, rel=0.25)


@given(ANY_FLOAT32)
def test_any_pixels_have_a_finite_sky_and_plane(pixels: NDArray[np.float32]) -> None:
    background, noise = measure_sky(pixels)
    assert np.isfinite(background)
    assert np.isfinite(noise)
    assert noise > 0
    plane = normalise_plane(pixels, background=background, noise=noise)
    assert plane.dtype == np.float16
    assert plane.shape == pixels.shape
    assert np.isfinite(plane).all()
    assert plane.min() >= -1000
    assert plane.max() <= 6e4


def test_saturation_without_a_level_needs_a_flat_bright_top() -> None:
    sky = np.random.default_rng(5).normal(0.0, 1.0, (64, 64)).astype(np.float32)
    assert saturated_share(sky, saturation_level=None, background=0.0, noise=1.0) == 0.0
    sky[:2, :4] = 500.0
    assert saturated_share(sky, saturation_level=None, background=0.0, noise=1.0) == 8 / 4096
    nothing = np.full((4, 4), np.nan, dtype=np.float32)
    assert saturated_share(nothing, saturation_level=None, background=0.0, noise=1.0) == 0.0


def resampled(wavelength_nm: NDArray[np.float64], flux: NDArray[np.float64]) -> NDArray[np.float16]:
    return resample_spectrum(wavelength_nm=wavelength_nm, flux=flux.astype(np.float32), grid_nm=NETWORK_WAVELENGTHS_NM)


def test_the_network_grid_is_log_spaced_from_370_to_950_nm() -> None:
    assert NETWORK_WAVELENGTHS_NM.shape == (1024,)
    assert NETWORK_WAVELENGTHS_NM[[0, -1]] == pytest.approx([370.0, 950.0])
    assert np.ptp(np.diff(np.log(NETWORK_WAVELENGTHS_NM))) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("count", [500, 3000, 50_000])
def test_a_smooth_spectrum_survives_resampling_whatever_its_sampling(count: int) -> None:
    wavelength = np.linspace(350.0, 1000.0, count)
    plane = resampled(wavelength, 2.0 + np.sin(wavelength / 20.0))
    truth = 2.0 + np.sin(NETWORK_WAVELENGTHS_NM / 20.0)
    assert plane[1].all()
    assert np.allclose(plane[0], truth / np.median(truth), atol=0.03)


def test_gaps_and_ends_are_missing_not_invented() -> None:
    wavelength = np.linspace(500.0, 800.0, 3000)
    flux = np.ones(3000)
    flux[(wavelength > 600.0) & (wavelength < 620.0)] = np.nan
    plane = resampled(wavelength, flux)
    inside = (NETWORK_WAVELENGTHS_NM > 500.5) & (NETWORK_WAVELENGTHS_NM < 799.0)
    gap = (NETWORK_WAVELENGTHS_NM > 600.5) & (NETWORK_WAVELENGTHS_NM < 619.5)
    around = (NETWORK_WAVELENGTHS_NM < 599.0) | (NETWORK_WAVELENGTHS_NM > 621.0)
    assert not plane[1, gap].any()
    assert plane[1, inside & around].all()
    assert not plane[1, (NETWORK_WAVELENGTHS_NM < 499.0) | (NETWORK_WAVELENGTHS_NM > 801.0)].any()
    assert not plane[0, plane[1] == 0].any()


def test_a_spectrum_beyond_the_grid_is_all_missing() -> None:
    assert not resampled(np.linspace(1000.0, 1800.0, 2000), np.ones(2000)).any()


@given(
    hnp.arrays(np.float64, 60, elements=st.floats(allow_nan=True, allow_infinity=True)),
    st.floats(1e-18, 1e18),
)
def test_any_flux_gives_a_finite_plane_of_any_unit(flux: NDArray[np.float64], unit: float) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = np.clip(flux, -1e10, 1e10) * unit
    plane = resampled(np.linspace(400.0, 900.0, 60), scaled)
    assert np.isfinite(plane).all()
    assert np.abs(plane[0]).max() <= 50
    assert set(np.unique(plane[1])) <= {0.0, 1.0}


@given(st.floats(-65_504, 65_504, width=32).filter(lambda value: value == 0 or abs(value) >= 2.0**-14))
def test_half_precision_is_rounded_as_numpy_rounds_it(value: float) -> None:
    values = np.array([value, -value], dtype=np.float32)
    np.testing.assert_array_equal(to_half(values).view(np.uint16), values.astype(np.float16).view(np.uint16))


def test_every_number_of_half_precision_stays_itself() -> None:
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)]
    np.testing.assert_array_equal(to_half(finite.astype(np.float32)).view(np.uint16), finite.view(np.uint16))
