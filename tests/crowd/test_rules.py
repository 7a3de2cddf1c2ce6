"""Retirement and spam: what is decided from a subject's or a volunteer's present state."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esocs.crowd import rules, skill


def decide(*, probabilities=None, votes=(), **known):
    """On a subject with one question."""
    return rules.decide(answered=[rules.Answered.of(probabilities, votes, task_key="T0")], **known)


CONSENSUS = {"criteria": "consensus", "options": {"threshold": 0.95, "minimum": 3, "maximum": 15}}


def test_counting_retires_at_the_count_and_not_before():
    criterion = {"criteria": "classification_count", "options": {"count": 3}}
    assert decide(criterion=criterion, n=2).state == "open"
    decision = decide(criterion=criterion, n=3)
    assert (decision.state, decision.reason) == ("retired", "classification_count")


@pytest.mark.parametrize("criterion", [None, {}, {"criteria": "classification_count"}])
def test_without_a_setting_fifteen_classifications_retire_as_in_panoptes(criterion):
    assert decide(criterion=criterion, n=14).state == "open"
    assert decide(criterion=criterion, n=15).state == "retired"


def test_raising_the_count_opens_the_subject_again():
    low = {"criteria": "classification_count", "options": {"count": 3}}
    high = {"criteria": "classification_count", "options": {"count": 10}}
    assert decide(criterion=low, n=5).state == "retired"
    assert decide(criterion=high, n=5).state == "open"


def test_never_retire_never_retires():
    decision = decide(criterion={"criteria": "never_retire"}, n=10_000, probabilities=[1.0, 0.0])
    assert decision.state == "open"


def test_consensus_needs_three_classifications_and_the_threshold():
    assert decide(criterion=CONSENSUS, n=2, probabilities=[0.99, 0.01]).state == "open"
    assert decide(criterion=CONSENSUS, n=3, probabilities=[0.94, 0.06]).state == "open"
    decision = decide(criterion=CONSENSUS, n=3, probabilities=[0.95, 0.05])
    assert (decision.state, decision.reason) == ("retired", "consensus")


def test_two_classifications_are_enough_when_machine_and_volunteers_agree():
    sure = {"criterion": CONSENSUS, "n": 2, "probabilities": [0.01, 0.99]}
    assert decide(**sure, votes=[0, 2], machine_answer=1).state == "retired"
    assert decide(**sure, votes=[0, 2], machine_answer=0).state == "open"
    assert decide(**sure, votes=[1, 1], machine_answer=1).state == "open"
    assert decide(**sure, votes=[0, 2], machine_answer=None).state == "open"


def test_a_rare_answer_has_its_own_threshold():
    criterion = {"criteria": "consensus", "options": {"thresholds": {"1": 0.99}}}
    assert decide(criterion=criterion, n=5, probabilities=[0.03, 0.97]).state == "open"
    assert decide(criterion=criterion, n=5, probabilities=[0.97, 0.03]).state == "retired"


def test_fifteen_classifications_without_a_consensus_go_to_the_experts():
    decision = decide(criterion=CONSENSUS, n=15, probabilities=[0.6, 0.4])
    assert (decision.state, decision.reason) == ("contested", "contested")


def test_a_majority_against_the_consensus_is_flagged():
    flagged = rules.Answered.of([0.97, 0.03], [1, 2])
    assert (flagged.majority, flagged.answer, flagged.flagged) == (1, 0, True)
    tie = rules.Answered.of([0.97, 0.03], [2, 2])
    assert (tie.majority, tie.flagged) == (None, False)


def test_a_first_task_of_several_labels_is_settled_when_all_of_them_are():
    def labels(*leading):
        return [rules.Answered.of([1 - p, p], [0, 3], task_key=f"T0.{i}") for i, p in enumerate(leading)]

    sure = rules.decide(criterion=CONSENSUS, n=3, answered=labels(0.97, 0.01, 0.99))
    unsure = rules.decide(criterion=CONSENSUS, n=3, answered=labels(0.97, 0.4, 0.99))
    assert (sure.state, unsure.state) == ("retired", "open")


def test_later_questions_of_a_tree_do_not_hold_a_subject_open():
    answered = [rules.Answered.of([0.99, 0.01], [3, 0], task_key="T0"), rules.Answered.of([0.5, 0.5], task_key="T1")]
    assert rules.decide(criterion=CONSENSUS, n=3, answered=answered).state == "retired"
    # The first task was not answered at all: what is sure about the second settles nothing.
    sure = [rules.Answered.of([0.99, 0.01], [3, 0], task_key="T1")]
    assert rules.decide(criterion=CONSENSUS, n=3, answered=sure, first_task="T0").state == "open"


def test_in_the_form_of_costs_a_subject_retires_when_no_vote_is_worth_its_price():
    criterion = {"criteria": "consensus", "options": {"error_cost": 100, "vote_cost": 1}}
    for worth, state in ((True, "open"), (False, "retired")):
        answered = [rules.Answered.of([0.7, 0.3], [3, 0], task_key="T0", worth_asking=worth)]
        assert rules.decide(criterion=criterion, n=3, answered=answered).state == state
    with pytest.raises(rules.InvalidRetirementError):
        rules.check_criterion({"criteria": "consensus", "options": {"error_cost": 100}})


@pytest.mark.parametrize(
    "criterion",
    [
        {"criteria": "guess"},
        {"criteria": "classification_count", "options": {"count": 0}},
        {"criteria": "classification_count", "options": {"count": 2.5}},
        {"criteria": "classification_count", "options": [3]},
        {"criteria": "consensus", "options": {"threshold": 1.2}},
        {"criteria": "consensus", "options": {"threshold": "high"}},
        {"criteria": "consensus", "options": {"minimum": 9, "maximum": 3}},
        {"criteria": "consensus", "options": {"thresholds": {"spiral": 0.9}}},
        {"criteria": "consensus", "options": {"thresholds": [0.9]}},
    ],
)
def test_a_setting_that_cannot_be_followed_is_refused(criterion):
    with pytest.raises(rules.InvalidRetirementError):
        decide(criterion=criterion, n=3, probabilities=[1.0, 0.0])


@given(n=st.integers(0, 30), p=st.floats(0.5, 1), more=st.integers(0, 5))
def test_more_certainty_never_opens_a_retired_subject(n, p, more):
    before = decide(criterion=CONSENSUS, n=n, probabilities=[p, 1 - p])
    after = decide(criterion=CONSENSUS, n=n + more, probabilities=[(1 + p) / 2, (1 - p) / 2])
    assert before.state != "retired" or after.state == "retired"


def judged(counts, **gold):
    """Skill of one volunteer from its counts, with the fit's shrinkage of 8 pseudo-votes."""
    counts = np.asarray([counts], float)
    K = counts.shape[-1]
    shrinkage = np.full((K, K), 0.3 / (K - 1))
    np.fill_diagonal(shrinkage, 0.7)
    confusion = (counts + 8 * shrinkage) / (counts.sum(axis=2, keepdims=True) + 8)
    return rules.volunteer_skill(confusion=confusion, counts=counts, class_prior=np.full(K, 1 / K), **gold)


def test_a_perfect_volunteer_is_worth_almost_a_bit():
    found = judged([[500, 0], [0, 500]])
    assert 0.95 < found.bits[0] <= 1
    assert found.weight[0] == 1


def test_a_coin_tosser_is_silenced_once_it_is_certain():
    assert judged([[5, 5], [5, 5]]).weight[0] == 1
    found = judged([[200, 200], [200, 200]])
    assert found.upper_bits[0] < skill.USELESS_BITS
    assert found.weight[0] == 0


def test_always_the_same_answer_tells_nothing():
    assert judged([[300, 0], [300, 0]]).weight[0] == 0


def test_who_met_one_class_alone_has_not_shown_to_tell_nothing():
    found = judged([[60, 0, 0], [0, 0, 0], [0, 0, 0]])
    assert found.weight[0] == 1
    assert (found.lower_bits[0], found.upper_bits[0]) == (0, np.inf)
    assert judged([[60, 0], [2, 0]]).weight[0] == 1
    assert judged([[400, 0], [100, 0]]).weight[0] == 0


@given(st.lists(st.lists(st.integers(0, 40), min_size=4, max_size=4), min_size=4, max_size=4))
def test_the_bounds_are_in_their_order_whatever_was_answered(counts):
    lower, upper = skill.information_interval_bits(np.array([counts], float))
    assert 0 <= lower[0] <= upper[0]


def test_an_inverted_volunteer_earns_no_credit():
    found = judged([[2, 60], [60, 2]])
    assert found.bits[0] > 0.3
    assert found.weight[0] == 0


def test_worse_than_chance_on_gold_silences_after_twenty():
    counts = [[30, 10], [10, 30]]
    assert judged(counts, gold_right=[4], gold_seen=[10]).weight[0] == 1
    assert judged(counts, gold_right=[9], gold_seen=[20]).weight[0] == 0
    assert judged(counts, gold_right=[10], gold_seen=[20]).weight[0] == 1


def test_a_newcomer_is_heard():
    found = judged([[0, 0], [0, 0]])
    assert found.weight[0] == 1
    assert found.upper_bits[0] == np.inf


def test_each_bound_covers_the_true_information_in_nineteen_of_twenty_samples():
    rng = np.random.default_rng(5)
    p_right = 0.6
    truth_bits = 1 + p_right * np.log2(p_right) + (1 - p_right) * np.log2(1 - p_right)
    cell = np.array([p_right, 1 - p_right, 1 - p_right, p_right]) / 2
    counts = rng.multinomial(200, cell, size=2000).reshape(-1, 2, 2).astype(float)
    lower, upper = skill.information_interval_bits(counts)
    assert (upper >= truth_bits).mean() >= 0.94
    assert (lower <= truth_bits).mean() >= 0.93
    assert (lower <= upper).all()
