"""How strange a plane is to a network: small perceptrons on statistics that nobody learned.

Each has learned to tell the statistics of what is known from others; what it takes for those others is strange. Several
are asked, for one draws its border by chance where nothing was known; of an image each sees another half of the
statistics, so that what shows in a few of them is not lost among the rest. `classifier.strangeness` fits them.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from classifier.networks.statistics import ImageStatistics, SpectrumStatistics

MEMBERS = 4
WIDTH = 128
DROPOUT = 0.2
# Beyond this many scatters a statistic counts by its logarithm: one wild number must not decide alone.
LINEAR_TO = 2.5


class Strangeness(nn.Module):
    """Planes to the log of the odds that they are none of the known.

    Args:
        kind: "image" or "spectrum".
        answers: K, of the first question: the groups of the known.
    """

    centre: Tensor
    scatter: Tensor
    seen: Tensor

    def __init__(self, *, kind: str, answers: int) -> None:
        super().__init__()
        self.statistics: ImageStatistics | SpectrumStatistics = (
            ImageStatistics() if kind == "image" else SpectrumStatistics()
        )
        self.answers = answers
        size = self.statistics.size
        self.register_buffer("centre", torch.zeros(size))
        self.register_buffer("scatter", torch.ones(size))
        seen = _halves(size) if kind == "image" else torch.ones(MEMBERS, 1, size)
        self.register_buffer("seen", seen, persistent=False)
        layers = [_Layer(size, WIDTH), _Layer(WIDTH, WIDTH), _Layer(WIDTH, answers + 1)]
        self.layers = nn.ModuleList(layers)

    def reset_parameters(self) -> None:
        """Forgets what was learned."""
        for layer in self.layers:
            assert isinstance(layer, _Layer)
            layer.reset_parameters()

    def scaled(self, statistics: Tensor) -> Tensor:
        """(N, F) statistics in units of their scatter around their centre, far ones drawn in."""
        z = (statistics - self.centre) / self.scatter
        far = LINEAR_TO + torch.log1p((z.abs() - LINEAR_TO).clamp(min=0))
        return torch.where(z.abs() > LINEAR_TO, far.copysign(z), z)

    def logits(self, scaled: Tensor) -> Tensor:
        """(MEMBERS, N, F) scaled statistics to (MEMBERS, N, K + 1): the groups of the known, and none of them."""
        x = scaled * self.seen
        for layer in self.layers[:-1]:
            x = functional.gelu(layer(x))
            if self.training:  # torch's own dropout takes a CPU twice as long
                x = x * (torch.rand_like(x) > DROPOUT) / (1 - DROPOUT)
        found: Tensor = self.layers[-1](x)
        return found

    def forward(self, planes: Tensor) -> Tensor:
        """(N, …) planes as they are stored to (N,) float32, the mean over the members; larger is stranger."""
        with torch.autocast(planes.device.type, enabled=False):
            logits = self.logits(self.scaled(self.statistics(planes)).expand(MEMBERS, -1, -1))
            return (logits[..., -1] - torch.logsumexp(logits[..., :-1], dim=-1)).mean(dim=0)


class _Layer(nn.Module):
    """A linear layer of every member: one product for all of them."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(MEMBERS, inputs, outputs))
        self.bias = nn.Parameter(torch.empty(MEMBERS, 1, outputs))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As `nn.Linear` begins."""
        bound = 1 / math.sqrt(self.weight.shape[1])
        for parameter in (self.weight, self.bias):
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


def _halves(size: int) -> Tensor:
    """(MEMBERS, 1, size) ones and zeros, the same always: each member's half of the statistics, each in every other."""
    drawn = np.random.default_rng(size).permuted(np.tile(np.arange(MEMBERS), (size, 1)), axis=1)
    return torch.tensor((drawn < MEMBERS // 2).T[:, None], dtype=torch.float32)
