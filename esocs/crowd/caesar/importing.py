"""A machine's extracts out of a CSV file that is fetched: `extractor_key, subject_id, data`, one row an extract.

A bad row is named by its line and left out; the others are kept. Read again, the same file changes nothing.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from classifier.errors import EsocsError
from esocs.crowd.caesar.deriving import lock_workflow, order_subjects
from esocs.crowd.caesar.errors import CaesarConfigurationError
from esocs.crowd.caesar.extracting import write_machine_extracts
from esocs.crowd.caesar.extraction import LARGEST_DATA_BYTES
from esocs.crowd.caesar.objects import lock
from esocs.crowd.models import ExtractImport, Extractor
from esocs.jobs.registry import PermanentJobError
from esocs.jobs.services import enqueue
from esocs.outbound import Limits, call, read_target
from esocs.projects.models import Subject, Workflow

JOB = "crowd.import_extracts"
HEADER = ("extractor_key", "subject_id", "data")
FILE_LIMITS = Limits(seconds=300.0, bytes=100_000_000)
PROBLEMS_KEPT = 100
ROWS_AT_ONCE = 2_000

Row = tuple[int, str, int, dict[str, Any]]
"""Line, extractor key, subject's id and data."""


class ExtractFileError(EsocsError):
    """A file of a machine's extracts that is none."""

    code = "extract_file"
    status = 422


@transaction.atomic
def request_import(*, workflow: Workflow, url: object, user_id: int | None = None) -> ExtractImport:
    """Order that a file is read.

    Raises:
        CaesarWorkflowNotFoundError: Caesar does not know the workflow.
        AddressRefusedError: the file lies where nothing is fetched.
    """
    lock(workflow)
    if not isinstance(url, str):
        raise CaesarConfigurationError('The body is {"file": "https://…/extracts.csv"}.')
    read_target(url, allowed=settings.OUTBOUND_ALLOWED)
    row = ExtractImport.objects.create(workflow=workflow, url=url, requested_by_id=user_id)
    enqueue(JOB, key=job_key(row), payload={"import_id": row.pk})
    return row


def job_key(row: ExtractImport) -> str:
    """Of the job that reads the file."""
    return f"import/{row.pk}"


def import_extracts(import_id: int, *, on_progress: Callable[[int, int], None]) -> Callable[[], None] | None:
    """Fetch and read an ordered file; the returned effect keeps its rows and has their subjects reduced anew.

    Raises:
        OutboundError: it cannot be fetched.
        PermanentJobError: it is no such file.
    """
    row = ExtractImport.objects.select_related("workflow").filter(pk=import_id, rows_read__isnull=True).first()
    if row is None:
        return None
    reply = call("GET", row.url, headers={"Accept": "text/csv"}, allowed=settings.OUTBOUND_ALLOWED, limits=FILE_LIMITS)
    problems: list[tuple[int, str]] = []
    try:
        rows = list(read_rows(reply.body, problems))
    except ExtractFileError as error:
        raise PermanentJobError(error.message, hint=error.hint) from error
    kept = _find(row.workflow, rows, problems, on_progress=on_progress)
    problems.sort()

    def write() -> None:
        lock_workflow(row.workflow_id)
        write_machine_extracts(kept)
        order_subjects(row.workflow_id, sorted({subject_id for _, subject_id, _ in kept}))
        ExtractImport.objects.filter(pk=row.pk).update(
            rows_read=len(rows) + sum(1 for line, _ in problems if line not in {number for number, *_ in rows}),
            rows_kept=len(kept),
            problems=problems[:PROBLEMS_KEPT],
            finished_at=Now(),
        )

    return write


def read_rows(body: bytes, problems: list[tuple[int, str]]) -> Iterator[Row]:
    """The file's readable rows; the others' lines are added to `problems`.

    Raises:
        ExtractFileError: not UTF-8, not CSV, or without one of the columns.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ExtractFileError(f"The file is not UTF-8 at byte {error.start:,}.") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        missing = [name for name in HEADER if name not in (reader.fieldnames or [])]
        if missing:
            raise ExtractFileError(f"The file has no column {missing[0]}.", hint=f"It needs {', '.join(HEADER)}.")
        for cells in reader:
            line = reader.line_num
            try:
                yield line, *_read_cells(cells)
            except ValueError as error:
                problems.append((line, str(error)[:200]))
    except csv.Error as error:
        raise ExtractFileError(f"Line {reader.line_num} of the file is no CSV: {error}.") from None


def _read_cells(cells: dict[str, Any]) -> tuple[str, int, dict[str, Any]]:
    key, subject, text = (cells[name] for name in HEADER)
    if not (subject or "").strip().isdecimal() or len(subject.strip()) > 18:
        raise ValueError(f"subject_id {subject!r} is no id.")
    if len(text or "") > LARGEST_DATA_BYTES:
        raise ValueError(f"data are more than {LARGEST_DATA_BYTES:,} bytes.")
    try:
        data = json.loads(text or "", parse_constant=_refuse)
        json.dumps(data, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise ValueError("data are not JSON.") from None
    if not isinstance(data, dict) or "\\u0000" in json.dumps(data):
        raise ValueError("data are no JSON object that can be kept.")
    return key or "", int(subject), data


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _find(
    workflow: Workflow,
    rows: list[Row],
    problems: list[tuple[int, str]],
    *,
    on_progress: Callable[[int, int], None],
) -> list[tuple[int, int, dict[str, Any]]]:
    """The rows whose extractor and subject exist, by their ids."""
    extractors = dict(Extractor.objects.filter(workflow=workflow).values_list("key", "pk"))
    kept = []
    for low in range(0, len(rows), ROWS_AT_ONCE):
        piece = rows[low : low + ROWS_AT_ONCE]
        named = {subject_id for _, _, subject_id, _ in piece}
        found = Subject.objects.filter(project=workflow.project_id, pk__in=named)
        known = set(found.values_list("pk", flat=True))
        for line, key, subject_id, data in piece:
            if key not in extractors:
                problems.append((line, f"There is no extractor {key!r}."[:200]))
            elif subject_id not in known:
                problems.append((line, f"The project has no subject {subject_id}."))
            else:
                kept.append((extractors[key], subject_id, data))
        on_progress(min(low + ROWS_AT_ONCE, len(rows)), len(rows))
    return kept
