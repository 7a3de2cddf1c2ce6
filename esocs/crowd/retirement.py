"""When a subject needs no more classifications: a pure function of its state, so a changed limit follows.

The criterion is the workflow's `retirement` JSON, as Panoptes writes it or with `consensus`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from classifier.errors import EsocsError

State = Literal["open", "retired", "contested"]

DEFAULT_COUNT = 15
"""Panoptes' own default of classification_count."""

CERTAIN = 1e-12
"""Room for rounding when a probability is compared with a threshold."""


class InvalidRetirementError(EsocsError):
    """A retirement setting of a workflow that cannot be followed."""

    code = "invalid_retirement"
    status = 422


@dataclass(frozen=True)
class Decision:
    """What becomes of a subject.

    Attributes:
        state: `open`, `retired`, or `contested` (to the experts).
        reason: Panoptes' retirement reason (`classification_count`, `consensus`, `human`), `contested` or "".
        p: the leading answer's probability, 0 without any.
        answer: the leading answer's index, None without probabilities.
        majority: the most frequent answer, None without votes or on a tie.
        flagged: the majority is another answer than the consensus.
    """

    state: State
    reason: str
    p: float
    answer: int | None
    majority: int | None
    flagged: bool


@dataclass(frozen=True)
class Consensus:
    """The checked options of the `consensus` criterion."""

    threshold: float
    minimum: int
    maximum: int
    thresholds: Mapping[int, float]

    def threshold_of(self, answer: int) -> float:
        return self.thresholds.get(answer, self.threshold)


def decide(
    *,
    criterion: Mapping[str, Any] | None,
    n: int,
    probabilities: Sequence[float] | None = None,
    votes: Sequence[int] | None = None,
    machine_answer: int | None = None,
    expert_answer: int | None = None,
) -> Decision:
    """Decide on one subject from its present state alone.

    Args:
        criterion: the workflow's retirement JSON: {"criteria": "classification_count" | "never_retire" |
            "consensus", "options": {…}}; None or {}: 15 classifications, as Panoptes.
        n: classifications that count: no gold standard ones, no repeats by the same volunteer.
        probabilities: (K,) the read-out; None where the workflow has none.
        votes: (K,) how many of the n gave each answer; the majority is taken from it.
        machine_answer: the model's answer, None in the blind audit or without a prediction.
        expert_answer: an expert's answer settles the subject.

    Raises:
        InvalidRetirementError: unknown criteria, or options out of range.
    """
    majority = majority_answer(votes) if votes is not None else None
    answer = None if not probabilities else max(range(len(probabilities)), key=probabilities.__getitem__)
    p = 0.0 if answer is None or probabilities is None else float(probabilities[answer])
    if math.isnan(p):
        raise InvalidRetirementError("A probability is not a number.")
    if expert_answer is not None:
        return Decision("retired", "human", 1.0, expert_answer, majority, _differs(majority, expert_answer))
    state, reason = _state(
        criterion=criterion,
        n=n,
        answer=answer,
        p=p,
        agreed=machine_answer is not None and majority == machine_answer == answer,
    )
    return Decision(state, reason, p, answer, majority, _differs(majority, answer))


def majority_answer(votes: Sequence[int]) -> int | None:
    """The answer with the most votes; None on a tie or without votes."""
    most = max(votes, default=0)
    if most <= 0 or list(votes).count(most) > 1:
        return None
    return list(votes).index(most)


def parse_consensus(options: Mapping[str, Any]) -> Consensus:
    """The options of `consensus`: threshold 0.95, minimum 3, maximum 15, thresholds {answer: τ} by default.

    Raises:
        InvalidRetirementError: a value out of range.
    """
    minimum = _count(options.get("minimum", 3), name="minimum")
    maximum = _count(options.get("maximum", DEFAULT_COUNT), name="maximum")
    if maximum < minimum:
        raise InvalidRetirementError(f"The maximum of {maximum} classifications is below the minimum {minimum}.")
    thresholds = options.get("thresholds") or {}
    if not isinstance(thresholds, Mapping):
        raise InvalidRetirementError("`thresholds` is not a table of answers.")
    return Consensus(
        threshold=_probability(options.get("threshold", 0.95)),
        minimum=minimum,
        maximum=maximum,
        thresholds={_answer(key): _probability(value) for key, value in thresholds.items()},
    )


def _state(
    *, criterion: Mapping[str, Any] | None, n: int, answer: int | None, p: float, agreed: bool
) -> tuple[State, str]:
    criterion = criterion or {}
    criteria = criterion.get("criteria", "classification_count")
    options = criterion.get("options") or {}
    if not isinstance(options, Mapping):
        raise InvalidRetirementError("The retirement's options are not a table.")
    if criteria == "never_retire":
        return "open", ""
    if criteria == "classification_count":
        count = _count(options.get("count", DEFAULT_COUNT), name="count")
        return ("retired", "classification_count") if n >= count else ("open", "")
    if criteria == "consensus":
        rule = parse_consensus(options)
        enough = min(rule.minimum, 2) if agreed else rule.minimum
        if n >= enough and answer is not None and p >= rule.threshold_of(answer) - CERTAIN:
            return "retired", "consensus"
        return ("contested", "contested") if n >= rule.maximum else ("open", "")
    raise InvalidRetirementError(
        f"The retirement criteria {criteria!r} is unknown.",
        hint="Use classification_count, never_retire or consensus.",
    )


def _differs(majority: int | None, answer: int | None) -> bool:
    return majority is not None and answer is not None and majority != answer


def _count(value: object, *, name: str) -> int:
    if isinstance(value, str) and value.isdigit():
        value = int(value)  # Panoptes accepts the number as text
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidRetirementError(f"The retirement's {name} {value!r} is not a whole number from 1.")
    return value


def _probability(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1:
        raise InvalidRetirementError(f"The threshold {value!r} is not a probability above 0.")
    return float(value)


def _answer(key: object) -> int:
    try:
        return int(str(key))
    except ValueError:
        raise InvalidRetirementError(f"`thresholds` has {key!r}, which is no answer's index.") from None
