"""Samples are set aside uniformly, once, before active learning takes anything."""

from __future__ import annotations

import numpy as np
import pytest
from django.core.management import call_command

from esocs.machine import queries, services
from esocs.machine.models import ReservedSubject
from tests.support.factories import make_workflow
from tests.support.networks import make_shard
from tests.support.predictions import make_pool

pytestmark = pytest.mark.django_db


def test_seed_and_calibration_are_disjoint_and_of_the_ordered_size() -> None:
    workflow = make_workflow()
    pool = make_pool(workflow, 40)
    reserved = services.reserve_samples(workflow=workflow, seed=10, calibration=5)
    assert (len(reserved["seed"]), len(reserved["calibration"])) == (10, 5)
    assert not set(reserved["seed"]) & set(reserved["calibration"])
    assert set(reserved["seed"]) | set(reserved["calibration"]) <= set(pool)
    assert queries.list_reserved(workflow.pk, "calibration") == reserved["calibration"]


def test_reserving_again_changes_nothing_whatever_is_asked_for() -> None:
    workflow = make_workflow()
    make_pool(workflow, 20)
    first = services.reserve_samples(workflow=workflow, seed=4, calibration=4)
    make_pool(workflow, 20)
    assert services.reserve_samples(workflow=workflow, seed=9, calibration=9, random_seed=5) == first
    assert ReservedSubject.objects.count() == 8


def test_too_few_subjects_are_said_and_nothing_is_reserved() -> None:
    workflow = make_workflow()
    make_pool(workflow, 7)
    with pytest.raises(services.TooFewSubjectsError) as refused:
        services.reserve_samples(workflow=workflow, seed=4, calibration=4)
    assert (refused.value.code, refused.value.status) == ("too_few_subjects", 422)
    assert not ReservedSubject.objects.exists()


def test_every_subject_is_as_likely_to_be_drawn() -> None:
    workflow = make_workflow()
    pool = make_pool(workflow, 20)
    drawn = np.zeros(20)
    for random_seed in range(120):
        reserved = services.reserve_samples(workflow=workflow, seed=3, calibration=2, random_seed=random_seed)
        drawn[[pool.index(pk) for purpose in reserved.values() for pk in purpose]] += 1
        ReservedSubject.objects.all().delete()
    # 120 draws of 5 in 20: 30 each, with a standard deviation of 4.7; the largest of 20 stays within four.
    assert drawn.sum() == 600
    assert np.abs(drawn - 30).max() < 19


def test_workflows_reserve_for_themselves() -> None:
    first, second = make_workflow(), make_workflow()
    make_pool(first, 6)
    make_pool(second, 6)
    services.reserve_samples(workflow=first, seed=2, calibration=2)
    reserved = services.reserve_samples(workflow=second, seed=2, calibration=2)
    assert ReservedSubject.objects.filter(workflow=second).count() == 4
    assert len(reserved["seed"]) == 2


def test_the_command_reserves_what_the_workflow_asks_for_and_says_what_it_certifies(capsys) -> None:
    workflow = make_workflow()
    make_shard(workflow, 40)
    call_command("reserve", project=str(workflow.project_id))
    assert len(queries.list_reserved(workflow.pk, "seed")) == 10
    assert len(queries.list_reserved(workflow.pk, "calibration")) == 10
    assert "cannot certify any threshold" in capsys.readouterr().out
