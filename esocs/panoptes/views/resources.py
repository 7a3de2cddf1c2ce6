"""What resources that can be listed, made, shown, changed and deleted have in common.

A resource says what is visible, how its rows are written, and who may change them; the parts below do the rest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from django.db.models import Model, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from esocs.accounts.models import User
from esocs.panoptes.access import require_collaborator, require_signed_in
from esocs.panoptes.bodies import read_body
from esocs.panoptes.documents import Document
from esocs.panoptes.errors import ForbiddenError, NotFoundError
from esocs.panoptes.paging import paginate
from esocs.panoptes.parameters import parse_id, read_id, read_ids, read_order
from esocs.panoptes.views.base import PanoptesView, require_match
from esocs.projects.access import list_visible_projects
from esocs.projects.models import Project


class Resource(PanoptesView, ABC):
    """A kind of row. Subclasses say which rows there are for the asker, and how they are written."""

    plural: ClassVar[str]
    noun: ClassVar[str]

    @abstractmethod
    def visible(self) -> QuerySet[Any]:
        """The rows that exist for the asker, in a stable order, with all that `documents` reads."""

    @abstractmethod
    def documents(self, rows: list[Any]) -> list[Document]:
        """The rows as Panoptes writes them."""

    def find(self, pk: str) -> Any:
        """The row at this address.

        Raises:
            NotFoundError: there is none for the asker.
        """
        row = self.visible().filter(pk=parse_id(pk, "id")).first()
        if row is None:
            raise NotFoundError(f"Could not find {self.noun} with id='{pk}'")
        return row

    def require_editor(self, row: Any) -> None:
        """Let those pass who may change the row: by default the people of its project.

        Raises:
            NotSignedInError: nobody is logged in.
            ForbiddenError: somebody else is.
        """
        require_collaborator(self.identity, row if isinstance(row, Project) else row.project)

    def answer_row(self, row: Model, *, status: int = 200) -> Response:
        """The row as it is now."""
        fresh = self.visible().filter(pk=row.pk).first()
        if fresh is None:  # its editor has just hidden it from themselves
            raise NotFoundError(f"Could not find {self.noun} with id='{row.pk}'")
        documents = self.documents([fresh])
        headers = {"Location": f"{self.site}/api/{self.plural}/{row.pk}"} if status == 201 else None
        seen_at = getattr(fresh, "updated_at", None)
        return self.answer(self.plural, documents, status=status, headers=headers, seen_at=seen_at)

    def asker(self) -> User:
        """The person who asks.

        Raises:
            NotSignedInError: nobody is logged in.
        """
        return User.objects.get(pk=require_signed_in(self.identity))

    def edited_project(self, project_id: object) -> Project:
        """A project to which the asker may add something.

        Raises:
            NotFoundError: there is none for the asker.
            NotSignedInError, ForbiddenError: they may not.
        """
        require_signed_in(self.identity)
        project = list_visible_projects(self.identity).filter(pk=parse_id(str(project_id), "project")).first()
        if project is None:
            raise NotFoundError(f"Could not find project with id='{project_id}'")
        require_collaborator(self.identity, project)
        return project


# Of these, a listing is sorted by those that its rows have.
SORTED_BY = frozenset({"id", "created_at", "updated_at", "display_name", "login", "slug", "language", "priority"})


class Listed(Resource):
    """GET the collection."""

    # Query parameters that are ids, and the look-up that each selects by.
    selected_by: ClassVar[Mapping[str, str]] = {}

    def select(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """The rows that the query's parameters select; every listing knows `id`."""
        query = self.request.query_params
        for name, lookup in self.selected_by.items():
            if (chosen := read_id(query, name)) is not None:
                rows = rows.filter(**{lookup: chosen})
        ids = read_ids(query, "id")
        return rows.filter(pk__in=ids) if ids else rows

    def path(self) -> str:
        """The listing's address without /api."""
        return f"/{self.plural}"

    def sort(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """The rows as `sort` orders them, those that are alike by their ids; as they are when it is absent."""
        columns = {field.name for field in rows.model._meta.concrete_fields}  # noqa: SLF001 - Django's name for it
        order = read_order(self.request.query_params, SORTED_BY & columns)
        return rows.order_by(*order, "id") if order else rows

    def get(self, request: Request, **_: str) -> Response:
        found = self.sort(self.select(self.visible()))
        rows, meta = paginate(found, query=request.query_params, plural=self.plural, path=self.path())
        whole = meta[self.plural]["count"] == 1 and len(rows) == 1
        # A client that looks a resource up by its name sends this tag back when it changes it.
        seen_at = getattr(rows[0], "updated_at", None) if whole else None
        return self.answer(self.plural, self.documents(rows), meta=meta, seen_at=seen_at)


class Created(Resource):
    """POST to the collection."""

    new_body: ClassVar[str]

    @abstractmethod
    def create(self, sent: dict[str, Any]) -> Model:
        """The new row, of what was sent."""

    def post(self, request: Request) -> Response:
        require_signed_in(self.identity)
        return self.answer_row(self.create(read_body(request.data, self.plural, self.new_body)), status=201)


class Shown(Resource):
    """GET one."""

    def get(self, request: Request, pk: str) -> Response:
        row = self.find(pk)
        return self.answer(self.plural, self.documents([row]), seen_at=getattr(row, "updated_at", None))


class Changed(Resource):
    """PUT one, of the state that `If-Match` names."""

    change_body: ClassVar[str]

    @abstractmethod
    def change(self, row: Any, sent: dict[str, Any]) -> Model:
        """Change the row as was sent, if it still is what it was when it was read."""

    def read(self, request: Request) -> dict[str, Any]:
        """What was sent."""
        return read_body(request.data, self.plural, self.change_body)

    def put(self, request: Request, pk: str) -> Response:
        row = self.find(pk)
        self.require_editor(row)
        require_match(request, f"{self.plural}/{row.pk}", row.updated_at)
        return self.answer_row(self.change(row, self.read(request)))


class Deleted(Resource):
    """DELETE one, of the state that `If-Match` names."""

    def remove(self, row: Any) -> None:
        """Delete the row."""
        row.delete()

    def delete(self, request: Request, pk: str) -> Response:
        row = self.find(pk)
        self.require_editor(row)
        require_match(request, f"{self.plural}/{row.pk}", row.updated_at)
        self.remove(row)
        return Response(status=204)


class Owned(Resource):
    """A resource of a person: they alone change it."""

    def require_editor(self, row: Any) -> None:
        user_id = require_signed_in(self.identity)
        if user_id != getattr(row, "owner_id", None) and not self.identity.is_staff:
            raise ForbiddenError(f"Only its owner may change this {self.noun}.")
