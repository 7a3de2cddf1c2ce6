from __future__ import annotations

import io

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from esocs.demo.survey.writer import (
    Card,
    empty_primary_unit,
    format_card,
    image_unit,
    vector_table_unit,
)

texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
values = st.one_of(
    st.booleans(),
    st.integers(-(2**31), 2**31),
    st.floats(-1e30, 1e30, allow_nan=False).filter(lambda value: value == 0 or abs(value) > 1e-30),
    texts,
)


@given(value=values)
def test_astropy_reads_every_value_back(value: bool | float | str) -> None:
    for keyword in ("KEYWORD", "HIERARCH ESO TEL AMBI FWHM"):
        card = fits.Card.fromstring(format_card(keyword, value, "comment"))
        card.verify("exception")
        expected = value.rstrip() if isinstance(value, str) else value
        assert card.value == (pytest.approx(expected, rel=1e-12) if isinstance(value, float) else expected)
        assert type(card.value) is type(value)


@given(text=texts)
def test_every_card_has_80_characters(text: str) -> None:
    assert len(format_card("KEYWORD", text, text)) == 80
    assert len(format_card("COMMENT", text)) == 80


def test_it_refuses_a_value_that_does_not_fit_into_a_card() -> None:
    with pytest.raises(ValueError, match="longer than 80"):
        format_card("OBJECT", "x" * 75)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), text=texts)
def test_astropy_accepts_the_checksums_of_an_image(seed: int, text: str) -> None:
    pixels = np.random.default_rng(seed).normal(size=(7, 5)).astype(np.float32)
    cards: list[Card] = [("OBJECT", text, "a comment"), ("HIERARCH ESO TEL ALT", 45.5, "")]
    with fits.open(io.BytesIO(image_unit(pixels, cards)), checksum=True) as units:
        units.verify("exception")
        assert np.array_equal(units[0].data, pixels)


def test_astropy_accepts_a_table_of_vectors_behind_an_empty_primary() -> None:
    wave = np.linspace(1, 2, 9).astype(">f8")
    flags = np.arange(9).astype(">i4")
    cards: list[Card] = [
        ("TTYPE1", "WAVE", ""),
        ("TFORM1", "9D", ""),
        ("TTYPE2", "QUAL", ""),
        ("TFORM2", "9J", ""),
    ]
    content = empty_primary_unit([("PRODCATG", "SCIENCE.SPECTRUM", "")]) + vector_table_unit([wave, flags], cards)
    assert len(content) % 2880 == 0
    with fits.open(io.BytesIO(content), checksum=True) as units:
        units.verify("exception")
        assert np.array_equal(units[1].data["WAVE"][0], wave)
        assert np.array_equal(units[1].data["QUAL"][0], flags)
