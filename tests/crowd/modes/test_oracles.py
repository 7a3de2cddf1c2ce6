"""The classical modes beside crowd-kit's implementations of the same models, on simulated and genuine crowds.

Where the two may differ, the test says why: a tie that Wawa splits, an iteration that crowd-kit ends early.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from esocs.crowd.modes import Gathered
from esocs.crowd.modes.consensus import reach_consensus
from esocs.crowd.modes.counting import leading
from esocs.crowd.modes.interface import Mode
from esocs.crowd.modes.majority import Majority
from esocs.crowd.modes.one_coin import OneCoin
from esocs.crowd.modes.plain_dawid_skene import PlainDawidSkene
from esocs.crowd.modes.wawa import Wawa
from tests.benchmarks.crowd_sets import CrowdSet, accuracy, log_loss, read, simulated

pd = pytest.importorskip("pandas")
aggregation = pytest.importorskip("crowdkit.aggregation")

pytestmark = [
    # crowd-kit writes into slices and copies of pandas' tables; nothing of ours is concerned.
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pandas.errors.PerformanceWarning"),
    pytest.mark.filterwarnings("ignore:.*chained assignment.*"),
    pytest.mark.filterwarnings("ignore:.*copy keyword.*"),
]

SIMULATED = ["simulated-2", "simulated-3", "simulated-5", "simulated-8"]
GENUINE = ["adult", "bluebird", "cf_amt", "dog", "possent", "rte", "trec"]
WITH_UNMET_ANSWERS = ("adult", "trec")
ITERATIONS = 25
NEVER = -1e9
"""A tolerance that lets both run all their iterations."""


def ours(crowd: CrowdSet, mode: Mode, gold: np.ndarray | None = None) -> np.ndarray:
    gathered = Gathered(votes=crowd.votes(), gold=gold)
    return reach_consensus(gathered, mode.learn(gathered)).probabilities


def theirs(crowd: CrowdSet, method: object, **arguments: object) -> np.ndarray:
    table = pd.DataFrame({"task": crowd.subject, "worker": crowd.volunteer, "label": crowd.answer})
    found = method.fit_predict_proba(table, **arguments)  # type: ignore[attr-defined]
    p = np.zeros((crowd.n_subjects, crowd.n_answers))
    p[np.ix_(np.asarray(found.index), np.asarray(found.columns))] = found.to_numpy()
    return p


def without_ties(crowd: CrowdSet) -> CrowdSet:
    """Only the votes on subjects where one answer leads; the others stay, without votes."""
    clear = leading(crowd.shares()).sum(axis=1) == 1
    keep = clear[crowd.subject]
    return CrowdSet(
        name=crowd.name,
        subject=crowd.subject[keep],
        volunteer=crowd.volunteer[keep],
        answer=crowd.answer[keep],
        truth=crowd.truth,
        n_volunteers=crowd.n_volunteers,
        n_answers=crowd.n_answers,
    )


def agreement(p: np.ndarray, q: np.ndarray) -> float:
    """Share of the subjects with the same answer; a tie counts for whichever of its answers is named."""
    best = p.argmax(axis=1)
    return float((q[np.arange(len(q)), best] >= q.max(axis=1) - 1e-9).mean())


def crowds(*, without: tuple[str, ...] = ()) -> pytest.MarkDecorator:
    names = [name for name in SIMULATED + GENUINE if name not in without]
    return pytest.mark.parametrize("crowd", names, indirect=True)


@pytest.fixture
def crowd(request: pytest.FixtureRequest) -> CrowdSet:
    name = request.param
    if name.startswith("simulated"):
        return next(found for found in map(simulated, range(4)) if found.name == name)
    folder: Path = request.getfixturevalue("real_data") / "crowd" / name
    if not folder.is_dir():
        pytest.skip(f"no genuine set at {folder}")
    return read(folder)


@crowds()
def test_the_majority_is_crowd_kits(crowd):
    assert np.allclose(ours(crowd, Majority()), theirs(crowd, aggregation.MajorityVote()), atol=1e-12)


@crowds()
def test_wawa_is_crowd_kits_where_no_majority_is_tied(crowd):
    crowd = without_ties(crowd)
    voted = np.bincount(crowd.subject, minlength=crowd.n_subjects) > 0
    p, q = ours(crowd, Wawa())[voted], theirs(crowd, aggregation.Wawa())[voted]
    assert np.allclose(p, q, atol=1e-9)


@crowds()
def test_wawa_differs_from_crowd_kits_by_split_ties_alone(crowd):
    """crowd-kit gives a tie to the answer of the lowest number, so who says it seems more skilled."""
    p, q = ours(crowd, Wawa()), theirs(crowd, aggregation.Wawa())
    assert agreement(p, q) > (0.985 if crowd.name == "trec" else 0.99)  # trec: 14 % of the subjects are tied
    assert np.abs(p - q).max(axis=1).mean() < 0.01


@crowds(without=WITH_UNMET_ANSWERS)
def test_dawid_skene_is_crowd_kits_after_as_many_iterations(crowd):
    """Not to convergence: crowd-kit's bound counts the class prior once a vote, so it may end at its second step.

    And crowd-kit answers under the last skill but one, so it gets one step more.
    """
    p = ours(crowd, PlainDawidSkene(most_iterations=ITERATIONS, tolerance=NEVER))
    q = theirs(crowd, aggregation.DawidSkene(ITERATIONS + 1, tol=NEVER))
    assert agreement(p, q) == 1
    assert np.abs(p - q).max() < 1e-8


@pytest.mark.parametrize("crowd", WITH_UNMET_ANSWERS, indirect=True)
def test_dawid_skene_is_close_to_crowd_kits_where_volunteers_never_met_an_answer(crowd):
    """An empty row is even over all answers here, in crowd-kit over those that the volunteer ever gave."""
    p = ours(crowd, PlainDawidSkene(most_iterations=ITERATIONS, tolerance=NEVER))
    q = theirs(crowd, aggregation.DawidSkene(ITERATIONS + 1, tol=NEVER))
    assert agreement(p, q) > 0.999
    assert np.abs(p - q).max(axis=1).mean() < 1e-3


def test_dawid_skene_with_gold_is_crowd_kits():
    crowd = simulated(1)
    known = np.arange(crowd.n_subjects) < 300
    p = ours(crowd, PlainDawidSkene(most_iterations=ITERATIONS, tolerance=NEVER), np.where(known, crowd.truth, -1))
    labels = pd.Series(crowd.truth[known], index=np.flatnonzero(known))
    q = theirs(crowd, aggregation.DawidSkene(ITERATIONS + 1, tol=NEVER), true_labels=labels)
    # Theirs is clamped, ours is read out of the votes alone: they meet where there is no gold.
    assert np.abs(p - q)[~known].max() < 1e-8


@crowds(without=("adult",))  # crowd-kit's loop over eight hundred volunteers takes long
def test_one_coin_is_crowd_kits(crowd):
    """Both stop at the same tolerance, by differently counted bounds: a subject on the brink may still move."""
    p, q = ours(crowd, OneCoin()), theirs(crowd, aggregation.OneCoinDawidSkene(100))
    assert agreement(p, q) > 0.999
    assert np.abs(p - q).max(axis=1).mean() < 1e-3


@pytest.mark.parametrize("seed", range(4))
def test_one_coin_is_crowd_kits_after_as_many_iterations(seed):
    crowd = simulated(seed)
    p = ours(crowd, OneCoin(most_iterations=8, tolerance=NEVER))
    q = theirs(crowd, aggregation.OneCoinDawidSkene(9, tol=NEVER))
    assert np.abs(p - q).max() < 1e-8


@crowds(without=("adult", "bluebird", "cf_amt", "trec"))
def test_dawid_skene_scores_like_crowd_kits_where_that_does_not_end_at_its_second_step(crowd):
    p, q = ours(crowd, PlainDawidSkene()), theirs(crowd, aggregation.DawidSkene(100))
    assert agreement(p, q) > 0.99
    assert abs(accuracy(p, crowd.truth) - accuracy(q, crowd.truth)) < 0.5
    assert abs(log_loss(p, crowd.truth) - log_loss(q, crowd.truth)) < 0.05
