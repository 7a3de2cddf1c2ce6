"""Simulated people: their habits, how well each sees, and what they answer."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esocs.demo.people import HABITS, Person, accuracy_at, give_answer, give_expert_answer, make_people


def person(habit: str = "ordinary", accuracy: float = 0.9) -> Person:
    return Person(number=1, habit=habit, accuracy=accuracy, activity=1.0, signed_in=False)  # type: ignore[arg-type]


def test_the_habits_shares_add_up() -> None:
    assert sum(share for share, _ in HABITS.values()) == pytest.approx(1)


@given(st.integers(1, 200), st.integers(0, 10))
def test_there_are_as_many_people_as_asked_for_the_same_on_every_call(count: int, seed: int) -> None:
    people = make_people(count, seed=seed)
    assert [p.number for p in people] == list(range(1, count + 1))
    assert people == make_people(count, seed=seed)
    assert len({p.login for p in people}) == count


def test_all_habits_occur_in_their_shares_and_a_few_do_most_of_the_work() -> None:
    people = make_people(100, seed=1)
    counts = Counter(p.habit for p in people)
    assert counts == {habit: round(share * 100) for habit, (share, _) in HABITS.items()}
    activity = [p.activity for p in people]
    assert activity == sorted(activity, reverse=True)
    assert sum(activity[:20]) > 0.6 * sum(activity)
    assert 20 < sum(p.signed_in for p in people) < 60
    for one in people:
        low, high = HABITS[one.habit][1]
        assert low <= one.accuracy <= high


@given(st.floats(0.6, 0.99), st.floats(0, 1), st.floats(0, 1))
def test_accuracy_falls_with_the_difficulty_and_never_below_a_guess_between_two(
    accuracy: float, one: float, other: float
) -> None:
    easy, hard = sorted((one, other))
    right = [accuracy_at(person(accuracy=accuracy), difficulty=d, n_answers=6) for d in (easy, hard)]
    assert right[0] >= right[1] - 1e-12
    assert 0.5 <= right[1] <= right[0] + 1e-12 <= accuracy + 1e-9


@pytest.mark.parametrize("habit", ["always_first", "random"])
@given(difficulty=st.floats(0, 1))
def test_a_spammer_sees_nothing(habit: str, difficulty: float) -> None:
    assert accuracy_at(person(habit, 0.0), difficulty=difficulty, n_answers=5) == 1 / 5


@given(
    habit=st.sampled_from(list(HABITS)),
    truth=st.integers(0, 4),
    second=st.integers(0, 4),
    difficulty=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_answer_is_one_of_the_answers(habit: str, truth: int, second: int, difficulty: float, seed: int) -> None:
    answer = give_answer(
        person(habit),
        truth=truth,
        second=second,
        difficulty=difficulty,
        n_answers=5,
        rng=np.random.default_rng(seed),
    )
    assert 0 <= answer < 5
    if habit == "always_first":
        assert answer == 0


def test_answers_are_right_as_often_as_they_should_be_and_mostly_mistaken_for_the_second() -> None:
    rng = np.random.default_rng(1)
    one = person(accuracy=0.9)
    given_ = Counter(give_answer(one, truth=2, second=4, difficulty=0.8, n_answers=6, rng=rng) for _ in range(4000))
    right = accuracy_at(one, difficulty=0.8, n_answers=6)
    # Four standard deviations of 4,000 draws are 3 %.
    assert given_[2] / 4000 == pytest.approx(right, abs=0.032)
    assert given_[4] / (4000 - given_[2]) > 0.7


def test_an_expert_errs_only_on_what_a_careful_reader_is_unsure_of() -> None:
    rng = np.random.default_rng(1)
    easy = [give_expert_answer(truth=1, second=2, difficulty=0.5, rng=rng) for _ in range(500)]
    hard = [give_expert_answer(truth=1, second=2, difficulty=0.9, rng=rng) for _ in range(2000)]
    assert set(easy) == {1}
    assert 0.02 < hard.count(2) / 2000 < 0.08
