"""A challenger becomes champion only by making no more errors and accepting no less on the same blind sample."""

from __future__ import annotations

import pytest

from esocs.machine import services as machine
from esocs.machine.models import ModelVersion, ReservedSubject
from esocs.projects.models import Workflow
from esocs.training import services
from esocs.training.models import Comparison
from tests.support.factories import make_workflow
from tests.support.predictions import label, make_model, make_pool, predict

pytestmark = pytest.mark.django_db
SAMPLE = 120


@pytest.fixture
def workflow() -> Workflow:
    return make_workflow(routing={"alpha": 0.05, "delta": 0.05})


@pytest.fixture
def sample(workflow: Workflow) -> list[int]:
    """The reserved calibration sample, which experts answered with 0."""
    ids = make_pool(workflow, SAMPLE)
    ReservedSubject.objects.bulk_create(
        ReservedSubject(workflow=workflow, subject_id=pk, purpose="calibration") for pk in ids
    )
    label(workflow, dict.fromkeys(ids, 0))
    return ids


def model_that_errs(workflow: Workflow, sample: list[int], errors: int, *, surely: bool = False) -> ModelVersion:
    """A model that is wrong on the first `errors` of the sample, as sure of them as of the others or less."""
    model = make_model(workflow)
    answers = {pk: int(i < errors) for i, pk in enumerate(sample)}
    score = {pk: 0.98 if surely or i >= errors else 0.6 for i, pk in enumerate(sample)}
    predict(model, answers, score=score)
    return model


def test_the_first_model_is_promoted(workflow: Workflow, sample: list[int]) -> None:
    model = model_that_errs(workflow, sample, 10)
    comparison = services.compare_and_promote(model)
    assert (comparison.verdict, comparison.champion) == ("promoted", None)
    assert (comparison.blind_subjects, comparison.challenger_errors) == (SAMPLE, 10)
    assert machine.get_champion(workflow) == model
    assert model.state == ModelVersion.State.CHAMPION


def test_a_better_challenger_replaces_the_champion(workflow: Workflow, sample: list[int]) -> None:
    old, new = model_that_errs(workflow, sample, 10), model_that_errs(workflow, sample, 4)
    services.compare_and_promote(old)
    comparison = services.compare_and_promote(new)
    assert (comparison.verdict, comparison.champion) == ("promoted", old)
    assert (comparison.champion_errors, comparison.challenger_errors) == (10, 4)
    assert (comparison.only_champion_wrong, comparison.only_challenger_wrong) == (6, 0)
    assert machine.get_champion(workflow) == new
    old.refresh_from_db()
    assert old.state == ModelVersion.State.RETIRED


def test_a_worse_challenger_is_kept_with_the_reason(workflow: Workflow, sample: list[int]) -> None:
    old, new = model_that_errs(workflow, sample, 4), model_that_errs(workflow, sample, 10)
    services.compare_and_promote(old)
    comparison = services.compare_and_promote(new)
    assert comparison.verdict == "kept"
    assert "10 errors on 120" in comparison.reason
    assert machine.get_champion(workflow) == old
    new.refresh_from_db()
    assert new.state == ModelVersion.State.CANDIDATE


def test_a_challenger_that_may_accept_less_is_kept(workflow: Workflow, sample: list[int]) -> None:
    old, new = model_that_errs(workflow, sample, 8), model_that_errs(workflow, sample, 8, surely=True)
    services.compare_and_promote(old)
    comparison = services.compare_and_promote(new)
    assert comparison.verdict == "kept"
    assert comparison.champion_accepted_share is not None
    assert comparison.challenger_accepted_share < comparison.champion_accepted_share
    assert machine.get_champion(workflow) == old


def test_comparing_again_returns_the_first_verdict(workflow: Workflow, sample: list[int]) -> None:
    first, second = model_that_errs(workflow, sample, 10), model_that_errs(workflow, sample, 4)
    made = services.compare_and_promote(first)
    services.compare_and_promote(second)
    assert services.compare_and_promote(first) == made
    assert machine.get_champion(workflow) == second
    assert Comparison.objects.count() == 2


def test_the_way_back_is_to_promote_the_older_one(workflow: Workflow, sample: list[int]) -> None:
    old, new = model_that_errs(workflow, sample, 10), model_that_errs(workflow, sample, 4)
    for model in (old, new):
        services.compare_and_promote(model)
    machine.promote(old)
    assert machine.get_champion(workflow) == old


def test_without_a_labelled_blind_sample_nothing_is_compared(workflow: Workflow) -> None:
    model = make_model(workflow)
    for step in (lambda: services.compare_and_promote(model), lambda: services.calibrate(model)):
        with pytest.raises(services.NoBlindSampleError) as refused:
            step()
        assert (refused.value.code, refused.value.status) == ("no_blind_sample", 409)
    assert not Comparison.objects.exists()


def test_a_model_that_predicted_nothing_of_the_sample_is_not_promoted(workflow: Workflow, sample: list[int]) -> None:
    with pytest.raises(services.NoBlindSampleError):
        services.compare_and_promote(make_model(workflow))
    assert not ModelVersion.objects.filter(state="champion").exists()
