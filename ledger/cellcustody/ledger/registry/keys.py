"""A key's history, and what its signatures are worth by position.

The rules:

* A key is active from the entry after the one that enrolled it.
* Retired: what was signed before the retirement was signed may still arrive until the grace ends, and is flagged late.
* Suspended: nothing is taken until it is reinstated; suspending and reinstating start from active and suspended keys.
* Revoked: for good. A later revocation can only name an earlier leaf index since which the key is compromised.
* A signature at leaf index i by a key compromised since j and revoked at r: VALID for i < j, SUSPECT for j <= i < r,
  INVALID for i > r. Revoked without being compromised: VALID up to r. Whether somebody affirmed it is asked of the
  registry (`state.RegistryState.verdict_on`).
* A signature that the key could not make at its position (unknown, suspended, retired and not late) is INVALID.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, assert_never

from cellcustody.ledger.registry.history import History
from cellcustody.ledger.registry.records import KeyRecord, KeyStanding, KeyState, KeyVerdict

__all__ = ["POSITION_MAX", "KeyChange", "KeyHistory"]

POSITION_MAX: Final = (1 << 64) - 1
"""Later than every position: as of now."""

_UNKNOWN: Final = KeyStanding(KeyState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class KeyChange:
    """One change of a key's state; times in microseconds since 1970-01-01T00:00:00Z."""

    state: KeyState
    retired_signed_at: int | None = None
    grace_until: int | None = None
    compromised_since_leaf: int | None = None


class KeyHistory:
    """A key and its states."""

    __slots__ = ("changes", "record")

    def __init__(self, record: KeyRecord) -> None:
        self.record = record
        self.changes: History[KeyChange] = History()
        self.changes.add(record.enrolled_leaf, KeyChange(KeyState.ACTIVE))

    def standing_at(self, position: int) -> KeyStanding:
        """Returns the key's state as of `position`, with what was known then."""
        latest = self.changes.last_change(position)
        if latest is None:
            return _UNKNOWN
        since, last = latest
        if last.state is not KeyState.REVOKED:
            return KeyStanding(last.state, since, last.retired_signed_at, last.grace_until)
        changes = self.changes.changes(position)
        revocations = [(leaf, change) for leaf, change in changes if change.state is KeyState.REVOKED]
        compromised = [
            change.compromised_since_leaf for _, change in revocations if change.compromised_since_leaf is not None
        ]
        return KeyStanding(
            KeyState.REVOKED, revocations[0][0], compromised_since_leaf=min(compromised) if compromised else None
        )

    def verdict(self, leaf_index: int, *, signed_at: int, recorded_at: int) -> KeyVerdict:
        """Returns what a signature in the entry at `leaf_index` is worth by all that is known now.

        `signed_at` and `recorded_at` are the entry's, in microseconds since 1970-01-01T00:00:00Z.
        """
        then = self.standing_at(leaf_index)
        match then.state:
            case KeyState.UNKNOWN | KeyState.SUSPENDED | KeyState.REVOKED:
                return KeyVerdict.INVALID
            case KeyState.RETIRED:
                if not then.admits_late(signed_at, recorded_at):
                    return KeyVerdict.INVALID
            case KeyState.ACTIVE:
                pass
            case _:
                assert_never(then.state)
        return KeyVerdict.SUSPECT if self.is_compromised_at(leaf_index) else KeyVerdict.VALID

    def is_compromised_at(self, leaf_index: int) -> bool:
        """Tells whether the key is now said to have been compromised when the entry at `leaf_index` was recorded."""
        since = self.standing_at(POSITION_MAX).compromised_since_leaf
        return since is not None and leaf_index >= since
