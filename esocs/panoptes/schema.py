"""The API in OpenAPI's words. `documents.py` makes what this describes; a test validates every answer against it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from esocs.panoptes.paging import LARGEST_PAGE, PAGE_SIZE
from esocs.panoptes.submissions import CLASSIFICATION_SCHEMA

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
ID: Schema = {"type": "string", "pattern": "^[0-9]+$"}
IDS: Schema = {"type": "array", "items": ID}
TIME: Schema = {"type": "string", "format": "date-time"}
MAP: Schema = {"type": "object", "additionalProperties": True}
TEXTS: Schema = {"type": "array", "items": TEXT}


def nullable(schema: Schema) -> Schema:
    """The same, or null."""
    return {**schema, "nullable": True}


def object_of(_optional: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    """An object of exactly these members, all of them required but the optional ones."""
    required = [name for name in properties if name not in _optional]
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


RESOURCE_LINK = object_of(href=TEXT, type=TEXT)
SUBJECT_LINKS = object_of(project=ID, collections=IDS, subject_sets=IDS, set_member_subjects=IDS)
ESOCS_SUBJECT = object_of(
    kind={"type": "string", "enum": ["image", "spectrum"]},
    spectrum_data=nullable({"type": "string", "format": "uri"}),
    plane=nullable({"type": "string", "format": "uri"}),
)
LOCATIONS: Schema = {
    "type": "array",
    "description": "One object a frame: media type → absolute address, which ends in the type's extension.",
    "items": {"type": "object", "additionalProperties": {"type": "string", "format": "uri"}},
}
_SUBJECT: dict[str, Schema] = {
    "id": ID,
    "href": TEXT,
    "metadata": MAP,
    "locations": LOCATIONS,
    "created_at": TIME,
    "updated_at": TIME,
    "esocs": ESOCS_SUBJECT,
    "links": SUBJECT_LINKS,
}

COMPONENTS: dict[str, Schema] = {
    "Error": object_of(
        ("error", "error_description"),
        errors={
            "type": "array",
            "minItems": 1,
            "items": object_of(
                ("hint",), message=TEXT, code={**TEXT, "description": "Stable; see docs/errors.md."}, hint=TEXT
            ),
        },
        error=TEXT,
        error_description=TEXT,
    ),
    "Project": object_of(
        id=ID,
        href=TEXT,
        display_name=TEXT,
        title=TEXT,
        slug=TEXT,
        description=TEXT,
        introduction=TEXT,
        primary_language=TEXT,
        available_languages=TEXTS,
        live=FLAG,
        private=FLAG,
        launch_approved=FLAG,
        state=TEXT,
        configuration=MAP,
        tags=TEXTS,
        urls={"type": "array", "items": MAP},
        researcher_quote=TEXT,
        workflow_description=TEXT,
        redirect=TEXT,
        subjects_count=COUNT,
        retired_subjects_count=COUNT,
        classifications_count=COUNT,
        completeness=SHARE,
        created_at=TIME,
        updated_at=TIME,
        links=object_of(
            owner=object_of(id=ID, type=TEXT, href=TEXT, display_name=TEXT),
            workflows=IDS,
            active_workflows=IDS,
            subject_sets=IDS,
            project_roles=IDS,
            pages=IDS,
            organization=nullable(ID),
            classifications_export=RESOURCE_LINK,
            subjects_export=RESOURCE_LINK,
            workflows_export=RESOURCE_LINK,
        ),
    ),
    "Workflow": object_of(
        id=ID,
        href=TEXT,
        display_name=TEXT,
        version={**TEXT, "pattern": r"^[0-9]+\.[0-9]+$"},
        active=FLAG,
        primary_language=TEXT,
        content_language=TEXT,
        first_task=TEXT,
        tasks=MAP,
        strings=MAP,
        steps={"type": "array", "items": {}},
        configuration=MAP,
        retirement=MAP,
        prioritized=FLAG,
        grouped=FLAG,
        pairwise=FLAG,
        mobile_friendly=FLAG,
        public_gold_standard=FLAG,
        serialize_with_project=FLAG,
        display_order=nullable({"type": "integer"}),
        subjects_count=COUNT,
        retired_set_member_subjects_count=COUNT,
        classifications_count=COUNT,
        completeness=SHARE,
        finished_at=nullable(TIME),
        created_at=TIME,
        updated_at=TIME,
        esocs=object_of(subject_kind=TEXT),
        links=object_of(
            project=ID,
            subject_sets=IDS,
            tutorial_subject=nullable(ID),
            published_version=nullable(ID),
            classifications_export=RESOURCE_LINK,
        ),
    ),
    "Subject": object_of((), **_SUBJECT),
    "QueuedSubject": object_of(
        (),
        **_SUBJECT,
        retired=FLAG,
        already_seen=FLAG,
        finished_workflow=FLAG,
        user_has_finished_workflow=FLAG,
        favorite=FLAG,
        selection_state=TEXT,
        selected_at=TIME,
    ),
    "Classification": object_of(
        id=ID,
        href=TEXT,
        annotations={"type": "array", "items": MAP},
        metadata=MAP,
        completed=FLAG,
        gold_standard=nullable(FLAG),
        created_at=TIME,
        updated_at=TIME,
        links=object_of(
            project=ID,
            workflow=ID,
            user=nullable(ID),
            user_group=nullable(ID),
            subjects=IDS,
        ),
    ),
    "User": object_of(
        ("email", "admin"),
        id=ID,
        href=TEXT,
        type=TEXT,
        login=TEXT,
        display_name=TEXT,
        credited_name=TEXT,
        email=TEXT,
        admin=FLAG,
        created_at=TIME,
        updated_at=TIME,
        links=MAP,
    ),
    "Media": object_of(
        id=ID,
        href=TEXT,
        src={"type": "string", "format": "uri"},
        content_type=TEXT,
        media_type=TEXT,
        external_link=FLAG,
        created_at=TIME,
        updated_at=TIME,
        metadata={
            "type": "object",
            "required": ["state", "recipients"],
            "properties": {"state": {"type": "string", "enum": ["creating", "ready", "failed"]}},
        },
        links=object_of(linked=object_of(href=TEXT, id=ID, type=TEXT)),
    ),
    "ClassificationRequest": object_of(classifications=CLASSIFICATION_SCHEMA),
}

PROJECT, WORKFLOW, SUBJECT, QUEUED_SUBJECT = "Project", "Workflow", "Subject", "QueuedSubject"
CLASSIFICATION, USER, MEDIA = "Classification", "User", "Media"

CLASSIFICATION_BODY: Schema = {"application/json": _ref("ClassificationRequest")}
EXPORT_BODY: Schema = {"application/json": {"type": "object", "properties": {"media": MAP}}}
SIGN_IN_BODY: Schema = {
    "application/json": object_of(
        authenticity_token=TEXT, user=object_of(("remember_me",), login=TEXT, password=TEXT, remember_me=FLAG)
    )
}
SIGN_IN: Schema = object_of(login=TEXT)
_GRANTS = ["password", "refresh_token", "client_credentials", "authorization_code"]
TOKEN_BODY: Schema = {
    **object_of(
        ("client_id", "client_secret", "refresh_token", "code", "code_verifier", "redirect_uri"),
        grant_type={"type": "string", "enum": _GRANTS},
        client_id=TEXT,
        client_secret=TEXT,
        refresh_token=TEXT,
        code=TEXT,
        code_verifier=TEXT,
        redirect_uri=TEXT,
    ),
    "additionalProperties": True,
}
TOKEN: Schema = object_of(
    ("refresh_token",),
    access_token=TEXT,
    token_type=TEXT,
    expires_in=COUNT,
    refresh_token=TEXT,
    scope=TEXT,
    created_at=COUNT,
)

ERRORS: dict[str, OpenApiResponse] = {
    "4XX": OpenApiResponse(_ref("Error"), description="What is wrong with the request, under a stable code.")
}


def answer(plural: str, component: str) -> Schema:
    """The frame around documents of a component."""
    return object_of((), **{plural: {"type": "array", "items": _ref(component)}, "links": MAP, "meta": MAP})


def query(name: str, description: str, *, required: bool = False) -> OpenApiParameter:
    """A parameter in the address."""
    return OpenApiParameter(name, OpenApiTypes.STR, required=required, description=description)


def header(name: str, description: str) -> OpenApiParameter:
    """A parameter in a header."""
    return OpenApiParameter(name, OpenApiTypes.STR, OpenApiParameter.HEADER, description=description)


PAGE = [
    OpenApiParameter("page", OpenApiTypes.INT, description="From 1."),
    OpenApiParameter("page_size", OpenApiTypes.INT, description=f"{PAGE_SIZE} by default, at most {LARGEST_PAGE}."),
    OpenApiParameter("sort", OpenApiTypes.STR, description="`created_at`, `-id`, …: columns, separated by commas."),
]


def add_components(result: Schema, **_: Any) -> Schema:
    """drf-spectacular's hook: put the named schemas where the references point."""
    from esocs.panoptes.caesar.schemas import CAESAR  # which are written in this module's words
    from esocs.panoptes.resource_schemas import RESOURCES

    result.setdefault("components", {}).setdefault("schemas", {}).update({**COMPONENTS, **RESOURCES, **CAESAR})
    return result
