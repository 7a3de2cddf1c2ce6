"""What the image and the spectrum network share: ConvNeXt blocks in one or two dimensions, the pooling, the heads.

After Liu et al. (2022, "A ConvNet for the 2020s", arXiv:2201.03545), with an overlapping convolutional stem.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from classifier.networks.heads import QuestionHeads


class Block(nn.Module):
    """Depthwise convolution, layer norm, and a two-layer perceptron per place, added to its input.

    Args:
        width: Channels.
        convolution: `nn.Conv1d` or `nn.Conv2d`.
        kernel_size: Of the depthwise convolution; odd.
        expansion: Hidden width of the perceptron over `width`.
    """

    def __init__(
        self, width: int, *, convolution: type[nn.Conv1d | nn.Conv2d], kernel_size: int, expansion: int
    ) -> None:
        super().__init__()
        self.depthwise = convolution(width, width, kernel_size, padding=kernel_size // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, expansion * width)
        self.reduce = nn.Linear(expansion * width, width)
        self.scale = nn.Parameter(torch.full((width,), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        # Channels last: in an image's channels_last memory a view, so that norm and linear copy nothing.
        y: Tensor = self.depthwise(x).movedim(1, -1)
        y = self.reduce(functional.gelu(self.expand(self.norm(y)))) * self.scale
        return x + y.movedim(-1, 1)


class ConvNeXt(nn.Module):
    """Planes to logits per question and an embedding. A subclass says what its channels are.

    Args:
        answers: Question name to its number of answers.
        stem_widths: Channels after each convolution of stride 2 in the stem.
        widths: Channels of each stage.
        depths: Blocks in each stage.
        strides: By how much each stage shortens an axis on entry.
        kernel_size: Of the depthwise convolutions; odd.
        expansion: Hidden width of a block over its width.
        embedding_size: D.
        dropout: Share of the embedding dropped in training.
    """

    architecture: ClassVar[str]
    kind: ClassVar[str]
    plane_shape: ClassVar[tuple[int, int]]
    convolution: ClassVar[type[nn.Conv1d | nn.Conv2d]]
    input_channels: ClassVar[int]
    stem_kernel: ClassVar[int]

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
        convolution = self.convolution
        layers: list[nn.Module] = []
        channels = self.input_channels
        for width in stem_widths:
            layers += [
                convolution(channels, width, self.stem_kernel, stride=2, padding=self.stem_kernel // 2),
                nn.GELU(),
            ]
            channels = width
        for width, depth, stride in zip(widths, depths, strides, strict=True):
            if stride > 1 or width != channels:
                layers.append(convolution(channels, width, stride, stride=stride))
            layers += [
                Block(width, convolution=convolution, kernel_size=kernel_size, expansion=expansion)
                for _ in range(depth)
            ]
            channels = width
        self.encoder = nn.Sequential(*layers)
        self.pooled_norm = nn.LayerNorm(2 * channels)
        self.embed = nn.Linear(2 * channels, embedding_size)
        self.dropout = nn.Dropout(dropout)
        self.heads = QuestionHeads(embedding_size=embedding_size, answers=answers)

    def channels_of(self, planes: Tensor) -> Tensor:
        """Planes as they are stored to (N, `input_channels`, ...) of order one."""
        raise NotImplementedError

    def encode(self, planes: Tensor) -> Tensor:
        """(N, *plane_shape) planes to (N, D) features before normalisation."""
        x = self.encoder(self.channels_of(planes)).flatten(2)
        # The mean sees the galaxy, the maximum the one trail across it.
        pooled = torch.cat((x.mean(dim=2), x.amax(dim=2)), dim=1)
        return functional.gelu(self.embed(self.pooled_norm(pooled)))

    def concentrations(self, planes: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Logits (N, K) and log S (N,) per question: what the loss needs."""
        logits, log_concentration = self.heads(self.dropout(self.encode(planes)))
        return logits, log_concentration

    def forward(self, planes: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Logits (N, K) per question and the L2-normalised float32 embedding (N, D)."""
        features = self.encode(planes)
        logits, _ = self.heads(self.dropout(features))
        return logits, functional.normalize(features.float(), dim=1)
