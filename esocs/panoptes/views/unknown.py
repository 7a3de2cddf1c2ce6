"""Every other address below /api: an answer in the API's own form."""

from __future__ import annotations

from typing import Any, NoReturn

from rest_framework.request import Request

from esocs.panoptes.errors import UnknownRouteError
from esocs.panoptes.views.base import PanoptesView


class Unknown(PanoptesView):
    """There is nothing here, whatever the method."""

    schema = None
    authentication_classes = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> NoReturn:
        raise UnknownRouteError(f"There is no {request.path}.", hint="/api/schema lists every route.")
