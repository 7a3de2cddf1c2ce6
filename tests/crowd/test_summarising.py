"""Drawings, texts, surveys and sliders are summarised by a job, and anew after new classifications only."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from esocs.crowd import summarising
from esocs.crowd.models import Classification, SubjectStatus, TaskSummary
from esocs.crowd.services import Submission, record_classification
from esocs.crowd.summarising import list_workflows_to_summarise, summarise_workflow
from esocs.jobs import services as jobs
from esocs.jobs.models import Job
from esocs.projects.models import Subject, Workflow
from tests.support.factories import ask, classify, make_volunteer, make_workflow, publish

pytestmark = pytest.mark.django_db

TASKS: dict[str, Any] = {
    "T1": {
        "type": "drawing",
        "instruction": "T1.instruction",
        "tools": [{"type": "point", "label": "Star", "details": [{"type": "text", "instruction": "What?"}]}],
    },
    "T2": {"type": "text", "instruction": "T2.instruction"},
    "T3": {"type": "slider", "min": "0", "max": "10", "step": "1"},
    "T4": {"type": "survey", "choices": {"FOX": {}, "OWL": {}}, "choicesOrder": ["FOX", "OWL"], "questions": {}},
}


@pytest.fixture
def workflow() -> Workflow:
    workflow = make_workflow(retirement={"criteria": "never_retire"})
    return ask(workflow, {**workflow.tasks, **TASKS})


def summarise(workflow: Workflow) -> bool:
    """Whether there was anything to do."""
    effect = summarise_workflow(workflow)
    if effect is None:
        return False
    with transaction.atomic():
        effect()
    return True


def point(x: float = 10.0, **more: Any) -> dict[str, Any]:
    return {"tool": 0, "frame": 0, "x": x, "y": 20.0, "details": [], **more}


def test_every_task_without_a_consensus_is_summarised(workflow: Workflow) -> None:
    (subject,) = publish(workflow)
    for n in range(3):
        classify(
            workflow, subject, T0=0, T1=[point(10 + n)], T2="a star", T3="7", T4=[{"choice": "FOX", "answers": {}}]
        )
    assert list_workflows_to_summarise() == [workflow.pk]
    assert summarise(workflow)
    rows = {row.task_key: row for row in TaskSummary.objects.all()}
    assert {key: (row.kind, row.seen_by, row.counted) for key, row in rows.items()} == {
        "T1": ("drawing", 3, 3),
        "T2": ("text", 3, 3),
        "T3": ("slider", 3, 3),
        "T4": ("survey", 3, 3),
    }
    (cluster,) = rows["T1"].value["clusters"]
    assert (cluster["count"], cluster["mark"]["x"]) == (3, 11)


def test_only_new_classifications_make_it_summarise_again(workflow: Workflow) -> None:
    first, second = publish(workflow, 2)
    for subject in (first, second):
        classify(workflow, subject, T0=0, T2="a star")
    assert summarise(workflow)
    assert list_workflows_to_summarise() == []
    assert not summarise(workflow)
    made = dict(TaskSummary.objects.filter(task_key="T2").values_list("status__subject", "updated_at"))
    volunteer = make_volunteer()
    classify(workflow, second, volunteer, T0=0, T2="a comet")
    assert summarise(workflow)
    again = {row.status.subject_id: row for row in TaskSummary.objects.filter(task_key="T2")}
    assert again[first.pk].updated_at == made[first.pk]
    assert (again[second.pk].counted, again[second.pk].seen_by) == (2, 2)
    # Gold and repeats count nowhere.
    classify(workflow, second, volunteer, T0=0, T2="a comet")
    classify(workflow, second, gold=workflow.project.owner, T0=0, T2="a comet")
    assert not summarise(workflow)


def test_a_task_that_is_gone_does_not_keep_the_job_busy(workflow: Workflow) -> None:
    (subject,) = publish(workflow)
    classify(workflow, subject, T0=0, T2="a star", T3="7")
    summarise(workflow)
    workflow = ask(workflow, {key: task for key, task in workflow.tasks.items() if key != "T3"})
    classify(workflow, subject, T0=0, T2="a star")
    assert summarise(workflow)
    assert list_workflows_to_summarise() == []


def send(workflow: Workflow, subject: Subject, annotations: list[Any]) -> None:
    record_classification(
        Submission(
            workflow_id=workflow.pk,
            subject_ids=[subject.pk],
            volunteer_id=make_volunteer().pk,
            annotations=annotations,
            metadata={"started_at": str(len(annotations))},
            workflow_version=workflow.version,
        )
    )


def test_details_of_the_newer_classifier_are_put_back_into_their_marks(workflow: Workflow) -> None:
    (subject,) = publish(workflow)
    marks = [{"toolIndex": 0, "frame": 0, "toolType": "point", "x_center": 1, "x": x, "y": 20.0} for x in (10.0, 300.0)]
    for _ in range(3):
        send(
            workflow,
            subject,
            [
                {"task": "T0", "value": 0},
                {"task": "T1", "taskType": "drawing", "value": marks},
                {"task": "T1.0.0", "taskType": "text", "value": "a star", "markIndex": 0},
                {"task": "T1.0.0", "taskType": "text", "value": "a comet", "markIndex": 1},
            ],
        )
    assert summarise(workflow)
    clusters = TaskSummary.objects.get(task_key="T1").value["clusters"]
    words = [str(cluster["details"]) for cluster in sorted(clusters, key=lambda c: c["mark"]["x"])]
    assert ["star" in words[0], "comet" in words[1]] == [True, True]


HOSTILE: list[Any] = [
    None,
    True,
    7,
    1e308,
    "x" * 5000,
    [],
    {},
    [None, 3, "a", [], {}],
    [[[[[]]]]],
    [{"tool": "no", "x": {}, "y": []}],
    [{"tool": 0, "x": "NaN", "y": 1e308}] * 3,
    [{"tool": 99, "x": 1, "y": 1}],
    [{"tool": 0, "x": 1, "y": 1, "details": {"a": 1}}],
    [{"choice": {}, "answers": 3}],
    [{"choice": "DODO", "answers": {"a": {"b": {}}}}],
    {"text": {"text": 3}},
    [{"value": {"option": []}}],
]


def test_hostile_values_do_not_stop_the_job(workflow: Workflow) -> None:
    subjects = publish(workflow, 2)
    for value in HOSTILE:
        classify(workflow, subjects[0], T0=0, T1=value, T2=value, T3=value, T4=value)
    classify(workflow, subjects[1], T0=0, T2="a star")
    # Rows of other programs: nothing that reads them may rely on their form.
    for place, sent in enumerate(
        ({"T1": 3}, "x", [3, None, {"task": []}, {"value": 1}, {"task": "T1", "markIndex": -1}])
    ):
        row = Classification.objects.order_by("id")[place]
        Classification.objects.filter(pk=row.pk).update(annotations=sent)
    assert summarise(workflow)
    assert TaskSummary.objects.filter(status__subject=subjects[1], task_key="T2", seen_by=1).exists()
    assert TaskSummary.objects.filter(status__subject=subjects[0]).count() == 4
    assert list_workflows_to_summarise() == []


def test_a_summary_that_fails_leaves_the_others_of_the_job(workflow: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    subjects = publish(workflow, 2)
    classify(workflow, subjects[0], T0=0, T2="bad")
    classify(workflow, subjects[1], T0=0, T2="good")
    whole = summarising.summarise_task

    def fails(task: Any, responses: Any) -> Any:
        if any(response.value == "bad" for response in responses):
            raise ZeroDivisionError
        return whole(task, responses)

    monkeypatch.setattr(summarising, "summarise_task", fails)
    assert summarise(workflow)
    kinds = dict(TaskSummary.objects.filter(task_key="T2").values_list("status__subject", "kind"))
    assert kinds == {subjects[0].pk: "failed", subjects[1].pk: "text"}
    assert list_workflows_to_summarise() == []


def test_the_periodic_job_orders_one_for_each_workflow_and_none_twice(workflow: Workflow) -> None:
    (subject,) = publish(workflow)
    classify(workflow, subject, T0=0, T2="a star")
    jobs.drain([jobs.enqueue("crowd.summarise", key="1")])
    jobs.drain([jobs.enqueue("crowd.summarise", key="2")])
    (ordered,) = Job.objects.filter(kind="crowd.summarise", payload__workflow_id=workflow.pk)
    jobs.drain([ordered.pk])
    assert TaskSummary.objects.filter(task_key="T2").exists()
    assert SubjectStatus.objects.get().summaries.count() == 4
