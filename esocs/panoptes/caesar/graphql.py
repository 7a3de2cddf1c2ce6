"""The part of GraphQL that reads: one query of fields with arguments, aliases and variables. Pure.

Zooniverse's classifier asks Caesar for a machine's marks in it. Grammar: GraphQL specification, October 2021, §2;
fragments, directives, mutations and introspection are not read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from classifier.errors import EsocsError

LARGEST_QUERY = 5_000
MOST_FIELDS = 200
DEEPEST = 8

_TOKEN = re.compile(
    r"""(?:[\s,\ufeff]|\#[^\n]*)*(?:(?P<name>[_A-Za-z][_0-9A-Za-z]*)|(?P<number>-?\d+(?:\.\d+)?)
    |(?P<text>"(?:[^"\\\n]|\\.)*")|(?P<mark>[{}():=!$\[\]])|(?P<end>\Z))""",
    re.VERBOSE,
)
_CONSTANTS = {"true": True, "false": False, "null": None}


class GraphqlError(EsocsError):
    """A query that cannot be read or followed; told in `errors`, as GraphQL over HTTP has it."""

    code = "graphql"
    status = 400


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of a selection: what it is, how it is to be called, and what is asked of it."""

    name: str
    alias: str
    arguments: Mapping[str, Any]
    fields: tuple[Field, ...]


def read_query(text: Any, variables: Any = None) -> tuple[Field, ...]:
    """The fields that a query asks for, its variables put in.

    Raises:
        GraphqlError: it is no query, or more of the language than is read here.
    """
    if not isinstance(text, str) or not text.strip():
        raise GraphqlError("`query` is missing.")
    if len(text) > LARGEST_QUERY:
        raise GraphqlError(f"The query has more than {LARGEST_QUERY:,} characters.")
    if variables is not None and not isinstance(variables, Mapping):
        raise GraphqlError("`variables` is an object.")
    return _Reader(text, variables or {}).document()


class _Reader:
    """Walks a query's tokens, one ahead."""

    def __init__(self, text: str, variables: Mapping[str, Any]) -> None:
        self._text, self._at, self._given = text, 0, variables
        self._defaults: dict[str, Any] = {}
        self._read = 0
        self._kind, self._word = "", ""
        self._next()

    def document(self) -> tuple[Field, ...]:
        if self._kind == "name":
            if self._take("name") != "query":
                raise GraphqlError("Only queries are answered.")
            if self._kind == "name":
                self._take("name")
            if self._word == "(":
                self._definitions()
        fields = self._selection(1)
        if self._kind != "end":
            raise GraphqlError("One query at a time is answered.")
        return fields

    def _definitions(self) -> None:
        """`($id: ID! = 1, …)`: only the defaults matter."""
        self._mark("(")
        while self._word != ")":
            self._mark("$")
            name = self._take("name")
            self._mark(":")
            while self._kind == "name" or self._word in {"[", "]", "!"}:
                self._next()
            if self._word == "=":
                self._next()
                self._defaults[name] = self._value()
        self._mark(")")

    def _selection(self, depth: int) -> tuple[Field, ...]:
        if depth > DEEPEST:
            raise GraphqlError("The query is nested too deeply.")
        self._mark("{")
        fields: list[Field] = []
        while self._word != "}":
            self._read += 1
            if self._read > MOST_FIELDS:
                raise GraphqlError(f"The query asks for more than {MOST_FIELDS} fields.")
            fields.append(self._field(depth))
        self._mark("}")
        if not fields:
            raise GraphqlError("A selection is empty.")
        return tuple(fields)

    def _field(self, depth: int) -> Field:
        alias = name = self._take("name")
        if self._word == ":":
            self._next()
            name = self._take("name")
        arguments: dict[str, Any] = {}
        if self._word == "(":
            self._next()
            while self._word != ")":
                argument = self._take("name")
                self._mark(":")
                arguments[argument] = self._value()
            self._mark(")")
        inner = self._selection(depth + 1) if self._word == "{" else ()
        return Field(name=name, alias=alias, arguments=arguments, fields=inner)

    def _value(self) -> Any:
        if self._word == "$":
            self._next()
            name = self._take("name")
            if name not in self._given and name not in self._defaults:
                raise GraphqlError(f"The variable ${name[:40]} is not given.")
            return self._given.get(name, self._defaults.get(name))
        kind, token = self._kind, self._word
        self._next()
        if kind in {"number", "text"}:
            try:
                return json.loads(token)
            except ValueError:
                raise GraphqlError("A text holds what none can.") from None
        if kind == "name":
            return _CONSTANTS.get(token, token)
        raise GraphqlError(f"A value was expected, not {token[:20]!r}.")

    def _take(self, kind: str) -> str:
        if self._kind != kind:
            raise GraphqlError(f"A {kind} was expected, not {self._word[:20]!r}.")
        token = self._word
        self._next()
        return token

    def _mark(self, mark: str) -> None:
        if self._word != mark or self._kind != "mark":
            raise GraphqlError(f"{mark!r} was expected, not {self._word[:20]!r}.")
        self._next()

    def _next(self) -> None:
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            raise GraphqlError(f"{self._text[self._at : self._at + 20].strip()!r} is not read here.")
        self._at = found.end()
        self._kind = found.lastgroup or ""
        self._word = found[self._kind]
