"""Labelled subjects as arrays: what a training reads. Planes may stay in their shard; no torch here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from classifier.errors import EsocsError


class InvalidSamplesError(EsocsError):
    """The labelled subjects contradict themselves or the questions."""

    code = "invalid_samples"
    status = 422


@dataclass(frozen=True)
class Question:
    """One question of a workflow, with its answers in the workflow's order.

    Attributes:
        name: The task's key, for example "T0".
        answers: At least two distinct labels.
    """

    name: str
    answers: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuses a question that cannot be answered two ways."""
        object.__setattr__(self, "answers", tuple(self.answers))
        if len(self.answers) < 2 or len(set(self.answers)) != len(self.answers):
            raise InvalidSamplesError(f"The question {self.name!r} needs at least two distinct answers.")


@dataclass(frozen=True, kw_only=True)
class Samples:
    """N labelled subjects.

    Attributes:
        planes: (N, 128, 128) or (N, 2, 1024), float16 or float32; a memory map is read batch by batch.
        votes: Question name to (N, K) counts >= 0; a row of zeros was not asked that question.
        questions: The questions, at least one; their names are the keys of `votes`.
        subject_ids: (N,) distinct integers.
        selection_weights: (N,) > 0; one over the probability with which the subject was chosen;
            ones if omitted.
    """

    planes: NDArray[Any]
    votes: Mapping[str, NDArray[np.float32]]
    questions: tuple[Question, ...]
    subject_ids: NDArray[np.int64]
    selection_weights: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        """Checks every length and range once, so that nothing later has to."""
        count = len(self.planes)
        set_field = object.__setattr__
        set_field(self, "questions", tuple(self.questions))
        set_field(self, "subject_ids", np.asarray(self.subject_ids, dtype=np.int64))
        set_field(self, "votes", {name: np.asarray(v, dtype=np.float32) for name, v in self.votes.items()})
        weights = np.ones(count) if self.selection_weights is None else self.selection_weights
        set_field(self, "selection_weights", np.asarray(weights, dtype=np.float32))
        if not self.questions or {question.name for question in self.questions} != set(self.votes):
            raise InvalidSamplesError("The votes and the questions do not have the same names.")
        if self.subject_ids.shape != (count,) or len(np.unique(self.subject_ids)) != count:
            raise InvalidSamplesError("Every plane needs one subject id, and no id may repeat.")
        if self.weights.shape != (count,) or not (np.isfinite(self.weights).all() and (self.weights > 0).all()):
            raise InvalidSamplesError("Selection weights must be positive and as many as the planes.")
        for question in self.questions:
            votes = self.votes[question.name]
            if votes.shape != (count, len(question.answers)):
                raise InvalidSamplesError(
                    f"The votes on {question.name!r} have shape {votes.shape}, not ({count}, {len(question.answers)})."
                )
            if not np.isfinite(votes).all() or (votes < 0).any():
                raise InvalidSamplesError(f"The votes on {question.name!r} must be finite and not negative.")

    def __len__(self) -> int:
        return len(self.planes)

    @property
    def weights(self) -> NDArray[np.float32]:
        """The selection weights, never None."""
        assert self.selection_weights is not None
        return self.selection_weights

    def majority(self, question: str) -> NDArray[np.int64]:
        """(N,) index of the answer with most votes, the first of equals; -1 where nobody was asked."""
        votes = self.votes[question]
        return np.where(votes.sum(axis=1) > 0, votes.argmax(axis=1), -1).astype(np.int64)

    def take(self, indices: ArrayLike) -> Samples:
        """The subjects at these positions, in this order."""
        indices = np.asarray(indices, dtype=np.int64)
        return Samples(
            planes=self.planes[indices],
            votes={name: votes[indices] for name, votes in self.votes.items()},
            questions=self.questions,
            subject_ids=self.subject_ids[indices],
            selection_weights=self.weights[indices],
        )


def votes_for(labels: Sequence[int] | NDArray[Any], *, answers: int, count: float = 1.0) -> NDArray[np.float32]:
    """(N,) expert answers as (N, K) vote counts of `count` each; a negative label stands for no answer."""
    labels = np.asarray(labels, dtype=np.int64)
    votes = np.zeros((len(labels), answers), dtype=np.float32)
    answered = labels >= 0
    votes[np.flatnonzero(answered), labels[answered]] = count
    return votes


def split_hold_out(samples: Samples, *, share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions to train on and positions to hold out, the same share of every answer to the first question.

    An answer with a single subject is trained on: it would measure nothing held out.
    """
    rng = np.random.default_rng(seed)
    labels = samples.majority(samples.questions[0].name)
    held_out: list[NDArray[np.int64]] = []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        held_out.append(members[: min(round(share * len(members)), len(members) - 1)])
    hold_out = np.sort(np.concatenate(held_out)) if held_out else np.empty(0, dtype=np.int64)
    return np.setdiff1d(np.arange(len(samples)), hold_out), hold_out


def training_weights(
    labels: NDArray[np.int64], selection_weights: NDArray[np.float32], *, class_balance: float
) -> NDArray[np.float32]:
    """(N,) weights of mean one: selection weight times (1 / frequency of the answer) ** class_balance.

    Args:
        labels: (N,) answers to the first question.
        selection_weights: (N,) one over the probability with which each subject was chosen.
        class_balance: 0 keeps the frequencies, 1 gives every answer the same weight.
    """
    _, position, counts = np.unique(labels, return_inverse=True, return_counts=True)
    weights = selection_weights * (1.0 / counts[position]) ** class_balance
    return np.asarray(weights / weights.mean(), dtype=np.float32)


def shuffled_batches(
    *, count: int, batch_size: int, steps: int, rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """`steps` batches of positions; every subject is seen once before any is seen twice."""
    order = rng.permutation(count)
    for _ in range(steps):
        while len(order) < batch_size:
            order = np.concatenate([order, rng.permutation(count)])
        batch, order = order[:batch_size], order[batch_size:]
        # Sorted, so that a memory-mapped shard is read forwards.
        yield np.sort(batch)
