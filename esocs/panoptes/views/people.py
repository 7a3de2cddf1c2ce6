"""GET /api/me: who the token or the session says the asker is."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from esocs.accounts.models import User
from esocs.panoptes import schema
from esocs.panoptes.access import require_signed_in
from esocs.panoptes.documents import user_document
from esocs.panoptes.errors import NotSignedInError
from esocs.panoptes.views.base import PanoptesView


class Me(PanoptesView):
    """The person who asks."""

    @extend_schema(operation_id="show_me", responses={200: schema.answer("users", schema.USER), **schema.ERRORS})
    def get(self, request: Request) -> Response:
        user = User.objects.filter(id=require_signed_in(self.identity), is_active=True).first()
        if user is None:
            raise NotSignedInError("This account is closed.")
        return self.answer("users", [user_document(user, private=True)])
