"""`/graphql`: Caesar's reductions and extracts as Zooniverse's classifier asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from classifier.errors import EsocsError
from esocs.crowd.caesar import documents, queries
from esocs.crowd.models import CaesarWorkflow, Extractor, Reducer
from esocs.panoptes import schema
from esocs.panoptes.caesar.base import LARGEST_LIST, CaesarView
from esocs.panoptes.caesar.graphql import Field, GraphqlError, read_query
from esocs.panoptes.errors import answer_error
from esocs.panoptes.parameters import parse_id

Document = dict[str, Any]
READ = {
    200: schema.object_of(("errors",), data=schema.nullable(schema.MAP), errors={"type": "array", "items": schema.MAP})
}


class Graph(CaesarView):
    """One query: `{workflow(id: 1) {subject_reductions(subjectId: 2, reducerKey: "alice") {data}}}`.

    As GraphQL over HTTP has it, what cannot be answered is told in `errors` with status 200.
    """

    @extend_schema(
        operation_id="caesar_query",
        tags=["caesar"],
        request={"application/json": schema.object_of(("variables",), query=schema.TEXT, variables=schema.MAP)},
        responses={**READ, **schema.ERRORS},
    )
    def post(self, request: Request) -> Response:
        sent = request.data if isinstance(request.data, Mapping) else {}
        try:
            fields = read_query(sent.get("query"), sent.get("variables"))
            return Response({"data": _select(fields, {"workflow": self.workflow})})
        except EsocsError as error:
            if error.status >= 500:
                return answer_error(error)  # type: ignore[return-value]
            return Response({"data": None, "errors": [{"message": error.message, "extensions": {"code": error.code}}]})

    def workflow(self, field: Field) -> Document:
        """A workflow that the asker may read; each list beneath has its own rule."""
        pk = str(field.arguments.get("id", ""))
        parse_id(pk, "id")
        return _select(
            field.fields,
            {
                "id": lambda _: pk,
                "subject_reductions": lambda one: self._reductions(pk, one),
                "reductions": lambda one: self._reductions(pk, one),
                "extracts": lambda one: self._extracts(pk, one),
                "extractors": lambda one: self._own(pk, one, Extractor, documents.extractor_document),
                "reducers": lambda one: self._own(pk, one, Reducer, documents.reducer_document),
            },
        )

    def _reductions(self, pk: str, field: Field) -> list[Document]:
        setting = self.find_readable(pk, public="public_reductions")
        rows = queries.list_subject_reductions(
            setting.workflow, subject_id=_subject_id(field), reducer_key=_key(field, "reducerKey")
        )
        return [_pick(field, documents.reduction_document(row)) for row in rows[:LARGEST_LIST]]

    def _extracts(self, pk: str, field: Field) -> list[Document]:
        setting: CaesarWorkflow = self.find_readable(pk, public="public_extracts")
        named = self.is_one_of_us(setting)
        rows = queries.list_extracts(
            setting.workflow, subject_id=_subject_id(field), extractor_key=_key(field, "extractorKey")
        )
        return [_pick(field, documents.extract_document(row, named=named)) for row in rows[:LARGEST_LIST]]

    def _own(self, pk: str, field: Field, model: Any, document: Callable[[Any], Document]) -> list[Document]:
        rows = model.objects.filter(workflow=self.find_setting(pk).workflow).order_by("id")
        return [_pick(field, document(row)) for row in rows]


def _select(fields: tuple[Field, ...], known: Mapping[str, Callable[[Field], Any]]) -> Document:
    """What each field comes to, under the name that was asked for."""
    answered: Document = {}
    for field in fields:
        if field.name not in known:
            raise GraphqlError(f"There is no field {field.name[:40]!r} here.")
        answered[field.alias] = known[field.name](field)
    return answered


def _pick(field: Field, document: Document) -> Document:
    """Of a document what was asked for, under Ruby's names or JavaScript's."""
    if not field.fields:
        raise GraphqlError(f"Say what of {field.name!r} you want.")
    known: dict[str, Callable[[Field], Any]] = {}
    for name, value in document.items():
        known[name] = known[_camel(name)] = lambda one, value=value: _inner(one, value)  # type: ignore[misc]
    return _select(field.fields, known)


def _inner(field: Field, value: Any) -> Any:
    return _pick(field, value) if field.fields and isinstance(value, dict) else value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _argument(field: Field, name: str) -> Any:
    """Under either spelling; None where it is not given."""
    spelt = {_camel(key): value for key, value in field.arguments.items()}
    return spelt.get(name)


def _subject_id(field: Field) -> int:
    return parse_id(str(_argument(field, "subjectId") or ""), "subjectId")


def _key(field: Field, name: str) -> str | None:
    key = _argument(field, name)
    return None if key is None else str(key)
