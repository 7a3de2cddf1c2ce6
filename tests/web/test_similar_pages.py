"""More like this, the oddest first, and pictures that are made when somebody looks."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from esocs.archive.models import Shard
from esocs.machine.models import EMBEDDING_DIMENSIONS, ModelVersion, Prediction, Route, RoutingPolicy
from esocs.machine.services import promote
from esocs.projects.models import Media, Workflow
from tests.support import factories
from tests.support.predictions import make_model, make_pool

pytestmark = pytest.mark.django_db

Open = Callable[..., Any]
COUNT = 60


@pytest.fixture
def workflow() -> Workflow:
    return factories.make_workflow()


@pytest.fixture
def pool(workflow: Workflow) -> list[int]:
    """Subjects along a line, each a step farther from the first."""
    ids = make_pool(workflow, COUNT)
    model: ModelVersion = make_model(workflow)
    promote(model)
    angles = np.linspace(0, 1, COUNT)
    predictions = Prediction.objects.bulk_create(
        Prediction(
            subject_id=pk, model_version=model, probabilities=[0.8, 0.1, 0.1] if i % 3 else [0.1, 0.8, 0.1],
            embedding=[np.cos(angle), np.sin(angle)] + [0.0] * (EMBEDDING_DIMENSIONS - 2),
        )
        for i, (pk, angle) in enumerate(zip(ids, angles, strict=True))
    )  # fmt: skip
    policy = RoutingPolicy.objects.create(
        model_version=model, number=1, alpha=0.01, delta=0.05, audit_share=0.02, ood_p_min=0.01, calibrated_on=0
    )
    Route.objects.bulk_create(
        Route(
            prediction=row, policy=policy, decision="accept" if i % 2 else "volunteers", reason="none",
            answer=int(i % 3 == 0), score=0.8, probability=0.8, ood_p=0.02, ood_distance=angle, information_bits=1.0,
        )
        for i, (row, angle) in enumerate(zip(predictions, angles, strict=True))
    )  # fmt: skip
    return ids


@pytest.fixture
def visit(client: Client, workflow: Workflow) -> Open:
    client.force_login(workflow.project.owner)

    def get(page: str, **query: Any) -> Any:
        return client.get(f"/projects/{workflow.project.slug}/workflows/{workflow.pk}/{page}/", query)

    return get


def write_shards() -> None:
    """Noise for every plane of the pool."""
    for shard in Shard.objects.all():
        path = settings.SHARD_ROOT / shard.path
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.random.default_rng(1).normal(size=(COUNT, 128, 128)).astype(np.float16))


def shown(answer: Any) -> list[int]:
    """The subjects of the tiles, in their order."""
    assert answer.status_code == 200
    return [int(pk) for pk in re.findall(r'class="tile-picture[^>]*results/(\d+)/"', answer.content.decode())]


def test_a_subjects_page_shows_those_most_like_it(visit: Open, pool: list[int]) -> None:
    write_shards()
    answer = visit(f"results/{pool[0]}")
    assert shown(answer) == pool[1:9]
    assert f"results/{pool[0]}/similar/" in answer.content.decode()


def test_a_subject_that_no_champion_has_seen_has_no_such_part(visit: Open, workflow: Workflow, pool: list[int]) -> None:
    (stranger,) = make_pool(workflow, 1)
    Prediction.objects.all().delete()
    answer = visit(f"results/{pool[0]}/similar")
    assert "has not looked at this subject yet" in answer.content.decode()
    assert visit(f"results/{stranger + 1}/similar").status_code == 404


def test_more_like_this_goes_on_and_takes_filters(visit: Open, pool: list[int]) -> None:
    assert shown(visit(f"results/{pool[0]}/similar")) == pool[1:25]
    assert shown(visit(f"results/{pool[0]}/similar", route="accept", answer="1")) == pool[3::6]
    assert shown(visit(f"results/{pool[0]}/similar", route="nonsense", answer="x")) == pool[1:25]


def test_the_oddest_come_first_and_the_pages_follow_each_other(visit: Open, pool: list[int]) -> None:
    first = visit("oddest")
    assert shown(first) == pool[::-1][:24]
    listed = shown(first)
    while follow := re.search(r'href="\?(?:[^"]*&amp;)?after=([^"&]+)"', first.content.decode()):
        first = visit("oddest", after=follow.group(1))
        listed += shown(first)
    assert listed == pool[::-1]


def test_the_oddest_take_filters_and_htmx_gets_the_grid_alone(
    visit: Open, client: Client, workflow: Workflow, pool: list[int]
) -> None:
    assert shown(visit("oddest", route="volunteers", answer="1")) == pool[::6][::-1]
    assert "No subject fits" in visit("oddest", answer="2").content.decode()
    for nonsense in ("nan,1", "1", "1,x", "inf,3", "0.5,-2"):
        assert shown(visit("oddest", after=nonsense)) == pool[::-1][:24]
    path = f"/projects/{workflow.project.slug}/workflows/{workflow.pk}/oddest/"
    alone = client.get(path, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in alone
    assert 'id="oddest-grid"' in alone


def test_before_anything_was_routed_the_page_says_so(visit: Open) -> None:
    assert "Nothing has been routed yet" in visit("oddest").content.decode()


def test_a_picture_is_made_when_somebody_looks_and_once(visit: Open, pool: list[int]) -> None:
    write_shards()
    text = visit("oddest").content.decode()
    assert f"results/{pool[-1]}/picture/" in text
    answer = visit(f"results/{pool[-1]}/picture")
    media = Media.objects.get(subject=pool[-1], role="location")
    assert (answer.status_code, answer["Location"]) == (302, media.url)
    assert visit(f"results/{pool[-1]}/picture")["Location"] == media.url
    assert media.url in visit("oddest").content.decode()


def test_a_subject_without_a_plane_has_no_picture_to_make(visit: Open, workflow: Workflow) -> None:
    (subject,) = factories.publish(workflow)
    Media.objects.filter(subject=subject).delete()
    assert visit(f"results/{subject.pk}/picture").status_code == 404


def test_more_tiles_cost_no_more_statements(visit: Open, pool: list[int]) -> None:
    visit("oddest")
    with CaptureQueriesContext(connection) as few:
        assert len(shown(visit("oddest", route="accept", answer="1"))) == 10
    with CaptureQueriesContext(connection) as many:
        assert len(shown(visit("oddest"))) == 24
    assert len(many) == len(few)
