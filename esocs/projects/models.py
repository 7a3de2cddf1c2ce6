"""Zooniverse's nouns, with Zooniverse's meaning: Project, Workflow, SubjectSet, Subject, Media."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower, Now, Random

from esocs.archive.models import Plane


class Project(models.Model):
    """What volunteers join: a question about a part of the archive, with an owner."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="projects")
    display_name = models.CharField(max_length=200)
    slug = models.CharField(max_length=200, help_text="owner-login/name, as in addresses.")
    description = models.CharField(max_length=300, blank=True)
    introduction = models.TextField(blank=True)
    primary_language = models.CharField(max_length=10, default="en")
    live = models.BooleanField(default=False, help_text="Open to everybody; before that, to its people only.")
    private = models.BooleanField(default=False)
    configuration = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(Lower("slug"), name="project_slug_unique")]

    def __str__(self) -> str:
        return self.display_name


class ProjectRole(models.Model):
    """What a person may do in a project besides classifying."""

    class Role(models.TextChoices):
        OWNER = "owner"
        COLLABORATOR = "collaborator"
        EXPERT = "expert"
        MODERATOR = "moderator"
        TESTER = "tester"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="roles")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="project_roles")
    role = models.CharField(max_length=12, choices=Role)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "user", "role"], name="project_role_unique")]

    def __str__(self) -> str:
        return f"{self.user} is {self.role}"


class SubjectSet(models.Model):
    """A named group of subjects of one project."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="subject_sets")
    display_name = models.CharField(max_length=200)
    metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "display_name"], name="subject_set_name_unique")]

    def __str__(self) -> str:
        return self.display_name


class Workflow(models.Model):
    """The questions asked about a kind of subject, and when a subject has been asked about enough."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="workflows")
    display_name = models.CharField(max_length=200)
    subject_kind = models.CharField(max_length=8, choices=[("image", "image"), ("spectrum", "spectrum")])
    active = models.BooleanField(default=True)
    primary_language = models.CharField(max_length=10, default="en")
    first_task = models.CharField(max_length=40, default="T0")
    tasks = models.JSONField(default=dict, help_text="Panoptes' task objects; texts are keys into `strings`.")
    strings = models.JSONField(default=dict)
    major_version = models.PositiveIntegerField(default=1)
    # The aggregation tools read a minor version of 0 as "every minor version", so versions start at 1.1.
    minor_version = models.PositiveIntegerField(default=1)
    retirement = models.JSONField(
        default=dict,
        help_text='{"criteria": "consensus" | "classification_count" | "never_retire", "options": {…}}',
    )
    consensus_mode = models.CharField(
        max_length=24,
        default="hierarchical",
        help_text="How votes are weighed: hierarchical, dawid_skene, one_coin, swap, wawa or majority.",
    )
    routing = models.JSONField(
        default=dict, help_text='{"alpha": 0.01, "delta": 0.05, "audit_share": 0.02}: DESIGN §5 Routing.'
    )
    configuration = models.JSONField(default=dict, blank=True)
    prioritized = models.BooleanField(default=False)
    grouped = models.BooleanField(default=False)
    pairwise = models.BooleanField(default=False)
    subject_sets = models.ManyToManyField(SubjectSet, related_name="workflows", blank=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "display_name"], name="workflow_name_unique"),
            models.CheckConstraint(
                condition=models.Q(subject_kind__in=["image", "spectrum"]), name="workflow_kind_known"
            ),
        ]

    def __str__(self) -> str:
        return self.display_name

    @property
    def version(self) -> str:
        """`major.minor`, a string: 16.50 is not 16.5."""
        return f"{self.major_version}.{self.minor_version}"


class WorkflowVersion(models.Model):
    """What a workflow asked at one version. Never changed: a classification's labels are read from here."""

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="versions")
    major = models.PositiveIntegerField()
    minor = models.PositiveIntegerField()
    first_task = models.CharField(max_length=40)
    tasks = models.JSONField()
    strings = models.JSONField()
    retirement = models.JSONField(default=dict)
    prioritized = models.BooleanField(default=False)
    grouped = models.BooleanField(default=False)
    pairwise = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workflow", "major", "minor"], name="workflow_version_unique")]

    def __str__(self) -> str:
        return f"{self.workflow_id} {self.major}.{self.minor}"


class Subject(models.Model):
    """What one volunteer is shown: a cut-out or a spectrum of a product."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="subjects")
    plane = models.ForeignKey(Plane, null=True, on_delete=models.PROTECT, related_name="subjects")
    kind = models.CharField(max_length=8, choices=[("image", "image"), ("spectrum", "spectrum")])
    metadata = models.JSONField(default=dict, help_text="Shown to volunteers; keys with # are hidden from them.")
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            # Replaying an ingest makes no second subject of the same cut-out.
            models.UniqueConstraint(fields=["project", "plane"], name="subject_plane_unique"),
        ]

    def __str__(self) -> str:
        return f"subject {self.pk}"


class SetMemberSubject(models.Model):
    """A subject's place in a subject set."""

    subject_set = models.ForeignKey(SubjectSet, on_delete=models.CASCADE, related_name="members")
    subject = models.ForeignKey(Subject, on_delete=models.CASCADE, related_name="set_members")
    priority = models.FloatField(null=True)
    random = models.FloatField(db_default=Random())
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["subject_set", "subject"], name="set_member_unique")]

    def __str__(self) -> str:
        return f"{self.subject_id} in {self.subject_set_id}"


class Media(models.Model):
    """One rendered file of a subject. Its address is unguessable and ends in its type's extension."""

    class Role(models.TextChoices):
        LOCATION = "location"
        SPECTRUM_DATA = "spectrum_data"

    subject = models.ForeignKey(Subject, on_delete=models.CASCADE, related_name="media")
    role = models.CharField(max_length=16, choices=Role, default=Role.LOCATION)
    position = models.PositiveSmallIntegerField(default=0, help_text="Frame number among the locations.")
    media_type = models.CharField(max_length=40)
    name = models.UUIDField(default=uuid.uuid4, unique=True)
    path = models.CharField(max_length=300, help_text="Below ESOCS_MEDIA_ROOT.")
    size_bytes = models.PositiveIntegerField()
    width_px = models.PositiveIntegerField(null=True)
    height_px = models.PositiveIntegerField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["subject", "role", "position"], name="media_position_unique")]

    def __str__(self) -> str:
        return self.path

    @property
    def url(self) -> str:
        """The path part of the address, without host."""
        return f"{settings.MEDIA_URL}{self.path}"
