"""Planes in, probabilities and embeddings out: the fast path. Nothing is rendered or stored here.

`classifier.lanes` runs it on the cores of a CPU, `classifier.gpu` on one GPU. Several GPUs are several processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from classifier.data import Question
from classifier.devices import DeviceMissingError
from classifier.errors import EsocsError
from classifier.forward import Forward, PlaneSource
from classifier.gpu import GpuPipeline
from classifier.lanes import Lanes
from classifier.networks import Network
from classifier.shards import open_shard
from classifier.weights import load_weights

VIEW_COUNTS = (1, 4, 8)
# On a CPU what a lane works on should stay in its cache; a GPU wants to be full.
BATCH_SIZES = {"cpu": 16, "cuda": 512}


class PlanesError(EsocsError):
    """The planes are not of the shape the network takes."""

    code = "planes_invalid"
    status = 422


class PredictorSettingsError(EsocsError):
    """The networks cannot be used together, or not in this way."""

    code = "predictor_settings"
    status = 422


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """What the networks say about N planes, in their order.

    Attributes:
        probabilities: Question name to (N, K) float32 rows of sum one: the mean softmax over networks
            and views, before temperature scaling (`classifier.calibration.Temperature.apply`).
        embeddings: (N, D) float32 of length one: the first network's mean over views.
        strangeness: (N,) float32 log odds that the plane is none of what the first network knows.
    """

    probabilities: dict[str, NDArray[np.float32]]
    embeddings: NDArray[np.float32]
    strangeness: NDArray[np.float32]

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
        batch_size: Planes at a time; halved, and kept halved, when the device runs out of memory. By default what
            suits the device.
        device: "cuda", "cuda:1", "cpu"; chosen when omitted.
        read_ahead: Batches read by threads while the device computes.
        compiled: Whether the network is compiled for a GPU, which pays for whoever predicts tens of thousands; on a
            CPU it never is. Where it cannot be, the predictor says so in the log and does without.

    Raises:
        PredictorSettingsError: The networks differ in kind or questions, or the views do not suit them.
        DeviceMissingError: The machine has no such device.
    """

    def __init__(
        self,
        networks: Sequence[Network],
        *,
        questions: Sequence[Question],
        views: int = 1,
        batch_size: int | None = None,
        device: str | None = None,
        read_ahead: int = 2,
        compiled: bool = False,
    ) -> None:
        if not networks:
            raise PredictorSettingsError("A predictor needs at least one network.")
        answers = {question.name: len(question.answers) for question in questions}
        if any(n.arguments["answers"] != answers or n.kind != networks[0].kind for n in networks):
            raise PredictorSettingsError("The networks of an ensemble must have the same kind and questions.")
        if views not in VIEW_COUNTS or (views > 1 and networks[0].kind != "image"):
            raise PredictorSettingsError(f"{views} views: images have 1, 4 or 8, spectra have one.")
        self.questions = tuple(questions)
        self.plane_shape = networks[0].plane_shape
        self.device = _present(device or default_device())
        on_gpu = self.device.type == "cuda"
        self._forward = Forward(networks, views=views, device=self.device, compiled=compiled and on_gpu)
        engine = GpuPipeline if on_gpu else Lanes
        size = batch_size or BATCH_SIZES[self.device.type]
        self._engine: GpuPipeline | Lanes = engine(self._forward, batch_size=size, read_ahead=read_ahead)

    @classmethod
    def open(cls, weights: Sequence[tuple[Path, str]], *, questions: Sequence[Question], **settings: Any) -> Predictor:
        """Loads (path, sha256) pairs, each of one or more networks; raises what `load_weights` raises."""
        files = [load_weights(path, sha256=sha256, questions=questions) for path, sha256 in weights]
        networks = [network for members, _ in files for network in members]
        return cls(networks, questions=questions, **settings)

    @property
    def batch_size(self) -> int:
        """Planes at a time, as far as the device's memory has allowed."""
        return self._engine.batch_size

    def predict(self, planes: NDArray[Any] | Path) -> Predictions:
        """All planes of an array or a shard, in memory.

        Args:
            planes: (N, 128, 128) or (N, 2, 1024) float16 or float32, or the path of a .npy shard of them.

        Raises:
            PlanesError: The shape is not the network's.
            DamagedShardError: The shard cannot be read.
            DeviceMemoryError: One plane does not fit on the device.
            DeviceLostError: The device failed; this process cannot use it any more.
        """
        parts = [part for _, part in self.predict_batches(planes)]
        if not parts:
            return self._named(np.empty((0, self._forward.width), dtype=np.float32))
        return Predictions(
            probabilities={
                q.name: np.concatenate([part.probabilities[q.name] for part in parts]) for q in self.questions
            },
            embeddings=np.concatenate([part.embeddings for part in parts]),
            strangeness=np.concatenate([part.strangeness for part in parts]),
        )

    def predict_batches(
        self, planes: NDArray[Any] | Path, *, rows: NDArray[np.int64] | None = None, start: int = 0
    ) -> Iterator[tuple[int, Predictions]]:
        """Predictions batch by batch, in order, so that memory stays flat however large the shard is.

        Args:
            planes: As `predict` takes them.
            rows: (N,) which planes, in which order; None takes all.
            start: How many to leave out, having them already.

        Yields:
            The position of the batch's first plane (among the rows), and its predictions.

        Raises:
            PlanesError: The shape is not the network's, or a row does not exist; and what `predict` raises.
        """
        array = open_shard(planes) if isinstance(planes, Path) else planes
        if array.shape[1:] != self.plane_shape or array.dtype.kind != "f":
            raise PlanesError(
                f"The network takes float planes {self.plane_shape}, not {array.dtype} {array.shape[1:]}."
            )
        if rows is not None and len(rows) and (rows.min() < 0 or rows.max() >= len(array)):
            raise PlanesError(f"Rows {rows.min()} to {rows.max()} are asked of {len(array)} planes.")
        for position, values in self._engine.run(PlaneSource(planes=array, rows=rows), start=start):
            yield position, self._named(values)

    def _named(self, values: NDArray[np.float32]) -> Predictions:
        columns = self._forward.columns
        return Predictions(
            probabilities={name: values[:, chosen] for name, chosen in columns.items()},
            embeddings=values[:, self._forward.embedding],
            strangeness=values[:, self._forward.strangeness],
        )


def _present(name: str) -> torch.device:
    device = torch.device(name)
    if device.type not in BATCH_SIZES or (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()):
        raise DeviceMissingError(
            f"This machine has no {name!r} that torch can use.",
            hint="Look at nvidia-smi and CUDA_VISIBLE_DEVICES, or set ESOCS_DEVICE to auto or cpu.",
        )
    # "cuda" is the first one: what asks for a GPU's number is not content with the word.
    return torch.device("cuda", device.index or 0) if device.type == "cuda" else device
