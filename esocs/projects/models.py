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
    tags = models.JSONField(default=list, blank=True)
    urls = models.JSONField(default=list, blank=True, help_text='[{"label": …, "url": …}]: links beside the project.')
    researcher_quote = models.TextField(blank=True)
    workflow_description = models.TextField(blank=True)
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
        TRANSLATOR = "translator"
        SCIENTIST = "scientist"

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
    steps = models.JSONField(default=list, blank=True, help_text="[[step key, {taskKeys, next}], …], or none.")
    mobile_friendly = models.BooleanField(default=True)
    public_gold_standard = models.BooleanField(default=False)
    display_order = models.IntegerField(null=True, blank=True)
    serialize_with_project = models.BooleanField(default=True)
    tutorial_subject = models.ForeignKey(
        "projects.Subject", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
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
    uploader = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
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

    # Three indexes begin with it.
    subject_set = models.ForeignKey(SubjectSet, on_delete=models.CASCADE, related_name="members", db_index=False)
    subject = models.ForeignKey(Subject, on_delete=models.CASCADE, related_name="set_members")
    priority = models.FloatField(null=True)
    random = models.FloatField(db_default=Random())
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["subject_set", "subject"], name="set_member_unique")]
        indexes = [
            models.Index(fields=["subject_set", "random"], name="set_member_by_chance"),
            models.Index(fields=["subject_set", "priority", "random"], name="set_member_by_priority"),
        ]

    def __str__(self) -> str:
        return f"{self.subject_id} in {self.subject_set_id}"


class SubjectGroup(models.Model):
    """Subjects that were shown together as one, in a grid. Its id is shown as a negative number: no subject has it."""

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="subject_groups")
    key = models.CharField(max_length=600, help_text="The subjects' ids in their order, joined by hyphens.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workflow", "key"], name="subject_group_unique")]

    def __str__(self) -> str:
        return f"group {self.key}"

    @property
    def subject_ids(self) -> list[int]:
        return [int(pk) for pk in self.key.split("-")]


class Media(models.Model):
    """One file of a subject: rendered here, uploaded, or kept by somebody else.

    The address of a file of ours is unguessable and ends in its type's extension.
    """

    class Role(models.TextChoices):
        LOCATION = "location"
        SPECTRUM_DATA = "spectrum_data"
        PLANE = "plane"

    subject = models.ForeignKey(Subject, on_delete=models.CASCADE, related_name="media")
    role = models.CharField(max_length=16, choices=Role, default=Role.LOCATION)
    position = models.PositiveSmallIntegerField(default=0, help_text="Frame number among the locations.")
    media_type = models.CharField(max_length=40)
    name = models.UUIDField(default=uuid.uuid4, unique=True)
    path = models.CharField(max_length=2000, help_text="Below ESOCS_MEDIA_ROOT, or the address of remote media.")
    pending = models.BooleanField(db_default=False, default=False, help_text="Announced; its bytes have not come yet.")
    size_bytes = models.PositiveIntegerField(help_text="0 for remote and pending media.")
    width_px = models.PositiveIntegerField(null=True)
    height_px = models.PositiveIntegerField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["subject", "role", "position"], name="media_position_unique")]

    def __str__(self) -> str:
        return self.path

    @property
    def url(self) -> str:
        """The path part of the address, without host; of remote media the whole address."""
        return self.path if is_remote(self.path) else f"{settings.MEDIA_URL}{self.path}"


def is_remote(path: str) -> bool:
    """Whether a medium lies on somebody else's server."""
    return path.startswith(("https://", "http://"))


class ProjectImage(models.Model):
    """A picture attached to a project; its file lies elsewhere."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="images")
    src = models.CharField(max_length=2000, help_text="Its address.")
    content_type = models.CharField(max_length=40)
    metadata = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.src


class Guide(models.Model):
    """What a tutorial and a field guide have in common: pages of a project in a language."""

    language = models.CharField(max_length=10, default="en")
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


class Tutorial(Guide):
    """Steps that a volunteer reads before the first classification."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="tutorials")
    workflows = models.ManyToManyField(Workflow, related_name="tutorials", blank=True)
    display_name = models.CharField(max_length=200, blank=True)
    kind = models.CharField(max_length=20, blank=True, help_text='"tutorial", "mini-course" or nothing.')
    steps = models.JSONField(default=list)
    configuration = models.JSONField(default=dict, blank=True)

    def __str__(self) -> str:
        return self.display_name or f"tutorial {self.pk}"


class FieldGuide(Guide):
    """What a volunteer may look things up in while classifying."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="field_guides")
    items = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"field guide {self.pk}"


class Translation(models.Model):
    """A resource's texts in another language. Those in its own language are read from the resource itself."""

    class Kind(models.TextChoices):
        PROJECT = "project"
        WORKFLOW = "workflow"
        TUTORIAL = "tutorial"
        FIELD_GUIDE = "field_guide"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="translations")
    kind = models.CharField(max_length=12, choices=Kind)
    resource_id = models.PositiveBigIntegerField(help_text="The project's, workflow's, tutorial's or field guide's id.")
    language = models.CharField(max_length=10, help_text="Lower case, such as fr or pt-br.")
    strings = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "resource_id", "language"], name="translation_unique"),
            models.CheckConstraint(
                condition=models.Q(kind__in=["project", "workflow", "tutorial", "field_guide"]),
                name="translation_kind_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.resource_id} in {self.language}"


class Collection(models.Model):
    """Subjects that a person put together: favourites, or anything worth talking about."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="collections")
    projects = models.ManyToManyField(Project, related_name="collections", blank=True)
    display_name = models.CharField(max_length=200)
    slug = models.CharField(max_length=300, help_text="owner-login/name, as in addresses.")
    description = models.TextField(blank=True)
    private = models.BooleanField(default=False)
    favorite = models.BooleanField(default=False)
    subjects = models.ManyToManyField(Subject, related_name="collections", blank=True)
    default_subject = models.ForeignKey(Subject, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(Lower("slug"), name="collection_slug_unique")]

    def __str__(self) -> str:
        return self.display_name


class ProjectPreference(models.Model):
    """What a volunteer chose in a project (`preferences`), and what its owner set for them (`settings`)."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="preferences")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="project_preferences")
    preferences = models.JSONField(default=dict, blank=True)
    settings = models.JSONField(default=dict, blank=True)
    email_communication = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="project_preference_unique")]

    def __str__(self) -> str:
        return f"{self.user} in {self.project}"
