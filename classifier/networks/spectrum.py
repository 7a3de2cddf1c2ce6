"""The spectrum encoder: a small one-dimensional ConvNeXt on flux and mask at fixed wavelengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from classifier.networks.heads import QuestionHeads

CONTINUUM_BINS = 65  # 6 % in wavelength: wider than a line, narrower than a continuum
FINE_BINS = 9  # 1 %: narrower than a galaxy's line, wider than a residual of the sky or a fringe


def channels_of(planes: Tensor) -> Tensor:
    """(N, 2, L) planes to (N, 5, L) channels of order one.

    Flux through an asinh; the flux less its running mean over a wide and over a narrow window, each over the
    scatter of that difference, so that a weak line looks alike on any continuum and a defect of the detector
    on any line; the mask; and the place on the grid, because a star's lines do not move. NaN and infinities
    count as missing.
    """
    planes = planes.float()
    finite = torch.isfinite(planes[:, 0])
    mask = ((planes[:, 1] > 0.5) & finite).float()
    flux = torch.where(finite, planes[:, 0], 0.0) * mask
    place = torch.linspace(-1, 1, planes.shape[2], device=planes.device).expand_as(mask)
    lines, fine = (_residual(flux, mask, bins) for bins in (CONTINUUM_BINS, FINE_BINS))
    return torch.stack((torch.asinh(flux), lines, fine, mask, place), dim=1)


def _residual(flux: Tensor, mask: Tensor, bins: int) -> Tensor:
    weight = functional.avg_pool1d(mask[:, None], bins, stride=1, padding=bins // 2)[:, 0].clamp(min=1e-3)
    mean = functional.avg_pool1d(flux[:, None], bins, stride=1, padding=bins // 2)[:, 0] / weight
    residual = (flux - mean) * mask
    # The mean of |x|, not of x²: one bright line must not hide the others.
    scatter = residual.abs().sum(dim=1) / mask.sum(dim=1).clamp(min=1.0)
    return torch.asinh(residual / scatter.clamp(min=1e-3)[:, None]) / 2


class Block(nn.Module):
    """Depthwise convolution, layer norm, and a two-layer perceptron per bin, added to its input."""

    def __init__(self, width: int, *, kernel_size: int, expansion: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, kernel_size, padding=kernel_size // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, expansion * width)
        self.reduce = nn.Linear(expansion * width, width)
        self.scale = nn.Parameter(torch.full((width,), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.depthwise(x).transpose(1, 2)
        y = self.reduce(functional.gelu(self.expand(self.norm(y)))) * self.scale
        return x + y.transpose(1, 2)


class SpectrumNetwork(nn.Module):
    """Planes to logits per question and an embedding.

    Args:
        answers: Question name to its number of answers.
        stem_widths: Channels after each convolution of stride 2.
        widths: Channels of each stage; a stage shortens the spectrum by four.
        depths: Blocks in each stage.
        kernel_size: Of the depthwise convolutions, bins.
        expansion: Hidden width of a block over its width.
        embedding_size: D.
        dropout: Share of the embedding dropped in training.
    """

    architecture = "spectrum-convnext-1"
    kind = "spectrum"
    plane_shape = (2, 1024)

    def __init__(
        self,
        *,
        answers: Mapping[str, int],
        stem_widths: Sequence[int] = (24, 48),
        widths: Sequence[int] = (64, 128),
        depths: Sequence[int] = (2, 2),
        kernel_size: int = 9,
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
        channels = 5
        for width in stem_widths:
            layers += [nn.Conv1d(channels, width, 7, stride=2, padding=3), nn.GELU()]
            channels = width
        for width, depth in zip(widths, depths, strict=True):
            layers.append(nn.Conv1d(channels, width, 4, stride=4))
            layers += [Block(width, kernel_size=kernel_size, expansion=expansion) for _ in range(depth)]
            channels = width
        self.encoder = nn.Sequential(*layers)
        self.pooled_norm = nn.LayerNorm(2 * channels)
        self.embed = nn.Linear(2 * channels, embedding_size)
        self.dropout = nn.Dropout(dropout)
        self.heads = QuestionHeads(embedding_size=embedding_size, answers=answers)

    def encode(self, planes: Tensor) -> Tensor:
        """(N, 2, 1024) planes to (N, D) features before normalisation."""
        x = self.encoder(channels_of(planes))
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
