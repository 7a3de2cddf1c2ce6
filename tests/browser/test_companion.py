"""What surrounds the answering: the tutorial, the field guide, examples, favourites, talk, practice."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from esocs.accounts.models import User
from esocs.crowd.models import Classification, SubjectStatus
from esocs.projects.models import Collection, FieldGuide, Subject, Tutorial, Workflow
from tests.browser.sitting import classify_path, make_picture_workflow, open_page, shown_subject, wait_until_saved
from tests.support import factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def workflow() -> Workflow:
    workflow = make_picture_workflow(pictures=4)
    project = workflow.project
    tutorial = Tutorial.objects.create(
        project=project,
        display_name="How to look",
        steps=[{"content": "Look at the **middle**.\n\n<script>alert(1)</script>"}, {"content": "Then answer."}],
    )
    tutorial.workflows.add(workflow)
    FieldGuide.objects.create(project=project, items=[{"title": "Spirals", "content": "They have *arms*.", "icon": 7}])
    first = project.subjects.order_by("id").first()
    assert first is not None
    workflow.configuration = {"examples": {"T0": {"1": [{"subject": first.pk, "caption": "Two arms"}]}}}
    workflow.save()
    return workflow


def log_in(page: Page, login: str) -> User:
    user = factories.make_user(login)
    page.goto("/log-in/")
    page.get_by_label("User name").fill(login)
    page.get_by_label("Password").fill(factories.PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/")
    return user


def practise_on(workflow: Workflow, expert: User) -> Subject:
    """The subject that is asked first, made one to practise on, whose right answer an expert gave."""
    subject = workflow.project.subjects.order_by("id").last()
    assert subject is not None
    factories.classify(workflow, subject, T0=3, gold=expert)
    subject.metadata = {"#training_subject": "true", "#feedback_1_failureMessage": "Look for the second nucleus."}
    subject.save()
    SubjectStatus.objects.filter(subject=subject).update(training=True, priority=-9)
    workflow.configuration |= {"feedback": True}
    workflow.save()
    return subject


def test_the_tutorial_comes_once_and_the_guide_whenever_asked(page: Page, workflow: Workflow) -> None:
    page.goto(classify_path(workflow))
    tutorial = page.get_by_role("dialog", name="How to look")
    expect(tutorial).to_contain_text("Look at the middle.")
    expect(tutorial).to_contain_text("<script>alert(1)</script>")
    expect(tutorial).to_contain_text("Step 1 of 2")
    tutorial.get_by_role("button", name="Next").click()
    expect(tutorial).to_contain_text("Then answer.")
    tutorial.get_by_role("button", name="Start").click()
    expect(tutorial).to_be_hidden()
    page.get_by_role("button", name="Field guide").click()
    guide = page.get_by_role("dialog", name="Field guide")
    guide.get_by_text("Spirals").click()
    expect(guide).to_contain_text("They have arms.")
    guide.get_by_role("button", name="Close").click()
    page.locator(".companion-examples summary").click()
    expect(page.get_by_role("img", name="Two arms")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Tutorial")).to_be_visible()
    expect(tutorial).to_be_hidden()


def test_practice_tells_what_was_right_and_counts_for_nothing(page: Page, workflow: Workflow) -> None:
    subject = practise_on(workflow, workflow.project.owner)
    nova = log_in(page, "nova")
    Tutorial.objects.all().delete()
    with page.expect_response("**/feedback/**"):
        open_page(page, workflow)
    assert shown_subject(page) == str(subject.pk)
    page.get_by_role("button", name="Favourite").click()
    expect(page.get_by_role("button", name="Favourite")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("1")
    expect(page.get_by_text("Look for the second nucleus.")).to_be_visible()
    assert shown_subject(page) == str(subject.pk), "the picture stays until one goes on"
    page.keyboard.press("Enter")
    expect(page.locator("#classify")).not_to_have_attribute("data-subject", str(subject.pk))
    wait_until_saved(page, 1)
    kept = Classification.objects.get(volunteer=nova.volunteer)
    assert kept.metadata["feedback"] == {"T0": [{"id": "gold", "strategy": "singleAnswerQuestion", "success": False}]}
    assert not kept.counted
    assert SubjectStatus.objects.get(subject=subject).classifications_count == 0
    assert [s.pk for s in Collection.objects.get(owner=nova, favorite=True).subjects.all()] == [subject.pk]
    page.get_by_role("link", name="Talk about the last one").click()
    expect(page.get_by_role("heading", name=f"Subject {subject.pk}")).to_be_visible()
    page.get_by_label("Your comment").fill("I missed the #merger")
    page.get_by_role("button", name="Say it").click()
    expect(page.get_by_role("link", name="#merger")).to_be_visible()
