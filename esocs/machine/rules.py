"""What a workflow demands of its machine, and the decision on one prediction. Pure (DESIGN §5 Routing)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from classifier.errors import EsocsError
from classifier.selection import enough_for_calibration, least_accepted

Decision = Literal["accept", "volunteers", "experts", "audit"]


# What may divide the archive into strata: the setting's word, and the product's column.
STRATA = {
    "instrument": "instrument",
    "telescope": "telescope",
    "filter": "filter_name",
    "category": "product_category",
}


class InvalidRoutingError(EsocsError):
    """A workflow's routing settings cannot be followed."""

    code = "invalid_routing"
    status = 422


@dataclass(frozen=True, kw_only=True)
class RoutingSettings:
    """What a workflow demands of its machine.

    Attributes:
        alpha: largest error rate among the accepted, in (0, 1).
        delta: largest probability that any threshold breaks its alpha, in (0, 1).
        audit_share: random share of everything that goes to volunteers blind, in [0, 1].
        ood_p_min: below this p-value a subject is out of distribution, in [0, 1].
        alarm_delta: largest probability, ever, that the audit's alarm is false, in (0, 1).
        stratify_by: each value of this has its own threshold (`STRATA`); empty: one for all.
        alpha_by_answer: an answer's text → largest error rate among those accepted as that answer, in (0, 1).
        votes_per_day: how many votes volunteers are expected to give on a UTC day; None: all is published at once.
    """

    alpha: float = 0.01
    delta: float = 0.05
    audit_share: float = 0.02
    ood_p_min: float = 0.01
    alarm_delta: float = 0.01
    stratify_by: str = ""
    alpha_by_answer: Mapping[str, float] = field(default_factory=dict)
    votes_per_day: int | None = None

    def alphas(self, answers: Sequence[str]) -> dict[int, float]:
        """Index of an answer → its own alpha."""
        return {answers.index(text): alpha for text, alpha in self.alpha_by_answer.items()}


LARGEST_CALIBRATION_SHARE = 0.25


def calibration_size(*, subjects: int, alpha: float, delta: float) -> int:
    """How many of a workflow's subjects to set aside for calibration, when nobody says: at most a quarter of them."""
    return min(enough_for_calibration(alpha=alpha, delta=delta), int(LARGEST_CALIBRATION_SHARE * subjects))


def describe_calibration(*, size: int, alpha: float, delta: float) -> str:
    """What a blind sample of this size can certify, in a sentence for who has to label it."""
    least = least_accepted(errors=0, alpha=alpha, delta=delta)
    enough = enough_for_calibration(alpha=alpha, delta=delta)
    promise = f"at most {alpha:.3g} wrong among the accepted, at a risk of {delta:.3g}"
    if size < least:
        return (
            f"{size:,} blind subjects cannot certify any threshold for {promise}: that takes {least:,} "
            "without an error. Nothing will be accepted. Reserve more, or allow a larger alpha."
        )
    if size < enough:
        return f"{size:,} blind subjects certify {promise}, but accept fewer than {enough:,} would."
    return f"{size:,} blind subjects certify {promise}."


def read_settings(routing: dict[str, Any], *, answers: Sequence[str] | None = None) -> RoutingSettings:
    """A workflow's `routing` JSON, checked; what is left out takes its default.

    Args:
        routing: as it is kept.
        answers: the texts that `alpha_by_answer` may name; not checked without.

    Raises:
        InvalidRoutingError: an unknown name, answer or stratum, or a value out of range.
    """
    known = RoutingSettings.__dataclass_fields__
    unknown = sorted(set(routing) - set(known))
    if unknown:
        raise InvalidRoutingError(
            f"Unknown routing settings: {', '.join(unknown)}.", hint=f"Known are {', '.join(known)}."
        )
    for name in ("alpha", "delta", "alarm_delta"):
        _require_share(name, routing.get(name, 0.5), open_ended=True)
    for name in ("audit_share", "ood_p_min"):
        _require_share(name, routing.get(name, 0.5), open_ended=False)
    _require_strata(routing.get("stratify_by", ""))
    _require_answers(routing.get("alpha_by_answer", {}), answers)
    votes = routing.get("votes_per_day")
    if votes is not None and (isinstance(votes, bool) or not isinstance(votes, int) or votes < 0):
        raise InvalidRoutingError(
            f"The routing's votes_per_day {votes!r} is not a number of votes.",
            hint="Give a whole number; 0 publishes nothing, and without the setting nothing is held back.",
        )
    return RoutingSettings(**routing)


def _require_share(name: str, value: object, *, open_ended: bool) -> None:
    if (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and (0 < value < 1 or (not open_ended and 0 <= value <= 1))
    ):
        return
    span = "above 0 and below 1" if open_ended else "from 0 to 1"
    raise InvalidRoutingError(f"The routing's {name} {value!r} is not a share.", hint=f"Give a number {span}.")


def _require_strata(value: object) -> None:
    if value != "" and value not in STRATA:
        raise InvalidRoutingError(
            f"The routing's stratify_by {value!r} is no property of a product that divides the archive.",
            hint=f"Name one of {', '.join(STRATA)}, or leave it out.",
        )


def _require_answers(value: object, answers: Sequence[str] | None) -> None:
    if not isinstance(value, dict):
        raise InvalidRoutingError(
            f"The routing's alpha_by_answer {value!r} is no table.", hint='Write {"the answer": 0.05, …}.'
        )
    for text, alpha in value.items():
        _require_share(f"alpha_by_answer for {text!r}", alpha, open_ended=True)
        if answers is not None and text not in answers:
            raise InvalidRoutingError(
                f"The routing's alpha_by_answer names {text!r}, which is no answer.",
                hint=f"The answers are {', '.join(answers)}.",
            )


def audit_draw(subject_id: int, policy_id: int) -> float:
    """A uniform number in [0, 1) that depends on nothing but the two ids: repeating a routing repeats its audit."""
    digest = hashlib.sha256(f"audit/{policy_id}/{subject_id}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / (1 << 56)


def judge(
    *, score: float, threshold: float | None, ood_p: float, ood_p_min: float, usable: bool, calibrated: bool = True
) -> tuple[Decision, str]:
    """Where a prediction would go that is neither reserved nor drawn for the audit, and why.

    Args:
        score: the mean softmax of the predicted answer, in [0, 1].
        threshold: accept at or above; None where nothing could be certified.
        ood_p: p-value of being in distribution.
        ood_p_min: the smallest that is taken for in distribution.
        usable: the plane's quality flags pass.
        calibrated: its stratum and answer were in the calibration sample; of others nothing is promised.
    """
    if not usable:
        return "experts", "quality"
    if ood_p < ood_p_min:
        return "volunteers", "out_of_distribution"
    if not calibrated:
        return "volunteers", "not_calibrated"
    if threshold is None:
        return "volunteers", "not_certified"
    if score >= threshold:
        return "accept", "certified"
    return "volunteers", "unsure"


def decide_route(judged: tuple[Decision, str], *, reserved: bool, audit: bool) -> tuple[Decision, str]:
    """The decision and its reason.

    The audit is drawn before anything is looked at, so that it is a uniformly random sample of everything.

    Args:
        judged: as from `judge`.
        reserved: set aside for experts (seed or calibration sample).
        audit: drawn for the blind audit.
    """
    if reserved:
        return "experts", "reserved"
    if audit:
        return "audit", "audit"
    return judged
