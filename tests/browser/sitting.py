"""A volunteer's sitting at the classify page: a workflow with pictures, and what tests do with the page."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect

from esocs.projects import services as projects
from esocs.projects.models import Project, Workflow
from tests.browser.pictures import make_picture_subject, make_spectrum_subject
from tests.support import factories

ANSWERS = ("Elliptical", "Spiral", "Edge-on", "Merger", "Star", "Artifact")


def make_picture_workflow(*, pictures: int = 12) -> Workflow:
    """A workflow with one question of six answers, and pictures to ask about."""
    workflow = factories.make_workflow(
        factories.make_project(owner=factories.make_user("scientist"), display_name="Galaxy shapes"),
        answers=ANSWERS,
        question="What is in the middle of this picture?",
        display_name="Shapes",
    )
    for seed in range(pictures):
        make_picture_subject(workflow, seed)
    return workflow


def make_task_workflow(asked: dict[str, Any], *, pictures: int = 4, kind: str = "image") -> Workflow:
    """A workflow with tasks of any kind, as a file gives them, and subjects to ask about."""
    project = factories.make_project(owner=factories.make_user("scientist"), display_name="Deep field")
    workflow = projects.create_workflow(
        project=project,
        display_name=asked.get("display_name", "Every kind of task"),
        subject_kind=kind,
        asked=asked,
        retirement={"criteria": "classification_count", "options": {"count": 15}},
    )
    for seed in range(pictures):
        (make_picture_subject if kind == "image" else make_spectrum_subject)(workflow, seed)
    return workflow


def classify_path(workflow: Workflow) -> str:
    return f"/projects/{workflow.project.slug}/workflows/{workflow.pk}/classify/"


def open_page(page: Page, workflow: Workflow) -> None:
    page.goto(classify_path(workflow))
    expect(page.locator("#classify")).to_have_attribute("data-stage", "picture")


def wait_until_saved(page: Page, count: int) -> None:
    expect(page.locator("#count")).to_have_text(str(count))
    expect(page.locator("#saving")).to_have_text("All answers saved")


def shown_subject(page: Page) -> str:
    return page.locator("#classify").get_attribute("data-subject") or ""


def answer(page: Page, key: str = "1") -> str:
    """Answer by a key, wait for the next picture, and return the subject that was answered."""
    # A key pressed before the picture is there answers nothing.
    expect(page.locator("#classify")).to_have_attribute("data-stage", "picture")
    answered = shown_subject(page)
    page.keyboard.press(key)
    expect(page.locator("#classify")).not_to_have_attribute("data-subject", answered)
    return answered


def make_drawing_workflow(project: Project, *, pictures: int = 3) -> Workflow:
    """A workflow that asks for marks with several tools, and then a question."""
    tools = [
        {"type": "point", "label": "Knot", "details": []},
        {"type": "ellipse", "label": "Bulge", "details": []},
        {"type": "polygon", "label": "Tail", "details": []},
    ]
    workflow = factories.make_workflow(project, answers=ANSWERS, display_name="Parts of galaxies")
    question = {**workflow.tasks["T0"]}
    workflow.tasks = {
        "T1": {"type": "drawing", "instruction": "Mark what you see", "tools": tools, "next": "T0"},
        "T0": question,
    }
    workflow.first_task = "T1"
    workflow.save()
    for seed in range(pictures):
        make_picture_subject(workflow, 500 + seed)
    return workflow
