"""Planes that a tiny network learns in seconds: blobs of three forms, spectra with and without a line."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from classifier.data import Question, Samples, votes_for

SHAPE = Question("T0", ("point", "bar", "disc"))
LINE = Question("T0", ("without", "with"))
TINY_IMAGE = {"stem_widths": [4, 8], "widths": [8, 16], "depths": [1, 1], "kernel_size": 3, "embedding_size": 16}
TINY_SPECTRUM = TINY_IMAGE


def blobs(count: int, *, seed: int = 0) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    y, x = np.mgrid[:128, :128] - 63.5
    planes = rng.normal(size=(count, 128, 128))
    for plane, label in zip(planes, labels, strict=True):
        angle = rng.uniform(0, np.pi)
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        length, width = ((3, 3), (25, 4), (16, 16))[label]
        plane[:] += rng.uniform(10, 30) * np.exp(-0.5 * ((along / length) ** 2 + (across / width) ** 2))
    return planes.astype(np.float16), labels


def lines(count: int, *, seed: int = 0) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    planes = np.ones((count, 2, 1024))
    planes[:, 0] += 0.1 * rng.normal(size=(count, 1024))
    for plane, label in zip(planes, labels, strict=True):
        if label:
            centre = rng.integers(100, 900)
            plane[0, centre : centre + 8] += 4
    return planes.astype(np.float16), labels


def blob_samples(count: int, *, seed: int = 0) -> Samples:
    planes, labels = blobs(count, seed=seed)
    return Samples(
        planes=planes,
        votes={SHAPE.name: votes_for(labels, answers=3)},
        questions=(SHAPE,),
        subject_ids=np.arange(100, 100 + count),
    )


def line_samples(count: int, *, seed: int = 0) -> Samples:
    planes, labels = lines(count, seed=seed)
    return Samples(
        planes=planes,
        votes={LINE.name: votes_for(labels, answers=2)},
        questions=(LINE,),
        subject_ids=np.arange(count),
    )
