"""Model versions: numbered, one champion at most, each subject predicted once by each."""

from __future__ import annotations

import pytest
from django.db import DataError, IntegrityError, transaction

from esocs.machine import prediction, queries, services
from esocs.machine.models import EMBEDDING_DIMENSIONS, ModelVersion, Prediction
from tests.support.factories import make_workflow
from tests.support.predictions import make_model, make_pool, predict

pytestmark = pytest.mark.django_db


def test_versions_are_numbered_within_their_workflow() -> None:
    first, second = make_workflow(), make_workflow()
    assert [make_model(first).number, make_model(first).number, make_model(second).number] == [1, 2, 1]
    assert str(make_model(second)) == f"{second} v2"


def test_a_workflow_without_a_model_says_so() -> None:
    with pytest.raises(services.NoChampionError) as refused:
        services.get_champion(make_workflow())
    assert (refused.value.code, refused.value.status) == ("no_champion", 409)


def test_promoting_one_retires_the_one_before_and_leaves_other_workflows_alone() -> None:
    workflow, other = make_workflow(), make_workflow()
    first, second, elsewhere = make_model(workflow), make_model(workflow), make_model(other)
    for model in (elsewhere, first, second):
        services.promote(model)
    assert services.get_champion(workflow) == second
    assert services.get_champion(other) == elsewhere
    first.refresh_from_db()
    assert first.state == ModelVersion.State.RETIRED


def test_promoting_the_older_one_is_the_way_back() -> None:
    workflow = make_workflow()
    first, second = make_model(workflow), make_model(workflow)
    for model in (first, second, first, first):
        services.promote(model)
    assert services.get_champion(workflow) == first
    assert ModelVersion.objects.filter(workflow=workflow, state="champion").count() == 1


def test_the_database_itself_keeps_a_second_champion_out() -> None:
    workflow = make_workflow()
    first, second = make_model(workflow), make_model(workflow)
    services.promote(first)
    with pytest.raises(IntegrityError), transaction.atomic():
        ModelVersion.objects.filter(pk=second.pk).update(state="champion")


def test_a_subject_is_predicted_once_by_a_version() -> None:
    workflow = make_workflow()
    (subject,) = make_pool(workflow, 1)
    model = make_model(workflow)
    predict(model, {subject: 0})
    with pytest.raises(IntegrityError), transaction.atomic():
        predict(model, {subject: 1})
    predict(make_model(workflow), {subject: 1})


def test_an_embedding_of_another_length_is_refused() -> None:
    workflow = make_workflow()
    (subject,) = make_pool(workflow, 1)
    with pytest.raises(DataError), transaction.atomic():
        Prediction.objects.create(
            subject_id=subject,
            model_version=make_model(workflow),
            probabilities=[1.0],
            embedding=[0.0] * (EMBEDDING_DIMENSIONS - 1),
        )


def test_predictions_are_read_as_arrays_in_their_order() -> None:
    workflow = make_workflow()
    pool = make_pool(workflow, 3) + make_pool(workflow, 1, usable=False)
    model = make_model(workflow)
    predict(model, dict(zip(pool, (0, 1, 2, 0), strict=True)), score=0.9)
    table = queries.read_predictions(model)
    assert table.subject_ids.tolist() == pool
    assert table.probabilities.argmax(axis=1).tolist() == [0, 1, 2, 0]
    assert table.embeddings.shape == (4, EMBEDDING_DIMENSIONS)
    assert (abs((table.embeddings**2).sum(axis=1) - 1) < 1e-5).all()
    assert table.usable.tolist() == [True, True, True, False]
    assert queries.read_predictions(model, subject_ids=pool[1:3]).subject_ids.tolist() == pool[1:3]
    nothing = queries.read_predictions(make_model(workflow))
    assert (nothing.probabilities.shape, nothing.embeddings.shape) == ((0, 3), (0, EMBEDDING_DIMENSIONS))


def test_predictions_are_ordered_by_shard_and_again_when_it_grew() -> None:
    workflow = make_workflow()
    make_pool(workflow, 3)
    make_pool(workflow, 2)
    model = make_model(workflow)
    first = prediction.order_predictions(model)
    assert len(first) == 2
    assert prediction.order_predictions(model) == first
    make_pool(workflow, 2)
    assert len(prediction.order_predictions(model)) == 3
    assert prediction.order_predictions(make_model(make_workflow())) == []
