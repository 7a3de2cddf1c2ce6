"""Three images of one sky in three bands are one subject: its plane is their mean, and the bands are kept for eyes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from classifier.fits.content import CutSpec, FitsContent
from classifier.fits.limits import Limits
from classifier.fits.parsing import parse_file
from classifier.fits.sandbox import FitsReader
from tests.classifier.fits.files import WCS_CARDS, CardLine, empty_primary, galaxy, image_hdu

FILTERS = ("g_SDSS", "r_SDSS", "i_SDSS")


def parse(path: Path, spec: CutSpec | None = None) -> FitsContent:
    return parse_file(path, spec=spec or CutSpec(), limits=Limits())


def band_images(height: int = 128, width: int = 128) -> list[NDArray[np.float32]]:
    """One galaxy, twice and three times as bright in the second and third image; independent noise."""
    source = galaxy(height, width, seed=9) - 100.0
    return [100.0 + k * source + _noise((height, width), k) for k in (1, 2, 3)]


def _noise(shape: tuple[int, int], seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0.0, 5.0, shape).astype(np.float32)


def write_bands(
    path: Path,
    filters: Sequence[str] = FILTERS,
    *,
    wcs: Sequence[Sequence[CardLine]] = (WCS_CARDS,) * 3,
    images: Sequence[NDArray[np.float32]] | None = None,
) -> Path:
    """One extension a filter."""
    hdus = [
        image_hdu(pixels, [("FILTER", name), *cards], extension=f"IMAGE{k}")
        for k, (pixels, name, cards) in enumerate(zip(images or band_images(), filters, wcs, strict=True))
    ]
    path.write_bytes(empty_primary() + b"".join(hdus))
    return path


def shifted(pixels: float) -> list[CardLine]:
    return [(str(name), 100.5 + pixels if name == "CRPIX1" else value) for name, value in WCS_CARDS]  # type: ignore[misc]


def peaks(bands: NDArray[np.float16]) -> list[int]:
    """The bands' places from faint to bright, by their middle in units of the file."""
    return [int(index) for index in np.argsort(bands[:, 60:68, 60:68].astype(float).mean(axis=(1, 2)))]


def test_three_extensions_in_three_filters_are_one_subject_in_colour(tmp_path: Path) -> None:
    content = parse(write_bands(tmp_path / "a.fits"))
    (cutout,) = content.images
    assert cutout.bands is not None
    assert (cutout.bands.dtype, cutout.bands.shape) == (np.float16, (3, 128, 128))
    assert peaks(cutout.bands) == [2, 1, 0]  # i is the reddest and brightest here
    mean = cutout.background + cutout.noise * cutout.plane.astype(np.float64)
    assert np.allclose(mean, np.mean(band_images(), axis=0), rtol=2e-3, atol=0.05)
    assert content.facts.filter == "g_SDSS, r_SDSS, i_SDSS"


def test_the_order_is_that_of_the_wavelengths_not_of_the_file(tmp_path: Path) -> None:
    (cutout,) = parse(write_bands(tmp_path / "a.fits", ("Ks", "J", "H"))).images
    assert cutout.bands is not None
    assert peaks(cutout.bands) == [0, 2, 1]  # Ks was written faintest, then J, then H


def test_unknown_filters_are_taken_from_blue_to_red(tmp_path: Path) -> None:
    (cutout,) = parse(write_bands(tmp_path / "a.fits", ("NB_118", "NB_209", "BrGamma-2"))).images
    assert cutout.bands is not None
    assert peaks(cutout.bands) == [2, 1, 0]


def test_bands_are_cut_around_positions_together(tmp_path: Path) -> None:
    path = write_bands(tmp_path / "a.fits", images=band_images(160, 200))
    (cutout,) = parse(path, CutSpec(size_px=32, positions=((150.0, -30.0),))).images
    assert cutout.bands is not None
    assert (cutout.bands.shape, cutout.position_index) == ((3, 32, 32), 0)


@pytest.mark.parametrize(
    ("filters", "wcs"),
    [
        (("g_SDSS", "g_SDSS", "i_SDSS"), (WCS_CARDS,) * 3),
        (("g_SDSS", "", "i_SDSS"), (WCS_CARDS,) * 3),
        (FILTERS, (WCS_CARDS, WCS_CARDS, shifted(2.0))),
        (FILTERS, (WCS_CARDS, WCS_CARDS, ())),
    ],
)
def test_what_does_not_belong_together_stays_apart(
    tmp_path: Path, filters: Sequence[str], wcs: Sequence[Sequence[CardLine]]
) -> None:
    cutouts = parse(write_bands(tmp_path / "a.fits", filters, wcs=wcs)).images
    assert [cutout.bands for cutout in cutouts] == [None] * 3


def test_images_of_different_shape_stay_apart(tmp_path: Path) -> None:
    images = [*band_images()[:2], galaxy(64, 64)]
    assert len(parse(write_bands(tmp_path / "a.fits", images=images)).images) == 3


@pytest.mark.parametrize(
    ("cards", "order"),
    [
        ([("BANDS", "grz")], [2, 1, 0]),
        ([("BAND0", "z"), ("BAND1", "r"), ("BAND2", "g")], [0, 1, 2]),
        ([("BAND1", "g"), ("BAND2", "r"), ("BAND3", "z")], [2, 1, 0]),
        ([("FILTER1", "B"), ("FILTER2", "R"), ("FILTER3", "V")], [1, 2, 0]),
        ([("CTYPE3", "RGB")], [0, 1, 2]),
        ([("CTYPE3", "FILTER")], [2, 1, 0]),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_a_cube_that_says_it_holds_bands_is_one_subject_in_colour(
    tmp_path: Path, cards: list[CardLine], order: list[int], compressed: bool
) -> None:
    cube, path = np.stack(band_images()), tmp_path / "a.fits"
    path.write_bytes(image_hdu(cube, cards))
    if compressed:
        from astropy.io import fits

        with fits.open(path, memmap=False) as hdus:
            image = fits.CompImageHDU(hdus[0].data, header=hdus[0].header, quantize_level=64, tile_shape=(1, 16, 128))
        fits.HDUList([fits.PrimaryHDU(), image]).writeto(path, overwrite=True)
    (cutout,) = parse(path).images
    assert cutout.bands is not None
    # The file's planes grow brighter: the n-th place of the result shows the file's plane order[n].
    assert peaks(cutout.bands) == [order.index(plane) for plane in range(3)]


def test_a_cube_without_a_word_on_bands_is_white_light(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes(image_hdu(np.stack(band_images()), [("CTYPE3", "WAVE")]))
    (cutout,) = parse(path).images
    assert cutout.bands is None


def test_the_bands_come_through_the_limited_child_unchanged(tmp_path: Path) -> None:
    path = write_bands(tmp_path / "a.fits")
    with FitsReader() as reader:
        (read,) = reader.read(path).images
    (expected,) = parse(path).images
    assert read.bands is not None
    assert expected.bands is not None
    assert np.array_equal(read.bands, expected.bands)
