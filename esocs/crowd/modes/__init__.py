"""The ways of weighing votes that a workflow can choose among, by name."""

from __future__ import annotations

from classifier.errors import EsocsError
from esocs.crowd.modes.hierarchical import Hierarchical
from esocs.crowd.modes.interface import Gathered, Learned, Mode
from esocs.crowd.modes.majority import Majority
from esocs.crowd.modes.one_coin import OneCoin
from esocs.crowd.modes.plain_dawid_skene import PlainDawidSkene
from esocs.crowd.modes.swap import Swap
from esocs.crowd.modes.wawa import Wawa

__all__ = ["DEFAULT_MODE", "MODES", "Gathered", "Learned", "Mode", "UnknownModeError", "get_mode"]

DEFAULT_MODE = "hierarchical"

_ALL: tuple[Mode, ...] = (Hierarchical(), Majority(), Wawa(), PlainDawidSkene(), OneCoin(), Swap())

MODES: dict[str, Mode] = {mode.name: mode for mode in _ALL}
"""By name, in the order in which they are offered."""


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
