"""Addresses with nothing behind them: an answer in the API's own form."""

from __future__ import annotations

from typing import Any, NoReturn

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from esocs.panoptes import schema
from esocs.panoptes.access import require_signed_in
from esocs.panoptes.bodies import check_body
from esocs.panoptes.errors import FeatureOffError, UnknownRouteError
from esocs.panoptes.paging import paginate
from esocs.panoptes.views.base import PanoptesView
from esocs.projects.models import Project


class Unknown(PanoptesView):
    """There is nothing here, whatever the method."""

    schema = None
    authentication_classes = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> NoReturn:
        raise UnknownRouteError(f"There is no {request.path}.", hint="/api/schema lists every route.")


ORGANIZATIONS = schema.object_of(
    (), organizations={"type": "array", "items": schema.MAP}, links=schema.MAP, meta=schema.MAP
)


class Organizations(PanoptesView):
    """`/api/organizations`: groups of projects under one roof, of which this site has none."""

    @extend_schema(operation_id="list_organizations", responses={200: ORGANIZATIONS})
    def get(self, request: Request) -> Response:
        _, meta = paginate(
            Project.objects.none(), query=request.query_params, plural="organizations", path="/organizations"
        )
        return self.answer("organizations", [], meta=meta)

    @extend_schema(
        operation_id="create_organization",
        request={"application/json": {"type": "object", "additionalProperties": {}}},
        responses=schema.ERRORS,
    )
    def post(self, request: Request) -> NoReturn:
        require_signed_in(self.identity)
        raise FeatureOffError("This site has no organizations.", hint="Collaborators are named at each project.")


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
