"""Frozen training sets, the runs on them, and the comparisons that promote or keep back their models."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from esocs.machine.models import ModelVersion
from esocs.projects.models import Subject, Workflow


class TrainingSet(models.Model):
    """A frozen manifest of subjects and soft labels, named by its own hash: the same content is the same row."""

    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, related_name="training_sets")
    task_key = models.CharField(max_length=40)
    manifest_sha256 = models.CharField(max_length=64, unique=True)
    class_names = ArrayField(models.CharField(max_length=60))
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.workflow} {self.manifest_sha256[:12]}"


class TrainingSetItem(models.Model):
    """One subject of a training set with its vote counts per answer, and its selection weight."""

    class Source(models.TextChoices):
        SEED = "seed"
        CONSENSUS = "consensus"

    training_set = models.ForeignKey(TrainingSet, on_delete=models.CASCADE, related_name="items")
    subject = models.ForeignKey(Subject, on_delete=models.PROTECT, related_name="training_items")
    source = models.CharField(max_length=10, choices=Source)
    counts = ArrayField(models.FloatField(), help_text="Soft label: effective vote counts per answer.")
    weight = models.FloatField(default=1.0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["training_set", "subject"], name="training_item_unique")]

    def __str__(self) -> str:
        return f"{self.subject_id} ({self.source})"


class TrainingRun(models.Model):
    """One training of one network on one training set. Unique per (set, configuration, seed)."""

    training_set = models.ForeignKey(TrainingSet, on_delete=models.PROTECT, related_name="runs")
    configuration_sha256 = models.CharField(max_length=64)
    configuration = models.JSONField(default=dict)
    seed = models.PositiveIntegerField()
    model_version = models.OneToOneField(
        ModelVersion, null=True, on_delete=models.SET_NULL, related_name="training_run"
    )
    metrics = models.JSONField(default=dict)
    seconds = models.FloatField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["training_set", "configuration_sha256", "seed"], name="training_run_unique")
        ]

    def __str__(self) -> str:
        return f"run {self.pk}"


class Comparison(models.Model):
    """Challenger against champion on the same blind sample, and the verdict (DESIGN §5 Training)."""

    class Verdict(models.TextChoices):
        PROMOTED = "promoted"
        KEPT = "kept"

    challenger = models.OneToOneField(ModelVersion, on_delete=models.CASCADE, related_name="comparison")
    champion = models.ForeignKey(ModelVersion, null=True, on_delete=models.SET_NULL, related_name="defences")
    verdict = models.CharField(max_length=8, choices=Verdict)
    reason = models.CharField(max_length=300)
    blind_subjects = models.PositiveIntegerField()
    champion_errors = models.PositiveIntegerField(null=True)
    challenger_errors = models.PositiveIntegerField()
    only_champion_wrong = models.PositiveIntegerField(null=True)
    only_challenger_wrong = models.PositiveIntegerField(null=True)
    p_value = models.FloatField(null=True, help_text="Exact McNemar.")
    champion_accepted_share = models.FloatField(null=True)
    challenger_accepted_share = models.FloatField()
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.challenger}: {self.verdict}"
