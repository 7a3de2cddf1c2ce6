"""What volunteers answered, and what their answers come to."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from esocs.accounts.models import Volunteer
from esocs.crowd.models.statuses import SubjectStatus
from esocs.projects.models import Subject, Workflow

HARMLESS_METADATA = (
    "started_at",
    "finished_at",
    "user_language",
    "live_project",
    "seen_before",
    "source",
    "feedback",
    "subject_selection_state",
    "interventions",
    "workflow_translation_id",
    "subject_flagged",
    "revises",
    "revision",
    "superseded",
)


"""What a classification's metadata may tell without telling whose it is. Named one by one: what a future client sends
beside these may tell who somebody is."""


class Classification(models.Model):
    """One volunteer's submission on one subject. Stored exactly once per idempotency key; its words never change."""

    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, related_name="classifications", db_index=False)
    subject = models.ForeignKey(Subject, on_delete=models.PROTECT, related_name="classifications", db_index=False)
    volunteer = models.ForeignKey(Volunteer, on_delete=models.PROTECT, related_name="classifications", db_index=False)
    idempotency_key = models.CharField(max_length=64, unique=True)
    request_sha256 = models.CharField(max_length=64, help_text="Of the body: the same key must mean the same words.")
    workflow_major = models.PositiveIntegerField()
    workflow_minor = models.PositiveIntegerField()
    annotations = models.JSONField()
    metadata = models.JSONField(default=dict)
    gold_standard = models.BooleanField(default=False)
    expert = models.CharField(max_length=8, blank=True, help_text="`owner` or `expert` for a gold standard.")
    counted = models.BooleanField(help_text="False for gold, for repeats by the same volunteer, and once revised.")
    count_correction = models.SmallIntegerField(
        db_default=0,
        help_text="What Panoptes counts more (1) or less (-1) of it, in a workflow that says so.",
    )
    revises = models.CharField(
        max_length=64, blank=True, db_default="", help_text="Key of the first answer, if this is a revision of it."
    )
    revision = models.PositiveSmallIntegerField(db_default=0, help_text="Its number; the highest counts.")
    ip_key = models.CharField(max_length=64, blank=True, help_text="Salted hash of the sender's address.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workflow", "subject", "volunteer"],
                condition=models.Q(counted=True),
                name="classification_counts_once",
            ),
            models.CheckConstraint(
                condition=~models.Q(gold_standard=True, counted=True), name="classification_gold_not_counted"
            ),
        ]
        indexes = [
            models.Index(fields=["volunteer", "workflow", "subject"], name="classification_seen"),
            models.Index(fields=["workflow", "id"], name="classification_export"),
            models.Index(fields=["subject", "workflow"], name="classification_subject"),
            models.Index(fields=["revises"], condition=~models.Q(revises=""), name="classification_revises"),
        ]

    def __str__(self) -> str:
        return f"classification {self.pk}"


class Answer(models.Model):
    """A choice in a classification, as a column: what skill and consensus are fitted on."""

    classification = models.ForeignKey(Classification, on_delete=models.CASCADE, related_name="answers", db_index=False)
    status = models.ForeignKey(SubjectStatus, on_delete=models.CASCADE, related_name="answers", db_index=False)
    # The classification's own, whose row the database holds to a volunteer that exists.
    volunteer = models.ForeignKey(Volunteer, on_delete=models.PROTECT, related_name="answers", db_constraint=False)
    task_key = models.CharField(max_length=40)
    answer = models.PositiveSmallIntegerField()
    counted = models.BooleanField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["classification", "task_key"], name="answer_unique"),
        ]
        indexes = [models.Index(fields=["status", "task_key"], name="answer_status")]

    def __str__(self) -> str:
        return f"{self.task_key}={self.answer}"


class Consensus(models.Model):
    """The posterior over a task's answers for one subject, kept as a fixed-point sum under its status's epoch."""

    status = models.ForeignKey(SubjectStatus, on_delete=models.CASCADE, related_name="consensus", db_index=False)
    task_key = models.CharField(max_length=40)
    log_posterior = ArrayField(models.BigIntegerField(), help_text="K sums, fixed point (crowd.posterior).")
    answer_counts = ArrayField(models.PositiveIntegerField(), help_text="K counts of counted classifications.")
    answer = models.PositiveSmallIntegerField(help_text="The most probable answer.")
    probability = models.FloatField(help_text="Its probability in the read-out.")
    majority = models.PositiveSmallIntegerField(null=True, help_text="The most given answer; null on a tie.")
    flagged = models.BooleanField(default=False, help_text="The majority says otherwise.")
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["status", "task_key"], name="consensus_unique")]
        indexes = [
            models.Index(fields=["status"], condition=models.Q(flagged=True), name="consensus_flagged_status"),
            models.Index(fields=["task_key", "answer", "status"], name="consensus_answer"),
        ]

    def __str__(self) -> str:
        return f"{self.task_key}={self.answer} ({self.probability:.2f})"


class TaskSummary(models.Model):
    """What volunteers drew, wrote, estimated or listed on one subject, in one task (crowd.summaries)."""

    status = models.ForeignKey(SubjectStatus, on_delete=models.CASCADE, related_name="summaries")
    task_key = models.CharField(max_length=40)
    kind = models.CharField(max_length=12)
    seen_by = models.PositiveIntegerField(help_text="Counted classifications that reached the task.")
    counted = models.PositiveIntegerField(default=0, help_text="All counted classifications when it was made.")
    rejected = models.JSONField(default=dict, help_text="Why, and how many, marks or values could not be read.")
    value = models.JSONField()
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["status", "task_key"], name="task_summary_unique")]

    def __str__(self) -> str:
        return f"{self.task_key}: {self.kind} of {self.seen_by}"


class GoldStandard(models.Model):
    """An expert's answer: the truth that skill, temper and thresholds are measured against. Never counted."""

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="gold")
    subject = models.ForeignKey(Subject, on_delete=models.CASCADE, related_name="gold")
    task_key = models.CharField(max_length=40)
    answer = models.PositiveSmallIntegerField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="gold")
    classification = models.ForeignKey(Classification, null=True, on_delete=models.SET_NULL, related_name="gold")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workflow", "subject", "task_key"], name="gold_standard_unique")]

    def __str__(self) -> str:
        return f"{self.subject_id} {self.task_key}={self.answer}"
