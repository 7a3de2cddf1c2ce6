"""Caesar's rows. Extracts, reductions and matches are derived: classifications and the objects here are the truth."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from esocs.crowd.caesar.filters import DEFAULT_GROUP
from esocs.projects.models import Collection, Subject, SubjectSet, Workflow


class CaesarWorkflow(models.Model):
    """That a workflow is aggregated by Caesar's objects, and how. Its row is the lock of all that is derived of it."""

    class RulesApplied(models.TextChoices):
        ALL = "all_matching_rules"
        FIRST = "first_matching_rule"

    class Status(models.TextChoices):
        """Paused: classifications wait and are read later. Halted: nobody reads them."""

        ACTIVE = "active"
        PAUSED = "paused"
        HALTED = "halted"

    workflow = models.OneToOneField(Workflow, primary_key=True, on_delete=models.CASCADE, related_name="caesar")
    public_extracts = models.BooleanField(default=False, help_text="Everybody may read them, without their authors.")
    public_reductions = models.BooleanField(default=False)
    rules_applied = models.CharField(max_length=20, choices=RulesApplied, default=RulesApplied.ALL)
    status = models.CharField(max_length=6, choices=Status, default=Status.ACTIVE)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(rules_applied__in=["all_matching_rules", "first_matching_rule"]),
                name="caesar_rules_applied_known",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=["active", "paused", "halted"]), name="caesar_status_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.workflow_id}: {self.status}"


class Keyed(models.Model):
    """What an extractor and a reducer have in common."""

    key = models.CharField(max_length=100)
    type = models.CharField(max_length=20)
    config = models.JSONField(default=dict, help_text="What the type needs besides.")
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.key} ({self.type})"


class Extractor(Keyed):
    """How one classification is read (crowd.caesar.extraction)."""

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="extractors")
    task_key = models.CharField(max_length=40, default="T0")
    if_missing = models.CharField(max_length=12, default="error")
    minimum_workflow_version = models.CharField(max_length=20, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workflow", "key"], name="extractor_key_unique"),
            models.CheckConstraint(
                condition=models.Q(if_missing__in=["error", "ignore", "nothing_here"]), name="extractor_missing_known"
            ),
        ]


class Reducer(Keyed):
    """How extracts are reduced (crowd.caesar.reduction)."""

    class Topic(models.TextChoices):
        SUBJECT = "reduce_by_subject"
        USER = "reduce_by_user"

    class Mode(models.TextChoices):
        DEFAULT = "default_reduction"
        RUNNING = "running_reduction"

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="reducers")
    topic = models.CharField(max_length=17, choices=Topic, default=Topic.SUBJECT)
    reduction_mode = models.CharField(max_length=17, choices=Mode, default=Mode.DEFAULT)
    filters = models.JSONField(default=dict)
    grouping = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workflow", "key"], name="reducer_key_unique"),
            models.CheckConstraint(
                condition=models.Q(topic__in=["reduce_by_subject", "reduce_by_user"]), name="reducer_topic_known"
            ),
        ]


class Underived(models.Model):
    """A subject that is to be derived anew: a submission writes a row with its classification, in its transaction."""

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="+")
    subject = models.ForeignKey(Subject, on_delete=models.CASCADE, related_name="+")
    classification = models.ForeignKey("crowd.Classification", null=True, on_delete=models.CASCADE, related_name="+")
    reconsider = models.BooleanField(default=False, help_text="A rule was changed: what rules retired may open again.")

    class Meta:
        indexes = [models.Index(fields=["workflow", "id"], name="underived_queue")]

    def __str__(self) -> str:
        return f"{self.subject_id} in {self.workflow_id}"


class Extract(models.Model):
    """What an extractor read out of a classification, or what a machine said about a subject."""

    extractor = models.ForeignKey(Extractor, on_delete=models.CASCADE, related_name="extracts")
    subject = models.ForeignKey(Subject, on_delete=models.CASCADE, related_name="+")
    classification = models.ForeignKey(
        "crowd.Classification", null=True, on_delete=models.CASCADE, related_name="extracts"
    )
    machine_data = models.BooleanField(default=False)
    data = models.JSONField(default=dict)
    error = models.CharField(max_length=300, blank=True, help_text="Why there are no data.")
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["classification", "extractor"], name="extract_unique"),
            models.UniqueConstraint(
                fields=["extractor", "subject"], condition=models.Q(machine_data=True), name="extract_machine_unique"
            ),
            models.CheckConstraint(
                condition=models.Q(machine_data=True, classification__isnull=True)
                | models.Q(machine_data=False, classification__isnull=False),
                name="extract_has_its_source",
            ),
        ]
        indexes = [
            models.Index(fields=["subject", "extractor"], name="extract_subject"),
            models.Index(fields=["extractor"], condition=~models.Q(error=""), name="extract_failed"),
        ]

    def __str__(self) -> str:
        return f"{self.extractor_id} of {self.classification_id or f'subject {self.subject_id}'}"


class Reduction(models.Model):
    """What a reducer made of the extracts of one subject or user, in one subgroup."""

    subgroup = models.CharField(max_length=300, default=DEFAULT_GROUP)
    data = models.JSONField(null=True)
    error = models.CharField(
        max_length=300, blank=True, help_text="Why the data are not those of the present extracts."
    )
    input_sha256 = models.CharField(max_length=64, blank=True, help_text="Of the extracts that a server was sent last.")
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        abstract = True


class SubjectReduction(Reduction):
    """Of a subject's extracts."""

    reducer = models.ForeignKey(Reducer, on_delete=models.CASCADE, related_name="subject_reductions")
    subject = models.ForeignKey(Subject, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["subject", "reducer", "subgroup"], name="subject_reduction_unique")
        ]

    def __str__(self) -> str:
        return f"{self.reducer_id} of subject {self.subject_id}"


class UserReduction(Reduction):
    """Of a volunteer's extracts."""

    reducer = models.ForeignKey(Reducer, on_delete=models.CASCADE, related_name="user_reductions")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "reducer", "subgroup"], name="user_reduction_unique")]

    def __str__(self) -> str:
        return f"{self.reducer_id} of user {self.user_id}"


class UserRule(models.Model):
    """When its condition holds for a volunteer's reductions, its effects happen."""

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="user_rules")
    position = models.PositiveSmallIntegerField(default=0)
    condition = models.JSONField(help_text="An expression of crowd.rule_language.")
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [
            models.Index(fields=["workflow", "position"], condition=models.Q(active=True), name="user_rule_active")
        ]

    def __str__(self) -> str:
        return f"when {self.condition}"


class RuleEffect(models.Model):
    """What happens when a rule holds: once for each time that it begins to."""

    class Action(models.TextChoices):
        RETIRE = "retire_subject"
        ADD_TO_SET = "add_subject_to_set"
        ADD_TO_COLLECTION = "add_subject_to_collection"
        EXTERNAL = "external"
        EXTERNAL_WITH_BASIC_AUTH = "external_with_basic_auth"
        PROMOTE = "promote_user"

    subject_rule = models.ForeignKey(
        "crowd.SubjectRule", null=True, blank=True, on_delete=models.CASCADE, related_name="effects"
    )
    user_rule = models.ForeignKey(UserRule, null=True, blank=True, on_delete=models.CASCADE, related_name="effects")
    action = models.CharField(max_length=25, choices=Action)
    reason = models.CharField(max_length=24, blank=True, help_text="Panoptes' retirement reason.")
    subject_set = models.ForeignKey(
        SubjectSet, null=True, blank=True, on_delete=models.CASCADE, related_name="+", help_text="Where it adds to."
    )
    collection = models.ForeignKey(Collection, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    promotes_to = models.ForeignKey(Workflow, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    config = models.JSONField(default=dict, help_text="url, reducer_key, username and sealed password of a call.")
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(subject_rule__isnull=False, user_rule__isnull=True)
                | models.Q(subject_rule__isnull=True, user_rule__isnull=False),
                name="rule_effect_has_one_rule",
            ),
            models.CheckConstraint(
                condition=~models.Q(action="add_subject_to_set") | models.Q(subject_set__isnull=False),
                name="rule_effect_has_its_set",
            ),
            models.CheckConstraint(
                condition=~models.Q(action="add_subject_to_collection") | models.Q(collection__isnull=False),
                name="rule_effect_has_its_collection",
            ),
            models.CheckConstraint(
                condition=models.Q(action="promote_user", user_rule__isnull=False, promotes_to__isnull=False)
                | (~models.Q(action="promote_user") & models.Q(subject_rule__isnull=False)),
                name="rule_effect_fits_its_rule",
            ),
        ]

    def __str__(self) -> str:
        return str(self.action)


class Match(models.Model):
    """Whether a rule holds at present, how often it began to, and what was wrong with it."""

    holds = models.BooleanField()
    times = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True)
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        abstract = True


class SubjectRuleMatch(Match):
    """Of a rule and a subject."""

    rule = models.ForeignKey("crowd.SubjectRule", on_delete=models.CASCADE, related_name="matches")
    subject = models.ForeignKey(Subject, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["subject", "rule"], name="subject_rule_match_unique")]

    def __str__(self) -> str:
        return f"rule {self.rule_id} of subject {self.subject_id}: {self.holds}"


class UserRuleMatch(Match):
    """Of a rule and a volunteer."""

    rule = models.ForeignKey(UserRule, on_delete=models.CASCADE, related_name="matches")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "rule"], name="user_rule_match_unique")]

    def __str__(self) -> str:
        return f"rule {self.rule_id} of user {self.user_id}: {self.holds}"


class ExtractImport(models.Model):
    """An order to read a machine's extracts from a CSV file on another server, and what came of it."""

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="extract_imports")
    url = models.CharField(max_length=2000)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    rows_read = models.PositiveIntegerField(null=True, help_text="Null until it is done.")
    rows_kept = models.PositiveIntegerField(default=0)
    problems = models.JSONField(default=list, help_text="[[line, what is wrong with it], …], the first of them.")
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["workflow", "-id"], name="extract_import_newest")]

    def __str__(self) -> str:
        return f"{self.url} into {self.workflow_id}"
