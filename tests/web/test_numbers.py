"""How the pages write numbers, and how votes and probabilities become bars."""

from __future__ import annotations

import pytest

from esocs.web.results import vote_shares
from esocs.web.templatetags.pages import bytes_si, percent, probability, thousands


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0.000"), (0.98765, "0.988"), (0.99999, "> 0.999"), (1.0, "1.000"), (None, "–")]
)
def test_a_probability_never_rounds_up_to_certainty(value: float | None, text: str) -> None:
    assert probability(value) == text


def test_other_numbers_read_well() -> None:
    assert percent(0.1234) == "12.3"
    assert thousands(1234567) == "1,234,567"
    assert [bytes_si(n) for n in (999, 4321, 8_395_200, None)] == ["999 B", "4.3 kB", "8.4 MB", "–"]


def test_votes_are_shared_among_those_that_got_any() -> None:
    shares = vote_shares(["a", "b", "c"], [1, 0, 3])
    assert [(share.label, share.count, share.share, share.leads) for share in shares] == [
        ("c", 3, 0.75, True),
        ("a", 1, 0.25, False),
    ]
    assert vote_shares(["a"], [0]) == []
