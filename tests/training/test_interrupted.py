"""A training that is cut off is finished by the next attempt, as the same run and the same model version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from esocs.archive.models import Shard
from esocs.machine.models import ModelVersion, Prediction, ReservedSubject
from esocs.machine.queries import list_reserved
from esocs.projects.models import Workflow
from esocs.training import services
from esocs.training.models import TrainingRun
from tests.support.factories import make_workflow
from tests.support.predictions import label, make_model, make_pool, predict

pytestmark = pytest.mark.django_db


class KilledError(Exception):
    """Stands for the end of the worker's process."""


@pytest.fixture
def workflow(monkeypatch: pytest.MonkeyPatch) -> Workflow:
    """A workflow with a labelled seed, whose networks are trained in no time."""
    workflow = make_workflow()
    # Each pool lies in a shard of its own: the blind sample, which is predicted at once, in two.
    seed, calibration = make_pool(workflow, 6), [*make_pool(workflow, 4), *make_pool(workflow, 2)]
    for purpose, ids in (("seed", seed), ("calibration", calibration)):
        ReservedSubject.objects.bulk_create(
            ReservedSubject(workflow=workflow, subject_id=pk, purpose=purpose) for pk in ids
        )
    label(workflow, dict.fromkeys(seed, 0))

    def train(run: TrainingRun, configuration: Any, report_progress: Any) -> ModelVersion:
        model = make_model(workflow, trained_on=seed)
        TrainingRun.objects.filter(pk=run.pk).update(model_version=model)
        return model

    monkeypatch.setattr(services, "_train", train)
    return workflow


def use_predictor(monkeypatch: pytest.MonkeyPatch, *, dies_after: int) -> None:
    """Predictions by shard; the process dies when so many shards are done."""
    done: list[int] = []

    def predict_subjects(*, model: ModelVersion, shard: Shard, subjects: dict[int, int]) -> Callable[[], None]:
        if len(done) >= dies_after:
            raise KilledError
        done.append(shard.pk)
        return lambda: predict(model, dict.fromkeys(subjects.values(), 0))

    monkeypatch.setattr(services.prediction, "predict_subjects", predict_subjects)


@pytest.mark.parametrize("dies_after", [0, 1])
def test_predictions_that_an_interrupted_attempt_left_out_are_made_by_the_next(
    workflow: Workflow, monkeypatch: pytest.MonkeyPatch, dies_after: int
) -> None:
    use_predictor(monkeypatch, dies_after=dies_after)
    with pytest.raises(KilledError):
        services.train_challenger(workflow)
    use_predictor(monkeypatch, dies_after=9)
    model = services.train_challenger(workflow)
    assert ModelVersion.objects.get() == model
    assert TrainingRun.objects.get().model_version == model
    predicted = Prediction.objects.filter(model_version=model).values_list("subject_id", flat=True)
    assert sorted(predicted) == sorted(list_reserved(workflow.pk, "calibration"))


def test_training_again_on_the_same_set_finds_the_finished_run(
    workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_predictor(monkeypatch, dies_after=9)
    model = services.train_challenger(workflow)
    use_predictor(monkeypatch, dies_after=0)
    assert services.train_challenger(workflow) == model


def test_another_seed_is_another_run(workflow: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    use_predictor(monkeypatch, dies_after=9)
    first, second = (services.train_challenger(workflow, seed=seed) for seed in (0, 1))
    assert first != second
    assert TrainingRun.objects.count() == 2
