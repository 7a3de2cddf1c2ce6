"""The site's Celery application in a process whose GPU fails once: `test_lost_gpu` starts a worker of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from celery.signals import worker_process_init

from esocs.config.celery import app

__all__ = ["app"]


@worker_process_init.connect
def lose_the_gpu_once(**_: Any) -> None:
    """In the child that predicts. The file says that it has happened; it names the process."""
    from classifier.forward import Forward

    compute, happened = Forward.__call__, Path(os.environ["ESOCS_TEST_GPU_LOST"])
    batches: list[int] = []

    def compute_or_fail(forward: Forward, planes: torch.Tensor) -> torch.Tensor:
        batches.append(len(planes))
        if len(batches) == 2 and not happened.exists():
            happened.write_text(str(os.getpid()))
            raise torch.AcceleratorError("CUDA error: unspecified launch failure")
        with happened.with_suffix(".pids").open("a") as file:
            file.write(f"{os.getpid()}\n")
        return compute(forward, planes)

    Forward.__call__ = compute_or_fail  # type: ignore[method-assign]
