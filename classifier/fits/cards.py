"""Header cards by direct 80-byte scan: keywords, ESO HIERARCH keywords, values, continued strings."""

from __future__ import annotations

import math
import mmap
import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.fits.memory import Memory

CARD_BYTES = 80
BLOCK_BYTES = 2880

CardValue = str | int | float | bool
# A keyword, and where in a header its equals sign stands and the next card begins.
_Place = tuple[str, int, int]

_REAL = rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[EeDd][+-]?[0-9]+)?"
_NUMBER = re.compile(_REAL)
# After the equals sign: a string, an integer, a real, or anything up to the comment; a quote may be missing.
_VALUE = re.compile(rb"= *(?:'([^']*(?:''[^']*)*)|([+-]?[0-9]+)(?=[ /]|\Z)|(" + _REAL + rb")(?=[ /]|\Z)|([^/]*))")
_STRING = re.compile(rb"'([^']*(?:''[^']*)*)")
_COMMENTARY = frozenset({b"COMMENT ", b"HISTORY ", b"CONTINUE", b"        ", b"END     "})
_HIERARCH = b"HIERARCH"
_EQUALS = ord("=")
_UNREAD = object()
_ENDS_NUMBER = (b" ", b"/", b"")
_BEGINS_REAL = frozenset(bytes([letter]) for letter in b"+-.0123456789")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """Keywords that are read together from many headers; one object for each such list, made once.

    Attributes:
        standard: Standard keywords.
        eso: Matches ESO ones from the word HIERARCH to the equals sign inclusive; group 1 is the keyword.
    """

    standard: frozenset[str]
    eso: re.Pattern[bytes]


class CardIndex:
    """Where the keywords of a header stand: all about it that its values do not change.

    Attributes:
        standard: Standard keyword to the offset of its first card.
        repeated: Offsets of the first and of a further card of the same keyword.
    """

    __slots__ = ("_begun", "_chosen", "_found", "_matching", "_places", "repeated", "standard")

    def __init__(self, block: bytes, size: int) -> None:
        self.standard: dict[str, int] = {}
        self.repeated: list[tuple[int, int]] = []
        self._places: list[_Place] | None = None
        self._chosen: dict[Choice, list[tuple[str, list[_Place]]]] = {}
        self._matching: dict[re.Pattern[bytes], list[int]] = {}
        self._found: dict[str, int] = {}
        self._begun: dict[tuple[str, ...], bool] = {}
        for row in (_words(block, 0, size) != _word(_HIERARCH)).nonzero()[0].tolist():
            start = row * CARD_BYTES
            keyword = block[start : start + 8]
            if keyword in _COMMENTARY:
                continue
            name = keyword.decode("latin-1").rstrip(" ")
            if name in self.standard:
                self.repeated.append((self.standard[name], start))
            else:
                self.standard[name] = start

    def places(self) -> list[_Place]:
        """Where the standard keywords have their values."""
        if self._places is None:
            self._places = [(name, start + 8, start + CARD_BYTES) for name, start in self.standard.items()]
        return self._places

    def choose(self, choice: Choice, block: bytes, size: int) -> list[tuple[str, list[_Place]]]:
        """The chosen keywords, standard ones first, and where they have values: ESO ones at each of their cards."""
        found = self._chosen.get(choice)
        if found is None:
            places = {place[0]: [place] for place in self.places() if place[0] in choice.standard}
            for row in (_words(block, 0, size) == _word(_HIERARCH)).nonzero()[0].tolist():
                start = row * CARD_BYTES
                match = choice.eso.match(block, start, start + CARD_BYTES)
                if match is not None:
                    name = clean_text(match[1])
                    places.setdefault(name, []).append((name, match.end() - 1, start + CARD_BYTES))
            found = self._chosen[choice] = list(places.items())
        return found

    def rows_of(self, start: int, block: bytes, size: int) -> tuple[int, ...]:
        """The cards on which the value of the card at this offset may rest: itself, and those that continue it."""
        end = start + CARD_BYTES
        while end < size and block.startswith(b"CONTINUE", end):
            end += CARD_BYTES
        return tuple(range(start // CARD_BYTES, end // CARD_BYTES))

    def matching(self, pattern: re.Pattern[bytes]) -> list[int]:
        """Offsets of the first cards of the standard keywords that match."""
        found = self._matching.get(pattern)
        if found is None:
            keywords = self.standard.items()
            found = [start for name, start in keywords if pattern.fullmatch(name.encode("latin-1"))]
            self._matching[pattern] = found
        return found

    def has_any(self, prefixes: tuple[str, ...]) -> bool:
        """Whether a standard keyword begins with any of them."""
        found = self._begun.get(prefixes)
        if found is None:
            found = self._begun[prefixes] = any(name.startswith(prefixes) for name in self.standard)
        return found

    def find_eso(self, name: str, block: bytes, size: int) -> int:
        """Offset of the first card of an ESO keyword; -1 if there is none."""
        start = self._found.get(name)
        if start is None:
            start = self._found[name] = find_eso_card(block, name.encode(), size)
        return start


class Header:
    """The cards of one HDU, kept as bytes; a value is parsed when it is asked for.

    Names are standard keywords (``EXPTIME``) or ESO keywords without the word HIERARCH
    (``ESO TEL AMBI FWHM START``). Only the standard ones are indexed: three thousand ESO cards would cost
    more than the few that are asked for. Of repeated keywords the first counts.
    """

    __slots__ = ("_block", "_index", "_memory", "_offsets", "_parsed", "_size")

    def __init__(
        self, block: bytes, size: int | None = None, *, index: CardIndex | None = None, memory: Memory | None = None
    ) -> None:
        """Index the standard cards.

        Args:
            block: The header's bytes from its first card.
            size: Where its END card lies; None where the block ends before it.
            index: Of a header with the same keywords at the same places, so that nothing is searched again.
            memory: What is known of such a header, as far as its cards are the same.
        """
        self._block = block
        self._size = len(block) if size is None else size
        self._memory = memory
        self._parsed: dict[str, Any] = {} if memory is None else memory.parsed
        self._index = index or CardIndex(block, self._size)
        self._offsets = self._index.standard

    def detach(self) -> None:
        """Leave the memory to another header; what is asked from now on is found without it."""
        self._memory = None

    def __contains__(self, name: str) -> bool:
        return self._find(name) >= 0

    def __len__(self) -> int:
        return self._size // CARD_BYTES

    def get(self, name: str) -> CardValue | None:
        """The parsed value; None where the card is absent or has no value."""
        found: CardValue | None = self._parsed.get(name, _UNREAD)
        if found is _UNREAD:
            start = self._find(name)
            if self._memory is not None:
                self._memory.place(name, () if start < 0 else self._index.rows_of(start, self._block, self._size))
            found = self._parsed[name] = None if start < 0 else value_at(self._block, start)
        if self._memory is not None:
            self._memory.note_name(name)
        return found

    def recall(self, key: Hashable, compute: Callable[[Header], Any]) -> Any:
        """What `compute` gives of this header, from memory where all cards that it reads are as they were.

        Args:
            key: Of all that the result depends on beside the cards.
            compute: What it raises is not remembered.
        """
        if self._memory is None:
            return compute(self)
        return self._memory.recall(key, 1, lambda _: compute(self))[0]

    def recall_each(self, key: Hashable, computes: Sequence[Callable[[Header], Any]]) -> list[Any]:
        """`recall` for several results, each by itself. The list is to be read before another header comes."""
        if self._memory is None:
            return [compute(self) for compute in computes]
        return self._memory.recall(key, len(computes), lambda number: computes[number](self))

    def values(self) -> dict[str, CardValue]:
        """Every keyword that has a value, in order; of repeated ones the first. ``get`` gives the same values."""
        if self._memory is not None:
            self._memory.note(range(len(self)))
        text = self._block[: self._size].decode("latin-1")
        found: dict[str, CardValue] = {}
        for start in range(0, len(text), CARD_BYTES):
            keyword, equals, rest = text[start : start + CARD_BYTES].partition("=")
            if not equals:
                continue
            name = keyword.rstrip()
            if name.startswith("HIERARCH "):
                name = name[9:]
            elif len(keyword) != 8 or self._block[start : start + 8] in _COMMENTARY:
                continue
            if name not in found:
                token = rest.partition("/")[0]
                value: CardValue | None = _finite(token) if "." in token and "_" not in token else None
                if value is None:
                    value = value_at(self._block, start)
                if value is not None:
                    found[name] = value
        return found

    def parse_all(self) -> None:
        """Parse all standard keywords, if none was: who asks for a dozen pays half for them so."""
        places = self._index.places()
        if len(self._parsed) >= len(places) / 2:
            return
        if self._memory is not None:
            for name, start in self._offsets.items():
                self._memory.place(name, self._index.rows_of(start, self._block, self._size))
        self._parsed.update(dict.fromkeys(self._offsets) | _values_from(self._block, places))

    def choose(self, choice: Choice, convert: Callable[[str, CardValue], str | None]) -> dict[str, str]:
        """The chosen keywords that have values, and what both are converted to, unless it is None."""
        texts = self.choose_texts(choice, convert)
        chosen = self._index.choose(choice, self._block, self._size)
        return {name: text for (name, _), text in zip(chosen, texts, strict=True) if text is not None}

    def choose_texts(self, choice: Choice, convert: Callable[[str, CardValue], str | None]) -> list[str | None]:
        """The same without the keywords, None for one without a value; to be read before another header comes."""
        chosen = self._index.choose(choice, self._block, self._size)

        def find(number: int) -> str | None:
            name, places = chosen[number]
            value = self.get(name) if name in choice.standard else self._first_value(places)
            return None if value is None else convert(name, value)

        if self._memory is None:
            return [find(number) for number in range(len(chosen))]
        return self._memory.recall((choice, convert), len(chosen), find)

    def _first_value(self, places: list[_Place]) -> CardValue | None:
        for _, equals, end in places:
            self._note(end - CARD_BYTES)
            value = _value_from(self._block, equals, end)
            if value is not None:
                return value
        return None

    def contradictions(self, pattern: re.Pattern[bytes]) -> list[str]:
        """Keywords that match and stand twice with different values: two readers could disagree."""
        found = []
        for first, again in self._index.repeated:
            name = self._block[again : again + 8].rstrip()
            if not pattern.fullmatch(name):
                continue
            self._note(first, again)
            if value_at(self._block, first) != value_at(self._block, again):
                found.append(clean_text(name))
        return found

    def has_any(self, *prefixes: str) -> bool:
        """Whether any standard keyword begins so."""
        return self._index.has_any(prefixes)

    def matching(self, pattern: re.Pattern[bytes]) -> bytes:
        """The raw cards of standard keywords that match, for a library that wants a header text."""
        starts = self._index.matching(pattern)
        self._note(*starts)
        return b"".join([self._block[start : start + CARD_BYTES] for start in starts])

    def _note(self, *starts: int) -> None:
        """Say that the cards at these offsets are read."""
        if self._memory is not None:
            for start in starts:
                self._memory.note(self._index.rows_of(start, self._block, self._size))

    def _find(self, name: str) -> int:
        start = self._offsets.get(name, -1)
        if start < 0 and (len(name) > 8 or " " in name):
            return self._index.find_eso(name, self._block, self._size)
        return start

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
    if value is None:
        return None
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip().encode()):
        value = float(value.upper().replace("D", "E"))
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None


def find_eso_card(block: bytes, name: bytes, size: int) -> int:
    """Offset of the first HIERARCH card with this keyword in a header of so many bytes; -1 if there is none."""
    wanted = b"HIERARCH " + name
    if len(wanted) >= CARD_BYTES:
        return -1
    # The keyword's last eight letters tell it from nearly all others: one comparison a card, wherever it stands.
    last = len(wanted) - 8
    for row in (_words(block, last, size) == _word(wanted[last:])).nonzero()[0].tolist():
        start = row * CARD_BYTES
        follows = block[start + len(wanted) : start + CARD_BYTES].lstrip()[:1]
        if follows == b"=" and block.startswith(wanted, start):
            return int(start)
    return -1


def find_end(buffer: bytes | bytearray | mmap.mmap, start: int, stop: int) -> int:
    """Offset of the END card of the header that begins at ``start``; -1 if none begins before ``stop``."""
    rows = max(0, (stop - 8 - start) // CARD_BYTES + 1)
    words = np.ndarray(rows, dtype="<u8", buffer=buffer, offset=start, strides=(CARD_BYTES,))
    ends = (words == _word(b"END     ")).nonzero()[0]
    return start + int(ends[0]) * CARD_BYTES if ends.size else -1


def _words(block: bytes, offset: int, size: int) -> NDArray[np.uint64]:
    """Eight bytes of every card as one number, for comparisons of all cards at once."""
    return np.ndarray(size // CARD_BYTES, dtype="<u8", buffer=block, offset=min(offset, size), strides=(CARD_BYTES,))


def _word(letters: bytes) -> int:
    return int.from_bytes(letters, "little")


def value_at(block: bytes, start: int) -> CardValue | None:
    """Parse the value of the card that starts at a byte (FITS 4.0, section 4.2).

    Args:
        block: Header bytes.
        start: Offset of the card, a multiple of 80.

    Returns:
        str, int, float or bool; None for a card without a value, or a number too large to be one.
    """
    end = start + CARD_BYTES
    if block.startswith(_HIERARCH, start):
        return _value_from(block, block.find(b"=", start, end), end)
    # Most structural cards: a fixed-format integer, in columns 11 to 30, needs no rules.
    digits = block[start + 9 : start + 30].strip(b" ")
    if digits.isdigit() and block[start + 8 : start + 9] == b"=" and block[start + 30 : start + 31] in _ENDS_NUMBER:
        return int(digits)
    return _value_from(block, start + 8, end)


def _value_from(block: bytes, equals: int, end: int) -> CardValue | None:
    """The value behind the equals sign of a card that ends at ``end``."""
    plain = _plain_number(block, equals, end)
    if plain is not None:
        return plain
    found = _VALUE.match(block, equals, end)
    if found is None:
        return None
    text, integer, real, other = found.groups()
    if real is not None:
        number = float(real if real[-4:].isdigit() else real.replace(b"D", b"E").replace(b"d", b"e"))
        return number if math.isfinite(number) else None
    if integer is not None:
        return int(integer)
    if text is not None:
        return _continued(block, end, text.replace(b"''", b"'") if b"''" in text else text)
    token = other.strip()
    if token in {b"T", b"F"}:
        return bool(token == b"T")
    return clean_text(token) if token else None


def _values_from(block: bytes, places: list[_Place]) -> dict[str, CardValue]:
    """`_value_from` for many cards; of repeated keywords the first."""
    found: dict[str, CardValue] = {}
    for name, equals, end in places:
        text = block[equals + 1 : end]
        value: CardValue | None = None
        if block[equals] == _EQUALS:
            if text.startswith(b" '"):
                text, closed, behind = text[2:].partition(b"'")
                # Two quotes are one in the text, and an ampersand may continue it on the next card.
                if closed and not behind.startswith(b"'") and b"&" not in text:
                    value = clean_text(text)
            else:
                token = text.partition(b"/")[0].strip(b" ")
                if token.isdigit():
                    value = int(token)
                elif b"." in token and token[:1] in _BEGINS_REAL and b"_" not in token:
                    # `_finite`, written out: this is what most of the time goes into.
                    try:
                        number = float(token)
                    except ValueError:
                        number = math.inf
                    value = number if -math.inf < number < math.inf else None
        if value is None:
            value = _value_from(block, equals, end)
        if value is not None and name not in found:
            found[name] = value
    return found


def _plain_number(block: bytes, equals: int, end: int) -> int | float | None:
    """The value where it is a plain number, as most are; None leaves all else to the full rules."""
    if block[equals : equals + 1] != b"=":
        return None
    token = block[equals + 1 : end].partition(b"/")[0].strip(b" ")
    if token.isdigit():
        return int(token)
    return _finite(token) if token[:1] in _BEGINS_REAL and b"." in token and b"_" not in token else None


def _finite(token: str | bytes) -> float | None:
    """The number that a token is to Python; None leaves all else to the full rules. Python also takes underscores."""
    try:
        number = float(token)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


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
