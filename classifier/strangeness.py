"""Learning what is known, so that what is not can be told, on statistics of the planes and without any stranger.

Perceptrons learn to tell the statistics of known subjects, group by group, from others. An other is a known subject
with some of the statistics of another one, as if they did not depend on each other (unsupervised forests are taught
by such: Shi & Horvath 2006, J. Comput. Graph. Stat. 15, 118), and with some changed: of a spectrum to those of a known
one distorted (`classifier.distortion`; outlier exposure, Hendrycks, Mazeika & Dietterich 2019, arXiv:1812.04606), of an
image by noise along the principal axes of the known's scatter (virtual outliers in feature space, Du et al. 2022,
arXiv:2202.01197). After Gutmann & Hyvärinen (2012, J. Mach. Learn. Res. 13, 307) the odds are a ratio of densities.
The further class for the others is that of Thulasidasan et al. (2021, arXiv:2105.07107).
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
# Shares of the statistics, from the least to the most: those of another known one, those changed.
EXCHANGED = (0.0, 0.3)
CHANGED = (0.3, 0.8)
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
    """Teaches all members at once."""
    head.train()
    optimiser = torch.optim.AdamW(head.layers.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps)
    none_of_them = torch.full((MEMBERS, BATCH), head.answers)
    others = _Others(known, distorted)
    for _ in range(steps):
        kept = torch.randint(len(known), (MEMBERS, BATCH))
        seen = torch.cat((known[kept], others.draw()), dim=1)
        seen = seen + JITTER * torch.randn_like(seen)
        answers = torch.cat((groups[kept], none_of_them), dim=1)
        loss = MEMBERS * functional.cross_entropy(head.logits(seen).flatten(0, 1), answers.flatten())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        optimiser.step()
        cycle.step()
    head.eval()


class _Others:
    """What the known are told from.

    Args:
        known: (M, F) scaled statistics.
        distorted: (D, F) of the known distorted; None where noise changes them instead.
    """

    def __init__(self, known: Tensor, distorted: Tensor | None) -> None:
        self._known, self._distorted = known, distorted
        deviations, axes = torch.linalg.eigh(torch.cov(known.T, correction=0))
        # A normal vector through it has the known's covariance.
        self._moves = (axes * deviations.clamp(min=0).sqrt()).T

    def draw(self) -> Tensor:
        """(MEMBERS, BATCH, F): a known one with statistics of another, some of them changed."""
        one, another = self._known[torch.randint(len(self._known), (2, MEMBERS, BATCH))]
        mixed = torch.where(torch.rand_like(one) < _share(*EXCHANGED), another, one)
        changed = _share(*CHANGED)
        if self._distorted is not None:
            drawn = self._distorted[torch.randint(len(self._distorted), (MEMBERS, BATCH))]
        else:
            low, high = LOG_NOISE
            strength = torch.exp(low + (high - low) * torch.rand(MEMBERS, BATCH, 1))
            drawn = mixed + (strength * torch.randn_like(one)) @ self._moves
            # Every other member learns from all of them moved: what is strange by a little in many is told by those.
            changed[::2] = 1.0
        return torch.where(torch.rand_like(one) < changed, drawn, mixed)


def _share(low: float, high: float) -> Tensor:
    return low + (high - low) * torch.rand(MEMBERS, BATCH, 1)


def _parts(positions: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return np.array_split(positions, max(1, -(-len(positions) // PLANES_AT_ONCE)))
