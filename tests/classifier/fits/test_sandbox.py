"""The reader's children: limited, reused, replaced; their death is one file's error."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from classifier.fits import keeper
from classifier.fits.content import CutSpec, FitsContent
from classifier.fits.errors import FitsError, TimedOutError, TooMuchMemoryError, UnreadableError
from classifier.fits.keeper import ReaderUnavailableError
from classifier.fits.limits import MIB, Limits
from classifier.fits.parsing import parse_file
from classifier.fits.sandbox import FitsReader
from tests.classifier.fits.files import WCS_CARDS, galaxy, write_image, write_spectrum


def child_pid(reader: FitsReader) -> int:
    process = reader._children[0]._process
    assert process is not None
    return process.pid


def test_the_child_gives_what_parsing_in_process_gives(tmp_path: Path) -> None:
    image, spectrum = write_image(tmp_path / "a.fits"), write_spectrum(tmp_path / "b.fits")
    with FitsReader() as reader:
        answers = [reader.read(path) for path in (image, spectrum)]
    expected = [parse_file(path, spec=CutSpec(), limits=Limits()) for path in (image, spectrum)]
    for answer, direct in zip(answers, expected, strict=True):
        assert (answer.facts, answer.sha256, answer.size_bytes) == (direct.facts, direct.sha256, direct.size_bytes)
    assert np.array_equal(answers[0].images[0].plane, expected[0].images[0].plane)
    assert answers[0].images[0].noise == expected[0].images[0].noise
    first, second = answers[1].spectrum, expected[1].spectrum
    assert first is not None
    assert second is not None
    assert np.array_equal(first.plane, second.plane)
    assert np.array_equal(first.flux, second.flux)
    assert first.wavelength_nm.dtype == np.float64


def test_children_are_reused_from_file_to_file(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.fits")
    with FitsReader() as reader:
        reader.read(path)
        before = child_pid(reader)
        reader.read(path)
        assert child_pid(reader) == before


def test_answers_come_in_the_order_of_the_paths(tmp_path: Path) -> None:
    paths = [write_image(tmp_path / f"{k:02d}.fits", cards=[("OBJECT", f"object {k}")]) for k in range(25)]
    with FitsReader(children=3) as reader:
        answers = list(reader.read_many(iter(paths)))
    assert [path for path, _ in answers] == paths
    assert [a.facts.object for _, a in answers if isinstance(a, FitsContent)] == [f"object {k}" for k in range(25)]


def test_a_spec_may_depend_on_the_path_and_be_large(tmp_path: Path) -> None:
    paths = [write_image(tmp_path / f"{k}.fits", galaxy(160, 200), WCS_CARDS) for k in range(4)]
    many = CutSpec(size_px=8, positions=((150.0, -30.0),) * 5000)
    with FitsReader(children=2) as reader:
        answers = list(reader.read_many(paths, spec=lambda path: many if path.name == "2.fits" else CutSpec()))
    counts = [len(a.images) for _, a in answers if isinstance(a, FitsContent)]
    assert counts == [1, 1, 5000, 1]


def test_a_child_killed_while_idle_costs_no_file(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.fits")
    with FitsReader() as reader:
        reader.read(path)
        pid = child_pid(reader)
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert reader.read(path).kind == "image"


def test_a_file_that_takes_too_much_processor_time_is_timed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "_CHILD_MODULE", "tests.classifier.fits.misbehaving_child")
    good = write_image(tmp_path / "good.fits")
    with FitsReader(limits=Limits(cpu_s=1, wall_s=60.0)) as reader:
        answers = dict(reader.read_many([tmp_path / "spin", good]))
    assert isinstance(answers[tmp_path / "spin"], TimedOutError)
    assert isinstance(answers[good], FitsContent)


def test_a_file_that_takes_too_long_is_timed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_CHILD_MODULE", "tests.classifier.fits.misbehaving_child")
    good = write_image(tmp_path / "good.fits")
    with FitsReader(limits=Limits(wall_s=1.0)) as reader:
        answers = dict(reader.read_many([tmp_path / "hang", good, tmp_path / "hang"]))
    assert isinstance(answers[tmp_path / "hang"], TimedOutError)
    assert isinstance(answers[good], FitsContent)


def test_a_child_that_counts_without_reading_is_timed_out_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_CHILD_MODULE", "tests.classifier.fits.misbehaving_child")
    good = write_image(tmp_path / "good.fits")
    with FitsReader(limits=Limits(wall_s=1.0)) as reader:
        answers = dict(reader.read_many([tmp_path / "restless", good]))
    assert isinstance(answers[tmp_path / "restless"], TimedOutError)
    assert isinstance(answers[good], FitsContent)


@pytest.mark.parametrize(
    ("deed", "error"),
    [
        ("crash", UnreadableError),
        ("exit", UnreadableError),
        ("babble", UnreadableError),
        ("memory", TooMuchMemoryError),
        ("killed", TooMuchMemoryError),
    ],
)
def test_a_file_that_brings_its_reader_down_is_one_named_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deed: str, error: type[FitsError]
) -> None:
    monkeypatch.setattr(keeper, "_CHILD_MODULE", "tests.classifier.fits.misbehaving_child")
    good = [write_image(tmp_path / f"{k}.fits") for k in range(4)]
    with FitsReader(children=2, limits=Limits(memory_bytes=1024 * MIB)) as reader:
        answers = [answer for _, answer in reader.read_many([good[0], tmp_path / deed, *good[1:]])]
    assert isinstance(answers[1], error)
    assert [isinstance(answer, FitsContent) for answer in answers] == [True, False, True, True, True]


def test_of_a_batch_only_the_files_at_fault_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_CHILD_MODULE", "tests.classifier.fits.misbehaving_child")
    paths = [write_image(tmp_path / f"{k:02d}.fits", galaxy(40, 40, seed=k)) for k in range(40)]
    bad = {3: "crash", 4: "babble", 20: "killed", 31: "exit", 35: "memory"}
    for place, deed in bad.items():
        paths[place] = tmp_path / str(place) / deed
    with FitsReader(limits=Limits(memory_bytes=1024 * MIB)) as reader:
        answers = [answer for _, answer in reader.read_many(paths)]
    assert {k for k, answer in enumerate(answers) if isinstance(answer, FitsError)} == set(bad)
    noise = [answer.images[0].noise for answer in answers if isinstance(answer, FitsContent)]
    assert len(set(noise)) == len(noise)


def test_what_finds_no_room_in_shared_memory_comes_through_the_pipe(tmp_path: Path) -> None:
    small = write_image(tmp_path / "a.fits", galaxy(40, 40))
    large = write_image(tmp_path / "b.fits", galaxy(160, 200), WCS_CARDS)
    many = CutSpec(positions=((150.0, -30.0),) * 100)
    with FitsReader() as reader:
        answers = [
            a for _, a in reader.read_many([small, large, small], spec=lambda p: many if p == large else CutSpec())
        ]
    direct = [parse_file(small, spec=CutSpec(), limits=Limits()), parse_file(large, spec=many, limits=Limits())]
    for answer, expected in zip(answers, [*direct, direct[0]], strict=True):
        assert isinstance(answer, FitsContent)
        assert len(answer.images) == len(expected.images)
        for one, other in zip(answer.images, expected.images, strict=True):
            assert np.array_equal(one.plane, other.plane)


def test_a_child_in_which_memory_has_leaked_is_replaced_at_no_files_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "_CHILD_MODULE", "tests.classifier.fits.misbehaving_child")
    good = [write_image(tmp_path / f"{k}.fits") for k in range(6)]
    with FitsReader(limits=Limits(memory_bytes=1024 * MIB)) as reader:
        reader.read(good[0])
        before = child_pid(reader)
        answers = [a for _, a in reader.read_many([tmp_path / "leak", *good, tmp_path / "leak", good[0]])]
        assert child_pid(reader) != before
    assert [isinstance(a, FitsContent) for a in answers] == [False, *[True] * 6, False, True]


def test_the_child_inherits_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    path = write_image(tmp_path / "a.fits")
    with FitsReader() as reader:
        reader.read(path)
        environment = Path(f"/proc/{child_pid(reader)}/environ")
        if not environment.exists():
            pytest.skip("no /proc here")
        assert b"secret" not in environment.read_bytes()


def test_a_batch_left_early_does_not_disturb_the_next(tmp_path: Path) -> None:
    paths = [write_image(tmp_path / f"{k}.fits", cards=[("OBJECT", f"object {k}")]) for k in range(6)]
    with FitsReader() as reader:
        batch = reader.read_many(paths)
        next(batch)
        with pytest.raises(RuntimeError, match="one batch"):
            reader.read(paths[5])
        batch.close()
        assert reader.read(paths[5]).facts.object == "object 5"


def test_a_fork_leaves_its_parents_children_alone(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.fits")
    with FitsReader() as reader:
        reader.read(path)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                status = 0 if reader.read(path).kind == "image" else 2
                reader.close()
            finally:
                os._exit(status)
        assert os.waitpid(pid, 0)[1] == 0
        assert reader.read(path).kind == "image"


def test_closing_ends_the_children(tmp_path: Path) -> None:
    with FitsReader() as reader:
        reader.read(write_image(tmp_path / "a.fits"))
        pid = child_pid(reader)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_child_that_cannot_start_is_no_files_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_CHILD_MODULE", "classifier.fits.absent")
    with FitsReader() as reader, pytest.raises(ReaderUnavailableError):
        reader.read(write_image(tmp_path / "a.fits"))
