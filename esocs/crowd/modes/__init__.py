"""The ways of weighing votes that a workflow can choose among, by name."""

from __future__ import annotations

from classifier.errors import EsocsError
from esocs.crowd.modes.hierarchical import Hierarchical
from esocs.crowd.modes.interface import Gathered, Learned, Mode

__all__ = ["DEFAULT_MODE", "MODES", "Gathered", "Learned", "Mode", "UnknownModeError", "get_mode"]

DEFAULT_MODE = "hierarchical"

MODES: dict[str, Mode] = {mode.name: mode for mode in (Hierarchical(),)}


class UnknownModeError(EsocsError):
    """A way of weighing votes that does not exist."""

    code = "unknown_mode"
    status = 422


def get_mode(name: str) -> Mode:
    """The mode of that name.

    Raises:
        UnknownModeError: no such mode.
    """
    try:
        return MODES[name]
    except KeyError:
        raise UnknownModeError(f"There is no mode {name!r}.", hint=f"Use one of {', '.join(MODES)}.") from None
