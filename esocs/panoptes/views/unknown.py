"""Addresses with nothing behind them: an answer in the API's own form."""

from __future__ import annotations

from typing import Any, NoReturn

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from esocs.panoptes import schema
from esocs.panoptes.access import require_signed_in
from esocs.panoptes.bodies import check_body
from esocs.panoptes.errors import FeatureOffError, UnknownRouteError
from esocs.panoptes.views.base import PanoptesView


class Unknown(PanoptesView):
    """There is nothing here, whatever the method."""

    schema = None
    authentication_classes = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> NoReturn:
        raise UnknownRouteError(f"There is no {request.path}.", hint="/api/schema lists every route.")


class InaturalistImport(PanoptesView):
    """`/api/inaturalist/import`: Panoptes reads observations of animals and plants; this site has none to do with."""

    @extend_schema(
        operation_id="import_from_inaturalist",
        request={"application/json": {"type": "object", "additionalProperties": {}}},
        responses=schema.ERRORS,
    )
    def post(self, request: Request) -> NoReturn:
        require_signed_in(self.identity)
        check_body(request.data, "INATURALIST")
        raise FeatureOffError("This site does not import from iNaturalist.", hint="Upload the subjects.")
