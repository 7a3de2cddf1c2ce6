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
the cost of all around it. Where there is a GPU, `tests.benchmarks.inference_gpu` adds its figures.
"""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
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
from tests.benchmarks.inference_site import TINY, Site, Workers, add_subjects
from tests.benchmarks.report import parse_arguments, print_result, print_table
from tests.benchmarks.site import own_database

# Size of the encoder → how many of the packed shards it predicts here.
SMALL = "yocto"
ENCODERS = {"yocto": None, "atto": 1, "femto": 1, "pico": 1, "nano": 1}
PEER_OBJECTS = 200
WARM_UP_FILES = 40
GPU_SUBJECTS = 100_000


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
        settings.TORCH_DEVICE = "cpu"  # the GPU, where there is one, has its own part
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
        gpu = {}
        if torch.cuda.is_available():
            from tests.benchmarks.inference_gpu import measure_gpu

            gpu = measure_gpu(Site(), GPU_SUBJECTS)
    report(ingest, figures, peer, memory, gpu)


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
        with Workers(1) as worker:
            found |= {f"{name}_subjects": count, f"{name}_mb": worker.run([ordered])}
    found["rows"] = Prediction.objects.filter(model_version=model).count()
    return found


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
        costs = (alone.cpu_ms, predict.cpu_ms, ingest.cpu_ms + predict.cpu_ms)
        sizes.append((label, predict.images, *costs, shards, end_to_end))
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
