"""The simulated survey as planes and truth, for the benchmarks of networks: simulated, then read as ingest reads it."""

from __future__ import annotations

import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.data import Question, Samples, votes_for
from classifier.fits.content import CutSpec
from classifier.fits.limits import Limits
from classifier.fits.parsing import parse_file
from esocs.demo.survey.difficulty import IMAGE_CLASSES, SPECTRUM_CLASSES, Kind
from esocs.demo.survey.images import EASY_SIGNAL as IMAGE_SIGNAL
from esocs.demo.survey.simulation import make_object
from esocs.demo.survey.spectra import EASY_SIGNAL as SPECTRUM_SIGNAL

SEED = 2026
HARD_SHARE = 0.1
# What an expert's one answer counts in a training set (esocs/training/rules.py).
EXPERT_COUNTS = 3.0


@dataclass(frozen=True, kw_only=True)
class Sky:
    """N objects of one kind, the truth apart from the planes.

    Attributes:
        planes: (N, ...) float16, as the network takes them.
        labels: (N,) positions in `classes`.
        classes: In the order of the demonstration's workflow.
        above: (N,) whether the signal-to-noise lies above the one stated for its class (docs/simulated-survey.md).
        hard: (N,) whether a careful reader would be unsure.
        second: (N,) position of the class that it was or would be blended with.
    """

    planes: NDArray[np.float16]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    above: NDArray[np.bool_]
    hard: NDArray[np.bool_]
    second: NDArray[np.int64]

    def take(self, chosen: NDArray[Any]) -> Sky:
        """These objects, by positions or by a mask."""
        return Sky(
            planes=self.planes[chosen],
            labels=self.labels[chosen],
            classes=self.classes,
            above=self.above[chosen],
            hard=self.hard[chosen],
            second=self.second[chosen],
        )

    def samples(self) -> Samples:
        """As experts' answers to one question about the classes that occur."""
        present = np.unique(self.labels)
        question = Question("T0", tuple(self.classes[k] for k in present))
        votes = votes_for(np.searchsorted(present, self.labels), answers=len(present), count=EXPERT_COUNTS)
        return Samples(
            planes=self.planes, votes={"T0": votes}, questions=(question,), subject_ids=np.arange(len(self.labels))
        )


def simulate_sky(*, kind: Kind, count: int, first: int = 0, seed: int = SEED) -> Sky:
    """Objects `first` to `first + count` of the demonstration's survey, through FITS files that are read back."""
    classes = tuple(IMAGE_CLASSES if kind == "image" else SPECTRUM_CLASSES)
    signal = IMAGE_SIGNAL if kind == "image" else SPECTRUM_SIGNAL
    with ProcessPoolExecutor() as pool:
        made = list(pool.map(partial(_object, kind, seed), range(first, first + count), chunksize=25))
    rows = [row for _, row in made]
    return Sky(
        planes=np.stack([plane for plane, _ in made]),
        labels=np.array([classes.index(row.class_name) for row in rows]),
        classes=classes,
        above=np.array([row.signal_to_noise >= signal[row.class_name][0] for row in rows]),
        hard=np.array([row.difficulty > 0.5 for row in rows]),
        second=np.array([classes.index(row.second_class) for row in rows]),
    )


def _object(kind: Kind, seed: int, index: int) -> tuple[NDArray[np.float16], Any]:
    content, row = make_object(kind=kind, index=index, seed=seed, difficulty=HARD_SHARE)
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        path = Path(folder) / row.file_name
        path.write_bytes(content)
        found = parse_file(path, spec=CutSpec(), limits=Limits())
    if kind == "image":
        return found.images[0].plane, row
    assert found.spectrum is not None
    return found.spectrum.plane, row
