"""Packed shards: written whole or not at all, opened as what the ledger says or not at all."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from classifier.shards import DamagedShardError, digest_of, open_shard, write_shard


def planes(count: int, shape: tuple[int, ...] = (128, 128)) -> NDArray[np.float16]:
    return np.random.default_rng(0).normal(size=(count, *shape)).astype(np.float16)


@pytest.mark.parametrize("shape", [(128, 128), (2, 1024)])
def test_planes_come_back_bit_for_bit(tmp_path: Path, shape: tuple[int, ...]) -> None:
    original = planes(7, shape)
    path = tmp_path / "deep" / "shard.npy"
    digest = write_shard(path, original)
    shard = open_shard(path, sha256=digest)
    assert isinstance(shard, np.memmap)
    assert np.array_equal(shard, original)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert np.array_equal(np.load(path, allow_pickle=False), original)


def test_planes_that_lie_apart_make_the_shard_that_an_array_of_them_makes(tmp_path: Path) -> None:
    original = planes(4)
    apart = [plane[:, ::-1] for plane in original]
    assert digest_of(apart) == write_shard(tmp_path / "apart.npy", apart)
    assert digest_of(apart) == write_shard(tmp_path / "array.npy", original[:, :, ::-1])
    assert (tmp_path / "apart.npy").read_bytes() == (tmp_path / "array.npy").read_bytes()


def test_a_shard_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "shard.npy"
    write_shard(path, planes(2))
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="full"):
        write_shard(path, planes(3))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        [np.zeros((2, 2), dtype=np.float32)],
        [np.zeros((2, 2), dtype=np.float16), np.zeros((3, 2), dtype=np.float16)],
    ],
)
def test_planes_that_do_not_fit_are_refused(tmp_path: Path, wrong: list[NDArray[np.float16]]) -> None:
    with pytest.raises(ValueError, match=r"plane|Plane"):
        write_shard(tmp_path / "shard.npy", wrong)


def test_a_changed_shard_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "shard.npy"
    digest = write_shard(path, planes(2))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedShardError, match="SHA-256"):
        open_shard(path, sha256=digest)


def test_what_is_no_shard_is_refused(tmp_path: Path) -> None:
    cut = tmp_path / "cut.npy"
    write_shard(cut, planes(2))
    cut.write_bytes(cut.read_bytes()[:5000])
    pickled, other = tmp_path / "pickled.npy", tmp_path / "other.npy"
    np.save(pickled, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.save(other, np.zeros((3, 4, 4)))
    for path in (cut, pickled, other, tmp_path / "absent.npy"):
        with pytest.raises(DamagedShardError):
            open_shard(path)
