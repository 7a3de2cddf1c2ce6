"""What a rule can look up: `<reducer key>.<field>`, and `subject.<metadata key>`. Pure.

They stand beside what the crowd room itself knows of a subject (`votes.T0.2`, `count.classifications` …, see
`retirement.facts_of`); where a reducer says the same name, the reducer is meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from esocs.crowd.caesar.filters import DEFAULT_GROUP
from esocs.crowd.rule_language import Facts, Value

MOST_FACTS = 5_000
DEEPEST = 4


def bind(
    reductions: Iterable[tuple[str, str, Any]],
    *,
    subject: tuple[int, Mapping[str, Any]] | None = None,
    known: Facts | None = None,
) -> dict[str, Value]:
    """Everything that a rule can look up.

    Args:
        reductions: reducer key, subgroup and data of each.
        subject: id and metadata.
        known: what is known besides, under other names or the same.

    Returns:
        Facts by name. Objects inside data are told by their own fields (`points.frame0.count`); lists are left out.
        What has a subgroup is told as `<reducer key>.<subgroup>.<field>`; data that are one value (`unique_count`) as
        `<reducer key>`.
    """
    facts: dict[str, Value] = dict(known or {})
    for key, subgroup, data in reductions:
        prefix = key if subgroup == DEFAULT_GROUP else f"{key}.{subgroup}"
        _add(facts, prefix, data)
    if subject is not None:
        subject_id, metadata = subject
        _add(facts, "subject", metadata)
        facts["subject.zooniverse_subject_id"] = subject_id
    return facts


def _add(facts: dict[str, Value], prefix: str, data: Any) -> None:
    found = _flat(data, prefix, DEEPEST) if isinstance(data, Mapping) else [(prefix, data)]
    for name, value in found:
        if len(facts) >= MOST_FACTS:
            return
        if value is None or isinstance(value, (str, int, float)):
            facts[name] = value


def _flat(data: Mapping[str, Any], prefix: str, deepest: int) -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        name = f"{prefix}.{key}"
        if isinstance(value, Mapping):
            if deepest > 1:
                yield from _flat(value, name, deepest - 1)
        else:
            yield name, value
