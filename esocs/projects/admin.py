"""Projects, workflows and subjects, for operators."""

from __future__ import annotations

from django.contrib import admin

from esocs.projects.models import (
    Collection,
    FieldGuide,
    Media,
    Project,
    ProjectPreference,
    ProjectRole,
    Subject,
    SubjectSet,
    Translation,
    Tutorial,
    Workflow,
    WorkflowVersion,
)


class ProjectRoleInline(admin.TabularInline[ProjectRole, Project]):
    model = ProjectRole
    raw_id_fields = ["user"]
    extra = 0


@admin.register(Project)
class ProjectAdmin(admin.ModelAdmin[Project]):
    list_display = ["display_name", "slug", "owner", "live", "created_at"]
    raw_id_fields = ["owner"]
    inlines = [ProjectRoleInline]


@admin.register(Workflow)
class WorkflowAdmin(admin.ModelAdmin[Workflow]):
    list_display = ["display_name", "project", "subject_kind", "active", "version"]
    list_filter = ["active", "subject_kind"]
    raw_id_fields = ["tutorial_subject"]
    # What is asked changes by a service, which writes the version that labels are later read from.
    readonly_fields = ["tasks", "strings", "major_version", "minor_version"]


@admin.register(Subject)
class SubjectAdmin(admin.ModelAdmin[Subject]):
    list_display = ["id", "project", "kind", "created_at"]
    list_filter = ["kind", "project"]
    raw_id_fields = ["plane", "uploader"]


@admin.register(Collection)
class CollectionAdmin(admin.ModelAdmin[Collection]):
    list_display = ["display_name", "owner", "favorite", "private"]
    raw_id_fields = ["owner", "subjects", "default_subject"]


admin.site.register([SubjectSet, WorkflowVersion, Media, Tutorial, FieldGuide, Translation, ProjectPreference])
