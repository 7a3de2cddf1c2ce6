"""The addresses of the pages. A project's slug is `owner/name`, so it is part of the path."""

from __future__ import annotations

from django.urls import path, re_path

from esocs.web.views import classify, exports, home, operations, people, projects, results

app_name = "web"

# Two path parts, as Zooniverse writes them; the pages below a project follow after them.
PROJECT = r"^projects/(?P<slug>[^/]+/[^/]+)/"
WORKFLOW = PROJECT + r"workflows/(?P<workflow_id>\d+)/"

urlpatterns = [
    path("", home.home, name="home"),
    path("robots.txt", home.robots, name="robots"),
    path("sign-up/", people.sign_up, name="sign-up"),
    path("log-in/", people.log_in, name="log-in"),
    path("log-out/", people.log_out, name="log-out"),
    path("csrf/", people.renew_csrf, name="renew-csrf"),
    re_path(PROJECT + r"$", projects.project, name="project"),
    re_path(WORKFLOW + r"classify/$", classify.classify, name="classify"),
    re_path(WORKFLOW + r"results/$", results.workflow_results, name="results"),
    re_path(WORKFLOW + r"results/(?P<subject_id>\d+)/$", results.subject_result, name="subject-result"),
    re_path(PROJECT + r"exports/$", exports.exports, name="exports"),
    re_path(PROJECT + r"exports/request/$", exports.request_one, name="export-request"),
    re_path(PROJECT + r"exports/(?P<export_id>\d+)/$", exports.progress, name="export-progress"),
    re_path(PROJECT + r"exports/(?P<export_id>\d+)/file/$", exports.download, name="export-file"),
    re_path(PROJECT + r"operations/$", operations.operations, name="operations"),
]
