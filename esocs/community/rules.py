"""How a comment is read: its hashtags, and whether it may stand. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from esocs.community.errors import CommentInvalidError

LONGEST_COMMENT = 4_000
MOST_TAGS = 20

# Not inside an address (…/page#part) or a word; a letter first, so that "#1" is no tag; at most forty characters.
HASHTAG = re.compile(r"(?<![\w/#&?=.:%+-])#([^\W\d_][\w-]{0,39})(?![\w-])")


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A run of a comment: plain words, or the tag that they are."""

    text: str
    tag: str = ""


def check_body(text: str) -> str:
    """A comment's words, with line feeds alone and without what cannot be stored or seen.

    Raises:
        CommentInvalidError: nothing is left, or it is too long.
    """
    body = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").strip()
    if not body:
        raise CommentInvalidError("There are no words in it.", hint="Write something first.")
    if len(body) > LONGEST_COMMENT:
        raise CommentInvalidError(
            f"A comment has at most {LONGEST_COMMENT:,} characters; this one has {len(body):,}.", hint="Shorten it."
        )
    return body


def split_tags(body: str) -> Iterator[Piece]:
    """The comment in pieces, of which some are hashtags."""
    at = 0
    for found in HASHTAG.finditer(body):
        if found.start() > at:
            yield Piece(text=body[at : found.start()])
        yield Piece(text=found[0], tag=found[1].lower())
        at = found.end()
    if at < len(body):
        yield Piece(text=body[at:])


def list_tags(body: str) -> list[str]:
    """The comment's hashtags in lower case, each once, in their order; at most MOST_TAGS."""
    return list(dict.fromkeys(piece.tag for piece in split_tags(body) if piece.tag))[:MOST_TAGS]


def count_streak(days: Sequence[date], today: date) -> int:
    """How many days in a row somebody was here.

    A day that is not over cannot break it: yesterday's streak still stands this morning.

    Args:
        days: on which they classified, in any order.
        today: in the same calendar (UTC).
    """
    seen = set(days)
    last = today if today in seen else today - timedelta(days=1)
    n = 0
    while last - timedelta(days=n) in seen:
        n += 1
    return n
