"""What is remembered from file to file: the same as if every file were the first."""

from __future__ import annotations

import dataclasses
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.fits import headers
from classifier.fits.cards import CardValue, Choice, Header
from classifier.fits.content import CutSpec
from classifier.fits.errors import FitsError
from classifier.fits.layouts import HeaderIndexer
from classifier.fits.limits import Limits
from classifier.fits.parsing import parse_file
from tests.classifier.fits.files import WCS_CARDS, card, empty_primary, galaxy, image_hdu, table_hdu
from tests.classifier.fits.mutations import HOSTILE, mutate

CHOICE = Choice(standard=frozenset({"OBJECT", "HIERARCH"}), eso=re.compile(rb"HIERARCH (ESO (?:TEL|OBS)[^=]{0,48})="))
KEYWORDS = st.sampled_from(
    [
        "OBJECT  ",
        "EXPTIME ",
        "COMMENT ",
        "CONTINUE",
        "HIERARCH ESO TEL AIRM ",
        "HIERARCH ESO OBS NAME ",
        "HIERARCH ESO INS MODE ",
        "HIERARCH",
    ]
)
VALUES = st.sampled_from(
    ["1.5", "42", "-7", "T", "'a = b'", "'a&'", " 'b'", "'HIERARCH ESO TEL X = 3'", "", "1 = 2", "HIERARCH ESO TEL"]
)
BLOCKS = st.lists(st.tuples(KEYWORDS, st.booleans(), VALUES), min_size=1, max_size=4).map(
    lambda cards: b"".join(card(f"{name}{'= ' if equals else '  '}{value}") for name, equals, value in cards)
)
NAMES = ("OBJECT", "EXPTIME", "ESO TEL AIRM", "ESO OBS NAME", "ESO INS MODE")
DETECTOR_CARDS = [
    *WCS_CARDS,
    ("OBJECT", "M 51"),
    ("RA", 150.0),
    ("DEC", -30.0),
    ("DATE-OBS", "2026-01-02T03:04:05"),
    ("EXPTIME", 12.5),
    "LONGSTRN= 'the first part of a long text and&'",
    "CONTINUE  ' the rest'",
    ("BUNIT", "adu"),
    ("SATURATE", 60000.0),
    *((f"ESO OBS TARG{number} VALUE", number * 1.5) for number in range(8)),
    ("ESO TEL AMBI FWHM START", 0.8),
    "HIERARCH ESO OBS NAME = 'a name that goes on&'",
    "CONTINUE  ' and on'",
]


def as_text(name: str, value: CardValue) -> str:
    return f"{name}={value!r}"


def first_two(header: Header) -> list[CardValue | None]:
    return [header.get(name) for name in NAMES[:2]]


def all_of_them(header: Header) -> tuple[Any, ...]:
    return (
        [header.get(name) for name in NAMES],
        header.recall("two", first_two),
        header.choose(CHOICE, as_text),
        header.recall_each("each", [first_two, lambda header: header.recall("inner", Header.values)]),
        header.recall("twice", lambda header: (header.recall("two", first_two), header.get("ESO TEL AIRM"))),
        header.recall("contradictions", lambda header: header.contradictions(re.compile(rb".*"))),
        header.recall("raw", lambda header: header.matching(re.compile(rb"O.*"))),
    )


@given(st.lists(BLOCKS, min_size=1, max_size=8), st.randoms())
def test_a_header_gives_what_it_gives_by_itself(blocks: list[bytes], rng: random.Random) -> None:
    indexer = HeaderIndexer()
    before: tuple[Header, bytes] | None = None
    for block in rng.choices(blocks, k=3 * len(blocks)):
        known, alone = indexer.header(block), Header(block)
        assert all_of_them(known) == all_of_them(alone)
        assert known.values() == alone.values()
        # One that others have followed still tells of itself.
        if before is not None:
            assert all_of_them(before[0]) == all_of_them(Header(before[1]))
        before = (known, block)


def test_what_an_indexer_keeps_is_bounded() -> None:
    indexer = HeaderIndexer()
    for length in range(1, 60):
        for index in range(4):
            indexer.header(card((f"KEY{index}", length)) * length)
    kept = indexer._known
    assert len(kept) <= 16
    assert max(map(len, kept.values())) <= 2


def told(path: Path) -> object:
    """All that reading a file gives, comparable."""

    def plain(value: object) -> object:
        if isinstance(value, np.ndarray):
            return value.dtype.str, value.shape, value.tobytes()
        if isinstance(value, tuple):
            return tuple(map(plain, value))
        if dataclasses.is_dataclass(value):
            return [plain(getattr(value, field.name)) for field in dataclasses.fields(value)]
        # NaN is what it is.
        return repr(dict(value) if hasattr(value, "keys") else value)

    try:
        return plain(parse_file(path, spec=CutSpec(size_px=32), limits=Limits()))
    except FitsError as error:
        return error.code, error.message


def an_image() -> bytes:
    return image_hdu(galaxy(40, 48), DETECTOR_CARDS)


def two_detectors() -> bytes:
    pixels = galaxy(40, 40)
    extensions = (image_hdu(pixels, DETECTOR_CARDS, extension=name) for name in ("CHIP1", "CHIP2"))
    return empty_primary(DETECTOR_CARDS) + b"".join(extensions)


def a_spectrum() -> bytes:
    wavelength, flux = np.linspace(400.0, 800.0, 64), np.linspace(1.0, 2.0, 64)
    columns = [
        ({"TTYPE": "WAVE", "TUCD": "em.wl", "TUNIT": "nm"}, wavelength),
        ({"TTYPE": "FLUX", "TUCD": "phot.flux.density;em.wl"}, flux),
    ]
    return empty_primary(DETECTOR_CARDS) + table_hdu(columns, cards=DETECTOR_CARDS)


def with_other_values(content: bytes, rng: random.Random) -> bytes:
    """A few cards get other values, their keywords stay."""
    changed = bytearray(content)
    ends = [at for at in range(0, len(content), 80) if content[at : at + 8] == b"END     "]
    for _ in range(rng.randrange(4)):
        start = rng.randrange(0, ends[-1], 80)
        equals = changed.find(b"=", start, start + 80)
        if equals >= 0 and rng.random() < 0.7:
            changed[equals + 1 : start + 80] = f" {rng.choice(HOSTILE)}".encode("latin-1").ljust(start + 79 - equals)
        else:
            changed[start + rng.randrange(8, 80)] = rng.choice(b" '=/&0123456789.EDTF")
    return bytes(changed)


@pytest.mark.parametrize("make", [an_image, two_detectors, a_spectrum])
def test_files_of_one_instrument_are_read_as_if_each_were_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[], bytes]
) -> None:
    rng = random.Random(20261127)
    remembering = HeaderIndexer()
    content = make()
    assert not isinstance(told_of(tmp_path, content), tuple)
    for number in range(400):
        file = with_other_values(content, rng)
        if number % 3 == 0:
            file = mutate(content, rng)[1] if number % 2 else content
        monkeypatch.setattr(headers, "_indexer", HeaderIndexer())
        alone = told_of(tmp_path, file)
        monkeypatch.setattr(headers, "_indexer", remembering)
        assert told_of(tmp_path, file) == alone, number


def told_of(folder: Path, content: bytes) -> object:
    path = folder / "a.fits"
    path.write_bytes(content)
    return told(path)
