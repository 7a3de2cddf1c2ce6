"""Random variations of planes that leave the answer alone, as tensor operations on a whole batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

DIHEDRAL_VIEWS = 8


@dataclass(frozen=True, kw_only=True)
class ImageAugmentation:
    """How far an image may vary.

    Attributes:
        shift_px: Largest shift along each axis; the uncovered edge repeats the last row or column.
        noise: Largest standard deviation of the added noise, in units of the sky noise.
        brightness: Standard deviation of the log of a factor on the whole plane.
    """

    shift_px: int = 8
    noise: float = 0.5
    brightness: float = 0.2

    def __call__(self, planes: Tensor, generator: torch.Generator) -> Tensor:
        """(N, H, W) float32 to the same, each plane turned, flipped, shifted, scaled and noised by itself."""
        count = len(planes)
        device = planes.device
        views = torch.randint(DIHEDRAL_VIEWS, (count,), generator=generator).to(device)
        shifts = torch.randint(-self.shift_px, self.shift_px + 1, (count, 2), generator=generator).to(device)
        planes = turned_and_shifted(planes, views=views, shifts_px=shifts)
        factor = torch.exp(self.brightness * torch.randn(count, 1, 1, generator=generator)).to(device)
        level = (self.noise * torch.rand(count, 1, 1, generator=generator)).to(device)
        return planes * factor + level * torch.randn(planes.shape, generator=generator).to(device)


def turned_and_shifted(planes: Tensor, *, views: Tensor, shifts_px: Tensor) -> Tensor:
    """One gather for the dihedral view (N,) in 0..7 and the shift (N, 2) of each of the (N, H, H) planes."""
    count, size, _ = planes.shape
    axis = torch.arange(size, device=planes.device)
    rows = (axis[None, :] - shifts_px[:, :1]).clamp(0, size - 1)
    columns = (axis[None, :] - shifts_px[:, 1:]).clamp(0, size - 1)
    rows = torch.where((views & 1)[:, None] == 1, size - 1 - rows, rows)
    columns = torch.where((views & 2)[:, None] == 2, size - 1 - columns, columns)
    grid_rows = rows[:, :, None].expand(count, size, size)
    grid_columns = columns[:, None, :].expand(count, size, size)
    transposed = ((views & 4) == 4)[:, None, None]
    flat = torch.where(transposed, grid_columns * size + grid_rows, grid_rows * size + grid_columns)
    return planes.reshape(count, -1).gather(1, flat.reshape(count, -1)).reshape(planes.shape)


def dihedral_view(planes: Tensor, view: int) -> Tensor:
    """The (N, H, W) planes seen in one of the eight symmetries of the square; view 0 changes nothing."""
    if view & 4:
        planes = planes.transpose(1, 2)
    flips = [axis for axis, bit in ((1, 1), (2, 2)) if view & bit]
    return planes.flip(flips) if flips else planes


@dataclass(frozen=True, kw_only=True)
class SpectrumAugmentation:
    """How far a spectrum may vary.

    Attributes:
        shift_bins: Largest shift along the log-wavelength grid, a redshift of 0.00092 a bin.
        noise: Largest standard deviation of the added noise, in units of the median absolute flux.
        scale: Standard deviation of the log of a factor on the flux.
        tilt: Standard deviation of the log of the flux ratio between the ends: flux calibration, reddening.
        gap_bins: Longest stretch of bins declared missing.
    """

    shift_bins: int = 20
    noise: float = 0.05
    scale: float = 0.15
    tilt: float = 0.15
    gap_bins: int = 30

    def __call__(self, planes: Tensor, generator: torch.Generator) -> Tensor:
        """(N, 2, L) float32 to the same, each spectrum varied by itself; bins shifted in are missing."""
        count, _, length = planes.shape
        device = planes.device
        bins = torch.arange(length, device=device)

        def uniform() -> Tensor:
            return torch.rand(count, 1, generator=generator).to(device)

        def normal() -> Tensor:
            return torch.randn(count, 1, generator=generator).to(device)

        shift = torch.randint(-self.shift_bins, self.shift_bins + 1, (count, 1), generator=generator).to(device)
        source = bins[None, :] - shift
        inside = (source >= 0) & (source < length)
        source = source.clamp(0, length - 1)
        gap_start = (uniform() * length).long()
        gap_end = gap_start + (uniform() * self.gap_bins).long()
        present = inside & ~((bins >= gap_start) & (bins < gap_end))
        mask = planes[:, 1].gather(1, source) * present
        ramp = torch.linspace(-0.5, 0.5, length, device=device)[None, :]
        factor = torch.exp(self.scale * normal() + self.tilt * normal() * ramp)
        noise = self.noise * uniform() * torch.randn(count, length, generator=generator).to(device)
        flux = (planes[:, 0].gather(1, source) * factor + noise) * mask
        return torch.stack((flux, mask), dim=1)
