"""The crowd's rows. `Classification` is the source of truth; sums and counts elsewhere are audited caches."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now, Random

from esocs.accounts.models import Volunteer
from esocs.crowd.caesar.models import (
    CaesarWorkflow,
    Extract,
    ExtractImport,
    Extractor,
    Reducer,
    RuleEffect,
    SubjectReduction,
    SubjectRuleMatch,
    Underived,
    UserReduction,
    UserRule,
    UserRuleMatch,
)
from esocs.machine.models import Route
from esocs.projects.models import Subject, Workflow

__all__ = [
    "HARMLESS_METADATA",
    "Answer",
    "Assignment",
    "CaesarWorkflow",
    "Classification",
    "Consensus",
    "Extract",
    "ExtractImport",
    "Extractor",
    "FactsVersion",
    "GoldStandard",
    "Publication",
    "Reducer",
    "RetirementSetting",
    "RuleEffect",
    "Skill",
    "SkillEpoch",
    "StatusChange",
    "SubjectReduction",
    "SubjectRule",
    "SubjectRuleMatch",
    "SubjectStatus",
    "TaskSummary",
    "Underived",
    "UserReduction",
    "UserRule",
    "UserRuleMatch",
]


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
