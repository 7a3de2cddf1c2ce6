"""What can be measured of a plane without having learned anything: shapes, scales, extremes.

A network learns to forget what does not tell its answers apart, and with it what would tell a stranger. These numbers
forget nothing for that reason: they are the same for every network of a kind, and `classifier.networks.strangeness`
learns which of their combinations are known.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from classifier.networks.stretches import asinh, running_sum

HALF = 64  # pixels a side after the mean over 2 x 2
RING_EDGES_PX = (0.0, 1.5, 2.5, 3.5, 4.5, 6.5, 9.0, 12.0, 16.0, 21.0, 28.0, 45.3)  # of the halved plane
RING_HARMONICS = 8
ANNULUS_EDGES = (1, 3, 6, 12, 20, 32)  # cycles a plane
ANNULUS_HARMONICS = (2, 4, 6)
IMAGE_WINDOWS = (3, 5, 9, 17)
LIGHT_SHARES = (0.1, 0.2, 0.5, 0.8, 0.9)
LEVELS = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0)  # in units of the mean absolute difference
BODY_RADIUS_PX = 20.0

SPECTRUM_WINDOWS = (1, 3, 9, 27, 81, 243)
LAGS = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89)
QUANTILES = (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)
REGIONS = 8
PIECES = 16


class ImageStatistics(nn.Module):
    """(N, 128, 128) planes in units of sky noise to (N, `size`) numbers of order one to ten.

    Turned or mirrored planes have the same but for the rings' and annuli's pixels: amplitudes of Fourier components
    around the middle (a bar or an edge-on disc is the second, spikes are the fourth), the light's concentration,
    ellipticity and asymmetry (Conselice 2003, ApJS 147, 1), extremes and tails of differences between scales, and the
    power spectrum with its direction.
    """

    size = 11 * (RING_HARMONICS + 5) + 5 * (2 * len(LEVELS) + 3) + 5 * (3 + len(ANNULUS_HARMONICS)) + 12
    rings: Tensor
    annuli: Tensor
    x: Tensor
    y: Tensor
    body: Tensor

    def __init__(self) -> None:
        super().__init__()
        axis = np.arange(HALF) - (HALF - 1) / 2
        x, y = np.meshgrid(axis, axis)
        rings = _harmonics(np.hypot(x, y), np.arctan2(y, x), RING_EDGES_PX, range(1, RING_HARMONICS + 1))
        fy, fx = np.meshgrid(np.fft.fftfreq(HALF) * HALF, np.arange(HALF // 2 + 1), indexing="ij")
        # Of a real image's spectrum one half is kept: what lies on its edge is there with its mirror image.
        once = np.where(fx == 0, 0.5, 1.0)
        annuli = _harmonics(np.hypot(fx, fy), np.arctan2(fy, fx), ANNULUS_EDGES, ANNULUS_HARMONICS, counted=once)
        radius = np.hypot(x, y).ravel()
        edges = pairwise(RING_EDGES_PX)
        self.members = [torch.tensor(np.flatnonzero((radius >= a) & (radius < b))) for a, b in edges]
        body = (np.hypot(x, y) < BODY_RADIUS_PX).astype(np.float64)
        for name, value in (("rings", rings), ("annuli", annuli), ("x", x), ("y", y), ("body", body)):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float32), persistent=False)

    def forward(self, planes: Tensor) -> Tensor:
        """The numbers, float32 and finite."""
        planes = torch.nan_to_num(planes.float(), nan=0.0, posinf=0.0, neginf=0.0).clamp(-1e3, 6e4)[:, None]
        halved = functional.avg_pool2d(planes, 2)
        faint = asinh(2 * halved)
        parts = (
            self._rings(halved, faint),
            self._scales(asinh(planes), faint),
            self._power(halved),
            self._body(halved[:, 0], faint[:, 0]),
        )
        return torch.cat(parts, dim=1)

    def _rings(self, halved: Tensor, faint: Tensor) -> Tensor:
        count, rings = len(halved), len(RING_EDGES_PX) - 1
        found = (faint.flatten(1) @ self.rings).view(count, rings, -1)
        mean, amplitude = found[:, :, 0], torch.hypot(found[:, :, 1::2], found[:, :, 2::2])
        means = self.rings.view(HALF * HALF, rings, -1)[:, :, 0]
        scatter = ((faint.flatten(1) ** 2) @ means - mean**2).clamp(min=1e-4).sqrt()
        light = torch.asinh(halved.flatten(1) @ means)
        pixels = faint.flatten(1)
        inside = [pixels[:, ring] for ring in self.members]
        highest, lowest = (
            torch.stack([extreme(p, dim=1) for p in inside], dim=1) for extreme in (torch.amax, torch.amin)
        )
        return torch.cat((mean, light, scatter, highest, lowest, torch.log(amplitude + 0.02).flatten(1)), dim=1)

    def _scales(self, fine: Tensor, faint: Tensor) -> Tensor:
        """Of the differences between neighbouring scales, the finest in full resolution."""
        smooth = [faint, *(_mean_around(faint, window) for window in IMAGE_WINDOWS)]
        squares = fine.view(-1, HALF, 2, HALF, 2)
        detail = squares - squares.mean(dim=(2, 4), keepdim=True)
        differences = [detail, *(a - b for a, b in pairwise(smooth))]
        return torch.cat([_tails(difference.flatten(1)) for difference in differences], dim=1)

    def _power(self, halved: Tensor) -> Tensor:
        clipped = halved[:, 0].clamp(-2, 5)
        power = torch.fft.rfft2(clipped - clipped.mean(dim=(1, 2), keepdim=True)).abs().square()
        log_power = torch.log(power + 1).flatten(1)
        annuli = len(ANNULUS_EDGES) - 1
        found = (log_power @ self.annuli).view(len(halved), annuli, -1)
        mean, amplitude = found[:, :, 0], torch.hypot(found[:, :, 1::2], found[:, :, 2::2])
        means = self.annuli.view(log_power.shape[1], annuli, -1)[:, :, 0]
        scatter = ((log_power**2) @ means - mean**2).clamp(min=1e-4).sqrt()
        highest = torch.stack([(log_power * (means[:, k] > 0)).amax(dim=1) for k in range(annuli)], dim=1)
        return torch.cat((mean, scatter, highest - mean, amplitude.flatten(1)), dim=1)

    def _body(self, halved: Tensor, faint: Tensor) -> Tensor:
        """Size, shape and concentration of what lies around the middle."""
        light = halved * self.body * (halved > 1)
        total = light.sum(dim=(1, 2)) + 1
        middle_x, middle_y = ((light * axis).sum(dim=(1, 2)) / total for axis in (self.x, self.y))
        dx, dy = self.x - middle_x[:, None, None], self.y - middle_y[:, None, None]
        xx, yy, xy = ((light * product).sum(dim=(1, 2)) / total for product in (dx * dx, dy * dy, dx * dy))
        ellipticity = torch.hypot(xx - yy, 2 * xy) / (xx + yy + 1e-3)
        asymmetry = (faint - faint.flip(1, 2)).abs().mean(dim=(1, 2))
        sorted_light = light.flatten(1).sort(dim=1, descending=True).values
        grown = sorted_light.cumsum(dim=1) / total[:, None]
        areas = [torch.log1p((grown < share).float().sum(dim=1)) for share in LIGHT_SHARES]
        numbers = [
            total.log(),
            torch.log(xx + yy + 1),
            ellipticity,
            torch.hypot(middle_x, middle_y),
            torch.log1p(sorted_light[:, 0]),
            torch.log(asymmetry + 1e-3),
            torch.log(asymmetry / (faint.abs().mean(dim=(1, 2)) + 1e-3) + 1e-3),
            *areas,
        ]
        return torch.stack(numbers, dim=1)


class SpectrumStatistics(nn.Module):
    """(N, 2, 1024) planes of flux and mask to (N, `size`) numbers of order one to ten.

    The continuum in sixteen pieces; and of the differences between running means of growing width the quantiles and
    extremes in units of their own median absolute deviation, the autocorrelation, the power spectrum and, region by
    region, the strongest line up and down.
    """

    size = 2 * PIECES + 5 * (len(QUANTILES) + 6) + 5 * len(LAGS) + 3 * 3 * REGIONS + REGIONS + 2 * 10 + 1

    def forward(self, planes: Tensor) -> Tensor:
        """The numbers, float32 and finite."""
        planes = planes.float()
        finite = torch.isfinite(planes[:, 0])
        mask = ((planes[:, 1] > 0.5) & finite).float()
        flux = (torch.where(finite, planes[:, 0], 0.0) * mask).clamp(-1e3, 1e3)
        smooth = [flux, *(_running_mean(flux, mask, window) for window in SPECTRUM_WINDOWS[1:])]
        differences = [(a - b) * mask for a, b in pairwise(smooth)]
        noise = _scatter(flux[:, 2:] - 2 * flux[:, 1:-1] + flux[:, :-2])
        level = _running_mean(flux, mask, 65)
        pieces = torch.log(level.clamp(min=0.02)).view(-1, PIECES, planes.shape[2] // PIECES).mean(dim=2)
        parts = [
            torch.asinh(3 * level).view(-1, PIECES, planes.shape[2] // PIECES).mean(dim=2),
            pieces - pieces.mean(dim=1, keepdim=True),
            noise.log()[:, None],
            torch.log(differences[0].abs().view(-1, REGIONS, planes.shape[2] // REGIONS).mean(dim=2) + 1e-3),
            _power_of_lines((flux - level) * mask),
        ]
        for number, difference in enumerate(differences):
            scatter = _scatter(difference)
            z = difference / scatter[:, None]
            parts += [_shape_of(z), scatter.log()[:, None], torch.log(scatter / noise)[:, None], _correlation(z)]
            if 1 <= number <= 3:
                regions = z.view(-1, REGIONS, planes.shape[2] // REGIONS)
                parts += [regions.amax(dim=2).asinh(), regions.amin(dim=2).asinh()]
                parts.append(torch.log(regions.abs().mean(dim=2) + 1e-3))
        return torch.cat(parts, dim=1)


def _harmonics(
    radius: np.ndarray,
    angle: np.ndarray,
    edges: tuple[float, ...],
    orders: range | tuple[int, ...],
    *,
    counted: np.ndarray | float = 1.0,
) -> np.ndarray:
    """(pixels, rings * (1 + 2 orders)): a product with it gives each ring's mean and its Fourier components."""
    columns = []
    for inner, outer in pairwise(edges):
        weight = counted * ((radius >= inner) & (radius < outer))
        weight /= weight.sum()
        columns.append(weight)
        for order in orders:
            columns += [weight * np.cos(order * angle), weight * np.sin(order * angle)]
    return np.stack([column.ravel() for column in columns], axis=1)


def _mean_around(images: Tensor, window: int) -> Tensor:
    # One axis after the other: two windows of w numbers in place of one of w * w.
    for kernel in ((1, window), (window, 1)):
        padding = (kernel[0] // 2, kernel[1] // 2)
        images = functional.avg_pool2d(images, kernel, stride=1, padding=padding, count_include_pad=False)
    return images


def _tails(differences: Tensor) -> Tensor:
    """(N, P) to (N, 2 * levels + 3): the mean absolute value, the extremes, and how many lie beyond each level."""
    scale = differences.abs().mean(dim=1) + 1e-4
    z = differences / scale[:, None]
    beyond = [torch.log1p((side > level).sum(dim=1).float()) for side in (z, -z) for level in LEVELS]
    return torch.stack([scale.log(), z.amax(dim=1).asinh(), z.amin(dim=1).asinh(), *beyond], dim=1)


def _running_mean(flux: Tensor, mask: Tensor, window: int) -> Tensor:
    return running_sum(flux, window) / running_sum(mask, window).clamp(min=1.0)


def _scatter(values: Tensor) -> Tensor:
    """(N, L) to (N,) the standard deviation that the median absolute value of normal numbers stands for."""
    return 1.4826 * values.abs().median(dim=1).values + 1e-4


def _shape_of(z: Tensor) -> Tensor:
    """Quantiles, extremes and how many bins lie five deviations above and below."""
    ranks = torch.tensor([round(q * (z.shape[1] - 1)) for q in QUANTILES], device=z.device)
    ordered = z.sort(dim=1).values
    ends = ordered[:, [-1, 0]].asinh()
    beyond = [torch.log1p((side > 5).sum(dim=1).float()) for side in (z, -z)]
    return torch.cat((ordered[:, ranks].asinh(), ends, torch.stack(beyond, dim=1)), dim=1)


def _correlation(z: Tensor) -> Tensor:
    z = z.clamp(-4, 4)
    return torch.stack([(z[:, lag:] * z[:, :-lag]).mean(dim=1) for lag in LAGS], dim=1)


def _power_of_lines(lines: Tensor) -> Tensor:
    """(N, 20): the mean power in ten octave-like bands, and the highest over the mean: a fringe is one frequency."""
    z = (lines / _scatter(lines)[:, None]).clamp(-6, 6)
    power = torch.fft.rfft(z, dim=1).abs().square() + 1e-3
    edges = np.geomspace(4, z.shape[1] // 2, 11).astype(int)
    bands = [power[:, a:b] for a, b in pairwise(edges)]
    means = torch.stack([band.mean(dim=1) for band in bands], dim=1)
    highest = torch.stack([band.amax(dim=1) for band in bands], dim=1)
    return torch.cat((means.log(), torch.log(highest / means)), dim=1)
