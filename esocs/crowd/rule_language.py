"""The language of rules: JSON lists such as ["gte", ["lookup", "votes.T0.2", 0], ["const", 3]]. Pure.

The operators and their form are Caesar's (zooniverse/caesar), so that a rule written there means the same here.
Whatever is written, checking and working out end soon: with a value, or with `InvalidRuleError`.
"""

from __future__ import annotations

import math
import operator
import reprlib
from collections.abc import Callable, Mapping, Sequence
from itertools import islice, pairwise
from typing import Any, TypeAlias

from classifier.errors import EsocsError

Value: TypeAlias = str | float | int | bool | None
Facts: TypeAlias = Mapping[str, Value]

MOST_NODES = 500
"""Parts of one expression."""

MOST_STEPS = 50_000
"""Parts that are worked out for one answer: `any` and `all` work theirs out for every entry."""

DEEPEST = 50

MOST_ENTRIES = 1_000
"""Of what `any` and `all` look through."""

LARGEST_BITS = 1_000
"""Of a whole number; a float holds no more either. Without a bound a few products would fill the memory."""

LONGEST_TEXT = 100_000


class InvalidRuleError(EsocsError):
    """A rule that cannot be read, or cannot be worked out on its facts."""

    code = "invalid_rule"
    status = 422


def _equal(left: Any, right: Any) -> bool:
    """As in JSON, where true is not 1."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "eq": _equal,
}
ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
}
CONVERSIONS: dict[str, Callable[[Any], Value]] = {
    "upcase": lambda value: str(value).upper(),
    "downcase": lambda value: str(value).lower(),
    "int": lambda value: int(float(value)),
    "float": float,
}
QUANTIFIERS: dict[str, Callable[[Any], bool]] = {"any": any, "all": all}
FEWEST_ARGUMENTS = (
    dict.fromkeys(COMPARISONS, 2)
    | dict.fromkeys(ARITHMETIC, 2)
    | dict.fromkeys(CONVERSIONS, 1)
    | {"not": 1, "and": 1, "or": 1}
)


def check(expression: Any) -> None:
    """Refuse what `evaluate` could not read.

    Raises:
        InvalidRuleError: an unknown operator, a wrong number of parts, or an expression too large.
    """
    nodes = 0
    waiting = [(expression, 1, False)]
    while waiting:
        part, depth, inside = waiting.pop()
        nodes += 1
        if nodes > MOST_NODES:
            raise InvalidRuleError(f"The rule has more than {MOST_NODES} parts.")
        if depth > DEEPEST:
            raise InvalidRuleError(f"The rule is nested more than {DEEPEST} deep.")
        if not isinstance(part, list) or not part or not isinstance(part[0], str) or len(part) > MOST_NODES:
            raise InvalidRuleError(f"{_shown(part)} is no expression.", hint='Write ["operator", …].')
        operands = _check_operator(part, inside=inside)
        inside |= part[0] in QUANTIFIERS
        waiting += [(operand, depth + 1, inside) for operand in operands]


def _check_operator(part: list[Any], *, inside: bool) -> Sequence[Any]:
    """The expressions that one consists of; `inside`: of `any` or `all`."""
    name, arguments = part[0], part[1:]
    if name == "const":
        if len(arguments) != 1 or not _is_value(arguments[0]):
            raise InvalidRuleError(f"{_shown(part)} is no constant.", hint='Write ["const", value].')
        return ()
    if name == "lookup":
        if len(arguments) != 2 or not isinstance(arguments[0], str) or not _is_value(arguments[1]):
            raise InvalidRuleError(f"{_shown(part)} is no lookup.", hint='Write ["lookup", "votes.T0.2", default].')
        return ()
    if name in QUANTIFIERS:
        if len(arguments) != 2 or not isinstance(arguments[0], str) or inside:
            raise InvalidRuleError(
                f"{_shown(part)} is not of the form of {name!r}.",
                hint=f'Write ["{name}", "votes.T0", ["gt", ["lookup", "value", 0], ["const", 1]]], not in another one.',
            )
        return arguments[1:]
    if name not in FEWEST_ARGUMENTS:
        known = ", ".join(["const", "lookup", *QUANTIFIERS, *FEWEST_ARGUMENTS])
        raise InvalidRuleError(f"There is no operator {_shown(name)}.", hint=f"Use one of {known}.")
    _check_number(name, arguments)
    return arguments


def _check_number(name: str, arguments: Sequence[Any]) -> None:
    fewest = FEWEST_ARGUMENTS[name]
    exact = name in CONVERSIONS or name == "not" or name in {"/", "%"}
    if len(arguments) < fewest or (exact and len(arguments) != fewest):
        raise InvalidRuleError(f"{name!r} takes {fewest} parts, not {len(arguments)}.")


def _is_value(part: Any) -> bool:
    return part is None or isinstance(part, (str, int, float))


class _Steps:
    """How many parts have been worked out for one answer."""

    def __init__(self) -> None:
        self.left = MOST_STEPS

    def take(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise InvalidRuleError(f"The rule takes more than {MOST_STEPS:,} steps.")


def evaluate(expression: Any, facts: Facts) -> Value:
    """The value of a checked expression.

    Args:
        expression: JSON lists. `["any", "c", operation]` and `all` try the operation on each fact below `c`, which it
            looks up as `key` (what stands after `c.`) and `value`.
        facts: what `lookup` finds; a missing or null fact is the lookup's default.

    Raises:
        InvalidRuleError: values that cannot be compared or reckoned with, or that are out of bounds.
    """
    return _value(expression, facts, _Steps())


def _value(expression: Any, facts: Facts, steps: _Steps) -> Value:
    steps.take()
    name, arguments = expression[0], expression[1:]
    if name == "const":
        return _bounded(name, arguments[0])
    if name == "lookup":
        found = facts.get(arguments[0])
        return _bounded(name, arguments[1] if found is None else found)
    if name == "and":
        return all(_value(part, facts, steps) for part in arguments)
    if name == "or":
        return any(_value(part, facts, steps) for part in arguments)
    if name == "not":
        return not _value(arguments[0], facts, steps)
    if name in QUANTIFIERS:
        entries = _entries(arguments[0], facts)
        return QUANTIFIERS[name](_value(arguments[1], {"key": key, "value": value}, steps) for key, value in entries)
    return _apply(name, [_value(part, facts, steps) for part in arguments])


def _entries(name: str, facts: Facts) -> list[tuple[str, Value]]:
    below = f"{name}."
    found = ((key[len(below) :], value) for key, value in facts.items() if key.startswith(below))
    entries = list(islice(found, MOST_ENTRIES + 1))
    if len(entries) > MOST_ENTRIES:
        raise InvalidRuleError(f"There are more than {MOST_ENTRIES} facts below {_shown(name)}.")
    return entries


def _apply(name: str, values: list[Value]) -> Value:
    # Text times a number is text in Python, of any length; and true is 1 there.
    if name in ARITHMETIC and not all(_is_number(value) for value in values):
        raise InvalidRuleError(f"{name!r} of {_shown(values)}: not all are numbers.")
    if name in COMPARISONS and name != "eq" and any(isinstance(value, bool) for value in values):
        raise InvalidRuleError(f"{name!r} of {_shown(values)}: true and false have no order.")
    try:
        if name in COMPARISONS:
            return all(COMPARISONS[name](left, right) for left, right in pairwise(values))
        if name in CONVERSIONS:
            return _bounded(name, CONVERSIONS[name](values[0]))
        result: Any = values[0]
        for value in values[1:]:
            result = _bounded(name, ARITHMETIC[name](result, value))
    except (TypeError, ValueError, ArithmeticError) as error:
        raise InvalidRuleError(f"{name!r} of {_shown(values)}: {error}.") from error
    else:
        return result  # type: ignore[no-any-return]


def _is_number(value: Value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _bounded(name: str, value: Value) -> Value:
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidRuleError(f"{name!r} gives no finite number.")
    if isinstance(value, int) and value.bit_length() > LARGEST_BITS:
        raise InvalidRuleError(f"{name!r} gives a number of more than {LARGEST_BITS} bits.")
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        raise InvalidRuleError(f"{name!r} gives a text of more than {LONGEST_TEXT:,} characters.")
    return value


def _shown(part: Any) -> str:
    try:
        return reprlib.repr(part)
    except ValueError:  # Python writes no number of more than 4300 digits
        return "What was given"
