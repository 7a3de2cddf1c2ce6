"""The simulated volunteers: how well each one sees, how much each one does. Pure; see docs/simulated-survey.md.

Nobody real is meant. A person's confusion matrix worsens with the difficulty of the subject; a few people do most of
the work, and some answer without looking.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Habit = Literal["careful", "ordinary", "hasty", "always_first", "random"]

# Share of each habit among the people, and the range of the accuracy on an easy subject.
HABITS: dict[Habit, tuple[float, tuple[float, float]]] = {
    "careful": (0.25, (0.93, 0.98)),
    "ordinary": (0.45, (0.84, 0.94)),
    "hasty": (0.18, (0.68, 0.82)),
    "always_first": (0.04, (0.0, 0.0)),
    "random": (0.08, (0.0, 0.0)),
}
# Of a wrong answer to a subject: how often it is the class it is most easily taken for.
TAKEN_FOR_SECOND = 0.75
# How often people are seen, by rank: Zipf's law with this exponent.
ACTIVITY_EXPONENT = 1.0
SIGNED_IN_SHARE = 0.4


@dataclass(frozen=True, kw_only=True)
class Person:
    """One simulated volunteer.

    Attributes:
        number: from 1.
        habit: how they answer.
        accuracy: on an easy subject, in [0, 1].
        activity: how often they come, relative to the others.
        signed_in: with an account, or anonymous.
    """

    number: int
    habit: Habit
    accuracy: float
    activity: float
    signed_in: bool

    @property
    def login(self) -> str:
        return f"simulated-{self.number:03d}"


def make_people(count: int, *, seed: int) -> list[Person]:
    """People of all habits, in a random order of activity."""
    rng = np.random.default_rng([seed, count])
    habits: list[Habit] = []
    for habit, (share, _) in HABITS.items():
        habits += [habit] * round(share * count)
    habits += ["ordinary"] * (count - len(habits))
    people = []
    for i, at in enumerate(rng.permutation(len(habits))[:count]):
        low, high = HABITS[habits[at]][1]
        people.append(
            Person(
                number=i + 1,
                habit=habits[at],
                accuracy=float(rng.uniform(low, high)),
                activity=1 / (i + 1) ** ACTIVITY_EXPONENT,
                signed_in=bool(rng.random() < SIGNED_IN_SHARE),
            )
        )
    return people


def accuracy_at(person: Person, *, difficulty: float, n_answers: int) -> float:
    """Probability of the right answer: the person's own on the easiest subject, falling to near a guess between the two
    likeliest classes on the hardest.
    """
    if person.habit in {"always_first", "random"}:
        return 1 / n_answers
    hardest = 0.5 + 0.1 * (person.accuracy - 0.5)
    # Flat for the easy majority: what a careful reader finds easy, others mostly do too.
    fall = difficulty**2
    return person.accuracy * (1 - fall) + hardest * fall


def give_answer(
    person: Person, *, truth: int, second: int, difficulty: float, n_answers: int, rng: np.random.Generator
) -> int:
    """One answer of a person to one subject, an index in [0, n_answers)."""
    if person.habit == "always_first":
        return 0
    if person.habit == "random":
        return int(rng.integers(n_answers))
    if rng.random() < accuracy_at(person, difficulty=difficulty, n_answers=n_answers):
        return truth
    if second != truth and rng.random() < TAKEN_FOR_SECOND:
        return second
    others = [k for k in range(n_answers) if k != truth]
    return int(rng.choice(others))


def give_expert_answer(*, truth: int, second: int, difficulty: float, rng: np.random.Generator) -> int:
    """An expert's answer: right, save for one in twenty of the subjects that a careful reader is unsure of."""
    return second if difficulty > 0.5 and rng.random() < 0.05 else truth
