"""How a comment is read, and how days are counted: pure."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esocs.community.errors import CommentInvalidError
from esocs.community.rules import LONGEST_COMMENT, MOST_TAGS, check_body, count_streak, list_tags, split_tags


@pytest.mark.parametrize(
    ("body", "tags"),
    [
        ("A #Merger, or #merger?", ["merger"]),
        ("(#ring-galaxy) #größe", ["ring-galaxy", "größe"]),
        ("see https://example.org/page#part and a#b", []),
        ("#1 is no tag, nor is # alone, nor ##double", []),
        ("#" + "x" * 41, []),
        (" ".join(f"#tag{chr(97 + n)}" for n in range(26)), [f"tag{chr(97 + n)}" for n in range(MOST_TAGS)]),
    ],
)
def test_tags_are_words_that_begin_with_a_hash(body: str, tags: list[str]) -> None:
    assert list_tags(body) == tags


@given(st.text())
def test_the_pieces_are_the_whole_comment(body: str) -> None:
    pieces = list(split_tags(body))
    assert "".join(piece.text for piece in pieces) == body
    assert all(piece.text.lower() == f"#{piece.tag}" for piece in pieces if piece.tag and piece.text.isascii())


@pytest.mark.parametrize("body", ["", " \n\t ", "\0", "x" * (LONGEST_COMMENT + 1)])
def test_a_comment_without_words_or_with_too_many_is_refused(body: str) -> None:
    with pytest.raises(CommentInvalidError):
        check_body(body)


def test_line_ends_are_line_feeds() -> None:
    assert check_body(" one\r\ntwo\rthree \0") == "one\ntwo\nthree"


def test_a_streak_stands_until_the_day_after_is_over() -> None:
    today = date(2026, 3, 10)
    days = [today - timedelta(days=n) for n in (1, 2, 3, 5)]
    assert count_streak(days, today) == 3
    assert count_streak([*days, today], today) == 4
    assert count_streak(days, today + timedelta(days=1)) == 0
    assert count_streak([], today) == 0
