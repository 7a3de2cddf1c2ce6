"""A real gpu worker loses its GPU in the middle of a shard: a fresh child finishes it, and nothing is doubled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from celery import Celery
from django.db import connection

from esocs.config import embedded, processes
from esocs.jobs.models import Job
from esocs.jobs.services import sweep
from esocs.machine import prediction
from esocs.machine.models import Prediction
from tests.support.factories import make_workflow
from tests.support.networks import make_shard, make_tiny_model

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 150


@pytest.fixture
def worker(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    var = tmp_path / "var"
    var.mkdir()
    embedded.start_redis(var)
    broker = embedded.redis_url(var).replace("unix://", "redis+socket://")
    monkeypatch.setattr("celery.current_app", Celery("test", broker=broker, set_as_current=False))
    address = urlsplit(settings.DATABASE_URL)._replace(path=f"/{connection.settings_dict['NAME']}")
    environment = {
        **os.environ,
        "DATABASE_URL": address.geturl(),
        "REDIS_URL": embedded.redis_url(var),
        "ESOCS_VAR": str(var),
        "ESOCS_SHARD_ROOT": str(settings.SHARD_ROOT),
        "ESOCS_WEIGHTS_ROOT": str(settings.WEIGHTS_ROOT),
        "ESOCS_SECRET_KEY": "k" * 50,
        "ESOCS_TEST_GPU_LOST": str(tmp_path / "lost"),
        "ESOCS_TORCH_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    program, *options = processes.worker_command(name="test", queues=("gpu",), concurrency=1)
    options[options.index("esocs.config.celery")] = "tests.reliability.lost_gpu_worker"
    command = [str(Path(sys.executable).parent / program), *options]
    with (tmp_path / "worker.log").open("wb") as log:
        started = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        yield started
    finally:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()
        embedded.stop(var)


@pytest.mark.django_db(transaction=True)
def test_a_worker_whose_gpu_is_lost_finishes_the_shard_in_a_fresh_process(
    tmp_path: Path, worker: subprocess.Popen[bytes]
) -> None:
    workflow = make_workflow()
    make_shard(workflow, 40)
    make_shard(workflow, 40)
    model = make_tiny_model(workflow)
    ids = prediction.order_predictions(model)

    log = tmp_path / "worker.log"
    deadline = time.monotonic() + PATIENCE_S
    while Job.objects.filter(id__in=ids).exclude(state=Job.State.DONE).exists():
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        assert worker.poll() is None, log.read_text()[-3000:]
        sweep()
        time.sleep(0.2)  # asked again, not waited out

    assert Prediction.objects.filter(model_version=model).count() == 80
    assert sorted(Job.objects.filter(id__in=ids).values_list("attempts", flat=True)) == [1, 2]
    lost = (tmp_path / "lost").read_text()
    used = (tmp_path / "lost.pids").read_text().split()
    assert used[0] == lost
    assert lost not in used[1:]
