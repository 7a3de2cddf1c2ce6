"""Extracts into reductions, of subjects and of volunteers: made whole from all extracts, written where they differ."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now

from esocs.crowd.caesar.configuration import CALLED, reducer_of
from esocs.crowd.caesar.errors import ExtractionError, ReductionError
from esocs.crowd.caesar.extracting import LONGEST_ERROR, group_of
from esocs.crowd.caesar.extraction import check_size
from esocs.crowd.caesar.filters import Extract as Read
from esocs.crowd.caesar.filters import Reducer as Spec
from esocs.crowd.caesar.filters import select
from esocs.crowd.caesar.reduction import REDUCERS, reduce
from esocs.crowd.models import Extract, Reducer, SubjectReduction, UserReduction
from esocs.crowd.practice import is_training_subject
from esocs.jobs.services import enqueue_many
from esocs.projects.models import Workflow

CALL = "crowd.call_reducer"
COLUMNS = ("key", "type", "filters", "grouping", "config")
LONGEST_GROUP = 300

Reductions = type[SubjectReduction] | type[UserReduction]


def spec_of(row: Reducer) -> Spec:
    """The reducer that a row means."""
    return reducer_of({name: getattr(row, name) for name in COLUMNS})


def reduce_subjects(workflow: Workflow, subject_ids: Sequence[int]) -> None:
    """Bring the subjects' reductions up to date; those of other servers are ordered."""
    reducers = list(Reducer.objects.filter(workflow=workflow, topic=Reducer.Topic.SUBJECT).order_by("id"))
    if reducers:
        rows = Extract.objects.filter(extractor__workflow=workflow, subject__in=subject_ids)
        _reduce(workflow, reducers, SubjectReduction, subject_ids, read_extracts(rows, by="subject_id"))


def reduce_users(workflow: Workflow, user_ids: Sequence[int]) -> None:
    """Bring the volunteers' reductions up to date."""
    reducers = list(Reducer.objects.filter(workflow=workflow, topic=Reducer.Topic.USER).order_by("id"))
    if reducers and user_ids:
        rows = Extract.objects.filter(extractor__workflow=workflow, classification__volunteer__user__in=user_ids)
        _reduce(workflow, reducers, UserReduction, user_ids, read_extracts(rows, by="user_id"))


def read_extracts(rows: QuerySet[Extract], *, by: str) -> dict[int, list[Read]]:
    """Readable extracts as reducers see them, by subject or by user."""
    columns = (
        "extractor__key", "classification_id", "subject_id", "classification__volunteer__user_id",
        "classification__created_at", "created_at", "data", "subject__metadata",
    )  # fmt: skip
    found: defaultdict[int, list[Read]] = defaultdict(list)
    for key, classification_id, subject_id, user_id, at, made_at, data, about in (
        rows.filter(error="").values_list(*columns).iterator(chunk_size=2_000)
    ):
        one = Read(
            extractor_key=key,
            classification_id=classification_id,
            subject_id=subject_id,
            user_id=user_id,
            at=at or made_at,
            data=data,
            training=is_training_subject(about),
        )
        found[getattr(one, by)].append(one)
    return found


def _reduce(
    workflow: Workflow,
    reducers: Sequence[Reducer],
    kind: Reductions,
    ids: Sequence[int],
    extracts: Mapping[int, list[Read]],
) -> None:
    whose = "subject_id" if kind is SubjectReduction else "user_id"
    made: dict[tuple[int, int, str], tuple[Any, str]] = {}
    calls: list[tuple[str, Mapping[str, Any]]] = []
    for row in reducers:
        spec = spec_of(row)
        for pk in ids:
            if row.type in REDUCERS:
                made |= {(pk, row.pk, name): found for name, found in _of_one(spec, extracts.get(pk, [])).items()}
            elif row.type in CALLED:
                calls += list_calls(row, spec, extracts.get(pk, []), {whose: pk})
    own = [row.pk for row in reducers if row.type in REDUCERS]
    _write(kind, whose, ids, own, made)
    enqueue_many(CALL, items=calls, group=group_of(workflow.pk))


def _of_one(spec: Spec, extracts: list[Read]) -> dict[str, tuple[Any, str]]:
    """Data and error of each subgroup; nothing of nothing."""
    if not extracts:
        return {}
    try:
        found = {name[:LONGEST_GROUP]: (data, "") for name, data in reduce(spec, extracts).items()}
        for data, _ in found.values():
            check_size({"data": data})
    except (ReductionError, ExtractionError) as error:
        return {"_default": (None, error.message[:LONGEST_ERROR])}
    return found


def _write(
    kind: Reductions,
    whose: str,
    ids: Sequence[int],
    reducer_ids: Sequence[int],
    made: Mapping[tuple[int, int, str], tuple[Any, str]],
) -> None:
    """Write what differs from the rows, and delete the rows of which nothing is left."""
    rows = kind.objects.filter(reducer__in=reducer_ids, **{f"{whose}__in": list(ids)})
    known = {(getattr(row, whose), row.reducer_id, row.subgroup): row for row in rows}
    changed = [
        kind(**{whose: key[0]}, reducer_id=key[1], subgroup=key[2], data=data, error=error, updated_at=Now())
        for key, (data, error) in sorted(made.items())
        if key not in known or (known[key].data, known[key].error) != (data, error)
    ]
    upsert(kind, whose, changed, ["data", "error", "updated_at"])
    gone = [row.pk for key, row in known.items() if key not in made]
    if gone:
        kind.objects.filter(pk__in=gone).delete()


def upsert(kind: Reductions, whose: str, rows: Sequence[Any], fields: Sequence[str]) -> None:
    """Write reductions, one each subject or user, reducer and subgroup."""
    kind.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=[whose.removesuffix("_id"), "reducer", "subgroup"],
        update_fields=list(fields),
        batch_size=1_000,
    )


def list_calls(
    row: Reducer, spec: Spec, extracts: list[Read], about: Mapping[str, int]
) -> list[tuple[str, Mapping[str, Any]]]:
    """The calls to another server that these extracts ask for: the same extracts, no second time."""
    calls: list[tuple[str, Mapping[str, Any]]] = []
    for subgroup, chosen in select_or_nothing(spec, extracts).items():
        if chosen:
            digest = digest_of(chosen)
            whom = "/".join(f"{name.removesuffix('_id')}/{pk}" for name, pk in about.items())
            key = f"reducer/{row.pk}/{row.updated_at.timestamp():.6f}/{whom}/{digest[:32]}"
            calls.append((key, {"reducer_id": row.pk, "subgroup": subgroup, "sha256": digest, **about}))
    return calls


def select_or_nothing(spec: Spec, extracts: Iterable[Read]) -> dict[str, list[Read]]:
    """The extracts by subgroup; none where the grouping's field is missing and must not be."""
    try:
        return select(spec, extracts)
    except ReductionError:
        return {}


def digest_of(extracts: Sequence[Read]) -> str:
    """What tells these extracts from others."""
    facts = [(e.extractor_key, e.classification_id, e.subject_id, e.data) for e in extracts]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
