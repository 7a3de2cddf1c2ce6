"""The networks: one readable nn.Module a file, found by the architecture name that a weights card carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from classifier.errors import EsocsError
from classifier.networks.image import ImageNetwork
from classifier.networks.spectrum import SpectrumNetwork
from classifier.networks.timm_encoder import TimmNetwork

Network = ImageNetwork | SpectrumNetwork | TimmNetwork

ARCHITECTURES: dict[str, type[Network]] = {
    ImageNetwork.architecture: ImageNetwork,
    SpectrumNetwork.architecture: SpectrumNetwork,
    TimmNetwork.architecture: TimmNetwork,
}


def _size(width: int, depths: tuple[int, ...]) -> dict[str, Any]:
    return {
        "stem_widths": (width // 2, width),
        "widths": tuple(width * 2**stage for stage in range(4)),
        "depths": depths,
        "strides": (1, 2, 2, 2),
        "expansion": 4,
    }


# Arguments of a ConvNeXt by the name of its size. The names, widths and depths from "atto" on are those of Woo et al.
# (2023, "ConvNeXt V2", arXiv:2301.00808, table 9); "yocto", the default, is for a CPU.
SIZES: dict[str, dict[str, Any]] = {
    "yocto": {},
    "atto": _size(40, (2, 2, 6, 2)),
    "femto": _size(48, (2, 2, 6, 2)),
    "pico": _size(64, (2, 2, 6, 2)),
    "nano": _size(80, (2, 2, 8, 2)),
}


class UnknownArchitectureError(EsocsError):
    """The card names a network that this version of the program does not have."""

    code = "unknown_architecture"
    status = 422


def build_network(architecture: str, arguments: Mapping[str, Any]) -> Network:
    """Builds an untrained network.

    Args:
        architecture: A key of `ARCHITECTURES`, for example "image-convnext-3".
        arguments: Keyword arguments of that class, as its `arguments` attribute gives them.

    Raises:
        UnknownArchitectureError: The name, or one of the arguments, is not known here.
    """
    network_class = ARCHITECTURES.get(architecture)
    if network_class is None:
        raise UnknownArchitectureError(
            f"The architecture {architecture!r} is not one of {', '.join(sorted(ARCHITECTURES))}.",
            hint="Upgrade esocs, or choose another model version.",
        )
    try:
        return network_class(**arguments)
    except (TypeError, ValueError, ArithmeticError, RuntimeError, AttributeError) as error:
        raise UnknownArchitectureError(
            f"The architecture {architecture!r} does not take these arguments: {error}",
            hint="The weights card was written by another version of esocs.",
        ) from error


def count_weights(network: Network) -> int:
    """Trained numbers of a network."""
    return sum(parameter.numel() for parameter in network.parameters())
