"""Exports: files made from the rows, published whole or not at all."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from esocs.projects.models import Project, SubjectSet, Workflow
from esocs.releases.imported import (
    ImportedClassification,
    ImportedProject,
    ImportedStatus,
    ImportedSubject,
    ImportedSubjectSet,
    ImportedVersion,
    ImportedVolunteer,
    ImportedWorkflow,
    PushedSubject,
)

__all__ = [
    "Aggregation",
    "Export",
    "ImportedClassification",
    "ImportedProject",
    "ImportedStatus",
    "ImportedSubject",
    "ImportedSubjectSet",
    "ImportedVersion",
    "ImportedVolunteer",
    "ImportedWorkflow",
    "PushedSubject",
]


class Export(models.Model):
    """One order of an export file, and the file once it is ready."""

    class Kind(models.TextChoices):
        CLASSIFICATIONS = "classifications"
        ANNOTATIONS = "annotations"
        SUBJECTS = "subjects"
        WORKFLOWS = "workflows"
        CONSENSUS = "consensus"
        EXTRACTS = "extracts"
        SUBJECT_REDUCTIONS = "subject_reductions"
        USER_REDUCTIONS = "user_reductions"
        CREDITS = "credits"

    class State(models.TextChoices):
        CREATING = "creating"
        READY = "ready"

    class Format(models.TextChoices):
        CSV = "csv"
        PARQUET = "parquet"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="exports")
    workflow = models.ForeignKey(Workflow, null=True, on_delete=models.CASCADE, related_name="exports")
    subject_set = models.ForeignKey(SubjectSet, null=True, on_delete=models.CASCADE, related_name="exports")
    kind = models.CharField(max_length=20, choices=Kind)
    format = models.CharField(max_length=8, choices=Format, default=Format.CSV)
    pseudonymised = models.BooleanField(default=False, help_text="Names nobody, and tells nothing of anybody's device.")
    after_id = models.PositiveBigIntegerField(null=True, help_text="Only classifications after this one.")
    created_from = models.DateTimeField(null=True, help_text="Only classifications made then or later.")
    created_before = models.DateTimeField(null=True, help_text="Only classifications made earlier.")
    state = models.CharField(max_length=8, choices=State, default=State.CREATING)
    path = models.CharField(max_length=300, blank=True, help_text="Below ESOCS_EXPORT_ROOT; CSV as gzip.")
    row_count = models.PositiveBigIntegerField(null=True)
    sha256 = models.CharField(max_length=64, blank=True, help_text="Of the uncompressed CSV, or the Parquet file.")
    size_bytes = models.PositiveBigIntegerField(null=True, help_text="Uncompressed.")
    as_of = models.DateTimeField(null=True, help_text="The instant whose rows it holds; set when work on it begins.")
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(state="ready") | (~models.Q(path="") & models.Q(row_count__isnull=False)),
                name="export_ready_is_whole",
            )
        ]
        indexes = [models.Index(fields=["project", "kind", "-created_at"], name="export_latest")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.workflow or self.subject_set or self.project}"


class Aggregation(models.Model):
    """The order of a workflow's consensus, as Panoptes' clients order it. Its file is the export's."""

    workflow = models.OneToOneField(Workflow, on_delete=models.CASCADE, related_name="aggregation")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    export = models.ForeignKey(Export, on_delete=models.CASCADE, related_name="aggregations")
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, help_text="Whoever knows it may fetch the file.")
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"aggregation of {self.workflow}"
