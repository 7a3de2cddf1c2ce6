"""The forward pass that every device runs: stretch, views, ensemble, softmax, mean."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from classifier.augmentation import dihedral_view
from classifier.devices import DeviceLostError
from classifier.folding import fold
from classifier.networks import Network


@dataclass(frozen=True, kw_only=True)
class PlaneSource:
    """The planes of one request, read batch by batch.

    Attributes:
        planes: (M, …) float16 or float32, in memory or a mapped shard.
        rows: (N,) which of them, in which order; None takes all.
    """

    planes: NDArray[Any]
    rows: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.planes) if self.rows is None else len(self.rows)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """A copy of the planes from `start` to `stop`: what touches the disk, in the thread that calls."""
        if self.rows is None:
            return np.array(self.planes[start:stop])
        return np.take(self.planes, self.rows[start:stop], axis=0)

    def read_into(self, out: NDArray[Any], start: int) -> None:
        """The same into memory that is used again."""
        if self.rows is None:
            np.copyto(out, self.planes[start : start + len(out)])
        else:
            # With mode="raise" numpy would fill a copy first; the rows were checked when they were given.
            np.take(self.planes, self.rows[start : start + len(out)], axis=0, out=out, mode="clip")


class Forward:
    """Planes to one row each: the probabilities per question, the embedding and the strangeness: one copy for all.

    Args:
        networks: They stay as they are; what predicts is a copy in the form that suits the device.
        views: Dihedral views averaged.
        device: Where.
        compiled: Whether torch's compiler makes kernels of it, at the first call for each shape: that takes half a
            minute, and from then on a ConvNeXt takes a GPU little more than half the time.

    Attributes:
        compiled: The same; False once `give_up_compiling` was called.
        columns: Question name to its columns.
        embedding: The columns of the embedding.
        strangeness: The column of how strange the plane is to the first network.
        width: Columns in all.
    """

    def __init__(
        self, networks: Sequence[Network], *, views: int, device: torch.device, compiled: bool = False
    ) -> None:
        self.device = device
        self._views = views
        on_cpu = device.type == "cpu"
        self._networks = [fold(network) if on_cpu else _on_gpu(network, device) for network in networks]
        self.compiled = compiled
        if compiled:
            # What was compiled for earlier networks counts against a limit beyond which torch compiles no more.
            torch.compiler.reset()
        self._rows_of = torch.compile(self._compute, dynamic=False) if compiled else self._compute
        answers: Mapping[str, int] = networks[0].arguments["answers"]
        ends = np.cumsum([0, *answers.values()]).tolist()
        self.columns = {name: slice(a, b) for name, a, b in zip(answers, ends[:-1], ends[1:], strict=True)}
        self.strangeness = ends[-1] + int(networks[0].arguments["embedding_size"])
        self.embedding = slice(ends[-1], self.strangeness)
        self.width = self.strangeness + 1

    @torch.inference_mode()
    def __call__(self, planes: Tensor) -> Tensor:
        """(N, …) planes on the device to (N, `width`) float32 there.

        Probabilities are the mean softmax over networks and views, the embedding is the first network's mean over
        views, of length one.
        """
        rows: Tensor = self._rows_of(planes)
        return rows

    def give_up_compiling(self) -> None:
        """Compute as torch does by itself: the machine has no compiler, or one that cannot do this."""
        self.compiled, self._rows_of = False, self._compute

    def _compute(self, planes: Tensor) -> Tensor:
        probabilities: Tensor | None = None
        embedding: Tensor | None = None
        for view in range(self._views):
            seen = dihedral_view(planes, view) if view else planes
            for member, network in enumerate(self._networks):
                # The cache of cast weights does not live through the capture of a graph.
                with torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda", cache_enabled=False):
                    logits, features = network(seen)
                softmax = torch.cat([logits[name].float().softmax(dim=1) for name in self.columns], dim=1)
                probabilities = softmax if probabilities is None else probabilities + softmax
                if member == 0:
                    embedding = features.float() if embedding is None else embedding + features.float()
        assert probabilities is not None
        assert embedding is not None
        mean = probabilities / (self._views * len(self._networks))
        strange = self._networks[0].strangeness(planes)[:, None]
        return torch.cat((mean, functional.normalize(embedding, dim=1), strange), dim=1)


def _on_gpu(network: Network, device: torch.device) -> Network:
    """A copy for inference, whose layers hold their weights as autocast would cast them each time."""
    copied = copy.deepcopy(network).to(device).eval()
    for module in copied.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.to(torch.bfloat16)
    return copied


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether a smaller batch may help."""
    # The CPU allocator raises a plain RuntimeError and says so only in its text.
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)


@contextmanager
def named_device_errors() -> Iterator[None]:
    """Raise `DeviceLostError` for what the driver reports.

    After such an error every later call of the process fails as well (CUDA C++ Programming Guide, "Error Checking":
    sticky errors end with the process), so whoever catches it must end the process.
    """
    try:
        yield
    except torch.AcceleratorError as error:
        raise DeviceLostError(
            f"The GPU failed: {str(error).splitlines()[0]:.200}",
            hint="The work goes back and is repeated. If it happens again, read the driver's log (dmesg, nvidia-smi).",
        ) from error
