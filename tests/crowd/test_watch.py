"""The blind audit withdraws a policy that errs more than it promised: on experts' word, and on nobody else's."""

from __future__ import annotations

import pytest
from django.utils import timezone

from esocs.crowd import watch
from esocs.crowd.models import SubjectStatus
from esocs.crowd.review import count_review
from esocs.jobs.services import enqueue
from esocs.machine.models import Route, RoutingPolicy
from esocs.projects.models import Workflow
from tests.support.factories import classify, make_volunteer, make_workflow
from tests.support.routes import make_champion, make_policy, route
from tests.support.survey import replay, run_jobs

pytestmark = pytest.mark.django_db

COUNT_ONE = {"criteria": "classification_count", "options": {"count": 1}}
MACHINE, OTHER = 0, 1


class Scene:
    """A policy whose audited subjects volunteers and experts answer. One vote retires a subject."""

    def __init__(self, **policy: object) -> None:
        self.workflow: Workflow = make_workflow(retirement=COUNT_ONE)
        self.model = make_champion(self.workflow)
        self.policy = make_policy(self.model, **policy)
        self.volunteer = make_volunteer()

    def audit(self, count: int, *, decision: str = "audit", **fields: object) -> list[int]:
        subjects = route(self.policy, decision, count, **fields)  # type: ignore[arg-type]
        enqueue(
            "crowd.publish",
            key=f"all/{subjects[0]}",
            payload={
                "workflow_id": self.workflow.pk,
                "route_ids": list(
                    Route.objects.filter(prediction__subject_id__in=subjects, policy=self.policy).values_list(
                        "pk", flat=True
                    )
                ),
            },
        )
        run_jobs()
        return subjects

    def answer(self, subjects: list[int], answer: int, *, expert: bool = False) -> None:
        for status in SubjectStatus.objects.filter(subject_id__in=subjects).select_related("subject"):
            gold = self.workflow.project.owner if expert else None
            classify(self.workflow, status.subject, None if expert else self.volunteer, T0=answer, gold=gold)

    def read(self) -> watch.Audit:
        return watch.read_audit(RoutingPolicy.objects.select_related("model_version__workflow").get(pk=self.policy.pk))

    def watch(self) -> RoutingPolicy:
        """What the periodic job does."""
        enqueue("crowd.watch_audit", key=f"slot/{timezone.now().timestamp()}")
        run_jobs()
        return RoutingPolicy.objects.get(pk=self.policy.pk)


def test_confirmed_errors_withdraw_the_policy_and_keep_the_evidence() -> None:
    scene = Scene()
    audited = scene.audit(12)
    accepted = route(scene.policy, "accept", 3)
    scene.answer(audited, OTHER)
    scene.answer(audited, OTHER, expert=True)
    policy = scene.watch()
    assert policy.state == "withdrawn"
    assert policy.withdrawn_by is None
    assert "12 errors among 12 audited" in policy.withdrawn_because
    assert policy.alarm["errors"] == 12
    assert policy.alarm["p_value"] <= policy.alarm_delta
    assert policy.alarm["wrong_subjects"] == audited
    asked = SubjectStatus.objects.filter(subject_id__in=accepted, audience="volunteers", state="open")
    assert asked.count() == 3
    # The machine is not heard on what it was believed on too early.
    assert set(asked.values_list("machine_answer", flat=True)) == {None}
    assert not Route.objects.filter(policy=policy, decision="accept").exists()


def test_doing_every_job_once_more_changes_nothing() -> None:
    scene = Scene()
    audited = scene.audit(12)
    route(scene.policy, "accept", 3)
    scene.answer(audited, OTHER, expert=True)
    scene.watch()
    before = [list(model.objects.order_by("pk").values()) for model in (Route, RoutingPolicy, SubjectStatus)]
    replay()
    assert [list(model.objects.order_by("pk").values()) for model in (Route, RoutingPolicy, SubjectStatus)] == before


def test_volunteers_who_err_give_no_alarm_but_work_for_experts() -> None:
    scene = Scene()
    audited = scene.audit(12)
    scene.answer(audited, OTHER)
    assert scene.watch().state == "active"
    assert count_review(scene.workflow).disagrees == 12
    found = scene.read()
    assert (found.alarm.count, found.alarm.errors, found.settled, len(found.unconfirmed)) == (12, 0, 0, 12)
    scene.answer(audited, MACHINE, expert=True)
    assert scene.watch().state == "active"
    assert count_review(scene.workflow).disagrees == 0
    assert scene.read().settled == 12


def test_volunteers_who_agree_settle_a_subject_without_an_expert() -> None:
    scene = Scene()
    scene.answer(scene.audit(5), MACHINE)
    found = scene.read()
    assert (found.alarm.count, found.settled, found.unconfirmed) == (5, 5, [])


def test_only_the_audited_that_would_have_been_accepted_and_were_answered_count() -> None:
    scene = Scene()
    scene.answer(scene.audit(2, acceptable=False), OTHER, expert=True)
    scene.answer(scene.audit(2, decision="volunteers"), OTHER, expert=True)
    scene.audit(2)
    assert scene.read().alarm.count == 0
    assert scene.watch().state == "active"


def test_the_order_is_that_of_the_first_answers_not_of_the_experts() -> None:
    scene = Scene()
    audited = scene.audit(3)
    for subject in reversed(audited):
        scene.answer([subject], OTHER)
    scene.answer(audited[:1], OTHER, expert=True)
    found = scene.read()
    assert found.subject_ids == audited[::-1]
    assert found.wrong == [False, False, True]


def test_the_stratum_that_errs_is_named() -> None:
    scene = Scene(strata=(("UVES",), ("FORS2", "HARPS")))
    scene.answer(scene.audit(6), MACHINE)
    scene.answer(scene.audit(12, threshold=1), OTHER, expert=True)
    policy = scene.watch()
    assert policy.state == "withdrawn"
    assert "FORS2, HARPS: 12 of 12" in policy.withdrawn_because
    assert [(row["audited"], row["errors"]) for row in policy.alarm["thresholds"]] == [(6, 0), (12, 12)]


def test_a_new_policy_of_the_same_version_is_watched_on_what_its_version_was_audited_on() -> None:
    scene = Scene()
    audited = scene.audit(12)
    scene.answer(audited, OTHER, expert=True)
    assert scene.watch().state == "withdrawn"
    first, scene.policy = scene.policy, make_policy(scene.model)
    for old in Route.objects.filter(policy=first):
        Route.objects.create(
            prediction_id=old.prediction_id, policy=scene.policy, threshold=scene.policy.thresholds.get(),
            decision="accept", reason="certified", acceptable=True, answer=old.answer, score=old.score,
            probability=old.probability, ood_p=old.ood_p, information_bits=old.information_bits,
        )  # fmt: skip
    assert scene.watch().state == "withdrawn"


def test_only_the_champions_newest_policy_is_watched() -> None:
    scene = Scene()
    older, newer = scene.policy, make_policy(scene.model)
    make_policy(make_champion(make_workflow()), state="withdrawn", withdrawn_at=timezone.now())
    assert watch.list_watched() == [newer]
    assert older != newer
