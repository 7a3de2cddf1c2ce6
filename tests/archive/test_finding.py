"""Which files an order to ingest means."""

from __future__ import annotations

from pathlib import Path

import pytest

from esocs.archive.services import NothingToIngestError, PathNotFoundError, find_files


def test_folders_are_searched_to_the_bottom_for_fits_names(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("a.fits", "deep/b.FIT", "deep/er/c.fits.fz", "deep/notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in find_files([tmp_path])] == ["a.fits", "b.FIT", "c.fits.fz"]


def test_a_named_file_is_taken_whatever_its_name(tmp_path: Path) -> None:
    odd = tmp_path / "download.php"
    odd.touch()
    assert find_files([odd]) == [odd]


def test_a_file_that_is_named_twice_is_one_file(tmp_path: Path) -> None:
    file = tmp_path / "a.fits"
    file.touch()
    assert find_files([file, tmp_path, file]) == [file]


def test_a_path_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(PathNotFoundError) as refused:
        find_files([tmp_path / "absent"])
    assert refused.value.code == "path_not_found"


def test_a_folder_without_fits_files_is_said(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(NothingToIngestError) as refused:
        find_files([tmp_path])
    assert refused.value.code == "nothing_to_ingest"
