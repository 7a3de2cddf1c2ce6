"""The programs' door: Panoptes' addresses. Ids are checked by the views, so that a bad one gets an answer in form."""

from __future__ import annotations

from django.urls import URLPattern, include, path, re_path
from drf_spectacular.views import SpectacularAPIView
from oauth2_provider.views import AuthorizationView
from rest_framework.views import APIView

from esocs.accounts.languages import in_visitors_language
from esocs.panoptes.caesar.graph import Graph
from esocs.panoptes.views import (
    aggregations,
    collections,
    copies,
    guides,
    images,
    people,
    preferences,
    projects,
    roles,
    statuses,
    subject_groups,
    subject_sets,
    subjects,
    translations,
    workflows,
)
from esocs.panoptes.views.classification_scopes import GoldStandardList, IncompleteList
from esocs.panoptes.views.classifications import (
    ClassificationDetail,
    ClassificationList,
    ProjectClassificationList,
)
from esocs.panoptes.views.exports import ExportFile, ExportOrder, SubjectSetExportOrder, WorkflowExportOrder
from esocs.panoptes.views.sign_in import SignIn, SignOut
from esocs.panoptes.views.tokens import Token
from esocs.panoptes.views.unknown import InaturalistImport, Organizations, Unknown
from esocs.panoptes.views.uploads import Upload

app_name = "panoptes"

EXPORT = r"(?P<pk>[^/]+)/(?P<kind>[a-z_]+)_export$"


def resource(plural: str, listing: type[APIView], detail: type[APIView]) -> list[URLPattern]:
    """A resource's two addresses; they are named as the resource, in the plural and in the singular."""
    singular = plural.removesuffix("es") if plural.endswith("statuses") else plural.removesuffix("s")
    return [
        path(f"api/{plural}", listing.as_view(), name=plural.replace("_", "-")),
        path(f"api/{plural}/<str:pk>", detail.as_view(), name=singular.replace("_", "-")),
    ]


urlpatterns = [
    *resource("projects", projects.ProjectList, projects.ProjectDetail),
    re_path(rf"^api/projects/{EXPORT}", ExportOrder.as_view(), name="project-export"),
    path("api/projects/<str:pk>/copy", copies.ProjectCopy.as_view(), name="project-copy"),
    re_path(
        r"^api/projects/(?P<pk>[^/]+)/links/(?P<link>workflows|subject_sets)$",
        copies.ProjectLinks.as_view(),
        name="project-links",
    ),
    path("api/projects/<str:pk>/attached_images", images.AttachedImages.as_view(), name="attached-images"),
    path("api/projects/<str:pk>/avatar", images.ProjectAvatar.as_view(), name="project-avatar"),
    path("api/users/<str:pk>/avatar", images.UserAvatar.as_view(), name="user-avatar"),
    *resource("aggregations", aggregations.AggregationList, aggregations.AggregationDetail),
    path(
        "api/aggregations/<uuid:name>/<int:workflow_id>_reductions.csv",
        aggregations.AggregationFile.as_view(),
        name="aggregation-file",
    ),
    *resource("workflows", workflows.WorkflowList, workflows.WorkflowDetail),
    re_path(rf"^api/workflows/{EXPORT}", WorkflowExportOrder.as_view(), name="workflow-export"),
    path("api/workflows/<str:pk>/retired_subjects", workflows.RetiredSubjects.as_view(), name="retired-subjects"),
    path("api/workflows/<str:pk>/unretire_subjects", workflows.ReopenedSubjects.as_view(), name="reopened-subjects"),
    path("api/workflows/<str:pk>/versions", workflows.WorkflowVersions.as_view(), name="versions"),
    path("api/workflows/<str:pk>/versions/<str:version>", workflows.WorkflowVersionShown.as_view(), name="version"),
    path("api/workflows/<str:pk>/links/subject_sets", workflows.WorkflowSubjectSets.as_view(), name="workflow-sets"),
    path(
        "api/workflows/<str:pk>/links/subject_sets/<str:ids>",
        workflows.WorkflowSubjectSetsTaken.as_view(),
        name="workflow-sets-taken",
    ),
    *resource("workflow_versions", workflows.VersionList, workflows.VersionDetail),
    *resource("subject_sets", subject_sets.SubjectSetList, subject_sets.SubjectSetDetail),
    re_path(rf"^api/subject_sets/{EXPORT}", SubjectSetExportOrder.as_view(), name="subject-set-export"),
    path("api/subject_sets/<str:pk>/links/subjects", subject_sets.SubjectSetSubjects.as_view(), name="set-subjects"),
    path(
        "api/subject_sets/<str:pk>/links/subjects/<str:ids>",
        subject_sets.SubjectSetSubjectsTaken.as_view(),
        name="set-subjects-taken",
    ),
    *resource("set_member_subjects", subject_sets.MemberList, subject_sets.MemberDetail),
    *resource("subject_workflow_statuses", statuses.StatusList, statuses.StatusDetail),
    path("api/subjects/queued", subjects.SubjectQueue.as_view(), name="queue"),
    path("api/subjects/grouped", subject_groups.SubjectGroups.as_view(), name="grouped"),
    path("api/subjects/selection", subjects.SubjectSelection.as_view(), name="selection"),
    *resource("subjects", subjects.SubjectList, subjects.SubjectDetail),
    path("api/uploads/<str:token>", Upload.as_view(), name="upload"),
    path("api/classifications", ClassificationList.as_view(), name="classifications"),
    path("api/classifications/project", ProjectClassificationList.as_view(), name="project-classifications"),
    path("api/classifications/gold_standard", GoldStandardList.as_view(), name="gold-standard-classifications"),
    path("api/classifications/incomplete", IncompleteList.as_view(), name="incomplete-classifications"),
    path("api/classifications/<str:pk>", ClassificationDetail.as_view(), name="classification"),
    path("api/exports/<str:token>/<str:name>", ExportFile.as_view(), name="export-file"),
    *resource("users", people.UserList, people.UserDetail),
    path("api/me", people.Me.as_view(), name="me"),
    *resource("project_roles", roles.RoleList, roles.RoleDetail),
    path("api/project_preferences/update_settings", preferences.SettingsUpdate.as_view(), name="update-settings"),
    path("api/project_preferences/read_settings", preferences.SettingsRead.as_view(), name="read-settings"),
    *resource("project_preferences", preferences.PreferenceList, preferences.PreferenceDetail),
    *resource("tutorials", guides.TutorialList, guides.TutorialDetail),
    path("api/tutorials/<str:pk>/links/workflows", guides.TutorialWorkflows.as_view(), name="tutorial-workflows"),
    *resource("field_guides", guides.FieldGuideList, guides.FieldGuideDetail),
    *resource("translations", translations.TranslationList, translations.TranslationDetail),
    *resource("collections", collections.CollectionList, collections.CollectionDetail),
    re_path(
        r"^api/collections/(?P<pk>[^/]+)/links/(?P<link>subjects|default_subject)$",
        collections.CollectionSubjects.as_view(),
        name="collection-subjects",
    ),
    path(
        "api/collections/<str:pk>/links/subjects/<str:ids>",
        collections.CollectionSubjectsTaken.as_view(),
        name="collection-subjects-taken",
    ),
    *resource("collection_roles", collections.CollectionRoleList, collections.CollectionRoleDetail),
    path("api/organizations", Organizations.as_view(), name="organizations"),
    path("api/inaturalist/import", InaturalistImport.as_view(), name="inaturalist"),
    path("api/schema", SpectacularAPIView.as_view(authentication_classes=[]), name="schema"),
    # Zooniverse's JavaScript client writes the first with a slash.
    re_path(r"^users/sign_in/?$", SignIn.as_view(), name="sign-in"),
    path("users/sign_out", SignOut.as_view(), name="sign-out"),
    path("oauth/authorize", in_visitors_language(AuthorizationView.as_view()), name="authorize"),
    path("oauth/token", Token.as_view(), name="token"),
    path("caesar/", include("esocs.panoptes.caesar.urls")),
    path("graphql", Graph.as_view(), name="caesar-graph"),
    re_path(r"^(api|caesar)(/.*)?$", Unknown.as_view(), name="unknown"),
]
