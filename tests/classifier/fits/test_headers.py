"""The pre-scan: sizes are checked before any library sees the file."""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path

import numpy as np
import pytest

from classifier.fits.errors import FitsError, ImplausibleSizeError, UnreadableError
from classifier.fits.headers import read_header, read_keys, scan_hdus
from classifier.fits.limits import Limits
from tests.classifier.fits.files import CardLine, empty_primary, galaxy, header, image_hdu, padded, write_image

LIMITS = Limits()


def test_it_lists_every_hdu_with_its_place() -> None:
    file = empty_primary() + image_hdu(galaxy(10, 20), extension="SCI") + image_hdu(galaxy(5, 6), extension="ERR")
    hdus = scan_hdus(file, limits=LIMITS)
    assert [hdu.extension for hdu in hdus] == ["PRIMARY", "IMAGE", "IMAGE"]
    assert hdus[1].shape == (10, 20)
    assert hdus[1].data_bytes == 800
    start = hdus[1].data_offset
    assert np.array_equal(np.frombuffer(file[start : start + 800], dtype=">f4").reshape(10, 20), galaxy(10, 20))


def test_it_accepts_a_file_whose_padding_is_missing() -> None:
    file = image_hdu(galaxy(10, 20))
    assert scan_hdus(file[: 2880 + 800], limits=LIMITS)[0].shape == (10, 20)


def test_it_ignores_what_follows_the_last_hdu() -> None:
    assert len(scan_hdus(image_hdu(galaxy(8, 8)) + b"junk" * 2000, limits=LIMITS)) == 1


def test_it_counts_the_heap_of_a_table() -> None:
    table = header(
        [
            ("XTENSION", "BINTABLE"),
            ("BITPIX", 8),
            ("NAXIS", 2),
            ("NAXIS1", 8),
            ("NAXIS2", 2),
            ("PCOUNT", 100),
            ("GCOUNT", 1),
            ("TFIELDS", 1),
            ("TFORM1", "1PE(9)"),
        ]
    )
    assert scan_hdus(empty_primary() + table + padded(bytes(116)), limits=LIMITS)[1].data_bytes == 116


def test_it_refuses_more_hdus_than_allowed() -> None:
    file = empty_primary() + image_hdu(galaxy(2, 2), extension="A") * 5
    with pytest.raises(ImplausibleSizeError, match="header-data units"):
        scan_hdus(file, limits=Limits(hdus=4))


@pytest.mark.parametrize("keyword", ["NAXIS1", "NAXIS", "BITPIX"])
def test_it_refuses_structural_cards_that_contradict_each_other(keyword: str) -> None:
    file = image_hdu(galaxy(16, 16), [(keyword, 8)])
    with pytest.raises(UnreadableError, match="stands twice"):
        scan_hdus(file, limits=LIMITS)


@pytest.mark.parametrize("compress", [False, True])
def test_it_reads_chosen_keys_without_the_data(tmp_path: Path, compress: bool) -> None:
    cards = [("OBJECT", "M 51"), ("ESO OBS PROG ID", "60.A-9022(C)"), ("EXPTIME", 12.5)]
    path = write_image(tmp_path / "a.fits", cards=cards)
    if compress:
        path.write_bytes(gzip.compress(path.read_bytes())[:4000])
    keys = read_keys(path, ["OBJECT", "HIERARCH ESO OBS PROG ID", "EXPTIME", "ABSENT", "NAXIS"])
    assert keys == {"OBJECT": "M 51", "HIERARCH ESO OBS PROG ID": "60.A-9022(C)", "EXPTIME": 12.5, "NAXIS": 2}


def test_it_does_not_take_a_value_for_a_keyword(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.fits", cards=["COMMENT OBJECT  = 'wrong'", ("OBJECT", "right")])
    assert read_keys(path, ["OBJECT"]) == {"OBJECT": "right"}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"<html>", "html_instead_of_fits"),
        (b"nothing", "not_fits"),
        (b"SIMPLE  =                    T".ljust(2880), "truncated"),
        (b"\x1f\x8bnot gzip", "unreadable"),
    ],
)
def test_reading_keys_names_what_is_wrong(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "bad.fits"
    path.write_bytes(content)
    with pytest.raises(FitsError) as caught:
        read_keys(path, ["OBJECT"])
    assert caught.value.code == code


def test_reading_keys_of_a_missing_file_is_a_named_error(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError):
        read_keys(tmp_path / "absent.fits", ["OBJECT"])


def test_a_header_longer_than_one_reading_is_read_to_its_end(tmp_path: Path) -> None:
    cards: list[CardLine] = [(f"ESO DET OUT{k} GAIN", k / 4) for k in range(6000)]
    path = write_image(tmp_path / "long.fits", cards=cards)
    header = read_header(path)
    assert len(header) == 6005
    assert header.values()["ESO DET OUT5999 GAIN"] == header.get("ESO DET OUT5999 GAIN") == 5999 / 4
    assert scan_hdus(path.read_bytes(), limits=LIMITS)[0].shape == (128, 128)


@pytest.mark.real_data
def test_the_header_of_a_genuine_file_is_read_in_full_as_astropy_reads_it(real_data: Path) -> None:
    from astropy.io import fits

    for path in sorted((real_data / "fits").iterdir()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            oracle = fits.getheader(path)
            expected = {
                card.keyword: card.value for card in oracle.cards if card.keyword not in {"COMMENT", "HISTORY", ""}
            }
        values = read_header(path).values()
        undefined = {name for name, value in expected.items() if isinstance(value, fits.card.Undefined)}
        assert set(values) == set(expected) - undefined
        assert all(expected[name] == value for name, value in values.items())
