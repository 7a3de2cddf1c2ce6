"""The addresses of the pages. A project's slug is `owner/name`, so it is part of the path."""

from __future__ import annotations

from collections.abc import Callable

from django.http.response import HttpResponseBase
from django.urls import URLPattern, re_path

from esocs.accounts.languages import in_visitors_language
from esocs.web.policy import under_policy
from esocs.web.views import (
    account,
    classify,
    collections,
    discussion,
    drift,
    exports,
    feedback,
    home,
    languages,
    operations,
    people,
    projects,
    results,
    retirement,
    review,
    routing,
    similar,
    volunteers,
    work,
)

app_name = "web"

# Two path parts, as Zooniverse writes them; the pages below a project follow after them.
PROJECT = r"projects/(?P<slug>[^/]+/[^/]+)/"
COLLECTION = r"collections/(?P<slug>[^/]+/[^/]+)/"
WORKFLOW = PROJECT + r"workflows/(?P<workflow_id>\d+)/"


def page(pattern: str, view: Callable[..., HttpResponseBase], name: str) -> URLPattern:
    """One address, its view in the visitor's language and under the content security policy."""
    return re_path(f"^{pattern}$", in_visitors_language(under_policy(view)), name=name)


urlpatterns = [
    page("", home.home, "home"),
    page(r"robots\.txt", home.robots, "robots"),
    page("sign-up/", people.sign_up, "sign-up"),
    page("log-in/", people.log_in, "log-in"),
    page("log-out/", people.log_out, "log-out"),
    page("language/", languages.change_language, "change-language"),
    page("csrf/", people.renew_csrf, "renew-csrf"),
    page("account/", account.account, "account"),
    page("account/data/", account.data, "account-data"),
    page("account/erase/", account.erase, "account-erase"),
    page("collections/", collections.collections, "collections"),
    page(COLLECTION, collections.collection, "collection"),
    page(COLLECTION + "change/", collections.change, "collection-change"),
    page(PROJECT, projects.project, "project"),
    page(PROJECT + "my-work/", work.work, "work"),
    page(PROJECT + "talk/", discussion.talk, "talk"),
    page(PROJECT + "moderation/", discussion.moderation, "moderation"),
    page(PROJECT + r"subjects/(?P<subject_id>\d{1,18})/", discussion.subject, "subject"),
    page(PROJECT + r"subjects/(?P<subject_id>\d{1,18})/comments/", discussion.write, "comment-write"),
    page(PROJECT + r"subjects/(?P<subject_id>\d{1,18})/collect/", collections.collect, "collect"),
    page(PROJECT + r"comments/(?P<comment_id>\d{1,18})/edit/", discussion.edit, "comment-edit"),
    page(PROJECT + r"comments/(?P<comment_id>\d{1,18})/withdraw/", discussion.withdraw, "comment-withdraw"),
    page(PROJECT + r"comments/(?P<comment_id>\d{1,18})/report/", discussion.report, "comment-report"),
    page(PROJECT + r"comments/(?P<comment_id>\d{1,18})/judge/", discussion.judge, "comment-judge"),
    page(WORKFLOW + "classify/", classify.classify, "classify"),
    page(WORKFLOW + r"feedback/(?P<subject_id>\d{1,18})/", feedback.feedback, "feedback"),
    page(WORKFLOW + "results/", results.workflow_results, "results"),
    page(WORKFLOW + r"results/(?P<subject_id>\d+)/", results.subject_result, "subject-result"),
    page(WORKFLOW + r"results/(?P<subject_id>\d+)/similar/", similar.similar, "similar"),
    page(WORKFLOW + r"results/(?P<subject_id>\d+)/picture/", similar.picture, "picture"),
    page(WORKFLOW + "oddest/", similar.oddest, "oddest"),
    page(WORKFLOW + "drift/", drift.drift, "drift"),
    page(WORKFLOW + "review/", review.review, "review"),
    page(WORKFLOW + "review/audit/", review.draw, "draw-audit"),
    page(WORKFLOW + "volunteers/", volunteers.volunteers, "volunteers"),
    page(WORKFLOW + "routing/", routing.routing, "routing"),
    page(WORKFLOW + "routing/withdraw/", routing.withdraw, "withdraw"),
    page(WORKFLOW + "retirement/", retirement.retirement, "retirement"),
    page(PROJECT + "exports/", exports.exports, "exports"),
    page(PROJECT + "exports/request/", exports.request_one, "export-request"),
    page(PROJECT + r"exports/(?P<export_id>\d+)/", exports.progress, "export-progress"),
    page(PROJECT + r"exports/(?P<export_id>\d+)/file/", exports.download, "export-file"),
    page(PROJECT + "operations/", operations.operations, "operations"),
]
