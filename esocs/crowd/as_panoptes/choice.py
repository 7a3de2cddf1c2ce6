"""Which way of selecting and counting a workflow's configuration asks for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from esocs.crowd.errors import UnknownSelectionError

SELECTIONS = ("esocs", "panoptes")
"""`esocs` is meant where nothing is said."""


def check_selection(configuration: Mapping[str, Any]) -> None:
    """Refuse a way that there is not: passed over, it would be the other one than its author meant.

    Raises:
        UnknownSelectionError: `selection` names none.
    """
    if configuration.get("selection", SELECTIONS[0]) not in SELECTIONS:
        raise UnknownSelectionError(
            f"configuration.selection is one of {', '.join(SELECTIONS)}.", hint="Leave it out for esocs' own."
        )
