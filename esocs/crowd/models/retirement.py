"""When subjects retire: rules, and the settings they were made from."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from esocs.projects.models import Workflow


class SubjectRule(models.Model):
    """A scientist's rule: when its condition holds, its effects happen. Rules come before the criterion.

    One that a template made speaks of what is known the moment somebody answers, and is followed then. One without a
    template was written by hand, through Caesar's API: it may speak of reductions, and is followed when these are made.
    """

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="subject_rules")
    position = models.PositiveSmallIntegerField(default=0)
    template = models.CharField(max_length=24, blank=True, help_text="What it was made from (crowd.rule_templates).")
    options = models.JSONField(default=dict, help_text="The template's blanks, as the scientist filled them.")
    condition = models.JSONField(help_text="An expression of crowd.rule_language.")
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [
            models.Index(fields=["workflow", "position"], condition=models.Q(active=True), name="subject_rule_active")
        ]

    def __str__(self) -> str:
        return f"when {self.condition}"


class RetirementSetting(models.Model):
    """How a workflow retired its subjects from a moment on: the criterion and the rules, and who set them."""

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="retirement_settings")
    criterion = models.JSONField()
    rules = models.JSONField(default=list)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["workflow", "-id"], name="retirement_setting_newest")]

    def __str__(self) -> str:
        return f"{self.workflow_id} from {self.created_at}"
