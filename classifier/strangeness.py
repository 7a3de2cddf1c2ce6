"""Learning what is known, so that what is not can be told, on statistics of the planes and without any stranger.

Perceptrons learn to tell the statistics of known subjects, group by group, from others. For some the others are the
same with noise along the principal axes of their scatter: after Gutmann & Hyvärinen (2012, J. Mach. Learn. Res. 13,
307) their odds are a ratio of densities; virtual outliers in feature space are those of Du et al. (2022,
arXiv:2202.01197). For some, of spectra, they are the known ones distorted (`classifier.distortion`): outlier exposure
(Hendrycks, Mazeika & Dietterich 2019, arXiv:1812.04606). The further class for the others is that of Thulasidasan et
al. (2021, arXiv:2105.07107).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from classifier.distortion import distorted_spectra
from classifier.networks import Network
from classifier.networks.strangeness import MEMBERS, Strangeness

BATCH = 96
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.05
# Natural logarithms of the least and the most noise, in units of the scatter along an axis.
LOG_NOISE = (-1.5, 0.7)
JITTER = 0.1  # on known and others alike, so that no known one is learned by heart
SMALLEST_SCATTER = 1e-3
PLANES_AT_ONCE = 64
DISTORTED_TIMES = 2


@torch.inference_mode()
def measure_statistics(network: Network, planes: NDArray[np.floating], positions: NDArray[np.int64]) -> Tensor:
    """(M, F) statistics of the planes at these positions, read a few at a time."""
    return torch.cat([network.strangeness.statistics(torch.from_numpy(planes[part])) for part in _parts(positions)])


@torch.inference_mode()
def measure_strangeness(
    network: Network, planes: NDArray[np.floating], positions: NDArray[np.int64]
) -> NDArray[np.float32]:
    """(M,) how strange the planes at these positions are to the network."""
    if not len(positions):
        return np.empty(0, dtype=np.float32)
    return np.concatenate([network.strangeness(torch.from_numpy(planes[part])).numpy() for part in _parts(positions)])


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
        steps: Of the perceptrons' training.
        seed: Of the weights, the order, the noise and the distortions.
    """
    head = network.strangeness
    known = measure_statistics(network, planes, positions).clone()
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        head.reset_parameters()
        low, middle, high = torch.quantile(known, torch.tensor([0.16, 0.5, 0.84]), dim=0)
        head.centre.copy_(middle)
        head.scatter.copy_(((high - low) / 2).clamp(min=SMALLEST_SCATTER))
        distorted = None
        if network.kind == "spectrum":
            distorted = head.scaled(_measure_distorted(network, planes, positions))
        _descend(head, head.scaled(known), torch.from_numpy(groups), distorted, steps=steps)


def _measure_distorted(network: Network, planes: NDArray[np.floating], positions: NDArray[np.int64]) -> Tensor:
    found = []
    for _ in range(DISTORTED_TIMES):
        for part in _parts(positions[torch.randperm(len(positions)).numpy()]):
            # Through the type that planes are stored in: what is rounded there must not tell known from distorted.
            odd = distorted_spectra(torch.from_numpy(planes[part].astype(np.float32))).to(torch.float16)
            with torch.no_grad():
                found.append(network.strangeness.statistics(odd))
    return torch.cat(found)


def _descend(head: Strangeness, known: Tensor, groups: Tensor, distorted: Tensor | None, *, steps: int) -> None:
    """Teaches all members at once; where there are distorted planes, every other one is taught by those."""
    head.train()
    deviations, axes = torch.linalg.eigh(torch.cov(known.T, correction=0))
    moves = (axes * deviations.clamp(min=0).sqrt()).T  # a normal vector through it has the known's covariance
    by_noise = range(0, MEMBERS, 1 if distorted is None else 2)
    optimiser = torch.optim.AdamW(head.layers.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps)
    none_of_them = torch.full((MEMBERS, BATCH), head.answers)
    low, high = LOG_NOISE
    for _ in range(steps):
        kept, moved = torch.randint(len(known), (2, MEMBERS, BATCH))
        strength = torch.exp(low + (high - low) * torch.rand(len(by_noise), BATCH, 1))
        noise = (strength * torch.randn(len(by_noise), BATCH, known.shape[1])) @ moves
        if distorted is None:
            others = known[moved] + noise
        else:
            others = distorted[torch.randint(len(distorted), (MEMBERS, BATCH))]
            others[::2] = known[moved[::2]] + noise
        seen = torch.cat((known[kept], others), dim=1)
        seen = seen + JITTER * torch.randn_like(seen)
        answers = torch.cat((groups[kept], none_of_them), dim=1)
        loss = MEMBERS * functional.cross_entropy(head.logits(seen).flatten(0, 1), answers.flatten())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        optimiser.step()
        cycle.step()
    head.eval()


def _parts(positions: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return np.array_split(positions, max(1, -(-len(positions) // PLANES_AT_ONCE)))
