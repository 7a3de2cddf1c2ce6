"""The skill fit over partitions: an E step of each by map, their statistics summed in order, the M step here.

The same fit as `crowd.dawid_skene.fit_votes`; wherever the map runs, the bits are the same. What is shared with the
workers (each volunteer's logarithms) goes through the partitions' folder.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from esocs.crowd.dawid_skene import Fit, Skill, Statistics, expect, prior_strengths
from esocs.crowd.files.errors import PartitionsError
from esocs.crowd.files.mapping import Mapper, run_here
from esocs.crowd.files.partitions import Partitions
from esocs.crowd.files.tables import Names
from esocs.crowd.votes import InvalidVotesError, Votes, checked_log_prior

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class PartitionedFit:
    """A fit whose posteriors are in files.

    Attributes:
        fit: the skill of every volunteer; its `posterior` is (0, K).
        volunteers: (V,) names.
        answers: K labels.
        n_subjects: S, those with a vote.
        n_votes: first votes.
        repeats: votes left out.
        posteriors: a Parquet file a partition: subject, votes, probabilities (K, in the order of `answers`; not
            tempered).
    """

    fit: Fit
    volunteers: Names
    answers: tuple[str, ...]
    n_subjects: int
    n_votes: int
    repeats: int
    posteriors: tuple[Path, ...]


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What every map step of one fit needs to know."""

    partitions: Partitions
    scratch: Path
    gold: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    """What the driver learns of one partition: pairs that occur, subjects, votes and repeats."""

    pairs: NDArray[np.int64]
    n_subjects: int
    n_votes: int
    repeats: int


@dataclass(frozen=True, kw_only=True)
class _Pass:
    """One E step over all partitions."""

    job: _Job
    table: Path | None
    class_prior: NDArray[np.float32] | None
    posteriors: Path | None


def fit_partitions(
    folder: Path,
    *,
    mapper: Mapper = run_here,
    gold: Mapping[str, str] | None = None,
    strength: float = 8.0,
    anonymous_strength: float = 16.0,
    learn_strength: bool = True,
    iterations: int = 5,
    initial: PartitionedFit | None = None,
    posteriors: Path | None = None,
    on_progress: Progress | None = None,
) -> PartitionedFit:
    """`crowd.dawid_skene.fit` of votes that need not fit into memory.

    Memory here holds the volunteers' (V, K) and pairs' (U, K) tables and one partition's statistics; a worker holds one
    partition. A log prior is the partitions' own (`write_partitions`).

    Args:
        folder: what `write_partitions` wrote.
        mapper: where the E steps run.
        gold: experts' answers by subject; subjects without votes and labels that are no answers are passed over.
        strength: pseudo-votes, guessed.
        anonymous_strength: the same for anonymous sessions.
        learn_strength: learn the multiple of the strength, and the share of the pooled matrix.
        iterations: of EM.
        initial: an earlier fit to start from; volunteers are matched by name.
        posteriors: folder for the posteriors, `posteriors` below the partitions' by default.
        on_progress: is told how many of how many map steps are done.

    Raises:
        PartitionsError: partitions that are not whole, or an initial fit with other answers.
        InvalidVotesError: less than one iteration, or a strength or log prior that cannot be.
    """
    if iterations < 1:
        raise InvalidVotesError(f"{iterations} iterations fit nothing.", hint="At least one is needed.")
    partitions = Partitions.open(folder)
    passes = 1 + (initial is None) + iterations
    tell = _Counter(on_progress, total=passes * partitions.n_partitions)
    target = posteriors or folder / "posteriors"
    target.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="fit-", dir=folder))
    try:
        job = _Job(partitions=partitions, scratch=scratch, gold=dict(gold or {}))
        driver = _Driver.prepare(job, mapper=mapper, tell=tell)
        guessed = prior_strengths(
            partitions.anonymous(),
            n_volunteers=partitions.n_volunteers,
            strength=strength,
            anonymous_strength=anonymous_strength,
        )
        if initial is None:
            skill = driver.expectation(None).maximise(guessed, learning=False)
        else:
            skill = Skill.of(_renumbered(initial, partitions), driver.pairs, guessed)
        for iteration in range(iterations):
            last = iteration == iterations - 1
            statistics = driver.expectation(skill, posteriors=target if last else None)
            skill = statistics.maximise(guessed, learning=learn_strength, before=skill)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    fit = skill.to_fit(np.empty((0, len(partitions.answers)), np.float32), pairs=driver.pairs.pairs)
    return PartitionedFit(
        fit=fit,
        volunteers=partitions.volunteers(),
        answers=partitions.answers,
        n_subjects=driver.n_subjects,
        n_votes=driver.n_votes,
        repeats=driver.repeats,
        posteriors=tuple(_posterior_path(target, p) for p in range(partitions.n_partitions)),
    )


class _Counter:
    """Counts map steps as they come in."""

    def __init__(self, on_progress: Progress | None, *, total: int) -> None:
        self._on_progress = on_progress
        self._total = total
        self._done = 0

    def __call__(self) -> None:
        self._done += 1
        if self._on_progress:
            self._on_progress(self._done, self._total)


@dataclass(kw_only=True)
class _Driver:
    """The side of the fit that sees all partitions' sums, and none of their votes."""

    job: _Job
    mapper: Mapper
    tell: _Counter
    pairs: Votes
    n_subjects: int
    n_votes: int
    repeats: int
    passes: int = 0

    @classmethod
    def prepare(cls, job: _Job, *, mapper: Mapper, tell: _Counter) -> _Driver:
        """Sort every partition once, and find which pairs occur at all."""
        V, K = job.partitions.n_volunteers, len(job.partitions.answers)
        used = np.zeros(V * K, bool)
        n_subjects = n_votes = repeats = 0
        for part in mapper(partial(_prepare, job), range(job.partitions.n_partitions)):
            used[part.pairs] = True
            n_subjects += part.n_subjects
            n_votes += part.n_votes
            repeats += part.repeats
            tell()
        pairs = np.flatnonzero(used)
        np.save(job.scratch / "pairs.npy", pairs)
        nothing = np.zeros(0, np.int64)
        skeleton = Votes.build(
            subject=nothing, volunteer=nothing, answer=nothing, n_subjects=0, n_volunteers=V, n_answers=K, pairs=pairs
        )
        return cls(
            job=job,
            mapper=mapper,
            tell=tell,
            pairs=skeleton,
            n_subjects=n_subjects,
            n_votes=n_votes,
            repeats=repeats,
        )

    def expectation(self, skill: Skill | None, *, posteriors: Path | None = None) -> Statistics:
        """The sum of all partitions' E steps, taken in their order."""
        table = None
        if skill is not None:
            # A new name for each pass: a worker must never map an older table.
            table = self.job.scratch / f"table-{self.passes}.npy"
            np.save(table, skill.expected_log_likelihood(self.pairs))
        self.passes += 1
        this_pass = _Pass(
            job=self.job, table=table, class_prior=None if skill is None else skill.class_prior, posteriors=posteriors
        )
        K = self.pairs.n_answers
        pair_counts, class_counts = np.zeros((len(self.pairs.pairs), K)), np.zeros(K)
        steps: Iterator[_Sums] = self.mapper(partial(_expect_partition, this_pass), self._all())
        for place, counts, classes in steps:
            pair_counts[place] += counts
            class_counts += classes
            self.tell()
        if table is not None:
            table.unlink()
        return Statistics(self.pairs, pair_counts, class_counts)

    def _all(self) -> Sequence[int]:
        return range(self.job.partitions.n_partitions)


_Sums = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]


def _prepare(job: _Job, index: int) -> _Prepared:
    """Sort a partition's votes and keep them so: the E steps that follow only read."""
    part = job.partitions.load(index)
    votes = part.votes
    arrays = {name: getattr(votes, name) for name in _ARRAYS}
    gold = part.gold(job.gold, job.partitions.answers)
    if gold is not None:
        arrays["gold"] = gold
    prior = checked_log_prior(part.log_prior, votes)
    if prior is not None:
        arrays["log_prior"] = prior.astype(np.float32)
    np.savez(_prepared_path(job, index), **arrays)
    pq.write_table(pa.table({"subject": part.subjects}), _subjects_path(job, index))
    return _Prepared(
        pairs=votes.pairs, n_subjects=votes.n_subjects, n_votes=int(votes.per_pair.sum()), repeats=part.repeats
    )


def _expect_partition(this_pass: _Pass, index: int) -> _Sums:
    """The E step of one partition: places of its pairs among all, their counts, and the classes' counts."""
    job = this_pass.job
    with np.load(_prepared_path(job, index)) as stored:
        arrays = dict(stored)
    gold, log_prior = arrays.pop("gold", None), arrays.pop("log_prior", None)
    votes = Votes(**arrays, n_volunteers=job.partitions.n_volunteers, n_answers=len(job.partitions.answers))
    place = np.searchsorted(np.load(job.scratch / "pairs.npy", mmap_mode="r"), votes.pairs)
    table = None if this_pass.table is None else np.load(this_pass.table, mmap_mode="r")[place]
    posterior = np.empty((votes.n_subjects, votes.n_answers), np.float32)
    statistics = expect(
        votes,
        log_likelihood=table,
        class_prior=this_pass.class_prior,
        gold=gold,
        log_prior=log_prior,
        posterior=posterior,
        threads=1,  # partitions run beside one another already
    )
    if this_pass.posteriors is not None:
        subjects = pq.read_table(_subjects_path(job, index)).column("subject")
        probabilities = pa.FixedSizeListArray.from_arrays(pa.array(posterior.ravel()), votes.n_answers)
        columns = {"subject": subjects, "votes": votes.per_subject.astype(np.int32), "probabilities": probabilities}
        pq.write_table(pa.table(columns), _posterior_path(this_pass.posteriors, index))
    return place, statistics.pair_counts, statistics.class_counts


def _renumbered(initial: PartitionedFit, partitions: Partitions) -> Fit:
    """An earlier fit under these partitions' numbers of the volunteers; who has gone is left out."""
    if initial.answers != partitions.answers:
        raise PartitionsError(
            f"The initial fit has the answers {initial.answers}, the partitions {partitions.answers}.",
            hint="Start without it.",
        )
    fit, K = initial.fit, len(partitions.answers)
    new = pc.index_in(initial.volunteers, value_set=partitions.volunteers()).fill_null(-1).to_numpy().astype(np.int64)
    here = np.flatnonzero(new >= 0)
    volunteer_counts = np.zeros((partitions.n_volunteers, K), np.float32)
    volunteer_counts[new[here]] = fit.volunteer_counts[here]
    kept = np.flatnonzero(new[fit.pairs // K] >= 0)
    pairs = new[fit.pairs[kept] // K] * K + fit.pairs[kept] % K
    order = np.argsort(pairs)
    return replace(fit, pairs=pairs[order], pair_counts=fit.pair_counts[kept][order], volunteer_counts=volunteer_counts)


_ARRAYS = tuple(field.name for field in fields(Votes) if not field.name.startswith("n_"))


def _prepared_path(job: _Job, index: int) -> Path:
    return job.scratch / f"prepared-{index:05d}.npz"


def _subjects_path(job: _Job, index: int) -> Path:
    return job.scratch / f"subjects-{index:05d}.parquet"


def _posterior_path(folder: Path, index: int) -> Path:
    return folder / f"posterior-{index:05d}.parquet"
