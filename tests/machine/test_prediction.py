"""Predictions: one a subject and model version, whatever is repeated, cut off or lost on the way."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

import esocs.machine.tasks  # noqa: F401  # registers the handlers of the jobs
from classifier.forward import Forward
from classifier.shards import open_shard
from esocs.jobs import services as jobs
from esocs.jobs import tasks
from esocs.jobs.models import Job
from esocs.machine import prediction, queries
from esocs.machine.copying import copy_predictions
from esocs.machine.models import EMBEDDING_DIMENSIONS, Prediction
from tests.support.factories import make_workflow
from tests.support.networks import make_shard, make_tiny_model
from tests.support.predictions import make_model, make_pool, predict
from tests.support.survey import replay, run_jobs

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_process() -> None:
    """A predictor opened by another test is not this one's."""
    prediction._predictors.clear()


def rows(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(size=(count, EMBEDDING_DIMENSIONS)).astype(np.float32)
    return {
        "probabilities": rng.dirichlet(np.ones(3), count).astype(np.float32),
        "embeddings": embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True),
        "strangeness": rng.normal(size=count).astype(np.float32),
    }


def test_what_is_copied_is_read_back_number_for_number() -> None:
    workflow = make_workflow()
    pool = make_pool(workflow, 5)
    model, written = make_model(workflow), rows(5)
    copy_predictions(model_version_id=model.pk, subject_ids=np.array(pool), **written)
    stored = list(Prediction.objects.filter(model_version=model).order_by("subject_id"))
    assert [row.subject_id for row in stored] == pool
    assert [row.strangeness for row in stored] == [float(value) for value in written["strangeness"]]
    for row, probabilities, embedding in zip(stored, written["probabilities"], written["embeddings"], strict=True):
        assert row.probabilities == [float(p) for p in probabilities]
        # pgvector writes as many digits as tell a half-precision number from its neighbours.
        np.testing.assert_array_equal(np.array(row.embedding, dtype=np.float16), embedding.astype(np.float16))
        assert row.created_at is not None


def test_copying_again_keeps_the_first_and_adds_what_is_missing() -> None:
    workflow = make_workflow()
    pool = make_pool(workflow, 4)
    model, first = make_model(workflow), rows(2)
    copy_predictions(model_version_id=model.pk, subject_ids=np.array(pool[:2]), **first)
    copy_predictions(model_version_id=model.pk, subject_ids=np.array(pool[::-1]), **rows(4, seed=1))
    table = queries.read_predictions(model)
    assert sorted(table.subject_ids.tolist()) == pool
    np.testing.assert_allclose(table.probabilities[:2], first["probabilities"])


def test_a_shard_is_predicted_as_its_network_says() -> None:
    workflow = make_workflow()
    shard, subjects = make_shard(workflow, 21)
    model = make_tiny_model(workflow)
    prediction.order_predictions(model)
    assert run_jobs() == 1
    table = queries.read_predictions(model)
    assert table.subject_ids.tolist() == subjects
    planes = np.array(open_shard(settings.SHARD_ROOT / shard.path))
    expected = prediction.open_predictor(model).predict(planes)
    np.testing.assert_allclose(table.probabilities, expected.probabilities["T0"], atol=1e-6)
    np.testing.assert_allclose(table.embeddings, expected.embeddings, atol=2e-3)


def test_predicting_again_changes_nothing_and_computes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    workflow = make_workflow()
    make_shard(workflow, 9)
    model = make_tiny_model(workflow)
    prediction.order_predictions(model)
    run_jobs()
    before = list(Prediction.objects.order_by("id").values_list("id", "created_at"))
    monkeypatch.setattr(Forward, "__call__", lambda self, planes: pytest.fail("nothing is left to compute"))
    assert replay("machine.predict") == 1
    assert list(Prediction.objects.order_by("id").values_list("id", "created_at")) == before


def test_only_subjects_that_the_model_has_not_seen_are_computed() -> None:
    workflow = make_workflow()
    shard, subjects = make_shard(workflow, 12)
    model = make_tiny_model(workflow)
    predict(model, dict.fromkeys(subjects[::3], 0))
    seen: list[int] = []
    prediction.predict_shard(model=model, shard=shard, report_progress=lambda done, total: seen.append(total))()
    assert set(seen) == {8}
    planes = np.array(open_shard(settings.SHARD_ROOT / shard.path))
    expected = prediction.open_predictor(model).predict(planes[[1, 2, 4]])
    table = queries.read_predictions(model, subject_ids=[subjects[1], subjects[2], subjects[4]])
    np.testing.assert_allclose(table.probabilities, expected.probabilities["T0"], atol=1e-6)


def test_a_new_model_is_looked_up_by_subject_whatever_the_statistics_say() -> None:
    workflow = make_workflow()
    shard, subjects = make_shard(workflow, 300)
    predict(make_model(workflow), dict.fromkeys(subjects, 0))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE machine_prediction, projects_setmembersubject")
        cursor.execute("SET LOCAL enable_seqscan = off")
        with CaptureQueriesContext(connection) as captured:
            queries.list_unpredicted(model=make_model(workflow), shard=shard)
        cursor.execute(f"EXPLAIN {captured[-1]['sql']}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "prediction_unique" in plan
    assert "machine_prediction_model_version" not in plan
    assert "set_member_by" not in plan


class Lost:
    """A forward pass whose GPU is lost after a number of batches."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, after: int) -> None:
        self.left, self._forward = after, Forward.__call__
        # A method of the class would take this object for the pass it is called on.
        monkeypatch.setattr(Forward, "__call__", lambda *batch: self.compute(*batch))  # noqa: PLW0108

    def compute(self, forward: Forward, planes: torch.Tensor) -> torch.Tensor:
        if self.left == 0:
            raise torch.AcceleratorError("CUDA error: device-side failure")
        self.left -= 1
        return self._forward(forward, planes)


def test_a_gpu_lost_in_the_middle_of_a_shard_gives_it_back_and_ends_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workflow = make_workflow()
    make_shard(workflow, 40)
    model = make_tiny_model(workflow)
    (job_id,) = prediction.order_predictions(model)
    lost = Lost(monkeypatch, after=1)
    with pytest.raises(SystemExit):
        tasks.run(job_id)
    job = Job.objects.get(pk=job_id)
    assert (job.state, job.attempts) == (Job.State.QUEUED, 1)
    assert job.last_error.startswith("device_lost: The GPU failed: CUDA error: device-side failure")
    assert not Prediction.objects.exists()

    lost.left = -1
    prediction._predictors.clear()  # what the fresh process begins with
    jobs.drain([job_id])
    assert Job.objects.get(pk=job_id).state == Job.State.DONE
    assert Prediction.objects.filter(model_version=model).count() == 40


def test_a_large_shard_goes_on_behind_what_a_lost_attempt_had_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction, "ROWS_HELD", 16)
    workflow = make_workflow()
    shard, subjects = make_shard(workflow, 60)
    model = make_tiny_model(workflow)
    opened = prediction.open_predictor(model)
    opened._engine.batch_size = 8
    Lost(monkeypatch, after=7)
    with pytest.raises(Exception, match="device-side failure"):
        prediction.predict_shard(model=model, shard=shard)
    kept = dict(Prediction.objects.values_list("subject_id", "id"))
    assert 0 < len(kept) < 60
    assert len(kept) % 16 == 0

    monkeypatch.undo()
    computed: list[int] = []
    effect = prediction.predict_shard(
        model=model, shard=shard, report_progress=lambda done, total: computed.append(total)
    )
    effect()
    assert set(computed) == {60 - len(kept)}
    found = dict(Prediction.objects.values_list("subject_id", "id"))
    assert sorted(found) == subjects
    assert {pk: found[pk] for pk in kept} == kept


def test_a_prediction_with_exchanged_weights_fails_by_name_and_writes_nothing() -> None:
    workflow = make_workflow()
    make_shard(workflow, 4)
    model = make_tiny_model(workflow)
    (job_id,) = prediction.order_predictions(model)
    (settings.WEIGHTS_ROOT / model.weights_path).write_bytes(pickle.dumps({"weights": 1}))
    tasks.run(job_id)
    assert Job.objects.get(pk=job_id).last_error.startswith("weights_changed: ")
    assert not Prediction.objects.exists()


def test_ordering_asks_the_database_the_same_few_questions_however_many_shards_there_are() -> None:
    workflow = make_workflow()
    model = make_model(workflow)

    def count_queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            prediction.order_predictions(model)
        return len(captured)

    make_pool(workflow, 2)
    few = count_queries()
    for _ in range(6):
        make_pool(workflow, 1)
    assert count_queries() == few
    assert Job.objects.filter(kind="machine.predict").count() == 7


def test_subjects_without_a_plane_are_not_ordered() -> None:
    from tests.support.factories import make_subject

    workflow = make_workflow()
    make_subject(workflow.project, published_in=workflow)
    assert prediction.order_predictions(make_model(workflow)) == []


def test_a_device_that_is_not_there_is_named(settings: Any) -> None:
    settings.TORCH_DEVICE = "cuda:97"
    workflow = make_workflow()
    make_shard(workflow, 1)
    model = make_tiny_model(workflow)
    (job_id,) = prediction.order_predictions(model)
    jobs.run_job(job_id)
    assert Job.objects.get(pk=job_id).last_error.startswith("device_missing: This machine has no 'cuda:97'")
