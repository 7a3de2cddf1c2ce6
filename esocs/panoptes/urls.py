"""The programs' door: Panoptes' addresses. Ids are checked by the views, so that a bad one gets an answer in form."""

from __future__ import annotations

from django.urls import path, re_path
from drf_spectacular.views import SpectacularAPIView

from esocs.panoptes.views.classifications import (
    ClassificationDetail,
    ClassificationList,
    ProjectClassificationList,
)
from esocs.panoptes.views.exports import ExportFile, ExportOrder, WorkflowExportOrder
from esocs.panoptes.views.people import Me
from esocs.panoptes.views.projects import ProjectDetail, ProjectList
from esocs.panoptes.views.sign_in import SignIn
from esocs.panoptes.views.subjects import SubjectDetail, SubjectQueue
from esocs.panoptes.views.tokens import Token
from esocs.panoptes.views.unknown import Unknown
from esocs.panoptes.views.workflows import WorkflowDetail, WorkflowList

app_name = "panoptes"

EXPORT = r"(?P<pk>[^/]+)/(?P<kind>[a-z_]+)_export$"

urlpatterns = [
    path("api/projects", ProjectList.as_view(), name="projects"),
    path("api/projects/<str:pk>", ProjectDetail.as_view(), name="project"),
    re_path(rf"^api/projects/{EXPORT}", ExportOrder.as_view(), name="project-export"),
    path("api/workflows", WorkflowList.as_view(), name="workflows"),
    path("api/workflows/<str:pk>", WorkflowDetail.as_view(), name="workflow"),
    re_path(rf"^api/workflows/{EXPORT}", WorkflowExportOrder.as_view(), name="workflow-export"),
    path("api/subjects/queued", SubjectQueue.as_view(), name="queue"),
    path("api/subjects/<str:pk>", SubjectDetail.as_view(), name="subject"),
    path("api/classifications", ClassificationList.as_view(), name="classifications"),
    path("api/classifications/project", ProjectClassificationList.as_view(), name="project-classifications"),
    path("api/classifications/<str:pk>", ClassificationDetail.as_view(), name="classification"),
    path("api/exports/<str:token>/<str:name>", ExportFile.as_view(), name="export-file"),
    path("api/me", Me.as_view(), name="me"),
    path("api/schema", SpectacularAPIView.as_view(authentication_classes=[]), name="schema"),
    path("users/sign_in", SignIn.as_view(), name="sign-in"),
    path("oauth/token", Token.as_view(), name="token"),
    re_path(r"^api(/.*)?$", Unknown.as_view(), name="unknown"),
]
