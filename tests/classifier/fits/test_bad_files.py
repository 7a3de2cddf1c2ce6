"""Hostile input: every bad file gets its own name, mutated ones get one of a dozen, and nothing else happens."""

from __future__ import annotations

import gzip
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from classifier.fits.content import CutSpec, FitsContent
from classifier.fits.errors import FITS_ERRORS, FitsError
from classifier.fits.limits import MIB, Limits
from classifier.fits.parsing import parse_file
from classifier.fits.sandbox import FitsReader
from tests.classifier.fits.files import bad_files, galaxy, image_hdu, write_image, write_spectrum

BAD_FILES = bad_files()


def refusal(path: Path, limits: Limits | None = None) -> FitsError:
    with pytest.raises(FitsError) as caught:
        parse_file(path, spec=CutSpec(), limits=limits or Limits())
    return caught.value


def test_there_are_at_most_a_dozen_errors() -> None:
    assert len(FITS_ERRORS) <= 12
    assert all(error.code == code for code, error in FITS_ERRORS.items())


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    content, code = BAD_FILES[name]
    path = tmp_path / f"{name}.fits"
    path.write_bytes(content)
    error = refusal(path)
    assert (error.code, error.status) == (code, 422)
    assert error.message


def test_a_missing_file_is_a_named_error(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent.fits").code == "unreadable"


def test_a_folder_is_a_named_error(tmp_path: Path) -> None:
    assert refusal(tmp_path).code == "unreadable"


def test_a_file_above_the_size_limit_is_not_opened(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.fits")
    assert refusal(path, Limits(file_bytes=10_000)).code == "implausible_size"


def test_a_gzipped_blank_of_harmless_size_is_no_bomb(tmp_path: Path) -> None:
    path = tmp_path / "blank.fits.gz"
    path.write_bytes(gzip.compress(image_hdu(np.zeros((1000, 1000), dtype=np.float32)), 9))
    assert parse_file(path, spec=CutSpec(), limits=Limits()).kind == "image"


def test_a_batch_goes_on_after_every_bad_file(tmp_path: Path) -> None:
    paths, expected = [], []
    for name, (content, code) in BAD_FILES.items():
        bad, good = tmp_path / f"{name}.fits", tmp_path / f"{name}_good.fits"
        bad.write_bytes(content)
        write_image(good)
        paths += [bad, good]
        expected += [code, "image"]
    with FitsReader(children=2) as reader:
        answers = list(reader.read_many(paths))
    assert [path for path, _ in answers] == paths
    assert [a.kind if isinstance(a, FitsContent) else a.code for _, a in answers] == expected


def mutate(content: bytes, rng: random.Random) -> bytes:
    """Damage as it happens and as an attacker makes it: bits, cuts, doubled blocks, structural cards."""
    damaged = bytearray(content)
    way = rng.randrange(6)
    if way == 0:
        for _ in range(rng.choice([1, 10, 1000])):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
    elif way == 1:
        del damaged[rng.randrange(len(damaged)) :]
    elif way == 2:
        start = rng.randrange(len(damaged))
        damaged[start:start] = damaged[start : start + rng.randrange(1, 6000)]
    elif way == 3:
        start = rng.randrange(len(damaged))
        del damaged[start : start + rng.randrange(1, 6000)]
    else:
        names = (b"NAXIS", b"BITPIX", b"PCOUNT", b"TFORM", b"ZTILE", b"ZVAL", b"TFIELDS", b"THEAP", b"CRVAL", b"BZERO")
        cards = [k for k in range(0, min(len(damaged), 23040), 80) if damaged[k : k + 80].startswith((*names, b"Z"))]
        value = rng.choice(["-1", "0", "1", "7", "999", "65536", "1E19", "9" * 19, "T", "'x'", "NaN", "1E308", ""])
        for start in rng.sample(cards, min(len(cards), rng.randrange(1, 3))):
            damaged[start + 8 : start + 80] = f"= {value:>20}".encode().ljust(72)
    return bytes(damaged)


def seeds(folder: Path) -> list[bytes]:
    """One good file of every sort that is read in a way of its own."""
    import fitsio

    compressed = folder / "seed.fits.fz"
    with fitsio.FITS(str(compressed), "rw") as file:
        file.write(galaxy(200, 150), compress="rice", qlevel=4)
        file.write(galaxy(64, 64).astype(np.int16), compress="gzip")
    plain = write_image(folder / "seed.fits").read_bytes()
    spectrum = write_spectrum(folder / "spectrum.fits").read_bytes()
    return [plain, spectrum, compressed.read_bytes(), gzip.compress(spectrum)]


def test_mutated_files_are_read_or_refused_by_name_within_the_limits(tmp_path: Path) -> None:
    rng = random.Random(20261122)
    originals = seeds(tmp_path)
    paths = []
    for index in range(240):
        path = tmp_path / f"mutated_{index:03d}.fits"
        path.write_bytes(mutate(originals[index % len(originals)], rng))
        paths.append(path)
    limits = Limits(cpu_s=5, wall_s=20.0, memory_bytes=1024 * MIB, expanded_bytes=256 * MIB)
    with FitsReader(children=2, limits=limits) as reader:
        outcomes = Counter(
            answer.kind if isinstance(answer, FitsContent) else answer.code for _, answer in reader.read_many(paths)
        )
    assert outcomes.total() == len(paths)
    assert set(outcomes) <= {"image", "spectrum", *FITS_ERRORS}
    assert min(outcomes["image"], outcomes["spectrum"], outcomes["truncated"]) > 0
    assert not outcomes["timed_out"]
