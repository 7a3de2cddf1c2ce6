"""FITS on disk to rows in PostgreSQL, beside the network alone, and beside a torch DataLoader that reads with astropy.

Ours is what the site does, job by job from the ledger: files read in limited children, planes packed into shards,
subjects made, the shards predicted, the rows written. The peers compute the same network: alone on random tensors
(the ceiling), and behind a DataLoader whose workers open one FITS an item with astropy and bring it into units of the
sky's noise.

On a CPU all figures are processor seconds of everything that took part (the children and PostgreSQL's backends
included): with every core busy the wall clock says the same, and on a shared machine it says nothing. `ratio` is for
"yocto", the small encoder that training uses by default, and the hardest of all: what surrounds a network costs the
same for any. `ratio_atto` to `ratio_nano` are for the sizes of these names; `ratio_shards` begins at the packed shards.
The network alone takes the fast path too, and says how strange each plane is, as every prediction must: what is told is
the cost of all around it. On a GPU the packed shards are timed by the wall clock against the graph alone (`roofline`),
with the share of the device's peak arithmetic (`mfu`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from classifier.networks import SIZES
from classifier.networks.image import ImageNetwork
from tests.benchmarks.fits_samples import write_images
from tests.benchmarks.report import parse_arguments, print_result, print_table
from tests.benchmarks.site import own_database

ANSWERS = ("Spiral", "Elliptical", "Star", "Artifact")
# Size of the encoder → how many of the packed shards it predicts here.
SMALL = "yocto"
ENCODERS = {"yocto": None, "atto": 1, "femto": 1, "pico": 1, "nano": 1}
# For the memory, which is not the network's.
TINY = {"stem_widths": [4, 8], "widths": [8, 16], "depths": [1, 1], "kernel_size": 3}
PEER_OBJECTS = 200
WARM_UP_FILES = 40
MEMORY_SHARD = 1000
# Dense bf16 FLOP/s by the makers' data sheets, for the model FLOP/s utilisation.
PEAK_FLOPS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40": 181e12, "L4": 121e12, "V100": 125e12}


@dataclass(kw_only=True)
class Cost:
    """Of a block: elapsed and processor seconds, of all who took part."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    images: int = 0

    def add(self, part: Cost, images: int) -> None:
        """Further images."""
        self.wall_s += part.wall_s
        self.cpu_s += part.cpu_s
        self.images += images

    @property
    def cpu_ms(self) -> float:
        """Processor milliseconds an image."""
        return 1e3 * self.cpu_s / self.images


@contextmanager
def measured() -> Iterator[Cost]:
    """Everything that this process, its children and PostgreSQL's backends for it spend in the block.

    Looking for the children costs as much as dozens of images: it is done outside of what is measured.
    """
    cost, others = Cost(), _others_s()
    own, started = _own_s(), time.perf_counter()
    yield cost
    cost.wall_s, cost.cpu_s = time.perf_counter() - started, _own_s() - own
    cost.cpu_s += _others_s() - others


def _own_s() -> float:
    used = psutil.Process().cpu_times()
    return used.user + used.system


def _others_s() -> float:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (backend,) = cursor.fetchone()
    own = psutil.Process()
    used = [process.cpu_times() for process in (psutil.Process(backend), *own.children(recursive=True))]
    ended = own.cpu_times()
    return sum(t.user + t.system for t in used) + ended.children_user + ended.children_system


def main() -> None:
    """Run ours and the peers and print their figures."""
    arguments = parse_arguments(description=__doc__, size=1000, size_help="FITS files; above 10,000 also shards alone")
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    with own_database(), tempfile.TemporaryDirectory(prefix="inference-") as folder:
        from django.conf import settings

        settings.SHARD_ROOT, settings.WEIGHTS_ROOT = Path(folder) / "shards", Path(folder) / "weights"
        (Path(folder) / "fits").mkdir()
        files = min(arguments.size, 10_000)
        paths = write_images(Path(folder) / "fits", count=WARM_UP_FILES + files)
        site = Site()
        site.warm_up(paths[:WARM_UP_FILES])
        paths = paths[WARM_UP_FILES:]
        ingest = Cost()
        with measured() as cost:
            site.ingest(paths)
        ingest.add(cost, files)
        figures = {name: measure_encoder(site, name) for name in ENCODERS}
        peer = dataloader(site.networks[SMALL], paths[:PEER_OBJECTS])
        memory = measure_memory(site, arguments.size)
        gpu = measure_gpu(site.networks["atto"]) if torch.cuda.is_available() else {}
    report(ingest, figures, peer, memory, gpu)


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


def measure_encoder(site: Site, name: str) -> dict[str, Cost]:
    """Shards to rows through the ledger, and the same network alone, a part of each in turn."""
    from esocs.jobs import services as jobs
    from esocs.machine import prediction
    from esocs.machine.models import Prediction

    model = site.register(name, SIZES[name])
    ordered = prediction.order_predictions(model)[-(ENCODERS[name] or 0) :]
    warm_up = prediction.open_predictor(model)
    warm_up.predict(np.zeros((64, 128, 128), dtype=np.float16))
    predict, alone = Cost(), Cost()
    for part in np.array_split(np.array(ordered), min(5, len(ordered))):
        before = Prediction.objects.filter(model_version=model).count()
        with measured() as cost:
            jobs.drain(part.tolist())
        count = Prediction.objects.filter(model_version=model).count() - before
        predict.add(cost, count)
        alone.add(model_alone(site.networks[name], count), count)
    assert predict.images
    return {"predict": predict, "alone": alone}


def model_alone(network: ImageNetwork, count: int) -> Cost:
    """The network on random tensors that are there already: as torch does by itself and by our lanes, the cheaper."""
    from classifier.forward import Forward, PlaneSource
    from classifier.inference import BATCH_SIZES
    from classifier.lanes import Lanes

    planes = torch.randn(64, 128, 128).half()
    with torch.inference_mode(), measured() as plain:
        for _ in range(max(1, count // 128)):
            network(planes)
            network.strangeness(planes)
    plain = Cost(wall_s=plain.wall_s * 2, cpu_s=plain.cpu_s * 2)
    forward = Forward([network], views=1, device=torch.device("cpu"))
    lanes = Lanes(forward, batch_size=BATCH_SIZES["cpu"], read_ahead=0)
    source = PlaneSource(planes=planes.numpy(), rows=np.arange(count) % 64)
    with measured() as ours:
        for _ in lanes.run(source, start=0):
            pass
    return min(plain, ours, key=lambda cost: cost.cpu_s)


class OneFitsAnItem(torch.utils.data.Dataset[torch.Tensor]):
    """What a tutorial makes of a folder of FITS: astropy opens each, and its sky is clipped out of it."""

    def __init__(self, paths: list[Path]) -> None:
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        """One plane in units of the sky's noise, as the network takes it."""
        from astropy.io import fits
        from astropy.stats import sigma_clipped_stats

        with warnings.catch_warnings(), fits.open(self._paths[index]) as hdus:
            warnings.simplefilter("ignore")
            pixels = np.asarray(hdus[0].data, dtype=np.float32)
            _ = hdus[0].header.get("EXPTIME")
            _, sky, noise = sigma_clipped_stats(pixels)
        return torch.from_numpy((pixels - sky) / noise)


def dataloader(network: ImageNetwork, paths: list[Path]) -> dict[str, Cost]:
    """The DataLoader with a worker a core, with the network, in the precision that costs it less, and without."""

    def run(use: Callable[[torch.Tensor], object]) -> Cost:
        workers = len(os.sched_getaffinity(0))
        loader = torch.utils.data.DataLoader(OneFitsAnItem(paths), batch_size=32, num_workers=workers)
        with measured() as cost, torch.inference_mode():
            for batch in loader:
                use(batch)
        cost.images = len(paths)
        return cost

    def half(planes: torch.Tensor) -> object:
        with torch.autocast("cpu", torch.bfloat16):
            return network(planes)

    OneFitsAnItem(paths)[0]  # imports are not the peer's work
    # The cores are its workers'; threads of the network that spin for them would be held against it.
    torch.set_num_threads(1)
    both = [run(network), run(half)]
    return {"with": min(both, key=lambda cost: cost.cpu_s), "reading": run(lambda batch: None)}


def measure_memory(site: Site, size: int) -> dict[str, float]:
    """Peak resident memory of a worker that predicts many shards, and of one that predicts many times as many.

    Each is a process of its own, as the site's workers are: what the orders and this benchmark's own set-up leave
    behind is not the worker's. The network is a tiny one, since it is the memory of what surrounds it that could grow.
    """
    from esocs.machine import prediction
    from esocs.machine.models import Prediction

    few, many = (10_000, size) if size > 10_000 else (2_000, 10_000)
    found: dict[str, float] = {}
    model = site.register("tiny", TINY)
    for name, count in (("few", few), ("many", many)):
        add_subjects(site.workflow, count - int(found.get("few_subjects", 0)))
        started = time.perf_counter()
        ordered = prediction.order_predictions(model)
        found[f"{name}_order_s"] = time.perf_counter() - started
        found |= {f"{name}_subjects": count, f"{name}_mb": _peak_mb_of_worker(ordered)}
    found["rows"] = Prediction.objects.filter(model_version=model).count()
    return found


def _peak_mb_of_worker(job_ids: list[int]) -> float:
    """The peak of a process that runs these jobs."""
    from django.conf import settings

    request = {
        "jobs": job_ids,
        "shards": str(settings.SHARD_ROOT),
        "weights": str(settings.WEIGHTS_ROOT),
    }
    command = [sys.executable, "-m", "tests.benchmarks.prediction_worker"]
    answer = subprocess.run(command, input=json.dumps(request), text=True, stdout=subprocess.PIPE, check=True)
    return float(answer.stdout.splitlines()[-1])


def add_subjects(workflow: Any, count: int) -> None:
    """Subjects by the thousand, all of whose shards are one file under many names."""
    from django.conf import settings
    from django.db import connection

    from classifier.shards import write_shard
    from esocs.archive.models import IngestBatch, Shard

    batch = IngestBatch.objects.create(source="memory")
    folder = settings.SHARD_ROOT / f"memory-{batch.pk}"
    planes = np.random.default_rng(0).normal(size=(MEMORY_SHARD, 128, 128)).astype(np.float16)
    sha256 = write_shard(folder / "0.npy", planes)
    numbers = range(-(-count // MEMORY_SHARD))
    for number in numbers[1:]:
        (folder / f"{number}.npy").hardlink_to(folder / "0.npy")
    shards = Shard.objects.bulk_create(
        Shard(
            batch=batch,
            kind="image",
            path=f"{folder.name}/{number}.npy",
            sha256=sha256,
            shape=[MEMORY_SHARD, 128, 128],
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
            {"batch": batch.pk, "first": shards[0].pk, "each": MEMORY_SHARD},
        )
        cursor.execute("SELECT id FROM archive_product WHERE batch_id = %s", [batch.pk])
        products = [row[0] for row in cursor.fetchall()]
    from esocs.projects.from_planes import make_subjects

    make_subjects(project=workflow.project, product_ids=products)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def measure_gpu(network: ImageNetwork) -> dict[str, Any]:
    """Packed shards through the pipeline ÷ its graph alone, and the share of the device's peak."""
    from torch.utils.flop_counter import FlopCounterMode

    from classifier.data import Question
    from classifier.inference import Predictor
    from classifier.shards import write_shard

    predictor = Predictor([network], questions=(Question("T0", ANSWERS),), device="cuda")
    engine: Any = predictor._engine
    with tempfile.TemporaryDirectory() as folder:
        planes = np.random.default_rng(0).normal(size=(8 * MEMORY_SHARD, 128, 128)).astype(np.float16)
        path = Path(folder) / "shard.npy"
        write_shard(path, planes)
        predictor.predict(path)
        started = time.perf_counter()
        for _ in range(5):
            for _ in predictor.predict_batches(path):
                pass
        ours = 5 * len(planes) / (time.perf_counter() - started)
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(200):
        engine._graph.replay()
    torch.cuda.synchronize()
    alone = 200 * engine.batch_size / (time.perf_counter() - started)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(8, 128, 128, dtype=torch.float16, device="cuda"))
    flops = counter.get_total_flops() / 8
    name = torch.cuda.get_device_name()
    peak = next((value for key, value in PEAK_FLOPS.items() if key in name), None)
    figures = {"roofline": ours / alone, "gpu_images_per_s": ours, "gpu_alone_images_per_s": alone}
    return figures | ({"mfu": ours * flops / peak} if peak else {})


def report(
    ingest: Cost,
    figures: dict[str, dict[str, Cost]],
    peer: dict[str, Cost],
    memory: dict[str, float],
    gpu: dict[str, Any],
) -> None:
    """The table and the last line."""
    small = figures[SMALL]
    rows = [
        ("ingest: FITS to subjects", ingest),
        (f"{SMALL}: DataLoader + astropy", peer["with"]),
        ("DataLoader + astropy, reading", peer["reading"]),
    ]
    print_table(
        ("what", "images", "CPU ms / image", "wall ms / image"),
        [(what, cost.images, cost.cpu_ms, 1e3 * cost.wall_s / cost.images) for what, cost in rows],
    )
    keys: dict[str, Any] = {}
    sizes = []
    for name, found in figures.items():
        predict, alone = found["predict"], found["alone"]
        end_to_end, shards = alone.cpu_ms / (ingest.cpu_ms + predict.cpu_ms), alone.cpu_ms / predict.cpu_ms
        keys |= {f"ratio_{name}": end_to_end, f"ratio_shards_{name}": shards}
        label = f"{name} (the small encoder, the default)" if name == SMALL else name
        sizes.append((label, predict.images, alone.cpu_ms, predict.cpu_ms, ingest.cpu_ms + predict.cpu_ms))
        sizes[-1] += (shards, end_to_end)
    print_table(
        ("encoder", "images", "alone, CPU ms", "from shards", "end to end", "ratio from shards", "ratio end to end"),
        sizes,
    )
    predict, alone = small["predict"], small["alone"]
    print_table(("memory and orders", "value"), list(memory.items()))
    print_result(
        name="inference",
        ours=1e3 / (ingest.cpu_ms + predict.cpu_ms),
        peer=1e3 / alone.cpu_ms,
        unit="images/CPU s",
        images_per_s=1 / (ingest.wall_s / ingest.images + predict.wall_s / predict.images),
        **keys,
        ratio_dataloader=peer["with"].cpu_ms / predict.cpu_ms,
        ratio_dataloader_end_to_end=peer["with"].cpu_ms / (ingest.cpu_ms + predict.cpu_ms),
        ratio_ingest=peer["reading"].cpu_ms / ingest.cpu_ms,
        ingest_cpu_ms=ingest.cpu_ms,
        ratio_reading=peer["reading"].cpu_ms / max(predict.cpu_ms - alone.cpu_ms, 0.01),
        peak_memory_mb=memory["many_mb"],
        memory_growth=memory["many_mb"] / memory["few_mb"],
        order_s=memory["many_order_s"],
        **gpu,
    )


if __name__ == "__main__":
    main()
