"""Simulated FITS files for the benchmarks, written byte by byte with the cards of an ESO instrument."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

SIZE_PX = 128
HIERARCH_CARDS = 150
LONG_CARDS = 3032
LONG_PIXELS = 313_114


def write_images(folder: Path, *, count: int) -> list[Path]:
    """Simulated cut-outs: a Sersic-like galaxy on noise, float32, with the cards of an ESO instrument.

    From file to file the target, its place and time and half of the telemetry differ, as they do in a survey: where a
    reader remembers what it has read, headers that are all alike would flatter it.
    """
    rng = np.random.default_rng(20261122)
    noise = rng.normal(0.0, 5.0, (SIZE_PX * 2, SIZE_PX * 2)).astype(np.float32)
    y, x = np.mgrid[:SIZE_PX, :SIZE_PX] - SIZE_PX / 2
    paths = []
    for index in range(count):
        angle, axis_ratio, radius_px = rng.uniform(0, np.pi), rng.uniform(0.2, 1.0), rng.uniform(3, 12)
        along = x * np.cos(angle) + y * np.sin(angle)
        across = (y * np.cos(angle) - x * np.sin(angle)) / axis_ratio
        galaxy = rng.uniform(50, 2000) * np.exp(-1.7 * (np.hypot(along, across) / radius_px) ** 0.7)
        row, column = rng.integers(0, SIZE_PX, 2)
        pixels = 100.0 + noise[row : row + SIZE_PX, column : column + SIZE_PX] + galaxy
        cards = [*_header_cards(index), _card(f"OBJECT  = 'simulated {index:06d}'"), _card("END")]
        data = pixels.astype(">f4").tobytes()
        path = folder / f"simulated_{index:06d}.fits"
        path.write_bytes(_padded(b"".join(cards), b" ") + _padded(data, b"\0"))
        paths.append(path)
    return paths


def write_compressed(folder: Path, originals: Sequence[Path]) -> list[Path]:
    """The same images, RICE-compressed tile by tile as ``fpack`` does it, all their cards kept."""
    from astropy.io import fits

    paths = []
    for original in originals:
        path = folder / f"{original.name}.fz"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with fits.open(original, memmap=False) as hdus:
                image = fits.CompImageHDU(hdus[0].data, header=hdus[0].header, compression_type="RICE_1")
            fits.HDUList([fits.PrimaryHDU(), image]).writeto(path)
        paths.append(path)
    return paths


def write_long_header(path: Path) -> Path:
    """A one-dimensional spectrum with as many cards and pixels as a HARPS pipeline product: 3,032 and 313,114."""
    cards = [
        "SIMPLE  =                    T / Standard FITS",
        "BITPIX  =                  -64 / bits a value",
        "NAXIS   =                    1 / axes",
        f"NAXIS1  = {LONG_PIXELS:20d}",
        "CRVAL1  =              3781.58 / wavelength of the first pixel",
        "CDELT1  =                 0.01 / step",
        "CTYPE1  = 'WAVE    '",
        "INSTRUME= 'HARPS   '           / instrument",
        "TELESCOP= 'ESO-3P6 '           / telescope",
        "OBJECT  = 'simulated'          / target",
        "EXPTIME =                900.0 / [s] exposure",
        "RA      =           229.863516 / [deg]",
        "DEC     =             -7.72219 / [deg]",
        "MJD-OBS =       55457.98791873 / [d] start",
        "HIERARCH ESO OBS PROG ID = '183.C-0437(A)' / ESO program identification",
        "HIERARCH ESO TEL AIRM START = 1.691 / Airmass at start",
        "HIERARCH ESO TEL AMBI FWHM START = 0.53 / [arcsec] Observatory Seeing",
    ]
    number = 0
    while len(cards) < LONG_CARDS - 2:
        cards += [
            f"HIERARCH ESO DRS CAL LOC CTR{number} = {number * 1.2345678901e-3:.14E} / fit coefficient",
            f"HIERARCH ESO DRS CAL TH COEFF LL{number} = {4000.0 + number * 0.713:.10f} / [Ang]",
            f"HIERARCH ESO INS DET{number} CTTOT = {number * 37} / total counts",
            f"HIERARCH ESO INS TEMP{number} NAME = 'sensor {number}' / name",
        ]
        number += 1
    cards = cards[: LONG_CARDS - 2]
    cards += ["HIERARCH ESO DRS BERV = -23.5438771778635 / [km/s]", "HIERARCH ESO DRS SPE EXT SN50 = 40.9 / S/N"]
    data = (1.0 + np.sin(np.arange(LONG_PIXELS) / 50.0)).astype(">f8").tobytes()
    path.write_bytes(_padded(b"".join(map(_card, [*cards, "END"])), b" ") + _padded(data, b"\0"))
    return path


def _header_cards(index: int) -> list[bytes]:
    ra, dec = 150.116321 + 0.003 * (index % 100), 2.205831 + 0.003 * (index // 100)
    cards = [
        "SIMPLE  =                    T / conforms to the FITS standard",
        "BITPIX  =                  -32 / array data type",
        "NAXIS   =                    2 / number of array dimensions",
        f"NAXIS1  = {SIZE_PX:20d}",
        f"NAXIS2  = {SIZE_PX:20d}",
        "INSTRUME= 'OMEGACAM'           / instrument",
        "TELESCOP= 'ESO-VST '           / telescope",
        "EXPTIME =                300.0 / [s] exposure",
        f"RA      = {ra:20.6f} / [deg]",
        f"DEC     = {dec:20.6f} / [deg]",
        f"MJD-OBS = {59000.12345678 + index * 0.004:20.8f} / [d] start",
        "CTYPE1  = 'RA---TAN'",
        "CTYPE2  = 'DEC--TAN'",
        f"CRVAL1  = {ra:20.6f}",
        f"CRVAL2  = {dec:20.6f}",
        "CRPIX1  =                 64.5",
        "CRPIX2  =                 64.5",
        "CD1_1   =   -5.9444444444E-05",
        "CD1_2   =                  0.0",
        "CD2_1   =                  0.0",
        "CD2_2   =    5.9444444444E-05",
    ]
    systems = ("DET CHIP", "INS FILT", "TEL AMBI", "OBS TARG", "TPL STEP")
    cards += [
        f"HIERARCH ESO {systems[k % 5]}{k // 5} VALUE = {k * 1.25 + index % 7 * (k % 2):.6f} / [unit] telemetry {k}"
        for k in range(HIERARCH_CARDS)
    ]
    return [_card(card) for card in cards]


def _card(text: str) -> bytes:
    return text.encode().ljust(80)[:80]


def _padded(block: bytes, filler: bytes) -> bytes:
    return block + filler * (-len(block) % 2880)
