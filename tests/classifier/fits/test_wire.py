"""What a child sends is checked on arrival: nonsense is an error, never an array that lies elsewhere."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from classifier.fits.block import SLOT_BYTES, SharedBlock, SlotWriter
from classifier.fits.content import CutSpec, FitsContent
from classifier.fits.limits import Limits
from classifier.fits.parsing import parse_file
from classifier.fits.wire import LENGTHS, Answers, decode_answers
from tests.classifier.fits.files import write_image


@pytest.fixture
def blocks() -> Iterator[tuple[SharedBlock, SharedBlock]]:
    """The reader's side and the child's."""
    descriptor = SharedBlock.create()
    pair = SharedBlock(descriptor), SharedBlock(descriptor, writable=True)
    yield pair
    os.close(descriptor)
    for block in pair:
        block.close()


def frame_of(path: Path, child: SharedBlock) -> tuple[Any, bytes, bytes]:
    answers = Answers(SlotWriter(child, 1))
    answers.add(parse_file(path, spec=CutSpec(), limits=Limits()))
    frame = answers.take_frame()
    head, texts, body = LENGTHS.unpack_from(frame)
    start = LENGTHS.size
    assert len(frame) == start + head + texts + body
    return json.loads(frame[start : start + head]), frame[start + head :][:texts], frame[start + head + texts :]


@pytest.mark.parametrize(
    "described",
    [
        None,
        ["<f2", [128, 128], SLOT_BYTES],
        ["<f2", [128, 128], SLOT_BYTES - 32_767],
        ["<f2", [128, 128], -4096],
        ["<f2", [-128, -128], 0],
        ["<f2", [1 << 40, 1 << 40], 0],
        ["<f2", [128, 128], 0, True],
        ["<f2", ["128", 128], 0],
        ["|O", [128, 128], 0],
        "plane",
        [],
    ],
    ids=repr,
)
def test_an_array_that_is_none_makes_no_sense(
    tmp_path: Path, blocks: tuple[SharedBlock, SharedBlock], described: Any
) -> None:
    ours, childs = blocks
    head, texts, body = frame_of(write_image(tmp_path / "a.fits"), childs)
    (good,) = decode_answers(json.dumps(head).encode(), texts, body, block=ours, slot=1)
    assert isinstance(good, FitsContent)
    head[0][1][0][0] = described
    with pytest.raises(ValueError, match=r".*"):
        decode_answers(json.dumps(head).encode(), texts, body, block=ours, slot=1)


@pytest.mark.parametrize(
    "head", [b"", b"{", b"[1]", b"[[]]", b"[null]", b'[{"error": []}]', b"[" * 100_000, b'"text"', b'[[["image"], []]]']
)
def test_a_head_that_is_none_makes_no_sense(blocks: tuple[SharedBlock, SharedBlock], head: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        decode_answers(head, b"", b"", block=blocks[0], slot=0)


def test_a_child_counts_the_files_that_it_begins_where_its_reader_sees_it(
    blocks: tuple[SharedBlock, SharedBlock],
) -> None:
    ours, childs = blocks
    assert ours.begun == 0
    childs.begun = 7
    assert ours.begun == 7
    with pytest.raises(TypeError):
        ours.begun = 8
