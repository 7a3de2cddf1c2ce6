"""The spectrum encoder: a small one-dimensional ConvNeXt on flux and mask at fixed wavelengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from classifier.networks.convnext import ConvNeXt
from classifier.networks.stretches import running_sum

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
    mean = running_sum(flux, bins) / running_sum(mask, bins).clamp(min=0.1)
    residual = (flux - mean) * mask
    # The mean of |x|, not of x²: one bright line must not hide the others.
    scatter = residual.abs().sum(dim=1) / mask.sum(dim=1).clamp(min=1.0)
    return torch.asinh(residual / scatter.clamp(min=1e-3)[:, None]) / 2


class SpectrumNetwork(ConvNeXt):
    """Planes (N, 2, 1024) of flux and mask to logits per question and an embedding.

    `classifier.networks.convnext.ConvNeXt` explains the arguments. The defaults are the smallest size.
    """

    architecture = "spectrum-convnext-3"
    kind = "spectrum"
    plane_shape = (2, 1024)
    input_channels = 5
    stem_kernel = 7

    def __init__(
        self,
        *,
        answers: Mapping[str, int],
        stem_widths: Sequence[int] = (24, 48),
        widths: Sequence[int] = (64, 128),
        depths: Sequence[int] = (2, 2),
        strides: Sequence[int] = (4, 4),
        kernel_size: int = 9,
        expansion: int = 2,
        embedding_size: int = 128,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(
            answers=answers,
            stem_widths=stem_widths,
            widths=widths,
            depths=depths,
            strides=strides,
            kernel_size=kernel_size,
            expansion=expansion,
            embedding_size=embedding_size,
            dropout=dropout,
        )

    def channels_of(self, planes: Tensor) -> Tensor:
        """The five channels, as an image of one row."""
        return channels_of(planes)[:, :, None].contiguous(memory_format=torch.channels_last)
