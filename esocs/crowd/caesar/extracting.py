"""Classifications into extracts: what is missing is made, what is there stays."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from esocs.crowd import posterior
from esocs.crowd.caesar.configuration import extractor_of
from esocs.crowd.caesar.errors import ExtractionError
from esocs.crowd.caesar.extraction import EXTRACTORS, Classified, extract
from esocs.crowd.models import Classification, Extract, Extractor, SubjectStatus
from esocs.jobs.services import enqueue_many
from esocs.projects.models import Workflow

CALL = "crowd.call_extractor"
LONGEST_ERROR = 300

COLUMNS = ("key", "type", "task_key", "if_missing", "minimum_workflow_version", "config")


def spec_of(row: Extractor) -> Any:
    """The extractor that a row means."""
    return extractor_of({name: getattr(row, name) for name in COLUMNS})


def list_classified(workflow: Workflow, rows: QuerySet[Classification]) -> Iterator[Classified]:
    """Classifications as extractors see them. Gold is left out: experts' answers never count."""
    columns = (
        "id", "subject_id", "volunteer__user_id", "workflow_major", "workflow_minor", "created_at", "annotations",
        "metadata", "subject__metadata",
    )  # fmt: skip
    chosen = rows.filter(workflow=workflow, gold_standard=False).order_by("id").values_list(*columns)
    for pk, subject_id, user_id, major, minor, at, answers, metadata, about in chosen.iterator(chunk_size=500):
        yield Classified(
            id=pk,
            project_id=workflow.project_id,
            workflow_id=workflow.pk,
            subject_id=subject_id,
            user_id=user_id,
            version=(major, minor),
            created_at=at.isoformat(),
            annotations=answers,
            metadata=metadata,
            subject_metadata=about,
        )


def write_extracts(workflow: Workflow, subject_ids: Sequence[int]) -> None:
    """Make the extracts that these subjects' classifications lack; those of other servers are ordered."""
    extractors = list(Extractor.objects.filter(workflow=workflow).order_by("id"))
    if not extractors:
        return
    known = set(
        Extract.objects.filter(extractor__in=extractors, subject__in=subject_ids, machine_data=False).values_list(
            "classification_id", "extractor_id"
        )
    )
    specs = [(row, spec_of(row)) for row in extractors]
    made: list[Extract] = []
    calls: list[tuple[str, Mapping[str, Any]]] = []
    for classified in list_classified(workflow, Classification.objects.filter(subject__in=subject_ids)):
        for row, spec in specs:
            if (classified.id, row.pk) in known:
                continue
            if row.type in EXTRACTORS:
                one = _extract(row, spec, classified)
                made += [one] if one is not None else []
            elif row.type == "external":
                calls.append(_call(row, classified))
    Extract.objects.bulk_create(made, batch_size=1_000)
    enqueue_many(CALL, items=calls, group=group_of(workflow.pk))
    for row in extractors:
        if row.type == "machine":
            write_machine_extracts([(row.pk, pk, data) for pk, data in _machine_says(workflow, subject_ids)])


def group_of(workflow_id: int) -> str:
    """The ledger's group of a workflow's calls to other servers."""
    return f"caesar/{workflow_id}"


def _extract(row: Extractor, spec: Any, classified: Classified) -> Extract | None:
    data: dict[str, Any] | None
    try:
        data, error = extract(spec, classified), ""
    except ExtractionError as failed:
        data, error = {}, failed.message[:LONGEST_ERROR]
    if data is None:
        return None
    return Extract(
        extractor=row, subject_id=classified.subject_id, classification_id=classified.id, data=data, error=error
    )


def _call(row: Extractor, classified: Classified) -> tuple[str, Mapping[str, Any]]:
    # A changed extractor reads anew.
    key = f"extractor/{row.pk}/{row.updated_at.timestamp():.6f}/classification/{classified.id}"
    return key, {"extractor_id": row.pk, "classification_id": classified.id}


def _machine_says(workflow: Workflow, subject_ids: Sequence[int]) -> Iterator[tuple[int, dict[str, float]]]:
    """Our own network's probabilities of the first question's answers, where it has a say.

    They are the priors of the consensus: the network is silent in the blind audit, on what it was trained on and on
    what is out of its distribution.
    """
    rows = SubjectStatus.objects.filter(workflow=workflow, subject__in=subject_ids, machine_prior__isnull=False)
    for subject_id, prior in rows.values_list("subject_id", "machine_prior"):
        assert prior is not None
        probabilities = posterior.read_out(prior, 1.0, votes=0, kind=posterior.ReadOut.BAYES)
        yield subject_id, {str(answer): round(p, 6) for answer, p in enumerate(probabilities)}


WRITE_MACHINE = """
INSERT INTO crowd_extract (extractor_id, subject_id, machine_data, data, error, created_at, updated_at)
SELECT x.extractor_id, x.subject_id, true, x.data, '', now(), now()
FROM jsonb_to_recordset(%s::jsonb) AS x(extractor_id bigint, subject_id bigint, data jsonb)
ON CONFLICT (extractor_id, subject_id) WHERE machine_data
DO UPDATE SET data = EXCLUDED.data, updated_at = now() WHERE crowd_extract.data <> EXCLUDED.data
"""


def write_machine_extracts(rows: Iterable[tuple[int, int, dict[str, Any]]]) -> None:
    """Write what a machine says, one extract an extractor and subject: said again, it is the later.

    Args:
        rows: extractor's id, subject's id and data; of two about the same the last is kept.
    """
    latest = {(extractor_id, subject_id): data for extractor_id, subject_id, data in rows}
    sent = [
        {"extractor_id": extractor_id, "subject_id": subject_id, "data": data}
        for (extractor_id, subject_id), data in sorted(latest.items(), key=lambda entry: entry[0])
    ]
    with connection.cursor() as cursor:
        for low in range(0, len(sent), 1_000):
            cursor.execute(WRITE_MACHINE, [json.dumps(sent[low : low + 1_000])])
