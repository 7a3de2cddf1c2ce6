"""Threads through their pages: who reads, who writes, what moderators do, and that nothing written there is run."""

from __future__ import annotations

import uuid

import pytest
from django.test import Client

from esocs.accounts.models import User
from esocs.community import services
from esocs.community.models import Comment, CommentReport, CommentTag, Moderation
from esocs.crowd.models import SubjectStatus
from esocs.projects.models import ProjectRole, Subject, Workflow
from esocs.projects.services import add_role
from tests.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def workflow() -> Workflow:
    return factories.make_workflow(factories.make_project(owner=factories.make_user("keeper")))


@pytest.fixture
def subject(workflow: Workflow) -> Subject:
    return factories.make_subject(workflow.project, published_in=workflow, metadata={"ra": 12.5, "!truth": "a ring"})


@pytest.fixture
def nova(client: Client) -> User:
    user = factories.make_user("nova")
    log_in(client, "nova")
    return user


def log_in(client: Client, login: str) -> None:
    assert client.post("/log-in/", {"login": login, "password": factories.PASSWORD}).status_code == 302


def page_of(subject: Subject) -> str:
    return f"/projects/{subject.project.slug}/subjects/{subject.pk}/"


def say(client: Client, subject: Subject, body: str, key: str | None = None) -> int:
    sent = {"body": body, "key": key or str(uuid.uuid4())}
    return client.post(f"{page_of(subject)}comments/", sent).status_code


def act(client: Client, comment: Comment, verb: str, **sent: str) -> str:
    answer = client.post(f"/projects/{comment.project.slug}/comments/{comment.pk}/{verb}/", sent, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_thread_opens_after_ones_own_answer(client: Client, nova: User, workflow: Workflow, subject: Subject) -> None:
    before = client.get(page_of(subject)).content.decode()
    assert "opens after your own answer" in before
    assert "a ring" not in before
    assert say(client, subject, "It is a ring.") == 403
    factories.classify(workflow, subject, nova.volunteer, T0=1)
    assert say(client, subject, "It is a ring.") == 302
    after = client.get(page_of(subject)).content.decode()
    assert "It is a ring." in after
    assert "a ring" in after
    assert "truth" in after


def test_a_thread_is_open_to_all_once_the_subject_is_settled(
    client: Client, workflow: Workflow, subject: Subject
) -> None:
    SubjectStatus.objects.filter(subject=subject).update(state="retired")
    assert "opens after your own answer" not in client.get(page_of(subject)).content.decode()
    assert say(client, subject, "Nobody is logged in.") == 403
    assert Comment.objects.count() == 0


def test_a_form_sent_twice_is_one_comment(client: Client, nova: User, workflow: Workflow, subject: Subject) -> None:
    factories.classify(workflow, subject, nova.volunteer, T0=1)
    key = str(uuid.uuid4())
    assert [say(client, subject, "Once.", key), say(client, subject, "Once.", key)] == [302, 302]
    assert Comment.objects.count() == 1


def test_what_is_written_is_text_and_never_markup(
    client: Client, nova: User, workflow: Workflow, subject: Subject
) -> None:
    factories.classify(workflow, subject, nova.volunteer, T0=1)
    hostile = '<script>alert(1)</script> #<b>x "onload="x javascript:alert(1) =HYPERLINK("x") https://example.org/"><i>'
    assert say(client, subject, f"{hostile}\n\n#ring\nsecond line") == 302
    for address in (page_of(subject), f"/projects/{subject.project.slug}/talk/"):
        body = client.get(address).content.decode()
        assert "<script>alert" not in body
        assert "<i>" not in body
        assert 'href="javascript' not in body
        assert 'rel="nofollow"' in body
        assert "?tag=ring" in body
        assert "#ring</a><br>second line" in body


def test_too_much_too_soon_is_told_and_the_words_are_kept(
    client: Client, nova: User, workflow: Workflow, subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "MOST_COMMENTS", 2)
    factories.classify(workflow, subject, nova.volunteer, T0=1)
    assert [say(client, subject, f"number {n}") for n in range(3)] == [302, 302, 429]
    answer = client.post(f"{page_of(subject)}comments/", {"body": "x" * 5000, "key": "no uuid"})
    assert answer.status_code == 422
    assert "at most 4,000 characters" in answer.content.decode()
    assert "x" * 5000 in answer.content.decode()


def test_only_its_author_changes_or_withdraws_a_comment(
    client: Client, nova: User, workflow: Workflow, subject: Subject
) -> None:
    factories.classify(workflow, subject, nova.volunteer, T0=1)
    say(client, subject, "A #spiral.")
    comment = Comment.objects.get()
    other = Client()
    factories.make_user("other")
    log_in(other, "other")
    assert "Only its author" in act(other, comment, "edit", body="mine now")
    assert "Only its author" in act(other, comment, "withdraw")
    assert "was changed" in act(client, comment, "edit", body="A #bar.")
    assert list(CommentTag.objects.values_list("tag", flat=True)) == ["bar"]
    assert "was withdrawn" in act(client, comment, "withdraw")
    comment.refresh_from_db()
    assert (comment.body, comment.state) == ("", "withdrawn")
    assert not CommentTag.objects.exists()
    assert "withdrawn by its author" in client.get(page_of(subject)).content.decode()


def test_a_report_waits_for_a_moderator_who_hides_or_keeps(
    client: Client, nova: User, workflow: Workflow, subject: Subject
) -> None:
    factories.classify(workflow, subject, nova.volunteer, T0=1)
    say(client, subject, "Buy my #telescope!")
    comment = Comment.objects.get()
    reporter, moderator = Client(), Client()
    factories.make_user("reporter")
    log_in(reporter, "reporter")
    assert "Thank you" in act(reporter, comment, "report", reason="advertising")
    act(reporter, comment, "report", reason="still advertising")
    assert CommentReport.objects.get().reason == "advertising"
    address = f"/projects/{subject.project.slug}/moderation/"
    assert reporter.get(address).status_code == 403
    assert "moderators judge" in act(reporter, comment, "judge", act="hide")

    add_role(project=workflow.project, user=factories.make_user("mod"), role=ProjectRole.Role.MODERATOR)
    log_in(moderator, "mod")
    shown = moderator.get(address).content.decode()
    assert "advertising" in shown
    assert "1 report" in shown
    assert "Nothing was reported" in act(moderator, comment, "judge", act="hide", **{"from": "moderation"})
    assert CommentReport.objects.get().verdict == "hidden"
    assert Moderation.objects.get().act == "hide"
    assert not CommentTag.objects.exists()
    assert "Buy my" not in client.get(page_of(subject)).content.decode()
    assert "Buy my" in moderator.get(page_of(subject)).content.decode()
    assert "shown again" in act(moderator, comment, "judge", act="show")
    assert CommentTag.objects.get().tag == "telescope"


def test_talk_lists_tags_and_tells_no_opinion_too_early(
    client: Client, nova: User, workflow: Workflow, subject: Subject
) -> None:
    factories.classify(workflow, subject, nova.volunteer, T0=1)
    say(client, subject, "A #ring, I think.")
    address = f"/projects/{subject.project.slug}/talk/"
    assert "I think" in client.get(address, {"tag": "RING"}).content.decode()
    assert "Nobody has said anything" in client.get(address, {"tag": "nothing"}).content.decode()
    stranger = Client().get(address).content.decode()
    assert "I think" not in stranger
    assert "opens after your own answer" in stranger


def test_subjects_and_comments_of_closed_projects_are_not_there(client: Client, subject: Subject, nova: User) -> None:
    subject.project.private = True
    subject.project.save()
    assert client.get(page_of(subject)).status_code == 404
    assert say(client, subject, "Hello?") == 404
    assert client.get(f"/projects/{subject.project.slug}/talk/").status_code == 404
    assert client.post(f"/projects/{subject.project.slug}/comments/1/report/", {"reason": "x"}).status_code == 404
