"""Header cards by direct 80-byte scan: keywords, ESO HIERARCH keywords, values, continued strings."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

CARD_BYTES = 80
BLOCK_BYTES = 2880

CardValue = str | int | float | bool

_INTEGER = re.compile(rb"[+-]?[0-9]+")
_REAL = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[EeDd][+-]?[0-9]+)?")
_COMMENTARY = frozenset({b"COMMENT ", b"HISTORY ", b"CONTINUE", b"        ", b"END     "})
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


class Header:
    """The cards of one HDU, kept as bytes; a value is parsed when it is asked for.

    Names are standard keywords (``EXPTIME``) or ESO keywords without the word HIERARCH
    (``ESO TEL AMBI FWHM START``). Of repeated keywords the first counts.
    """

    __slots__ = ("_block", "_offsets", "_repeated")

    def __init__(self, block: bytes) -> None:
        """Index the cards.

        Args:
            block: The header's bytes from its first card up to its END card.
        """
        self._block = block
        offsets: dict[bytes, int] = {}
        repeated: list[tuple[int, int]] = []
        for start in range(0, len(block), CARD_BYTES):
            name = block[start : start + 8]
            if name == b"HIERARCH":
                equals = block.find(b"=", start + 9, start + CARD_BYTES)
                if equals < 0:
                    continue
                name = block[start + 9 : equals]
            elif name in _COMMENTARY:
                continue
            name = name.strip()
            if name in offsets:
                repeated.append((offsets[name], start))
            else:
                offsets[name] = start
        self._offsets = offsets
        self._repeated = repeated

    def __contains__(self, name: str) -> bool:
        return name.encode() in self._offsets

    def __len__(self) -> int:
        return len(self._block) // CARD_BYTES

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self._offsets)

    def get(self, name: str) -> CardValue | None:
        """The parsed value; None where the card is absent or has no value."""
        start = self._offsets.get(name.encode())
        return None if start is None else value_at(self._block, start)

    def contradictions(self, pattern: re.Pattern[bytes]) -> list[str]:
        """Keywords that match and stand twice with different values: two readers could disagree."""
        found = []
        for first, again in self._repeated:
            name = self._block[again : again + 8].strip()
            if pattern.fullmatch(name) and value_at(self._block, first) != value_at(self._block, again):
                found.append(clean_text(name))
        return found

    def matching(self, pattern: re.Pattern[bytes]) -> bytes:
        """The raw cards of standard keywords that match, for a library that wants a header text."""
        block = self._block
        return b"".join(
            block[start : start + CARD_BYTES]
            for name, start in self._offsets.items()
            if block[start : start + 8] != b"HIERARCH" and pattern.fullmatch(name)
        )

    def text(self, *names: str) -> str | None:
        """The first non-empty value among the names, as text."""
        for name in names:
            value = self.get(name)
            if value is not None and not isinstance(value, bool) and (text := str(value).strip()):
                return text
        return None

    def number(self, *names: str) -> float | None:
        """The first finite number among the names; text that is a number counts."""
        for name in names:
            value = self.get(name)
            if isinstance(value, str) and _REAL.fullmatch(value.strip().encode()):
                value = float(value.upper().replace("D", "E"))
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                return float(value)
        return None


def value_at(block: bytes, start: int) -> CardValue | None:
    """Parse the value of the card that starts at a byte (FITS 4.0, section 4.2).

    Args:
        block: Header bytes.
        start: Offset of the card, a multiple of 80.

    Returns:
        str, int, float or bool; None for a card without a value, or a number too large to be one.
    """
    end = start + CARD_BYTES
    if block[start : start + 8] == b"HIERARCH":
        equals = block.find(b"=", start, end)
    else:
        equals = start + 8 if block[start + 8 : start + 9] == b"=" else -1
    if equals < 0:
        return None
    field = block[equals + 1 : end].lstrip()
    if field[:1] == b"'":
        return _continued(block, end, _quoted(field))
    token = field.split(b"/", 1)[0].strip()
    if not token:
        return None
    return _literal(token)


def _literal(token: bytes) -> CardValue | None:
    """A logical, integer, real or, failing these, text."""
    if token in {b"T", b"F"}:
        return token == b"T"
    if _INTEGER.fullmatch(token):
        return int(token)
    if _REAL.fullmatch(token):
        number = float(token.upper().replace(b"D", b"E"))
        return number if math.isfinite(number) else None
    return clean_text(token)


def clean_text(raw: bytes) -> str:
    """Header bytes as text that a database and a page can hold: printable ASCII, no trailing blanks."""
    return _UNPRINTABLE.sub("?", raw.decode("latin-1")).rstrip()


def _quoted(field: bytes) -> bytes:
    """The string in a field that begins with a quote; a doubled quote stands for one."""
    position = 1
    while (position := field.find(b"'", position)) >= 0:
        if field[position + 1 : position + 2] != b"'":
            return field[1:position].replace(b"''", b"'")
        position += 2
    return field[1:]  # the closing quote is missing: take what there is


def _continued(block: bytes, next_card: int, text: bytes) -> str:
    """Append the CONTINUE cards of a string that ends in an ampersand."""
    text = text.rstrip()
    while text.endswith(b"&") and block[next_card : next_card + 8] == b"CONTINUE":
        field = block[next_card + 8 : next_card + CARD_BYTES].lstrip()
        if field[:1] != b"'":
            break
        text = text[:-1] + _quoted(field).rstrip()
        next_card += CARD_BYTES
    return clean_text(text)
