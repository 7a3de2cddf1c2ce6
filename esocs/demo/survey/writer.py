"""FITS blocks, byte by byte, as the FITS Standard 4.0 defines them: cards, checksums, image and table units.

astropy lays out a header of a hundred cards in 15 ms, as long as drawing an object takes, hence this short
writer; the tests read every kind of file back with ``astropy.io.fits`` and let it verify cards and checksums.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

BLOCK_BYTES: Final = 2880
CARD_BYTES: Final = 80

Value = bool | int | float | str
Card = tuple[str, Value, str]
"""Keyword (``HIERARCH ESO …`` for ESO's hierarchical ones), value, comment."""

_ASCII_ZERO: Final = 48
_PUNCTUATION: Final = frozenset([*range(58, 65), *range(91, 97)])
_COMMENTARY: Final = frozenset({"COMMENT", "HISTORY"})


def format_value(value: Value) -> str:
    """A value as fixed-format FITS text (FITS Standard 4.0, §4.2)."""
    if isinstance(value, bool):
        return f"{'T' if value else 'F':>20}"
    if isinstance(value, int):
        return f"{value:>20d}"
    if isinstance(value, float):
        text = f"{value:.14G}"
        return f"{text if '.' in text or 'E' in text else text + '.0':>20}"
    return f"'{value.replace(chr(39), chr(39) * 2):<8}'"


def format_card(keyword: str, value: Value, comment: str = "") -> str:
    """One 80-character card; a comment that does not fit is cut, a value never is.

    Raises:
        ValueError: the value does not fit into one card.
    """
    if keyword in _COMMENTARY:
        card = f"{keyword:<8}{value}"
    else:
        text = format_value(value)
        if keyword.startswith("HIERARCH "):
            card = f"{keyword} = {text.strip()}"
        elif isinstance(value, str):
            card = f"{keyword:<8}= {text:<20}"
        else:
            card = f"{keyword:<8}= {text}"
    if len(card.rstrip()) > CARD_BYTES:
        raise ValueError(f"The card {keyword} is longer than {CARD_BYTES} characters.")
    if comment and len(card) + 4 <= CARD_BYTES:
        card = f"{card} / {comment}"
    return f"{card[:CARD_BYTES]:<{CARD_BYTES}}"


def ones_complement_sum(block: bytes) -> int:
    """The 32-bit ones' complement sum of big-endian words (FITS Standard 4.0, appendix J.1).

    Args:
        block: Any multiple of four bytes.
    """
    total = int(np.frombuffer(block, dtype=">u4").sum(dtype=np.uint64))
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def encode_checksum(total: int) -> str:
    """The complement of a sum as the 16 characters of a CHECKSUM card (FITS Standard 4.0, appendix J.2)."""
    complement = ~total & 0xFFFFFFFF
    columns: list[list[int]] = []
    for byte in complement.to_bytes(4, "big"):
        quotient, remainder = divmod(byte, 4)
        letters = [quotient + _ASCII_ZERO + (remainder if place == 0 else 0) for place in range(4)]
        while any(letter in _PUNCTUATION for letter in letters):
            for left in (0, 2):
                if letters[left] in _PUNCTUATION or letters[left + 1] in _PUNCTUATION:
                    letters[left] += 1
                    letters[left + 1] -= 1
        columns.append(letters)
    text = "".join(chr(columns[byte][place]) for place in range(4) for byte in range(4))
    return text[-1] + text[:-1]


def unit_bytes(cards: list[Card], data: bytes) -> bytes:
    """One header-data unit with its CHECKSUM and DATASUM cards.

    Args:
        cards: The header, without CHECKSUM, DATASUM and END.
        data: The data, unpadded; may be empty.
    """
    data += b"\0" * (-len(data) % BLOCK_BYTES)
    data_sum = ones_complement_sum(data)
    body = "".join(format_card(*card) for card in cards)
    body += format_card("DATASUM", str(data_sum), "Data unit checksum")

    def header_with(checksum: str) -> bytes:
        text = body + format_card("CHECKSUM", checksum, "HDU checksum") + f"{'END':<{CARD_BYTES}}"
        text += " " * (-len(text) % BLOCK_BYTES)
        return text.encode("ascii")

    header_sum = ones_complement_sum(header_with("0" * 16))
    total = header_sum + data_sum
    total = (total & 0xFFFFFFFF) + (total >> 32)
    return header_with(encode_checksum(total)) + data


def image_unit(pixels: NDArray[np.float32], cards: list[Card]) -> bytes:
    """A primary unit that holds one image.

    Args:
        pixels: (height, width) float32.
        cards: Everything after the mandatory keywords.
    """
    height, width = pixels.shape
    structure: list[Card] = [
        ("SIMPLE", True, "Standard FITS format"),
        ("BITPIX", -32, "Number of bits per data pixel"),
        ("NAXIS", 2, "Number of data axes"),
        ("NAXIS1", width, "Length of data axis 1"),
        ("NAXIS2", height, "Length of data axis 2"),
        ("EXTEND", True, "Extensions may be present"),
    ]
    return unit_bytes(structure + cards, np.ascontiguousarray(pixels, dtype=">f4").tobytes())


def empty_primary_unit(cards: list[Card]) -> bytes:
    """A primary unit without data, as ESO Phase 3 puts in front of a spectrum's table."""
    structure: list[Card] = [
        ("SIMPLE", True, "Standard FITS format"),
        ("BITPIX", 8, "Number of bits per data pixel"),
        ("NAXIS", 0, "Number of data axes"),
        ("EXTEND", True, "Extension may be present"),
    ]
    return unit_bytes(structure + cards, b"")


def vector_table_unit(columns: list[NDArray[np.generic]], cards: list[Card]) -> bytes:
    """A binary table of one row whose every cell is a vector.

    Args:
        columns: One big-endian array a column, all of the same length.
        cards: Everything after TFIELDS, the TFORMn cards included.
    """
    row = b"".join(column.tobytes() for column in columns)
    structure: list[Card] = [
        ("XTENSION", "BINTABLE", "FITS extension first keyword"),
        ("BITPIX", 8, "Number of bits per data pixel"),
        ("NAXIS", 2, "Number of data axes"),
        ("NAXIS1", len(row), "Length of data axis 1"),
        ("NAXIS2", 1, "Length of data axis 2"),
        ("PCOUNT", 0, "Parameter count"),
        ("GCOUNT", 1, "Group count"),
        ("TFIELDS", len(columns), "Number of table fields"),
    ]
    return unit_bytes(structure + cards, row)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees all of it or none of it."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)
