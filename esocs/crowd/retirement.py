"""When a subject needs no more classifications: a pure function of its state, so a changed limit follows.

The criterion is the workflow's `retirement` JSON, as Panoptes writes it or with `consensus`; scientists' rules
(crowd.rule_language) come before it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from classifier.errors import EsocsError
from esocs.crowd.rule_language import Value, evaluate

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
class Answered:
    """What is known about one question of a subject.

    Attributes:
        task_key: the question.
        votes: (K,) how many volunteers gave each answer.
        p: the leading answer's probability, 0 without any.
        answer: the leading answer's index, None without probabilities.
        worth_asking: whether one more classification is expected to save more than it costs; None: not reckoned.
    """

    task_key: str
    votes: Sequence[int] = ()
    p: float = 0.0
    answer: int | None = None
    worth_asking: bool | None = None

    @classmethod
    def of(
        cls,
        probabilities: Sequence[float] | None,
        votes: Sequence[int] = (),
        *,
        task_key: str = "",
        worth_asking: bool | None = None,
    ) -> Answered:
        """From the (K,) read-out.

        Raises:
            InvalidRetirementError: a probability is not a number.
        """
        if not probabilities:
            return cls(task_key, votes, worth_asking=worth_asking)
        answer = max(range(len(probabilities)), key=probabilities.__getitem__)
        p = float(probabilities[answer])
        if math.isnan(p):
            raise InvalidRetirementError("A probability is not a number.")
        return cls(task_key, votes, p, answer, worth_asking)

    @property
    def majority(self) -> int | None:
        return majority_answer(self.votes)

    @property
    def flagged(self) -> bool:
        """Whether the majority says otherwise."""
        return self.majority is not None and self.answer is not None and self.majority != self.answer


RETIRE = "retire_subject"


@dataclass(frozen=True)
class Effect:
    """One thing that a rule does, by Caesar's name for it; `reason` is of a retirement."""

    id: int
    action: str
    reason: str = ""


@dataclass(frozen=True)
class Rule:
    """A scientist's rule, as the decision needs it."""

    id: int
    condition: Any
    effects: tuple[Effect, ...]


@dataclass(frozen=True)
class Decision:
    """What becomes of a subject.

    Attributes:
        state: `open`, `retired`, or `contested` (to the experts).
        reason: Panoptes' retirement reason (`classification_count`, `consensus`, `human`), `contested` or "".
        fired: ids of the effects, other than retirement, of the rules whose condition holds.
    """

    state: State
    reason: str
    fired: tuple[int, ...] = ()


@dataclass(frozen=True)
class Consensus:
    """The checked options of the `consensus` criterion.

    Attributes:
        threshold: τ.
        minimum: classifications at least.
        maximum: classifications after which the subject is contested.
        thresholds: an answer's own τ.
        costs: cost of a wrong consensus and of one classification, where stopping is decided by them in place of τ.
    """

    threshold: float
    minimum: int
    maximum: int
    thresholds: Mapping[int, float]
    costs: tuple[float, float] | None = None

    def threshold_of(self, answer: int) -> float:
        return self.thresholds.get(answer, self.threshold)


def decide(
    *,
    criterion: Mapping[str, Any] | None,
    n: int,
    answered: Sequence[Answered] = (),
    machine_answer: int | None = None,
    experts: int = 0,
    rules: Sequence[Rule] = (),
    first_task: str | None = None,
    reduced: str = "",
) -> Decision:
    """Decide on one subject from its present state alone.

    Args:
        criterion: the workflow's retirement JSON: {"criteria": "classification_count" | "never_retire" |
            "consensus", "options": {…}}; None or {}: 15 classifications, as Panoptes.
        n: classifications that count: no gold standard ones, no repeats by the same volunteer.
        answered: the questions that were answered; `consensus` needs all those of the first task settled.
        machine_answer: the model's answer to the first, None in the blind audit or without a prediction.
        experts: experts who answered.
        rules: of the workflow, in their order; the first that retires gives the reason.
        first_task: of the workflow; None: that of the first question.
        reduced: the reason for which a rule on reductions, worked out when these were made, retires the subject.

    Raises:
        InvalidRetirementError: unknown criteria, or options out of range.
        InvalidRuleError: a rule that cannot be worked out.
    """
    facts = facts_of(n=n, answered=answered, machine_answer=machine_answer, experts=experts) if rules else {}
    holding = [rule for rule in rules if evaluate(rule.condition, facts)]
    effects = [effect for rule in holding for effect in rule.effects]
    fired = tuple(effect.id for effect in effects if effect.action != RETIRE)
    retiring = next((effect for effect in effects if effect.action == RETIRE), None)
    if retiring is not None:
        return Decision("retired", retiring.reason or "other", fired)
    if reduced:
        return Decision("retired", reduced, fired)
    if first_task is None and answered:
        first_task = task_of(answered[0].task_key)
    deciding = [question for question in answered if task_of(question.task_key) == first_task]
    return Decision(*_state(criterion, n=n, deciding=deciding, machine_answer=machine_answer), fired)


def facts_of(
    *, n: int, answered: Sequence[Answered], machine_answer: int | None = None, experts: int = 0
) -> dict[str, Value]:
    """What a rule can look up.

    `count.classifications`, `experts.n`, `machine.answer`; for each question its `votes.<key>.<answer>`,
    `votes.<key>.total`, `votes.<key>.most`, `consensus.<key>.answer` and `consensus.<key>.probability`.
    """
    facts: dict[str, Value] = {"count.classifications": n, "experts.n": experts, "machine.answer": machine_answer}
    for question in answered:
        key = question.task_key
        facts |= {f"votes.{key}.{answer}": votes for answer, votes in enumerate(question.votes)}
        facts |= {
            f"votes.{key}.total": sum(question.votes),
            f"votes.{key}.most": max(question.votes, default=0),
            f"consensus.{key}.answer": question.answer,
            f"consensus.{key}.probability": question.p,
        }
    return facts


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
    costs = [options.get(name) for name in ("error_cost", "vote_cost")]
    if any(costs):
        costs = [_cost(cost) for cost in costs]
    return Consensus(
        threshold=_probability(options.get("threshold", 0.95)),
        minimum=minimum,
        maximum=maximum,
        thresholds={_answer(key): _probability(value) for key, value in thresholds.items()},
        costs=(costs[0], costs[1]) if any(costs) else None,  # type: ignore[arg-type]
    )


def check_criterion(criterion: Mapping[str, Any] | None) -> None:
    """Refuse a retirement setting that could not be followed.

    Raises:
        InvalidRetirementError: unknown criteria, or options out of range.
    """
    _state(criterion, n=0, deciding=(), machine_answer=None)


def _state(
    criterion: Mapping[str, Any] | None, *, n: int, deciding: Sequence[Answered], machine_answer: int | None
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
        if _settled(rule, n=n, deciding=deciding, machine_answer=machine_answer):
            return "retired", "consensus"
        return ("contested", "contested") if n >= rule.maximum else ("open", "")
    raise InvalidRetirementError(
        f"The retirement criteria {criteria!r} is unknown.",
        hint="Use classification_count, never_retire or consensus.",
    )


def task_of(key: str) -> str:
    """The task of a question: `T1` of `T1.2`."""
    return key.partition(".")[0]


def _settled(rule: Consensus, *, n: int, deciding: Sequence[Answered], machine_answer: int | None) -> bool:
    """Whether all questions of the first task are sure enough, by τ or by what one more vote would cost and save."""
    if not deciding or any(question.answer is None for question in deciding):
        return False
    first = deciding[0]
    agreed = machine_answer is not None and first.majority == machine_answer == first.answer
    if n < (min(rule.minimum, 2) if agreed else rule.minimum):
        return False
    if rule.costs is not None:
        return all(question.worth_asking is False for question in deciding)
    return all(question.p >= rule.threshold_of(question.answer or 0) - CERTAIN for question in deciding)


def _cost(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (math.isfinite(value) and value > 0):
        raise InvalidRetirementError(
            f"The cost {value!r} is not a positive number.", hint="Give both error_cost and vote_cost, or neither."
        )
    return float(value)


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
