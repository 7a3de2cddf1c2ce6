"""The resources of `resource_documents.py` in OpenAPI's words, and how a resource's view is described."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.views import APIView

from esocs.panoptes import bodies, schema
from esocs.panoptes.schema import COUNT, FLAG, ID, IDS, MAP, TEXT, TEXTS, TIME, Schema, nullable, object_of

View = TypeVar("View", bound=type[APIView])

LINK = {"type": "object", "additionalProperties": True}
TIMES = {"created_at": TIME, "updated_at": TIME}
OWNER = object_of(id=ID, type=TEXT, href=TEXT, display_name=TEXT)
LIST: Schema = {"type": "array", "items": {}}
BASE: dict[str, Schema] = {"id": ID, "href": TEXT, **TIMES}

RESOURCES: dict[str, Schema] = {
    "SubjectSet": object_of(
        **BASE,
        display_name=TEXT,
        metadata=MAP,
        set_member_subjects_count=COUNT,
        completeness=MAP,
        links=object_of(project=ID, workflows=IDS, subjects=IDS, classifications_export=LINK),
    ),
    "SetMemberSubject": object_of(
        **BASE, priority=nullable({"type": "number"}), links=object_of(subject_set=ID, subject=ID)
    ),
    "SubjectWorkflowStatus": object_of(
        **BASE,
        classifications_count=COUNT,
        retired_at=nullable(TIME),
        retirement_reason=nullable(TEXT),
        links=object_of(subject=ID, workflow=ID),
    ),
    "WorkflowVersion": object_of(
        **BASE,
        major_number=COUNT,
        minor_number=COUNT,
        version=TEXT,
        first_task=TEXT,
        tasks=MAP,
        strings=MAP,
        grouped=FLAG,
        pairwise=FLAG,
        prioritized=FLAG,
        links=object_of(workflow=ID, item=LINK),
    ),
    "AttachedImage": object_of(
        **BASE,
        src=TEXT,
        content_type=TEXT,
        media_type=TEXT,
        external_link=FLAG,
        metadata=MAP,
        links=object_of(linked=LINK),
    ),
    "Aggregation": object_of(
        **BASE,
        uuid=TEXT,
        task_id=nullable(TEXT),
        status=TEXT,
        reductions=nullable(TEXT),
        links=object_of(workflow=ID, user=nullable(ID), project=ID),
    ),
    "CollectionRole": object_of(id=ID, href=TEXT, roles=TEXTS, links=object_of(collection=ID, owner=OWNER)),
    "ProjectRole": object_of(id=ID, href=TEXT, roles=TEXTS, links=object_of(project=ID, owner=OWNER)),
    "ProjectPreference": object_of(
        **BASE,
        preferences=MAP,
        settings=MAP,
        email_communication=FLAG,
        activity_count=COUNT,
        activity_count_by_workflow=MAP,
        links=object_of(project=ID, user=ID),
    ),
    "Tutorial": object_of(
        **BASE,
        display_name=TEXT,
        language=TEXT,
        kind=nullable(TEXT),
        steps=LIST,
        configuration=MAP,
        links=object_of(project=ID, workflows=IDS, attached_images=LINK),
    ),
    "FieldGuide": object_of(**BASE, language=TEXT, items=LIST, links=object_of(project=ID, attached_images=LINK)),
    "Translation": object_of(
        **{**BASE, "id": TEXT},
        translated_type=TEXT,
        translated_id=COUNT,
        language=TEXT,
        strings=MAP,
        string_versions=MAP,
        links=object_of(translated=LINK, published_version=nullable(ID)),
    ),
    "Collection": object_of(
        **BASE,
        display_name=TEXT,
        name=TEXT,
        slug=TEXT,
        description=TEXT,
        private=FLAG,
        favorite=FLAG,
        default_subject_src=nullable(TEXT),
        links=object_of(
            owner=OWNER,
            project=nullable(ID),
            projects=IDS,
            subjects=IDS,
            default_subject=nullable(ID),
            collection_roles=IDS,
        ),
    ),
}


def describe(
    singular: str, component: str, *parameters: OpenApiParameter, actions: Sequence[str] = ()
) -> Callable[[View], View]:
    """Describe a resource's view in the OpenAPI document.

    Args:
        singular: the resource's name, which the operations' names end in.
        component: its schema.
        *parameters: of its listing.
        actions: names for methods other than the usual ones, `method=name`.
    """
    named = dict(action.split("=") for action in actions)

    def decorate(view: View) -> View:
        plural: str = view.plural  # type: ignore[attr-defined]
        single = any(hasattr(view, name) for name in ("put", "delete")) or not hasattr(view, "select")
        answers: dict[Any, Any] = {200: schema.answer(plural, component), **schema.ERRORS}
        described: dict[str, Any] = {
            "get": extend_schema(
                operation_id=named.get("get") or (f"show_{singular}" if single else f"list_{plural}"),
                parameters=[] if single else [*schema.PAGE, *parameters],
                responses=answers,
            ),
            "post": extend_schema(
                operation_id=named.get("post") or f"create_{singular}",
                request=_request(view, plural, "new_body"),
                responses={201: schema.answer(plural, component), **schema.ERRORS},
            ),
            "put": extend_schema(
                operation_id=f"change_{singular}",
                parameters=[schema.header("If-Match", "The ETag of the state that is changed.")],
                request=_request(view, plural, "change_body"),
                responses=answers,
            ),
            "delete": extend_schema(
                operation_id=f"delete_{singular}",
                parameters=[schema.header("If-Match", "The ETag of the state that is deleted.")],
                request=None,
                responses={204: None, **schema.ERRORS},
            ),
        }
        present = {method: how for method, how in described.items() if hasattr(view, method)}
        return extend_schema_view(**present)(view)

    return decorate


def _request(view: type[APIView], plural: str, attribute: str) -> Schema | None:
    name = getattr(view, attribute, None)
    if name is None:
        return None
    return {"application/json": object_of(**{plural: getattr(bodies, name)})}


def describe_links(singular: str, component: str, plural: str) -> Callable[[View], View]:
    """Describe `/links/<name>` of a resource: what is linked is POSTed, and taken back by DELETE."""
    body = {"application/json": {"type": "object", "additionalProperties": {}}}
    named = {
        "post": extend_schema(
            operation_id=f"link_to_{singular}",
            request=body,
            responses={200: schema.answer(plural, component), **schema.ERRORS},
        ),
        "delete": extend_schema(
            operation_id=f"unlink_from_{singular}", request=None, responses={204: None, **schema.ERRORS}
        ),
    }

    def decorate(view: View) -> View:
        return extend_schema_view(**{name: how for name, how in named.items() if hasattr(view, name)})(view)

    return decorate
