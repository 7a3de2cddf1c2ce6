"""Cards: values as the standard and ESO write them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.fits.cards import CardValue, Header, value_at
from tests.classifier.fits.files import card


def parse(line: str) -> CardValue | None:
    return value_at(card(line), 0)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("SIMPLE  =                    T / conforms", True),
        ("EXTEND  =                    F", False),
        ("NAXIS   =                    2 / axes", 2),
        ("GAIN    =                -1.5", -1.5),
        ("EXPTIME =              1.5D+02", 150.0),
        ("CRPIX1  =                   1.", 1.0),
        ("OBJECT  = 'NGC 1365'           / name", "NGC 1365"),
        ("OBSERVER= 'O''Neil / x '       / with a quote and a slash", "O'Neil / x"),
        ("EMPTY   = '        '", ""),
        ("HIERARCH ESO OBS PROG ID = '60.A-9022(C)' / id", "60.A-9022(C)"),
        ("HIERARCH ESO TEL AMBI FWHM START= 0.83 / [arcsec]", 0.83),
        ("OPEN    = 'no closing quote", "no closing quote"),
        ("UNDEF   =                      / undefined", None),
        ("NOVALUE   keyword without an equals sign", None),
        ("HUGE    =                1E999", None),
        ("DATE    = 2026-11-22", "2026-11-22"),
        ("ODD     = 1_000", "1_000"),
        ("NOTNUM  = nan", "nan"),
    ],
)
def test_it_parses_a_value(line: str, value: CardValue | None) -> None:
    parsed = parse(line)
    assert parsed == value
    assert type(parsed) is type(value)


def test_it_joins_a_continued_string() -> None:
    block = card("TITLE   = 'a long &'") + card("CONTINUE  'title, it''s &' / x") + card("CONTINUE  'split'")
    assert value_at(block, 0) == "a long title, it's split"


def test_the_first_of_repeated_keywords_counts() -> None:
    header = Header(card(("OBJECT", "first")) + card(("OBJECT", "second")))
    assert header.get("OBJECT") == "first"


def test_it_finds_an_eso_keyword_only_as_a_whole_card() -> None:
    lines = [
        "COMMENT HIERARCH ESO TEL AIRM = 9.0",
        "HIERARCH ESO TEL AIRM START = 1.2",
        "HIERARCH ESO TEL AIRM = 1.1",
    ]
    header = Header(b"".join(map(card, lines)))
    assert header.get("ESO TEL AIRM") == 1.1
    assert header.get("ESO TEL AIRM END") is None


def test_unprintable_characters_become_question_marks() -> None:
    assert parse("OBJECT  = 'a\x00b\xe9c'") == "a?b?c"


@given(st.binary(min_size=80, max_size=240))
def test_any_bytes_give_a_clean_value_or_none(block: bytes) -> None:
    value = value_at(block[: len(block) // 80 * 80], 0)
    assert value is None or isinstance(value, bool | int | float | str)
    if isinstance(value, float):
        assert math.isfinite(value)
    if isinstance(value, str):
        assert value.isascii()
        assert value.isprintable()


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=30))
def test_a_string_comes_back_as_it_was_written(text: str) -> None:
    assert value_at(card(("OBJECT", text)), 0) == text.rstrip()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_comes_back_as_it_was_written(number: float) -> None:
    assert value_at(card(("VALUE", number)), 0) == number
