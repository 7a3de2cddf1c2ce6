"""Extracts and reductions: reading them, writing those that are made elsewhere, and importing a machine's."""

from __future__ import annotations

import json
from typing import Any

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from esocs.accounts.models import User
from esocs.crowd.caesar import documents, importing, objects, queries
from esocs.crowd.caesar.calling import store_reduction
from esocs.crowd.caesar.configuration import CALLED
from esocs.crowd.caesar.deriving import order_subjects
from esocs.crowd.caesar.errors import CaesarConfigurationError
from esocs.crowd.caesar.extracting import write_machine_extracts
from esocs.crowd.caesar.extraction import LARGEST_DATA_BYTES
from esocs.crowd.models import CaesarWorkflow, Extract, ExtractImport, Extractor, Reducer
from esocs.jobs.models import Job
from esocs.panoptes import schema
from esocs.panoptes.caesar.base import (
    LARGEST_LIST,
    CaesarView,
    created,
    describe,
    find_row,
    read_member,
    read_subject_id,
)
from esocs.panoptes.errors import ForbiddenError, InvalidRequestError, NotFoundError
from esocs.panoptes.parameters import parse_id
from esocs.projects.models import Subject

EVERY = frozenset({"all", "extractor"})
"""What Zooniverse's client writes for an extractor when it asks for all of them."""

IMPORTS_SHOWN = 20


def _read_data(sent: Any) -> dict[str, Any]:
    """The data of an extract or a reduction.

    Raises:
        CaesarConfigurationError: no object, or too much.
    """
    data = sent.get("data")
    if not isinstance(data, dict):
        raise CaesarConfigurationError("`data` is an object.")
    if len(json.dumps(data, ensure_ascii=False)) > LARGEST_DATA_BYTES:
        raise CaesarConfigurationError(f"`data` are more than {LARGEST_DATA_BYTES:,} bytes of JSON.")
    return data


def _find_subject(setting: CaesarWorkflow, subject_id: int) -> Subject:
    found: Subject = find_row(Subject.objects.filter(project=setting.workflow.project), "Subject", id=subject_id)
    return found


class ExtractsView(CaesarView):
    """What was read about a subject."""

    def listed(self, setting: CaesarWorkflow, subject_id: int, key: str | None) -> Response:
        named = self.is_one_of_us(setting)
        rows = queries.list_extracts(setting.workflow, subject_id=subject_id, extractor_key=key)[:LARGEST_LIST]
        return Response([documents.extract_document(row, named=named) for row in rows])


@extend_schema(tags=["caesar"])
@describe("extract", "CaesarExtract", get="list", put="one")
class ExtractorExtracts(ExtractsView):
    """`/extractors/:key/extracts?subject_id=`: an extractor's extracts of a subject; under `all` every one's."""

    def get(self, request: Request, pk: str, name: str) -> Response:
        setting = self.find_readable(pk, public="public_extracts")
        subject_id = read_subject_id(request.query_params)
        known = Extractor.objects.filter(workflow=setting.workflow, key=name).exists()
        if not known and name not in EVERY:
            raise NotFoundError(f"Couldn't find Extractor with 'key'={name[:100]}")
        return self.listed(setting, subject_id, name if known else None)

    @transaction.atomic
    def put(self, request: Request, pk: str, name: str) -> Response:
        """Write what a machine says about a subject: `{"extract": {"subject_id", "data"}}`."""
        setting = objects.lock(self.find_setting(pk).workflow)
        extractor = find_row(Extractor.objects.filter(workflow=setting.workflow), "Extractor", key=name)
        sent = read_member(request.data, "extract")
        subject = _find_subject(setting, parse_id(str(sent.get("subject_id")), "subject_id"))
        write_machine_extracts([(extractor.pk, subject.pk, _read_data(sent))])
        order_subjects(setting.pk, [subject.pk])
        row = Extract.objects.select_related("extractor").get(extractor=extractor, subject=subject, machine_data=True)
        return Response(documents.extract_document(row, named=True))


class SubjectExtracts(ExtractsView):
    """`/subjects/:id/extracts`."""

    @extend_schema(
        operation_id="caesar_list_subject_extracts",
        tags=["caesar"],
        responses={
            200: {"type": "array", "items": {"$ref": "#/components/schemas/CaesarExtract"}},
            **schema.ERRORS,
        },
    )
    def get(self, request: Request, pk: str, subject_id: str) -> Response:
        setting = self.find_readable(pk, public="public_extracts")
        return self.listed(setting, parse_id(subject_id, "subject_id"), request.query_params.get("extractor_key"))


@describe("subject_reduction", "CaesarReduction", get="list")
class SubjectReductions(CaesarView):
    """`/subjects/:id/reductions`: what was made of a subject's extracts."""

    def get(self, request: Request, pk: str, subject_id: str) -> Response:
        setting = self.find_readable(pk, public="public_reductions")
        rows = queries.list_subject_reductions(
            setting.workflow,
            subject_id=parse_id(subject_id, "subject_id"),
            reducer_key=request.query_params.get("reducer_key"),
        )
        return Response([documents.reduction_document(row) for row in rows[:LARGEST_LIST]])


@describe("user_reduction", "CaesarReduction", get="list")
class UserReductions(CaesarView):
    """`/users/:id/reductions`: of a volunteer's extracts; for the project's people, and for the volunteer."""

    def get(self, request: Request, pk: str, user_id: str) -> Response:
        number = parse_id(user_id, "user_id")
        own = self.identity.user_id == number
        setting = self.find_readable(pk, public="public_reductions") if own else self.find_setting(pk)
        rows = queries.list_user_reductions(
            setting.workflow, user_id=number, reducer_key=request.query_params.get("reducer_key")
        )
        return Response([documents.reduction_document(row) for row in rows[:LARGEST_LIST]])


class WrittenReduction(CaesarView):
    """A reduction that is made elsewhere: of a placeholder, or of an external reducer that answers later."""

    def written(self, pk: str, key: str) -> tuple[CaesarWorkflow, Reducer, Any]:
        setting = objects.lock(self.find_setting(pk).workflow)
        reducer = find_row(Reducer.objects.filter(workflow=setting.workflow), "Reducer", key=key)
        if reducer.type not in {"placeholder", *CALLED}:
            raise ForbiddenError(f"Reductions of {reducer.key!r} are made here.", hint="Write to a placeholder.")
        return setting, reducer, read_member(self.request.data, "reduction")


class WrittenSubjectReduction(WrittenReduction):
    """`/subject_reductions/:key`."""

    @extend_schema(
        operation_id="caesar_write_subject_reduction",
        tags=["caesar"],
        request={"application/json": schema.object_of(reduction=schema.MAP)},
        responses={200: {"type": "array", "items": {"$ref": "#/components/schemas/CaesarReduction"}}, **schema.ERRORS},
    )
    @transaction.atomic
    def put(self, request: Request, pk: str, key: str) -> Response:
        setting, reducer, sent = self.written(pk, key)
        subject = _find_subject(setting, parse_id(str(sent.get("subject_id")), "subject_id"))
        store_reduction(reducer, _read_data(sent), subject_id=subject.pk)
        rows = queries.list_subject_reductions(setting.workflow, subject_id=subject.pk, reducer_key=reducer.key)
        return Response([documents.reduction_document(row) for row in rows])


class WrittenUserReduction(WrittenReduction):
    """`/user_reductions/:key`."""

    @extend_schema(
        operation_id="caesar_write_user_reduction",
        tags=["caesar"],
        request={"application/json": schema.object_of(reduction=schema.MAP)},
        responses={200: {"type": "array", "items": {"$ref": "#/components/schemas/CaesarReduction"}}, **schema.ERRORS},
    )
    @transaction.atomic
    def put(self, request: Request, pk: str, key: str) -> Response:
        setting, reducer, sent = self.written(pk, key)
        number = parse_id(str(sent.get("user_id")), "user_id")
        answered = User.objects.filter(volunteer__classifications__workflow=setting.workflow).distinct()
        user = find_row(answered, "User", id=number)
        store_reduction(reducer, _read_data(sent), user_id=user.pk)
        rows = queries.list_user_reductions(setting.workflow, user_id=user.pk, reducer_key=reducer.key)
        return Response([documents.reduction_document(row) for row in rows])


# No member may be called `error`: Zooniverse's client takes that for a refusal.
def import_document(row: ExtractImport, job: Job | None) -> dict[str, Any]:
    """An import with its progress; needs the job that reads the file."""
    failed = job is not None and job.state == Job.State.FAILED
    return {
        "id": row.pk,
        "workflow_id": row.workflow_id,
        "file": row.url,
        "state": "finished" if row.rows_read is not None else "failed" if failed else "importing",
        "progress": [job.progress_done, job.progress_total] if job is not None else [0, 0],
        "rows_read": row.rows_read,
        "rows_kept": row.rows_kept,
        "problems": [{"line": line, "message": message} for line, message in row.problems],
        "failure": job.last_error.partition("\n")[0][:300] if job is not None and job.last_error else None,
        "created_at": documents.timestamp(row.created_at),
        "finished_at": documents.timestamp(row.finished_at) if row.finished_at is not None else None,
    }


class ExtractImports(CaesarView):
    """`/extracts/import`: a machine's extracts out of a CSV file: `extractor_key, subject_id, data`."""

    @extend_schema(
        operation_id="caesar_list_extract_imports",
        tags=["caesar"],
        responses={200: {"type": "array", "items": {"$ref": "#/components/schemas/CaesarImport"}}, **schema.ERRORS},
    )
    def get(self, request: Request, pk: str) -> Response:
        workflow = self.find_setting(pk).workflow
        rows = list(ExtractImport.objects.filter(workflow=workflow).order_by("-id")[:IMPORTS_SHOWN])
        keys = [importing.job_key(row) for row in rows]
        jobs = {job.key: job for job in Job.objects.filter(kind=importing.JOB, key__in=keys)}
        return Response([import_document(row, jobs.get(importing.job_key(row))) for row in rows])

    @extend_schema(
        operation_id="caesar_import_extracts",
        tags=["caesar"],
        request={"application/json": schema.object_of(file={"type": "string", "format": "uri"})},
        responses={201: {"$ref": "#/components/schemas/CaesarImport"}, **schema.ERRORS},
    )
    def post(self, request: Request, pk: str) -> Response:
        workflow = self.find_setting(pk).workflow
        if not isinstance(request.data, dict) or set(request.data) != {"file"}:
            raise InvalidRequestError('The body must be {"file": "https://…/extracts.csv"}.')
        row = importing.request_import(workflow=workflow, url=request.data["file"], user_id=self.identity.user_id)
        return created(import_document(row, None))
