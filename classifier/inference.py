"""Planes in, probabilities and embeddings out: the fast path. Nothing is rendered or stored here."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from classifier.augmentation import dihedral_view
from classifier.data import Question
from classifier.errors import EsocsError
from classifier.networks import Network
from classifier.shards import open_shard
from classifier.weights import load_weights

VIEW_COUNTS = (1, 4, 8)


class PlanesError(EsocsError):
    """The planes are not of the shape the network takes."""

    code = "planes_invalid"
    status = 422


class PredictorSettingsError(EsocsError):
    """The networks cannot be used together, or not in this way."""

    code = "predictor_settings"
    status = 422


class DeviceMemoryError(EsocsError):
    """Not even a single plane fits in the memory of the device."""

    code = "device_memory"
    status = 503


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """What the networks say about N planes, in their order.

    Attributes:
        probabilities: Question name to (N, K) float32 rows of sum one: the mean softmax over networks
            and views, before temperature scaling (`classifier.calibration.Temperature.apply`).
        embeddings: (N, D) float32 of length one: the first network's mean over views.
    """

    probabilities: dict[str, NDArray[np.float32]]
    embeddings: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.embeddings)


def default_device() -> str:
    """The name of the GPU where there is one, else of the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


class Predictor:
    """One network, or an ensemble whose softmaxes are averaged, held on a device.

    Args:
        networks: At least one, all of the same kind and questions; they are put in evaluation mode.
        questions: The questions, in the order of the heads.
        views: 1, or for images 4 or 8: how many flips and turns are averaged.
        batch_size: Planes at a time; halved, and kept halved, when the device runs out of memory.
        device: "cuda", "cuda:1", "cpu"; chosen when omitted.
        read_ahead: Batches read by threads while the device computes.

    Raises:
        PredictorSettingsError: The networks differ in kind or questions, or the views do not suit them.
    """

    def __init__(
        self,
        networks: Sequence[Network],
        *,
        questions: Sequence[Question],
        views: int = 1,
        batch_size: int = 128,
        device: str | None = None,
        read_ahead: int = 2,
    ) -> None:
        if not networks:
            raise PredictorSettingsError("A predictor needs at least one network.")
        answers = {question.name: len(question.answers) for question in questions}
        if any(n.arguments["answers"] != answers or n.kind != networks[0].kind for n in networks):
            raise PredictorSettingsError("The networks of an ensemble must have the same kind and questions.")
        if views not in VIEW_COUNTS or (views > 1 and networks[0].kind != "image"):
            raise PredictorSettingsError(f"{views} views: images have 1, 4 or 8, spectra have one.")
        self.questions = tuple(questions)
        self.views = views
        self.batch_size = batch_size
        self.read_ahead = read_ahead
        self.device = torch.device(device or default_device())
        self.plane_shape = networks[0].plane_shape
        self.networks = [network.to(self.device).eval() for network in networks]

    @classmethod
    def open(cls, weights: Sequence[tuple[Path, str]], *, questions: Sequence[Question], **settings: Any) -> Predictor:
        """Loads (path, sha256) pairs; raises what `classifier.weights.load_weights` raises."""
        networks = [load_weights(path, sha256=sha256, questions=questions)[0] for path, sha256 in weights]
        return cls(networks, questions=questions, **settings)

    def predict(self, planes: NDArray[Any] | Path) -> Predictions:
        """All planes of an array or a shard, in memory.

        Args:
            planes: (N, 128, 128) or (N, 2, 1024) float16 or float32, or the path of a .npy shard of them.

        Raises:
            PlanesError: The shape is not the network's.
            DamagedShardError: The shard cannot be read.
            DeviceMemoryError: One plane does not fit on the device.
        """
        parts = [part for _, part in self.predict_batches(planes)]
        if not parts:
            width = self.networks[0].arguments["embedding_size"]
            empty = {q.name: np.empty((0, len(q.answers)), dtype=np.float32) for q in self.questions}
            return Predictions(probabilities=empty, embeddings=np.empty((0, width), dtype=np.float32))
        return Predictions(
            probabilities={
                q.name: np.concatenate([part.probabilities[q.name] for part in parts]) for q in self.questions
            },
            embeddings=np.concatenate([part.embeddings for part in parts]),
        )

    def predict_batches(self, planes: NDArray[Any] | Path, *, start: int = 0) -> Iterator[tuple[int, Predictions]]:
        """(position of the first plane, predictions) per batch, from `start` on: to store and to resume."""
        source = self._opened(planes)
        size = self.batch_size
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="planes") as pool:
            starts = iter(range(start, len(source), size))
            waiting: deque[tuple[int, Future[Tensor]]] = deque()

            def read_next() -> None:
                if (position := next(starts, None)) is not None:
                    waiting.append((position, pool.submit(self._read, source[position : position + size])))

            for _ in range(1 + self.read_ahead):
                read_next()
            while waiting:
                position, batch = waiting.popleft()
                yield position, self._predict_batch(batch.result())
                read_next()

    def _opened(self, planes: NDArray[Any] | Path) -> NDArray[Any]:
        array = open_shard(planes) if isinstance(planes, Path) else planes
        if array.shape[1:] != self.plane_shape or array.dtype.kind != "f":
            raise PlanesError(
                f"The network takes float planes {self.plane_shape}, not {array.dtype} {array.shape[1:]}."
            )
        return array

    def _read(self, planes: NDArray[Any]) -> Tensor:
        # The copy is where a memory map touches the disk: in the reading thread.
        batch = torch.from_numpy(np.array(planes))
        return batch.pin_memory() if self.device.type == "cuda" else batch

    def _predict_batch(self, planes: Tensor) -> Predictions:
        while True:
            try:
                parts = [self._forward(chunk) for chunk in torch.split(planes, self.batch_size)]
                break
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
                if self.batch_size == 1:
                    raise DeviceMemoryError(
                        "One plane does not fit in the memory of the device.",
                        hint="Free the device, or choose a smaller network.",
                    ) from error
            # Outside the except block, where the traceback no longer holds the tensors that did not fit.
            self.batch_size = max(1, self.batch_size // 2)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
        return Predictions(
            probabilities={
                name: torch.cat([probabilities[name] for probabilities, _ in parts]).numpy() for name in parts[0][0]
            },
            embeddings=torch.cat([embedding for _, embedding in parts]).numpy(),
        )

    @torch.inference_mode()
    def _forward(self, planes: Tensor) -> tuple[Mapping[str, Tensor], Tensor]:
        planes = planes.to(self.device, non_blocking=True)
        sums: dict[str, Tensor] = {}
        embedding_sum: Tensor | None = None
        for view in range(self.views):
            seen = dihedral_view(planes, view) if view else planes
            for member, network in enumerate(self.networks):
                with torch.autocast("cuda", dtype=torch.bfloat16, enabled=self.device.type == "cuda"):
                    logits, embedding = network(seen)
                for name, values in logits.items():
                    probabilities = values.float().softmax(dim=1)
                    sums[name] = sums[name] + probabilities if name in sums else probabilities
                if member == 0:
                    embedding_sum = embedding if embedding_sum is None else embedding_sum + embedding
        assert embedding_sum is not None
        mean = {name: (total / (self.views * len(self.networks))).cpu() for name, total in sums.items()}
        return mean, functional.normalize(embedding_sum.float(), dim=1).cpu()


def _is_out_of_memory(error: BaseException) -> bool:
    # The CPU allocator raises a plain RuntimeError and says so only in its text.
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)
