"""FITS files for the tests, written byte by byte: good ones, and every bad one that the archive room must survive."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CardLine = str | tuple[str, object]

WCS_CARDS: tuple[CardLine, ...] = (
    ("CTYPE1", "RA---TAN"),
    ("CTYPE2", "DEC--TAN"),
    ("CRVAL1", 150.0),
    ("CRVAL2", -30.0),
    ("CRPIX1", 100.5),
    ("CRPIX2", 80.5),
    ("CD1_1", -1e-4),
    ("CD1_2", 0.0),
    ("CD2_1", 0.0),
    ("CD2_2", 1e-4),
)
_BITPIX = {"u1": 8, "i2": 16, "i4": 32, "i8": 64, "f4": -32, "f8": -64}


def card(line: CardLine) -> bytes:
    """One card from (keyword, value), or as it stands."""
    if isinstance(line, str):
        return line.encode("latin-1").ljust(80)[:80]
    name, value = line
    if isinstance(value, bool):
        text = f"{'T' if value else 'F':>20}"
    elif isinstance(value, str):
        text = "'" + value.replace("'", "''").ljust(8) + "'"
    else:
        text = f"{value!r:>20}"
    keyword = f"{name:8}= " if len(name) <= 8 else f"HIERARCH {name} = "
    return (keyword + text).encode("latin-1").ljust(80)[:80]


def header(lines: Sequence[CardLine]) -> bytes:
    """A header block, padded."""
    block = b"".join(map(card, lines)) + b"END".ljust(80)
    return block.ljust(-(-len(block) // 2880) * 2880)


def padded(data: bytes) -> bytes:
    """A data unit, padded."""
    return data.ljust(-(-len(data) // 2880) * 2880, b"\0")


def image_hdu(pixels: NDArray[np.generic], cards: Sequence[CardLine] = (), *, extension: str | None = None) -> bytes:
    """A primary or, with a name, an IMAGE extension."""
    first: list[CardLine] = [("SIMPLE", True)] if extension is None else [("XTENSION", "IMAGE")]
    first += [("BITPIX", _BITPIX[pixels.dtype.str[1:]]), ("NAXIS", pixels.ndim)]
    first += [(f"NAXIS{axis}", length) for axis, length in enumerate(reversed(pixels.shape), start=1)]
    if extension is not None:
        first += [("PCOUNT", 0), ("GCOUNT", 1), ("EXTNAME", extension)]
    return header([*first, *cards]) + padded(pixels.astype(pixels.dtype.newbyteorder(">")).tobytes())


def empty_primary(cards: Sequence[CardLine] = ()) -> bytes:
    """A primary header without data."""
    return header([("SIMPLE", True), ("BITPIX", 8), ("NAXIS", 0), *cards])


def table_hdu(
    columns: Sequence[tuple[dict[str, str], NDArray[np.generic]]],
    *,
    vector: bool = True,
    cards: Sequence[CardLine] = (),
) -> bytes:
    """A BINTABLE: one row of vector cells as Phase 3 has it, or one row an element.

    Args:
        columns: Cards without the column's number (``TTYPE``, ``TUTYP``, ``TUCD``, ``TUNIT``) and values, f4 or f8.
        vector: One row of vector cells.
        cards: Further cards.
    """
    arrays = [values.astype(values.dtype.newbyteorder(">")) for _, values in columns]
    letters = ["E" if values.dtype.itemsize == 4 else "D" for values in arrays]
    count = arrays[0].size
    row_bytes = sum(values.nbytes if vector else values.dtype.itemsize for values in arrays)
    lines: list[CardLine] = [
        ("XTENSION", "BINTABLE"),
        ("BITPIX", 8),
        ("NAXIS", 2),
        ("NAXIS1", row_bytes),
        ("NAXIS2", 1 if vector else count),
        ("PCOUNT", 0),
        ("GCOUNT", 1),
        ("TFIELDS", len(columns)),
    ]
    for number, ((about, values), letter) in enumerate(zip(columns, letters, strict=True), start=1):
        lines.append((f"TFORM{number}", f"{values.size if vector else 1}{letter}"))
        lines += [(f"{stem}{number}", text) for stem, text in about.items()]
    if vector:
        data = b"".join(values.tobytes() for values in arrays)
    else:
        row_type = [(f"c{k}", values.dtype) for k, values in enumerate(arrays)]
        rows = np.empty(count, dtype=row_type)
        for k, values in enumerate(arrays):
            rows[f"c{k}"] = values
        data = rows.tobytes()
    return header([*lines, *cards]) + padded(data)


def galaxy(height: int = 128, width: int = 128, *, seed: int = 1) -> NDArray[np.float32]:
    """A bright blob in the middle of noise: sky 100, sigma 5."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    blob = 900.0 * np.exp(-np.hypot(y - (height - 1) / 2, x - (width - 1) / 2) / 4.0)
    return (rng.normal(100.0, 5.0, (height, width)) + blob).astype(np.float32)


def write_image(path: Path, pixels: NDArray[np.generic] | None = None, cards: Sequence[CardLine] = ()) -> Path:
    """A plain single image."""
    path.write_bytes(image_hdu(galaxy() if pixels is None else pixels, cards))
    return path


PHASE3_COLUMNS: tuple[dict[str, str], ...] = (
    {"TTYPE": "WAVE", "TUTYP": "spec:Data.SpectralAxis.Value", "TUCD": "em.wl", "TUNIT": "nm"},
    {"TTYPE": "SIGNAL", "TUTYP": "spec:Data.FluxAxis.Value", "TUCD": "phot.flux.density", "TUNIT": "adu"},
    {"TTYPE": "NOISE", "TUTYP": "spec:Data.FluxAxis.Accuracy.StatError", "TUCD": "stat.error"},
)


def spectrum_values(count: int = 3000) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.float32]]:
    """Wavelengths 400 to 900 nm, a flux with an emission line at 600 nm, its errors."""
    wavelength = np.linspace(400.0, 900.0, count)
    flux = 1.0 + 5.0 * np.exp(-0.5 * ((wavelength - 600.0) / 1.5) ** 2)
    noise = np.random.default_rng(2).normal(0.0, 0.05, count)
    return wavelength, (flux + noise).astype(np.float32), np.full(count, 0.05, dtype=np.float32)


def write_spectrum(path: Path, *, cards: Sequence[CardLine] = ()) -> Path:
    """A Phase 3 spectrum."""
    columns = list(zip(PHASE3_COLUMNS, spectrum_values(), strict=True))
    path.write_bytes(empty_primary([("PRODCATG", "SCIENCE.SPECTRUM"), *cards]) + table_hdu(columns))
    return path


def bad_files() -> dict[str, tuple[bytes, str]]:
    """Name, bytes and the code with which each is refused."""
    good = image_hdu(galaxy())
    pixels = galaxy()
    nothing = np.full((64, 64), np.nan, dtype=np.float32)
    wavelength, flux, _ = spectrum_values(400)
    no_flux = table_hdu([({"TTYPE": "RA"}, wavelength), ({"TTYPE": "MAG"}, flux)])
    nan_flux = table_hdu(list(zip(PHASE3_COLUMNS, (wavelength, flux * np.nan, flux), strict=True)))
    fixed: list[CardLine] = [("SIMPLE", True), ("BITPIX", -32)]
    bomb_rows = [("XTENSION", "BINTABLE"), ("BITPIX", 8), ("NAXIS", 2), ("NAXIS1", 8), ("NAXIS2", 1), ("PCOUNT", 0)]
    bomb_rows += [("GCOUNT", 1), ("TFIELDS", 1), ("TFORM1", "1PB(1)"), ("ZIMAGE", True), ("ZBITPIX", -32)]
    bomb_rows += [("ZNAXIS", 2), ("ZNAXIS1", 1 << 20), ("ZNAXIS2", 1 << 20), ("ZCMPTYPE", "GZIP_1")]
    return {
        "empty": (b"", "empty_file"),
        "html": (b"\n<!DOCTYPE html><html><title>Login</title></html>", "html_instead_of_fits"),
        "xml": (b'<?xml version="1.0"?><VOTABLE/>', "html_instead_of_fits"),
        "text": (b"hello, world\n" * 100, "not_fits"),
        "png": (b"\x89PNG\r\n\x1a\n" + bytes(100), "not_fits"),
        "zeros": (bytes(5760), "not_fits"),
        "simple_false": (good.replace(b"=                    T", b"=                    F", 1), "not_fits"),
        "truncated_data": (good[: len(good) // 2], "truncated"),
        "truncated_header": (good[:400], "truncated"),
        "truncated_gzip": (gzip.compress(good)[:-2000], "truncated"),
        "truncated_extension": (good + image_hdu(pixels, extension="SCI")[:4000], "truncated"),
        "naxis_1e19": (header([*fixed, "NAXIS   =  10000000000000000000"]), "implausible_size"),
        "naxis_1e19_real": (header([*fixed, "NAXIS   =                 1E19"]), "implausible_size"),
        "axis_1e19": (header([*fixed, ("NAXIS", 1), ("NAXIS1", 10**19)]), "implausible_size"),
        "axes_1000": (header([*fixed, ("NAXIS", 1000)]), "implausible_size"),
        "axis_negative": (header([*fixed, ("NAXIS", 1), ("NAXIS1", -5)]), "implausible_size"),
        "axes_overflow": (
            header([*fixed, ("NAXIS", 8), *((f"NAXIS{k}", 70000) for k in range(1, 9))]),
            "implausible_size",
        ),
        "header_without_end": (card(("SIMPLE", True)) + card("COMMENT x") * 60000, "implausible_size"),
        "gzip_bomb": (gzip.compress(good + bytes(200_000_000), 9), "decompression_bomb"),
        "tile_bomb": (empty_primary() + header(bomb_rows) + padded(bytes(8)), "decompression_bomb"),
        "gzip_damaged": (gzip.compress(good)[:500] + b"\xff" * 500 + gzip.compress(good)[1000:], "unreadable"),
        "bitpix_7": (header([("SIMPLE", True), ("BITPIX", 7), ("NAXIS", 0)]), "unreadable"),
        "bitpix_twice": (header([*fixed, ("BITPIX", 16), ("NAXIS", 0)]), "unreadable"),
        "naxis_missing": (header(fixed), "unreadable"),
        "header_only": (empty_primary(), "no_science_data"),
        "all_nan": (image_hdu(nothing), "no_finite_pixels"),
        "nan_spectrum": (empty_primary() + nan_flux, "no_finite_pixels"),
        "no_flux": (empty_primary() + no_flux, "no_flux_column"),
    }
