"""What the benchmarks of inference run on: a project with subjects by the thousand, its model versions, its workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from classifier.networks.image import ImageNetwork

ANSWERS = ("Spiral", "Elliptical", "Star", "Artifact")
# For what is not the network's.
TINY = {"stem_widths": [4, 8], "widths": [8, 16], "depths": [1, 1], "kernel_size": 3}
SHARD_PLANES = 1000


class Site:
    """A project with a workflow in the benchmark's database, and its model versions."""

    def __init__(self) -> None:
        from celery import current_app

        from tests.support.factories import make_workflow

        current_app.loader.import_default_modules()
        self.workflow = make_workflow(answers=ANSWERS)
        self.networks: dict[str, ImageNetwork] = {}

    def warm_up(self, paths: list[Path]) -> None:
        """A worker imports, connects and starts its children once for thousands of files."""
        from esocs.jobs import services as jobs
        from esocs.machine import prediction

        self.ingest(paths)
        jobs.drain(prediction.order_predictions(self.register("warm-up", TINY)))

    def ingest(self, paths: list[Path]) -> None:
        """Order the files and run the jobs, those that they order included."""
        from esocs.archive import services as archive
        from esocs.jobs import services as jobs
        from esocs.jobs.models import Job

        _, ordered = archive.order_ingest(files=paths, source="benchmark", project_id=self.workflow.project_id)
        jobs.drain(ordered)
        jobs.drain(list(Job.objects.filter(kind="projects.make_subjects").values_list("id", flat=True)))

    def register(self, name: str, size: Mapping[str, Any]) -> Any:
        """A model version with an untrained network: what it says costs what a trained one's would."""
        from django.conf import settings

        from classifier.data import Question
        from classifier.weights import save_weights
        from esocs.machine import services as machine

        network = ImageNetwork(answers={self.workflow.first_task: len(ANSWERS)}, **size).eval()
        self.networks[name] = network
        path = settings.WEIGHTS_ROOT / f"{name}.safetensors"
        card = save_weights([network], path, questions=(Question(self.workflow.first_task, ANSWERS),))
        return machine.register_model(
            workflow=self.workflow,
            weights_path=path,
            weights_sha256=card.sha256,
            class_names=list(ANSWERS),
            training_prior=[1 / len(ANSWERS)] * len(ANSWERS),
            card={},
        )


def add_subjects(workflow: Any, count: int) -> None:
    """Subjects by the thousand, all of whose shards are one file under many names."""
    from django.conf import settings
    from django.db import connection

    from classifier.shards import write_shard
    from esocs.archive.models import IngestBatch, Shard

    batch = IngestBatch.objects.create(source="memory")
    folder = settings.SHARD_ROOT / f"memory-{batch.pk}"
    planes = np.random.default_rng(0).normal(size=(SHARD_PLANES, 128, 128)).astype(np.float16)
    sha256 = write_shard(folder / "0.npy", list(planes))
    numbers = range(-(-count // SHARD_PLANES))
    for number in numbers[1:]:
        (folder / f"{number}.npy").hardlink_to(folder / "0.npy")
    shards = Shard.objects.bulk_create(
        Shard(
            batch=batch,
            kind="image",
            path=f"{folder.name}/{number}.npy",
            sha256=sha256,
            shape=[SHARD_PLANES, 128, 128],
        )
        for number in numbers
    )
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO archive_product (batch_id, uri, dp_id, state, kind, error_code, error_detail, sha256,
                object_name, instrument, telescope, product_category, proposal_id, filter_name, header)
            SELECT %(batch)s, %(batch)s || '/' || n, %(batch)s || '/' || n, 'ingested', 'image', '', '',
                md5(%(batch)s || '/' || n), '', '', '', '', '', '', '{}' FROM generate_series(1, %(count)s) n
            """,
            {"batch": batch.pk, "count": count},
        )
        cursor.execute(
            """
            INSERT INTO archive_plane (product_id, number, shard_id, shard_index, scale, background, noise,
                missing_share, saturated_share, coverage, usable)
            SELECT id, 0, %(first)s + (n - 1) / %(each)s, (n - 1) %% %(each)s, 1, 0, 1, 0, 0, 1, true
            FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM archive_product WHERE batch_id = %(batch)s) p
            """,
            {"batch": batch.pk, "first": shards[0].pk, "each": SHARD_PLANES},
        )
        cursor.execute("SELECT id FROM archive_product WHERE batch_id = %s", [batch.pk])
        products = [row[0] for row in cursor.fetchall()]
    from esocs.projects.from_planes import make_subjects

    make_subjects(project=workflow.project, product_ids=products)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


class Workers:
    """Processes that run jobs as the site's workers do, kept until the block ends.

    Args:
        count: How many.
        device: Where their networks predict, as ESOCS_DEVICE names it.
    """

    def __init__(self, count: int, *, device: str = "cpu") -> None:
        self._count, self._device = count, device
        self._stack = ExitStack()
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        from django.conf import settings

        folders = {"ESOCS_SHARD_ROOT": settings.SHARD_ROOT, "ESOCS_WEIGHTS_ROOT": settings.WEIGHTS_ROOT}
        environment = os.environ | {name: str(path) for name, path in folders.items()} | {"ESOCS_DEVICE": self._device}
        command = [sys.executable, "-m", "tests.benchmarks.prediction_worker"]
        for _ in range(self._count):
            started = subprocess.Popen(
                command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            self._processes.append(self._stack.enter_context(started))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        self._stack.close()

    def run(self, shares: Sequence[Iterable[int]]) -> float:
        """Each worker its jobs, all at the same time, to the end. Returns their largest peak memory so far in MiB."""
        working = self._processes[: len(shares)]
        for process, job_ids in zip(working, shares, strict=True):
            assert process.stdin is not None
            process.stdin.write(json.dumps(list(job_ids)) + "\n")
            process.stdin.flush()
        peaks = []
        for process in working:
            assert process.stdout is not None
            peaks.append(float(process.stdout.readline()))
        return max(peaks)
