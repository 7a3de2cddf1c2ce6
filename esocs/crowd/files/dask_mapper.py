"""The map steps on a Dask cluster, whose workers see the partitions' folder under the same name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from esocs.crowd.files.errors import ClusterUnavailableError, ExtraMissingError
from esocs.crowd.files.mapping import Mapper, in_window

Task = TypeVar("Task")
Result = TypeVar("Result")


def dask_mapper(client: Any) -> Mapper:
    """A mapper on a `distributed.Client`; sums are taken here in the partitions' order, so workers cannot change them.

    Raises:
        ExtraMissingError: `distributed` is not installed.
    """
    _distributed()

    def run(work: Callable[[Task], Result], tasks: Sequence[Task], /) -> Iterator[Result]:
        threads = max(sum(client.nthreads().values()), 1)

        def submit(task: Task) -> Any:
            # Not pure: the same call reads other files the next time.
            return client.submit(work, task, pure=False)

        return in_window(submit, tasks, window=2 * threads)

    return run


@contextmanager
def dask_client(address: str) -> Iterator[Any]:
    """A client of the scheduler at that address.

    Raises:
        ExtraMissingError: `distributed` is not installed.
        ClusterUnavailableError: nobody answers there.
    """
    distributed = _distributed()
    try:
        client = distributed.Client(address, timeout=10, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise ClusterUnavailableError(
            f"No Dask scheduler answers at {address} ({error}).", hint="Start one: `dask scheduler`, `dask worker`."
        ) from error
    with client:
        yield client


def _distributed() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise ExtraMissingError(
            "Dask's `distributed` is not installed.", hint="Install it: pip install 'esocs[dask]'."
        ) from error
    return distributed
