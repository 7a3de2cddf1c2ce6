"""How often each subject set is drawn from: the rules of a workflow's configuration that Designator reads. Pure.

The names and the schedules are Zooniverse's; the mixture is this:

    p(fixed set)  as its rule says, divided among the sets of one rule in proportion to their subjects
    p(other set)  (1 - sum of the fixed) * size * weight / sum over the other sets of size * weight

Fixed shares of more than one in all, or with no other set beside them, are divided by their sum.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# By the number of subjects that the volunteer has seen in the workflow: up to and with it, the share.
GOLD_STANDARD = ((20, 0.4), (40, 0.3), (60, 0.2))
GOLD_STANDARD_LATER = 0.1
SPACEWARPS = ((14, 0.33), (39, 0.2))
SPACEWARPS_LATER = 0.1

NAMES = frozenset(
    {
        "subject_set_chances",
        "subject_set_weights",
        "gold_standard_sets",
        "spacewarps_training_sets",
        "training_set_ids",
        "training_chances",
        "training_default_chance",
    }
)
"""The keys of a workflow's configuration that say something of streams."""

MOST_SETS = 1_000


@dataclass(frozen=True, kw_only=True)
class Streams:
    """The rules of one workflow, for one volunteer."""

    chances: Mapping[int, float] = field(default_factory=dict)
    weights: Mapping[int, float] = field(default_factory=dict)
    gold_sets: tuple[int, ...] = ()
    spacewarps_sets: tuple[int, ...] = ()
    training_sets: tuple[int, ...] = ()
    training_chances: tuple[float, ...] = ()
    training_default_chance: float = 0.0

    @property
    def special_sets(self) -> frozenset[int]:
        """Sets that only their own rule draws from."""
        return frozenset((*self.gold_sets, *self.spacewarps_sets, *self.training_sets))


def read_streams(configuration: Mapping[str, Any], settings: Mapping[str, Any] | None = None) -> Streams:
    """The rules of a configuration; what cannot be meant is passed over, because a queue must not fail of it.

    Args:
        configuration: the workflow's.
        settings: what the project's people set for this volunteer: `subject_set_chances` and `subject_set_weights`,
            alone or under `designator`, take the place of the workflow's.
    """
    own = settings or {}
    own = own["designator"] if isinstance(own.get("designator"), Mapping) else own
    named = {**configuration, **{key: own[key] for key in ("subject_set_chances", "subject_set_weights") if key in own}}
    chances = named.get("training_chances")
    return Streams(
        chances={pk: min(share, 1.0) for pk, share in _numbers(named.get("subject_set_chances"))},
        weights=dict(_numbers(named.get("subject_set_weights"))),
        gold_sets=_ids(named.get("gold_standard_sets")),
        spacewarps_sets=_ids(named.get("spacewarps_training_sets")),
        training_sets=_ids(named.get("training_set_ids")),
        training_chances=tuple(_share(each) for each in chances) if isinstance(chances, list) else (),
        training_default_chance=_share(named.get("training_default_chance")),
    )


def mix(streams: Streams, *, sizes: Mapping[int, int], seen: int, signed_in: bool) -> dict[int, float]:
    """The probability with which each set is drawn from; they add up to one, and sets without subjects have none.

    Args:
        streams: the rules.
        sizes: the subjects of each of the workflow's sets.
        seen: how many of the workflow's subjects the volunteer has seen.
        signed_in: nobody else is trained or tried by gold.
    """
    sizes = {pk: n for pk, n in sizes.items() if n > 0}
    fixed: dict[int, float] = {}
    if signed_in:
        trained = streams.training_chances
        training = trained[seen] if seen < len(trained) else streams.training_default_chance
        for sets, share in (
            (streams.gold_sets, _scheduled(GOLD_STANDARD, GOLD_STANDARD_LATER, seen)),
            (streams.spacewarps_sets, _scheduled(SPACEWARPS, SPACEWARPS_LATER, seen)),
            (streams.training_sets, training),
        ):
            fixed |= _divide(share, {pk: float(sizes[pk]) for pk in sets if pk in sizes})
    special = streams.special_sets
    fixed |= {pk: share for pk, share in streams.chances.items() if pk in sizes and pk not in special}
    others = {pk: n * streams.weights.get(pk, 1.0) for pk, n in sizes.items() if pk not in fixed and pk not in special}
    rest = max(0.0, 1.0 - sum(fixed.values()))
    shares = {**fixed, **_divide(rest, others)}
    return {pk: share for pk, share in _divide(1.0, shares).items() if share > 0}


def draw(shares: Mapping[int, float], *, limit: int, rng: random.Random) -> Counter[int]:
    """How many of `limit` subjects to take from each set."""
    if not shares:
        return Counter()
    return Counter(rng.choices(list(shares), weights=list(shares.values()), k=limit))


def _scheduled(steps: Sequence[tuple[int, float]], later: float, seen: int) -> float:
    return next((share for up_to, share in steps if seen <= up_to), later)


def _divide(share: float, amounts: Mapping[int, float]) -> dict[int, float]:
    total = sum(amounts.values())
    return {pk: share * amount / total for pk, amount in amounts.items()} if total > 0 else {}


def _share(value: Any) -> float:
    number = _number(value)
    return 0.0 if number is None else min(number, 1.0)


def _numbers(value: Any) -> Iterable[tuple[int, float]]:
    for key, number in list(value.items())[:MOST_SETS] if isinstance(value, Mapping) else ():
        pk, share = _id(key), _number(number)
        if pk is not None and share is not None:
            yield pk, share


def _ids(value: Any) -> tuple[int, ...]:
    found = (_id(each) for each in value[:MOST_SETS]) if isinstance(value, list) else ()
    return tuple(pk for pk in found if pk is not None)


def _id(value: Any) -> int | None:
    text = str(value)
    is_id = not isinstance(value, bool | float) and text.isascii() and text.isdecimal() and len(text) <= 18
    return int(text) if is_id else None


def _number(value: Any) -> float | None:
    """A finite number that is not negative, be it written as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0.0 <= number < float("inf") else None
