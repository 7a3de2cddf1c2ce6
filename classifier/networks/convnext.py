"""What the image and the spectrum network share: ConvNeXt blocks, the pooling, the embedding and the heads.

After Liu et al. (2022, "A ConvNet for the 2020s", arXiv:2201.03545), with an overlapping convolutional stem. A spectrum
passes as an image of one row: on a CPU, two-dimensional convolutions in channels_last memory take two thirds of the
time of one-dimensional ones.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from classifier.networks.heads import QuestionHeads
from classifier.networks.strangeness import Strangeness


class Block(nn.Module):
    """Depthwise convolution, layer norm, and a two-layer perceptron per place, added to its input.

    Args:
        width: Channels.
        kernel: Rows and columns of the depthwise convolution; odd.
        expansion: Hidden width of the perceptron over `width`.
    """

    def __init__(self, width: int, *, kernel: tuple[int, int], expansion: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, kernel, padding=_half(kernel), groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, expansion * width)
        self.reduce = nn.Linear(expansion * width, width)
        self.scale = nn.Parameter(torch.full((width,), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        # In channels_last memory this is a view, so that norm and linear copy nothing.
        y: Tensor = self.depthwise(x).permute(0, 2, 3, 1)
        y = self.reduce(functional.gelu(self.expand(self.norm(y)))) * self.scale
        return x + y.permute(0, 3, 1, 2)


# Of an embedding before it is brought to length one: what was learned, at this length, what the stem sees, and a one
# that keeps the length. The answers are learned by forgetting all that they do not need; the stem has forgotten little.
LEARNED_LENGTH = 3.0
# Of any width, and of a depth times 1,024: a card from elsewhere must not make us build what no machine holds.
LARGEST_SIZE = 65_536


class ConvNeXt(nn.Module, ABC):
    """Planes to logits per question and an embedding. A subclass says what its channels are.

    Half of the embedding is learned, and the heads answer from it alone. The other half are means and standard
    deviations of the stem's channels over the plane, turned by a fixed random matrix: a defect or a class that the
    network has never met moves those where it leaves the learned half alone.

    Args:
        answers: Question name to its number of answers.
        stem_widths: Channels after each convolution of stride 2 in the stem.
        widths: Channels of each stage.
        depths: Blocks in each stage.
        strides: By how much each stage shortens an axis on entry.
        kernel_size: Of the depthwise convolutions; odd.
        expansion: Hidden width of a block over its width.
        embedding_size: D, even.
        dropout: Share of the embedding's learned half dropped in training.

    Raises:
        ValueError: A width or a depth is not a positive number of reasonable size.
    """

    architecture: ClassVar[str]
    kind: ClassVar[str]
    plane_shape: ClassVar[tuple[int, int]]
    input_channels: ClassVar[int]
    stem_kernel: ClassVar[int]
    turn: Tensor

    def __init__(
        self,
        *,
        answers: Mapping[str, int],
        stem_widths: Sequence[int],
        widths: Sequence[int],
        depths: Sequence[int],
        strides: Sequence[int],
        kernel_size: int,
        expansion: int,
        embedding_size: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.arguments: dict[str, Any] = {
            "answers": dict(answers),
            "stem_widths": list(stem_widths),
            "widths": list(widths),
            "depths": list(depths),
            "strides": list(strides),
            "kernel_size": kernel_size,
            "expansion": expansion,
            "embedding_size": embedding_size,
            "dropout": dropout,
        }
        sizes = (*stem_widths, *widths, embedding_size, *(1024 * depth for depth in depths))
        if not all(0 < size <= LARGEST_SIZE for size in sizes):
            raise ValueError(f"widths {sizes[: -len(depths)]} or depths {tuple(depths)} out of range")
        layers: list[nn.Module] = []
        channels = self.input_channels
        stem_kernel, stem_stride = self._sides(self.stem_kernel), self._sides(2)
        for width in stem_widths:
            layers += [nn.Conv2d(channels, width, stem_kernel, stem_stride, _half(stem_kernel)), nn.GELU()]
            channels = width
        for width, depth, stride in zip(widths, depths, strides, strict=True):
            if stride > 1 or width != channels:
                layers.append(nn.Conv2d(channels, width, self._sides(stride), self._sides(stride)))
            layers += [Block(width, kernel=self._sides(kernel_size), expansion=expansion) for _ in range(depth)]
            channels = width
        self.encoder = nn.Sequential(*layers)
        learned = embedding_size // 2
        self.pooled_norm = nn.LayerNorm(2 * channels)
        self.embed = nn.Linear(2 * channels, learned)
        self.dropout = nn.Dropout(dropout)
        self.heads = QuestionHeads(embedding_size=learned, answers=answers)
        self.strangeness = Strangeness(kind=self.kind, answers=next(iter(answers.values())))
        self.stem_depth = 2 * len(stem_widths)
        self.register_buffer("turn", _orthogonal(2 * sum(stem_widths), embedding_size - learned - 1))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it

    @classmethod
    def _sides(cls, length: int) -> tuple[int, int]:
        return (1 if cls.kind == "spectrum" else length, length)

    @abstractmethod
    def channels_of(self, planes: Tensor) -> Tensor:
        """Planes as they are stored to (N, `input_channels`, H, W) of order one, in channels_last memory."""

    def encode(self, planes: Tensor, statistics: list[Tensor] | None = None) -> Tensor:
        """(N, *plane_shape) planes to (N, D / 2) learned features.

        Args:
            planes: As they are stored.
            statistics: Takes the (N, width) means and standard deviations of the stem's layers, if given.
        """
        x = self.channels_of(planes)
        for depth, layer in enumerate(self.encoder, start=1):
            x = layer(x)
            if statistics is not None and depth <= self.stem_depth and depth % 2 == 0:
                statistics += _mean_and_deviation(_places(x))
        places = _places(x).float()
        # The mean sees the galaxy, the maximum the one trail across it.
        pooled = torch.cat((places.mean(dim=1), places.amax(dim=1)), dim=1)
        return functional.gelu(self.embed(self.pooled_norm(pooled)))

    def concentrations(self, planes: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Logits (N, K) and log S (N,) per question: what the loss needs."""
        logits, log_concentration = self.heads(self.dropout(self.encode(planes)))
        return logits, log_concentration

    def forward(self, planes: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Logits (N, K) per question and the L2-normalised float32 embedding (N, D)."""
        statistics: list[Tensor] = []
        features = self.encode(planes, statistics)
        logits, _ = self.heads(self.dropout(features))
        learned = LEARNED_LENGTH * functional.normalize(features.float(), dim=1)
        turned = torch.cat(statistics, dim=1) @ self.turn
        one = torch.ones_like(learned[:, :1])
        return logits, functional.normalize(torch.cat((learned, turned.float(), one), dim=1), dim=1)


def _places(x: Tensor) -> Tensor:
    """(N, C, H, W) to (N, H W, C): in channels_last memory a view in which the channels of a place lie together."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def _mean_and_deviation(places: Tensor) -> tuple[Tensor, Tensor]:
    """Over the places, (N, C) float32 each. By the mean of the squares: torch's `std` takes a CPU ten times as long."""
    mean = places.mean(dim=1, dtype=torch.float32)
    variance = (places * places).mean(dim=1, dtype=torch.float32) - mean.square()
    return mean, variance.clamp(min=0.0).sqrt()


def _orthogonal(rows: int, columns: int) -> Tensor:
    """A (rows, columns) matrix of orthonormal rows or columns: the same in every network."""
    matrix = np.random.default_rng(rows).normal(size=(max(rows, columns), min(rows, columns)))
    orthonormal = np.linalg.qr(matrix)[0]
    return torch.tensor(orthonormal if rows >= columns else orthonormal.T, dtype=torch.float32)


def _half(kernel: tuple[int, int]) -> tuple[int, int]:
    return kernel[0] // 2, kernel[1] // 2
