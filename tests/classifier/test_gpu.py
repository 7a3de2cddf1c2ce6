"""The GPU's pipeline on a stand-in for torch.cuda that runs late: as late as streams and events allow.

What is queued on a stream runs only when somebody waits for it, so memory that is used again too early is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from classifier import gpu
from classifier.devices import DeviceLostError, DeviceMemoryError
from classifier.forward import Forward, PlaneSource
from classifier.networks import ImageNetwork

from .quick_planes import TINY_IMAGE, blobs

PLANES = blobs(21)[0]


class Stream:
    """Work that waits in order."""

    def __init__(self, device: Any = None) -> None:
        self.queue: list[Callable[[], Any]] = []

    def run(self) -> None:
        while self.queue:
            self.queue.pop(0)()

    def wait_event(self, event: Event) -> None:
        self.queue.append(event.synchronize)


class Event:
    """Passed when all that was on the stream before it has run."""

    def record(self, stream: Stream) -> None:
        self.stream, self.passed = stream, False
        stream.queue.append(self.happen)

    def happen(self) -> None:
        self.passed = True

    def synchronize(self) -> None:
        while not self.passed:
            self.stream.queue.pop(0)()


class Graph:
    def replay(self) -> None:
        FakeCuda.current.queue.append(self.work)


class FakeCuda:
    """torch.cuda as the pipeline uses it."""

    Stream, Event, CUDAGraph = Stream, Event, Graph
    current = Stream()
    emptied = 0

    @staticmethod
    @contextmanager
    def stream(stream: Stream) -> Iterator[None]:
        before, FakeCuda.current = FakeCuda.current, stream
        yield
        FakeCuda.current = before

    @staticmethod
    @contextmanager
    def graph(graph: Graph, stream: Stream) -> Iterator[None]:
        yield

    @staticmethod
    def synchronize(device: Any) -> None:
        FakeCuda.current.run()

    @staticmethod
    def set_device(device: Any) -> None:
        pass

    @staticmethod
    def empty_cache() -> None:
        FakeCuda.emptied += 1


class Late(torch.Tensor):
    """A tensor whose copies are queued on the current stream."""

    def copy_(self, source: torch.Tensor, non_blocking: bool = False) -> Late:  # type: ignore[override]
        FakeCuda.current.queue.append(lambda: torch.Tensor.copy_(self, source))
        return self


class LateTorch:
    """torch as the pipeline sees it: its zeros are late, those of a network's own are not."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    @staticmethod
    def zeros(*size: Any, **settings: Any) -> torch.Tensor:
        return torch.zeros(*size, **settings).as_subclass(Late)


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes pipelines whose memory is late and whose graph replays the pass over the same input and output."""
    monkeypatch.setattr(gpu, "cuda", FakeCuda)
    monkeypatch.setattr(gpu, "pinned", lambda shape, dtype: torch.zeros(shape, dtype=dtype).as_subclass(Late))
    monkeypatch.setattr(gpu, "torch", LateTorch())
    record = gpu.GpuPipeline._record

    def record_and_replay(self: gpu.GpuPipeline) -> None:
        record(self)
        if self._graph is not None:
            self._graph.work = lambda: torch.Tensor.copy_(self._output, self._forward(self._input))

    monkeypatch.setattr(gpu.GpuPipeline, "_record", record_and_replay)

    def make(network: ImageNetwork | None = None, *, batch_size: int = 4, read_ahead: int = 1) -> gpu.GpuPipeline:
        forward = PlainForward([network or tiny()], views=1, device=torch.device("cpu"))
        return gpu.GpuPipeline(forward, batch_size=batch_size, read_ahead=read_ahead)

    return make


class PlainForward(Forward):
    def __call__(self, planes: torch.Tensor) -> torch.Tensor:
        return super().__call__(planes.as_subclass(torch.Tensor)).clone()


def tiny(network: type[ImageNetwork] = ImageNetwork) -> ImageNetwork:
    torch.manual_seed(0)
    return network(answers={"T0": 3}, **TINY_IMAGE)


def expected(planes: np.ndarray) -> np.ndarray:
    return Forward([tiny()], views=1, device=torch.device("cpu"))(torch.from_numpy(np.array(planes))).numpy()


def run(pipeline: gpu.GpuPipeline, planes: np.ndarray, **chosen: Any) -> tuple[list[int], np.ndarray]:
    start = chosen.pop("start", 0)
    parts = list(pipeline.run(PlaneSource(planes=planes, **chosen), start=start))
    return [position for position, _ in parts], np.concatenate([rows for _, rows in parts])


@pytest.mark.parametrize("read_ahead", [0, 1, 5])
@pytest.mark.parametrize("batch_size", [1, 4, 30])
def test_every_plane_is_computed_once_in_order_with_the_last_batch_padded(
    pipeline: Any, batch_size: int, read_ahead: int
) -> None:
    positions, rows = run(pipeline(batch_size=batch_size, read_ahead=read_ahead), PLANES)
    assert positions == list(range(0, len(PLANES), batch_size))
    np.testing.assert_allclose(rows, expected(PLANES), atol=1e-5)


def test_chosen_rows_are_computed_from_where_it_was_left(pipeline: Any) -> None:
    chosen = np.array([20, 3, 3, 7, 11, 0])
    positions, rows = run(pipeline(), PLANES, rows=chosen, start=2)
    assert positions == [2]
    np.testing.assert_allclose(rows, expected(PLANES[chosen[2:]]), atol=1e-5)


def test_the_pipeline_is_used_again_for_the_next_shard_also_of_another_type(pipeline: Any) -> None:
    ours = pipeline()
    run(ours, PLANES)
    for planes in (PLANES[::-1], PLANES.astype(np.float32), PLANES[:3]):
        np.testing.assert_allclose(run(ours, planes)[1], expected(planes), atol=1e-5)


def test_a_run_that_is_abandoned_leaves_nothing_behind_for_the_next(pipeline: Any) -> None:
    ours = pipeline()
    next(ours.run(PlaneSource(planes=PLANES), start=0))
    np.testing.assert_allclose(run(ours, PLANES[5:])[1], expected(PLANES[5:]), atol=1e-5)


class Hungry(ImageNetwork):
    """Runs out of memory above a number of planes."""

    most = 3

    def forward(self, planes: torch.Tensor) -> Any:
        if len(planes) > self.most:
            raise torch.OutOfMemoryError("too many planes")
        return super().forward(planes)


def test_the_batch_is_halved_until_its_graph_fits(pipeline: Any) -> None:
    ours = pipeline(tiny(Hungry), batch_size=16)
    _, rows = run(ours, PLANES)
    assert ours.batch_size == 2
    np.testing.assert_allclose(rows, expected(PLANES), atol=1e-5)


def test_a_plane_that_does_not_fit_alone_is_a_named_error(pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hungry, "most", 0)
    with pytest.raises(DeviceMemoryError):
        run(pipeline(tiny(Hungry)), PLANES)


def test_a_network_that_cannot_be_captured_runs_without_a_graph(pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def refuse(graph: Graph, stream: Stream) -> Iterator[None]:
        raise torch.AcceleratorError("operation not permitted when stream is capturing")
        yield

    monkeypatch.setattr(FakeCuda, "graph", staticmethod(refuse))
    ours = pipeline()
    forward = ours._forward
    launched: list[int] = []
    monkeypatch.setattr(ours, "_forward", lambda planes: launched.append(1) or _late(forward, planes))
    for name in ("width", "device", "compiled"):
        setattr(ours._forward, name, getattr(forward, name))
    np.testing.assert_allclose(run(ours, PLANES)[1], expected(PLANES), atol=1e-5)
    assert len(launched) > gpu.WARM_UPS


@pytest.mark.parametrize("error", [RuntimeError, PermissionError])
def test_a_network_that_cannot_be_compiled_runs_as_it_is(
    pipeline: Any, caplog: pytest.LogCaptureFixture, error: type[Exception]
) -> None:
    ours = pipeline()

    def refuse(planes: torch.Tensor) -> torch.Tensor:
        raise error("no C compiler, or no place for what it makes")

    ours._forward.compiled, ours._forward._rows_of = True, refuse
    np.testing.assert_allclose(run(ours, PLANES)[1], expected(PLANES), atol=1e-5)
    assert not ours._forward.compiled
    assert "no C compiler" in caplog.text


def test_a_gpu_lost_while_it_compiles_is_not_taken_for_a_missing_compiler(pipeline: Any) -> None:
    ours = pipeline()

    def lose(planes: torch.Tensor) -> torch.Tensor:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    ours._forward.compiled, ours._forward._rows_of = True, lose
    with pytest.raises(DeviceLostError):
        run(ours, PLANES)


def _late(forward: Any, planes: torch.Tensor) -> torch.Tensor:
    output = torch.Tensor(len(planes), forward.width)
    FakeCuda.current.queue.append(lambda: torch.Tensor.copy_(output, forward(planes)))
    return output


def test_a_lost_gpu_is_a_named_error_that_ends_the_process(pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = pipeline()
    batches = ours.run(PlaneSource(planes=PLANES), start=0)
    next(batches)

    def lose(self: Graph) -> None:
        raise torch.AcceleratorError("CUDA error: unspecified launch failure\nmore")

    monkeypatch.setattr(Graph, "replay", lose)
    with pytest.raises(DeviceLostError, match="unspecified launch failure") as lost:
        list(batches)
    assert lost.value.ends_process
