"""Thresholds are certified on the reserved, blind sample; routes follow them and are decided once."""

from __future__ import annotations

import pytest

from classifier.errors import EsocsError
from esocs.jobs.models import Job
from esocs.machine import queries, routing, services
from esocs.machine.models import ModelVersion, Prediction, ReservedSubject, Route, RoutingPolicy
from esocs.projects.models import Workflow
from tests.support.factories import make_workflow
from tests.support.predictions import make_model, make_pool, predict

pytestmark = pytest.mark.django_db

# 59 accepted without an error certify 5 % at 5 %.
ROUTING = {"alpha": 0.05, "delta": 0.05, "audit_share": 0.0, "ood_p_min": 0.02}
TRAINED, CALIBRATION, OTHERS = 300, 160, 30


class Scene:
    """A workflow with a stand-in model that has predicted its training subjects, the sample and some others."""

    def __init__(self, *, wrong: int = 0, routing: dict[str, float] | None = None) -> None:
        self.workflow: Workflow = make_workflow(routing={**ROUTING, **(routing or {})})
        self.pool = make_pool(self.workflow, TRAINED + CALIBRATION + OTHERS)
        self.trained = self.pool[:TRAINED]
        self.sample = self.pool[TRAINED : TRAINED + CALIBRATION]
        self.others = self.pool[TRAINED + CALIBRATION :]
        ReservedSubject.objects.bulk_create(
            ReservedSubject(workflow=self.workflow, subject_id=pk, purpose=purpose)
            for purpose, ids in (("seed", self.trained), ("calibration", self.sample))
            for pk in ids
        )
        self.model: ModelVersion = make_model(self.workflow, trained_on=self.trained)
        score = {pk: 0.99 - 0.3 * (i % 10 == 9) for i, pk in enumerate(self.pool)}
        predict(self.model, dict.fromkeys(self.pool, 0), score=score)
        self.answers = {pk: int(i < wrong) for i, pk in enumerate(self.sample)}

    def certify(self) -> RoutingPolicy:
        return routing.set_policy(model=self.model, answers=self.answers)

    def route(self, policy: RoutingPolicy) -> None:
        for job in Job.objects.filter(pk__in=routing.order_routes(policy)):
            routing.route_predictions(policy=policy, first=job.payload["first"], last=job.payload["last"])()

    def decisions(self, policy: RoutingPolicy, subjects: list[int]) -> list[tuple[str, str]]:
        routes = Route.objects.filter(policy=policy, prediction__subject_id__in=subjects)
        return list(routes.order_by("prediction__subject_id").values_list("decision", "reason"))


def test_a_good_sample_certifies_a_threshold_and_keeps_its_evidence() -> None:
    scene = Scene()
    policy = scene.certify()
    assert policy.threshold is not None
    assert (policy.alpha, policy.delta, policy.calibrated_on) == (0.05, 0.05, CALIBRATION)
    steps = policy.evidence["steps"]
    assert steps[0][1] >= 59
    assert steps[0][3] <= 0.05
    scene.model.refresh_from_db()
    assert scene.model.temperature is not None
    assert routing.latest_policy(scene.model) == policy


def test_a_machine_that_errs_too_often_is_not_certified_and_everything_goes_to_volunteers() -> None:
    scene = Scene(wrong=60)
    policy = scene.certify()
    assert policy.threshold is None
    scene.route(policy)
    assert set(scene.decisions(policy, scene.others)) == {("volunteers", "not_certified")}


def test_a_sample_that_the_model_was_trained_on_is_refused() -> None:
    scene = Scene()
    scene.model.card["trained_on"] = [*scene.trained, scene.sample[0]]
    scene.model.save()
    with pytest.raises(EsocsError) as refused:
        scene.certify()
    assert refused.value.code == "calibration_contaminated"
    assert not RoutingPolicy.objects.exists()


def test_answers_outside_the_reserved_sample_calibrate_nothing() -> None:
    scene = Scene()
    scene.answers |= dict.fromkeys(scene.others, 1)
    assert scene.certify().calibrated_on == CALIBRATION


def test_what_is_reserved_goes_to_experts_and_the_sure_are_accepted() -> None:
    scene = Scene()
    policy = scene.certify()
    scene.route(policy)
    assert set(scene.decisions(policy, scene.trained + scene.sample)) == {("experts", "reserved")}
    decided = scene.decisions(policy, scene.others)
    assert set(decided) <= {("accept", "certified"), ("volunteers", "unsure")}
    accepted = Route.objects.filter(policy=policy, decision="accept")
    assert accepted.exists()
    assert all(score >= policy.threshold for score in accepted.values_list("score", flat=True))
    assert queries.count_routes(policy)["experts"] == TRAINED + CALIBRATION


def test_the_strange_and_the_damaged_are_never_accepted() -> None:
    scene = Scene()
    strange = make_pool(scene.workflow, 3)
    predict(scene.model, dict.fromkeys(strange, 0), score=0.999, strange=True)
    damaged = make_pool(scene.workflow, 3, usable=False)
    predict(scene.model, dict.fromkeys(damaged, 0), score=0.999)
    policy = scene.certify()
    scene.route(policy)
    assert scene.decisions(policy, strange) == [("volunteers", "out_of_distribution")] * 3
    assert scene.decisions(policy, damaged) == [("experts", "quality")] * 3


def test_the_audit_takes_its_share_of_everything_but_the_reserved() -> None:
    scene = Scene(routing={"audit_share": 1.0})
    policy = scene.certify()
    scene.route(policy)
    assert set(scene.decisions(policy, scene.others)) == {("audit", "audit")}
    assert set(scene.decisions(policy, scene.sample)) == {("experts", "reserved")}


def test_withdrawn_thresholds_accept_nothing() -> None:
    scene = Scene()
    policy = scene.certify()
    policy.state = RoutingPolicy.State.WITHDRAWN
    policy.save()
    scene.route(policy)
    assert set(scene.decisions(policy, scene.others)) == {("volunteers", "not_certified")}


def test_routing_again_decides_nothing_anew_and_publishes_once() -> None:
    scene = Scene()
    policy = scene.certify()
    first, last = (Prediction.objects.order_by(order).values_list("id", flat=True)[0] for order in ("id", "-id"))
    routing.route_predictions(policy=policy, first=first, last=last)()
    before = list(Route.objects.order_by("id").values())
    routing.route_predictions(policy=policy, first=first, last=last)()
    assert list(Route.objects.order_by("id").values()) == before
    assert Job.objects.filter(kind="crowd.publish").count() == 1
    assert routing.order_routes(policy) == []


def test_a_newer_policy_routes_anew_beside_the_old_one() -> None:
    scene = Scene()
    first = scene.certify()
    scene.route(first)
    second = scene.certify()
    assert (first.number, second.number) == (1, 2)
    assert routing.latest_policy(scene.model) == second
    scene.route(second)
    assert Route.objects.filter(policy=first).count() == Route.objects.filter(policy=second).count() == len(scene.pool)


def test_a_model_that_was_never_calibrated_says_so() -> None:
    with pytest.raises(services.NotCalibratedError) as refused:
        routing.latest_policy(make_model(make_workflow()))
    assert refused.value.code == "not_calibrated"
