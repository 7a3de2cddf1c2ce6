"""Accept thresholds of their own for strata of the archive and for rare answers, with one joint guarantee.

Pure numpy. A stratum is a part of the archive (an instrument, a filter); a group is what shares one threshold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from classifier.selection import (
    CalibrationSample,
    Certificate,
    Floats,
    SelectionInputError,
    certify_threshold,
    check_blind,
    grid_from_calibration,
    grid_from_pool,
    least_accepted,
)

ERRORS_FORGIVEN = 2
"""A stratum stands alone when its part of the sample could forgive so many errors: 628 subjects at 1 % and 5 %."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Subjects that share one threshold: of these strata, predicted to be this answer.

    Attributes:
        strata: Their names, in order; several are the small ones, pooled.
        answer: The predicted answer; None: every answer that has no level of its own.
        alpha: Largest error rate among the accepted of the group.
        sample_size: Calibration subjects in it.
    """

    strata: tuple[str, ...]
    answer: int | None
    alpha: float
    sample_size: int

    @property
    def pooled(self) -> bool:
        """Whether small strata were put together: what it promises holds for their mixture, not for each."""
        return len(self.strata) > 1


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Subjects as one model version scores them, with their strata.

    Attributes:
        scores: (N,) as in `CalibrationSample`.
        answers: (N,) the predicted answer of each.
        strata: (N,) the name of each one's stratum; all the same where the archive is not divided.
    """

    scores: Floats
    answers: NDArray[np.int64]
    strata: Sequence[str]

    def __post_init__(self) -> None:
        """Checks the lengths."""
        if not len(self.scores) == len(self.answers) == len(self.strata):
            raise SelectionInputError("Scores, answers and strata must be as many.")


def divide(
    sample: Scored, *, alpha: float, delta: float, alpha_by_answer: Mapping[int, float] | None = None
) -> list[Group]:
    """The groups of a calibration sample. It sees no labels, so that within a group these stay independent draws.

    A stratum stands alone where its part of the sample is large enough (`ERRORS_FORGIVEN`); the others are
    pooled. An answer with a level of its own has groups of its own, divided in the same way.

    Args:
        sample: The calibration subjects, without their labels.
        alpha: Largest error rate among the accepted, for every answer without a level of its own.
        delta: Level of the joint guarantee.
        alpha_by_answer: Answer → its own largest error rate among those accepted as that answer.

    Returns:
        Groups that together hold every (stratum, answer) seen; by answer, the pooled one last.
    """
    own = dict(alpha_by_answer or {})
    strata = np.asarray(sample.strata, dtype=object)
    acceptable = sample.scores >= 0
    groups = []
    for answer, level in [(None, alpha), *sorted(own.items())]:
        of_answer = ~np.isin(sample.answers, list(own)) if answer is None else sample.answers == answer
        sizes = {name: int((of_answer & acceptable & (strata == name)).sum()) for name in sorted(set(sample.strata))}
        enough = least_accepted(errors=ERRORS_FORGIVEN, alpha=level, delta=delta)
        alone = [name for name, size in sizes.items() if size >= enough]
        rest = tuple(name for name in sizes if name not in alone)
        parts = [(name,) for name in alone] + ([rest] if rest else [])
        groups += [
            Group(strata=names, answer=answer, alpha=level, sample_size=sum(sizes[name] for name in names))
            for names in parts
        ]
    return groups


def assign(groups: Sequence[Group], *, answers: ArrayLike, strata: Sequence[str]) -> NDArray[np.int64]:
    """(N,) the number of each subject's group; -1 where its stratum was not in the calibration sample.

    Args:
        groups: As from `divide`.
        answers: (N,) the predicted answers.
        strata: (N,) the strata's names.
    """
    own = {group.answer for group in groups if group.answer is not None}
    place = {(name, group.answer): number for number, group in enumerate(groups) for name in group.strata}
    predicted = np.asarray(answers, dtype=np.int64).tolist()
    return np.array(
        [
            place.get((name, answer if answer in own else None), -1)
            for name, answer in zip(strata, predicted, strict=True)
        ],
        dtype=np.int64,
    )


def certify_groups(
    sample: CalibrationSample,
    scored: Scored,
    *,
    groups: Sequence[Group],
    delta: float,
    trained_ids: ArrayLike,
    pool: Scored | None = None,
) -> list[Certificate]:
    """One certificate a group, such that with probability >= 1 - delta all of them hold together.

    delta is divided equally among the groups whose part of the sample can certify anything; each walks its own
    fixed sequence (`certify_threshold`) at its share. A group whose whole grid passes hands its share on to
    those still walking, in equal parts, and these walk on: the graphical procedure of Bretz, Maurer, Brannath &
    Posch (2009, Stat. Med. 28, 586), which keeps the probability of any false certificate at delta whatever the
    p-values depend on. Then the error among all accepted together is at most the largest alpha as well, being a
    weighted mean of the groups'.

    Args:
        sample: Reserved blind for the version that scored it.
        scored: The same subjects in the same order, with answers and strata.
        groups: As from `divide` of `scored`.
        delta: Largest probability that any of the certificates is false.
        trained_ids: Ids of all subjects that this version was trained or selected on.
        pool: Other subjects of the same version, for the grids; without, ranks of the sample's own scores.

    Returns:
        In the order of the groups; each certificate's `delta` is the share at which it was tested last.

    Raises:
        UnreservedCalibrationError: The sample was not reserved for this version.
        ContaminatedCalibrationError: Some of its subjects were trained on.
    """
    check_blind(sample, trained_ids=trained_ids)
    members = assign(groups, answers=scored.answers, strata=scored.strata)
    in_pool = None if pool is None else assign(groups, answers=pool.answers, strata=pool.strata)
    open_groups = _large_enough(groups, delta=delta)
    level = delta / max(len(open_groups), 1)
    shares = [level] * len(groups)
    grids: list[Floats] = []
    parts: list[CalibrationSample] = []
    for number, group in enumerate(groups):
        parts.append(_part(sample, members == number))
        theirs = np.empty(0) if pool is None or in_pool is None else pool.scores[in_pool == number]
        grids.append(_grid(parts[-1].scores, theirs, alpha=group.alpha, delta=level))
    certificates = [
        certify_threshold(part, alpha=group.alpha, delta=level, trained_ids=trained_ids, grid=grid)
        for part, group, grid in zip(parts, groups, grids, strict=True)
    ]
    walking = set(open_groups)
    while finished := [n for n in sorted(walking) if grids[n].size and _passed(certificates[n]) == grids[n].size]:
        walking -= set(finished)
        for n in walking:
            shares[n] += sum(shares[f] for f in finished) / len(walking)
            certificates[n] = certify_threshold(
                parts[n], alpha=groups[n].alpha, delta=shares[n], trained_ids=trained_ids, grid=grids[n]
            )
    return certificates


def _large_enough(groups: Sequence[Group], *, delta: float) -> list[int]:
    """Numbers of the groups that could certify anything at an equal share of delta; the others take no share."""
    able = list(range(len(groups)))
    while able:
        share = delta / len(able)
        still = [
            n for n in able if groups[n].sample_size >= least_accepted(errors=0, alpha=groups[n].alpha, delta=share)
        ]
        if still == able:
            break
        able = still
    return able


def _part(sample: CalibrationSample, chosen: NDArray[np.bool_]) -> CalibrationSample:
    return replace(
        sample,
        subject_ids=sample.subject_ids[chosen],
        scores=sample.scores[chosen],
        correct=sample.correct[chosen],
    )


def _grid(scores: Floats, pool_scores: Floats, *, alpha: float, delta: float) -> Floats:
    if not len(pool_scores):
        return grid_from_calibration(scores, alpha=alpha, delta=delta)
    return grid_from_pool(pool_scores, sample_size=len(scores), alpha=alpha, delta=delta)


def _passed(certificate: Certificate) -> int:
    return sum(step.p_value <= certificate.delta for step in certificate.steps)
