"""The networks: one readable nn.Module a file, found by the architecture name that a weights card carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from classifier.errors import EsocsError
from classifier.networks.image import ImageNetwork
from classifier.networks.spectrum import SpectrumNetwork

Network = ImageNetwork | SpectrumNetwork

ARCHITECTURES: dict[str, type[Network]] = {
    ImageNetwork.architecture: ImageNetwork,
    SpectrumNetwork.architecture: SpectrumNetwork,
}


class UnknownArchitectureError(EsocsError):
    """The card names a network that this version of the program does not have."""

    code = "unknown_architecture"
    status = 422


def build_network(architecture: str, arguments: Mapping[str, Any]) -> Network:
    """Builds an untrained network.

    Args:
        architecture: A key of `ARCHITECTURES`, for example "image-convnext-1".
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
