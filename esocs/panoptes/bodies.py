"""What a client may send to create and change resources: JSON Schemas, which the OpenAPI document shows as well."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from esocs.panoptes.errors import InvalidRequestError
from esocs.projects.models import ProjectRole

Schema = dict[str, Any]

LARGEST_INTEGER = 2**31 - 1
ID: Schema = {
    "oneOf": [
        {"type": "string", "pattern": "^[0-9]{1,18}$"},
        {"type": "integer", "minimum": 0, "maximum": 10**18 - 1},
    ]
}
IDS: Schema = {"type": "array", "items": ID, "maxItems": 10_000}
OWNER: Schema = {
    "type": "object",
    "additionalProperties": False,
    "required": ["id", "type"],
    "properties": {"id": ID, "type": {"type": "string", "enum": ["users"]}},
}
TEXT: Schema = {"type": "string"}
NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 200}
LANGUAGE: Schema = {"type": "string", "pattern": "^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,6})?$"}
FLAG: Schema = {"type": "boolean"}
MAP: Schema = {"type": "object", "additionalProperties": True}
LIST: Schema = {"type": "array", "items": {}}
TEXTS: Schema = {"type": "array", "items": TEXT}
URLS: Schema = {"type": "array", "items": MAP}
STRINGS: Schema = {"type": "object", "additionalProperties": TEXT}
LOCATIONS: Schema = {
    "type": "array",
    "minItems": 1,
    "description": "A media type for a file to be uploaded, or {media type: address} for one that lies elsewhere.",
    "items": {
        "oneOf": [TEXT, {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": TEXT}]
    },
}


def body(_required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    """An object of exactly these members."""
    schema: Schema = {"type": "object", "additionalProperties": False, "properties": properties}
    return {**schema, "required": list(_required)} if _required else schema


_PROJECT = {
    "display_name": NAME,
    "description": {"type": "string", "maxLength": 300},
    "introduction": TEXT,
    "researcher_quote": TEXT,
    "workflow_description": TEXT,
    "primary_language": LANGUAGE,
    "private": FLAG,
    "live": FLAG,
    "configuration": MAP,
    "tags": TEXTS,
    "urls": URLS,
}
PROJECT_NEW = body(("display_name",), **_PROJECT, links=body(owner=OWNER))
PROJECT_CHANGE = body(**_PROJECT)

PROJECT_COPY = body(create_subject_set={"type": "string", "maxLength": 200})
ATTACHED_IMAGE = body(
    ("src", "content_type"),
    src=TEXT,
    content_type={"type": "string", "maxLength": 40},
    external_link={"type": "boolean", "enum": [True]},
    metadata=MAP,
)
AGGREGATION_NEW = body(("links",), links=body(("workflow",), workflow=ID, user=ID))
INATURALIST = body(("taxon_id", "subject_set_id"), taxon_id=ID, subject_set_id=ID, updated_since={})

_WORKFLOW = {
    "display_name": NAME,
    "primary_language": LANGUAGE,
    "tasks": MAP,
    "first_task": {"type": "string", "maxLength": 40},
    "steps": LIST,
    "configuration": MAP,
    "retirement": MAP,
    "active": FLAG,
    "pairwise": FLAG,
    "grouped": FLAG,
    "prioritized": FLAG,
    "mobile_friendly": FLAG,
    "public_gold_standard": FLAG,
    "serialize_with_project": FLAG,
    "display_order_position": {"type": "integer", "minimum": -LARGEST_INTEGER, "maximum": LARGEST_INTEGER},
    "esocs": body(subject_kind={"type": "string", "enum": ["image", "spectrum"]}),
}
_WORKFLOW_LINKS = {"subject_sets": IDS, "tutorial_subject": ID}
WORKFLOW_NEW = body(
    ("display_name", "primary_language", "links"),
    **_WORKFLOW,
    links=body(("project",), project=ID, **_WORKFLOW_LINKS),
)
WORKFLOW_CHANGE = body(**_WORKFLOW, links=body(**_WORKFLOW_LINKS))

SUBJECT_SET_NEW = body(
    ("display_name", "links"),
    display_name=NAME,
    metadata=MAP,
    links=body(("project",), project=ID, workflows=IDS, subjects=IDS),
)
SUBJECT_SET_CHANGE = body(display_name=NAME, metadata=MAP, links=body(workflows=IDS))

SUBJECT_NEW = body(
    ("locations", "links"),
    locations=LOCATIONS,
    metadata=MAP,
    links=body(("project",), project=ID, subject_sets=IDS),
)
SUBJECT_CHANGE = body(metadata=MAP, locations=LOCATIONS)

RETIRED_SUBJECTS = body(("subject_ids",), subject_ids=IDS, retirement_reason=TEXT)
REOPENED_SUBJECTS = {
    **body(subject_ids=IDS, subject_set_ids=IDS),
    "minProperties": 1,
    "maxProperties": 1,
}

# The owner's part is no role that can be given.
ROLE: Schema = {"type": "string", "enum": sorted(set(ProjectRole.Role.values) - {ProjectRole.Role.OWNER.value})}
ROLES: Schema = {"type": "array", "minItems": 1, "items": ROLE}
ROLE_NEW = body(("roles", "links"), roles=ROLES, links=body(("project", "user"), project=ID, user=ID))
ROLE_CHANGE = body(("roles",), roles=ROLES)

PREFERENCES_NEW = body(
    ("links",), preferences=MAP, email_communication=FLAG, links=body(("project",), project=ID, user=ID)
)
PREFERENCES_CHANGE = body(preferences=MAP, email_communication=FLAG)
SETTINGS = body(("user_id", "project_id", "settings"), user_id=ID, project_id=ID, settings=MAP)

_TUTORIAL = {
    "display_name": {"type": "string", "maxLength": 200},
    "language": LANGUAGE,
    "kind": {"type": "string", "enum": ["", "tutorial", "mini-course"]},
    "steps": URLS,
    "configuration": MAP,
}
TUTORIAL_NEW = body(("steps", "language", "links"), **_TUTORIAL, links=body(("project",), project=ID, workflows=IDS))
TUTORIAL_CHANGE = body(**_TUTORIAL)
FIELD_GUIDE_NEW = body(
    ("items", "language", "links"), items=URLS, language=LANGUAGE, links=body(("project",), project=ID)
)
FIELD_GUIDE_CHANGE = body(items=URLS, language=LANGUAGE)
TRANSLATION_NEW = body(
    ("translated_type", "translated_id", "language", "strings"),
    translated_type={"type": "string", "enum": ["project", "workflow", "tutorial", "field_guide"]},
    translated_id=ID,
    language=LANGUAGE,
    strings=STRINGS,
)
TRANSLATION_CHANGE = body(("strings",), strings=STRINGS)

_COLLECTION = {
    "display_name": NAME,
    "name": NAME,
    "description": TEXT,
    "private": FLAG,
    "favorite": FLAG,
}
COLLECTION_NEW = body(
    **_COLLECTION,
    links=body(project=ID, projects=IDS, subjects=IDS, owner=OWNER),
)
COLLECTION_CHANGE = body(**_COLLECTION)


USER_CHANGE = body(
    display_name={"type": "string", "maxLength": 120},
    credited_name={"type": "string", "maxLength": 120},
    email={"type": "string", "maxLength": 254},
)


@cache
def _validator(key: str) -> Draft202012Validator:
    return Draft202012Validator(globals()[key])


def read_body(data: Any, plural: str, schema_name: str) -> dict[str, Any]:
    """The resource in `{"<plural>": {…}}`.

    Raises:
        InvalidRequestError: it breaks the schema; the message says where and how.
    """
    if not isinstance(data, Mapping) or set(data) != {plural}:
        raise InvalidRequestError(f'The body must be {{"{plural}": {{…}}}}.')
    return check_body(data[plural], schema_name, name=plural)


def check_body(sent: Any, schema_name: str, *, name: str = "body") -> dict[str, Any]:
    """What was sent, if it follows one of the schemas above.

    Raises:
        InvalidRequestError: it breaks the schema; the message says where and how.
    """
    error = best_match(_validator(schema_name).iter_errors(sent))
    if error is not None:
        place = "/".join([name, *[str(part) for part in error.absolute_path]])
        raise InvalidRequestError(f"{place}: {error.message}"[:500])
    checked: dict[str, Any] = sent
    return checked


def read_link_ids(data: Any, link: str) -> list[int]:
    """The ids in `{"<link>": ["1", "2"]}`, the body of a POST to `/links/<link>`; one id may stand alone.

    Raises:
        InvalidRequestError: it is anything else.
    """
    if not isinstance(data, Mapping) or set(data) != {link}:
        raise InvalidRequestError(f'The body must be {{"{link}": […]}}.')
    ids = data[link] if isinstance(data[link], list) else [data[link]]
    check_body(ids, "IDS", name=link)
    return [int(each) for each in ids]
