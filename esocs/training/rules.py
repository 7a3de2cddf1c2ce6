"""What goes into a training set, and with which label and weight. Pure (DESIGN §5 Training)."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from classifier.errors import EsocsError

# One expert's answer speaks as loudly as a settled crowd: about what a retired subject has votes.
EXPERT_COUNTS = 3.0
# Weights outside this range would let a handful of subjects steer a training.
WEIGHT_RANGE = (0.25, 4.0)


class NothingToTrainOnError(EsocsError):
    """No labelled subject may be trained on."""

    code = "nothing_to_train_on"
    status = 409


class InvalidNetworkWishError(EsocsError):
    """There is no such network, or not for these subjects."""

    code = "invalid_network"
    status = 422


MOST_MEMBERS = 16


@dataclass(frozen=True, kw_only=True)
class NetworkWish:
    """Which network a training is to train.

    Attributes:
        size: a name of `classifier.networks.SIZES`.
        encoder: the name of one of timm's encoders instead; images only.
        members: networks of an ensemble, 1 to 16; each costs a whole training.
    """

    size: str = "yocto"
    encoder: str = ""
    members: int = 1

    def __post_init__(self) -> None:
        """Refuses a number of members that nobody can mean."""
        if isinstance(self.members, bool) or not isinstance(self.members, int) or not 1 <= self.members <= MOST_MEMBERS:
            raise InvalidNetworkWishError(f"An ensemble has 1 to {MOST_MEMBERS} members, not {self.members!r}.")

    @property
    def key(self) -> str:
        """What tells one wish from another in a job's key."""
        return f"{self.encoder or self.size}/{self.members}"


@dataclass(frozen=True, kw_only=True)
class LabelledSubject:
    """A subject with its soft label. `stratum` is the part of the archive it stands for."""

    subject_id: int
    source: str
    counts: tuple[float, ...]
    stratum: str


@dataclass(frozen=True, kw_only=True)
class ManifestRow:
    """One line of a training set's manifest."""

    subject_id: int
    source: str
    counts: tuple[float, ...]
    weight: float


def soft_label(posterior: Sequence[float], votes: Sequence[int]) -> tuple[float, ...]:
    """Effective vote counts: as many votes as were cast, shared out by the posterior, to three decimals."""
    cast = sum(votes)
    return tuple(round(p * cast, 3) for p in posterior)


def expert_label(answer: int, n_answers: int) -> tuple[float, ...]:
    """An expert's answer as vote counts."""
    return tuple(EXPERT_COUNTS if k == answer else 0.0 for k in range(n_answers))


def weigh(subjects: list[LabelledSubject], *, population: dict[str, int]) -> list[ManifestRow]:
    """Selection weights by post-stratification: each stratum weighs as much as it has subjects in the archive.

    Active learning labels the uncertain ones more often than they occur; without weights the network would learn that
    the sky is mostly uncertain. (Holt & Smith 1979, J. R. Stat. Soc. A 142, 33.)
    """
    labelled = Counter(subject.stratum for subject in subjects)
    total_labelled, total = len(subjects), sum(population.get(stratum, 0) for stratum in labelled) or 1
    low, high = WEIGHT_RANGE
    rows = []
    for subject in sorted(subjects, key=lambda s: s.subject_id):
        share_wanted = population.get(subject.stratum, 0) / total
        share_given = labelled[subject.stratum] / total_labelled
        weight = min(high, max(low, share_wanted / share_given)) if share_wanted else 1.0
        rows.append(
            ManifestRow(
                subject_id=subject.subject_id, source=subject.source, counts=subject.counts, weight=round(weight, 4)
            )
        )
    return rows


def manifest_sha256(*, workflow_id: int, task_key: str, class_names: list[str], rows: list[ManifestRow]) -> str:
    """The content's own name: the same subjects, labels and weights are the same training set."""
    lines = [json.dumps([workflow_id, task_key, class_names])]
    lines += [json.dumps([row.subject_id, row.source, row.counts, row.weight]) for row in rows]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
