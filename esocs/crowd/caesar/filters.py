"""Which extracts a reducer reduces: Caesar's filters, and its second grouping. Pure.

Extracts are put in the order of their classifications first, so that the order in which they arrived means nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from esocs.crowd.caesar.errors import ReductionError
from esocs.crowd.caesar.extraction import Data, key_of

DEFAULT_GROUP = "_default"

REPEATED = ("keep_first", "keep_last", "keep_all")
TRAINING = ("ignore_training", "training_only", "experiment_only")
EMPTY = ("keep_all", "ignore_empty")


@dataclass(frozen=True, kw_only=True)
class Extract:
    """What was read out of one classification, or what a machine said about a subject.

    Attributes:
        extractor_key: which extractor read it.
        classification_id: of the classification; None: a machine's.
        subject_id: of the subject.
        user_id: who classified; None: anonymous, or a machine.
        at: when.
        data: what was read.
        training: whether the subject's answer is known beforehand.
    """

    extractor_key: str
    classification_id: int | None
    subject_id: int
    user_id: int | None
    at: datetime
    data: Data
    training: bool = False

    @property
    def order(self) -> tuple[Any, ...]:
        return self.at, self.classification_id or 0, self.subject_id, self.extractor_key


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Of a reducer.

    Attributes:
        first: index of the first classification (0-based; from the end below 0).
        last: of the last one, included.
        extractor_keys: only these extractors' extracts; empty: all.
        repeated: of `REPEATED`; somebody's second classification of a subject. Anonymous ones are all kept.
        training: of `TRAINING`.
        empty: of `EMPTY`.
    """

    first: int = 0
    last: int = -1
    extractor_keys: frozenset[str] = frozenset()
    repeated: str = "keep_first"
    training: str = "ignore_training"
    empty: str = "keep_all"


@dataclass(frozen=True, kw_only=True)
class Grouping:
    """By the value of which field of which extractor the extracts are told apart; `strict`: each must have it."""

    extractor_key: str
    field_name: str
    strict: bool = False


Group = list[Extract]
"""The extracts of one classification."""


def group_by_classification(extracts: Iterable[Extract]) -> list[Group]:
    """One group a classification, in their order; each of a machine's extracts by itself."""
    groups: defaultdict[Any, Group] = defaultdict(list)
    for extract in sorted(extracts, key=lambda extract: extract.order):
        machine = (extract.subject_id, extract.extractor_key)
        groups[extract.classification_id or machine].append(extract)
    return list(groups.values())


def apply_filters(filters: Filters, groups: Sequence[Group]) -> list[Extract]:
    """The extracts that are left, in their order."""
    kept = [group for group in _without_repeats(filters.repeated, groups) if _is_wanted(filters.training, group)]
    return [
        extract
        for group in _between(filters.first, filters.last, kept)
        for extract in group
        if (not filters.extractor_keys or extract.extractor_key in filters.extractor_keys)
        and (filters.empty == "keep_all" or extract.data)
    ]


def _without_repeats(repeated: str, groups: Sequence[Group]) -> list[Group]:
    if repeated == "keep_all":
        return list(groups)
    seen: set[tuple[int, int]] = set()
    kept = []
    for group in groups if repeated == "keep_first" else reversed(groups):
        one = group[0]
        if one.user_id is not None:
            if (one.user_id, one.subject_id) in seen:
                continue
            seen.add((one.user_id, one.subject_id))
        kept.append(group)
    return kept if repeated == "keep_first" else kept[::-1]


def _is_wanted(training: str, group: Group) -> bool:
    return training == "ignore_training" or group[0].training == (training == "training_only")


def _between(first: int, last: int, groups: Sequence[Group]) -> Sequence[Group]:
    """Both ends included, and counted from the end below 0."""
    n = len(groups)
    low, high = (place + n if place < 0 else place for place in (first, last))
    return groups[max(low, 0) : high + 1] if low <= high else []


def split(grouping: Grouping | None, groups: Sequence[Group]) -> dict[str, list[Group]]:
    """The classifications of each subgroup, which is named as the field's value.

    Raises:
        ReductionError: a classification lacks the field, and the grouping is strict.
    """
    if grouping is None:
        return {DEFAULT_GROUP: list(groups)}
    found: defaultdict[str, list[Group]] = defaultdict(list)
    for group in groups:
        data: Mapping[str, Any] = next((e.data for e in group if e.extractor_key == grouping.extractor_key), {})
        if grouping.field_name in data:
            found[key_of(data[grouping.field_name])].append(group)
        elif grouping.strict:
            raise ReductionError(f"A classification has no {grouping.extractor_key}.{grouping.field_name}.")
    return dict(found)


@dataclass(frozen=True, kw_only=True)
class Reducer:
    """How to reduce extracts.

    Attributes:
        key: its name in the workflow.
        type: of `reduction.REDUCERS`, `external` or `placeholder`.
        filters: which extracts.
        grouping: how they are told apart.
        config: what else its type needs.
    """

    key: str
    type: str
    filters: Filters = field(default_factory=Filters)
    grouping: Grouping | None = None
    config: Mapping[str, Any] = field(default_factory=dict)


def select(reducer: Reducer, extracts: Iterable[Extract]) -> dict[str, list[Extract]]:
    """The extracts that a reducer reduces, by subgroup; a group with nothing left has an empty list.

    Raises:
        ReductionError: see `split`.
    """
    groups = split(reducer.grouping, group_by_classification(extracts))
    return {name: apply_filters(reducer.filters, members) for name, members in groups.items()}
