"""Hostile input: every bad file gets its own name, mutated ones get one of a dozen, and nothing else happens."""

from __future__ import annotations

import gzip
import os
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from classifier.fits import keeper
from classifier.fits.content import CutSpec, FitsContent
from classifier.fits.errors import FITS_ERRORS, FitsError
from classifier.fits.limits import MIB, Limits
from classifier.fits.parsing import parse_file
from classifier.fits.sandbox import FitsReader
from tests.classifier.fits.files import bad_files, image_hdu, write_image
from tests.classifier.fits.mutations import mutate, originals

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


def test_a_pipe_is_a_named_error_that_nobody_waits_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.fits")
    assert refusal(tmp_path / "pipe.fits").code == "unreadable"


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


def test_mutated_files_are_read_or_refused_by_name_within_the_limits(tmp_path: Path) -> None:
    good = originals(tmp_path)
    paths = []
    for index in range(330):
        path = tmp_path / f"mutated_{index:03d}.fits"
        _, damaged = mutate(list(good.values())[index % len(good)], random.Random(index))
        path.write_bytes(damaged)
        paths.append(path)
    limits = Limits(cpu_s=5, wall_s=20.0, memory_bytes=1024 * MIB, expanded_bytes=256 * MIB)
    with FitsReader(children=2, limits=limits) as reader:
        answers = [answer for _, answer in reader.read_many(paths)]
    outcomes = Counter(answer.kind if isinstance(answer, FitsContent) else answer.code for answer in answers)
    assert outcomes.total() == len(paths)
    assert set(outcomes) <= {"image", "spectrum", *FITS_ERRORS}
    assert min(outcomes["image"], outcomes["spectrum"], outcomes["truncated"]) > 0
    assert not outcomes["timed_out"]
    assert not [answer for answer in answers if "made its reader" in str(answer)]


def test_the_files_that_are_mutated_are_good_ones(tmp_path: Path) -> None:
    for name, content in originals(tmp_path).items():
        path = tmp_path / f"{name}.fits"
        path.write_bytes(content)
        assert parse_file(path, spec=CutSpec(), limits=Limits()).kind in {"image", "spectrum"}


def test_a_number_that_is_none_is_refused_not_fatal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_CHILD_MODULE", "tests.classifier.fits.misbehaving_child")
    good, bad = write_image(tmp_path / "good.fits"), write_image(tmp_path / "nan")
    with FitsReader() as reader:
        first, second = (answer for _, answer in reader.read_many([bad, good]))
    assert isinstance(first, FitsError)
    assert first.code == "unreadable"
    assert "made its reader" not in first.message
    assert isinstance(second, FitsContent)
