"""Images: which HDU, which plane, which cut-out, and where it lies on the sky."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

from classifier.fits.content import Cutout, CutSpec, FitsContent
from classifier.fits.errors import NoFinitePixelsError, NoScienceDataError
from classifier.fits.limits import Limits
from classifier.fits.parsing import parse_file
from classifier.fits.wcs import TangentPlane
from tests.classifier.fits.files import WCS_CARDS, empty_primary, galaxy, image_hdu, write_image


def parse(path: Path, spec: CutSpec | None = None) -> FitsContent:
    return parse_file(path, spec=spec or CutSpec(), limits=Limits())


def pixels_of(cutout: Cutout) -> NDArray[np.float64]:
    return cutout.background + cutout.noise * cutout.plane.astype(np.float64)


def test_a_plane_is_in_units_of_the_sky_noise(tmp_path: Path) -> None:
    original = galaxy()
    content = parse(write_image(tmp_path / "a.fits", original, [("BUNIT", "adu")]))
    (cutout,) = content.images
    assert content.kind == "image"
    assert (cutout.plane.dtype, cutout.plane.shape) == (np.float16, (128, 128))
    assert cutout.background == pytest.approx(100.0, abs=2.0)
    assert cutout.noise == pytest.approx(5.0, abs=1.0)
    assert np.allclose(pixels_of(cutout), original, rtol=2e-3, atol=0.05)
    assert (cutout.unit, cutout.scale, cutout.edge, cutout.missing_share) == ("adu", 1, False, 0.0)


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "i8", "f4", "f8"])
def test_every_type_of_pixel_is_read(tmp_path: Path, dtype: str) -> None:
    original = np.clip(galaxy(), 0, 250).astype(dtype)
    (cutout,) = parse(write_image(tmp_path / "a.fits", original)).images
    assert np.allclose(pixels_of(cutout), original.astype(float), rtol=2e-3, atol=0.05)


def test_scaling_and_blank_pixels_are_applied(tmp_path: Path) -> None:
    raw = np.round(galaxy()).astype(np.int16)
    raw[:8] = -32768
    cards = [("BSCALE", 0.5), ("BZERO", 1000.0), ("BLANK", -32768)]
    (cutout,) = parse(write_image(tmp_path / "a.fits", raw, cards)).images
    assert cutout.missing_share == pytest.approx(8 / 128)
    assert not cutout.plane[:8].any()
    assert np.allclose(pixels_of(cutout)[8:], raw[8:] * 0.5 + 1000.0, rtol=2e-3, atol=0.05)


def test_a_smaller_image_is_padded_in_the_middle(tmp_path: Path) -> None:
    (cutout,) = parse(write_image(tmp_path / "a.fits", galaxy(60, 100))).images
    assert cutout.edge
    assert cutout.missing_share == pytest.approx(1 - 6000 / 128**2)
    assert not cutout.plane[:34].any()
    assert np.count_nonzero(cutout.plane[34:94, 14:114]) > 5900
    assert (cutout.x_px, cutout.y_px) == (49.5, 29.5)


def test_a_larger_frame_is_averaged_in_blocks(tmp_path: Path) -> None:
    original = galaxy(384, 384)
    (cutout,) = parse(write_image(tmp_path / "a.fits", original)).images
    assert (cutout.scale, cutout.edge) == (3, False)
    means = original.reshape(128, 3, 128, 3).mean(axis=(1, 3))
    assert np.allclose(pixels_of(cutout), means, rtol=2e-3, atol=0.05)


def test_the_target_of_the_header_is_cut_out_of_a_frame_of_moderate_size(tmp_path: Path) -> None:
    original = galaxy(400, 400)
    # WCS_CARDS put the target at pixel (99.5, 79.5).
    (cutout,) = parse(write_image(tmp_path / "a.fits", original, [*WCS_CARDS, ("RA", 150.0), ("DEC", -30.0)])).images
    assert (cutout.scale, cutout.edge) == (1, False)
    assert (cutout.x_px, cutout.y_px) == (pytest.approx(99.5), pytest.approx(79.5))
    assert np.allclose(pixels_of(cutout), original[16:144, 36:164], rtol=2e-3, atol=0.05)
    assert cutout.pixel_scale_arcsec == pytest.approx(0.36)


def test_the_target_is_not_guessed_in_a_large_frame(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.fits", galaxy(600, 600), [*WCS_CARDS, ("RA", 150.0), ("DEC", -30.0)])
    (cutout,) = parse(path).images
    assert cutout.scale == 5
    assert cutout.pixel_scale_arcsec == pytest.approx(1.8)


def test_positions_are_cut_at_native_resolution_and_say_where_they_lie(tmp_path: Path) -> None:
    original = galaxy(160, 200)
    path = write_image(tmp_path / "a.fits", original, WCS_CARDS)
    positions = ((150.0, -30.0), (200.0, 10.0), (150.0 + 99e-4 / math.cos(math.radians(30)), -30.0))
    inside, at_edge = parse(path, CutSpec(size_px=32, positions=positions)).images
    assert (inside.position_index, inside.edge) == (0, False)
    assert np.allclose(pixels_of(inside), original[64:96, 84:116], rtol=2e-3, atol=0.05)
    assert (inside.ra_deg, inside.dec_deg) == (pytest.approx(150.0), pytest.approx(-30.0))
    assert (at_edge.position_index, at_edge.edge) == (2, True)
    assert at_edge.x_px == pytest.approx(0.5, abs=0.1)
    assert at_edge.missing_share == pytest.approx(0.5, abs=0.05)


def test_positions_off_the_image_are_a_named_error(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.fits", galaxy(), WCS_CARDS)
    with pytest.raises(NoScienceDataError):
        parse(path, CutSpec(positions=((10.0, 10.0),)))


def test_positions_without_a_wcs_are_a_named_error(tmp_path: Path) -> None:
    with pytest.raises(NoScienceDataError):
        parse(write_image(tmp_path / "a.fits"), CutSpec(positions=((150.0, -30.0),)))


def test_companions_of_the_science_image_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    hdus = [
        empty_primary(),
        image_hdu(galaxy(), extension="STAT"),
        image_hdu(galaxy(), extension="DATA"),
        image_hdu(galaxy(), [("HDUCLAS2", "QUALITY")], extension="EXTRA"),
    ]
    path.write_bytes(b"".join(hdus))
    (cutout,) = parse(path).images
    assert (cutout.hdu, cutout.extension_name) == (2, "DATA")


def test_each_detector_of_a_mosaic_is_a_subject(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    blank = np.full((64, 64), np.nan, dtype=np.float32)
    hdus = [image_hdu(galaxy(seed=k), extension=f"DET{k}.CHIP1") for k in range(3)]
    path.write_bytes(empty_primary() + b"".join(hdus) + image_hdu(blank, extension="DET3.CHIP1"))
    assert [cutout.extension_name for cutout in parse(path).images] == ["DET0.CHIP1", "DET1.CHIP1", "DET2.CHIP1"]


def test_a_position_is_cut_from_the_detector_it_lies_on(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    elsewhere = [(name, 200.0 if name == "CRVAL1" else value) for name, value in WCS_CARDS]
    hdus = [image_hdu(galaxy(160, 200), cards, extension=f"CHIP{k}") for k, cards in enumerate([elsewhere, WCS_CARDS])]
    path.write_bytes(empty_primary() + b"".join(hdus))
    (cutout,) = parse(path, CutSpec(positions=((150.0, -30.0),))).images
    assert cutout.extension_name == "CHIP1"


def test_a_cube_becomes_the_mean_of_planes_spread_over_it(tmp_path: Path) -> None:
    cube = np.stack([galaxy(seed=k) + k for k in range(40)])
    cube[20, :5] = np.nan
    (cutout,) = parse(write_image(tmp_path / "a.fits", cube)).images
    spread = [math.floor((k + 0.5) * 2.5) for k in range(16)]
    assert np.allclose(pixels_of(cutout), np.nanmean(cube[spread], axis=0), rtol=2e-3, atol=0.1)


def test_three_colours_are_averaged(tmp_path: Path) -> None:
    cube = np.stack([galaxy(), galaxy() * 2, galaxy() * 3])
    (cutout,) = parse(write_image(tmp_path / "a.fits", cube)).images
    assert np.allclose(pixels_of(cutout), galaxy() * 2, rtol=2e-3, atol=0.1)


def test_infinite_and_huge_values_are_missing_or_clipped(tmp_path: Path) -> None:
    original = galaxy().astype(np.float64)
    original[0, 0], original[0, 1], original[0, 2] = np.inf, 1e300, -1e30
    (cutout,) = parse(write_image(tmp_path / "a.fits", original)).images
    assert np.isfinite(cutout.plane.astype(float)).all()
    assert cutout.plane.max() <= 6e4
    assert cutout.plane.min() >= -1000


def test_an_image_of_one_value_is_read(tmp_path: Path) -> None:
    (cutout,) = parse(write_image(tmp_path / "a.fits", np.zeros((64, 64), dtype=np.float32))).images
    assert (cutout.background, cutout.noise) == (0.0, 1.0)


def test_saturated_pixels_are_counted(tmp_path: Path) -> None:
    original = galaxy()
    original[60:68, 60:68] = 60000.0
    level = parse(write_image(tmp_path / "a.fits", original, [("SATURATE", 50000.0)])).images[0]
    flat_top = parse(write_image(tmp_path / "b.fits", original)).images[0]
    none = parse(write_image(tmp_path / "c.fits")).images[0]
    assert level.saturated_share == flat_top.saturated_share == 64 / 128**2
    assert none.saturated_share == 0.0


@pytest.mark.parametrize("name", ["a.fits.fz", "odd [1](x)|name.fits", "a.fits.fz.gz"])
@pytest.mark.parametrize("scheme", ["rice", "gzip", "hcompress"])
def test_tile_compressed_images_are_read_whatever_the_file_is_called(tmp_path: Path, name: str, scheme: str) -> None:
    import fitsio

    original = np.round(galaxy(200, 300)).astype(np.int32)
    plain = tmp_path / "plain.fits"
    with fitsio.FITS(str(plain), "rw") as file:
        file.write(original, compress=scheme)
    path = tmp_path / name
    path.write_bytes(gzip.compress(plain.read_bytes()) if name.endswith(".gz") else plain.read_bytes())
    content = parse(path)
    (cutout,) = content.images
    assert (content.width_px, content.height_px, cutout.scale) == (300, 200, 3)
    middle = original[:198].reshape(66, 3, 100, 3).mean(axis=(1, 3))
    assert np.allclose(pixels_of(cutout)[30:96, 14:114], middle, rtol=2e-3, atol=0.1)


def test_compressed_floats_keep_their_missing_pixels(tmp_path: Path) -> None:
    from astropy.io import fits

    original = galaxy()
    original[:16] = np.nan
    path = tmp_path / "a.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(original)]).writeto(path)
    assert parse(path).images[0].missing_share == pytest.approx(16 / 128)


def test_a_file_all_of_whose_detectors_are_blank_is_refused(tmp_path: Path) -> None:
    blank = np.full((64, 64), np.nan, dtype=np.float32)
    path = tmp_path / "a.fits"
    path.write_bytes(empty_primary() + image_hdu(blank, extension="A") + image_hdu(blank, extension="B"))
    with pytest.raises(NoFinitePixelsError):
        parse(path)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "size_px", "scale"), [("M51.fits.gz", (512, 512), 4), ("MUSE_image.fits.gz", (90, 90), 1)]
)
def test_genuine_images_are_read(real_data: Path, name: str, size_px: tuple[int, int], scale: int) -> None:
    content = parse(real_data / "fits" / name)
    (cutout,) = content.images
    assert (content.width_px, content.height_px) == size_px
    assert cutout.scale == scale
    assert cutout.plane.max() > 50


PV_CARDS = [
    *((name, {"CTYPE1": "RA---TPV", "CTYPE2": "DEC--TPV"}.get(str(name), value)) for name, value in WCS_CARDS),
    ("PV1_1", 1.0), ("PV1_4", 0.02), ("PV2_1", 1.0), ("PV2_6", -0.015),
]  # fmt: skip


@pytest.mark.parametrize(("cards", "tolerance_px"), [(WCS_CARDS, 1e-9), (PV_CARDS, 0.1)])
@pytest.mark.parametrize("shape", [(400, 384), (60, 100), (160, 200), (1000, 700)])
def test_every_pixel_of_a_cutout_knows_its_place_on_the_sky(
    tmp_path: Path, cards: list[tuple[str, object]], tolerance_px: float, shape: tuple[int, int]
) -> None:
    # Each pixel's value is its own index, so that the cut-out itself tells which pixels of the image it shows.
    index = np.arange(shape[0] * shape[1], dtype=np.float64).reshape(shape)
    path = write_image(tmp_path / "a.fits", index, cards)
    position = CutSpec(positions=((150.0, -30.0),)) if shape == (160, 200) else None
    (cutout,) = parse(path, position).images
    assert cutout.sky is not None
    assert cutout.sky.tolerance_px <= tolerance_px
    oracle = WCS(fits.getheader(path))
    sky = cutout.sky
    plane = TangentPlane(
        (sky.x_px + 1, sky.y_px + 1), (sky.ra_deg, sky.dec_deg), (sky.cd11, sky.cd12, sky.cd21, sky.cd22)
    )
    shown = np.argwhere(~((cutout.plane == 0) & np.signbit(cutout.plane)))
    first, last = shown.min(axis=0), shown.max(axis=0)
    for row, column in (first, last - 1, (first + last) // 2):
        # Blocks begin at the image's own corner, in the middle of the plane where it does not fill it.
        scale = cutout.scale
        if position:
            place = (column + round(cutout.x_px - 63.5), row + round(cutout.y_px - 63.5))
        else:
            place = ((column - first[1]) * scale + (scale - 1) / 2, (row - first[0]) * scale + (scale - 1) / 2)
        expected = [float(value) for value in oracle.all_pix2world(*place, 0)]
        found = plane.to_sky(column, row)
        assert found is not None
        off = math.hypot((found[0] - expected[0]) * math.cos(math.radians(expected[1])), found[1] - expected[1])
        assert off / (1e-4 * scale) < max(tolerance_px, 1e-6) * 1.5
