"""Spectra distorted so that they are none of the known: what strangers may be like, made without any stranger.

Each distortion may happen to any signal: lines come or go, details grow, vanish or turn round, the continuum bends,
pieces change places, two spectra become one, fringes, noise, clipping. None is modelled on a class of objects.
All chance is torch's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from classifier.networks.stretches import running_sum

# Flux and mask, (N, L) each, to the same; all N by one distortion, each by a strength of its own.
Distortion = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

TOGETHER = 16  # spectra for which one distortion is drawn


def distorted_spectra(planes: Tensor) -> Tensor:
    """(N, 2, L) planes of flux and mask to the same, in groups of 16 each distorted in a way drawn by chance."""
    finite = torch.isfinite(planes[:, 0])
    mask = ((planes[:, 1] > 0.5) & finite).float()
    flux = torch.where(finite, planes[:, 0], 0.0) * mask
    parts = []
    for some_flux, some_mask in zip(torch.split(flux, TOGETHER), torch.split(mask, TOGETHER), strict=True):
        distort = DISTORTIONS[int(torch.randint(len(DISTORTIONS), ()))]
        odd, seen = distort(some_flux, some_mask)
        parts.append(torch.stack((odd * seen, seen), dim=1))
    return torch.nan_to_num(torch.cat(parts)).clamp(-1e3, 1e3)


def _with_lines(flux: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Up to fifteen lines of one sign and nearly one width, of 3 to 60 times the noise."""
    count, length = flux.shape
    places = torch.arange(length)
    level = _mean_around(flux, mask, 65).mean(dim=1, keepdim=True).abs()
    up = _sign(count, 0.75)
    width = _spread(count, 1.2, 25)
    for _ in range(int(torch.randint(1, 16, ()))):
        each = width * torch.exp(0.2 * torch.randn(count, 1))
        height = 1.5 * _spread(count, 3, 60) * _noise(flux) / each.sqrt()
        height = torch.where(up > 0, height, -torch.minimum(height, 0.8 * level))
        flux = flux + height * torch.exp(-((places - length * torch.rand(count, 1)) ** 2) / (2 * each**2))
    return flux, mask


def _with_other_details(flux: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """What differs from a running mean turned round, weakened or strengthened."""
    count = len(flux)
    smooth = _mean_around(flux, mask, _choice(5, 9, 27, 65, 243))
    kind = torch.rand(count, 1)
    factor = torch.where(kind < 0.7, _uniform(count, 0, 0.5), _uniform(count, 1.6, 3))
    factor = torch.where(kind < 0.45, _uniform(count, -1.6, -0.6), factor)
    return smooth + factor * (flux - smooth), mask


def _bent(flux: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Times a smooth random curve."""
    count, length = flux.shape
    knots = int(_spread(1, 3, 60))
    curve = functional.interpolate(torch.randn(count, 1, knots), length, mode="linear", align_corners=True)[:, 0]
    curve = _mean_around(curve, torch.ones_like(curve), max(3, int(length / knots / 1.5) | 1))
    curve = curve / curve.std(dim=1, keepdim=True)
    return flux * torch.exp(_uniform(count, 0.15, 0.8) * curve), mask


def _shuffled(flux: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Pieces in another order."""
    count, length = flux.shape
    pieces = _choice(2, 4, 8, 16)
    order = torch.rand(count, pieces).argsort(dim=1)[:, :, None].expand(-1, -1, length // pieces)
    flux, mask = (values.view(count, pieces, -1).gather(1, order).view(count, length) for values in (flux, mask))
    return flux, mask


def _joined(flux: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """One spectrum up to some place, another from there."""
    count, length = flux.shape
    other = torch.randperm(count)
    left = torch.arange(length) < torch.randint(length // 7, length - length // 7, (count, 1))
    return torch.where(left, flux, flux[other]), torch.where(left, mask, mask[other])


def _mixed(flux: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The sum of two, one of them shifted."""
    other, share = torch.randperm(len(flux)), _uniform(len(flux), 0.3, 0.7)
    shift = int(torch.randint(-100, 100, ()))
    return share * flux + (1 - share) * torch.roll(flux[other], shift, 1), mask * torch.roll(mask[other], shift, 1)


def _fringed(flux: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Times a wave of changing period on one side of some place."""
    count, length = flux.shape
    places = torch.arange(length)
    where = torch.sigmoid(_sign(count, 0.5) * (places - _uniform(count, -200, 1200)) / _uniform(count, 20, 200))
    turns = places / _spread(count, 3, 150) * (1 + _uniform(count, -0.3, 0.3) * places / length)
    wave = torch.sin(2 * math.pi * (turns + torch.rand(count, 1)))
    return flux * (1 + _uniform(count, 0.1, 0.8) * where * wave), mask


def _reversed(flux: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    return flux.flip(1), mask.flip(1)


def _shifted(flux: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    shift = int(torch.randint(60, 400, ())) * int(_sign(1, 0.5))
    return torch.roll(flux, shift, 1), torch.roll(mask, shift, 1)


def _noisy(flux: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """With noise of one to seven times its own, in places correlated."""
    noise = _mean_around(torch.randn_like(flux), torch.ones_like(flux), _choice(1, 1, 3, 7, 15))
    noise = noise / noise.std(dim=1, keepdim=True)
    return flux + (_noise(flux) + 0.05) * _spread(len(flux), 1, math.e**2) * noise, mask


def _clipped(flux: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Cut off above, or with a stretch of other brightness."""
    count, length = flux.shape
    places, start = torch.arange(length), torch.randint(0, 7 * length // 8, (count, 1))
    inside = (places >= start) & (places < start + torch.randint(60, 600, (count, 1)))
    kind = float(torch.rand(()))
    if kind < 0.35:
        return torch.minimum(flux, torch.quantile(flux, float(_uniform(1, 0.5, 0.97)), dim=1, keepdim=True)), mask
    factor = _uniform(count, 0, 0.6) if kind < 0.7 else torch.exp(_uniform(count, 0.3, 1.5))
    return torch.where(inside, flux * factor, flux), mask


def _contrasted(flux: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The continuum to some power."""
    power = torch.exp(_sign(len(flux), 0.5) * _uniform(len(flux), 0.3, 0.9))
    return flux * _mean_around(flux, mask, 9).clamp(min=0.02) ** (power - 1), mask


DISTORTIONS: tuple[Distortion, ...] = (
    _with_lines,
    _with_other_details,
    _bent,
    _shuffled,
    _joined,
    _mixed,
    _fringed,
    _reversed,
    _shifted,
    _noisy,
    _clipped,
    _contrasted,
)


def _uniform(count: int, low: float, high: float) -> Tensor:
    return low + (high - low) * torch.rand(count, 1)


def _spread(count: int, low: float, high: float) -> Tensor:
    """Uniform in the logarithm."""
    return torch.exp(_uniform(count, math.log(low), math.log(high)))


def _sign(count: int, positive_share: float) -> Tensor:
    return torch.where(torch.rand(count, 1) < positive_share, 1.0, -1.0)


def _choice(*values: int) -> int:
    return values[int(torch.randint(len(values), ()))]


def _mean_around(flux: Tensor, mask: Tensor, bins: int) -> Tensor:
    return running_sum(flux, bins) / running_sum(mask, bins).clamp(min=1.0)


def _noise(flux: Tensor) -> Tensor:
    """(N, 1) about the standard deviation of a bin's noise, from second differences."""
    return (flux[:, 2:] - 2 * flux[:, 1:-1] + flux[:, :-2]).abs().mean(dim=1, keepdim=True) / 2 + 1e-3
