"""The plane that the browser stretches: what was a float16 in the cut-out is the same float16 in the browser."""

from __future__ import annotations

import math

import numpy as np
import pytest

from classifier.display_plane import decode_display_plane, encode_display_plane
from classifier.fits.wcs import LocalSky, TangentPlane


@pytest.mark.parametrize("shape", [(64, 1024), (3, 16, 1365)])
def test_samples_come_back_bit_for_bit_with_the_sky_up(shape: tuple[int, ...]) -> None:
    every = np.arange(65536, dtype=np.uint16).view(np.float16)
    samples = every[: math.prod(shape)].reshape(shape)
    head, decoded = decode_display_plane(encode_display_plane(samples, limits=(-2.5, 10.0)))
    bands = samples.reshape(-1, *samples.shape[-2:])
    assert (head["bands"], head["height"], head["width"]) == bands.shape
    assert np.array_equal(decoded.view(np.uint16), np.ascontiguousarray(bands[:, ::-1]).view(np.uint16))


def test_the_head_turns_samples_into_values_of_the_file() -> None:
    samples = np.array([[1.0, -2.0], [0.5, 300.0]], np.float16)
    encoded = encode_display_plane(samples, limits=(-2.5, 40.0), background=1000.0, noise=5.0, unit="adu")
    head, decoded = decode_display_plane(encoded)
    assert (head["unit"], head["low"], head["high"], head["sky"]) == ("adu", -2.5, 40.0, None)
    assert (head["background"] + head["noise"] * decoded[0]).tolist() == [[1002.5, 2500.0], [1005.0, 990.0]]


def test_the_tangent_plane_counts_rows_from_the_top() -> None:
    sky = LocalSky(150.0, -30.0, 4.0, 10.0, -1e-4, 2e-5, 2e-5, 1e-4, 0.01)
    told, _ = decode_display_plane(encode_display_plane(np.zeros((32, 16), np.float16), limits=(0, 1), sky=list(sky)))
    top = LocalSky(**told["sky"])
    for x, y in ((0.0, 0.0), (12.5, 30.0), (4.0, 10.0)):
        assert to_sky(top, x, 31 - y) == pytest.approx(to_sky(sky, x, y), abs=1e-12)


def to_sky(sky: LocalSky, x: float, y: float) -> tuple[float, float]:
    plane = TangentPlane(
        (sky.x_px + 1, sky.y_px + 1), (sky.ra_deg, sky.dec_deg), (sky.cd11, sky.cd12, sky.cd21, sky.cd22)
    )
    found = plane.to_sky(x, y)
    assert found is not None
    return found


def test_bands_are_told_in_their_own_noise() -> None:
    head, _ = decode_display_plane(
        encode_display_plane(np.zeros((3, 4, 4), np.float16), limits=(0, 1), background=9.0, noise=3.0, unit="adu")
    )
    assert (head["background"], head["noise"], head["unit"]) == (0.0, 1.0, "sigma")


def test_sky_noise_packs_into_less_than_its_size() -> None:
    noise = np.random.default_rng(0).normal(size=(128, 128)).astype(np.float16)
    assert len(encode_display_plane(noise, limits=(-2.5, 10.0))) < 0.9 * noise.nbytes


@pytest.mark.parametrize("damage", [b"", b"not a plane at all", None])
def test_what_is_no_plane_is_refused(damage: bytes | None) -> None:
    whole = encode_display_plane(np.ones((4, 4), np.float16), limits=(0, 1))
    with pytest.raises(ValueError, match="plane"):
        decode_display_plane(whole[:-6] if damage is None else damage)
