"""Cards: values as the standard and ESO write them."""

from __future__ import annotations

import math
import re
import warnings

import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from classifier.fits.cards import CardValue, Choice, Header, value_at
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


LINES = st.sampled_from(
    [
        "OBJECT  = 'NGC 1365'           / name",
        "OBJECT  = 'another'",
        "EXPTIME =              1.5D+02",
        "GAIN    =                -1.5",
        "NAXIS   =                    2 / axes",
        "FLAG    =                    T",
        "UNDEF   =                      / undefined",
        "HUGE    =                1E999",
        "NOTNUM  = nan",
        "ODD     = 1_0.5",
        "COMMENT = 'no value'",
        "HISTORY a = b",
        "NOEQUALS is a card without a value",
        "HIERARCH ESO TEL AMBI FWHM START = 0.83 / [arcsec]",
        "HIERARCH ESO TEL AMBI FWHM START= 0.84",
        "HIERARCH ESO OBS PROG ID = '60.A-9022(C)' / id with = and / in it",
        "HIERARCH ESO DET READ = 'a/b = c' / x",
        "HIERARCH ESO INS FILT1 ID =  17",
        "TITLE   = 'a long &'",
        "CONTINUE  'title, it''s &' / x",
        "CONTINUE  'split'",
        "OBS_NAME= 'no closing quote",
    ]
)


@given(st.lists(st.one_of(LINES, st.text(st.characters(min_codepoint=0, max_codepoint=255), max_size=80)), max_size=30))
def test_all_values_are_those_that_are_given_one_by_one(lines: list[str]) -> None:
    header = Header(b"".join(map(card, lines)))
    values = header.values()
    long_names = {name: value for name, value in values.items() if len(name) > 8 or " " in name or name in header}
    assert {name: header.get(name) for name in long_names} == long_names
    everything = Choice(standard=frozenset(values), eso=re.compile(rb"HIERARCH (ESO [^=]*)="))
    chosen = header.choose(everything, lambda name, value: repr(value))
    standard = {name: value for name, value in values.items() if name in header and name in chosen}
    assert {name: chosen[name] for name in values if name in chosen} == {
        name: repr(value) for name, value in values.items() if name in chosen
    }
    assert set(values) - set(chosen) <= {name for name in values if name not in header}
    assert {name: header.get(name) for name in standard} == standard
    one_by_one = Header(b"".join(map(card, lines)))
    assert {name: one_by_one.get(name) for name in standard} == standard
    assert [one_by_one.get(name) for name in values] == [header.get(name) for name in values]


KEYWORDS = st.one_of(
    st.from_regex(r"[A-Z][A-Z0-9_-]{0,7}", fullmatch=True),
    st.from_regex(r"ESO( [A-Z][A-Z0-9]{1,5}){1,4}", fullmatch=True),
)
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda number: float(f"{number:.12G}")),
    # A quote before a slash astropy takes for the end of the string, though it is written twice.
    st.from_regex(r"[A-Za-z][A-Za-z0-9 '/=_.-]{0,90}[A-Za-z0-9]", fullmatch=True).filter(
        lambda text: not re.search(r"' */", text)
    ),
)


@given(st.dictionaries(KEYWORDS, VALUES, max_size=20))
def test_all_values_agree_with_what_astropy_wrote_and_reads(written: dict[str, CardValue]) -> None:
    reserved = {"COMMENT", "HISTORY", "END", "CONTINUE", "HIERARCH", "SIMPLE", "XTENSION", "BLANK"}
    oracle = fits.Header()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, value in written.items():
            # A long string of a long keyword cannot be continued (FITS 4.0, 4.2.1.2); astropy refuses it.
            if name not in reserved and not (" " in name and isinstance(value, str) and len(name) + len(value) > 50):
                oracle[f"HIERARCH {name}" if " " in name else name] = value
        block = oracle.tostring(endcard=False, padding=False).encode()
        expected = dict(fits.Header.fromstring(block.decode()).items())
    values = Header(block).values()
    assert set(values) == {name for name in expected if name != "CONTINUE"}
    for name, value in values.items():
        assert (
            value == pytest.approx(expected[name], rel=1e-11) if isinstance(value, float) else value == expected[name]
        )
