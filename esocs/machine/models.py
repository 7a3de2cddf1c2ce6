"""Model versions, predictions, routing policies and routes. Weights lie in files named by their sha256."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from pgvector.django import HalfVectorField

from esocs.projects.models import Subject, Workflow

EMBEDDING_DIMENSIONS = 128


class ModelVersion(models.Model):
    """One trained network with its calibration, answering one workflow's first question."""

    class State(models.TextChoices):
        CANDIDATE = "candidate"
        CHAMPION = "champion"
        RETIRED = "retired"

    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, related_name="model_versions")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=9, choices=State, default=State.CANDIDATE)
    class_names = ArrayField(models.CharField(max_length=60))
    weights_path = models.CharField(max_length=300, help_text="Below ESOCS_WEIGHTS_ROOT.")
    weights_sha256 = models.CharField(max_length=64)
    card = models.JSONField(default=dict, help_text="The model card: architecture, training, measured quality.")
    training_prior = ArrayField(models.FloatField(), help_text="Class shares of the training set.")
    temperature = models.FloatField(null=True, help_text="Fitted on validated subjects; null: not calibrated.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workflow", "number"], name="model_version_number_unique"),
            models.UniqueConstraint(
                fields=["workflow"], condition=models.Q(state="champion"), name="model_version_one_champion"
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["candidate", "champion", "retired"]),
                name="model_version_state_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.workflow} v{self.number}"


class Prediction(models.Model):
    """What one model version says about one subject."""

    subject = models.ForeignKey(Subject, on_delete=models.CASCADE, related_name="predictions")
    model_version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="predictions")
    probabilities = ArrayField(models.FloatField(), help_text="Mean softmax before temperature, per answer.")
    embedding = HalfVectorField(dimensions=EMBEDDING_DIMENSIONS)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["subject", "model_version"], name="prediction_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.subject_id} by {self.model_version_id}"


class ReservedSubject(models.Model):
    """A subject set aside, uniformly at random, before active learning takes anything (DESIGN §5 Routing)."""

    class Purpose(models.TextChoices):
        SEED = "seed"  # the first training set, labelled by experts
        CALIBRATION = "calibration"  # blind, labelled by experts, never trained on

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="reserved")
    subject = models.ForeignKey(Subject, on_delete=models.CASCADE, related_name="reserved")
    purpose = models.CharField(max_length=12, choices=Purpose)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workflow", "subject"], name="reserved_once")]

    def __str__(self) -> str:
        return f"{self.subject_id}: {self.purpose}"


class RoutingPolicy(models.Model):
    """The threshold that guarantees the error among the accepted, for one model version, with its evidence."""

    class State(models.TextChoices):
        ACTIVE = "active"
        WITHDRAWN = "withdrawn"

    model_version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="policies")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=9, choices=State, default=State.ACTIVE)
    alpha = models.FloatField(help_text="Largest tolerated error among the accepted.")
    delta = models.FloatField(help_text="Largest probability that the guarantee is broken.")
    threshold = models.FloatField(null=True, help_text="Accept at or above this score; null: accept nothing.")
    audit_share = models.FloatField(help_text="Random share of everything that goes to volunteers blind.")
    ood_p_min = models.FloatField(help_text="Below this p-value a subject is out of distribution.")
    calibrated_on = models.PositiveIntegerField(help_text="Size of the reserved, blind sample.")
    evidence = models.JSONField(help_text="Each step of the walk: threshold, accepted, errors, p-value.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["model_version", "number"], name="routing_policy_number_unique"),
            models.CheckConstraint(
                condition=models.Q(alpha__gt=0, alpha__lt=1, delta__gt=0, delta__lt=1),
                name="routing_policy_levels",
            ),
        ]

    def __str__(self) -> str:
        return f"policy {self.number} of {self.model_version}"


class Route(models.Model):
    """The decision on one prediction."""

    class Decision(models.TextChoices):
        ACCEPT = "accept"
        VOLUNTEERS = "volunteers"
        EXPERTS = "experts"
        AUDIT = "audit"

    prediction = models.ForeignKey(Prediction, on_delete=models.CASCADE, related_name="routes")
    policy = models.ForeignKey(RoutingPolicy, on_delete=models.CASCADE, related_name="routes")
    decision = models.CharField(max_length=10, choices=Decision)
    reason = models.CharField(max_length=24)
    answer = models.PositiveSmallIntegerField(help_text="The machine's most probable answer.")
    score = models.FloatField(help_text="Its mean softmax before temperature: what the threshold is about.")
    probability = models.FloatField(help_text="Its calibrated probability.")
    ood_p = models.FloatField(help_text="p-value of being in distribution.")
    information_bits = models.FloatField(help_text="Entropy of the calibrated probabilities: the order of asking.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["prediction", "policy"], name="route_unique"),
            models.CheckConstraint(
                condition=models.Q(decision__in=["accept", "volunteers", "experts", "audit"]),
                name="route_decision_known",
            ),
        ]
        indexes = [models.Index(fields=["policy", "decision"], name="route_policy_decision")]

    def __str__(self) -> str:
        return f"{self.decision} ({self.reason})"
