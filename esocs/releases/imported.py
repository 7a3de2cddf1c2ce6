"""What a project that was imported from a Panoptes server was called there: foreign ids, names and facts.

The rooms' own rows are the source of truth of what was asked and answered; these stand beside them, one to one, so that
an export of the project prints what its import has read. `cells` hold the texts of those columns that our own rows
would print otherwise, and nothing else.
"""

from __future__ import annotations

from django.db import models

from esocs.accounts.models import Volunteer
from esocs.crowd.models import Classification, SubjectStatus
from esocs.projects.models import Project, Subject, SubjectSet, Workflow, WorkflowVersion


class ImportedProject(models.Model):
    """A project that was read from a Panoptes server's exports."""

    project = models.OneToOneField(Project, primary_key=True, on_delete=models.CASCADE, related_name="imported")
    foreign_id = models.PositiveBigIntegerField(null=True, help_text="Only a subjects export tells it.")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.project} from {self.foreign_id}"


class ImportedWorkflow(models.Model):
    """A workflow, and the name under which it was exported."""

    workflow = models.OneToOneField(Workflow, primary_key=True, on_delete=models.CASCADE, related_name="imported")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    foreign_id = models.PositiveBigIntegerField()
    display_name = models.TextField()
    guessed = models.BooleanField(default=False, help_text="Its tasks were worked out from the annotations.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "foreign_id"], name="imported_workflow_unique")]

    def __str__(self) -> str:
        return f"{self.workflow_id} from {self.foreign_id}"


class ImportedVersion(models.Model):
    """One row of a workflows export."""

    version = models.OneToOneField(WorkflowVersion, primary_key=True, on_delete=models.CASCADE, related_name="imported")
    cells = models.JSONField(default=dict)

    def __str__(self) -> str:
        return str(self.version)


class ImportedSubjectSet(models.Model):
    """A subject set; exports name it by its number alone."""

    subject_set = models.OneToOneField(SubjectSet, primary_key=True, on_delete=models.CASCADE, related_name="imported")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    foreign_id = models.PositiveBigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "foreign_id"], name="imported_subject_set_unique")]

    def __str__(self) -> str:
        return f"{self.subject_set_id} from {self.foreign_id}"


class ImportedSubject(models.Model):
    """A subject, and where its files lie."""

    subject = models.OneToOneField(Subject, primary_key=True, on_delete=models.CASCADE, related_name="imported")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    foreign_id = models.BigIntegerField(help_text="Negative for a group of subjects that was shown as one.")
    cells = models.JSONField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "foreign_id"], name="imported_subject_unique")]

    def __str__(self) -> str:
        return f"{self.subject_id} from {self.foreign_id}"


class ImportedVolunteer(models.Model):
    """Somebody who classified there. Nobody can sign in as them here."""

    volunteer = models.OneToOneField(Volunteer, primary_key=True, on_delete=models.CASCADE, related_name="imported")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    user_name = models.TextField()
    foreign_id = models.PositiveBigIntegerField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "user_name"], name="imported_volunteer_unique")]

    def __str__(self) -> str:
        return self.user_name


class ImportedStatus(models.Model):
    """What the export told of a subject in a workflow. It is printed until somebody here has added to it."""

    status = models.OneToOneField(SubjectStatus, primary_key=True, on_delete=models.CASCADE, related_name="imported")
    foreign_id = models.PositiveBigIntegerField(null=True)
    counted = models.PositiveIntegerField(default=0, help_text="Classifications of the files that count here.")
    classifications_count = models.PositiveIntegerField(null=True)
    created_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField(null=True)
    retired_at = models.DateTimeField(null=True)
    retirement_reason = models.CharField(max_length=40, blank=True)

    def __str__(self) -> str:
        return f"{self.status_id} from {self.foreign_id}"


class ImportedClassification(models.Model):
    """A classification's number there. Unique in the project: a file that is read twice counts once."""

    classification = models.OneToOneField(
        Classification, primary_key=True, on_delete=models.CASCADE, related_name="imported"
    )
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    foreign_id = models.PositiveBigIntegerField()
    cells = models.JSONField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "foreign_id"], name="imported_classification_unique")]

    def __str__(self) -> str:
        return f"{self.classification_id} from {self.foreign_id}"


class PushedSubject(models.Model):
    """A subject of ours that is in a set of another Panoptes server."""

    subject = models.ForeignKey(Subject, on_delete=models.CASCADE, related_name="pushed")
    endpoint = models.CharField(max_length=300)
    remote_set = models.PositiveBigIntegerField()
    remote_id = models.PositiveBigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "remote_set", "subject"], name="pushed_subject_once")
        ]

    def __str__(self) -> str:
        return f"{self.subject_id} as {self.remote_id} at {self.endpoint}"
