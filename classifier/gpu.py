"""The forward pass on one GPU: a CUDA graph at a fixed batch, fed so that it never waits for the disk or the bus.

Threads read planes into pinned buffers that are used again and again; a stream of its own copies them over while
another computes; one short copy brings all results of a batch back while the next is computed.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, cuda

from classifier.devices import DeviceMemoryError
from classifier.forward import Forward, PlaneSource, named_device_errors, ran_out_of_memory

log = logging.getLogger(__name__)

READERS = 4
# cuDNN chooses its algorithms, and the allocator its blocks, before the graph is recorded.
WARM_UPS = 3


@dataclass(kw_only=True)
class _Slot:
    """The memory of one batch on its way: pinned planes, the same on the device, pinned results."""

    pinned: Tensor
    planes: Tensor
    results: Tensor
    copied: cuda.Event
    done: cuda.Event
    position: int = 0
    count: int = 0


class GpuPipeline:
    """Batches through one GPU.

    Attributes:
        batch_size: Planes in each batch, the last one padded; halved until the graph fits in the device's memory.
    """

    def __init__(self, forward: Forward, *, batch_size: int, read_ahead: int) -> None:
        self.batch_size = batch_size
        self._forward = forward
        self._read_ahead = read_ahead
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="planes")
        self._dtype: torch.dtype | None = None
        self._slots: list[_Slot] = []
        self._graph: cuda.CUDAGraph | None = None
        cuda.set_device(forward.device)  # one process a GPU: what torch does by itself it does there too

    def run(self, source: PlaneSource, *, start: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """(position, (n, `Forward.width`) rows) in order.

        Raises:
            DeviceMemoryError: One plane does not fit on the device.
            DeviceLostError: The GPU failed; this process cannot use it any more.
        """
        with named_device_errors():
            self._prepare(source)
            yield from self._run(source, start)

    def _run(self, source: PlaneSource, start: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        starts = iter(range(start, len(source), self.batch_size))
        reading: deque[Future[_Slot]] = deque()
        computing: deque[_Slot] = deque()

        def read_into(slot: _Slot) -> None:
            if (position := next(starts, None)) is not None:
                reading.append(self._readers.submit(self._read, source, slot, position))

        try:
            for slot in self._slots:
                read_into(slot)
            while reading or computing:
                if reading:
                    slot = reading.popleft().result()
                    self._launch(slot)
                    computing.append(slot)
                # One batch computes while the results of the one before are handed out.
                if len(computing) > 1 or not reading:
                    slot = computing.popleft()
                    slot.done.synchronize()
                    rows = slot.results[: slot.count].numpy().copy()
                    position = slot.position
                    read_into(slot)
                    yield position, rows
        finally:
            # An abandoned run leaves no thread or copy that still writes into memory of the next.
            for future in reading:
                future.exception()
            for slot in computing:
                slot.done.synchronize()

    @staticmethod
    def _read(source: PlaneSource, slot: _Slot, position: int) -> _Slot:
        slot.position = position
        slot.count = min(len(slot.pinned), len(source) - position)
        # What an earlier batch left behind the last planes is computed with them and thrown away.
        source.read_into(slot.pinned.numpy()[: slot.count], position)
        return slot

    def _launch(self, slot: _Slot) -> None:
        """Queue copy, computation and the way back; nothing here waits for the device."""
        with cuda.stream(self._copying):
            slot.planes.copy_(slot.pinned, non_blocking=True)
            slot.copied.record(self._copying)
        with cuda.stream(self._computing):
            self._computing.wait_event(slot.copied)
            self._input.copy_(slot.planes, non_blocking=True)
            results = self._replay()
            slot.results.copy_(results, non_blocking=True)
            slot.done.record(self._computing)

    def _replay(self) -> Tensor:
        if self._graph is None:
            return self._forward(self._input)
        self._graph.replay()
        return self._output

    def _prepare(self, source: PlaneSource) -> None:
        """Buffers and graph for planes of this type, once; with half the batch as often as memory runs out."""
        dtype = torch.from_numpy(np.empty(0, dtype=source.planes.dtype)).dtype
        if self._dtype == dtype:
            return
        while True:
            try:
                self._allocate(source.planes.shape[1:], dtype)
                self._record()
                break
            except (MemoryError, RuntimeError) as error:
                if not ran_out_of_memory(error):
                    raise
                if self.batch_size == 1:
                    raise DeviceMemoryError(
                        "One plane does not fit in the memory of the device.",
                        hint="Free the device, or choose a smaller network.",
                    ) from error
            # Outside the except block, where the traceback no longer holds the tensors that did not fit.
            self.batch_size //= 2
            self._slots.clear()
            self._graph = None
            self._input = torch.empty(0)  # it may be what did not fit
            cuda.empty_cache()
        self._dtype = dtype

    def _allocate(self, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        device = self._forward.device
        self._copying: cuda.Stream = cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch's stub lacks it
        self._computing: cuda.Stream = cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._graph = None
        batch = (self.batch_size, *shape)
        self._input = torch.zeros(batch, dtype=dtype, device=device)
        self._slots = [
            _Slot(
                pinned=pinned(batch, dtype),
                planes=torch.zeros(batch, dtype=dtype, device=device),
                results=pinned((self.batch_size, self._forward.width), torch.float32),
                copied=cuda.Event(),  # type: ignore[no-untyped-call]
                done=cuda.Event(),  # type: ignore[no-untyped-call]
            )
            for _ in range(2 + self._read_ahead)
        ]

    def _record(self) -> None:
        """Warm up and capture: a replay then costs one launch in place of some hundreds."""
        with cuda.stream(self._computing), torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=True):
            self._warm_up()
            graph = cuda.CUDAGraph()
            try:
                with cuda.graph(graph, stream=self._computing):
                    self._output = self._forward(self._input)
            except RuntimeError as error:
                # What cannot be captured says so (cudaErrorStreamCapture…), and does the device no harm.
                if "captur" not in str(error):
                    raise
                log.warning("The network cannot be captured as a CUDA graph and runs without: %s", error)
                return
        self._graph = graph

    def _warm_up(self) -> None:
        """Compiles too; where that fails, whatever the reason, the pass is computed without."""
        for _ in range(WARM_UPS):
            try:
                self._forward(self._input)
            # Beside torch's own there are those of a missing program or of a cache that cannot be written.
            except (RuntimeError, OSError) as error:
                if not self._forward.compiled or ran_out_of_memory(error) or isinstance(error, torch.AcceleratorError):
                    raise
                log.warning("The network cannot be compiled and runs at half the speed: %.500s", error)
                self._forward.give_up_compiling()
                self._forward(self._input)
        cuda.synchronize(self._forward.device)


def pinned(shape: tuple[int, ...], dtype: torch.dtype) -> Any:
    """Zeros in memory that the device can read and write by itself."""
    return torch.zeros(shape, dtype=dtype, pin_memory=True)
