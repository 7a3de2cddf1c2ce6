"""Crowd-labelled sets for the benchmarks: folders of votes.csv and truth.csv, or simulated where there are none."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from esocs.crowd.votes import Votes, first_votes

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class CrowdSet:
    """One set: (N,) votes as indices, repeats by the same volunteer left out, and (S,) truth, -1 where unknown."""

    name: str
    subject: Integers
    volunteer: Integers
    answer: Integers
    truth: Integers
    n_volunteers: int
    n_answers: int

    @property
    def n_subjects(self) -> int:
        return len(self.truth)

    @property
    def known(self) -> NDArray[np.bool_]:
        return self.truth >= 0

    def votes(self) -> Votes:
        """The votes, sorted."""
        return Votes.build(
            subject=self.subject,
            volunteer=self.volunteer,
            answer=self.answer,
            n_subjects=self.n_subjects,
            n_volunteers=self.n_volunteers,
            n_answers=self.n_answers,
        )

    def shares(self) -> NDArray[np.float64]:
        """(S, K) share of the votes for each answer; even where there are none."""
        counts = np.zeros((self.n_subjects, self.n_answers))
        np.add.at(counts, (self.subject, self.answer), 1)
        counts[counts.sum(axis=1) == 0] = 1
        return counts / counts.sum(axis=1, keepdims=True)


def sets_for(data: Path | None) -> list[CrowdSet]:
    """The sets in a folder, else in ESOCS_REAL_DATA, else simulated ones (said so)."""
    folder = data or Path(os.environ.get("ESOCS_REAL_DATA", "../shared/data")) / "crowd"
    folders = sorted(path.parent for path in folder.glob("*/votes.csv") if (path.parent / "truth.csv").exists())
    if folders:
        return [read(path) for path in folders]
    print(f"No folder with votes.csv and truth.csv in {folder}: simulated sets.")
    return [simulated(seed) for seed in range(4)]


def read(folder: Path) -> CrowdSet:
    """votes.csv (task, worker, label) and truth.csv (task, label); labels are integers from 0."""
    votes = np.loadtxt(folder / "votes.csv", delimiter=",", skiprows=1, dtype=np.int64, ndmin=2)
    truth = np.loadtxt(folder / "truth.csv", delimiter=",", skiprows=1, dtype=np.int64, ndmin=2)
    votes = votes[first_votes(votes[:, 0], votes[:, 1])]
    tasks, subject = np.unique(votes[:, 0], return_inverse=True)
    workers, volunteer = np.unique(votes[:, 1], return_inverse=True)
    known = np.full(len(tasks), -1)
    place = np.searchsorted(tasks, truth[:, 0])
    place[place == len(tasks)] = 0
    here = tasks[place] == truth[:, 0]
    known[place[here]] = truth[here, 1]
    return CrowdSet(
        name=folder.name,
        subject=subject,
        volunteer=volunteer,
        answer=votes[:, 2],
        truth=known,
        n_volunteers=len(workers),
        n_answers=int(max(votes[:, 2].max(), truth[:, 1].max())) + 1,
    )


def simulated(seed: int, *, n_subjects: int = 1500, n_volunteers: int = 120, per_subject: int = 9) -> CrowdSet:
    """Volunteers of diverse skill, a few who do most, and hard subjects on which all err alike."""
    rng = np.random.default_rng(seed)
    K = (2, 3, 5, 8)[seed % 4]
    truth = rng.integers(0, K, n_subjects)
    lure = (truth + rng.integers(1, K, n_subjects)) % K
    hard = rng.random(n_subjects) < 0.15
    activity = 1 / np.arange(1, n_volunteers + 1) ** 0.7
    chosen = [
        rng.choice(n_volunteers, per_subject, replace=False, p=activity / activity.sum()) for _ in range(n_subjects)
    ]
    volunteer = np.concatenate(chosen)
    subject = np.repeat(np.arange(n_subjects), per_subject)
    skill = rng.beta(5, 2, n_volunteers)
    right = rng.random(len(subject)) < np.where(hard[subject], 0.6, 1.0) * skill[volunteer]
    stray = (truth[subject] + rng.integers(1, K, len(subject))) % K
    wrong = np.where(rng.random(len(subject)) < 0.5, lure[subject], stray)
    return CrowdSet(
        name=f"simulated-{K}",
        subject=subject,
        volunteer=volunteer,
        answer=np.where(right, truth[subject], wrong),
        truth=truth,
        n_volunteers=n_volunteers,
        n_answers=K,
    )


def accuracy(p: NDArray[np.float64], truth: Integers) -> float:
    """Share of right answers, in percent, over subjects with known truth."""
    known = truth >= 0
    return 100 * float((p.argmax(axis=1) == truth)[known].mean())


def log_loss(p: NDArray[np.float64], truth: Integers) -> float:
    """Mean −ln p(truth), probabilities floored at 1e-6."""
    known = np.flatnonzero(truth >= 0)
    return float(-np.log(np.clip(p[known, truth[known]], 1e-6, 1)).mean())


def calibration_error(p: NDArray[np.float64], truth: Integers, *, bins: int = 15) -> float:
    """Expected calibration error of the leading answer, equal-width bins (Guo et al. 2017)."""
    known = truth >= 0
    confidence, right = p[known].max(axis=1), (p.argmax(axis=1) == truth)[known]
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    n, sure, hit = (np.bincount(place, weight, bins) for weight in (None, confidence, right))
    return float(np.abs(sure - hit).sum() / n.sum())
