"""The routing decision on one prediction. Pure (DESIGN §5 Routing)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

from classifier.errors import EsocsError

Decision = Literal["accept", "volunteers", "experts", "audit"]


class InvalidRoutingError(EsocsError):
    """A workflow's routing settings cannot be followed."""

    code = "invalid_routing"
    status = 422


@dataclass(frozen=True, kw_only=True)
class RoutingSettings:
    """What a workflow demands of its machine.

    Attributes:
        alpha: largest error rate among the accepted, in (0, 1).
        delta: largest probability that alpha is broken, in (0, 1).
        audit_share: random share of everything that goes to volunteers blind, in [0, 1].
        ood_p_min: below this p-value a subject is out of distribution, in [0, 1].
    """

    alpha: float = 0.01
    delta: float = 0.05
    audit_share: float = 0.02
    ood_p_min: float = 0.01


def read_settings(routing: dict[str, Any]) -> RoutingSettings:
    """A workflow's `routing` JSON, checked; what is left out takes its default.

    Raises:
        InvalidRoutingError: an unknown name, or a value out of range.
    """
    known = RoutingSettings.__dataclass_fields__
    unknown = set(routing) - set(known)
    if unknown:
        raise InvalidRoutingError(f"Unknown routing settings: {', '.join(sorted(unknown))}.")
    for name, value in routing.items():
        open_ended = name in {"alpha", "delta"}
        inside = isinstance(value, (int, float)) and (0 < value < 1 if open_ended else 0 <= value <= 1)
        if not inside or isinstance(value, bool):
            raise InvalidRoutingError(f"The routing's {name} {value!r} is not a share.")
    return RoutingSettings(**routing)


def audit_draw(subject_id: int, policy_id: int) -> float:
    """A uniform number in [0, 1) that depends on nothing but the two ids: repeating a routing repeats its audit."""
    digest = hashlib.sha256(f"audit/{policy_id}/{subject_id}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / (1 << 56)


def decide_route(
    *,
    score: float,
    threshold: float | None,
    ood_p: float,
    ood_p_min: float,
    usable: bool,
    reserved: bool,
    audit: bool,
) -> tuple[Decision, str]:
    """The decision and its reason.

    The audit is drawn before anything is looked at, so that it is a uniformly random sample of everything.

    Args:
        score: the mean softmax of the predicted answer, in [0, 1].
        threshold: accept at or above; None where nothing could be certified.
        ood_p: p-value of being in distribution.
        ood_p_min: the smallest that is taken for in distribution.
        usable: the plane's quality flags pass.
        reserved: set aside for experts (seed or calibration sample).
        audit: drawn for the blind audit.
    """
    if reserved:
        return "experts", "reserved"
    if audit:
        return "audit", "audit"
    if not usable:
        return "experts", "quality"
    if ood_p < ood_p_min:
        return "volunteers", "out_of_distribution"
    if threshold is None:
        return "volunteers", "not_certified"
    if score >= threshold:
        return "accept", "certified"
    return "volunteers", "unsure"
