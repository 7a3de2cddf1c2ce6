"""Packed shards to rows in PostgreSQL on one GPU, beside the same network alone on it, by the wall clock.

Ours are the site's gpu workers: processes that take a shard a job from the ledger and write its rows, one, two or four
of them on the same GPU, so that one computes while another writes. The peer is the compiled network's CUDA graph
replayed on planes that are there already, and, for what compiling brings, the same without the compiler.

`ratio_gpu` is ours ÷ the graph alone. `mfu` is the share of the device's peak arithmetic that the images a second
amount to, `roofline` their share of what arithmetic and memory would allow (Williams, Waterman & Patterson 2009,
CACM 52, 65) if every convolution and every linear layer read its input once and wrote its output once, in bf16, and
nothing else were to do.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from classifier.data import Question
from classifier.inference import Predictor
from classifier.networks import SIZES
from classifier.networks.image import ImageNetwork
from classifier.shards import write_shard
from tests.benchmarks.inference_site import ANSWERS, SHARD_PLANES, Site, Workers, add_subjects
from tests.benchmarks.report import parse_arguments, print_result, print_table
from tests.benchmarks.site import own_database

MAIN = "nano"
ENCODERS = (MAIN, "yocto")
WORKERS = (1, 2, 4)
# Dense bf16 FLOP/s by the makers' data sheets.
PEAK_FLOPS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40": 181e12, "L4": 121e12, "V100": 125e12}
COPIED_BYTES = 1 << 31
REPLAYS = 100


@dataclass(frozen=True, kw_only=True)
class Work:
    """Of one image: floating-point operations, and the bytes that device memory must move."""

    flops: float
    bytes: float


def main() -> None:
    """The GPU's part alone, for a machine that has one for an hour."""
    arguments = parse_arguments(description=__doc__, size=100_000, size_help="subjects in packed shards")
    if not torch.cuda.is_available():
        sys.exit("There is no GPU that torch can use: nothing was measured.")
    with own_database(), tempfile.TemporaryDirectory(prefix="inference-") as folder:
        from django.conf import settings

        settings.SHARD_ROOT, settings.WEIGHTS_ROOT = Path(folder) / "shards", Path(folder) / "weights"
        figures = measure_gpu(Site(), arguments.size)
    print_result(
        name="inference_gpu",
        ours=figures["gpu_images_per_s"],
        peer=figures["gpu_images_per_s"] / figures["ratio_gpu"],
        unit="images/s",
        **figures,
    )


def measure_gpu(site: Site, subjects: int) -> dict[str, Any]:
    """Every encoder in arrays, and through the ledger with growing numbers of workers; prints tables."""
    from django.conf import settings

    add_subjects(site.workflow, subjects)
    figures: dict[str, Any] = {}
    peak_flops, bandwidth = _peak_flops(), _bandwidth()
    print(f"{torch.cuda.get_device_name()}: {bandwidth / 1e12:.2f} TB/s copied", flush=True)
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(settings.VAR / "compiled"))  # as its workers do
    for name in ENCODERS:
        network = ImageNetwork(answers={site.workflow.first_task: len(ANSWERS)}, **SIZES[name]).eval()
        work = work_of(network)
        floor_s = max(work.flops / peak_flops, work.bytes / bandwidth)
        alone, arrays = _in_memory(network, compiled=True)
        plain, _ = _in_memory(network, compiled=False)
        found = {"graph alone": alone, "the same, not compiled": plain, "shards to arrays": arrays}
        by_workers = _through_ledger(site, name)
        found |= {f"shards to rows, {count} workers": speed for count, speed in by_workers.items()}
        print_table(
            (name, "images / s", "÷ graph alone", "of the roofline", "of peak FLOP/s"),
            [
                (what, speed, speed / alone, speed * floor_s, speed * work.flops / peak_flops)
                for what, speed in found.items()
            ],
        )
        sys.stdout.flush()  # what was measured should be kept if a later part is cut off
        best = max(by_workers.values())
        figures |= {
            f"ratio_gpu_{name}": best / alone,
            f"ratio_gpu_arrays_{name}": arrays / alone,
            f"ratio_compiled_{name}": alone / plain,
            f"gpu_images_per_s_{name}": best,
            f"mfu_{name}": best * work.flops / peak_flops,
            f"roofline_{name}": best * floor_s,
        }
    shown = ("ratio_gpu", "gpu_images_per_s", "mfu", "roofline")
    return figures | {key: figures[f"{key}_{MAIN}"] for key in shown}


def work_of(network: ImageNetwork) -> Work:
    """What the convolutions and linear layers of one image take at the least."""
    from torch.utils.flop_counter import FlopCounterMode

    moved = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal moved
        moved += 2 * (inputs[0].numel() + output.numel())

    layers = [module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    handles = [layer.register_forward_hook(count) for layer in layers]
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, *network.plane_shape))
    for handle in handles:
        handle.remove()
    return Work(flops=counter.get_total_flops(), bytes=moved)


def _in_memory(network: ImageNetwork, *, compiled: bool) -> tuple[float, float]:
    """Images a second of the graph alone, and of the pipeline from a shard to arrays."""
    question = Question(next(iter(network.arguments["answers"])), ANSWERS)
    predictor = Predictor([network], questions=(question,), device="cuda", compiled=compiled)
    engine: Any = predictor._engine
    with tempfile.TemporaryDirectory() as folder:
        planes = np.random.default_rng(0).normal(size=(8 * SHARD_PLANES, 128, 128)).astype(np.float16)
        path = Path(folder) / "shard.npy"
        write_shard(path, list(planes))
        predictor.predict(path)

        def whole() -> None:
            for _ in range(4):
                for _ in predictor.predict_batches(path):
                    pass

        arrays = 4 * len(planes) / _seconds(whole)

    def replay() -> None:
        for _ in range(REPLAYS):
            engine._graph.replay()

    return REPLAYS * engine.batch_size / _seconds(replay), arrays


def _through_ledger(site: Site, name: str) -> dict[int, float]:
    """Number of workers → images a second from packed shards to rows."""
    from esocs.machine import prediction
    from esocs.machine.models import Prediction

    model = site.register(name, SIZES[name])
    # Each number of workers gets a part of the shards, and each worker one of them to open the model with.
    ordered = prediction.order_predictions(model)
    opening, rest = ordered[: max(WORKERS)], ordered[max(WORKERS) :]
    found = {}
    with Workers(max(WORKERS), device="cuda") as workers:
        # The first compiles, the others find what it left behind.
        workers.run([opening[:1]])
        workers.run([[], *([job] for job in opening[1:])])
        for count, part in zip(WORKERS, np.array_split(np.array(rest), len(WORKERS)), strict=True):
            before = Prediction.objects.filter(model_version=model).count()
            started = time.perf_counter()
            workers.run([part[number::count].tolist() for number in range(count)])
            seconds = time.perf_counter() - started
            found[count] = (Prediction.objects.filter(model_version=model).count() - before) / seconds
    return found


def _seconds(run: Callable[[], object]) -> float:
    torch.cuda.synchronize()
    started = time.perf_counter()
    run()
    torch.cuda.synchronize()
    return time.perf_counter() - started


def _peak_flops() -> float:
    name = torch.cuda.get_device_name()
    return next((value for key, value in PEAK_FLOPS.items() if key in name), float("nan"))


def _bandwidth() -> float:
    """Bytes a second that a copy on the device reads and writes."""
    source = torch.empty(COPIED_BYTES, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    target.copy_(source)
    return 10 * 2 * COPIED_BYTES / _seconds(lambda: [target.copy_(source) for _ in range(10)])


if __name__ == "__main__":
    main()
