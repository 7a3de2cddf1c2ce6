"""/api/me and /api/users: who the asker is, and who others are."""

from __future__ import annotations

from typing import Any, NoReturn

from django.db.models import QuerySet
from django.db.models.functions import Lower
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from esocs.accounts.models import User
from esocs.accounts.services import change_account
from esocs.panoptes import schema
from esocs.panoptes.access import require_signed_in
from esocs.panoptes.documents import Document, user_document
from esocs.panoptes.errors import ForbiddenError, NotSignedInError
from esocs.panoptes.parameters import read_text
from esocs.panoptes.resource_schemas import describe
from esocs.panoptes.views.base import PanoptesView
from esocs.panoptes.views.resources import Changed, Deleted, Listed, Resource, Shown


class Me(PanoptesView):
    """The person who asks."""

    @extend_schema(operation_id="show_me", responses={200: schema.answer("users", schema.USER), **schema.ERRORS})
    def get(self, request: Request) -> Response:
        user = User.objects.filter(id=require_signed_in(self.identity), is_active=True).first()
        if user is None:
            raise NotSignedInError("This account is closed.")
        return self.answer("users", [user_document(user, private=True)])


class Users(Resource):
    """People with a log-in; only they themselves, and staff, are told their address."""

    plural = "users"
    noun = "user"

    def visible(self) -> QuerySet[Any]:
        return User.objects.filter(is_active=True).order_by("id")

    def documents(self, rows: list[Any]) -> list[Document]:
        mine = self.identity.user_id
        return [user_document(row, private=self.identity.is_staff or row.pk == mine) for row in rows]


@describe(
    "user",
    schema.USER,
    schema.query("login", "Logins, separated by commas."),
    schema.query("email", "Addresses, separated by commas; for staff."),
    schema.query("id", "Ids, separated by commas."),
)
class UserList(Users, Listed):
    """People, found by login."""

    def select(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        require_signed_in(self.identity)
        query = self.request.query_params
        rows = super().select(rows)
        if login := read_text(query, "login"):
            logins = [each.strip().lower() for each in login.split(",")]
            rows = rows.annotate(lower_login=Lower("login")).filter(lower_login__in=logins)
        if email := read_text(query, "email"):
            if not self.identity.is_staff:
                raise ForbiddenError("Only staff find people by their address.")
            rows = rows.filter(email__in=[each.strip() for each in email.split(",")])
        return rows


@describe("user", schema.USER)
class UserDetail(Users, Shown, Changed, Deleted):
    """One person; they themselves change how they are called and reached."""

    change_body = "USER_CHANGE"

    def require_editor(self, row: User) -> None:
        if require_signed_in(self.identity) != row.pk:
            raise ForbiddenError("Only they themselves may change this account.")

    def change(self, row: User, sent: dict[str, Any]) -> User:
        names = {name: sent.get(name, getattr(row, name)) for name in ("display_name", "credited_name", "email")}
        change_account(user=row, **names)
        return row

    def remove(self, row: User) -> NoReturn:
        raise ForbiddenError(
            "A program erases no account.", hint="Its person does, with the password, on the page of the account."
        )
