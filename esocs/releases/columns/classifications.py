"""The classifications export: Panoptes' 14 columns. `crowd.Classification` is the source of truth."""

from __future__ import annotations

import hashlib
import hmac
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.conf import settings

from esocs.crowd.models import HARMLESS_METADATA, Classification
from esocs.projects.models import WorkflowVersion
from esocs.releases.columns.foreign import FOREIGN_COLUMNS, FOREIGN_JOINS, Foreign, Named, is_imported
from esocs.releases.rules import Version, label_annotations, version_for
from esocs.releases.scope import Scope, compact_json, compact_jsonb, iso_text, parse_jsonb, stream
from esocs.releases.writing import csv_field, csv_line

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
       to_char(c.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'), c.gold_standard, c.expert,
       c.counted OR c.count_correction > 0 OR COALESCE(st.training, false),
       ({metadata})::text, c.annotations::text, c.subject_id, s.metadata::text,
       CASE WHEN st.retired_at <= %(as_of)s THEN st.id END, st.classifications_count,
       st.created_at AT TIME ZONE 'UTC', st.updated_at AT TIME ZONE 'UTC', st.retired_at AT TIME ZONE 'UTC',
       st.retirement_reason{foreign_columns}
FROM {classifications} c
JOIN accounts_volunteer v ON v.id = c.volunteer_id
LEFT JOIN accounts_user u ON u.id = v.user_id
JOIN projects_subject s ON s.id = c.subject_id
LEFT JOIN crowd_subjectstatus st ON st.workflow_id = c.workflow_id AND st.subject_id = c.subject_id{foreign_joins}
WHERE c.created_at <= %(as_of)s{chosen}
ORDER BY c.id
"""
FACTS, FOREIGN = 16, 22
"""Where a row's status begins, and what the project's import knew of it."""

# Files speak the older classifier's language (`releases.marks`), and this key says the newer's.
METADATA = "CASE WHEN c.metadata ? 'classifier_version' THEN c.metadata - 'classifier_version' ELSE c.metadata END"
SAFE_METADATA = f"""SELECT COALESCE(jsonb_object_agg(key, value), '{{}}') FROM jsonb_each(c.metadata)
    WHERE key IN ({", ".join(f"'{key}'" for key in HARMLESS_METADATA)})"""

WITHHELD = frozenset({"user_name", "user_id", "user_ip", "metadata"})

# Votes on one subject, and equal answers, come in bursts; each is formatted once. Bounds the memory, not the work.
REMEMBERED_TEXTS = 16_384


def header(scope: Scope) -> Sequence[str]:  # noqa: ARG001 - the same for every scope
    return HEADER


def count(scope: Scope) -> int:
    rows = Classification.objects.filter(workflow_id__in=scope.workflow_ids)
    if scope.subject_set is not None:
        rows = rows.filter(subject__set_members__subject_set=scope.subject_set)
    if scope.after_id is not None:
        rows = rows.filter(id__gt=scope.after_id)
    if scope.created_from is not None:
        rows = rows.filter(created_at__gte=scope.created_from)
    if scope.created_before is not None:
        rows = rows.filter(created_at__lt=scope.created_before)
    return rows.count()


def rows(scope: Scope, *, only: Sequence[int] | None = None) -> Iterator[Sequence[str]]:
    """One row a classification, in the order of their ids.

    Args:
        scope: which.
        only: of these, the ones with these ids; None: all.
    """
    return _rows(scope, _Cells(text=str, jsonb=compact_jsonb), only=only)


def lines(scope: Scope) -> Iterator[str]:
    """The same as lines of CSV: a text that many rows repeat is quoted once."""
    if is_imported(scope.project):
        return map(csv_line, rows(scope))
    return (",".join(row) + "\n" for row in _rows(scope, _Cells(text=csv_field, jsonb=_csv_jsonb)))


@dataclass(frozen=True, kw_only=True)
class _Cells:
    """How a cell is written: of a text, and of a jsonb column's."""

    text: Callable[[str], str]
    jsonb: Callable[[str], str]


def _csv_jsonb(text: str) -> str:
    """`csv_field` of `compact_jsonb`, in one go; JSON has no line feed, so that only two characters matter."""
    if '"' in text or "," in text:
        return '"' + compact_jsonb(text, quotation_mark='""') + '"'
    return compact_jsonb(text)


def _rows(scope: Scope, cells: _Cells, *, only: Sequence[int] | None = None) -> Iterator[Sequence[str]]:
    imported = is_imported(scope.project)
    withheld = WITHHELD if scope.pseudonymised else frozenset[str]()
    label, name_of = _annotation_formatter(scope, cells.text), _namer(scope, cells.text)
    workflow_of, jsonb = _workflow_formatter(cells.text), cells.jsonb
    names = {workflow.pk: workflow.display_name for workflow in scope.workflows}
    # The statement sees one snapshot: what it says of a subject in a workflow is the same in all of its rows.
    subjects: dict[tuple[int, int], str] = {}
    for row in stream(_statement(scope, imported=imported, chosen=only), _parameters(scope, only)):
        (
            classification_id, volunteer_id, user_id, login, ip_key, workflow_id, major, minor, created_at, gold,
            expert, counted, metadata, annotations, subject_id, subject_metadata, *_,
        ) = row  # fmt: skip
        there, named_there, workflow_name = None, None, names[workflow_id]
        annotations = label(workflow_id, major, minor, annotations)
        place = workflow_id, subject_id
        if imported:
            there = Foreign(*row[FOREIGN:])
            classification_id = there.classification_id or classification_id
            workflow_id, workflow_name = there.workflow_id or workflow_id, there.workflow_name or workflow_name
            subject_id = there.subject_id or subject_id
            named_there = there.person(ip_key)
        subject_data = subjects.get(place)
        if subject_data is None:
            status = row[FACTS:FOREIGN] if there is None else there.status(row[FACTS:FOREIGN])
            if len(subjects) >= REMEMBERED_TEXTS:
                subjects.clear()
            subject_data = subjects[place] = jsonb(_subject_data(subject_id, workflow_id, subject_metadata, status))
        made = (
            str(classification_id),
            *name_of(volunteer_id, user_id, login, ip_key, named_there),
            *workflow_of(workflow_id, workflow_name, major, minor),
            created_at,
            "true" if gold else "",
            expert,
            jsonb(metadata if counted or gold else _metadata_of_a_repeat(metadata)),
            annotations,
            subject_data,
            str(subject_id),
        )
        yield made if there is None else there.in_its_words(made, HEADER, withheld=withheld)


def _statement(scope: Scope, *, imported: bool, chosen: Sequence[int] | None) -> str:
    conditions = {
        "AND c.id = ANY(%(only)s)": chosen is not None,
        "AND c.id > %(after_id)s": scope.after_id is not None,
        "AND c.created_at >= %(created_from)s": scope.created_from is not None,
        "AND c.created_at < %(created_before)s": scope.created_before is not None,
        "AND EXISTS (SELECT 1 FROM projects_setmembersubject m WHERE m.subject_set_id = %(subject_set)s"
        " AND m.subject_id = c.subject_id)": scope.subject_set is not None,
    }
    return ROWS.format(
        classifications=_classifications(scope),
        metadata=SAFE_METADATA if scope.pseudonymised else METADATA,
        foreign_columns=FOREIGN_COLUMNS if imported else "",
        foreign_joins=FOREIGN_JOINS if imported else "",
        chosen="".join(f"\n  {condition}" for condition, holds in conditions.items() if holds),
    )


def _classifications(scope: Scope) -> str:
    """The workflows' rows, each workflow's by the index that has them in order.

    Asked for a list of workflows at once, PostgreSQL walks the whole table in the order of its ids and drops what
    belongs to others: the first row of a small workflow among a million others took seven seconds.
    """
    each = [f"SELECT * FROM crowd_classification WHERE workflow_id = {int(pk)}" for pk in scope.workflow_ids]
    if len(each) > 1:  # each in order, so that PostgreSQL merges them and sorts nothing
        each = [f"({one} ORDER BY id)" for one in each]
    return f"({' UNION ALL '.join(each or ['SELECT * FROM crowd_classification WHERE false'])})"


def _parameters(scope: Scope, only: Sequence[int] | None) -> dict[str, Any]:
    return {
        "as_of": scope.as_of,
        "only": None if only is None else list(only),
        "after_id": scope.after_id,
        "created_from": scope.created_from,
        "created_before": scope.created_before,
        "subject_set": scope.subject_set.pk if scope.subject_set else None,
    }


PrintedName = tuple[str, str, str]


def _namer(
    scope: Scope, quote: Callable[[str], str]
) -> Callable[[int, int | None, str | None, str, Named | None], PrintedName]:
    lasting = lasting_pseudonyms(scope.project.pk)
    pseudonym = pseudonyms(scope.as_of)

    @lru_cache(maxsize=REMEMBERED_TEXTS)
    def name(
        volunteer_id: int, user_id: int | None, login: str | None, ip_key: str, named_there: Named | None
    ) -> PrintedName:
        if scope.pseudonymised:
            return f"volunteer-{lasting(str(volunteer_id))}", "", ""
        if named_there is not None:
            there, number, address = named_there
            return quote(there or ""), "" if number is None else str(number), quote(address)
        if user_id is None:
            address = pseudonym(f"volunteer:{volunteer_id}")
            return f"not-logged-in-{address}", "", address
        return quote(login or ""), str(user_id), pseudonym(f"ip:{ip_key}") if ip_key else ""

    return name


def _workflow_formatter(quote: Callable[[str], str]) -> Callable[[int, str, int, int], tuple[str, str, str]]:
    @lru_cache(maxsize=REMEMBERED_TEXTS)
    def workflow(workflow_id: int, name: str, major: int, minor: int) -> tuple[str, str, str]:
        return str(workflow_id), quote(name), f"{major}.{minor}"

    return workflow


def pseudonyms(as_of: datetime) -> Callable[[str], str]:
    """Names of 20 hexadecimal digits, the same within one export and unlike those of any other.

    An anonymous volunteer's stands for the browser session and not for the network address: everybody behind a
    school's address would otherwise be one person, and all but the first of their votes thrown away by the reducers.
    """
    return _keyed(f"export:{as_of.isoformat()}")


def lasting_pseudonyms(project_id: int) -> Callable[[str], str]:
    """Names of 20 hexadecimal digits, the same in all of a project's pseudonymised exports and in no other project's.

    Without the site's secret key nobody can tell from the name who it is, not even by trying all volunteers; and nobody
    can follow a volunteer from one project to another.
    """
    return _keyed(f"project:{project_id}")


def _keyed(purpose: str) -> Callable[[str], str]:
    key = hashlib.sha256(f"{purpose}:{settings.SECRET_KEY}".encode()).digest()

    @lru_cache(maxsize=REMEMBERED_TEXTS)
    def pseudonym(name: str) -> str:
        return hmac.new(key, name.encode(), hashlib.sha256).hexdigest()[:20]

    return pseudonym


def _annotation_formatter(scope: Scope, quote: Callable[[str], str]) -> Callable[[int, int, int, str], str]:
    versions: dict[int, list[Version]] = defaultdict(list)
    stored = WorkflowVersion.objects.filter(workflow_id__in=scope.workflow_ids).order_by("major", "minor")
    for row in stored:
        version = Version(major=row.major, minor=row.minor, tasks=row.tasks, strings=row.strings)
        versions[row.workflow_id].append(version)

    @lru_cache(maxsize=REMEMBERED_TEXTS)
    def label(workflow_id: int, major: int, minor: int, annotations: str) -> str:
        version = version_for(versions[workflow_id], major, minor)
        return quote(compact_json(label_annotations(parse_jsonb(annotations), version)))

    return label


def _metadata_of_a_repeat(text: str) -> str:
    metadata = parse_jsonb(text)
    # An answer that was taken back was the first all the same; its metadata say that another one counts.
    return compact_json(metadata if metadata.get("superseded") else {**metadata, "seen_before": True})


def _subject_data(subject_id: int, workflow_id: int, metadata: str, status: Sequence[Any]) -> str:
    """The column's JSON, with the blanks of the subject's jsonb."""
    status_id, classifications_count, created_at, updated_at, retired_at, reason = status
    retired = "null"
    if status_id is not None:
        retired = (
            f'{{"id":{status_id},"workflow_id":{workflow_id},"classifications_count":{classifications_count},'
            f'"created_at":{_json_time(created_at)},"updated_at":{_json_time(updated_at)},'
            f'"retired_at":{_json_time(retired_at)},"subject_id":{subject_id},'
            f'"retirement_reason":{compact_json(reason) if reason else "null"}}}'
        )
    # `retired` comes first, and a subject's own key of that name takes its place, as in Panoptes.
    if '"retired"' in metadata:
        own = {"retired": parse_jsonb(retired), **parse_jsonb(metadata)}
        return compact_json({str(subject_id): own})
    return f'{{"{subject_id}":{{"retired":{retired}{"," if metadata != "{}" else ""}{metadata[1:]}}}'


def _json_time(moment: datetime | None) -> str:
    return "null" if moment is None else f'"{iso_text(moment)}"'
