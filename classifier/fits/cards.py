"""Header cards by direct 80-byte scan: keywords, ESO HIERARCH keywords, values, continued strings."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

CARD_BYTES = 80
BLOCK_BYTES = 2880

CardValue = str | int | float | bool

_REAL = rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[EeDd][+-]?[0-9]+)?"
_NUMBER = re.compile(_REAL)
# After the equals sign: a string, an integer, a real, or anything up to the comment; a quote may be missing.
_VALUE = re.compile(rb"= *(?:'([^']*(?:''[^']*)*)|([+-]?[0-9]+)(?=[ /]|\Z)|(" + _REAL + rb")(?=[ /]|\Z)|([^/]*))")
_STRING = re.compile(rb"'([^']*(?:''[^']*)*)")
_UNINDEXED = frozenset({b"HIERARCH", b"COMMENT ", b"HISTORY ", b"CONTINUE", b"        ", b"END     "})
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


class Header:
    """The cards of one HDU, kept as bytes; a value is parsed when it is asked for.

    Names are standard keywords (``EXPTIME``) or ESO keywords without the word HIERARCH
    (``ESO TEL AMBI FWHM START``). Only the standard ones are indexed: three thousand ESO cards would cost
    more than the few that are asked for. Of repeated keywords the first counts.
    """

    __slots__ = ("_block", "_offsets", "_repeated")

    def __init__(self, block: bytes) -> None:
        """Index the standard cards.

        Args:
            block: The header's bytes from its first card up to its END card.
        """
        self._block = block
        offsets: dict[bytes, int] = {}
        repeated: list[tuple[int, int]] = []
        for start in range(0, len(block), CARD_BYTES):
            name = block[start : start + 8]
            if name in _UNINDEXED:
                continue
            if name in offsets:
                repeated.append((offsets[name], start))
            else:
                offsets[name] = start
        self._offsets = offsets
        self._repeated = repeated

    def __contains__(self, name: str) -> bool:
        return self._find(name) >= 0

    def __len__(self) -> int:
        return len(self._block) // CARD_BYTES

    def get(self, name: str) -> CardValue | None:
        """The parsed value; None where the card is absent or has no value."""
        start = self._find(name)
        return None if start < 0 else value_at(self._block, start)

    def standard_names(self) -> Iterator[str]:
        """The standard keywords, in order."""
        return (name.rstrip().decode("latin-1") for name in self._offsets)

    def eso_values(self, pattern: re.Pattern[bytes]) -> Iterator[tuple[str, CardValue]]:
        """ESO keywords and their values.

        Args:
            pattern: Matches from the word HIERARCH up to the equals sign; group 1 is the keyword.
        """
        for found in pattern.finditer(self._block):
            if found.start() % CARD_BYTES == 0:
                value = value_at(self._block, found.start())
                if value is not None:
                    yield clean_text(found[1]), value

    def contradictions(self, pattern: re.Pattern[bytes]) -> list[str]:
        """Keywords that match and stand twice with different values: two readers could disagree."""
        found = []
        for first, again in self._repeated:
            name = self._block[again : again + 8].rstrip()
            if pattern.fullmatch(name) and value_at(self._block, first) != value_at(self._block, again):
                found.append(clean_text(name))
        return found

    def has_any(self, *prefixes: bytes) -> bool:
        """Whether any standard keyword begins so."""
        return any(name.startswith(prefixes) for name in self._offsets)

    def matching(self, pattern: re.Pattern[bytes]) -> bytes:
        """The raw cards of standard keywords that match, for a library that wants a header text."""
        return b"".join(
            self._block[start : start + CARD_BYTES]
            for name, start in self._offsets.items()
            if pattern.fullmatch(name.rstrip())
        )

    def _find(self, name: str) -> int:
        encoded = name.encode()
        if len(encoded) <= 8 and b" " not in encoded:
            return self._offsets.get(encoded.ljust(8), -1)
        return find_eso_card(self._block, encoded)

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
            if (number := as_number(self.get(name))) is not None:
                return number
        return None


def as_number(value: CardValue | None) -> float | None:
    """A value as a finite number; text that is one counts, a logical does not."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip().encode()):
        value = float(value.upper().replace("D", "E"))
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None


def find_eso_card(block: bytes, name: bytes) -> int:
    """Offset of the first HIERARCH card with this keyword; -1 if there is none."""
    wanted = b"HIERARCH " + name
    position = block.find(wanted)
    while position >= 0:
        follows = block[position + len(wanted) : position + CARD_BYTES].lstrip()[:1]
        if position % CARD_BYTES == 0 and follows == b"=":
            return position
        position = block.find(wanted, position + 1)
    return -1


def value_at(block: bytes, start: int) -> CardValue | None:
    """Parse the value of the card that starts at a byte (FITS 4.0, section 4.2).

    Args:
        block: Header bytes.
        start: Offset of the card, a multiple of 80.

    Returns:
        str, int, float or bool; None for a card without a value, or a number too large to be one.
    """
    end = start + CARD_BYTES
    hierarch = block.startswith(b"HIERARCH", start)
    equals = block.find(b"=", start, end) if hierarch else start + 8
    found = _VALUE.match(block, equals, end)
    if found is None:
        return None
    if found[1] is not None:
        return _continued(block, end, found[1].replace(b"''", b"'"))
    if found[2] is not None:
        return int(found[2])
    if found[3] is not None:
        number = float(found[3].replace(b"D", b"E").replace(b"d", b"e"))
        return number if math.isfinite(number) else None
    token = found[4].strip()
    if token in {b"T", b"F"}:
        return token == b"T"
    return clean_text(token) if token else None


def clean_text(raw: bytes) -> str:
    """Header bytes as text that a database and a page can hold: printable ASCII, no trailing blanks."""
    text = raw.decode("latin-1").rstrip()
    return text if text.isascii() and text.isprintable() else _UNPRINTABLE.sub("?", text)


def _continued(block: bytes, next_card: int, text: bytes) -> str:
    """Append the CONTINUE cards of a string that ends in an ampersand."""
    text = text.rstrip()
    while text.endswith(b"&") and block[next_card : next_card + 8] == b"CONTINUE":
        field = block[next_card + 8 : next_card + CARD_BYTES].lstrip()
        found = _STRING.match(field)
        if found is None:
            break
        text = text[:-1] + found[1].replace(b"''", b"'").rstrip()
        next_card += CARD_BYTES
    return clean_text(text)
