"""The image encoder: a small ConvNeXt whose front does the asinh stretch on the device.

After Liu et al. (2022, "A ConvNet for the 2020s", arXiv:2201.03545), with an overlapping convolutional stem.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from classifier.networks.heads import QuestionHeads


def stretch(planes: Tensor) -> Tensor:
    """(N, H, W) planes in units of sky noise to (N, 3, H, W) channels of order one.

    Faint: asinh(x), linear within the noise. Bright: asinh(x / 30), which still tells apart what the first
    saturates. Shape: asinh of x over the brightest 4 x 4 mean, so that a form looks alike at any flux.
    The asinh follows Lupton et al. (1999, AJ 118, 1406). NaN and infinities count as sky.
    """
    planes = torch.nan_to_num(planes.float(), nan=0.0, posinf=0.0, neginf=0.0)
    peak = functional.avg_pool2d(planes[:, None], 4).amax(dim=(1, 2, 3)).clamp(min=5.0)[:, None, None]
    faint = _asinh(planes) / 3
    bright = _asinh(planes / 30) / 2
    shape = _asinh(planes * (10 / peak)) / 2
    # Stacked last and seen as first: channels_last memory, which the convolutions want, without a copy.
    return torch.stack((faint, bright, shape), dim=3).permute(0, 3, 1, 2)


def _asinh(x: Tensor) -> Tensor:
    # torch.asinh is not vectorised on the CPU; this is several times as fast, and exact to 1e-6.
    return (x * x).add_(1).sqrt_().add_(x.abs()).log_().copysign_(x)


class Block(nn.Module):
    """Depthwise convolution, layer norm, and a two-layer perceptron per pixel, added to its input."""

    def __init__(self, width: int, *, kernel_size: int, expansion: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, kernel_size, padding=kernel_size // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, expansion * width)
        self.reduce = nn.Linear(expansion * width, width)
        self.scale = nn.Parameter(torch.full((width,), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        # In channels_last memory this is a view, so that norm and linear copy nothing.
        y: Tensor = self.depthwise(x).permute(0, 2, 3, 1)
        y = self.reduce(functional.gelu(self.expand(self.norm(y)))) * self.scale
        return x + y.permute(0, 3, 1, 2)


class ImageNetwork(nn.Module):
    """Planes to logits per question and an embedding.

    Args:
        answers: Question name to its number of answers.
        stem_widths: Channels after each 3 x 3 convolution of stride 2.
        widths: Channels of each stage; a stage halves the image again.
        depths: Blocks in each stage.
        kernel_size: Of the depthwise convolutions, px.
        expansion: Hidden width of a block over its width.
        embedding_size: D.
        dropout: Share of the embedding dropped in training.
    """

    architecture = "image-convnext-1"
    kind = "image"
    plane_shape = (128, 128)

    def __init__(
        self,
        *,
        answers: Mapping[str, int],
        stem_widths: Sequence[int] = (16, 32),
        widths: Sequence[int] = (64, 128),
        depths: Sequence[int] = (2, 2),
        kernel_size: int = 7,
        expansion: int = 2,
        embedding_size: int = 128,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.arguments: dict[str, Any] = {
            "answers": dict(answers),
            "stem_widths": list(stem_widths),
            "widths": list(widths),
            "depths": list(depths),
            "kernel_size": kernel_size,
            "expansion": expansion,
            "embedding_size": embedding_size,
            "dropout": dropout,
        }
        layers: list[nn.Module] = []
        channels = 3
        for width in stem_widths:
            layers += [nn.Conv2d(channels, width, 3, stride=2, padding=1), nn.GELU()]
            channels = width
        for width, depth in zip(widths, depths, strict=True):
            layers.append(nn.Conv2d(channels, width, 2, stride=2))
            layers += [Block(width, kernel_size=kernel_size, expansion=expansion) for _ in range(depth)]
            channels = width
        self.encoder = nn.Sequential(*layers)
        self.pooled_norm = nn.LayerNorm(2 * channels)
        self.embed = nn.Linear(2 * channels, embedding_size)
        self.dropout = nn.Dropout(dropout)
        self.heads = QuestionHeads(embedding_size=embedding_size, answers=answers)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it

    def encode(self, planes: Tensor) -> Tensor:
        """(N, 128, 128) planes in units of sky noise to (N, D) features before normalisation."""
        x = self.encoder(stretch(planes))
        # The mean sees the galaxy, the maximum the one trail across it.
        pooled = torch.cat((x.mean(dim=(2, 3)), x.amax(dim=(2, 3))), dim=1)
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
