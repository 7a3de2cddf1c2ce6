"""What every benchmark shares: arguments, timers, a readable table and the JSON object on the last line."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self


def parse_arguments(
    *, description: str, size: int, size_help: str, add: Callable[[argparse.ArgumentParser], object] | None = None
) -> argparse.Namespace:
    """What every benchmark is told: ``data`` (a folder or None) and ``size`` (how much work), and what `add` adds."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, default=None, help="folder of real input instead of the simulated")
    parser.add_argument("--size", type=int, default=size, help=f"{size_help} (default {size:,})")
    if add is not None:
        add(parser)
    arguments = parser.parse_args()
    if arguments.size < 1:
        parser.error("--size must be at least 1")
    if arguments.data is not None and not arguments.data.is_dir():
        parser.error(f"--data {arguments.data} is not a folder")
    return arguments


class Timer:
    """Wall and processor seconds of a block, those of child processes that ended within it included.

    Attributes:
        wall_s: Elapsed.
        cpu_s: User and system time of this process and of its ended children.
    """

    wall_s = 0.0
    cpu_s = 0.0

    def __enter__(self) -> Self:
        self._started = (time.perf_counter(), _processor_s())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wall_s = time.perf_counter() - self._started[0]
        self.cpu_s = _processor_s() - self._started[1]


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table for people; numbers to four significant digits, aligned to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    print("  ".join(heading.ljust(width) for heading, width in zip(headings, widths, strict=True)))
    print("  ".join("-" * width for width in widths))
    for row, line in zip(rows, cells, strict=True):
        print(
            "  ".join(
                text.rjust(width) if isinstance(value, int | float) else text.ljust(width)
                for value, text, width in zip(row, line, widths, strict=True)
            )
        )


def print_result(
    *, name: str, ours: float | None, peer: float | None, unit: str, less_is_better: bool = False, **keys: Any
) -> None:
    """The last line: one JSON object.

    Args:
        name: Of the benchmark.
        ours: Our figure.
        peer: The peer's, in the same unit on the same input; None where there is no peer.
        unit: Of both.
        less_is_better: Times and memory; then ``ratio`` is peer ÷ ours.
        keys: Further figures.
    """
    ratio = None
    if ours and peer:
        ratio = peer / ours if less_is_better else ours / peer
    result = {"name": name, "ours": ours, "peer": peer, "ratio": ratio, "unit": unit, **keys}
    print(json.dumps({key: _rounded(value) for key, value in result.items()}), flush=True)


def _processor_s() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _rounded(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) else value
