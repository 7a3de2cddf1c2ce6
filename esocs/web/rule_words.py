"""Rules that were written through Caesar's API, in words: what a scientist reads who did not write them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from esocs.crowd.caesar import queries
from esocs.crowd.caesar.queries import Trouble
from esocs.crowd.models import CaesarWorkflow, RuleEffect
from esocs.projects.models import Workflow

SIGNS = {"lt": "<", "lte": "≤", "gt": ">", "gte": "≥", "eq": "=", "*": "×", "and": "and", "or": "or"}
LONGEST = 400


@dataclass(frozen=True, kw_only=True)
class RuleLine:
    """One rule: its number in the API, when it holds, what it does, and for how many subjects it holds now."""

    number: int
    condition: str
    effects: Sequence[str]
    holding: int


@dataclass(frozen=True, kw_only=True)
class CaesarState:
    """What Caesar's objects do in a workflow."""

    status: str
    first_only: bool
    rules: Sequence[RuleLine]
    troubles: Sequence[Trouble]
    waiting: int


def describe_caesar(workflow: Workflow, reasons: Mapping[str, str]) -> CaesarState | None:
    """What Caesar's objects do in a workflow; None where there are none.

    Args:
        workflow: whose.
        reasons: of retirement, in words.
    """
    setting = CaesarWorkflow.objects.filter(workflow=workflow).first()
    if setting is None:
        return None
    return CaesarState(
        status=setting.status,
        first_only=setting.rules_applied == CaesarWorkflow.RulesApplied.FIRST,
        rules=[
            RuleLine(
                number=rule.pk,
                condition=describe_condition(rule.condition),
                effects=[describe_effect(effect, reasons) for effect in rule.effects.all()],
                holding=rule.holding,  # type: ignore[attr-defined]
            )
            for rule in queries.list_hand_written_rules(workflow)
        ],
        troubles=queries.list_troubles(workflow),
        waiting=queries.count_waiting(workflow),
    )


def describe_effect(effect: RuleEffect, reasons: Mapping[str, str]) -> str:
    """What an effect does."""
    if effect.action == RuleEffect.Action.RETIRE:
        return f"Retire: {reasons.get(effect.reason, effect.reason)}"
    if effect.subject_set is not None:
        return f"Add to the set “{effect.subject_set.display_name}”"
    if effect.collection is not None:
        return f"Add to the collection “{effect.collection.display_name}”"
    host = urlsplit(str(effect.config.get("url", ""))).hostname or "?"
    return f"Send “{effect.config.get('reducer_key')}” to {host}"


def describe_condition(expression: Any) -> str:
    """A condition as a formula: `complete.0 ≥ 3 and not subject.known = true`."""
    text = _describe(expression)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _describe(expression: Any) -> str:
    name, arguments = expression[0], expression[1:]
    if name == "const":
        return json.dumps(arguments[0], ensure_ascii=False)
    if name == "lookup":
        return str(arguments[0])
    if name in {"any", "all"}:
        return f"{name} of {arguments[0]}: {_inner(arguments[1])}"
    if name in WORDS:
        return WORDS[name](_inner(arguments[0]))
    return f" {SIGNS.get(name, name)} ".join(_inner(part) for part in arguments)


def _inner(expression: Any) -> str:
    text = _describe(expression)
    simple = expression[0] in {"const", "lookup", *WORDS} or (expression[0] in {"lt", "lte", "gt", "gte", "eq"})
    return text if simple else f"({text})"


WORDS: dict[str, Callable[[str], str]] = {
    "not": lambda inner: f"not {inner}",
    "upcase": lambda inner: f"upper case of {inner}",
    "downcase": lambda inner: f"lower case of {inner}",
    "int": lambda inner: f"whole part of {inner}",
    "float": lambda inner: f"number {inner}",
}
