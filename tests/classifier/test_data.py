"""Labelled subjects as arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.data import (
    InvalidSamplesError,
    Question,
    Samples,
    shuffled_batches,
    split_hold_out,
    training_weights,
    votes_for,
)

QUESTION = Question("T0", ("a", "b"))


def samples(labels, **changes):
    count = len(labels)
    fields = {
        "planes": np.zeros((count, 2, 8), dtype=np.float16),
        "votes": {"T0": votes_for(labels, answers=2)},
        "questions": (QUESTION,),
        "subject_ids": np.arange(count),
        **changes,
    }
    return Samples(**fields)


@pytest.mark.parametrize("answers", [(), ("a",), ("a", "a")])
def test_a_question_needs_two_distinct_answers(answers):
    with pytest.raises(InvalidSamplesError):
        Question("T0", answers)


@pytest.mark.parametrize(
    "changes",
    [
        {"subject_ids": np.array([1, 1, 2])},
        {"subject_ids": np.array([1, 2])},
        {"votes": {"T1": np.zeros((3, 2))}},
        {"votes": {"T0": np.zeros((3, 3))}},
        {"votes": {"T0": np.array([[1, -1], [0, 1], [0, 1]])}},
        {"votes": {"T0": np.array([[1, np.nan], [0, 1], [0, 1]])}},
        {"selection_weights": np.array([1.0, 0.0, 1.0])},
        {"selection_weights": np.array([1.0, 1.0])},
        {"questions": ()},
    ],
)
def test_samples_that_contradict_themselves_are_refused(changes):
    with pytest.raises(InvalidSamplesError):
        samples([0, 1, 1], **changes)


def test_the_majority_is_minus_one_where_nobody_was_asked():
    assert samples([0, -1, 1]).majority("T0").tolist() == [0, -1, 1]


def test_taking_keeps_votes_ids_and_weights_together():
    taken = samples([0, 1, 1], selection_weights=np.array([1.0, 2.0, 3.0])).take([2, 0])
    assert taken.subject_ids.tolist() == [2, 0]
    assert taken.weights.tolist() == [3, 1]
    assert taken.majority("T0").tolist() == [1, 0]


@given(labels=st.lists(st.integers(0, 1), min_size=2, max_size=200), share=st.floats(0, 0.5), seed=st.integers(0, 99))
def test_a_split_is_disjoint_complete_and_leaves_every_answer_something_to_learn_from(labels, share, seed):
    train, hold_out = split_hold_out(samples(labels), share=share, seed=seed)
    assert sorted([*train, *hold_out]) == list(range(len(labels)))
    assert {labels[i] for i in train} == set(labels)


def test_the_same_share_of_every_answer_is_held_out():
    labels = np.array([0] * 80 + [1] * 20)
    _, hold_out = split_hold_out(samples(labels), share=0.25, seed=3)
    assert np.bincount(labels[hold_out]).tolist() == [20, 5]


def test_full_class_balance_gives_every_answer_the_same_weight():
    labels = np.array([0] * 90 + [1] * 10)
    weights = training_weights(labels, np.ones(100, dtype=np.float32), class_balance=1.0)
    assert weights[:90].sum() == pytest.approx(weights[90:].sum(), rel=1e-5)
    assert weights.mean() == pytest.approx(1.0, rel=1e-5)


def test_without_balance_the_selection_weights_remain():
    weights = training_weights(np.array([0, 0, 1]), np.array([1.0, 3.0, 2.0], dtype=np.float32), class_balance=0)
    assert weights.tolist() == [0.5, 1.5, 1.0]


@given(count=st.integers(1, 50), batch_size=st.integers(1, 20))
def test_every_subject_is_seen_once_before_any_is_seen_twice(count, batch_size):
    steps = -(-count // batch_size)
    batches = list(shuffled_batches(count=count, batch_size=batch_size, steps=steps, rng=np.random.default_rng(0)))
    assert all(len(batch) == batch_size for batch in batches)
    seen = np.bincount(np.concatenate(batches), minlength=count)
    assert seen.min() >= 1
    assert seen.sum() - count == steps * batch_size - count
