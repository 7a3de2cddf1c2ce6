"""What a volunteer's answers tell, epoch by epoch."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from esocs.accounts.models import Volunteer
from esocs.projects.models import Workflow


class SkillEpoch(models.Model):
    """A frozen snapshot of every volunteer's skill. Within an epoch a posterior is a plain sum (DESIGN §5 Crowd)."""

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="epochs")
    number = models.PositiveIntegerField()
    current = models.BooleanField(default=False)
    mode = models.CharField(max_length=24, default="hierarchical", help_text="How votes are weighed (crowd.modes).")
    read_out = models.CharField(max_length=8, default="tempered", help_text="How a sum becomes probabilities.")
    workflow_major = models.PositiveIntegerField(default=0, help_text="Whose answers the skill's indices are.")
    workflow_minor = models.PositiveIntegerField(default=0, help_text="With the major version; 0: not known.")
    classifications_fitted = models.PositiveBigIntegerField(default=0)
    last_classification_id = models.PositiveBigIntegerField(default=0, help_text="The newest row that was fitted.")
    gold_used = models.PositiveIntegerField(default=0)
    fit_s = models.FloatField(default=0.0, help_text="Seconds the fit took: it may take a twentieth of the time.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workflow", "number"], name="skill_epoch_number_unique"),
            models.UniqueConstraint(
                fields=["workflow"], condition=models.Q(current=True), name="skill_epoch_one_current"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.workflow} epoch {self.number}"


class Skill(models.Model):
    """One volunteer's confusion matrix under an epoch, as fixed-point log-likelihoods; no volunteer: everybody new.

    `task_key` is a question's key throughout this room: the task's, or with a label's index for a multiple choice.
    """

    epoch = models.ForeignKey(SkillEpoch, on_delete=models.CASCADE, related_name="skills", db_index=False)
    task_key = models.CharField(max_length=40)
    volunteer = models.ForeignKey(Volunteer, null=True, on_delete=models.CASCADE, related_name="skills")
    terms = ArrayField(models.BigIntegerField(), help_text="K×K, row by row: log C(true, answered), fixed point.")
    log_prior = ArrayField(
        models.BigIntegerField(), null=True, help_text="Everybody's row only: fixed-point log of the classes' shares."
    )
    temper = models.FloatField(null=True, help_text="Everybody's row only: b of the read-out p = softmax(b·L).")
    confusion = ArrayField(
        models.FloatField(), null=True, help_text="Everybody's row only: K×K, P(answer | true), of somebody new."
    )
    skill_bits = models.FloatField(default=0.0)
    lower_bits = models.FloatField(default=0.0, help_text="Lower 95 % bound.")
    upper_bits = models.FloatField(null=True, help_text="Upper 95 % bound; null without one.")
    accuracy = models.FloatField(null=True, help_text="Expected share of right answers.")
    answers_fitted = models.PositiveIntegerField(default=0)
    gold_seen = models.PositiveIntegerField(default=0)
    gold_right = models.PositiveIntegerField(default=0)
    muted = models.BooleanField(default=False, help_text="Weight 0: rows are kept, their terms are zero.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["epoch", "task_key", "volunteer"], name="skill_unique", nulls_distinct=False
            )
        ]

    def __str__(self) -> str:
        return f"{self.volunteer} {self.task_key}: {self.skill_bits:.2f} bit"
