"""Which network is trained is asked for by name; an ensemble is one model version with one file."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.core.management import call_command

import classifier.training
from esocs.jobs.models import Job
from esocs.machine import prediction
from esocs.machine.models import ModelVersion, Prediction, ReservedSubject
from esocs.projects.models import Workflow
from esocs.training import services
from esocs.training.models import TrainingRun
from esocs.training.rules import InvalidNetworkWishError, NetworkWish
from tests.support.factories import make_workflow
from tests.support.networks import make_shard
from tests.support.predictions import label

pytestmark = pytest.mark.django_db


@pytest.fixture
def workflow(monkeypatch: pytest.MonkeyPatch) -> Workflow:
    """A workflow with a shard of noise, a labelled seed and calibration sample, trained in two steps."""
    brief = replace(classifier.training.IMAGE_TRAINING, least_steps=2, most_steps=2, batch_size=4, strangeness_steps=2)
    monkeypatch.setattr(classifier.training, "IMAGE_TRAINING", brief)
    prediction._predictors.clear()
    workflow = make_workflow()
    _, subjects = make_shard(workflow, 16)
    for i, pk in enumerate(subjects):
        purpose = "seed" if i < 12 else "calibration"
        ReservedSubject.objects.create(workflow=workflow, subject_id=pk, purpose=purpose)
    label(workflow, {pk: i % 3 for i, pk in enumerate(subjects)})
    return workflow


def test_an_ensemble_is_trained_registered_and_predicts_as_one_version(workflow: Workflow) -> None:
    model = services.train_challenger(workflow, wish=NetworkWish(members=3))
    assert ModelVersion.objects.get() == model
    assert TrainingRun.objects.get().configuration["members"] == 3
    assert Prediction.objects.filter(model_version=model).count() == 4  # of the blind sample
    assert len(list(services.settings.WEIGHTS_ROOT.rglob("*.safetensors"))) == 1


def test_another_wish_is_another_run_and_the_same_wish_the_same(workflow: Workflow) -> None:
    one, two = (services.train_challenger(workflow, wish=NetworkWish(members=n)) for n in (1, 2))
    assert one != two
    assert services.train_challenger(workflow, wish=NetworkWish(members=2)) == two


@pytest.mark.parametrize("members", [0, -1, 17, True, 2.5])
def test_a_number_of_members_that_makes_no_sense_is_refused(members: int) -> None:
    with pytest.raises(InvalidNetworkWishError):
        NetworkWish(members=members)


def test_an_unknown_size_is_refused_with_those_there_are(workflow: Workflow) -> None:
    with pytest.raises(InvalidNetworkWishError, match="nano"):
        services.train_challenger(workflow, wish=NetworkWish(size="huge"))


def test_an_image_encoder_is_refused_for_spectra(workflow: Workflow) -> None:
    Workflow.objects.filter(pk=workflow.pk).update(subject_kind="spectrum")
    with pytest.raises(InvalidNetworkWishError, match="spectra"):
        services.train_challenger(Workflow.objects.get(pk=workflow.pk), wish=NetworkWish(encoder="resnet18"))


def test_the_command_trains_what_it_is_asked_for(workflow: Workflow, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("retrain", "--project", workflow.project.slug, "--members", "2")
    assert "promoted" in capsys.readouterr().out
    assert Job.objects.get(kind="training.retrain").payload["network"] == {"size": "yocto", "encoder": "", "members": 2}
    assert ModelVersion.objects.get().card["config"]["members"] == 2
