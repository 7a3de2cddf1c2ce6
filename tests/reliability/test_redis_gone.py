"""Without Redis pages answer, answers are stored, jobs wait in the ledger; when it is back they are rung for."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from django.conf import settings as django_settings
from django.core.cache import caches
from django.test import Client

from esocs.config import embedded
from esocs.config.cache import ForgetfulRedisCache
from esocs.crowd.models import Classification
from esocs.jobs import services
from esocs.jobs.models import Job
from tests.support.factories import PASSWORD, make_subject, make_user, make_workflow

KIND = "crowd.publish"


@pytest.fixture
def _no_redis(settings: Any) -> None:
    """The cache's Redis is a socket that nobody listens on."""
    default = {**settings.CACHES["default"], "LOCATION": "unix:///nonexistent/redis.sock"}
    settings.CACHES = {"default": default}


@pytest.fixture
def private_redis(tmp_path: Path) -> Iterator[str]:
    embedded.start_redis(tmp_path)
    yield embedded.redis_url(tmp_path)
    pid = embedded._redis_pid(tmp_path)
    assert pid is not None
    embedded.stop(tmp_path)


def use_broker(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    app = Celery("test", broker=url.replace("unix://", "redis+socket://"), set_as_current=False)
    app.conf.broker_transport_options = django_settings.CELERY_BROKER_TRANSPORT_OPTIONS
    app.conf.task_publish_retry = django_settings.CELERY_TASK_PUBLISH_RETRY
    monkeypatch.setattr("celery.current_app", app)


@pytest.mark.django_db(transaction=True)
def test_jobs_wait_in_the_ledger_and_the_sweeper_rings_when_redis_is_back(
    monkeypatch: pytest.MonkeyPatch, private_redis: str
) -> None:
    use_broker(monkeypatch, "unix:///nonexistent/redis.sock")
    ids = services.enqueue_many(KIND, items=[(str(number), {}) for number in range(3)])
    assert set(Job.objects.values_list("state", "rung_at")) == {("queued", None)}
    use_broker(monkeypatch, private_redis)
    assert services.sweep() == 3
    with redis.Redis.from_url(private_redis) as client:
        messages = [json.loads(message) for message in client.lrange("default", 0, -1)]
    assert sorted(message["headers"]["argsrepr"] for message in messages) == sorted(f"[{job_id}]" for job_id in ids)
    assert not Job.objects.filter(rung_at=None).exists()
    assert services.sweep() == 0


@pytest.mark.django_db(transaction=True)
def test_a_request_that_orders_many_jobs_tries_a_missing_broker_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def refuse(self: Celery, *args: Any, **kwargs: Any) -> None:
        tried.append(1)
        raise ConnectionError("no broker")

    monkeypatch.setattr("celery.app.base.Celery.send_task", refuse)
    services.enqueue_many(KIND, items=[(str(number), {}) for number in range(50)])
    assert len(tried) == 1
    assert Job.objects.filter(state="queued", rung_at=None).count() == 50


@pytest.mark.django_db
@pytest.mark.usefixtures("_no_redis")
def test_health_says_that_redis_is_gone_and_that_it_is_no_outage(client: Client) -> None:
    answer = client.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"postgresql": True, "redis": False})


@pytest.mark.django_db
@pytest.mark.usefixtures("_no_redis")
def test_people_log_in_and_out_without_redis(client: Client) -> None:
    user = make_user("ada")
    assert client.login(username="ada", password=PASSWORD)
    assert client.session["volunteer_id"] == user.volunteer.pk
    assert client.get("/").status_code == 200
    client.logout()
    assert "volunteer_id" not in client.session


@pytest.mark.django_db
@pytest.mark.usefixtures("_no_redis")
def test_an_anonymous_volunteer_takes_a_queue_and_answers_without_redis(client: Client) -> None:
    workflow = make_workflow()
    subject = make_subject(workflow.project, published_in=workflow)
    queue = client.get(f"/api/subjects/queued?workflow_id={workflow.pk}")
    assert queue.status_code == 200
    assert [s["id"] for s in queue.json()["subjects"]] == [str(subject.pk)]
    body = {
        "classifications": {
            "annotations": [{"task": "T0", "value": 1}],
            "metadata": {
                "workflow_version": workflow.version,
                "started_at": "2026-01-01T00:00:00Z",
                "finished_at": "2026-01-01T00:00:05Z",
                "user_agent": "test",
                "user_language": "en",
                "utc_offset": "0",
            },
            "links": {
                "project": str(workflow.project_id),
                "workflow": str(workflow.pk),
                "subjects": [str(subject.pk)],
            },
            "completed": True,
        }
    }
    for _ in range(2):
        answer = client.post("/api/classifications", body, content_type="application/json")
        assert answer.status_code in {200, 201}, answer.content
    assert Classification.objects.count() == 1


@pytest.mark.usefixtures("_no_redis")
def test_a_gone_redis_is_an_empty_cache_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    cache = caches["default"]
    with caplog.at_level(logging.WARNING, logger="esocs.config.cache"):
        cache.set("a", 1)
        assert cache.get("a", 7) == 7
        assert not cache.add("a", 1)
        assert not cache.touch("a")
        assert not cache.delete("a")
        assert "a" not in cache
        assert cache.get_many(["a"]) == {}
        assert cache.set_many({"a": 1}) == ["a"]
        cache.delete_many(["a"])
        assert cache.get_or_set("a", 3) == 3
    assert len(caplog.records) == 1
    assert "Redis does not answer" in caplog.text


def test_a_present_redis_is_a_cache(private_redis: str, settings: Any) -> None:
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": private_redis}}
    cache = caches["default"]
    assert isinstance(cache, ForgetfulRedisCache)
    assert cache.ping()
    cache.set("a", {"b": 1})
    assert cache.get("a") == {"b": 1}
    assert cache.set_many({"c": 1}) == []
    assert cache.get_many(["a", "c"]) == {"a": {"b": 1}, "c": 1}
    assert cache.delete("a")
    assert cache.get("a") is None
