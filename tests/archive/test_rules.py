"""What identifies a product and when it was observed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.fits.content import HeaderFacts
from esocs.archive import rules


def test_a_product_is_known_by_the_archives_identifier() -> None:
    facts = HeaderFacts(dp_id="ADP.2016-07-15T08:22:40.678")
    assert rules.identify(facts, Path("/data/renamed.fits")) == "ADP.2016-07-15T08:22:40.678"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("m51.fits", "m51"),
        ("m51.fits.gz", "m51"),
        ("M51.FITS.FZ", "M51"),
        ("deep.field.fit", "deep.field"),
        (".fits", ".fits"),
        ("no suffix", "no suffix"),
    ],
)
def test_a_file_without_an_identifier_is_known_by_its_name(file: str, name: str) -> None:
    assert rules.identify(HeaderFacts(), Path("/data") / file) == name


def test_the_date_of_observation_is_read_as_utc() -> None:
    when = rules.observation_time(HeaderFacts(date_obs="2010-09-18T23:42:36.178", mjd_obs=1.0))
    assert when == datetime(2010, 9, 18, 23, 42, 36, 178000, tzinfo=UTC)


def test_the_julian_date_stands_in_for_a_date_that_is_nonsense() -> None:
    when = rules.observation_time(HeaderFacts(date_obs="18/09/10 late", mjd_obs=55457.5))
    assert when == datetime(2010, 9, 18, 12, tzinfo=UTC)


def test_a_header_that_says_nothing_has_no_time() -> None:
    assert rules.observation_time(HeaderFacts()) is None
    assert rules.observation_time(HeaderFacts(mjd_obs=-1.0)) is None
    assert rules.observation_time(HeaderFacts(mjd_obs=1e9)) is None


@given(st.floats(min_value=1e-3, max_value=199_999))
def test_a_julian_date_comes_back_from_the_time_it_gives(mjd: float) -> None:
    when = rules.observation_time(HeaderFacts(mjd_obs=mjd))
    assert when is not None
    assert abs((when - datetime(1858, 11, 17, tzinfo=UTC)) / timedelta(days=1) - mjd) < 1e-9


@given(st.text(max_size=40), st.one_of(st.none(), st.floats()))
def test_no_header_breaks_the_reading_of_its_time(date_obs: str, mjd: float | None) -> None:
    when = rules.observation_time(HeaderFacts(date_obs=date_obs, mjd_obs=mjd))
    assert when is None or when.tzinfo is not None


@given(st.lists(st.integers(0, rules.BYTES_PER_JOB), max_size=60), st.integers(1, 7))
def test_an_order_is_split_into_jobs_that_hold_every_file_once_and_in_order(sizes, most) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rules, "FILES_PER_JOB", most)
        parts = list(rules.split_order(sizes))
    assert [number for first, stop in parts for number in range(first, stop)] == list(range(len(sizes)))
    for first, stop in parts:
        assert 0 < stop - first <= max(most, len(sizes) // rules.JOBS_PER_ORDER)
        assert stop - first == 1 or sum(sizes[first:stop]) <= rules.BYTES_PER_JOB


def test_large_files_make_jobs_of_one_and_a_long_order_makes_long_jobs() -> None:
    assert list(rules.split_order([2 * rules.BYTES_PER_JOB] * 2 + [10] * 3)) == [(0, 1), (1, 2), (2, 5)]
    assert len(list(rules.split_order([90_000] * 39_000))) == 40
    assert list(rules.split_order([])) == []
