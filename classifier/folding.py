"""Networks as a CPU runs them fastest: the same answers, with what never changes after training computed beforehand.

In each block the affine part of the norm goes into the layer behind it, and the learned scale into the last layer. On
CPUs that multiply bfloat16 in hardware the encoder computes in it, as the encoder does on a GPU; sums, the stretch of
the pixels, the pooling and the heads stay in single precision. The network that was given is left as it is.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from classifier.networks import Network
from classifier.networks.convnext import Block, ConvNeXt


def best_dtype() -> torch.dtype:
    """In what this machine's CPU convolves fastest. Emulated, bfloat16 would be slower than single precision."""
    found = torch.cpu.get_capabilities()
    return torch.bfloat16 if found.get("avx512_bf16") or found.get("amx_bf16") else torch.float32


def fold(network: Network, *, dtype: torch.dtype | None = None) -> Network:
    """A copy of a network for prediction alone, on a CPU.

    Args:
        network: Of any architecture; one that is no ConvNeXt of ours is copied as it is.
        dtype: Of the encoder's convolutions and products; `best_dtype` when omitted.
    """
    # Predictions outlive the training that goes on with the original, so nothing of it is shared.
    copied = copy.deepcopy(network).eval()
    if isinstance(copied, ConvNeXt):
        layers = [_folded(layer, dtype or best_dtype()) for layer in copied.encoder]
        copied.encoder = nn.Sequential(*layers)
    return copied.requires_grad_(requires_grad=False)


def _folded(layer: nn.Module, dtype: torch.dtype) -> nn.Module:
    if isinstance(layer, Block):
        return FoldedBlock(layer, dtype)
    if isinstance(layer, nn.Conv2d):
        return CastConv(layer, dtype)
    return layer


class CastConv(nn.Module):
    """A convolution that takes what comes in its own type."""

    def __init__(self, conv: nn.Conv2d, dtype: torch.dtype) -> None:
        super().__init__()
        self.conv = conv.to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x.to(self.conv.weight.dtype))
        return y


class FoldedBlock(nn.Module):
    """A block with two affine steps less."""

    def __init__(self, block: Block, dtype: torch.dtype) -> None:
        super().__init__()
        norm, expand, reduce = block.norm, block.expand, block.reduce
        self.depthwise = block.depthwise.to(dtype)
        # Without a first draw of weights: predicting must not move the caller's random numbers.
        self.expand = nn.utils.skip_init(nn.Linear, expand.in_features, expand.out_features)  # type: ignore[no-untyped-call]  # untyped in torch
        self.reduce = nn.utils.skip_init(nn.Linear, reduce.in_features, reduce.out_features)  # type: ignore[no-untyped-call]  # untyped in torch
        with torch.no_grad():
            # expand(w n + b) = (expand.weight w) n + (expand.weight b + expand.bias), n the bare norm.
            self.expand.weight.copy_(expand.weight * norm.weight)
            self.expand.bias.copy_(expand.weight @ norm.bias + expand.bias)
            self.reduce.weight.copy_(reduce.weight * block.scale[:, None])
            self.reduce.bias.copy_(reduce.bias * block.scale)
        self.expand.to(dtype)
        self.reduce.to(dtype)
        self._width, self._eps = norm.normalized_shape, norm.eps

    def forward(self, x: Tensor) -> Tensor:
        y = functional.layer_norm(self.depthwise(x).permute(0, 2, 3, 1), self._width, eps=self._eps)
        y = self.reduce(functional.gelu(self.expand(y)))
        added: Tensor = x + y.permute(0, 3, 1, 2)
        return added
