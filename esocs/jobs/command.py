"""The base of management commands that order background work: run it here, or leave it to workers, with progress."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from typing import Any, TextIO

from django.core.management.base import BaseCommand

from esocs.jobs import queries, services


class Progress:
    """One line that says how far a step is, rewritten on a terminal, printed at every tenth elsewhere."""

    def __init__(self, label: str, *, stream: TextIO | None = None) -> None:
        self._label = label
        self._stream = stream or sys.stdout
        self._terminal = self._stream.isatty()
        self._started = time.monotonic()
        self._printed = -1

    def __call__(self, done: int, total: int) -> None:
        # Of an unknown total (0), every five hundredth is told.
        tenth = done * 10 // total if total else done // 500
        if not self._terminal and tenth == self._printed:
            return
        self._printed = tenth
        seconds = time.monotonic() - self._started
        of = f" of {total:,}" if total else ""
        text = f"  {self._label}: {done:,}{of} ({seconds:.0f} s)"
        self._stream.write(f"\r{text}\x1b[K" if self._terminal else f"{text}\n")
        self._stream.flush()

    def close(self, text: str = "") -> None:
        seconds = time.monotonic() - self._started
        start, end = ("\r", "\x1b[K") if self._terminal else ("", "")
        self._stream.write(f"{start}  {self._label}: {text or 'done'} ({seconds:.1f} s){end}\n")
        self._stream.flush()


class JobCommand(BaseCommand):
    """Adds `--workers`: leave the jobs to running workers and wait, instead of doing them in this process."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--workers", action="store_true", help="leave the work to the running Celery workers and wait for it"
        )

    def run_jobs(self, job_ids: list[int], *, label: str, options: dict[str, Any]) -> None:
        """Have the jobs done, here or by the workers.

        Raises:
            JobsFailedError: at least one has failed for good.
        """
        complete(job_ids, label=label, workers=options["workers"])


def complete(job_ids: list[int], *, label: str, workers: bool) -> None:
    """Have the jobs done, here or by the workers, showing progress.

    Raises:
        JobsFailedError: at least one has failed for good.
    """
    progress = Progress(label)
    if not workers:
        services.drain(job_ids, on_progress=progress)
    queries.wait_for(job_ids, on_progress=progress)
    progress.close()


def complete_group(group: str, *, label: str, workers: bool) -> None:
    """`complete` for all jobs of an order, those included that its jobs order while they run."""
    done: set[int] = set()
    while True:
        ids = queries.list_group(group)
        if not set(ids) - done:
            return
        complete([job_id for job_id in ids if job_id not in done], label=label, workers=workers)
        done = set(ids)
