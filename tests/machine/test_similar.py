"""Similar subjects and the anomaly order: the same answers with an index and without, and indexes that come and go."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from django.db import connection

from esocs.jobs.models import Job
from esocs.jobs.registry import JobContext, get_handler
from esocs.machine import (
    similar,
    tasks,  # noqa: F401 - registers the handlers
)
from esocs.machine.models import EMBEDDING_DIMENSIONS, ModelVersion, Prediction, Route, RoutingPolicy
from esocs.machine.services import promote
from tests.support.factories import make_workflow
from tests.support.predictions import make_model, make_pool

COUNT = 400


def run(kind: str, *, key: str = "slot/1", **payload: Any) -> None:
    context = JobContext(id=0, kind=kind, key=key, attempt=1, payload=payload, report_progress=lambda *_: None)
    effect = get_handler(kind)(context)
    if effect is not None:
        effect()


class Sky:
    """A champion whose embeddings are known, each subject routed."""

    def __init__(self, *, count: int = COUNT) -> None:
        self.workflow = make_workflow()
        self.subjects = make_pool(self.workflow, count)
        self.model: ModelVersion = make_model(self.workflow)
        promote(self.model)
        random = np.random.default_rng(6)
        drawn = random.normal(size=(count, EMBEDDING_DIMENSIONS)) + 3 * random.normal(size=EMBEDDING_DIMENSIONS)
        self.embeddings = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float16).astype(np.float32)
        self.predictions = self.predict(self.model)
        self.policy = RoutingPolicy.objects.create(
            model_version=self.model, number=1, alpha=0.01, delta=0.05, audit_share=0.02, ood_p_min=0.01,
            calibrated_on=0,
        )  # fmt: skip
        Route.objects.bulk_create(
            Route(
                prediction=prediction, policy=self.policy, decision="accept" if i % 4 else "volunteers", reason="none",
                answer=2 if i == 7 else i % 2, score=0.9, probability=0.9, ood_p=0.5, ood_distance=(i // 2) / count,
                information_bits=0.4,
            )
            for i, prediction in enumerate(self.predictions)
        )  # fmt: skip

    def predict(self, model: ModelVersion) -> list[Prediction]:
        return Prediction.objects.bulk_create(
            Prediction(subject_id=pk, model_version=model, probabilities=[0.9, 0.05, 0.05], embedding=vector.tolist())
            for pk, vector in zip(self.subjects, self.embeddings, strict=True)
        )

    def nearest(self, place: int, among: list[int]) -> list[int]:
        distances = np.linalg.norm(self.embeddings[among] - self.embeddings[place], axis=1)
        return [self.subjects[among[i]] for i in np.argsort(distances, kind="stable")]


def found(sky: Sky, place: int, **asked: Any) -> list[int]:
    return [one.subject_id for one in similar.find_similar(sky.model, sky.subjects[place], **asked)]


@pytest.mark.django_db
def test_the_nearest_come_first_with_their_distance_and_without_the_subject_itself() -> None:
    sky = Sky()
    others = [i for i in range(COUNT) if i != 5]
    assert found(sky, 5, limit=20) == sky.nearest(5, others)[:20]
    first = similar.find_similar(sky.model, sky.subjects[5], limit=1)[0]
    place = sky.subjects.index(first.subject_id)
    assert first.distance == pytest.approx(np.linalg.norm(sky.embeddings[place] - sky.embeddings[5]), abs=2e-3)


@pytest.mark.django_db
def test_filters_leave_only_what_was_routed_like_that() -> None:
    sky = Sky()
    sent = similar.RouteFilter(policy_id=sky.policy.pk, decision="volunteers")
    assert found(sky, 5, limit=10, among=sent) == sky.nearest(5, [i for i in range(COUNT) if i % 4 == 0])[:10]
    rare = similar.RouteFilter(policy_id=sky.policy.pk, decision="accept", answer=2)
    assert found(sky, 5, limit=10, among=rare) == [sky.subjects[7]]


@pytest.mark.django_db
def test_filters_find_the_same_whether_what_they_leave_is_rare_or_not(monkeypatch: Any) -> None:
    sky = Sky()
    sent = similar.RouteFilter(policy_id=sky.policy.pk, decision="volunteers", answer=0)
    one_by_one = found(sky, 5, limit=10, among=sent)
    monkeypatch.setattr(similar, "RARE", 0)
    assert found(sky, 5, limit=10, among=sent) == one_by_one
    assert len(found(sky, 5, limit=200, among=sent)) == 100


@pytest.mark.django_db
def test_a_subject_that_the_model_has_not_looked_at_has_no_neighbours() -> None:
    sky = Sky(count=8)
    (stranger,) = make_pool(sky.workflow, 1)
    assert similar.find_similar(sky.model, stranger) == []


@pytest.mark.django_db
def test_the_oddest_come_first_and_pages_leave_out_and_repeat_nobody() -> None:
    sky = Sky()
    every = similar.RouteFilter(policy_id=sky.policy.pk)
    listed: list[int] = []
    place = None
    while page := similar.list_oddest(every, after=place, limit=30):
        listed += [one.route_id for one in page]
        place = page[-1]
    # Two subjects each lie equally far: a page may end between them.
    assert listed == list(Route.objects.order_by("-ood_distance", "-id").values_list("id", flat=True))
    assert len(listed) == COUNT
    rare = similar.list_oddest(similar.RouteFilter(policy_id=sky.policy.pk, answer=2, decision="accept"))
    assert [Route.objects.get(pk=one.route_id).answer for one in rare] == [2]


@pytest.mark.django_db
def test_a_route_of_unknown_distance_is_in_no_order() -> None:
    sky = Sky(count=6)
    Route.objects.filter(prediction=sky.predictions[0]).update(ood_distance=None)
    assert len(similar.list_oddest(similar.RouteFilter(policy_id=sky.policy.pk))) == 5


@pytest.mark.django_db
def test_a_page_of_the_oddest_is_read_from_the_index() -> None:
    sky = Sky(count=3000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE machine_route")
    sent = similar.RouteFilter(policy_id=sky.policy.pk, decision="volunteers", answer=0)
    seen: list[str] = []

    def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "ood_distance" in sql and not sql.startswith("EXPLAIN"):
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN " + sql, params)
                seen.append("\n".join(line for (line,) in cursor.fetchall()))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        first = similar.list_oddest(sent, limit=10)
        similar.list_oddest(sent, after=first[-1], limit=10)
    assert all("route_policy_oddest" in plan and "Sort" not in plan for plan in seen)
    assert len(seen) == 2


@pytest.mark.django_db(transaction=True)
def test_a_champion_gets_an_index_which_finds_the_same_and_replaying_changes_nothing(monkeypatch: Any) -> None:
    sky = Sky()
    exact = [found(sky, place, limit=20) for place in range(10)]
    monkeypatch.setattr(similar, "INDEXED_FROM", COUNT)
    run("machine.tend_indexes")
    job = Job.objects.get(kind="machine.index_embeddings")
    run("machine.index_embeddings", **job.payload)
    assert similar.has_index(sky.model.pk)
    assert similar.build_index(sky.model) is False
    indexed = [found(sky, place, limit=20) for place in range(10)]
    shared = np.mean([len({*a} & {*b}) / 20 for a, b in zip(exact, indexed, strict=True)])
    assert shared >= 0.95
    rare = similar.RouteFilter(policy_id=sky.policy.pk, answer=2)
    assert found(sky, 5, limit=10, among=rare) == [sky.subjects[7]]
    run("machine.tend_indexes", key="slot/2")
    assert Job.objects.filter(kind="machine.index_embeddings").count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_index_of_a_replaced_champion_is_dropped_and_a_small_one_gets_none() -> None:
    sky = Sky(count=20)
    assert similar.build_index(sky.model)
    promote(make_model(sky.workflow))
    assert similar.build_index(ModelVersion.objects.get(pk=sky.model.pk)) is False
    run("machine.tend_indexes")
    assert not similar.has_index(sky.model.pk)
    assert not Job.objects.filter(kind="machine.index_embeddings").exists()
    assert len(found(sky, 3, limit=5)) == 5


@pytest.mark.django_db(transaction=True)
def test_no_index_is_ordered_while_predictions_are_written(monkeypatch: Any) -> None:
    sky = Sky(count=20)
    monkeypatch.setattr(similar, "INDEXED_FROM", 20)
    Job.objects.create(kind="machine.predict", key="shard/1", queue="gpu", group=f"classify/{sky.model.pk}")
    run("machine.tend_indexes")
    assert not Job.objects.filter(kind="machine.index_embeddings").exists()


@pytest.mark.django_db(transaction=True)
def test_an_index_makes_way_for_a_large_order_and_stays_for_a_small_one() -> None:
    sky = Sky(count=40)
    assert similar.build_index(sky.model)
    Job.objects.create(kind="machine.predict", key="shard/1", queue="gpu", group=f"classify/{sky.model.pk}")
    make_pool(sky.workflow, 5)
    run("machine.tend_indexes")
    assert similar.has_index(sky.model.pk)
    make_pool(sky.workflow, 10)
    run("machine.tend_indexes")
    assert not similar.has_index(sky.model.pk)


@pytest.mark.django_db(transaction=True)
def test_what_an_interrupted_build_left_is_built_anew() -> None:
    sky = Sky(count=20)
    assert similar.build_index(sky.model)
    with connection.cursor() as cursor:
        # As PostgreSQL leaves an index whose concurrent build was cut off.
        cursor.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", [similar.index_name(sky.model.pk)]
        )
    assert not similar.has_index(sky.model.pk)
    assert similar.build_index(sky.model)
    assert similar.has_index(sky.model.pk)
    similar.drop_index(sky.model.pk)
