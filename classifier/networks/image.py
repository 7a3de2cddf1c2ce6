"""The image encoder: a ConvNeXt in two dimensions whose front does the asinh stretch on the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from classifier.networks.convnext import ConvNeXt
from classifier.networks.stretches import asinh_


def stretch(planes: Tensor) -> Tensor:
    """(N, H, W) planes in units of sky noise to (N, 3, H, W) channels of order one.

    Faint: asinh(x), linear within the noise. Bright: asinh(x / 30), which still tells apart what the first
    saturates. Shape: asinh of x over the brightest 4 x 4 mean, so that a form looks alike at any flux.
    The asinh follows Lupton et al. (1999, AJ 118, 1406). NaN and infinities count as sky.
    """
    planes = torch.nan_to_num(planes.float(), nan=0.0, posinf=0.0, neginf=0.0)
    peak = functional.avg_pool2d(planes[:, None], 4).amax(dim=(1, 2, 3)).clamp(min=5.0)[:, None, None]
    # The channels lie last and are seen as first: channels_last memory, which the convolutions want, without a copy.
    channels = torch.empty((*planes.shape, 3), device=planes.device)
    factors: tuple[float | Tensor, ...] = (1.0, 1 / 30, 10 / peak)
    for channel, factor in enumerate(factors):
        torch.mul(planes, factor, out=channels[..., channel])
    # As rows, so that the product runs along memory; made on the device: no graph records a copy to it.
    place = torch.arange(3 * planes.shape[2], device=planes.device)
    asinh_(channels).flatten(2).mul_(torch.where(place % 3 == 0, 1 / 3, 1 / 2))
    return channels.permute(0, 3, 1, 2)


class ImageNetwork(ConvNeXt):
    """Planes (N, 128, 128) in units of sky noise to logits per question and an embedding.

    `classifier.networks.convnext.ConvNeXt` explains the arguments. The defaults are the smallest size.
    """

    architecture = "image-convnext-3"
    kind = "image"
    plane_shape = (128, 128)
    input_channels = 3
    stem_kernel = 3

    def __init__(
        self,
        *,
        answers: Mapping[str, int],
        stem_widths: Sequence[int] = (16, 32),
        widths: Sequence[int] = (64, 128),
        depths: Sequence[int] = (2, 2),
        strides: Sequence[int] = (2, 2),
        kernel_size: int = 7,
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
        """The three stretches."""
        return stretch(planes)
