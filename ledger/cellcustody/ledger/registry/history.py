"""A value's history by position in the log.

The rules:

* A change takes effect at a leaf index. As of position p (a tree size) everything holds that took effect at a leaf
  index below p; the entry at leaf index i is judged as of position i.
* Changes are added in the order of the log. Nothing is ever altered; only what was never committed is rewound.

One writer adds while readers ask: a value is appended before its index, so a reader never finds an index without it.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Generic, TypeVar

__all__ = ["History"]

T = TypeVar("T")


class History(Generic[T]):
    """What a value was as of every position."""

    __slots__ = ("_leaf_indexes", "_values")

    def __init__(self) -> None:
        self._leaf_indexes: list[int] = []
        self._values: list[T] = []

    def add(self, leaf_index: int, value: T) -> None:
        """Records that `value` holds from the entry at `leaf_index` on."""
        if self._leaf_indexes and leaf_index < self._leaf_indexes[-1]:
            raise ValueError("changes are added in the order of the log")
        self._values.append(value)
        self._leaf_indexes.append(leaf_index)

    def at(self, position: int) -> T | None:
        """Returns the value as of `position`, or None where there was none yet."""
        leaf_indexes = self._leaf_indexes
        count = len(leaf_indexes)
        if count and leaf_indexes[count - 1] >= position:
            count = bisect_left(leaf_indexes, position, 0, count)
        return self._values[count - 1] if count else None

    def last_change(self, position: int) -> tuple[int, T] | None:
        """Returns (leaf index, value) of the last change as of `position`, or None where there was none yet."""
        count = bisect_left(self._leaf_indexes, position)
        return (self._leaf_indexes[count - 1], self._values[count - 1]) if count else None

    def changes(self, position: int) -> tuple[tuple[int, T], ...]:
        """Returns (leaf index, value) of every change as of `position`, oldest first."""
        count = bisect_left(self._leaf_indexes, position)
        return tuple(zip(self._leaf_indexes[:count], self._values[:count], strict=True))

    def rewind(self, position: int) -> bool:
        """Drops what took effect at or after `position`; tells whether anything is left."""
        count = bisect_left(self._leaf_indexes, position)
        del self._leaf_indexes[count:]
        del self._values[count:]
        return bool(count)
