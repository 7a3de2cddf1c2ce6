"""Where the map steps run: here one after another, or in processes of this machine (`dask_mapper`: on a cluster)."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


class Mapper(Protocol):
    """Applies a function (of a module, so that it can be sent) to every task; results come in the tasks' order."""

    def __call__(self, work: Callable[[Task], Result], tasks: Sequence[Task], /) -> Iterator[Result]: ...


def run_here(work: Callable[[Task], Result], tasks: Sequence[Task], /) -> Iterator[Result]:
    """One task after another, in this process."""
    return map(work, tasks)


@contextmanager
def process_mapper(n_processes: int) -> Iterator[Mapper]:
    """A mapper on so many processes of this machine."""
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(n_processes, mp_context=context) as pool:

        def run(work: Callable[[Task], Result], tasks: Sequence[Task], /) -> Iterator[Result]:
            return in_window(lambda task: pool.submit(work, task), tasks, window=2 * n_processes)

        yield run


def in_window(submit: Callable[[Any], Any], tasks: Sequence[Any], *, window: int) -> Iterator[Any]:
    """Results in order, with so many tasks under way at most: what has not been asked for does not pile up."""
    under_way: deque[Any] = deque()
    for task in tasks:
        under_way.append(submit(task))
        if len(under_way) >= window:
            yield under_way.popleft().result()
    while under_way:
        yield under_way.popleft().result()
