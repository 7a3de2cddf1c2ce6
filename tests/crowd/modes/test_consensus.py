"""The consensus of a whole set, and what is particular to each way of weighing votes."""

from __future__ import annotations

import numpy as np
import pytest

from esocs.crowd import posterior
from esocs.crowd.modes import MODES, Gathered, get_mode
from esocs.crowd.modes.consensus import reach_consensus
from esocs.crowd.modes.plain_dawid_skene import PlainDawidSkene
from esocs.crowd.posterior import UNITS_PER_NAT, InvalidPosteriorError
from esocs.crowd.votes import Votes
from tests.benchmarks.crowd_sets import accuracy, log_loss, simulated


def votes_of(rows, *, n_answers, n_subjects=None, n_volunteers=None):
    table = np.array(rows, np.int64).reshape(-1, 3)
    return Votes.build(
        subject=table[:, 0],
        volunteer=table[:, 1],
        answer=table[:, 2],
        n_subjects=int(table[:, 0].max()) + 1 if n_subjects is None else n_subjects,
        n_volunteers=int(table[:, 1].max()) + 1 if n_volunteers is None else n_volunteers,
        n_answers=n_answers,
    )


def reach(name, gathered, **options):
    return reach_consensus(gathered, get_mode(name).learn(gathered), **options)


THREE = [(0, 0, 0), (0, 1, 0), (0, 2, 1), (1, 0, 1), (1, 1, 0), (2, 2, 1)]


def test_the_votes_are_counted_and_a_tie_has_no_majority():
    reached = reach("majority", Gathered(votes=votes_of(THREE, n_answers=2, n_subjects=4)))
    assert reached.counts.tolist() == [[2, 1], [1, 1], [0, 1], [0, 0]]
    assert reached.majority.tolist() == [0, -1, 1, -1]
    assert reached.answer.tolist() == [0, 0, 1, 0]
    assert not reached.flagged.any()
    assert np.allclose(reached.probabilities, [[2 / 3, 1 / 3], [0.5, 0.5], [0, 1], [0.5, 0.5]])


def test_a_vote_of_the_majority_mode_is_one_unit_and_starts_from_nothing():
    learned = get_mode("majority").learn(Gathered(votes=votes_of(THREE, n_answers=2)))
    assert learned.start.tolist() == [0, 0]
    assert learned.terms(np.array([0, -1])).tolist() == [[[UNITS_PER_NAT, 0], [0, UNITS_PER_NAT]]] * 2


def test_wawa_weighs_a_volunteer_by_the_share_of_votes_with_the_majority():
    rows = [(s, v, 0) for s in range(4) for v in range(2)] + [(s, 2, s % 2) for s in range(4)]
    learned = get_mode("wawa").learn(Gathered(votes=votes_of(rows, n_answers=2)))
    diagonal = learned.terms(np.arange(3))[:, 0, 0] / UNITS_PER_NAT
    assert diagonal.tolist() == pytest.approx([1, 1, 0.5])


def test_wawa_splits_a_tie_so_that_no_answer_is_favoured_for_its_number():
    rows = [(0, 0, 0), (0, 1, 1), (1, 0, 0), (1, 1, 1)]
    learned = get_mode("wawa").learn(Gathered(votes=votes_of(rows, n_answers=2)))
    assert (learned.terms(np.arange(2))[:, 0, 0] / UNITS_PER_NAT).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("name", ["majority", "wawa"])
def test_counting_hears_neither_gold_nor_the_machine(name):
    votes = votes_of(THREE, n_answers=2)
    told = Gathered(votes=votes, gold=np.array([1, 1, 0]), log_prior=np.log([[0.1, 0.9]] * 3))
    assert (reach(name, told).sums == reach(name, Gathered(votes=votes)).sums).all()


@pytest.mark.parametrize("name", ["hierarchical", "dawid_skene", "one_coin", "swap"])
def test_gold_teaches_whom_to_believe(name):
    """Two are always right, three always say 0; the majority is wrong wherever the truth is 1."""
    truth = np.arange(60) % 2
    rows = [(s, v, truth[s] if v < 2 else 0) for s in range(60) for v in range(5)]
    gold = np.where(np.arange(60) < 30, truth, -1)
    reached = reach(name, Gathered(votes=votes_of(rows, n_answers=2), gold=gold))
    assert (reached.answer == truth).all()
    assert reached.majority.tolist() == [0] * 60
    assert reached.flagged.tolist() == (truth == 1).tolist()


def test_swap_counts_the_answers_to_gold_alone():
    rows = [(s, 0, 0) for s in range(8)] + [(s, 1, s % 2) for s in range(8)]
    gold = np.array([0, 1, 0, 1, -1, -1, -1, -1])
    learned = get_mode("swap").learn(Gathered(votes=votes_of(rows, n_answers=2, n_volunteers=3), gold=gold))
    assert learned.confusion(np.array([0]))[0] == pytest.approx(np.array([[0.75, 0.25], [0.75, 0.25]]))
    assert learned.confusion(np.array([1]))[0] == pytest.approx(np.array([[0.75, 0.25], [0.25, 0.75]]))
    assert learned.confusion(np.array([2, -1])) == pytest.approx(np.full((2, 2, 2), 0.5))
    assert learned.remark == ""


@pytest.mark.parametrize("gold", [None, np.full(3, -1), np.array([-1, -1, 0])])
def test_swap_without_answers_to_gold_hears_nobody_and_says_so(gold):
    rows = [row for row in THREE if row[0] != 2]
    gathered = Gathered(votes=votes_of(rows, n_answers=2, n_subjects=3), gold=gold)
    learned = get_mode("swap").learn(gathered)
    assert "gold standard" in learned.remark
    assert (learned.terms(np.array([0, 1, 2, -1])) == 0).all()
    assert np.allclose(reach_consensus(gathered, learned).probabilities, learned.class_prior)


@pytest.mark.parametrize("name", [name for name in MODES if name != "swap"])
def test_only_swap_remarks_on_missing_gold(name):
    assert get_mode(name).learn(Gathered(votes=votes_of(THREE, n_answers=2))).remark == ""


def test_one_coin_learns_how_often_each_volunteer_is_right():
    rng = np.random.default_rng(0)
    truth, skill = rng.integers(0, 3, 2000), np.array([0.95, 0.9, 0.8, 0.7, 0.5])
    rows = []
    for v, share in enumerate(skill):
        right = rng.random(2000) < share
        rows += zip(
            range(2000), [v] * 2000, np.where(right, truth, (truth + rng.integers(1, 3, 2000)) % 3), strict=True
        )
    learned = get_mode("one_coin").learn(Gathered(votes=votes_of(rows, n_answers=3)))
    confusion = learned.confusion(np.arange(5))
    assert confusion[:, 0, 0] == pytest.approx(skill, abs=0.03)
    assert np.allclose(confusion[:, 0, 1], (1 - confusion[:, 0, 0]) / 2, atol=1e-6)


def test_the_classical_fit_agrees_with_the_sums_that_are_read_out_of_it():
    """The E step and the fixed-point sums are the same formula: one more iteration changes nothing at convergence."""
    crowd = simulated(1)
    gathered = Gathered(votes=crowd.votes())
    p = [
        reach_consensus(gathered, PlainDawidSkene(most_iterations=n, tolerance=0.0).learn(gathered)).probabilities
        for n in (400, 401)
    ]
    assert np.abs(p[0] - p[1]).max() < 1e-6


def test_the_temper_is_fitted_on_gold_unless_it_is_given():
    crowd = simulated(2)
    votes = crowd.votes()
    assert reach("hierarchical", Gathered(votes=votes)).temper == posterior.UNFITTED_TEMPER
    with_gold = Gathered(votes=votes, gold=crowd.truth)
    fitted = reach("hierarchical", with_gold)
    assert fitted.temper != posterior.UNFITTED_TEMPER
    given = reach("hierarchical", with_gold, temper=posterior.UNFITTED_TEMPER)
    assert given.temper == posterior.UNFITTED_TEMPER
    assert (given.sums == fitted.sums).all()
    assert log_loss(fitted.probabilities, crowd.truth) < log_loss(given.probabilities, crowd.truth)


@pytest.mark.parametrize("temper", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temper_that_is_no_positive_number_is_refused(temper):
    with pytest.raises(InvalidPosteriorError):
        reach("hierarchical", Gathered(votes=votes_of(THREE, n_answers=2)), temper=temper)


@pytest.mark.parametrize("name", list(MODES))
def test_votes_that_came_after_the_fit_are_weighed_under_it(name):
    crowd = simulated(0)
    learned = get_mode(name).learn(Gathered(votes=crowd.votes(), gold=crowd.truth))
    later = votes_of([(0, 5, 1), (0, 6, 1), (1, 7, 0)], n_answers=crowd.n_answers, n_volunteers=crowd.n_volunteers)
    assert reach_consensus(Gathered(votes=later), learned).counts.tolist() == [[0, 2], [1, 0]]


@pytest.mark.parametrize("name", list(MODES))
@pytest.mark.parametrize("change", [{"n_answers": 3}, {"n_volunteers": 4}])
def test_votes_that_do_not_fit_what_was_learned_are_refused(name, change):
    learned = get_mode(name).learn(Gathered(votes=votes_of(THREE, n_answers=2)))
    with pytest.raises(InvalidPosteriorError):
        reach_consensus(Gathered(votes=votes_of(THREE, **{"n_answers": 2} | change)), learned)


@pytest.mark.parametrize("name", list(MODES))
def test_a_newcomer_has_a_matrix_though_there_is_nobody_yet(name):
    nobody = votes_of([], n_answers=3, n_subjects=0, n_volunteers=0)
    learned = get_mode(name).learn(Gathered(votes=nobody))
    confusion = learned.confusion(np.array([-1]))[0]
    assert np.allclose(confusion.sum(axis=1), 1)
    assert (np.diag(confusion) >= confusion.max(axis=1) - 1e-6).all()
    assert learned.terms(np.array([-1])).shape == (1, 3, 3)


def test_the_hierarchical_mode_is_the_best_calibrated_on_simulated_crowds():
    losses = {name: [] for name in MODES}
    for seed in range(4):
        crowd = simulated(seed)
        gathered = Gathered(votes=crowd.votes())
        for name in MODES:
            p = reach(name, gathered).probabilities
            losses[name].append(log_loss(p, crowd.truth))
            assert accuracy(p, crowd.truth) > 100 / crowd.n_answers or name == "swap"
    mean = {name: np.mean(values) for name, values in losses.items()}
    assert min(mean, key=mean.__getitem__) == "hierarchical"
