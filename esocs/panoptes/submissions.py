"""What a client may send as a classification: one schema, checked by hand because every vote pays for it.

`CLASSIFICATION_SCHEMA` is what the OpenAPI document shows; a test holds the two together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from esocs.panoptes.errors import InvalidRequestError

REQUIRED_METADATA = ("started_at", "finished_at", "user_agent", "user_language", "workflow_version")
TIMES = ("started_at", "finished_at")
TEXT_METADATA = (*REQUIRED_METADATA, "utc_offset")
MEMBERS = frozenset({"annotations", "metadata", "links", "completed", "gold_standard"})
LINKS = frozenset({"project", "workflow", "subjects"})
VERSION = re.compile(r"[0-9]{1,9}\.[0-9]{1,9}")
MOST_REVISIONS = 1000
IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,64}")

_ID_SCHEMA = {"oneOf": [{"type": "string", "pattern": "^[0-9]{1,18}$"}, {"type": "integer", "minimum": 0}]}
_SUBJECT_SCHEMA = {"oneOf": [{"type": "string", "pattern": "^-?[0-9]{1,18}$"}, {"type": "integer"}]}
CLASSIFICATION_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["annotations", "metadata", "links"],
    "properties": {
        "annotations": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["task", "value"],
                "properties": {"task": {"type": "string"}, "value": {}},
            },
        },
        "metadata": {
            "type": "object",
            "required": list(REQUIRED_METADATA),
            "properties": {
                **{name: {"type": "string"} for name in TEXT_METADATA},
                "workflow_version": {"type": "string", "pattern": r"^[0-9]{1,9}\.[0-9]{1,9}$", "example": "1.1"},
                **{name: {"type": "string", "format": "date-time"} for name in TIMES},
                "revises": {
                    "type": "string",
                    "pattern": "^[!-~]{1,64}$",
                    "description": "Key of the answer taken back",
                },
                "revision": {"description": "Beside `revises` its number, 1 to 1000; alone it is the sender's own."},
            },
        },
        "links": {
            "type": "object",
            "additionalProperties": False,
            "required": ["project", "workflow", "subjects"],
            "properties": {
                "project": _ID_SCHEMA,
                "workflow": _ID_SCHEMA,
                "subjects": {"type": "array", "minItems": 1, "maxItems": 1, "items": _SUBJECT_SCHEMA},
            },
        },
        "completed": {"type": "boolean", "enum": [True]},
        "gold_standard": {"type": "boolean", "enum": [True]},
    },
}


@dataclass(frozen=True, kw_only=True)
class ClassificationRequest:
    """A classification as sent, every part of the right type; `metadata` without the workflow's version."""

    project_id: int
    workflow_id: int
    subject_id: int
    annotations: list[dict[str, Any]]
    metadata: dict[str, Any]
    workflow_version: str
    gold_standard: bool


def read_classification(body: Any) -> ClassificationRequest:
    """The request in `{"classifications": {…}}`.

    Raises:
        InvalidRequestError: a member is missing, unknown or of the wrong type; the message names it.
    """
    if not isinstance(body, dict) or set(body) != {"classifications"}:
        raise InvalidRequestError('The body must be {"classifications": {…}}.')
    sent = _object(body["classifications"], "classifications")
    _refuse_unknown(sent, MEMBERS, "classifications")
    _require(sent, ("annotations", "metadata", "links"), "classifications")
    if sent.get("completed", True) is not True:
        raise InvalidRequestError("Only complete classifications are kept.", hint='Leave out "completed".')
    if sent.get("gold_standard", True) is not True:
        raise InvalidRequestError("gold_standard must be true.", hint="Leave it out for an ordinary classification.")
    metadata = _read_metadata(sent["metadata"])
    links = _object(sent["links"], "links")
    _refuse_unknown(links, LINKS, "links")
    _require(links, ("project", "workflow", "subjects"), "links")
    subjects = links["subjects"]
    if not isinstance(subjects, list) or len(subjects) != 1:
        raise InvalidRequestError("links.subjects must be an array of one subject's id.")
    return ClassificationRequest(
        project_id=_id(links["project"], "links.project"),
        workflow_id=_id(links["workflow"], "links.workflow"),
        subject_id=_subject_id(subjects[0]),
        annotations=_read_annotations(sent["annotations"]),
        workflow_version=metadata.pop("workflow_version"),
        metadata=metadata,
        gold_standard="gold_standard" in sent,
    )


def read_idempotency_key(header: str | None) -> str | None:
    """The client's own key of the submission, or None when it sends none.

    Raises:
        InvalidRequestError: it is longer than 64 characters or not printable ASCII.
    """
    if header is None:
        return None
    if not IDEMPOTENCY_KEY.fullmatch(header):
        raise InvalidRequestError("Idempotency-Key must be 1 to 64 printable characters.", hint="Send a UUID.")
    return header


def _read_metadata(value: Any) -> dict[str, Any]:
    metadata = dict(_object(value, "metadata"))
    _require(metadata, REQUIRED_METADATA, "metadata")
    for name in TEXT_METADATA:
        if name in metadata and not isinstance(metadata[name], str):
            raise InvalidRequestError(f"metadata.{name} must be a string.")
    for name in TIMES:
        try:
            datetime.fromisoformat(metadata[name])
        except ValueError:
            raise InvalidRequestError(f"metadata.{name} must be a time, such as 2026-01-31T12:00:00.000Z.") from None
    if not VERSION.fullmatch(metadata["workflow_version"]):
        raise InvalidRequestError("metadata.workflow_version must be the workflow's version, such as '1.1'.")
    if not isinstance(metadata.get("revises", "-"), str) or not IDEMPOTENCY_KEY.fullmatch(metadata.get("revises", "-")):
        raise InvalidRequestError("metadata.revises must be the Idempotency-Key of the answer that is taken back.")
    # Zooniverse's classifier writes its own program's version under this name.
    number = metadata.get("revision", 1) if "revises" in metadata else 1
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= MOST_REVISIONS:
        raise InvalidRequestError(f"metadata.revision must be a number from 1 to {MOST_REVISIONS}.")
    return metadata


def _read_annotations(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise InvalidRequestError("annotations must be an array.")
    for annotation in value:
        if not isinstance(annotation, dict) or not isinstance(annotation.get("task"), str):
            raise InvalidRequestError("Each annotation must be an object with the key of its task.")
        if "value" not in annotation:
            raise InvalidRequestError("Each annotation must have a value.", hint="Send null for an unanswered task.")
    return value


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRequestError(f"{name} must be an object.")
    return value


def _refuse_unknown(value: Mapping[str, Any], known: frozenset[str], name: str) -> None:
    unknown = sorted(set(value) - known)
    if unknown:
        raise InvalidRequestError(
            f"{name} has no member {unknown[0][:60]!r}.", hint=f"Known: {', '.join(sorted(known))}."
        )


def _require(value: Mapping[str, Any], required: tuple[str, ...], name: str) -> None:
    missing = [member for member in required if member not in value]
    if missing:
        raise InvalidRequestError(f"{name} lacks {', '.join(missing)}.")


def _subject_id(value: Any) -> int:
    """A subject's id, or below zero that of a group of them."""
    if isinstance(value, str) and value.startswith("-"):
        return -_id(value[1:], "links.subjects")
    if isinstance(value, int) and not isinstance(value, bool) and value < 0:
        return -_id(-value, "links.subjects")
    return _id(value, "links.subjects")


def _id(value: Any, name: str) -> int:
    # bool is an int in Python, but true is no id.
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**18:
        return value
    if isinstance(value, str) and 0 < len(value) <= 18 and value.isascii() and value.isdigit():
        return int(value)
    raise InvalidRequestError(f"{name} must be an id.")
