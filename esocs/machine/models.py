"""Model versions, predictions, routing policies and routes. Weights lie in files named by their sha256."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from pgvector.django import HalfVectorField

from esocs.archive.models import IngestBatch
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

    # The unique constraint's index begins with it.
    subject = models.ForeignKey(Subject, on_delete=models.CASCADE, related_name="predictions", db_index=False)
    model_version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="predictions")
    probabilities = ArrayField(models.FloatField(), help_text="Mean softmax before temperature, per answer.")
    embedding = HalfVectorField(dimensions=EMBEDDING_DIMENSIONS)
    strangeness = models.FloatField(
        null=True, help_text="Log odds that it is none of what the model knows; null: made before this was measured."
    )
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
    """What one model version may accept alone: its thresholds, certified together, and whether they still stand."""

    class State(models.TextChoices):
        ACTIVE = "active"
        WITHDRAWN = "withdrawn"

    model_version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="policies")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=9, choices=State, default=State.ACTIVE)
    alpha = models.FloatField(help_text="Largest tolerated error among the accepted; some answers may have their own.")
    delta = models.FloatField(help_text="Largest probability that any of its thresholds breaks its promise.")
    alarm_delta = models.FloatField(default=0.01, help_text="Largest probability, ever, of a false alarm.")
    stratify_by = models.CharField(max_length=12, blank=True, help_text="What divides the archive; blank: nothing.")
    audit_share = models.FloatField(help_text="Random share of everything that goes to volunteers blind.")
    ood_p_min = models.FloatField(help_text="Below this p-value a subject is out of distribution.")
    calibrated_on = models.PositiveIntegerField(help_text="Size of the reserved, blind sample.")
    withdrawn_at = models.DateTimeField(null=True)
    withdrawn_because = models.CharField(max_length=300, blank=True)
    withdrawn_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="Null: the alarm, or a command.",
    )
    alarm = models.JSONField(null=True, help_text="What the audit said when it was looked at last (crowd.watch).")
    watched_at = models.DateTimeField(null=True, help_text="When that changed.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["model_version", "number"], name="routing_policy_number_unique"),
            models.CheckConstraint(
                condition=models.Q(alpha__gt=0, alpha__lt=1, delta__gt=0, delta__lt=1),
                name="routing_policy_levels",
            ),
            models.CheckConstraint(
                condition=models.Q(state="active", withdrawn_at__isnull=True)
                | models.Q(state="withdrawn", withdrawn_at__isnull=False),
                name="routing_policy_withdrawn_when",
            ),
        ]

    def __str__(self) -> str:
        return f"policy {self.number} of {self.model_version}"


class Threshold(models.Model):
    """From which score one group of a policy's predictions is accepted, with the evidence (classifier.strata)."""

    policy = models.ForeignKey(RoutingPolicy, on_delete=models.CASCADE, related_name="thresholds")
    number = models.PositiveSmallIntegerField()
    strata = ArrayField(models.CharField(max_length=100, blank=True), help_text="Several: the small ones, pooled.")
    answer = models.PositiveSmallIntegerField(null=True, help_text="Null: every answer without an alpha of its own.")
    alpha = models.FloatField(help_text="Largest error among the accepted of this group.")
    delta = models.FloatField(help_text="Its share of the policy's delta when it was tested last.")
    value = models.FloatField(null=True, help_text="Accept at or above this score; null: accept nothing.")
    sample_size = models.PositiveIntegerField(help_text="Calibration subjects of the group.")
    accepted = models.PositiveIntegerField(help_text="How many of them pass.")
    errors = models.PositiveIntegerField(help_text="How many of those are wrong.")
    steps = models.JSONField(help_text="Each step of the walk: threshold, accepted, errors, p-value.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["policy", "number"], name="threshold_number_unique"),
            models.CheckConstraint(
                condition=models.Q(alpha__gt=0, alpha__lt=1, delta__gt=0, delta__lt=1), name="threshold_levels"
            ),
        ]

    def __str__(self) -> str:
        return f"threshold {self.number} of {self.policy}"


class Route(models.Model):
    """The decision on one prediction."""

    class Decision(models.TextChoices):
        ACCEPT = "accept"
        VOLUNTEERS = "volunteers"
        EXPERTS = "experts"
        AUDIT = "audit"

    prediction = models.ForeignKey(Prediction, on_delete=models.CASCADE, related_name="routes")
    policy = models.ForeignKey(RoutingPolicy, on_delete=models.CASCADE, related_name="routes")
    threshold = models.ForeignKey(
        Threshold,
        null=True,
        db_index=False,
        on_delete=models.CASCADE,
        related_name="routes",
        help_text="What its score was compared with; null: its stratum was not in the calibration sample.",
    )
    decision = models.CharField(max_length=10, choices=Decision)
    reason = models.CharField(max_length=24)
    acceptable = models.BooleanField(
        db_default=False, help_text="It passes all that acceptance asks for, whether or not it was accepted."
    )
    answer = models.PositiveSmallIntegerField(help_text="The machine's most probable answer.")
    score = models.FloatField(help_text="Its mean softmax before temperature: what the threshold is about.")
    probability = models.FloatField(help_text="Its calibrated probability.")
    ood_p = models.FloatField(help_text="p-value of being in distribution.")
    ood_distance = models.FloatField(
        null=True, help_text="What the p-value is of: how far it lies from all that is known. The anomaly order."
    )
    information_bits = models.FloatField(help_text="What one more vote is expected to tell: the order of asking.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["prediction", "policy"], name="route_unique"),
            models.CheckConstraint(
                condition=models.Q(decision__in=["accept", "volunteers", "experts", "audit"]),
                name="route_decision_known",
            ),
        ]
        indexes = [
            # In the order of the ids: a page of the accepted goes on from the last one's.
            models.Index(fields=["policy", "decision", "id"], name="route_policy_decided"),
            # The oddest first, whatever is asked for: the filters are read from the index, not from the table.
            models.Index(
                fields=["policy", "-ood_distance", "-id"], include=["decision", "answer"], name="route_policy_oddest"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.decision} ({self.reason})"


class DriftReference(models.Model):
    """The calibration sample as a policy's model sees it: what later nights are compared with. A count of routes."""

    policy = models.OneToOneField(RoutingPolicy, on_delete=models.CASCADE, related_name="drift_reference")
    routes_counted = models.PositiveBigIntegerField(help_text="All routes of the policy when it was counted.")
    subjects = models.PositiveIntegerField()
    out_of_distribution = models.PositiveIntegerField()
    score_counts = ArrayField(models.PositiveIntegerField(), help_text="Subjects in each bin of classifier.drift.")
    counted_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"reference of {self.policy}"


class DriftCount(models.Model):
    """What one policy's model said about one ingest batch and observation night: a count of routes, replaced whole.

    The reserved samples are left out (one is the reference, the other was trained on), and so is whatever else the
    model was trained on: `learned_from` says how many these were.
    """

    policy = models.ForeignKey(RoutingPolicy, on_delete=models.CASCADE, related_name="drift_counts")
    batch = models.ForeignKey(IngestBatch, null=True, on_delete=models.CASCADE, related_name="+")
    night = models.DateField(null=True, help_text="The evening's date; null: the file does not say when.")
    subjects = models.PositiveIntegerField()
    learned_from = models.PositiveIntegerField()
    out_of_distribution = models.PositiveIntegerField()
    score_counts = ArrayField(models.PositiveIntegerField(), help_text="Subjects in each bin of classifier.drift.")
    counted_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["policy", "batch", "night"], name="drift_count_unique", nulls_distinct=False
            )
        ]

    def __str__(self) -> str:
        return f"{self.subjects} of {self.night or 'no night'} under {self.policy_id}"


class ReliabilityCount(models.Model):
    """How often the machine was right at each probability, for one ingest batch and one kind of label. Replaced whole.

    Subjects that the model was trained on are left out.
    """

    class Source(models.TextChoices):
        CALIBRATION = "calibration"  # experts' gold on the reserved calibration sample
        AUDIT = "audit"  # the blind audit, settled without the machine's opinion, or answered by experts
        GOLD = "gold"  # experts' gold on anything else: what they chose to look at
        CONSENSUS = "consensus"  # settled by volunteers, with the machine's opinion as prior

    policy = models.ForeignKey(RoutingPolicy, on_delete=models.CASCADE, related_name="reliability_counts")
    batch = models.ForeignKey(IngestBatch, null=True, on_delete=models.CASCADE, related_name="+")
    source = models.CharField(max_length=11, choices=Source)
    subjects = ArrayField(models.PositiveIntegerField(), help_text="In each bin of the calibrated probability.")
    right = ArrayField(models.PositiveIntegerField(), help_text="Of them, those whose label is the machine's answer.")
    probability_sums = ArrayField(models.FloatField(), help_text="Their calibrated probabilities, added up.")
    counted_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["policy", "batch", "source"], name="reliability_count_unique", nulls_distinct=False
            ),
            models.CheckConstraint(
                condition=models.Q(source__in=["calibration", "audit", "gold", "consensus"]),
                name="reliability_count_source_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source} under {self.policy_id}"
