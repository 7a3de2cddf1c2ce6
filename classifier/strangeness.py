"""Learning what is known, so that what is not can be told: noise-contrastive, on statistics of the planes.

A perceptron learns to tell the statistics of known subjects, group by group, from the same with noise along the
principal axes of their scatter: after Gutmann & Hyvärinen (2012, J. Mach. Learn. Res. 13, 307) its odds are a ratio
of densities. Virtual outliers in feature space are those of Du et al. (2022, arXiv:2202.01197), the further class
for them is that of Thulasidasan et al. (2021, arXiv:2105.07107). No strange subject is needed.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from classifier.networks import Network

BATCH = 96
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.05
# Natural logarithms of the least and the most noise, in units of the scatter along an axis.
LOG_NOISE = (-1.5, 0.7)
JITTER = 0.1  # on known and moved ones alike, so that no known one is learned by heart
SMALLEST_SCATTER = 1e-3
PLANES_AT_ONCE = 64


@torch.inference_mode()
def measure_statistics(network: Network, planes: NDArray[np.floating], positions: NDArray[np.int64]) -> Tensor:
    """(M, F) statistics of the planes at these positions, read a few at a time."""
    parts = np.array_split(positions, max(1, -(-len(positions) // PLANES_AT_ONCE)))
    return torch.cat([network.strangeness.statistics(torch.from_numpy(planes[part])) for part in parts])


@torch.inference_mode()
def measure_strangeness(
    network: Network, planes: NDArray[np.floating], positions: NDArray[np.int64]
) -> NDArray[np.float32]:
    """(M,) how strange the planes at these positions are to the network."""
    if not len(positions):
        return np.empty(0, dtype=np.float32)
    head = network.strangeness
    parts = np.array_split(positions, -(-len(positions) // PLANES_AT_ONCE))
    return np.concatenate([head(torch.from_numpy(planes[part])).numpy() for part in parts])


def fit_strangeness(
    network: Network,
    planes: NDArray[np.floating],
    *,
    positions: NDArray[np.int64],
    groups: NDArray[np.int64],
    steps: int,
    seed: int,
) -> None:
    """Teaches the network, on the CPU, what is known. Its other weights stay as they are.

    Args:
        network: Whose `strangeness` is fitted.
        planes: (N, …) as they are stored.
        positions: (M,) of the known ones.
        groups: (M,) answer to the first question of each.
        steps: Of the perceptron's training.
        seed: Of the weights, the order and the noise.
    """
    head = network.strangeness
    known = measure_statistics(network, planes, positions).clone()
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        for layer in (*head.hidden, head.groups):
            layer.reset_parameters()
        low, middle, high = torch.quantile(known, torch.tensor([0.16, 0.5, 0.84]), dim=0)
        head.centre.copy_(middle)
        head.scatter.copy_(((high - low) / 2).clamp(min=SMALLEST_SCATTER))
        scaled = head.scaled(known)
        deviations, axes = torch.linalg.eigh(torch.cov(scaled.T, correction=0))
        moves = axes * deviations.clamp(min=0).sqrt()  # (F, F): a normal vector through it has the known's covariance
        _descend(network, scaled, moves.T, torch.from_numpy(groups), steps=steps)


def _descend(network: Network, scaled: Tensor, moves: Tensor, groups: Tensor, *, steps: int) -> None:
    head = network.strangeness.train()
    parameters = [*head.hidden.parameters(), *head.groups.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps)
    low, high = LOG_NOISE
    none_of_them = torch.full((BATCH,), head.groups.out_features - 1)
    for _ in range(steps):
        kept, moved = torch.randint(len(scaled), (2, BATCH))
        strength = torch.exp(low + (high - low) * torch.rand(BATCH, 1))
        noise = (strength * torch.randn(BATCH, scaled.shape[1])) @ moves
        seen = torch.cat((scaled[kept], scaled[moved] + noise))
        seen = seen + JITTER * torch.randn_like(seen)
        loss = functional.cross_entropy(head.logits(seen), torch.cat((groups[kept], none_of_them)))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        optimiser.step()
        cycle.step()
    head.eval()
