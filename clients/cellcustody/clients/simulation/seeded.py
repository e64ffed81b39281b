"""Numbers, bytes and choices that a seed decides, so that a simulation can be run again.

The rules:

* A generator is named by a path, such as (seed, "therapy", 17), and gives the same values for the same path, whatever
  other generators are asked and in whatever order threads run.
* It is NOT fit for secrets: whoever knows the path knows every byte. Only the simulation uses it.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

__all__ = ["Seeded"]

_Choice = TypeVar("_Choice")


class Seeded:
    """A generator named by a path."""

    def __init__(self, *path: str | int) -> None:
        name = "/".join(str(part) for part in path)
        self._random = random.Random(hashlib.sha256(name.encode()).digest())  # Not for secrets; see above.

    def take(self, count: int) -> bytes:
        """Returns `count` bytes."""
        return self._random.randbytes(count)

    def happens(self, share: float) -> bool:
        """Tells whether something happens that happens in this share of cases."""
        return self._random.random() < share

    def between(self, least: int, most: int) -> int:
        """Returns a whole number from `least` to `most`, both included."""
        return self._random.randint(least, most)

    def pick(self, choices: Sequence[_Choice]) -> _Choice:
        """Returns one of the choices."""
        return self._random.choice(choices)
