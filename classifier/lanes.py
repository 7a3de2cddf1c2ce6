"""The forward pass on the cores of a CPU: a thread a core, each with batches of its own.

The usual way, one batch at a time with all cores in each operation, has them wait for each other some hundred times a
batch; on a busy machine, where one of them is often away, that cost up to eight times the arithmetic. A lane waits for
nobody.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from classifier.devices import DeviceLostError, DeviceMemoryError
from classifier.forward import Forward, PlaneSource, named_device_errors, ran_out_of_memory
from classifier.kept_memory import keep_freed_memory

# Bounded by what the lanes use at once.
_KEPT_BYTES, _MAPPED_FROM_BYTES = 1 << 28, 1 << 25
# Smaller batches cost more a plane: a few planes are not spread over the lanes.
SMALLEST_SHARE = 8


class Lanes:
    """As many lanes as torch has threads.

    Attributes:
        batch_size: Planes at a time in each lane; halved, and kept halved, when memory runs out.
    """

    def __init__(self, forward: Forward, *, batch_size: int, read_ahead: int) -> None:
        keep_freed_memory(kept_bytes=_KEPT_BYTES, mapped_from_bytes=_MAPPED_FROM_BYTES)
        self.batch_size = batch_size
        self._forward = forward
        self._read_ahead = read_ahead
        self._lock = threading.Lock()
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="planes")
        self._size = torch.get_num_threads()
        started = threading.Barrier(self._size + 1)
        self._lanes = ThreadPoolExecutor(self._size, thread_name_prefix="lane", initializer=_use_one_thread)
        for _ in range(self._size):
            self._lanes.submit(started.wait)
        started.wait()
        # The lanes keep their one thread; what else this process computes (training) gets all of them back.
        torch.set_num_threads(self._size)

    def run(self, source: PlaneSource, *, start: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """(position, (n, `Forward.width`) rows) in order.

        Raises:
            DeviceMemoryError: One plane does not fit into memory.
            DeviceLostError: The device failed.
        """
        size = self._even_size(len(source) - start)
        starts = iter(range(start, len(source), size))
        waiting: deque[tuple[int, Future[NDArray[np.float32]]]] = deque()
        over = threading.Event()

        def hand_out() -> None:
            if (position := next(starts, None)) is not None:
                read = self._reader.submit(source.read, position, min(position + size, len(source)))
                waiting.append((position, self._lanes.submit(self._compute, read, over)))

        for _ in range(self._size + self._read_ahead):
            hand_out()
        try:
            while waiting:
                position, rows = waiting.popleft()
                yield position, rows.result()
                hand_out()
        finally:
            over.set()
            for _, rows in waiting:
                rows.cancel()

    def _even_size(self, count: int) -> int:
        """The batch size that keeps all lanes busy to the end: 100 planes are four times 25, not three 32 and a 4."""
        rounds = -(-count // (self.batch_size * self._size)) or 1
        return min(self.batch_size, max(SMALLEST_SHARE, -(-count // (rounds * self._size))))

    def _compute(self, read: Future[NDArray[Any]], over: threading.Event) -> NDArray[np.float32]:
        if over.is_set():
            raise CancelledError
        planes = torch.from_numpy(read.result())
        while True:
            size = self.batch_size
            try:
                with named_device_errors():
                    return torch.cat([self._forward(part) for part in torch.split(planes, size)]).numpy()
            except DeviceLostError:
                over.set()  # here: a lane would take its next batch to the failed device before the caller hears of it
                raise
            except (MemoryError, RuntimeError) as error:
                if not ran_out_of_memory(error):
                    raise
                if size == 1:
                    raise DeviceMemoryError(
                        "One plane does not fit in the memory of the device.",
                        hint="Free the device, or choose a smaller network.",
                    ) from error
            with self._lock:
                self.batch_size = min(self.batch_size, max(1, size // 2))


def _use_one_thread() -> None:
    torch.get_num_threads()  # torch takes the process's number when a thread first asks, and would overwrite ours then
    torch.set_num_threads(1)
