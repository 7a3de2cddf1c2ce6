"""What a project's people change by hand, and what follows for the subjects."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from esocs.crowd import by_hand
from esocs.crowd.errors import RetirementReasonError
from esocs.crowd.models import StatusChange, SubjectStatus
from esocs.crowd.services import ensure_epoch, refit_workflow
from esocs.projects.editing import (
    InUseError,
    LiveProjectError,
    StaleError,
    change_project,
    draft_workflow,
    edit_workflow,
)
from esocs.projects.models import Media, SetMemberSubject, Subject
from esocs.projects.subjects import create_subject, link_subjects, read_priority
from tests.releases.exporting import vote
from tests.support.factories import make_project, make_subject, make_volunteer, make_workflow

pytestmark = pytest.mark.django_db


def test_what_somebody_else_changed_meanwhile_is_not_overwritten() -> None:
    project = make_project()
    seen_at = project.updated_at
    change_project(project, changes={"description": "First."}, seen_at=seen_at)
    with pytest.raises(StaleError):
        change_project(project, changes={"description": "Second."}, seen_at=seen_at)
    project.refresh_from_db()
    assert project.description == "First."


def test_texts_of_a_live_workflow_change_and_its_questions_do_not() -> None:
    workflow = make_workflow(make_project())
    tasks = {"T0": {"type": "single", "question": "Is it one?", "help": "", "required": True}}
    tasks["T0"]["answers"] = [{"label": each} for each in ("Yes", "No", "Unclear")]  # type: ignore[assignment]
    changed = edit_workflow(workflow, changes={"tasks": tasks})
    assert (changed.version, changed.strings["T0.question"]) == ("1.2", "Is it one?")
    tasks["T0"]["answers"].pop()  # type: ignore[attr-defined]
    with pytest.raises(LiveProjectError):
        edit_workflow(workflow, changes={"tasks": tasks})


def test_an_uploaded_subject_is_open_in_every_workflow_of_its_sets_once() -> None:
    project = make_project(live=False)
    first, second = make_workflow(project), make_workflow(project)
    address = {"image/png": "https://example.org/x.png"}
    subject = create_subject(project=project, uploader=None, locations=[address])
    for workflow in (first, second):
        link_subjects(workflow.subject_sets.get(), [subject.pk])
    assert by_hand.open_subjects([subject.pk]) == 2
    assert by_hand.open_subjects([subject.pk]) == 0
    assert SubjectStatus.objects.filter(state="open", epoch__isnull=False).count() == 2


def test_a_workflow_opens_what_its_new_sets_hold_and_only_that() -> None:
    project = make_project(live=False)
    workflow = draft_workflow(project=project, display_name="W")
    other = make_workflow(project)
    address = {"image/png": "https://example.org/x.png"}
    subjects = [create_subject(project=project, uploader=None, locations=[address]) for _ in range(3)]
    link_subjects(other.subject_sets.get(), [subject.pk for subject in subjects[:2]])
    workflow.subject_sets.add(other.subject_sets.get())
    assert by_hand.open_sets(workflow) == 2
    assert not SubjectStatus.objects.filter(subject=subjects[2]).exists()


def test_a_thousand_subjects_are_linked_and_opened_in_a_fixed_number_of_statements() -> None:
    project = make_project(live=False)
    workflow = make_workflow(project)
    subjects = Subject.objects.bulk_create(Subject(project=project, kind="image") for _ in range(1_000))
    Media.objects.bulk_create(
        Media(subject=subject, media_type="image/png", path="https://example.org/x.png", size_bytes=0)
        for subject in subjects
    )
    ids = [subject.pk for subject in subjects]
    ensure_epoch(workflow)
    with CaptureQueriesContext(
        connection,
    ) as context:
        assert link_subjects(workflow.subject_sets.get(), ids) == 1_000
        assert by_hand.open_subjects(ids) == 1_000
    assert len(context) < 25


def test_a_retirement_by_hand_keeps_its_history_and_its_word() -> None:
    workflow = make_workflow(retirement={"criteria": "classification_count", "options": {"count": 1}})
    subject = make_subject(workflow.project, published_in=workflow)
    vote(workflow, subject, make_volunteer())
    assert (
        by_hand.reopen_subjects(workflow=workflow, subject_ids=[subject.pk], author_id=workflow.project.owner_id) == 1
    )
    effect = refit_workflow(workflow)
    assert effect is None or effect() is None
    assert SubjectStatus.objects.get().state == "open"
    assert by_hand.retire_subjects(workflow=workflow, subject_ids=[subject.pk, subject.pk + 1], reason="blank") == 1
    assert by_hand.retire_subjects(workflow=workflow, subject_ids=[subject.pk]) == 0
    changes = list(StatusChange.objects.order_by("id").values_list("before", "after", "cause", "reason"))
    assert changes[-2:] == [("retired", "open", "person", ""), ("open", "retired", "person", "nothing_here")]
    with pytest.raises(RetirementReasonError):
        by_hand.retire_subjects(workflow=workflow, subject_ids=[subject.pk], reason="boredom")


def test_a_subject_retired_before_it_was_open_stays_closed() -> None:
    project = make_project(live=False)
    workflow = make_workflow(project)
    subject = make_subject(project)
    SetMemberSubject.objects.create(subject_set=workflow.subject_sets.get(), subject=subject)
    assert by_hand.retire_subjects(workflow=workflow, subject_ids=[subject.pk]) == 1
    assert by_hand.open_subjects([subject.pk]) == 0
    assert SubjectStatus.objects.get().state == "retired"


def test_what_people_answered_is_not_deleted_and_all_else_goes_with_its_project() -> None:
    workflow = make_workflow()
    subject = make_subject(workflow.project, published_in=workflow)
    vote(workflow, subject, make_volunteer())
    with pytest.raises(InUseError, match="1 classifications"):
        by_hand.delete_project(workflow.project)
    empty = make_workflow()
    make_subject(empty.project, published_in=empty)
    by_hand.delete_project(empty.project)
    assert Subject.objects.count() == 1


@pytest.mark.parametrize(
    ("value", "place"),
    [(1, 1.0), ("2.5", 2.5), ("", None), (None, None), ("first", None), ([], None), ("nan", None), ("inf", None)],
)
def test_a_priority_is_a_number_or_none(value: object, place: float | None) -> None:
    assert read_priority({"#priority": value}) == place
