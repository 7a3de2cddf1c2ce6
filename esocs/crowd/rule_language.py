"""The language of rules: JSON lists such as ["gte", ["lookup", "votes.T0.2", 0], ["const", 3]]. Pure.

The operators and their form are Caesar's (zooniverse/caesar), so that a rule written there means the same here.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

from classifier.errors import EsocsError

Value: TypeAlias = str | float | int | bool | None
Facts: TypeAlias = Mapping[str, Value]

MOST_NODES = 500
"""Parts of one expression: rules run in a volunteer's request."""

DEEPEST = 50


class InvalidRuleError(EsocsError):
    """A rule that cannot be read, or cannot be worked out on its facts."""

    code = "invalid_rule"
    status = 422


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "eq": operator.eq,
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
    waiting = [(expression, 1)]
    while waiting:
        part, depth = waiting.pop()
        nodes += 1
        if nodes > MOST_NODES:
            raise InvalidRuleError(f"The rule has more than {MOST_NODES} parts.")
        if depth > DEEPEST:
            raise InvalidRuleError(f"The rule is nested more than {DEEPEST} deep.")
        if not isinstance(part, list) or not part or not isinstance(part[0], str):
            raise InvalidRuleError(f"{part!r} is no expression.", hint='Write ["operator", …].')
        name, arguments = part[0], part[1:]
        if name == "const":
            if len(arguments) != 1 or isinstance(arguments[0], (list, dict)):
                raise InvalidRuleError(f"{part!r} is no constant.", hint='Write ["const", value].')
        elif name == "lookup":
            if len(arguments) != 2 or not isinstance(arguments[0], str):
                raise InvalidRuleError(f"{part!r} is no lookup.", hint='Write ["lookup", "votes.T0.2", default].')
        elif name not in FEWEST_ARGUMENTS:
            raise InvalidRuleError(f"There is no operator {name!r}.", hint=f"Use one of {', '.join(FEWEST_ARGUMENTS)}.")
        else:
            _check_number(name, arguments)
            waiting += [(argument, depth + 1) for argument in arguments]


def _check_number(name: str, arguments: Sequence[Any]) -> None:
    fewest = FEWEST_ARGUMENTS[name]
    exact = name in CONVERSIONS or name == "not" or name in {"/", "%"}
    if len(arguments) < fewest or (exact and len(arguments) != fewest):
        raise InvalidRuleError(f"{name!r} takes {fewest} parts, not {len(arguments)}.")


def evaluate(expression: Any, facts: Facts) -> Value:
    """The value of a checked expression.

    Args:
        expression: JSON lists.
        facts: what `lookup` finds; a missing or null fact is the lookup's default.

    Raises:
        InvalidRuleError: values that cannot be compared or reckoned with.
    """
    name, arguments = expression[0], expression[1:]
    if name == "const":
        constant: Value = arguments[0]
        return constant
    if name == "lookup":
        found = facts.get(arguments[0])
        return arguments[1] if found is None else found
    if name == "and":
        return all(evaluate(part, facts) for part in arguments)
    if name == "or":
        return any(evaluate(part, facts) for part in arguments)
    if name == "not":
        return not evaluate(arguments[0], facts)
    return _apply(name, [evaluate(part, facts) for part in arguments])


def _apply(name: str, values: list[Value]) -> Value:
    # Text times a number is text in Python, of any length.
    if name in ARITHMETIC and not all(isinstance(value, (int, float)) for value in values):
        raise InvalidRuleError(f"{name!r} of {values!r}: not all are numbers.")
    try:
        if name in COMPARISONS:
            return all(COMPARISONS[name](left, right) for left, right in pairwise(values))
        if name in CONVERSIONS:
            return CONVERSIONS[name](values[0])
        result: Any = values[0]
        for value in values[1:]:
            result = ARITHMETIC[name](result, value)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise InvalidRuleError(f"{name!r} of {values!r}: {error}.") from error
    else:
        return result  # type: ignore[no-any-return]
