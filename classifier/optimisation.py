"""Muon: momentum whose matrices are made orthogonal before each step, which takes half the steps of AdamW here.

After Jordan et al. (2024, "Muon: An optimizer for hidden layers in neural networks", kellerjordan.github.io/posts).
torch's own Muon takes matrices only and computes in bfloat16, which most CPUs emulate; a convolution is no matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

# The quintic whose iteration drives every singular value towards one, fastest for the smallest (Jordan et al. 2024).
QUINTIC = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


class Muon(Optimizer):
    """Steps of equal size along every direction of a layer's weights.

    Args:
        parameters: Weights of two or more dimensions; the first is the layer's output.
        lr: Size of a step: the root mean square of the change of a square matrix's singular values.
        momentum: Decay of the running sum of gradients, looked ahead after Nesterov.
        weight_decay: Decoupled, times `lr`.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], *, lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step; `closure` is not used."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group)

    def _move(self, parameter: nn.Parameter, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(gradient)
        total = state["momentum"].mul_(group["momentum"]).add_(gradient)
        ahead = gradient.add(total, alpha=group["momentum"]).flatten(1)
        rows, columns = ahead.shape
        # A tall matrix of orthogonal columns moves its outputs less than a square one; this evens it out.
        size = group["lr"] * max(1.0, rows / columns) ** 0.5
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(orthogonalised(ahead).reshape(parameter.shape), alpha=-size)


def orthogonalised(matrix: Tensor) -> Tensor:
    """The (M, N) matrix with its singular values all brought near one (0.7 to 1.2), by Newton-Schulz iteration."""
    a, b, c = QUINTIC
    x: Tensor = matrix / (matrix.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    x = x.mT if tall else x
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


def split_weights(network: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter], list[nn.Parameter]]:
    """(matrices of hidden layers, other weights, biases and scales): what Muon moves, what AdamW, what decays not.

    The heads and depthwise kernels are no hidden matrices: rows of the first are answers, of the latter channels
    that never meet.
    """
    heads = {id(p) for name, p in network.named_parameters() if name.startswith("heads.")}
    hidden = {
        id(module.weight)
        for module in network.modules()
        if isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1)
    } - heads
    parameters = [p for p in network.parameters() if p.requires_grad]
    return (
        [p for p in parameters if id(p) in hidden],
        [p for p in parameters if id(p) not in hidden and p.ndim > 1],
        [p for p in parameters if id(p) not in hidden and p.ndim <= 1],
    )
