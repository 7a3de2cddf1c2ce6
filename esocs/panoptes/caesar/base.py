"""What Caesar's addresses have in common: plain JSON, the workflow, and who may look and who may change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.response import Response
from rest_framework.views import APIView

from esocs.accounts.identity import Identity
from esocs.accounts.models import User
from esocs.crowd.caesar.objects import CaesarWorkflowNotFoundError
from esocs.crowd.models import CaesarWorkflow
from esocs.panoptes import schema
from esocs.panoptes.access import is_collaborator, require_collaborator, require_signed_in
from esocs.panoptes.errors import InvalidRequestError, NotFoundError
from esocs.panoptes.parameters import parse_id
from esocs.panoptes.renderers import PanoptesRenderer
from esocs.panoptes.schema import Schema
from esocs.projects.access import list_visible_workflows
from esocs.projects.models import Workflow

LARGEST_LIST = 10_000
View = TypeVar("View", bound=type[APIView])


class PlainRenderer(PanoptesRenderer):
    """The same JSON under the name that Caesar gives it."""

    media_type = "application/json"


class CaesarView(APIView):
    """An address below /caesar/workflows."""

    renderer_classes = (PlainRenderer,)

    @property
    def identity(self) -> Identity:
        """Who asks."""
        return cast("Identity", self.request.user)

    def asker(self) -> User:
        """The person who asks.

        Raises:
            NotSignedInError: nobody is logged in.
        """
        return User.objects.get(pk=require_signed_in(self.identity))

    def find_workflow(self, pk: str) -> Workflow:
        """A workflow whose people the asker is one of, whether Caesar knows it or not.

        Raises:
            CaesarWorkflowNotFoundError: there is none for the asker.
            NotSignedInError, ForbiddenError: they may not.
        """
        workflow = self._visible(pk)
        require_collaborator(self.identity, workflow.project)
        return workflow

    def find_setting(self, pk: str) -> CaesarWorkflow:
        """The same, known to Caesar.

        Raises:
            CaesarWorkflowNotFoundError: there is none, or Caesar does not know it.
            NotSignedInError, ForbiddenError: they may not.
        """
        return self._setting_of(self.find_workflow(pk))

    def find_readable(self, pk: str, *, public: str) -> CaesarWorkflow:
        """A workflow whose extracts or reductions the asker may read.

        Args:
            pk: of the workflow.
            public: the setting that opens them to everybody.

        Raises:
            CaesarWorkflowNotFoundError: there is none, or Caesar does not know it.
            NotSignedInError, ForbiddenError: they may not.
        """
        workflow = self._visible(pk)
        found = CaesarWorkflow.objects.filter(workflow=workflow).first()
        if found is None or not getattr(found, public):
            require_collaborator(self.identity, workflow.project)
        return self._setting_of(workflow)

    def is_one_of_us(self, setting: CaesarWorkflow) -> bool:
        """Whether the asker is one of the project's people."""
        return self.identity.user_id is not None and is_collaborator(self.identity, setting.workflow.project)

    def _visible(self, pk: str) -> Workflow:
        rows = list_visible_workflows(self.identity).select_related("project")
        workflow = rows.filter(pk=parse_id(pk, "id")).first()
        if workflow is None:
            raise _unknown(pk)
        return workflow

    def _setting_of(self, workflow: Workflow) -> CaesarWorkflow:
        found = CaesarWorkflow.objects.select_related("workflow__project").filter(workflow=workflow).first()
        if found is None:
            raise _unknown(str(workflow.pk))
        return found


def _unknown(pk: str) -> CaesarWorkflowNotFoundError:
    return CaesarWorkflowNotFoundError(f"Couldn't find Workflow with 'id'={pk}", hint="Save it to Caesar first.")


def find_row(rows: Any, noun: str, **lookup: Any) -> Any:
    """One of these rows.

    Raises:
        NotFoundError: there is none.
    """
    row = rows.filter(**lookup).first()
    if row is None:
        raise NotFoundError(f"Couldn't find {noun} with {', '.join(f'{k!r}={v}' for k, v in lookup.items())}"[:200])
    return row


def read_member(data: Any, name: str) -> Mapping[str, Any]:
    """The object in `{"<name>": {…}}`.

    Raises:
        InvalidRequestError: it is anything else.
    """
    if not isinstance(data, Mapping) or set(data) != {name} or not isinstance(data[name], Mapping):
        raise InvalidRequestError(f'The body must be {{"{name}": {{…}}}}.')
    member: Mapping[str, Any] = data[name]
    return member


def read_subject_id(params: Mapping[str, str], name: str = "subject_id") -> int:
    """An id that must be named.

    Raises:
        InvalidRequestError: it is missing, or none.
    """
    if not params.get(name):
        raise InvalidRequestError(f"`{name}` is missing.")
    return parse_id(params[name], name)


def describe(noun: str, component: str, **methods: str) -> Callable[[View], View]:
    """Describe a view's methods in the OpenAPI document.

    Args:
        noun: what it is about, for the operations' names.
        component: of the documents.
        methods: by method `one`, `list`, or `none` for an empty answer; what is sent is named as the noun.
    """
    reference: Schema = {"$ref": f"#/components/schemas/{component}"}
    shapes: dict[str, Any] = {"one": reference, "list": {"type": "array", "items": reference}, "none": None}
    verbs = {"get": "read", "post": "create", "put": "change", "delete": "delete"}

    def describe_one(method: str, shape: str) -> Any:
        verb = "list" if (method, shape) == ("get", "list") else verbs[method]
        status = {"post": 201, "delete": 204}.get(method, 200)
        body = {"application/json": schema.object_of(**{noun: schema.MAP})} if method in {"post", "put"} else None
        return extend_schema(
            operation_id=f"caesar_{verb}_{noun}{'s' if verb == 'list' else ''}",
            tags=["caesar"],
            request=body,
            responses={status: shapes[shape], **schema.ERRORS},
        )

    return extend_schema_view(**{method: describe_one(method, shape) for method, shape in methods.items()})


def created(document: Mapping[str, Any]) -> Response:
    """The answer to what was made."""
    return Response(document, status=201)
