"""A real Celery worker is killed with -9 in the middle of its work: nothing is lost and nothing is doubled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from celery import Celery
from django.db import connection

from esocs.archive import queries, rules, services
from esocs.archive.models import Plane, Product, Shard
from esocs.config import embedded, processes
from esocs.jobs.models import Job
from esocs.jobs.services import sweep
from esocs.projects.models import SetMemberSubject, Subject
from tests.classifier.fits.files import galaxy, write_image
from tests.support.factories import make_project, make_workflow

ROOT = Path(__file__).resolve().parents[2]
FILES, KILLS, LEASE_S = 60, 2, 3
PATIENCE_S = 150


class Worker:
    """The general worker as the site runs it, in a process group of its own, on the test's database and Redis."""

    def __init__(self, var: Path, settings: Any) -> None:
        address = urlsplit(settings.DATABASE_URL)._replace(path=f"/{connection.settings_dict['NAME']}")
        self._environment = {
            **os.environ,
            "DATABASE_URL": address.geturl(),
            "REDIS_URL": embedded.redis_url(var),
            "ESOCS_VAR": str(var),
            "ESOCS_SHARD_ROOT": str(settings.SHARD_ROOT),
            "ESOCS_SECRET_KEY": "k" * 50,
            "ESOCS_JOB_LEASE_S": str(LEASE_S),
            "ESOCS_FITS_CHILDREN": "1",
            "OMP_NUM_THREADS": "1",
        }
        self._log = var / "worker.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program, *options = processes.worker_command(name="test", queues=("ingest", "default"), concurrency=2)
        command = [str(Path(sys.executable).parent / program), *options]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self) -> None:
        """The parent, its children, and whatever they started in their group: gone at once."""
        if self._process is None:
            return
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Sweep, as beat does, until the condition holds."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, self._log.read_text()[-3000:]
            assert self._process is None or self._process.poll() is None, self._log.read_text()[-3000:]
            sweep()
            time.sleep(0.2)  # asked again, not waited out


@pytest.fixture
def worker(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    var = tmp_path / "var"
    var.mkdir()
    embedded.start_redis(var)
    broker = embedded.redis_url(var).replace("unix://", "redis+socket://")
    monkeypatch.setattr("celery.current_app", Celery("test", broker=broker, set_as_current=False))
    started = Worker(var, settings)
    try:
        yield started
    finally:
        started.kill()
        embedded.stop(var)


def count_done() -> int:
    return Job.objects.filter(kind="archive.ingest", state=Job.State.DONE).count()


@pytest.mark.django_db(transaction=True)
def test_workers_killed_in_the_middle_lose_and_double_nothing(
    tmp_path: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "FILES_PER_JOB", 1)
    folder = tmp_path / "files"
    folder.mkdir()
    files = [write_image(folder / f"{n:02d}.fits", galaxy(48, 48, seed=n)) for n in range(FILES)]
    project = make_project()
    workflow = make_workflow(project)
    batch, _ = services.order_ingest(files=files, source="test", project_id=project.pk)

    attempts_lost = 0
    for kill in range(1, KILLS + 1):
        worker.start()
        worker.wait_until(lambda enough=kill * FILES // 4: count_done() >= enough)
        worker.kill()
        assert count_done() < FILES
        attempts_lost += Job.objects.filter(state=Job.State.RUNNING).count()
    worker.start()
    worker.wait_until(lambda: not Job.objects.exclude(state__in=["done", "failed"]).exists())

    assert not Job.objects.filter(state=Job.State.FAILED).exists()
    assert Job.objects.filter(kind="archive.ingest").count() == FILES
    assert Job.objects.filter(kind="projects.make_subjects").count() == FILES
    assert queries.summarise_batch(batch).ingested == FILES
    for model in (Product, Plane, Shard, Subject):
        assert model.objects.count() == FILES
    assert SetMemberSubject.objects.filter(subject_set__workflows=workflow).count() == FILES
    assert sum(Job.objects.values_list("attempts", flat=True)) == 2 * FILES + attempts_lost
