"""Remember which policy pack a therapy was pinned to, from when on, and which acts were judged under which.

A therapy that is never moved keeps nothing here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Pins"]


@dataclass(slots=True)
class Pins:
    """The moves of one therapy, in the order of the fold; moments in microseconds since 1970."""

    enrolled_under: bytes = b""
    moves: list[tuple[int, bytes]] = field(default_factory=list)
    _judged_under: dict[bytes, bytes] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Tells whether the therapy was ever moved."""
        return bool(self.moves)

    def move(self, at: int, before: bytes, after: bytes) -> None:
        """Notes a move from one pack's digest to another's."""
        if not self.moves:
            self.enrolled_under = before
        self.moves.append((at, after))

    def note(self, act: bytes, policy_digest: bytes) -> None:
        """Notes the pack that an act behind a move was judged under."""
        self._judged_under[act] = policy_digest

    def under(self, act: bytes, pinned: bytes) -> bytes:
        """Returns the digest of the pack that an act was judged under; `pinned` is the therapy's pack now."""
        return self._judged_under.get(act, self.enrolled_under) if self.moves else pinned

    def at(self, moment: int, pinned: bytes) -> bytes:
        """Returns the digest of the pack that held at a moment; `pinned` is the therapy's pack now."""
        if not self.moves:
            return pinned
        return next((digest for since, digest in reversed(self.moves) if since <= moment), self.enrolled_under)
