"""What the fronts of the networks and the statistics share: a quick inverse hyperbolic sine and running sums."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


def asinh_(x: Tensor) -> Tensor:
    """The inverse hyperbolic sine, in place."""
    if x.device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX512":
        # With AVX-512 numpy computes it in one vectorised pass; torch never does so on a CPU.
        return torch.from_numpy(np.arcsinh(x.numpy(), out=x.numpy()))
    # Elsewhere this is several times as fast as either, and exact to 1e-6.
    return x.copy_((x * x).add_(1).sqrt_().add_(x.abs()).log_().copysign_(x))


def asinh(x: Tensor) -> Tensor:
    """The inverse hyperbolic sine, of a copy."""
    return asinh_(x.clone())


def running_sum(x: Tensor, bins: int) -> Tensor:
    """(N, L) sums over the `bins` around each place; differences of one cumulative sum, so any width costs the same."""
    half = bins // 2
    total = functional.pad(x.double().cumsum(dim=1), (half + 1, 0))
    total = torch.cat((total, total[:, -1:].expand(-1, half)), dim=1)
    return (total[:, bins:] - total[:, :-bins]).float()
