"""Binary tables: columns as the header describes them, bounds-checked, read in place (FITS 4.0, 7.3)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.fits.cards import Header
from classifier.fits.errors import ImplausibleSizeError, UnreadableError
from classifier.fits.headers import Hdu
from classifier.fits.storage import Buffer

_FORM = re.compile(r"([0-9]*)([LXBIJKAEDCMPQ])(.?).*")
_BYTES = {"L": 1, "B": 1, "I": 2, "J": 4, "K": 8, "A": 1, "E": 4, "D": 8, "C": 8, "M": 16, "P": 8, "Q": 16}
_NUMBERS = {"B": ">u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
_MAX_ELEMENTS = 1 << 26
_RICE_PARAMETERS = {"BLOCKSIZE": ("ZVAL1", {16, 32, 64, 128}), "BYTEPIX": ("ZVAL2", {1, 2, 4, 8})}


@dataclass(frozen=True, slots=True)
class Cell:
    """Where a column lies in the rows of a binary table.

    Attributes:
        number: From 1, as in the keywords.
        offset: Of its cell within a row, in bytes.
        repeat: Elements in a cell.
        letter: Type letter of TFORMn.
        element: For variable-length arrays (P, Q) the type letter of the elements.
    """

    number: int
    offset: int
    repeat: int
    letter: str
    element: str

    @property
    def is_numeric(self) -> bool:
        return (self.element or self.letter) in _NUMBERS


@dataclass(frozen=True, slots=True)
class Column(Cell):
    """One column and what it is called: TTYPEn, TUTYPn, TUCDn, TUNITn; "" where absent."""

    name: str
    utype: str
    ucd: str
    unit: str


def list_columns(hdu: Hdu) -> tuple[Column, ...]:
    """The columns of a binary table.

    Raises:
        UnreadableError: TFIELDS or a TFORMn is missing, senseless, or wider than the row.
    """
    columns = []
    for cell in _list_cells(hdu):
        names = (hdu.header.text(f"{stem}{cell.number}") or "" for stem in ("TTYPE", "TUTYP", "TUCD", "TUNIT"))
        columns.append(Column(cell.number, cell.offset, cell.repeat, cell.letter, cell.element, *names))
    return tuple(columns)


def _list_cells(hdu: Hdu) -> list[Cell]:
    """Where the columns' cells lie in a row."""
    header = hdu.header
    count = header.get("TFIELDS")
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= 999:
        raise UnreadableError(f"TFIELDS = {count!r:.40} is no number of columns.")
    _, row_bytes = _table_shape(hdu)
    cells = []
    offset = 0
    for number in range(1, count + 1):
        form = _FORM.fullmatch(str(header.get(f"TFORM{number}") or "").strip())
        if form is None:
            raise UnreadableError(f"TFORM{number} is missing or senseless.")
        repeat, letter = int(form[1] or 1), form[2]
        cells.append(Cell(number, offset, repeat, letter, form[3] if letter in "PQ" else ""))
        offset += (repeat + 7) // 8 if letter == "X" else repeat * _BYTES[letter]
    if offset > row_bytes:
        raise UnreadableError(f"The columns need {offset:,} bytes a row; the row has {row_bytes:,}.")
    return cells


def read_column(buffer: Buffer, hdu: Hdu, column: Column) -> NDArray[np.float64]:
    """A numeric column as one array: a vector cell of the first row, or one scalar from each row.

    Args:
        buffer: The file's bytes.
        hdu: The table.
        column: Of this table, numeric.

    Returns:
        float64 (n,), TSCALn, TZEROn and TNULLn applied, null values NaN.

    Raises:
        UnreadableError: A variable-length cell points outside the heap.
        ImplausibleSizeError: More elements than any spectrum has.
    """
    rows, row_bytes = hdu.shape
    if rows == 0 or column.repeat == 0:
        return np.empty(0)
    start = hdu.data_offset + column.offset
    if column.letter in "PQ":
        raw = _heap_cell(buffer, hdu, column, start)
    elif column.repeat > 1 or rows == 1:
        raw = np.ndarray(column.repeat, dtype=_NUMBERS[column.letter], buffer=buffer, offset=start)
    else:
        raw = np.ndarray(rows, dtype=_NUMBERS[column.letter], buffer=buffer, offset=start, strides=(row_bytes,))
    if raw.size > _MAX_ELEMENTS:
        raise ImplausibleSizeError(f"A column of {raw.size:,} elements is no spectrum.")
    return _scaled(raw, hdu, column)


def check_tiles(buffer: Buffer, hdu: Hdu) -> None:
    """Refuse a tile-compressed image whose table would lead a decompressor astray.

    CFITSIO believes the tile descriptors: one that announces gigabytes is allocated and read.

    Raises:
        UnreadableError: A tile lies outside the heap, the number of tiles is wrong, or RICE's parameters are.
    """
    header = hdu.header
    rows, row_bytes = _table_shape(hdu)
    expected = 1
    for axis, length in enumerate(reversed(hdu.shape), start=1):
        tile = header.get(f"ZTILE{axis}")
        if not isinstance(tile, int) or isinstance(tile, bool):
            tile = length if axis == 1 else 1
        expected *= -(-length // max(tile, 1))
    if rows != expected:
        raise UnreadableError(f"The compressed image has {rows:,} tiles where {expected:,} are needed.")
    if str(header.get("ZCMPTYPE")).strip() in {"RICE_1", "RICE_ONE"}:
        _check_rice(header)
    theap = header.get("THEAP")
    heap_start = theap if isinstance(theap, int) and not isinstance(theap, bool) else rows * row_bytes
    for cell in _list_cells(hdu):
        if cell.letter in "PQ" and rows:
            descriptors = _descriptors(buffer, hdu, cell, rows=rows, row_bytes=row_bytes)
            # Lengths and offsets beyond the data are refused first: then their sums cannot overflow.
            if heap_start < 0 or descriptors.min() < 0 or int(descriptors.max()) > hdu.data_bytes:
                raise UnreadableError("A compressed tile lies outside its table's heap.")
            ends = descriptors[:, 0] * _BYTES.get(cell.element, 1) + descriptors[:, 1]
            if heap_start + int(ends.max()) > hdu.data_bytes:
                raise UnreadableError("A compressed tile lies outside its table's heap.")


def _check_rice(header: Header) -> None:
    """CFITSIO takes RICE's first two parameters by their place, whatever their names say."""
    for name, (keyword, known) in _RICE_PARAMETERS.items():
        value = header.get(keyword)
        if keyword in header and value not in known:
            raise UnreadableError(f"The compression parameter {name} = {value!r:.20} is none there is.")


def _descriptors(buffer: Buffer, hdu: Hdu, cell: Cell, *, rows: int, row_bytes: int) -> NDArray[np.int64]:
    """Length in elements and offset in the heap of a variable-length column's cells, int64 (rows, 2)."""
    dtype, size = (">i4", 4) if cell.letter == "P" else (">i8", 8)
    start = hdu.data_offset + cell.offset
    return np.ndarray((rows, 2), dtype=dtype, buffer=buffer, offset=start, strides=(row_bytes, size)).astype(np.int64)


def _table_shape(hdu: Hdu) -> tuple[int, int]:
    """Rows and bytes a row; for a compressed image those of the table that holds the tiles."""
    rows, row_bytes = hdu.header.get("NAXIS2"), hdu.header.get("NAXIS1")
    if hdu.header.get("NAXIS") != 2 or hdu.header.get("BITPIX") != 8:
        raise UnreadableError("A binary table must have two axes of bytes.")
    assert isinstance(rows, int)  # the pre-scan saw to it
    assert isinstance(row_bytes, int)
    return rows, row_bytes


def _heap_cell(buffer: Buffer, hdu: Hdu, column: Column, start: int) -> NDArray[Any]:
    """The first row's variable-length array."""
    rows, row_bytes = hdu.shape
    descriptor = np.ndarray(2, dtype=">i4" if column.letter == "P" else ">i8", buffer=buffer, offset=start)
    length, offset = int(descriptor[0]), int(descriptor[1])
    dtype = np.dtype(_NUMBERS[column.element])
    heap_start = hdu.header.get("THEAP")
    if isinstance(heap_start, bool) or not isinstance(heap_start, int):
        heap_start = rows * row_bytes
    first = heap_start + offset
    if length < 0 or offset < 0 or heap_start < 0 or first + length * dtype.itemsize > hdu.data_bytes:
        raise UnreadableError(f"Column {column.number} points outside the table's heap.")
    return np.ndarray(length, dtype=dtype, buffer=buffer, offset=hdu.data_offset + first)


def _scaled(raw: NDArray[Any], hdu: Hdu, column: Column) -> NDArray[np.float64]:
    scale = hdu.header.number(f"TSCAL{column.number}")
    zero = hdu.header.number(f"TZERO{column.number}")
    null = hdu.header.get(f"TNULL{column.number}")
    with np.errstate(over="ignore", invalid="ignore"):
        values = raw.astype(np.float64)
        if scale is not None and scale not in {0.0, 1.0}:
            values *= scale
        if zero:
            values += zero
    if isinstance(null, int) and raw.dtype.kind in "iu":
        values[raw == null] = np.nan
    return values
