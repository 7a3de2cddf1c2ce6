"""Thresholds are certified on the reserved, blind sample; routes follow them and are decided once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from classifier.errors import EsocsError
from esocs.archive.models import Product
from esocs.jobs.models import Job
from esocs.machine import queries, routing, rules
from esocs.machine import services as machine
from esocs.machine.models import ModelVersion, Prediction, ReservedSubject, Route, RoutingPolicy
from esocs.projects.models import Subject, Workflow
from tests.support.factories import make_workflow
from tests.support.predictions import make_model, make_pool, predict
from tests.support.routes import make_champion, make_policy

pytestmark = pytest.mark.django_db

# 59 accepted without an error certify 5 % at 5 %.
ROUTING = {"alpha": 0.05, "delta": 0.05, "audit_share": 0.0, "ood_p_min": 0.02}
TRAINED, CALIBRATION, OTHERS = 300, 160, 30


class Scene:
    """A workflow with a stand-in model that has predicted its training subjects, the sample and some others."""

    def __init__(self, *, wrong: int = 0, routing: dict[str, Any] | None = None) -> None:
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
    assert (policy.alpha, policy.delta, policy.calibrated_on) == (0.05, 0.05, CALIBRATION)
    threshold = policy.thresholds.get()
    assert threshold.value is not None
    assert (threshold.strata, threshold.answer, threshold.sample_size) == ([""], None, CALIBRATION)
    assert (threshold.alpha, threshold.delta, threshold.errors) == (0.05, 0.05, 0)
    assert threshold.steps[0][1] >= 59
    assert threshold.steps[0][3] <= 0.05
    scene.model.refresh_from_db()
    assert scene.model.temperature is not None
    assert routing.latest_policy(scene.model) == policy


def test_a_machine_that_errs_too_often_is_not_certified_and_everything_goes_to_volunteers() -> None:
    scene = Scene(wrong=60)
    policy = scene.certify()
    assert policy.thresholds.get().value is None
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
    threshold = policy.thresholds.get()
    assert all(route.score >= threshold.value and route.threshold == threshold for route in accepted)
    assert set(accepted.values_list("acceptable", flat=True)) == {True}
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


def test_what_the_audit_took_is_known_as_acceptable_or_not() -> None:
    scene = Scene(routing={"audit_share": 1.0})
    strange = make_pool(scene.workflow, 2)
    predict(scene.model, dict.fromkeys(strange, 0), score=0.999, strange=True)
    policy = scene.certify()
    scene.route(policy)
    audited = Route.objects.filter(policy=policy, decision="audit")
    value = policy.thresholds.get().value
    for route in audited.select_related("prediction"):
        odd = route.prediction.subject_id in strange
        assert route.acceptable == (route.score >= value and not odd)
    assert set(audited.values_list("acceptable", flat=True)) == {True, False}


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
    with pytest.raises(routing.NotCalibratedError) as refused:
        routing.latest_policy(make_model(make_workflow()))
    assert refused.value.code == "not_calibrated"


def test_settings_that_name_an_unknown_answer_certify_nothing() -> None:
    scene = Scene(routing={"alpha_by_answer": {"Lens": 0.1}})
    with pytest.raises(rules.InvalidRoutingError, match=r"Lens.*Yes, No, Unclear"):
        scene.certify()
    assert not RoutingPolicy.objects.exists()


# Strata and rare answers


def divide_by_instrument(subjects: list[int], names: tuple[str, ...]) -> None:
    """The subjects' products come from these instruments, in turn."""
    for i, name in enumerate(names):
        Product.objects.filter(planes__subjects__in=subjects[i :: len(names)]).update(instrument=name)


def test_each_instrument_has_its_own_threshold_and_the_bad_one_accepts_nothing() -> None:
    scene = Scene(routing={"stratify_by": "instrument", "alpha": 0.1})
    divide_by_instrument(scene.pool, ("FORS2", "VIMOS"))
    first_stratum = set(
        Subject.objects.filter(plane__product__instrument="VIMOS", pk__in=scene.sample).values_list("pk", flat=True)
    )
    scene.answers = {pk: int(pk in first_stratum and i % 3 == 0) for i, pk in enumerate(scene.sample)}
    policy = scene.certify()
    good, bad = policy.thresholds.order_by("number")
    assert (good.strata, bad.strata) == (["FORS2"], ["VIMOS"])
    assert good.value is not None
    assert bad.value is None
    assert (good.sample_size, bad.sample_size) == (CALIBRATION // 2, CALIBRATION // 2)
    scene.route(policy)
    for route in Route.objects.filter(policy=policy, prediction__subject_id__in=scene.others).select_related(
        "prediction__subject__plane__product", "threshold"
    ):
        instrument = route.prediction.subject.plane.product.instrument
        assert route.threshold == (good if instrument == "FORS2" else bad)
        assert route.decision == ("accept" if instrument == "FORS2" and route.score >= good.value else "volunteers")


def test_small_strata_are_pooled_and_one_that_was_never_calibrated_is_not_accepted() -> None:
    scene = Scene(routing={"stratify_by": "instrument"})
    divide_by_instrument(scene.pool, ("FORS2",))
    divide_by_instrument(scene.sample[:6], ("ISAAC", "SOFI"))
    divide_by_instrument(scene.others[:5], ("SOFI",))
    divide_by_instrument(scene.others[5:9], ("MUSE",))
    policy = scene.certify()
    assert [row.strata for row in policy.thresholds.order_by("number")] == [["FORS2"], ["ISAAC", "SOFI"]]
    scene.route(policy)
    assert set(scene.decisions(policy, scene.others[:5])) == {("volunteers", "not_certified")}
    assert set(scene.decisions(policy, scene.others[5:9])) == {("volunteers", "not_calibrated")}
    assert ("accept", "certified") in scene.decisions(policy, scene.others[9:])


def test_a_rare_answer_has_its_own_alpha() -> None:
    scene = Scene(routing={"alpha_by_answer": {"No": 0.3}})
    rare = make_pool(scene.workflow, 40)
    predict(scene.model, dict.fromkeys(rare, 1), score=0.97)
    ReservedSubject.objects.bulk_create(
        ReservedSubject(workflow=scene.workflow, subject_id=pk, purpose="calibration") for pk in rare[:30]
    )
    # One in eight of the rare is wrong: too many for 5 %, few enough for 30 %.
    scene.answers |= {pk: 0 if i % 8 == 0 else 1 for i, pk in enumerate(rare[:30])}
    policy = scene.certify()
    common, own = policy.thresholds.order_by("number")
    assert (common.answer, common.alpha, own.answer, own.alpha) == (None, 0.05, 1, 0.3)
    assert common.delta + own.delta >= 0.05
    assert own.value is not None
    scene.route(policy)
    assert set(scene.decisions(policy, rare[30:])) == {("accept", "certified")}
    assert set(
        Route.objects.filter(policy=policy, prediction__subject_id__in=rare[30:]).values_list("threshold_id", flat=True)
    ) == {own.pk}


def test_the_grids_pool_is_like_the_archive_though_active_learning_left_what_is_easy() -> None:
    scene = Scene()
    pool = queries.read_pool(scene.model, leave_out=np.array(scene.sample))
    held_out = scene.trained[::5]
    assert set(pool.subject_ids.tolist()) == {*held_out, *scene.others}
    times = Counter(pool.subject_ids.tolist())
    assert {times[pk] for pk in scene.others} == {1}
    assert sum(times[pk] for pk in held_out) == TRAINED
    assert len(pool.probabilities) == len(pool.usable) == TRAINED + OTHERS
    few = queries.read_pool(scene.model, leave_out=np.array(scene.sample), most=40)
    assert len(few.ids) == 40


def test_until_a_new_champion_is_certified_the_policy_before_stays_in_force() -> None:
    workflow = make_workflow()
    assert queries.policy_in_force(workflow) is None
    old = make_champion(workflow)
    assert (queries.policy_in_force(workflow), queries.list_policies_in_force()) == (None, [])
    first = make_policy(old)
    new = make_champion(workflow)
    assert queries.policy_in_force(workflow) == first
    assert queries.list_policies_in_force() == [first]
    second = make_policy(new)
    assert queries.policy_in_force(workflow) == second
    machine.promote(old)
    assert queries.policy_in_force(workflow) == first


def test_a_policy_of_other_answers_is_not_in_force_for_a_new_champion() -> None:
    workflow = make_workflow()
    old = make_champion(workflow)
    make_policy(old)
    make_champion(workflow)
    ModelVersion.objects.filter(pk=old.pk).update(class_names=["one", "two", "other"])
    assert queries.policy_in_force(workflow) is None
