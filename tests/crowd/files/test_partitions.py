"""The fit over partitions is the fit in memory, wherever it runs, and needs no more of it for more partitions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esocs.crowd.dawid_skene import Fit, fit_votes, prior_strengths
from esocs.crowd.files.errors import ExtraMissingError, PartitionsError
from esocs.crowd.files.mapping import process_mapper
from esocs.crowd.files.partitioned_fit import PartitionedFit, fit_partitions
from esocs.crowd.files.partitions import Partitions, write_partitions
from esocs.crowd.files.reading import read_gold, read_votes, stream_votes
from esocs.crowd.files.tables import QuestionTable, ReadReport, gold_of
from esocs.crowd.votes import InvalidVotesError

ANSWERS = np.array(["galaxy", "quasar", "star"])


def simulated(*, S: int = 500, V: int = 40, per_subject: int = 6, seed: int = 1) -> pa.RecordBatch:
    """Votes of volunteers right in half to nearly all cases, some of them without an account."""
    rng = np.random.default_rng(seed)
    truth, skill = rng.integers(0, 3, S), rng.uniform(0.5, 0.95, V)
    subject = np.repeat(np.arange(S), per_subject)
    volunteer = rng.integers(0, V, len(subject))
    right = rng.random(len(subject)) < skill[volunteer]
    answer = np.where(right, truth[subject], (truth[subject] + rng.integers(1, 3, len(subject))) % 3)
    names = np.array([f"not-logged-in-{v}" if v % 4 == 0 else f"user {v}" for v in range(V)])
    return pa.record_batch({"subject": subject.astype(str), "volunteer": names[volunteer], "answer": ANSWERS[answer]})


def in_memory(batch: pa.RecordBatch, folder: Path, gold: dict[str, str] | None = None) -> tuple[QuestionTable, Fit]:
    pq.write_table(pa.Table.from_batches([batch]), folder / "votes.parquet")
    return fitted_file(folder / "votes.parquet", gold)


def fitted_file(path: Path, gold: dict[str, str] | None = None) -> tuple[QuestionTable, Fit]:
    table, _ = read_votes(path)
    gathered = table.gathered()
    strength = prior_strengths(table.anonymous, n_volunteers=len(table.volunteers))
    known = gold_of(table.subjects, gold=gold or {}, answers=table.answers)
    return table, fit_votes(gathered.votes, strength=strength, gold=known)


def posteriors(fit: PartitionedFit, subjects: pa.Array) -> np.ndarray:
    """(S, K) in the order of the subjects."""
    table = pa.concat_tables([pq.read_table(path) for path in fit.posteriors])
    place = pc.index_in(subjects, value_set=table.column("subject").combine_chunks()).to_numpy()
    return np.stack(table.column("probabilities").to_numpy())[place]


def assert_same_fit(fit: PartitionedFit, table: QuestionTable, local: Fit, *, tolerance: float = 1e-5) -> None:
    p = posteriors(fit, table.subjects)
    assert (p.argmax(axis=1) == local.posterior.argmax(axis=1)).all()
    assert np.abs(p - local.posterior).max() < tolerance
    assert fit.volunteers.to_pylist() == table.volunteers.to_pylist()
    assert fit.answers == table.answers
    assert np.abs(fit.fit.confusion - local.confusion).max() < tolerance
    # Carried along without a vote or left out: a pair that nobody gave counts nothing.
    assert (fit.fit.pairs == local.pairs[np.isin(local.pairs, fit.fit.pairs)]).all()
    assert fit.n_votes == len(table.answer)


@pytest.mark.parametrize("n_partitions", [1, 2, 7, 60])
def test_partitions_fit_as_memory_does(tmp_path: Path, n_partitions: int) -> None:
    batch = simulated()
    table, local = in_memory(batch, tmp_path)
    write_partitions([batch], tmp_path / "parts", n_partitions=n_partitions)
    assert_same_fit(fit_partitions(tmp_path / "parts"), table, local)


def test_gold_teaches_partitions_as_it_does_memory(tmp_path: Path) -> None:
    batch = simulated()
    gold = {str(s): str(ANSWERS[s % 3]) for s in range(0, 300, 2)} | {"no such subject": "star", "1": "no such answer"}
    table, local = in_memory(batch, tmp_path, gold)
    write_partitions([batch], tmp_path / "parts", n_partitions=5)
    assert_same_fit(fit_partitions(tmp_path / "parts", gold=gold), table, local)


def test_the_machines_opinion_reaches_every_partition(tmp_path: Path) -> None:
    batch = simulated(S=60)
    opinions = np.random.default_rng(3).normal(size=(60, 3))
    table, _ = in_memory(batch, tmp_path)
    names = [str(s) for s in range(60)]
    priors = pa.record_batch({"subject": names, "log_prior": opinions.tolist()})
    write_partitions([batch], tmp_path / "parts", n_partitions=4, log_priors=[priors])
    order = [names.index(name) for name in table.subjects.to_pylist()]
    strength = prior_strengths(table.anonymous, n_volunteers=len(table.volunteers))
    local = fit_votes(table.gathered().votes, strength=strength, log_prior=opinions[order])
    assert_same_fit(fit_partitions(tmp_path / "parts"), table, local)


def test_a_subject_without_the_machines_opinion_is_an_error_where_others_have_one(tmp_path: Path) -> None:
    priors = pa.record_batch({"subject": ["0"], "log_prior": [[0.0, 0.0, 0.0]]})
    write_partitions([simulated(S=2)], tmp_path / "parts", n_partitions=1, log_priors=[priors])
    with pytest.raises(PartitionsError, match="Subject 1 has no log prior"):
        fit_partitions(tmp_path / "parts")


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_the_order_and_the_batches_of_the_votes_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, seed: int, n_batches: int
) -> None:
    folder = tmp_path_factory.mktemp("order")
    table = pa.Table.from_batches([simulated(S=50)])
    keys = np.array(
        [f"{s} {v}" for s, v in zip(table["subject"].to_pylist(), table["volunteer"].to_pylist(), strict=True)]
    )
    # A volunteer's repeats aside: of them the first counts, so their order does matter.
    table = table.take(np.unique(keys, return_index=True)[1])
    shuffled = table.take(np.random.default_rng(seed).permutation(len(table)))
    write_partitions(table.to_batches(), folder / "a", n_partitions=3)
    write_partitions(shuffled.to_batches(max_chunksize=len(table) // n_batches), folder / "b", n_partitions=3)
    one, other = fit_partitions(folder / "a"), fit_partitions(folder / "b")
    assert_bit_equal(one, other)


def assert_bit_equal(one: PartitionedFit, other: PartitionedFit) -> None:
    for name in ("class_prior", "pooled", "shrinkage", "pairs", "pair_counts", "volunteer_counts", "strength"):
        assert getattr(one.fit, name).tobytes() == getattr(other.fit, name).tobytes(), name
    assert one.fit.factor == other.fit.factor
    assert one.volunteers == other.volunteers
    for here, there in zip(one.posteriors, other.posteriors, strict=True):
        assert pq.read_table(here) == pq.read_table(there)


def test_the_first_of_repeated_votes_counts(tmp_path: Path) -> None:
    votes = {"subject": ["s", "s", "t"], "volunteer": ["u", "u", "u"], "answer": ["yes", "no", "no"]}
    write_partitions([pa.record_batch(votes)], tmp_path / "parts", n_partitions=2)
    fit = fit_partitions(tmp_path / "parts")
    assert (fit.n_votes, fit.repeats, fit.n_subjects) == (2, 1, 2)


def test_an_earlier_fit_is_a_start_though_volunteers_have_come_and_gone(tmp_path: Path) -> None:
    earlier, later = simulated(V=40), simulated(V=60, seed=2)
    gone = later.filter(pc.not_equal(later["volunteer"], "user 1"))
    write_partitions([earlier], tmp_path / "a", n_partitions=3)
    write_partitions([gone], tmp_path / "b", n_partitions=4)
    first = fit_partitions(tmp_path / "a")
    cold = fit_partitions(tmp_path / "b", iterations=20)
    warm = fit_partitions(tmp_path / "b", iterations=20, initial=first)
    assert np.abs(warm.fit.confusion - cold.fit.confusion).max() < 0.01
    again = fit_partitions(tmp_path / "a", initial=first, iterations=1)
    longer = fit_partitions(tmp_path / "a", iterations=6)
    assert np.abs(again.fit.confusion - longer.fit.confusion).max() < 1e-5


def test_a_start_with_other_answers_is_an_error(tmp_path: Path) -> None:
    votes = pa.record_batch({"subject": ["s"], "volunteer": ["u"], "answer": ["yes"]})
    write_partitions([simulated()], tmp_path / "a", n_partitions=2)
    write_partitions([votes], tmp_path / "b", n_partitions=1)
    with pytest.raises(PartitionsError, match="The initial fit has the answers"):
        fit_partitions(tmp_path / "b", initial=fit_partitions(tmp_path / "a"))


def test_partitions_that_are_not_whole_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PartitionsError, match="no whole set"):
        fit_partitions(tmp_path)
    write_partitions([simulated()], tmp_path / "parts", n_partitions=2)
    with pytest.raises(PartitionsError, match="is not empty"):
        write_partitions([simulated()], tmp_path / "parts", n_partitions=2)
    with pytest.raises(InvalidVotesError, match="0 iterations"):
        fit_partitions(tmp_path / "parts", iterations=0)
    next((tmp_path / "parts").glob("votes-*")).write_bytes(b"damaged")
    with pytest.raises(PartitionsError, match="missing or damaged"):
        fit_partitions(tmp_path / "parts")
    assert not list((tmp_path / "parts").glob("fit-*"))


def test_no_votes_are_no_error(tmp_path: Path) -> None:
    partitions = write_partitions([], tmp_path / "parts", n_partitions=2, more_answers=["yes"])
    assert partitions == Partitions.open(tmp_path / "parts")
    assert fit_partitions(tmp_path / "parts").n_votes == 0


def test_the_same_votes_make_the_same_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_partitions([simulated()], tmp_path / name, n_partitions=3)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)


def test_progress_is_told_to_its_end(tmp_path: Path) -> None:
    write_partitions([simulated()], tmp_path / "parts", n_partitions=3)
    told: list[tuple[int, int]] = []
    fit_partitions(tmp_path / "parts", iterations=2, on_progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 12) for done in range(1, 13)]


def test_processes_make_the_same_bits(tmp_path: Path) -> None:
    write_partitions([simulated()], tmp_path / "parts", n_partitions=5)
    here = fit_partitions(tmp_path / "parts", posteriors=tmp_path / "here")
    with process_mapper(2) as mapper:
        there = fit_partitions(tmp_path / "parts", mapper=mapper, posteriors=tmp_path / "there")
    assert_bit_equal(here, there)


# It warns too when the disk is slow to make its folders, which says nothing about the bits.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore:Creating scratch directories:UserWarning")
def test_a_dask_cluster_makes_the_same_bits(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    from esocs.crowd.files.dask_mapper import dask_mapper

    write_partitions([simulated()], tmp_path / "parts", n_partitions=5)
    here = fit_partitions(tmp_path / "parts", posteriors=tmp_path / "here")
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            worker_dashboard_address=None,
            local_directory=str(tmp_path),
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        there = fit_partitions(tmp_path / "parts", mapper=dask_mapper(client), posteriors=tmp_path / "there")
    assert_bit_equal(here, there)


def test_a_missing_extra_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from esocs.crowd.files.dask_mapper import dask_mapper

    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ExtraMissingError, match=r"pip install 'esocs\[dask\]'"):
        dask_mapper(None)


@pytest.mark.parametrize("name", ["adult", "dog", "rte", "trec"])
def test_public_crowds_fit_in_partitions_as_in_memory(tmp_path: Path, real_data: Path, name: str) -> None:
    folder = real_data / "crowd" / name
    gold = read_gold(folder / "truth.csv")[""]
    tenth = {subject: gold[subject] for subject in sorted(gold)[::10]}
    table, local = fitted_file(folder / "votes.csv", tenth)
    write_partitions(stream_votes(folder / "votes.csv", report=ReadReport()), tmp_path / "parts", n_partitions=8)
    # The E step is of single precision, and rare answers magnify its last digits: up to 2e-5 were seen.
    assert_same_fit(fit_partitions(tmp_path / "parts", gold=tenth), table, local, tolerance=1e-4)


PEAK = """
import resource, sys
from pathlib import Path
import numpy as np, pyarrow as pa
from esocs.crowd.files.partitions import write_partitions
from esocs.crowd.files.partitioned_fit import fit_partitions

def batches(n):
    rng = np.random.default_rng(0)
    for low in range(0, n, 100_000):
        subject = (low + np.arange(100_000)) // 5
        volunteer, answer = rng.integers(0, 2000, 100_000), rng.integers(0, 3, 100_000)
        columns = {"subject": subject, "volunteer": volunteer, "answer": answer}
        yield pa.record_batch({name: column.astype(str) for name, column in columns.items()})

folder, n = Path(sys.argv[1]), int(sys.argv[2])
write_partitions(batches(n), folder, n_partitions=n // 50_000)
fit = fit_partitions(folder, iterations=1)
assert fit.n_votes + fit.repeats == n
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_does_not_grow_with_the_number_of_partitions(tmp_path: Path) -> None:
    def peak_mib(n_votes: int) -> int:
        arguments = [sys.executable, "-c", PEAK, str(tmp_path / str(n_votes)), str(n_votes)]
        return int(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)

    small, large = peak_mib(1_200_000), peak_mib(2_400_000)
    # The rows that wait to be written are a million in both; as Python's or Arrow's, twice the votes would be 100 MiB.
    assert large < small + 50
