"""Sky positions, with wcslib as the oracle."""

from __future__ import annotations

import math
import warnings

import pytest
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given
from hypothesis import strategies as st

from classifier.fits.cards import Header
from classifier.fits.wcs import TangentPlane, WcslibWcs, celestial_wcs
from tests.classifier.fits.files import WCS_CARDS, CardLine, card


def header_of(*cards: CardLine) -> Header:
    return Header(b"".join(map(card, cards)))


def changed(**values: object) -> list[CardLine]:
    return [(str(name), values.get(str(name), value)) for name, value in WCS_CARDS]


@given(
    crval=st.tuples(st.floats(0.0, 359.99), st.floats(-89.0, 89.0)),
    angle=st.floats(0.0, 2 * math.pi),
    scale=st.floats(1e-5, 1e-3),
    pixel=st.tuples(st.floats(-500.0, 2500.0), st.floats(-500.0, 2500.0)),
)
def test_the_tangent_plane_agrees_with_wcslib(
    crval: tuple[float, float], angle: float, scale: float, pixel: tuple[float, float]
) -> None:
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    plane = TangentPlane((1000.5, 900.5), crval, (-cosine, sine, sine, cosine))
    oracle = WCS(naxis=2)
    oracle.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    oracle.wcs.crval, oracle.wcs.crpix = crval, (1000.5, 900.5)
    oracle.wcs.cd = [[-cosine, sine], [sine, cosine]]
    sky = plane.to_sky(*pixel)
    expected = [float(value) for value in oracle.all_pix2world(*pixel, 0)]
    assert sky is not None
    assert sky[1] == pytest.approx(expected[1], abs=1e-9)
    turn = (sky[0] - expected[0] + 180.0) % 360.0 - 180.0
    assert turn * math.cos(math.radians(sky[1])) == pytest.approx(0.0, abs=1e-9)
    assert plane.to_pixel(*sky) == (pytest.approx(pixel[0], abs=1e-5), pytest.approx(pixel[1], abs=1e-5))


@pytest.mark.parametrize(
    "matrix",
    [
        [("CD1_1", -1e-4), ("CD2_2", 1e-4)],
        [("CDELT1", -1e-4), ("CDELT2", 1e-4)],
        [("CDELT1", -1e-4), ("CDELT2", 1e-4), ("CROTA2", 30.0)],
        [("CDELT1", -1e-4), ("CDELT2", 2e-4), ("PC1_1", 0.8), ("PC1_2", 0.6), ("PC2_1", -0.6), ("PC2_2", 0.8)],
    ],
)
def test_every_form_of_the_matrix_agrees_with_wcslib(matrix: list[CardLine]) -> None:
    cards = [*WCS_CARDS[:6], *matrix]
    ours = celestial_wcs(header_of(*cards))
    oracle = WCS(fits.Header.fromstring("".join(card(line).decode() for line in cards)))
    assert isinstance(ours, TangentPlane)
    assert ours.to_sky(300.0, 20.0) == pytest.approx([float(v) for v in oracle.all_pix2world(300.0, 20.0, 0)])


@pytest.mark.parametrize(
    "cards",
    [
        [*changed(CTYPE1="RA---ZPN", CTYPE2="DEC--ZPN"), ("PV2_1", 1.0), ("PV2_3", 42.0)],
        changed(CTYPE1="RA---SIN", CTYPE2="DEC--SIN"),
        [*changed(CTYPE1="RA---TPV", CTYPE2="DEC--TPV"), ("PV1_1", 1.0), ("PV2_1", 1.0)],
    ],
)
def test_other_projections_are_left_to_wcslib(cards: list[CardLine]) -> None:
    wcs = celestial_wcs(header_of(*cards))
    assert isinstance(wcs, WcslibWcs)
    assert wcs.to_sky(99.5, 79.5) == pytest.approx((150.0, -30.0))
    assert wcs.to_pixel(150.0, -30.0) == pytest.approx((99.5, 79.5), abs=1e-4)
    assert wcs.pixel_scale_arcsec == pytest.approx(0.36)


@pytest.mark.parametrize(
    "cards",
    [
        [],
        changed(CTYPE1="GLON-TAN", CTYPE2="GLAT-TAN"),
        changed(CTYPE1="WAVE", CTYPE2="PIXEL"),
        changed(CD1_1=0.0),
        changed(CRVAL2=120.0),
        changed(CTYPE1="RA---ZPN", CTYPE2="DEC--ZPN", CD1_1=0.0),
        changed(CTYPE1="RA---XYZ", CTYPE2="DEC--XYZ"),
        [*changed(CTYPE1="RA---ZPN", CTYPE2="DEC--ZPN")[:-1], ("PV2_1", 1.0)],
    ],
)
def test_a_wcs_that_makes_no_sense_is_none(cards: list[CardLine]) -> None:
    assert celestial_wcs(header_of(*cards)) is None


def test_the_other_hemisphere_is_not_on_the_plane() -> None:
    wcs = celestial_wcs(header_of(*WCS_CARDS))
    assert wcs is not None
    assert wcs.to_pixel(330.0, 30.0) is None


SIP: tuple[CardLine, ...] = (
    *(("A_ORDER", 2), ("B_ORDER", 2), ("A_2_0", 2e-6), ("A_1_1", -1e-6), ("B_0_2", 3e-6), ("B_1_1", 1e-6)),
    *(("AP_ORDER", 1), ("BP_ORDER", 1)),
)
TPV: tuple[CardLine, ...] = (
    *(("PV1_0", 1e-5), ("PV1_1", 1.001), ("PV1_2", 2e-4), ("PV1_4", 3e-3), ("PV1_7", 0.1)),
    *(("PV2_0", -1e-5), ("PV2_1", 0.999), ("PV2_2", -2e-4), ("PV2_4", -2e-3), ("PV2_7", 0.2)),
)
# As VIRCAM's and VST's pipelines write their cameras' radial distortion.
ZPN: tuple[CardLine, ...] = (("PV2_1", 1.0), ("PV2_3", 42.0), ("PV2_5", -10000.0))

PROJECTIONS: dict[str, list[CardLine]] = {
    "SIP": [*changed(CTYPE1="RA---TAN-SIP", CTYPE2="DEC--TAN-SIP"), *SIP],
    "TPV": [*changed(CTYPE1="RA---TPV", CTYPE2="DEC--TPV"), *TPV],
    "TAN with PV as SCAMP wrote it": [*WCS_CARDS, *TPV],
    "ZPN": [*changed(CTYPE1="RA---ZPN", CTYPE2="DEC--ZPN"), *ZPN],
    "SIN": changed(CTYPE1="RA---SIN", CTYPE2="DEC--SIN"),
    "ARC": changed(CTYPE1="RA---ARC", CTYPE2="DEC--ARC"),
    "CAR": changed(CTYPE1="RA---CAR", CTYPE2="DEC--CAR", CRVAL2=0.0),
    "turned pole": [*WCS_CARDS, ("LONPOLE", 150.0)],
}


@pytest.mark.parametrize("name", PROJECTIONS)
@pytest.mark.parametrize("pixel", [(0.0, 0.0), (512.0, 700.0), (2047.0, 13.5)])
def test_cameras_distortions_agree_with_astropy(name: str, pixel: tuple[float, float]) -> None:
    cards = PROJECTIONS[name]
    wcs = celestial_wcs(header_of(*cards))
    assert wcs is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle = WCS(fits.Header.fromstring("".join(card(line).decode() for line in cards)))
    sky = wcs.to_sky(*pixel)
    assert sky == pytest.approx([float(value) for value in oracle.all_pix2world(*pixel, 0)], abs=1e-10)
    assert sky is not None
    assert wcs.to_pixel(*sky) == pytest.approx(pixel, abs=1e-2)


@pytest.mark.parametrize("crval", [(0.0, -30.0), (359.9999, 0.0), (10.0, 90.0), (200.0, -90.0), (77.0, 89.99)])
@pytest.mark.parametrize("projection", ["TAN", "ZPN"])
def test_the_wrap_of_right_ascension_and_the_poles_are_no_edge(crval: tuple[float, float], projection: str) -> None:
    cards = changed(CTYPE1=f"RA---{projection}", CTYPE2=f"DEC--{projection}", CRVAL1=crval[0], CRVAL2=crval[1])
    cards += ZPN if projection == "ZPN" else ()
    wcs = celestial_wcs(header_of(*cards))
    assert wcs is not None
    for pixel in [(0.0, 0.0), (400.0, 3.0), (99.5, 79.5), (10.0, 500.0)]:
        sky = wcs.to_sky(*pixel)
        assert sky is not None
        assert 0.0 <= sky[0] < 360.0
        for turn in (0.0, -360.0, 360.0):
            assert wcs.to_pixel(sky[0] + turn, sky[1]) == pytest.approx(pixel, abs=1e-4)
