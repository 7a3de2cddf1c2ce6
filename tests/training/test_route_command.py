"""`manage.py route` and `manage.py withdraw`: what they do and what they say."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command

from esocs.crowd.models import SubjectStatus
from esocs.machine import services as machine
from esocs.machine.models import Route, RoutingPolicy
from esocs.projects.models import Media
from tests.machine.test_routing import Scene
from tests.support.factories import classify
from tests.support.predictions import label

pytestmark = pytest.mark.django_db


@pytest.fixture
def scene() -> Scene:
    """A champion with predictions, experts' answers to its sample, and pictures of everything."""
    scene = Scene()
    machine.promote(scene.model)
    label(scene.workflow, scene.answers)
    Media.objects.bulk_create(
        Media(subject_id=pk, media_type="image/jpeg", path=f"{pk}.jpg", size_bytes=1) for pk in scene.pool
    )
    return scene


def run(name: str, scene: Scene, **options: object) -> str:
    said = StringIO()
    call_command(name, workflow=scene.workflow.pk, stdout=said, **options)
    return said.getvalue()


def test_it_certifies_routes_and_says_what_was_certified(scene: Scene) -> None:
    said = run("route", scene)
    assert "everything: accept from 0.990 (alpha 0.05; 0 wrong of" in said or "accept from" in said
    assert RoutingPolicy.objects.get().thresholds.get().value is not None
    assert Route.objects.filter(decision="accept").exists()


def test_a_withdrawn_policy_gives_all_back_and_stays_so_until_one_is_certified_again(scene: Scene) -> None:
    run("route", scene)
    accepted = set(Route.objects.filter(decision="accept").values_list("prediction__subject_id", flat=True))
    assert "policy 1" in run("withdraw", scene, because="a lamp was on")
    assert "was withdrawn on" in run("withdraw", scene, because="again")
    asked = SubjectStatus.objects.filter(subject_id__in=accepted, audience="volunteers")
    assert asked.count() == len(accepted)
    assert "Withdrawn on" in run("route", scene)
    assert not Route.objects.filter(decision="accept").exists()
    again = run("route", scene, again=True)
    assert "policy 2" in again
    assert "Withdrawn" not in again
    assert Route.objects.filter(decision="accept", policy__number=2).exists()


def test_what_the_audit_knows_of_the_machine_withdraws_a_new_policy_at_once(scene: Scene) -> None:
    run("route", scene)
    SubjectStatus.objects.bulk_create(
        SubjectStatus(workflow=scene.workflow, subject_id=pk, blind=True) for pk in scene.others
    )
    for status in SubjectStatus.objects.filter(subject_id__in=scene.others).select_related("subject"):
        classify(scene.workflow, status.subject, T0=1, gold=scene.workflow.project.owner)
    assert "Experts found" in run("route", scene, again=True)
    assert RoutingPolicy.objects.order_by("-number")[0].state == "withdrawn"
    assert not Route.objects.filter(decision="accept", policy__number=2).exists()
