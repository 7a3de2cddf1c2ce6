"""Make a whole survey: each file depends on (seed, kind, index) alone, however many processes share it."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np

from classifier.errors import EsocsError
from esocs.demo.survey.difficulty import Draw, Kind, draw_object, object_rng
from esocs.demo.survey.headers import image_cards, iso
from esocs.demo.survey.images import simulate_image
from esocs.demo.survey.observing import draw_image_conditions, draw_pointing
from esocs.demo.survey.spectra import simulate_spectrum
from esocs.demo.survey.tables import spectrum_file
from esocs.demo.survey.truth import TruthRow, write_truth
from esocs.demo.survey.writer import image_unit, write_atomically

Rng = np.random.Generator

_CHUNK: Final = 20
_PUBLISHED_FROM: Final[dict[Kind, datetime]] = {
    "image": datetime(2023, 4, 3, 7, 10, tzinfo=UTC),
    "spectrum": datetime(2025, 2, 10, 7, 10, tzinfo=UTC),
}


class InvalidSurveyError(EsocsError):
    """What was asked of the simulator makes no survey."""

    code = "invalid_survey"
    status = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class SurveySummary:
    """What was made.

    Attributes:
        directory: Where the FITS files lie.
        truth_path: Where truth.csv lies.
        images: Number of images.
        spectra: Number of spectra.
        classes: Number of objects of each (kind, class).
        hard: Number of objects whose difficulty is above 0.5.
        size_bytes: All files together.
        elapsed_s: Wall-clock time.
    """

    directory: Path
    truth_path: Path
    images: int
    spectra: int
    classes: dict[tuple[Kind, str], int]
    hard: int
    size_bytes: int
    elapsed_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class _Chunk:
    """Consecutive objects of one kind, the unit of work of a process."""

    kind: Kind
    first: int
    count: int
    directory: Path
    seed: int
    difficulty: float


def publication(*, kind: Kind, index: int, seed: int, rng: Rng) -> tuple[str, datetime]:
    """The product's dp_id and the moment it names; no two of a survey are the same."""
    start = int(np.random.default_rng([seed, 9]).integers(0, 5_000_000))
    moment = _PUBLISHED_FROM[kind] + timedelta(seconds=start + 7 * index, milliseconds=int(rng.integers(0, 6500)))
    return f"ADP.{iso(moment)}", moment


def make_image(draw: Draw, rng: Rng, *, dp_id: str, published: datetime, file_name: str) -> tuple[bytes, TruthRow]:
    """One image's file and truth."""
    conditions = draw_image_conditions(rng)
    image = simulate_image(draw, rng, conditions)
    cards = image_cards(conditions, rng, dp_id=dp_id, published=published, noise_area_px=image.noise_area_px)
    row = TruthRow(
        dp_id=dp_id,
        file_name=file_name,
        kind="image",
        class_name=draw.class_name,
        difficulty=draw.difficulty,
        signal_to_noise=image.signal_to_noise,
        seeing_arcsec=conditions.seeing_arcsec,
        redshift=None,
        second_class=image.second_class,
        detail=image.detail,
    )
    return image_unit(image.pixels, cards), row


def make_spectrum(draw: Draw, rng: Rng, *, dp_id: str, published: datetime, file_name: str) -> tuple[bytes, TruthRow]:
    """One spectrum's file and truth."""
    pointing = draw_pointing(rng, first_mjd=59215.0, nights=1300, exposure_range_s=(300, 1801))
    spectrum = simulate_spectrum(draw, rng, airmass=pointing.airmass)
    content = spectrum_file(spectrum, pointing, rng, dp_id=dp_id, published=published)
    row = TruthRow(
        dp_id=dp_id,
        file_name=file_name,
        kind="spectrum",
        class_name=draw.class_name,
        difficulty=draw.difficulty,
        signal_to_noise=spectrum.signal_to_noise,
        seeing_arcsec=None,
        redshift=spectrum.redshift,
        second_class=spectrum.second_class,
        detail=spectrum.detail,
    )
    return content, row


def make_object(*, kind: Kind, index: int, seed: int, difficulty: float) -> tuple[bytes, TruthRow]:
    """The file and the truth of one object, the same on every call."""
    draw = draw_object(kind=kind, index=index, seed=seed, hard_share=difficulty)
    rng = object_rng(kind=kind, index=index, seed=seed)
    dp_id, published = publication(kind=kind, index=index, seed=seed, rng=rng)
    make = make_image if kind == "image" else make_spectrum
    return make(draw, rng, dp_id=dp_id, published=published, file_name=dp_id.replace(":", "_") + ".fits")


def _make_chunk(chunk: _Chunk) -> tuple[_Chunk, list[TruthRow], int]:
    """Write one chunk's files; runs in a worker process."""
    rows: list[TruthRow] = []
    size_bytes = 0
    for index in range(chunk.first, chunk.first + chunk.count):
        content, row = make_object(kind=chunk.kind, index=index, seed=chunk.seed, difficulty=chunk.difficulty)
        write_atomically(chunk.directory / row.file_name, content)
        rows.append(row)
        size_bytes += len(content)
    return chunk, rows, size_bytes


def _run(chunks: list[_Chunk], *, processes: int) -> Iterator[tuple[_Chunk, list[TruthRow], int]]:
    if processes <= 1 or len(chunks) <= 1:
        yield from map(_make_chunk, chunks)
        return
    # spawned, not forked: the caller may be a server with threads
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=min(processes, len(chunks)), mp_context=context) as pool:
        for done in as_completed([pool.submit(_make_chunk, chunk) for chunk in chunks]):
            yield done.result()


def simulate(
    *,
    directory: Path,
    truth_path: Path,
    images: int,
    spectra: int,
    seed: int,
    difficulty: float = 0.1,
    processes: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> SurveySummary:
    """Write a simulated survey as FITS files, and its truth elsewhere.

    Args:
        directory: Where the files go, made if absent; a file of the same name is replaced.
        truth_path: Where truth.csv goes; not in ``directory``.
        images: How many images.
        spectra: How many spectra.
        seed: Not negative. An object depends on the seed, its kind and its index, on nothing else.
        difficulty: Share of objects that a careful reader would be unsure of, in [0, 1].
        processes: How many share the work.
        progress: Called with the number of files written so far and the number of all.

    Raises:
        InvalidSurveyError: a number is out of its range, or the truth would lie within the survey.
    """
    if min(images, spectra, seed) < 0 or not 0 <= difficulty <= 1:
        raise InvalidSurveyError("Counts and seed must not be negative and the difficulty must lie between 0 and 1.")
    if truth_path.resolve().is_relative_to(directory.resolve()):
        raise InvalidSurveyError(
            "The truth must not lie in the survey's directory.", hint="Give it a directory of its own."
        )
    started = time.monotonic()
    directory.mkdir(parents=True, exist_ok=True)
    counts: dict[Kind, int] = {"image": images, "spectrum": spectra}
    chunks = [
        _Chunk(
            kind=kind,
            first=first,
            count=min(_CHUNK, count - first),
            directory=directory,
            seed=seed,
            difficulty=difficulty,
        )
        for kind, count in counts.items()
        for first in range(0, count, _CHUNK)
    ]
    rows: dict[tuple[Kind, int], list[TruthRow]] = {}
    size_bytes = written = 0
    for chunk, chunk_rows, chunk_bytes in _run(chunks, processes=processes):
        rows[chunk.kind, chunk.first] = chunk_rows
        size_bytes += chunk_bytes
        written += len(chunk_rows)
        if progress is not None:
            progress(written, images + spectra)
    ordered = [row for key in sorted(rows) for row in rows[key]]
    write_truth(truth_path, ordered)
    return SurveySummary(
        directory=directory,
        truth_path=truth_path,
        images=images,
        spectra=spectra,
        classes=dict(Counter((row.kind, row.class_name) for row in ordered)),
        hard=sum(row.difficulty > 0.5 for row in ordered),
        size_bytes=size_bytes,
        elapsed_s=time.monotonic() - started,
    )
