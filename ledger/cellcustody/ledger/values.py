"""Declare values that are made in great numbers: frozen for the type checker, and quick to make while running.

The rules:

* `@value(frozen=True, slots=True)` stands where `@dataclass(frozen=True, slots=True)` would, and mypy takes it for
  that: whoever assigns to a field of one fails the check.
* While running, nothing stands guard over the fields: a frozen dataclass sets each through `object.__setattr__`, which
  takes ten times as long, and an append makes some eighty such values (docs/adr/0056).
* Equality, hash and order are those of a frozen dataclass.

For what is made for each statement on its way into the log, and for nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["value"]

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:
    from dataclasses import dataclass

    def value(*, frozen: bool, slots: bool, order: bool = False):
        """Returns the decorator of a value class; both flags are there for mypy and are always set."""
        if not (frozen and slots):
            raise TypeError("a value is frozen and has slots")
        return dataclass(slots=True, unsafe_hash=True, order=order)
