"""Count what a simulation did, and tell what the ledger found against what was meant.

The rules:

* A simulator knows which facts it made break a rule, by digest, and which codes each is to be found with.
* What the ledger refuses, finds without its being meant, leaves waiting, or fails to find, is a deviation. Advisories
  are none: all that is simulated lies long in the past, so that every fact is LATE.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

__all__ = ["Deviation", "Summary"]


@dataclass(frozen=True, slots=True)
class Deviation:
    """Something that went otherwise than the simulator meant: which therapy, which act, what was found or refused."""

    therapy: int
    act: str
    what: str
    codes: tuple[str, ...] = ()

    def __str__(self) -> str:
        codes = f" [{' '.join(self.codes)}]" if self.codes else ""
        return f"therapy {self.therapy}: {self.act}: {self.what}{codes}"


@dataclass
class Summary:
    """Counts of one simulation; several threads add to it."""

    therapies: int = 0
    statements: int = 0
    enrolling: int = 0
    seconds: float = 0.0
    intended: int = 0
    """Facts that were meant to be nonconforming, and are."""

    counts: Counter[str] = field(default_factory=Counter)
    """Of legs, excursions, handoffs, corrections and the like, by name."""

    outcomes: Counter[str] = field(default_factory=Counter)
    """Of therapies, by how they ended."""

    refusals: list[Deviation] = field(default_factory=list)
    unintended: list[Deviation] = field(default_factory=list)
    missed: list[Deviation] = field(default_factory=list)
    """Facts that were meant to be nonconforming and are not."""

    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def is_as_intended(self) -> bool:
        """Tells whether nothing went otherwise than meant."""
        return not (self.refusals or self.unintended or self.missed)

    @property
    def rate(self) -> float:
        """Statements of therapies recorded in a second."""
        return self.statements / self.seconds if self.seconds else 0.0

    def add(self, other: Summary) -> None:
        """Adds what came of one therapy."""
        with self._lock:
            self.therapies += other.therapies
            self.statements += other.statements
            self.intended += other.intended
            self.counts += other.counts
            self.outcomes += other.outcomes
            self.refusals += other.refusals
            self.unintended += other.unintended
            self.missed += other.missed

    def share(self, part: str, whole: str) -> float:
        """Returns one count as a share of another."""
        return self.counts[part] / self.counts[whole] if self.counts[whole] else 0.0
