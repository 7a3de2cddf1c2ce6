"""Drift is counted from the routes by batch and night, once however often it is counted."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from classifier import drift
from esocs.archive.models import Product
from esocs.jobs.models import Job
from esocs.jobs.registry import JobContext, get_handler
from esocs.machine import (
    monitoring,
    tasks,  # noqa: F401 - registers the handlers
)
from esocs.machine.models import (
    DriftCount,
    DriftReference,
    ModelVersion,
    Prediction,
    ReservedSubject,
    Route,
    RoutingPolicy,
)
from esocs.machine.services import promote
from tests.support.factories import make_workflow
from tests.support.predictions import make_model, make_pool, predict

pytestmark = pytest.mark.django_db


class Survey:
    """Two ingest batches of two nights, a calibration sample and a seed, all routed."""

    def __init__(self) -> None:
        self.workflow = make_workflow()
        self.seed = make_pool(self.workflow, 10)
        self.calibration = make_pool(self.workflow, 8)
        self.first, self.second = make_pool(self.workflow, 12), make_pool(self.workflow, 6)
        for purpose, ids in (("seed", self.seed), ("calibration", self.calibration)):
            ReservedSubject.objects.bulk_create(
                ReservedSubject(workflow=self.workflow, subject_id=pk, purpose=purpose) for pk in ids
            )
        self.model: ModelVersion = make_model(self.workflow, trained_on=[*self.seed, *self.first[:2]])
        promote(self.model)
        # The same night on both sides of midnight in UTC, and the next one.
        self.observe(self.first[:8], datetime(2026, 3, 14, 23, 50, tzinfo=UTC))
        self.observe(self.first[8:], datetime(2026, 3, 15, 4, 0, tzinfo=UTC))
        self.observe(self.second[:5], datetime(2026, 3, 16, 1, 0, tzinfo=UTC))
        everything = [*self.seed, *self.calibration, *self.first, *self.second]
        predict(self.model, dict.fromkeys(everything, 0))
        self.policy = self.make_policy()
        self.route(everything)

    def make_policy(self) -> RoutingPolicy:
        return RoutingPolicy.objects.create(
            model_version=self.model, number=1 + RoutingPolicy.objects.filter(model_version=self.model).count(),
            alpha=0.01, delta=0.05, audit_share=0.02, ood_p_min=0.01, calibrated_on=8,
        )  # fmt: skip

    def observe(self, subjects: list[int], moment: datetime) -> None:
        Product.objects.filter(planes__subjects__in=subjects).update(observed_at=moment)

    def route(self, subjects: list[int]) -> None:
        strange = {self.first[3], self.second[0], self.calibration[0]}
        unsure = {self.first[4], self.first[9]}
        Route.objects.bulk_create(
            Route(
                prediction=row, policy=self.policy, decision="accept", reason="none", answer=0,
                score=0.5 if row.subject_id in unsure else 0.98, probability=0.9,
                ood_p=0.004 if row.subject_id in strange else 0.4, ood_distance=0.1, information_bits=0.1,
            )
            for row in Prediction.objects.filter(model_version=self.model, subject_id__in=subjects)
        )  # fmt: skip

    def counts(self) -> dict[tuple[int | None, date | None], tuple[int, int, int]]:
        rows = DriftCount.objects.filter(policy=self.policy)
        return {(row.batch_id, row.night): (row.subjects, row.learned_from, row.out_of_distribution) for row in rows}

    def batch(self, subjects: list[int]) -> int:
        return int(Product.objects.filter(planes__subjects=subjects[0]).values_list("batch_id", flat=True)[0])


def run(**payload: Any) -> None:
    context = JobContext(
        id=0, kind="machine.count_drift", key="slot/1", attempt=1, payload=payload, report_progress=lambda *_: None
    )
    effect = get_handler("machine.count_drift")(context)
    assert effect is not None
    effect()


def test_routes_are_counted_by_batch_and_night_without_what_the_model_has_seen() -> None:
    survey = Survey()
    run(policy_id=survey.policy.pk)
    first, second = survey.batch(survey.first), survey.batch(survey.second)
    assert survey.counts() == {
        (first, date(2026, 3, 14)): (10, 2, 1),
        (second, date(2026, 3, 15)): (5, 0, 1),
        (second, None): (1, 0, 0),
    }
    night = DriftCount.objects.get(batch=first)
    assert night.score_counts == drift.count_scores([0.98] * 8 + [0.5] * 2).tolist()
    reference = DriftReference.objects.get(policy=survey.policy)
    assert (reference.subjects, reference.out_of_distribution, reference.routes_counted) == (8, 1, 36)


def test_counting_again_changes_nothing_and_new_routes_are_added() -> None:
    survey = Survey()
    run(policy_id=survey.policy.pk)
    before = survey.counts()
    run(policy_id=survey.policy.pk)
    assert survey.counts() == before
    late = make_pool(survey.workflow, 4)
    predict(survey.model, dict.fromkeys(late, 0))
    survey.route(late)
    run(policy_id=survey.policy.pk)
    assert survey.counts() == before | {(survey.batch(late), None): (4, 0, 0)}


def test_a_count_is_ordered_only_where_routes_are_not_counted_yet() -> None:
    survey = Survey()
    run()
    order = Job.objects.get(kind="machine.count_drift")
    assert order.payload == {"policy_id": survey.policy.pk}
    run(**order.payload)
    run()
    monitoring.order_missing_counts(slot="slot/2")
    assert Job.objects.filter(kind="machine.count_drift").count() == 1
    newer = survey.make_policy()
    survey.policy = newer
    survey.route(survey.second)
    monitoring.order_missing_counts(slot="slot/3")
    assert Job.objects.filter(kind="machine.count_drift", payload__policy_id=newer.pk).count() == 1


def test_the_last_job_of_a_routing_orders_the_count() -> None:
    survey = Survey()
    group = f"route/{survey.policy.pk}"
    jobs = [Job.objects.create(kind="machine.route", key=f"{i}", queue="default", group=group) for i in range(2)]
    monitoring.order_count(survey.policy.pk, besides=jobs[0].pk)
    assert not Job.objects.filter(kind="machine.count_drift").exists()
    Job.objects.filter(pk=jobs[0].pk).update(state=Job.State.DONE)
    monitoring.order_count(survey.policy.pk, besides=jobs[1].pk)
    assert Job.objects.get(kind="machine.count_drift").group == group
