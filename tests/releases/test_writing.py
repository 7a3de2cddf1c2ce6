"""The file of an export: whole or not there, the same bytes for the same rows, and never a value changed."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esocs.releases import writing
from esocs.releases.writing import csv_line, write_csv

AWKWARD = ["a,b", 'say "no"', "line\nfeed", "carriage\rreturn", "🌌 ünï", "=1+1", "+1", "-1", "@x", " blank ", ""]


def _read(path: Path) -> list[list[str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_every_value_is_read_back_as_it_was(tmp_path: Path) -> None:
    written = write_csv(folder=tmp_path, name="x", header=["n", "text"], rows=enumerate(AWKWARD))
    assert _read(written.path) == [["n", "text"], *([str(n), text] for n, text in enumerate(AWKWARD))]
    assert written.row_count == len(AWKWARD)


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=2, max_size=2)))
def test_any_text_is_read_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]) -> None:
    folder = tmp_path_factory.mktemp("any")
    written = write_csv(folder=folder, name="x", header=["a", "b"], rows=rows)
    assert _read(written.path)[1:] == rows


@given(st.lists(st.none() | st.integers() | st.text(alphabet='a",\r\n é🌌=') | st.text(), min_size=2))
def test_a_line_is_what_the_standard_library_writes(row: list[str | int | None]) -> None:
    output = io.StringIO()
    # Asked for CR LF, it quotes a carriage return inside a value.
    csv.writer(output, lineterminator="\r\n").writerow(row)
    assert csv_line(row) == output.getvalue()[:-2] + "\n"


def test_lines_end_in_a_line_feed_and_values_are_quoted_only_where_needed(tmp_path: Path) -> None:
    written = write_csv(folder=tmp_path, name="x", header=["a", "b"], rows=[[1, 'x"y'], [None, "z"]])
    assert gzip.decompress(written.path.read_bytes()) == b'a,b\n1,"x""y"\n,z\n'


def test_the_hash_and_the_size_are_of_the_plain_text(tmp_path: Path) -> None:
    written = write_csv(folder=tmp_path, name="x", header=["a"], rows=[[n] for n in range(1000)])
    plain = gzip.decompress(written.path.read_bytes())
    assert hashlib.sha256(plain).hexdigest() == written.sha256
    assert len(plain) == written.size_bytes


def test_the_same_rows_are_the_same_file(tmp_path: Path) -> None:
    first, second = (write_csv(folder=tmp_path / name, name="x", header=["a"], rows=[["é"]]) for name in ("one", "two"))
    assert first.path.name == second.path.name
    assert first.path.read_bytes() == second.path.read_bytes()


def test_a_failure_in_the_middle_leaves_nothing_behind(tmp_path: Path) -> None:
    def rows() -> Iterator[list[str]]:
        yield ["x" * writing.PIECE_BYTES]
        raise RuntimeError("the cursor broke")

    with pytest.raises(RuntimeError, match="the cursor broke"):
        write_csv(folder=tmp_path, name="x", header=["a"], rows=rows())
    assert list(tmp_path.iterdir()) == []


def test_text_that_is_no_unicode_fails_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_csv(folder=tmp_path, name="x", header=["a"], rows=[["\ud800"]])
    assert list(tmp_path.iterdir()) == []


def test_progress_is_reported_now_and_then(tmp_path: Path) -> None:
    seen: list[int] = []
    write_csv(folder=tmp_path, name="x", header=["a"], rows=([n] for n in range(12_000)), on_progress=seen.append)
    assert seen == [5_000, 10_000]


def test_many_large_pieces_pass_through_whole(tmp_path: Path) -> None:
    lines = [[f"{n}", "y" * 50_000] for n in range(200)]
    written = write_csv(folder=tmp_path, name="x", header=["n", "y"], rows=iter(lines))
    assert _read(written.path)[1:] == lines
