"""A model whose answers are not the workflow's is refused wherever it would come in."""

from __future__ import annotations

import pytest

from classifier.weights import WeightsChangedError, WeightsLabelsError
from esocs.machine import prediction, services
from esocs.machine.models import ModelVersion
from esocs.projects.models import Workflow
from tests.support.factories import ask, make_workflow
from tests.support.networks import make_tiny_model
from tests.support.predictions import make_model

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_process() -> None:
    """A predictor opened by another test is not this one's."""
    prediction._predictors.clear()


@pytest.fixture
def workflow() -> Workflow:
    return make_workflow()


def reworded(workflow: Workflow) -> Workflow:
    """The workflow, its first two answers having changed places."""
    tasks = dict(workflow.tasks)
    first, second, *others = tasks["T0"]["answers"]
    tasks["T0"] = {**tasks["T0"], "answers": [second, first, *others]}
    return ask(workflow, tasks)


@pytest.mark.parametrize("class_names", [("No", "Yes", "Unclear"), ("Yes", "No"), ("Yes", "No", "Unclear", "Else")])
def test_a_model_with_other_answers_is_not_registered(workflow: Workflow, class_names: tuple[str, ...]) -> None:
    with pytest.raises(WeightsLabelsError, match="Unclear") as refused:
        make_model(workflow, class_names=class_names)
    assert (refused.value.code, refused.value.status) == ("weights_labels", 409)
    assert not ModelVersion.objects.exists()


def test_a_model_is_not_promoted_after_the_answers_changed(workflow: Workflow) -> None:
    model = make_model(workflow)
    reworded(workflow)
    with pytest.raises(WeightsLabelsError, match="retrain"):
        services.promote(model)
    model.refresh_from_db()
    assert model.state == ModelVersion.State.CANDIDATE


def test_a_model_is_not_opened_after_the_answers_changed_not_even_one_that_was_open(workflow: Workflow) -> None:
    model = make_tiny_model(workflow)
    prediction.open_predictor(model)
    reworded(workflow)
    with pytest.raises(WeightsLabelsError):
        prediction.open_predictor(ModelVersion.objects.get(pk=model.pk))


def test_a_file_with_another_card_than_the_row_says_is_not_opened(workflow: Workflow) -> None:
    model = make_tiny_model(workflow)
    workflow = ask(workflow, workflow.tasks, {workflow.tasks["T0"]["answers"][0]["label"]: "Perhaps"})
    ModelVersion.objects.filter(pk=model.pk).update(class_names=["Perhaps", "No", "Unclear"])
    with pytest.raises(WeightsLabelsError, match="Perhaps"):
        prediction.open_predictor(ModelVersion.objects.get(pk=model.pk))


def test_a_file_that_was_exchanged_is_not_opened(workflow: Workflow, settings: object) -> None:
    model = make_tiny_model(workflow)
    path = settings.WEIGHTS_ROOT / model.weights_path  # type: ignore[attr-defined]
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(WeightsChangedError):
        prediction.open_predictor(model)
