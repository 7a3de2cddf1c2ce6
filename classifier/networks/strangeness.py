"""How strange a plane is to a network: a small perceptron on statistics that nobody learned.

The statistics of what is known are told from the same moved at random in every direction of their scatter; what the
perceptron then takes for moved is strange. `classifier.strangeness` fits it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from classifier.networks.statistics import ImageStatistics, SpectrumStatistics

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

    def __init__(self, *, kind: str, answers: int) -> None:
        super().__init__()
        self.statistics: ImageStatistics | SpectrumStatistics = (
            ImageStatistics() if kind == "image" else SpectrumStatistics()
        )
        size = self.statistics.size
        self.register_buffer("centre", torch.zeros(size))
        self.register_buffer("scatter", torch.ones(size))
        self.hidden = nn.ModuleList([nn.Linear(size, WIDTH), nn.Linear(WIDTH, WIDTH)])
        self.groups = nn.Linear(WIDTH, answers + 1)

    def scaled(self, statistics: Tensor) -> Tensor:
        """(N, F) statistics in units of their scatter around their centre, far ones drawn in."""
        z = (statistics - self.centre) / self.scatter
        far = LINEAR_TO + torch.log1p((z.abs() - LINEAR_TO).clamp(min=0))
        return torch.where(z.abs() > LINEAR_TO, far.copysign(z), z)

    def logits(self, scaled: Tensor) -> Tensor:
        """(N, F) scaled statistics to (N, K + 1): the groups of the known, and none of them."""
        x = scaled
        for layer in self.hidden:
            x = functional.dropout(functional.gelu(layer(x)), DROPOUT, training=self.training)
        found: Tensor = self.groups(x)
        return found

    def forward(self, planes: Tensor) -> Tensor:
        """(N, …) planes as they are stored to (N,) float32; larger is stranger."""
        with torch.autocast(planes.device.type, enabled=False):
            logits = self.logits(self.scaled(self.statistics(planes)))
            return logits[:, -1] - torch.logsumexp(logits[:, :-1], dim=1)
