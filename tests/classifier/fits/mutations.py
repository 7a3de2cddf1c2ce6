"""Ways in which a FITS file gets damaged: as it happens on disks and wires, and as an attacker would do it."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.classifier.fits.files import (
    WCS_CARDS,
    empty_primary,
    galaxy,
    image_hdu,
    spectrum_values,
    table_hdu,
    write_image,
    write_spectrum,
)

Damage = Callable[[bytearray, random.Random], None]

CARD, BLOCK = 80, 2880
STRUCTURAL = (
    *(b"SIMPLE", b"XTENSION", b"BITPIX", b"NAXIS", b"PCOUNT", b"GCOUNT", b"TFIELDS", b"TFORM", b"TTYPE", b"TSCAL"),
    *(b"TZERO", b"TNULL", b"THEAP", b"ZIMAGE", b"ZBITPIX", b"ZNAXIS", b"ZTILE", b"ZCMPTYPE", b"ZNAME", b"ZVAL"),
    *(b"ZQUANTIZ", b"ZDITHER", b"ZBLANK", b"BSCALE", b"BZERO", b"BLANK", b"GROUPS", b"CRVAL", b"CRPIX", b"CDELT"),
    *(b"CD1_", b"CTYPE", b"CUNIT", b"PV", b"A_ORDER", b"LONPOLE", b"EXTNAME", b"TUTYP", b"TUNIT", b"END"),
)
HOSTILE = (
    *(
        "-1",
        "0",
        "1",
        "2",
        "7",
        "8",
        "16",
        "32",
        "64",
        "-32",
        "-64",
        "255",
        "999",
        "1000",
        "65535",
        "65536",
        "2147483647",
    ),
    *("2147483648", "-2147483648", "4294967296", "9223372036854775807", "9" * 19, "1E19", "1E308", "-1E308", "1E-320"),
    *("NaN", "INF", "1E999", "0.5", "1.5", "T", "F", "", "'", "'x", "'x'", "''''", "'RICE_1'", "'GZIP_1'", "'GZIP_2'"),
    *("'HCOMPRESS_1'", "'PLIO_1'", "'NOCOMPRESS'", "'SUBTRACTIVE_DITHER_2'", "'1PB(0)'", "'1PB(2147483647)'"),
    *("'1QB(9223372036854775807)'", "'999999999D'", "'1PE'", "'0E'", "'IMAGE'", "'BINTABLE'", "'TABLE'", "'RA---ZPN'"),
    *("'RA---TPV'", "'RA---TAN-SIP'", "'DEC--TPV'", "'WAVE-LOG'", "'AWAV'", "'\xff\xfe'", "1_000", "0x10", "1D400"),
)


def mutate(content: bytes, rng: random.Random) -> tuple[str, bytes]:
    """Damage a copy of a file in one to three ways.

    Args:
        content: The file, plain or gzipped; a gzipped one is damaged within, as a stream, or both.
        rng: Decides everything.

    Returns:
        What was done, and the damaged file.
    """
    zipped = content[:2] == b"\x1f\x8b"
    inside = not zipped or rng.random() < 0.6
    damaged = bytearray(gzip.decompress(content) if zipped and inside else content)
    names = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        name = rng.choice(tuple(WAYS) if inside else STREAM_WAYS)
        WAYS[name](damaged, rng)
        names.append(name)
    if inside and (zipped or rng.random() < 0.03):
        damaged = bytearray(gzip.compress(damaged, 1))
        names.append("gzip")
    return "+".join(names), bytes(damaged)


def originals(folder: Path) -> dict[str, bytes]:
    """One good file of every sort that is read in a way of its own.

    Args:
        folder: Where to write the ones that a library writes.
    """
    import fitsio

    compressed = folder / "compressed.fits.fz"
    with fitsio.FITS(str(compressed), "rw") as file:
        file.write(galaxy(200, 150), compress="rice", qlevel=4)
        file.write(galaxy(64, 64).astype(np.int16), compress="gzip")
        file.write(np.round(galaxy(64, 64)).astype(np.int32), compress="hcompress")
        file.write(np.round(galaxy(64, 64)).astype(np.int32), compress="plio")
    wavelength, flux, _ = spectrum_values(500)
    line = [("CRVAL1", 400.0), ("CDELT1", 0.2), ("CTYPE1", "WAVE"), ("CUNIT1", "nm"), ("INSTRUME", "HARPS")]
    zpn = [
        (name, str(value).replace("TAN", "ZPN")) if name.startswith("CTYPE") else (name, value)
        for name, value in WCS_CARDS
    ]
    eso = [(f"ESO TEL AMBI{k} VALUE", k / 7) for k in range(60)]
    rows = table_hdu(
        [({"TTYPE": "wave", "TUNIT": "Angstrom"}, wavelength * 10), ({"TTYPE": "flux"}, flux)], vector=False
    )
    return {
        "image": write_image(folder / "image.fits", cards=[*WCS_CARDS, *eso]).read_bytes(),
        "projected": image_hdu(
            galaxy(160, 200), [*zpn, ("PV2_1", 1.0), ("PV2_3", 42.0), ("RA", 150.0), ("DEC", -30.0)]
        ),
        "integers": image_hdu(galaxy().astype(np.int16), [("BSCALE", 0.5), ("BZERO", 32768.0), ("BLANK", -32768)]),
        "mosaic": empty_primary() + b"".join(image_hdu(galaxy(60, 50), extension=f"CHIP{k}") for k in range(4)),
        "cube": empty_primary() + image_hdu(np.stack([galaxy(40, 40, seed=k) for k in range(20)]), extension="DATA"),
        "compressed": compressed.read_bytes(),
        "spectrum": write_spectrum(folder / "spectrum.fits").read_bytes(),
        "rows": empty_primary() + rows,
        "line": image_hdu(flux.astype(np.float64), line),
        "zipped": gzip.compress(write_spectrum(folder / "zipped.fits").read_bytes()),
        "zipped image": gzip.compress(image_hdu(galaxy(300, 300))),
    }


def _flip_bits(damaged: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 10, 1000))):
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)


def _overwrite(damaged: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 10, 1000))):
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)


def _flip_header_bits(damaged: bytearray, rng: random.Random) -> None:
    end = max(damaged.find(b"END     "), CARD)
    for _ in range(rng.choice((1, 5, 50))):
        damaged[rng.randrange(min(end, len(damaged)))] ^= 1 << rng.randrange(8)


def _fill(damaged: bytearray, rng: random.Random) -> None:
    start, length = rng.randrange(len(damaged)), rng.choice((80, 2880, 100_000))
    filler = rng.choice((b"\0", b"\xff", b" ", b"\x7f\xc0\0\0", b"\x7f\x80\0\0", b"\x80", b"'"))
    stop = min(start + length, len(damaged))
    damaged[start:stop] = (filler * (stop - start))[: stop - start]


def _cut(damaged: bytearray, rng: random.Random) -> None:
    end = rng.randrange(1, len(damaged)) if len(damaged) > 1 else 1
    del damaged[end if rng.random() < 0.7 else max(BLOCK, end // BLOCK * BLOCK) :]


def _repeat_piece(damaged: bytearray, rng: random.Random) -> None:
    start, length = rng.randrange(len(damaged)), rng.choice((1, 79, CARD, BLOCK, 2 * BLOCK, rng.randrange(1, 6000)))
    start = start // BLOCK * BLOCK if length % BLOCK == 0 else start
    damaged[start:start] = damaged[start : start + length]


def _drop_piece(damaged: bytearray, rng: random.Random) -> None:
    start, length = rng.randrange(len(damaged)), rng.choice((1, 79, CARD, BLOCK, 2 * BLOCK, rng.randrange(1, 6000)))
    start = start // BLOCK * BLOCK if length % BLOCK == 0 else start
    if start or length < len(damaged):
        del damaged[start : start + length]
    if not damaged:
        damaged += b" "


def _swap_blocks(damaged: bytearray, rng: random.Random) -> None:
    blocks = len(damaged) // BLOCK
    if blocks > 1:
        first, second = (rng.randrange(blocks) * BLOCK for _ in range(2))
        kept = bytes(damaged[first : first + BLOCK])
        damaged[first : first + BLOCK] = damaged[second : second + BLOCK]
        damaged[second : second + BLOCK] = kept


def _cards(damaged: bytearray, *, structural: bool) -> list[int]:
    """Where cards lie in the headers near the beginning."""
    stop = min(len(damaged) - CARD + 1, 60 * BLOCK)
    starts = range(0, stop, CARD)
    if structural:
        return [k for k in starts if damaged[k : k + 8].startswith(STRUCTURAL)]
    return [k for k in starts if damaged[k + 8 : k + 10] == b"= " or damaged[k : k + 8] == b"HIERARCH"]


def _edit_structure(damaged: bytearray, rng: random.Random) -> None:
    starts = _cards(damaged, structural=True)
    for start in rng.sample(starts, min(len(starts), rng.randrange(1, 4))):
        damaged[start + 8 : start + CARD] = f"= {rng.choice(HOSTILE):>20}".encode("latin-1").ljust(72)[:72]


def _edit_card(damaged: bytearray, rng: random.Random) -> None:
    starts = _cards(damaged, structural=False)
    for start in rng.sample(starts, min(len(starts), rng.randrange(1, 6))):
        card = damaged[start : start + CARD]
        equals = card.find(b"=")
        value = rng.choice((*HOSTILE, "'" + "x" * 80, "'&'", "/" * 40, "\0" * 20, "1" * 70)).encode("latin-1")
        damaged[start : start + CARD] = (bytes(card[: equals + 1]) + b" " + value).ljust(CARD)[:CARD]


def _drop_card(damaged: bytearray, rng: random.Random) -> None:
    starts = _cards(damaged, structural=True)
    if starts:
        start = rng.choice(starts)
        damaged[start : start + CARD] = b" " * CARD


def _repeat_card(damaged: bytearray, rng: random.Random) -> None:
    starts = _cards(damaged, structural=True)
    if len(starts) > 1:
        first, second = rng.sample(starts, 2)
        damaged[second : second + CARD] = damaged[first : first + CARD]


def _add_card(damaged: bytearray, rng: random.Random) -> None:
    """A keyword that was not there, over another card."""
    starts = _cards(damaged, structural=False)
    if starts:
        start = rng.choice(starts)
        keyword = rng.choice(STRUCTURAL).decode() + rng.choice(("", "1", "2", "3", "999"))
        line = f"{keyword[:8]:8}= {rng.choice(HOSTILE):>20}"
        damaged[start : start + CARD] = line.encode("latin-1").ljust(CARD)[:CARD]


def _break_descriptors(damaged: bytearray, rng: random.Random) -> None:
    """Big-endian extremes anywhere behind the headers: where tables keep lengths and offsets."""
    for _ in range(rng.randrange(1, 9)):
        start = rng.randrange(len(damaged)) // 8 * 8
        word = rng.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x00FFFFFF, len(damaged), len(damaged) * 2))
        piece = (word & 0xFFFFFFFF).to_bytes(4, "big")
        damaged[start : min(start + 4, len(damaged))] = piece[: max(0, min(4, len(damaged) - start))]


def _html_before(damaged: bytearray, rng: random.Random) -> None:
    damaged[:0] = rng.choice(
        (b"<!DOCTYPE html><html>", b"\r\n", b"<?xml version='1.0'?>", b"\xef\xbb\xbf", b"PK\x03\x04")
    )


def _junk_behind(damaged: bytearray, rng: random.Random) -> None:
    damaged += rng.choice(
        (rng.randbytes(5000), bytes(BLOCK), b"XTENSION= 'IMAGE   '", b"XTENSION=" * 500, b"\x1f\x8b\x08\0")
    )


def _bomb_behind(damaged: bytearray, rng: random.Random) -> None:
    """A second gzip member that expands a thousandfold; behind a plain file it is junk."""
    damaged += gzip.compress(bytes(rng.choice((10_000, 30_000_000))), 1)


def _double(damaged: bytearray, rng: random.Random) -> None:
    damaged += damaged[: rng.randrange(1, len(damaged) + 1)]


WAYS: dict[str, Damage] = {
    "bits": _flip_bits,
    "bytes": _overwrite,
    "header bits": _flip_header_bits,
    "filled": _fill,
    "cut": _cut,
    "repeated piece": _repeat_piece,
    "dropped piece": _drop_piece,
    "swapped blocks": _swap_blocks,
    "structure": _edit_structure,
    "structures": _edit_structure,
    "card": _edit_card,
    "dropped card": _drop_card,
    "repeated card": _repeat_card,
    "added card": _add_card,
    "descriptors": _break_descriptors,
    "html": _html_before,
    "junk": _junk_behind,
    "bomb": _bomb_behind,
    "doubled": _double,
}
STREAM_WAYS = (
    "bits",
    "bytes",
    "filled",
    "cut",
    "repeated piece",
    "dropped piece",
    "swapped blocks",
    "junk",
    "bomb",
    "doubled",
)
