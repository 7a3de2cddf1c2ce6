"""How often the machine is right, against each kind of label that people gave."""

from __future__ import annotations

from typing import Any

import pytest

from esocs.crowd import (
    monitoring,
    tasks,  # noqa: F401 - registers the handlers
)
from esocs.crowd.models import SubjectStatus
from esocs.jobs.models import Job
from esocs.jobs.registry import JobContext, get_handler
from esocs.machine.models import Prediction, ReliabilityCount, ReservedSubject, Route, RoutingPolicy
from esocs.machine.monitoring import read_reliability
from esocs.machine.services import promote
from esocs.projects.models import Workflow
from tests.support import factories
from tests.support.predictions import label, make_model, make_pool, predict

pytestmark = pytest.mark.django_db


class Labelled:
    """Six subjects of each kind, for which the machine said answer 0 at 0.9, and one more that it was trained on."""

    def __init__(self) -> None:
        self.workflow: Workflow = factories.make_workflow()
        names = ("calibration", "audit", "gold", "consensus", "open")
        self.of = {name: make_pool(self.workflow, 6) for name in names}
        (self.trained,) = make_pool(self.workflow, 1)
        ReservedSubject.objects.bulk_create(
            ReservedSubject(workflow=self.workflow, subject_id=pk, purpose="calibration")
            for pk in self.of["calibration"]
        )
        self.model = make_model(self.workflow, trained_on=[self.trained])
        promote(self.model)
        everything = [pk for ids in self.of.values() for pk in ids] + [self.trained]
        predict(self.model, dict.fromkeys(everything, 0))
        self.policy = RoutingPolicy.objects.create(
            model_version=self.model, number=1, alpha=0.01, delta=0.05, audit_share=0.02, ood_p_min=0.01,
            calibrated_on=6,
        )  # fmt: skip
        Route.objects.bulk_create(
            Route(
                prediction=row, policy=self.policy, decision="volunteers", reason="none", answer=0, score=0.9,
                probability=0.9, ood_p=0.5, information_bits=0.4,
            )
            for row in Prediction.objects.filter(model_version=self.model)
        )  # fmt: skip
        label(self.workflow, {pk: int(i < 2) for i, pk in enumerate(self.of["calibration"])})
        label(self.workflow, {pk: int(i < 3) for i, pk in enumerate(self.of["gold"])} | {self.trained: 0})
        self.settle(self.of["audit"], wrong=1, blind=True)
        self.settle(self.of["consensus"], wrong=0, blind=False)
        self.settle([self.trained], wrong=0, blind=False)
        SubjectStatus.objects.bulk_create(
            SubjectStatus(workflow=self.workflow, subject_id=pk, blind=True) for pk in self.of["open"]
        )

    def settle(self, subjects: list[int], *, wrong: int, blind: bool) -> None:
        SubjectStatus.objects.bulk_create(
            SubjectStatus(
                workflow=self.workflow, subject_id=pk, blind=blind, state="retired", retirement_reason="consensus",
                retired_answer=int(i < wrong),
            )
            for i, pk in enumerate(subjects)
        )  # fmt: skip

    def found(self) -> dict[str, tuple[int, int]]:
        counted = read_reliability(self.policy)
        return {source: (int(one.subjects.sum()), int(one.right.sum())) for source, one in counted.items()}


def run(**payload: Any) -> None:
    context = JobContext(
        id=0, kind="crowd.measure_reliability", key="slot/1", attempt=1, payload=payload,
        report_progress=lambda *_: None,
    )  # fmt: skip
    effect = get_handler("crowd.measure_reliability")(context)
    assert effect is not None
    effect()


def test_each_kind_of_label_is_counted_by_itself_and_what_was_trained_on_nowhere() -> None:
    scene = Labelled()
    run(policy_id=scene.policy.pk)
    assert scene.found() == {"calibration": (6, 4), "gold": (6, 3), "audit": (6, 5), "consensus": (6, 6)}
    audit = read_reliability(scene.policy)["audit"]
    assert audit.probability_sums.sum() == pytest.approx(5.4)
    assert audit.subjects[13] == 6
    batches = ReliabilityCount.objects.filter(policy=scene.policy).values_list("batch_id", flat=True)
    assert len(set(batches)) == 4


def test_an_experts_answer_comes_before_the_volunteers_and_counting_again_replaces() -> None:
    scene = Labelled()
    run(policy_id=scene.policy.pk)
    label(scene.workflow, dict.fromkeys(scene.of["audit"], 1) | dict.fromkeys(scene.of["open"], 0))
    run(policy_id=scene.policy.pk)
    # What is blind stays the audit, whoever answered: it was drawn by chance.
    assert scene.found() == {"calibration": (6, 4), "gold": (6, 3), "audit": (12, 6), "consensus": (6, 6)}


def test_a_count_is_ordered_once_for_the_same_labels() -> None:
    scene = Labelled()
    run()
    order = Job.objects.get(kind="crowd.measure_reliability")
    assert order.payload == {"policy_id": scene.policy.pk}
    run()
    assert Job.objects.filter(kind="crowd.measure_reliability").count() == 1
    label(scene.workflow, dict.fromkeys(scene.of["open"], 0))
    monitoring.order_reliability()
    assert Job.objects.filter(kind="crowd.measure_reliability").count() == 2
