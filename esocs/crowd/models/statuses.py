"""A subject in a workflow: where it stands, what became of it, and who is asked."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now, Random

from esocs.accounts.models import Volunteer
from esocs.crowd.models.skill import SkillEpoch
from esocs.machine.models import Route
from esocs.projects.models import Subject, Workflow


class SubjectStatus(models.Model):
    """One subject's way through one workflow, from publication to retirement. Zooniverse: subject_workflow_status."""

    class Audience(models.TextChoices):
        VOLUNTEERS = "volunteers"
        EXPERTS = "experts"

    class State(models.TextChoices):
        OPEN = "open"
        RETIRED = "retired"
        CONTESTED = "contested"

    class Cause(models.TextChoices):
        """Who or what retired a subject: what a rule decided, a changed rule may take back."""

        RULE = "rule"
        EXPERT = "expert"
        PERSON = "person"

    class Review(models.TextChoices):
        """Why an expert should look."""

        CONTESTED = "contested"
        FLAGGED = "flagged"
        AUDIT = "audit"
        DISAGREES = "disagrees", "Volunteers disagree with the machine"  # in the blind audit, unconfirmed

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="statuses", db_index=False)
    subject = models.ForeignKey(Subject, on_delete=models.CASCADE, related_name="statuses")
    route = models.ForeignKey(Route, null=True, on_delete=models.SET_NULL, related_name="statuses")
    audience = models.CharField(max_length=10, choices=Audience, default=Audience.VOLUNTEERS)
    state = models.CharField(max_length=9, choices=State, default=State.OPEN)
    blind = models.BooleanField(default=False, help_text="Audit: the machine's opinion has no part in its consensus.")
    training = models.BooleanField(
        default=False, db_default=False, help_text="To practise on (crowd.practice): answers are kept and never count."
    )
    machine_answer = models.PositiveSmallIntegerField(null=True, help_text="Null where blind or not predicted.")
    machine_prior = ArrayField(
        models.BigIntegerField(),
        null=True,
        help_text="Fixed-point log prior from the machine; null: the crowd's own.",
    )
    priority = models.FloatField(default=0.0, help_text="Lower is asked first.")
    random_key = models.FloatField(db_default=Random())
    epoch = models.ForeignKey(
        SkillEpoch,
        null=True,
        on_delete=models.PROTECT,
        related_name="statuses",
        help_text="Of its consensus sums.",
    )
    classifications_count = models.PositiveIntegerField(
        default=0, help_text="A cache: counted classifications, corrected."
    )
    retired_at = models.DateTimeField(null=True)
    retirement_reason = models.CharField(max_length=24, blank=True)
    retirement_cause = models.CharField(max_length=6, blank=True, choices=Cause)
    retired_epoch_number = models.PositiveIntegerField(null=True)
    retired_count = models.PositiveIntegerField(null=True, help_text="Counted classifications when it retired.")
    retired_answer = models.PositiveSmallIntegerField(null=True, help_text="To the first question, when it retired.")
    retired_probability = models.FloatField(null=True)
    review = models.CharField(max_length=9, blank=True, choices=Review, help_text="Waits in the experts' queue.")
    audited_at = models.DateTimeField(null=True, help_text="When it was drawn for the experts' audit, by chance.")
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workflow", "subject"], name="subject_status_unique"),
            models.CheckConstraint(
                condition=models.Q(state__in=["open", "retired", "contested"]),
                name="subject_status_state_known",
            ),
            models.CheckConstraint(
                condition=models.Q(audience__in=["volunteers", "experts"]),
                name="subject_status_audience_known",
            ),
            models.CheckConstraint(
                condition=models.Q(retired_at__isnull=True) | ~models.Q(state="open"),
                name="subject_status_open_not_retired",
            ),
        ]
        indexes = [
            models.Index(
                fields=["workflow", "audience", "priority", "random_key"],
                condition=models.Q(state="open"),
                name="subject_status_queue",
            ),
            # A page of a workflow's subjects goes on from the last one's id, with or without a state.
            models.Index(fields=["workflow", "id"], name="subject_status_listed"),
            models.Index(fields=["workflow", "state", "id"], name="subject_status_in_state"),
            models.Index(
                fields=["workflow", "review", "priority", "random_key"],
                condition=~models.Q(review=""),
                name="subject_status_review",
            ),
            models.Index(
                fields=["workflow"], condition=models.Q(audited_at__isnull=False), name="subject_status_audited"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject_id} in {self.workflow_id}: {self.state}"


class FactsVersion(models.Model):
    """The number of a workflow's latest change to what submissions rest on: its settings, rules, epochs and skill.

    Triggers write it with the change (migration 0013), from a sequence, so that a number never means two things. A
    process keeps what it read under a number for as long as submissions find the same one (`crowd.facts`).
    """

    workflow_id = models.BigIntegerField(primary_key=True, help_text="Of a workflow that may be gone.")
    version = models.BigIntegerField()

    def __str__(self) -> str:
        return f"workflow {self.workflow_id}: {self.version}"


class Publication(models.Model):
    """A routed subject that a day's votes are spent on. Where votes are budgeted, nothing is published without one."""

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="publications")
    subject = models.ForeignKey(Subject, on_delete=models.CASCADE, related_name="publications")
    route = models.ForeignKey(Route, null=True, on_delete=models.SET_NULL, related_name="publications")
    day = models.DateField(help_text="UTC, by the database's clock.")
    votes = models.FloatField(help_text="How many it was expected to take.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workflow", "subject"], name="publication_unique")]
        indexes = [models.Index(fields=["workflow", "day"], name="publication_day")]

    def __str__(self) -> str:
        return f"{self.subject_id} on {self.day}"


class StatusChange(models.Model):
    """One step of a subject's way: what changed it, and what was known then. Written with the change, never changed."""

    class Cause(models.TextChoices):
        SUBMISSION = "submission"
        REFIT = "refit"
        SETTING = "setting"
        REDUCTION = "reduction", "A rule on reductions"
        EXPERT = "expert"
        PERSON = "person"

    status = models.ForeignKey(SubjectStatus, on_delete=models.CASCADE, related_name="changes", db_index=False)
    before = models.CharField(max_length=9)
    after = models.CharField(max_length=9)
    cause = models.CharField(max_length=10, choices=Cause)
    reason = models.CharField(max_length=24, blank=True)
    epoch_number = models.PositiveIntegerField(null=True)
    classifications_count = models.PositiveIntegerField()
    answer = models.PositiveSmallIntegerField(null=True)
    probability = models.FloatField(null=True)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["status", "id"], name="status_change_status")]

    def __str__(self) -> str:
        return f"{self.status_id}: {self.before} → {self.after} ({self.reason})"


class Assignment(models.Model):
    """A subject handed to a volunteer and not yet answered: a reservation, so that nobody is asked for nothing."""

    status = models.ForeignKey(SubjectStatus, on_delete=models.CASCADE, related_name="assignments", db_index=False)
    volunteer = models.ForeignKey(Volunteer, on_delete=models.CASCADE, related_name="assignments")
    served_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["status", "volunteer"], name="assignment_unique")]
        indexes = [models.Index(fields=["expires_at"], name="assignment_expiry")]

    def __str__(self) -> str:
        return f"{self.status_id} to {self.volunteer_id}"
