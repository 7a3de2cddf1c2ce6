"""What can be measured of a plane without having learned anything: shapes, scales, extremes.

A network learns to forget what does not tell its answers apart, and with it what would tell a stranger. These numbers
forget nothing for that reason: they are the same for every network of a kind, and `classifier.networks.strangeness`
learns which of their combinations are known. They are taken of every plane that is predicted, so they are sums,
extremes and Fourier transforms: nothing is sorted.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from classifier.networks.stretches import asinh

HALF = 64  # pixels a side after the mean over 2 x 2
RING_EDGES_PX = (0.0, 1.5, 2.5, 3.5, 4.5, 6.5, 9.0, 12.0, 16.0, 21.0, 28.0, 45.3)  # of the halved plane
RING_HARMONICS = 6
WOUND_HARMONICS = 4
NEAR_PX = 12.0  # the rings inside are measured on the halved plane, those outside on one halved again
NEAR = slice(HALF // 2 - int(NEAR_PX), HALF // 2 + int(NEAR_PX))
ANNULUS_EDGES = (1, 3, 6, 12, 20, 32)  # cycles a plane
ANNULUS_HARMONICS = (2, 4, 6)
BAND_SIGMAS_PX = (0.0, 1.0, 2.0, 4.0, 8.0)  # a band is the difference between two Gaussian means
BAND_SIZES = (64, 32, 32, 16)  # pixels a side that hold nearly all of the band
LEVELS = (1.0, 2.0, 4.0, 8.0)  # in units of the mean absolute value
LIGHT_LEVELS = (0.02, 0.06, 0.2, 0.6)  # of the brightest pixel
BODY_RADIUS_PX = 20.0

SPECTRUM_WINDOWS = (1, 3, 9, 27, 81, 243)
CONTINUUM_BINS = 65
LINE_LEVELS = (3.0, 5.0, 9.0)
REGIONS = 8
PIECES = 16
POWER_BANDS = 10
FLOOR = 1e-4  # of what is divided by, or of which a logarithm is taken


class ImageStatistics(nn.Module):
    """(N, 128, 128) planes in units of sky noise to (N, `size`) numbers of order one to ten.

    Turned or mirrored planes have the same but for the rings' and annuli's pixels: amplitudes of Fourier components
    around the middle (a bar or an edge-on disc is the second, spikes are the fourth) and how they wind from ring to
    ring, the light's concentration, ellipticity and asymmetry (Conselice 2003, ApJS 147, 1), extremes and tails of
    differences between scales, and the power spectrum with its direction.
    """

    size = (
        (5 + RING_HARMONICS) * (len(RING_EDGES_PX) - 1)
        + 3 * WOUND_HARMONICS
        + 4
        + len(BAND_SIZES) * (3 + 2 * len(LEVELS))
        + (len(ANNULUS_EDGES) - 1) * (2 + len(ANNULUS_HARMONICS))
        + 7
        + len(LIGHT_LEVELS)
        - 1
    )
    near: Tensor
    far: Tensor
    near_order: Tensor
    far_order: Tensor
    annuli: Tensor
    moments: Tensor

    def __init__(self) -> None:
        super().__init__()
        middle = RING_EDGES_PX.index(NEAR_PX)
        x, y = (axis[NEAR, NEAR] for axis in _pixels(HALF))
        far_x, far_y = (2 * axis for axis in _pixels(HALF // 2))
        fy, fx = np.meshgrid(np.fft.fftfreq(HALF) * HALF, np.arange(HALF // 2 + 1), indexing="ij")
        # Of a real image's spectrum one half is kept: what lies on its edge is there with its mirror image.
        once = np.where(fx == 0, 0.5, 1.0)
        inside = np.hypot(far_x, far_y) < BODY_RADIUS_PX
        products = (far_x * 0 + 1, far_x, far_y, far_x * far_x, far_y * far_y, far_x * far_y)
        constants = {
            "annuli": _harmonics(np.hypot(fx, fy), np.arctan2(fy, fx), ANNULUS_EDGES, ANNULUS_HARMONICS, counted=once),
            "moments": np.stack([(inside * product).ravel() for product in products], axis=1),
        }
        self.ring_sizes = []
        for name, a, b, edges in (
            ("near", x, y, RING_EDGES_PX[: middle + 1]),
            ("far", far_x, far_y, RING_EDGES_PX[middle:]),
        ):
            radius = np.hypot(a, b)
            constants[name] = _harmonics(radius, np.arctan2(b, a), edges, range(1, RING_HARMONICS + 1))
            members = [np.flatnonzero((radius >= inner) & (radius < outer)) for inner, outer in pairwise(edges)]
            self.ring_sizes.append([len(pixels) for pixels in members])
            self.register_buffer(f"{name}_order", torch.tensor(np.concatenate(members)), persistent=False)
        for number, (scales, size) in enumerate(zip(pairwise(BAND_SIGMAS_PX), BAND_SIZES, strict=True)):
            constants[f"band_{number}"] = _band(*scales, size)
        for name, value in constants.items():
            self.register_buffer(name, torch.tensor(value, dtype=torch.float32), persistent=False)

    def forward(self, planes: Tensor) -> Tensor:
        """The numbers, float32 and finite."""
        planes = torch.nan_to_num(planes.float(), nan=0.0, posinf=0.0, neginf=0.0).clamp_(-1e3, 6e4)
        across, down = _halves(planes)
        halved = (across[..., ::2] + across[..., 1::2]) / 4
        faint = asinh(2 * halved)
        far, far_faint = ((rows[..., ::2] + rows[..., 1::2]) / 4 for rows in (_halves(halved)[0], _halves(faint)[0]))
        waves = torch.fft.rfft2(faint)
        parts = [
            self._rings((halved[:, NEAR, NEAR], far), (faint[:, NEAR, NEAR], far_faint)),
            _finest(across[..., ::2] - across[..., 1::2], down[..., ::2] + down[..., 1::2]),
            self._scales(waves),
            self._power(waves),
            self._body(halved.flatten(1), far.flatten(1), faint.flatten(1)),
        ]
        return torch.cat(parts, dim=1)

    def _rings(self, planes: tuple[Tensor, Tensor], faint: tuple[Tensor, Tensor]) -> Tensor:
        """Of the rings near the middle on the halved planes, of those further out on the same halved again."""
        numbers, waves, powers = [], [], []
        masks, orders = (self.near, self.far), (self.near_order, self.far_order)
        for plane, shown, mask, order, sizes in zip(planes, faint, masks, orders, self.ring_sizes, strict=True):
            flat = shown.flatten(1)
            rings = mask.view(len(mask), len(sizes), -1)
            found = (flat @ mask).view(len(flat), len(sizes), -1)
            wave = found[:, :, 1:].view(len(flat), len(sizes), RING_HARMONICS, 2)
            mean, means, power = found[:, :, 0], rings[:, :, 0], wave.square().sum(dim=3)
            inside = torch.split(flat[:, order], sizes, dim=1)
            numbers += [
                mean,
                torch.asinh(plane.flatten(1) @ means),
                ((flat * flat) @ means - mean * mean).clamp(min=FLOOR).sqrt(),
                *(torch.stack([end(pixels, dim=1) for pixels in inside], dim=1) for end in (torch.amax, torch.amin)),
                torch.log(power.sqrt() + 0.02).flatten(1),
            ]
            waves.append(wave)
            powers.append(power)
        return torch.cat((*numbers, _winding(torch.cat(waves, dim=1), torch.cat(powers, dim=1))), dim=1)

    def _scales(self, waves: Tensor) -> Tensor:
        """Of the differences between Gaussian means of growing width, each on the coarsest grid that holds it."""
        found = []
        for number, size in enumerate(BAND_SIZES):
            half = size // 2
            if size < HALF:
                waves = torch.cat((waves[:, :half, : half + 1], waves[:, -half:, : half + 1]), dim=1)
            band = torch.fft.irfft2(waves * self.get_buffer(f"band_{number}"), s=(size, size))
            found.append(_tails(band.flatten(1)))
        return torch.cat(found, dim=1)

    def _power(self, waves: Tensor) -> Tensor:
        log_power = torch.log(waves.real.square() + waves.imag.square() + 1).flatten(1)
        annuli = len(ANNULUS_EDGES) - 1
        found = (log_power @ self.annuli).view(len(waves), annuli, -1)
        mean, amplitude = found[:, :, 0], torch.hypot(found[:, :, 1::2], found[:, :, 2::2])
        means = self.annuli.view(log_power.shape[1], annuli, -1)[:, :, 0]
        scatter = ((log_power * log_power) @ means - mean * mean).clamp(min=FLOOR).sqrt()
        return torch.cat((mean, scatter, amplitude.flatten(1)), dim=1)

    def _body(self, halved: Tensor, far: Tensor, faint: Tensor) -> Tensor:
        """Size, shape and concentration of what lies around the middle."""
        total, *moments = (functional.threshold(far, 0.5, 0.0) @ self.moments).unbind(dim=1)
        total = total + 1
        x, y, xx, yy, xy = (moment / total for moment in moments)
        peak = halved.amax(dim=1).clamp(min=1)
        asymmetry = (faint - faint.flip(1)).abs().mean(dim=1)
        relative = halved / peak[:, None]
        numbers = [
            total.log(),
            torch.log(xx + yy + 1),
            torch.hypot(xx - yy, 2 * xy) / (xx + yy + 1e-3),
            torch.hypot(x, y),
            torch.asinh(peak),
            torch.log(asymmetry + 1e-3),
            torch.log(asymmetry / (faint.abs().mean(dim=1) + 1e-3) + 1e-3),
            *(_log(relative.clamp(a, b).mean(dim=1) - a) for a, b in pairwise(LIGHT_LEVELS)),
        ]
        return torch.stack(numbers, dim=1)


class SpectrumStatistics(nn.Module):
    """(N, 2, 1024) planes of flux and mask to (N, `size`) numbers of order one to ten.

    The continuum in sixteen pieces; and of the differences between running means of growing width the scale, tails,
    moments and correlation, region by region the strongest line up and down, and the power spectrum.
    """

    size = 2 * PIECES + 1 + 5 * (3 * REGIONS + 8 + 2 * len(LINE_LEVELS)) + 2 * POWER_BANDS

    def forward(self, planes: Tensor) -> Tensor:
        """The numbers, float32 and finite."""
        planes = planes.float()
        count, _, length = planes.shape
        finite = torch.isfinite(planes[:, 0])
        mask = ((planes[:, 1] > 0.5) & finite).float()
        flux = (torch.where(finite, planes[:, 0], 0.0) * mask).clamp_(-1e3, 1e3)
        level, *smooth = _running_means(flux, mask, (CONTINUUM_BINS, *SPECTRUM_WINDOWS[1:]))
        differences = torch.stack([a - b for a, b in pairwise([flux, *smooth])], dim=1) * mask[:, None]
        noise = _scale((flux[:, 2:] - 2 * flux[:, 1:-1] + flux[:, :-2]).abs())
        sizes = differences.abs()
        scale = _scale(sizes)
        z = differences / scale
        squares = z * z
        regions = z.view(count, -1, REGIONS, length // REGIONS)
        highest, lowest = regions.amax(dim=3), regions.amin(dim=3)
        typical = sizes.view(count, -1, REGIONS, length // REGIONS).mean(dim=3) / scale
        continuum = level.clamp(min=0.02).log().view(count, PIECES, -1).mean(dim=2)
        spread = squares.mean(dim=2)
        parts = [
            torch.asinh(3 * level).view(count, PIECES, -1).mean(dim=2),
            continuum - continuum.mean(dim=1, keepdim=True),
            noise.log(),
            *(numbers.flatten(1) for numbers in (highest.asinh(), lowest.asinh(), torch.log(typical + 1e-2))),
            highest.amax(dim=2).asinh(),
            lowest.amin(dim=2).asinh(),
            scale[:, :, 0].log(),
            torch.log(scale[:, :, 0] / noise),
            torch.log1p(spread),
            torch.log1p((squares * squares).mean(dim=2)),
            torch.asinh((squares * z).mean(dim=2)),
            (z[:, :, 1:] * z[:, :, :-1]).mean(dim=2) / (spread + 1e-3),
            *(torch.log1p((side > at).sum(dim=2, dtype=torch.float32)) for at in LINE_LEVELS for side in (z, -z)),
            _power_of_lines((flux - level) * mask),
        ]
        return torch.cat(parts, dim=1)


def _halves(planes: Tensor) -> tuple[Tensor, Tensor]:
    """(N, H, W) to (N, H / 2, W): sums and differences of the rows two by two.

    Slices and sums, not a pooling: on a CPU that takes five times as long.
    """
    rows = planes.view(len(planes), planes.shape[1] // 2, 2, planes.shape[2])
    return rows[:, :, 0] + rows[:, :, 1], rows[:, :, 0] - rows[:, :, 1]


def _pixels(size: int) -> tuple[np.ndarray, np.ndarray]:
    """(size, size) offsets in pixels from the middle, to the right and down."""
    axis = np.arange(size) - (size - 1) / 2
    x, y = np.meshgrid(axis, axis)
    return x, y


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


def _band(narrow_px: float, wide_px: float, size: int) -> np.ndarray:
    """(size, size / 2 + 1): by what a plane's Fourier components are multiplied for the difference of two means."""
    fy, fx = np.meshgrid(np.fft.fftfreq(size) * size, np.arange(size // 2 + 1), indexing="ij")
    squared = (2 * np.pi / HALF) ** 2 * (fx * fx + fy * fy)
    transfer = np.exp(-squared * narrow_px**2 / 2) - np.exp(-squared * wide_px**2 / 2)
    return np.asarray(transfer * (size / HALF) ** 2)


def _winding(waves: Tensor, power: Tensor) -> Tensor:
    """(N, 3 * orders): how alike a Fourier component's phase is in neighbouring rings, how far it turns, and how surely
    one way: arms wind, bars and discs do not.
    """
    waves, power = waves[:, 1:-1, :WOUND_HARMONICS], power[:, 1:-1, :WOUND_HARMONICS] + 2e-3
    inner, outer = waves[:, :-1], waves[:, 1:]
    length = (power[:, :-1] * power[:, 1:]).sqrt()
    alike = (inner * outer).sum(dim=3) / length
    turn = (inner[..., 0] * outer[..., 1] - inner[..., 1] * outer[..., 0]) / length
    return torch.cat((alike.mean(dim=1), turn.abs().mean(dim=1), turn.mean(dim=1).abs()), dim=1)


def _finest(across: Tensor, down: Tensor) -> Tensor:
    """(N, 4): scale, extreme and tails of the steps between neighbouring pixels, of the two directions alike."""
    sides = []
    for steps in (across, down):
        sizes = asinh(steps).abs_().flatten(1)
        scale = sizes.mean(dim=1) + FLOOR
        z = sizes / scale[:, None]
        tails = [_log(z.clamp(at, at + 1).mean(dim=1) - at) for at in (LEVELS[1], LEVELS[-1])]
        sides.append(torch.stack((sizes.amax(dim=1), scale.log(), *tails), dim=1))
    return torch.cat((torch.maximum(*sides)[:, :1], (sides[0] + sides[1])[:, 1:] / 2), dim=1)


def _tails(values: Tensor) -> Tensor:
    """(N, P) to (N, 3 + 2 levels): the mean absolute value, the extremes, and how much lies beyond each level."""
    scale = values.abs().mean(dim=1) + FLOOR
    z = values / scale[:, None]
    beyond = []
    for at in LEVELS:
        beyond += [z.clamp(at, at + 1).mean(dim=1) - at, -at - z.clamp(-at - 1, -at).mean(dim=1)]
    ends = torch.stack((scale.log(), z.amax(dim=1).asinh(), z.amin(dim=1).asinh()), dim=1)
    return torch.cat((ends, _log(torch.stack(beyond, dim=1))), dim=1)


def _log(share: Tensor) -> Tensor:
    return torch.log(share.clamp(min=0) + FLOOR)


def _running_means(flux: Tensor, mask: Tensor, windows: tuple[int, ...]) -> list[Tensor]:
    """(N, L) means of what the mask shows in the bins around each place, from one cumulative sum for all windows."""
    length, reach = flux.shape[1], max(windows) // 2
    total = functional.pad(torch.stack((flux, mask), dim=1).cumsum(dim=2, dtype=torch.float64), (reach + 1, 0))
    total = torch.cat((total, total[:, :, -1:].expand(-1, -1, reach)), dim=2)
    means = []
    for window in windows:
        first = reach - window // 2
        sums = (total[:, :, first + window : first + window + length] - total[:, :, first : first + length]).float()
        means.append(sums[:, 0] / sums[:, 1].clamp(min=1.0))
    return means


def _scale(sizes: Tensor) -> Tensor:
    """(…, L) absolute values to (…, 1) their mean, none counting more than three times the mean of all."""
    return torch.minimum(sizes, 3 * sizes.mean(dim=-1, keepdim=True)).mean(dim=-1, keepdim=True) + FLOOR


def _power_of_lines(lines: Tensor) -> Tensor:
    """(N, 20): the mean power in ten octave-like bands, and the highest over the mean: a fringe is one frequency."""
    z = (lines / (lines.abs().mean(dim=1, keepdim=True) + FLOOR)).clamp(-5, 5)
    waves = torch.fft.rfft(z, dim=1)
    power = waves.real.square() + waves.imag.square() + 1e-3
    edges = np.geomspace(4, z.shape[1] // 2, POWER_BANDS + 1).astype(int)
    bands = [power[:, a:b] for a, b in pairwise(edges)]
    means = torch.stack([band.mean(dim=1) for band in bands], dim=1)
    highest = torch.stack([band.amax(dim=1) for band in bands], dim=1)
    return torch.cat((means.log(), torch.log(highest / means)), dim=1)
