"""The classifications export: Panoptes' 14 columns. `crowd.Classification` is the source of truth."""

from __future__ import annotations

import hashlib
import hmac
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.conf import settings

from esocs.crowd.models import Classification
from esocs.projects.models import WorkflowVersion
from esocs.releases.rules import Version, label_annotations, version_for
from esocs.releases.scope import Scope, boolean, compact_json, compact_jsonb, iso_text, parse_jsonb, stream

HEADER = (
    "classification_id",
    "user_name",
    "user_id",
    "user_ip",
    "workflow_id",
    "workflow_name",
    "workflow_version",
    "created_at",
    "gold_standard",
    "expert",
    "metadata",
    "annotations",
    "subject_data",
    "subject_ids",
)

# A retirement after the instant of the export has not happened in it.
ROWS = """
SELECT c.id, c.volunteer_id, v.user_id, u.login, c.ip_key, c.workflow_id, c.workflow_major, c.workflow_minor,
       to_char(c.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'), c.gold_standard, c.expert, c.counted,
       c.metadata::text, c.annotations::text, c.subject_id, s.metadata::text,
       CASE WHEN st.retired_at <= %(as_of)s THEN st.id END, st.classifications_count,
       st.created_at AT TIME ZONE 'UTC', st.updated_at AT TIME ZONE 'UTC', st.retired_at AT TIME ZONE 'UTC',
       st.retirement_reason
FROM crowd_classification c
JOIN accounts_volunteer v ON v.id = c.volunteer_id
LEFT JOIN accounts_user u ON u.id = v.user_id
JOIN projects_subject s ON s.id = c.subject_id
LEFT JOIN crowd_subjectstatus st ON st.workflow_id = c.workflow_id AND st.subject_id = c.subject_id
WHERE c.workflow_id = ANY(%(workflows)s) AND c.created_at <= %(as_of)s
ORDER BY c.id
"""

# Votes on one subject, and equal answers, come in bursts; each is formatted once. Bounds the memory, not the work.
REMEMBERED_TEXTS = 16_384


def header(scope: Scope) -> Sequence[str]:  # noqa: ARG001 - the same for every scope
    return HEADER


def count(scope: Scope) -> int:
    return Classification.objects.filter(workflow_id__in=scope.workflow_ids).count()


def rows(scope: Scope) -> Iterator[Sequence[Any]]:
    """One row a classification, in the order of their ids."""
    names = {workflow.pk: workflow.display_name for workflow in scope.workflows}
    label = _annotation_formatter(scope)
    pseudonym = pseudonyms(scope.as_of)
    for row in stream(ROWS, {"workflows": scope.workflow_ids, "as_of": scope.as_of}):
        (
            classification_id, volunteer_id, user_id, login, ip_key, workflow_id, major, minor, created_at, gold,
            expert, counted, metadata, annotations, subject_id, subject_metadata, *status,
        ) = row  # fmt: skip
        if user_id is None:
            address = pseudonym(f"volunteer:{volunteer_id}")
            login = f"not-logged-in-{address}"
        else:
            address = pseudonym(f"ip:{ip_key}") if ip_key else ""
        yield (
            classification_id,
            login,
            user_id,
            address,
            workflow_id,
            names[workflow_id],
            f"{major}.{minor}",
            created_at,
            boolean(gold or None),
            expert,
            _metadata(metadata, seen_before=not (counted or gold)),
            label(workflow_id, major, minor, annotations),
            _subject_data(subject_id, workflow_id, subject_metadata, tuple(status)),
            subject_id,
        )


def pseudonyms(as_of: datetime) -> Callable[[str], str]:
    """Names of 20 hexadecimal digits, the same within one export and unlike those of any other.

    An anonymous volunteer's stands for the browser session and not for the network address: everybody behind a
    school's address would otherwise be one person, and all but the first of their votes thrown away by the reducers.
    """
    key = hashlib.sha256(f"export:{as_of.isoformat()}:{settings.SECRET_KEY}".encode()).digest()

    @lru_cache(maxsize=REMEMBERED_TEXTS)
    def pseudonym(name: str) -> str:
        return hmac.new(key, name.encode(), hashlib.sha256).hexdigest()[:20]

    return pseudonym


def _annotation_formatter(scope: Scope) -> Callable[[int, int, int, str], str]:
    versions: dict[int, list[Version]] = defaultdict(list)
    stored = WorkflowVersion.objects.filter(workflow_id__in=scope.workflow_ids).order_by("major", "minor")
    for row in stored:
        version = Version(major=row.major, minor=row.minor, tasks=row.tasks, strings=row.strings)
        versions[row.workflow_id].append(version)

    @lru_cache(maxsize=REMEMBERED_TEXTS)
    def label(workflow_id: int, major: int, minor: int, annotations: str) -> str:
        version = version_for(versions[workflow_id], major, minor)
        return compact_json(label_annotations(parse_jsonb(annotations), version))

    return label


def _metadata(text: str, *, seen_before: bool) -> str:
    if not seen_before:
        return compact_jsonb(text)
    return compact_json({**parse_jsonb(text), "seen_before": True})


@lru_cache(maxsize=REMEMBERED_TEXTS)
def _subject_data(subject_id: int, workflow_id: int, metadata: str, status: tuple[Any, ...]) -> str:
    status_id, classifications_count, created_at, updated_at, retired_at, reason = status
    retired = None
    if status_id is not None:
        retired = {
            "id": status_id,
            "workflow_id": workflow_id,
            "classifications_count": classifications_count,
            "created_at": iso_text(created_at),
            "updated_at": iso_text(updated_at),
            "retired_at": iso_text(retired_at),
            "subject_id": subject_id,
            "retirement_reason": reason or None,
        }
    # `retired` comes first, and a subject's own key of that name takes its place, as in Panoptes.
    if '"retired"' in metadata:
        return compact_json({str(subject_id): {"retired": retired, **parse_jsonb(metadata)}})
    own = compact_jsonb(metadata)[1:]
    return f'{{"{subject_id}":{{"retired":{compact_json(retired)}{"," if own != "}" else ""}{own}}}'
