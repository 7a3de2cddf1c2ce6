"""What was computed of one header, kept for the next that has the same keywords at the same places.

Files of one instrument differ in a few cards. Whatever is computed of a header says which cards it has read, by reading
them; as long as those stay as they are byte for byte, the result stays too. Nobody lists dependencies by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any


class _Kept:
    """Results that belong together, by number.

    Attributes:
        values: Of each.
        rows: The cards that each has read.
        stale: Numbers of those that must be computed anew.
    """

    __slots__ = ("rows", "stale", "values")

    def __init__(self, count: int) -> None:
        self.values: list[Any] = [None] * count
        self.rows: list[set[int]] = [set() for _ in range(count)]
        self.stale = set(range(count))


class Memory:
    """The values and results of the last header of a layout."""

    __slots__ = ("_kept", "_names", "_readers", "_reads", "_rows", "parsed")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.parsed: dict[str, Any] = {}
        self._kept: dict[Hashable, _Kept] = {}
        self._readers: dict[int, set[tuple[Hashable, int]]] = {}
        self._rows: dict[str, tuple[int, ...]] = {}
        self._names: dict[int, list[str]] = {}
        self._reads: set[int] | None = None

    def forget(self, rows: Iterable[int]) -> None:
        """Forget what these cards gave. The values go into a new dictionary: the old one is the last header's."""
        self.parsed = parsed = self.parsed.copy()
        for row in rows:
            for name in self._names.get(row, ()):
                parsed.pop(name, None)
            for key, number in self._readers.get(row, ()):
                self._kept[key].stale.add(number)

    def place(self, name: str, rows: tuple[int, ...]) -> None:
        """Say in which cards a keyword's value stands."""
        if name not in self._rows:
            self._rows[name] = rows
            for row in rows:
                self._names.setdefault(row, []).append(name)

    def note_name(self, name: str) -> None:
        """A value is read; its place is known."""
        if self._reads is not None:
            self._reads.update(self._rows[name])

    def note(self, rows: Iterable[int]) -> None:
        """Cards are read."""
        if self._reads is not None:
            self._reads.update(rows)

    def recall(self, key: Hashable, count: int, compute: Callable[[int], Any]) -> list[Any]:
        """Results 0 to `count` - 1, of which those are computed that are not known any more, in their order.

        Returns:
            A list that is to be read, and read before the next header of the layout comes.
        """
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = _Kept(count)
        if kept.stale:
            outer = self._reads
            for number in sorted(kept.stale):
                rows: set[int] = set()
                self._reads = rows
                try:
                    kept.values[number] = compute(number)
                finally:
                    self._reads = outer
                for row in rows:
                    self._readers.setdefault(row, set()).add((key, number))
                kept.rows[number] = rows
                kept.stale.discard(number)
        if self._reads is not None:
            self._reads.update(*kept.rows)
        return kept.values
