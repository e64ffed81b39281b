"""Every way in which a map of heads, a proof from one, or the key of its aliases can be wrong."""

from __future__ import annotations

from cellcustody.ledger.errors import MalformedError, StoreError, VerificationError

__all__ = [
    "AliasKeyMalformedError",
    "AliasKeyMismatchError",
    "HeadMapDamagedError",
    "HeadMapFalseError",
    "HeadMapMismatchError",
    "MapProofError",
]


class MapProofError(VerificationError):
    """Raised when a path does not lead from what is claimed of a key to the root of a map."""

    reason = "MAP_PROOF_INVALID"


class HeadMapFalseError(VerificationError):
    """Raised when a logged map is not the one that the log's entries make."""

    reason = "HEAD_MAP_FALSE"


class AliasKeyMismatchError(VerificationError):
    """Raised when a key of the map of aliases is not the one that a logged map states."""

    reason = "ALIAS_KEY_MISMATCH"


class AliasKeyMalformedError(MalformedError):
    """Raised when a file that should hold a key of the map of aliases is none."""

    reason = "ALIAS_KEY_MALFORMED"


class HeadMapDamagedError(StoreError):
    """Raised when the kept maps contradict themselves; they are made again from the log."""

    reason = "HEAD_MAP_DAMAGED"


class HeadMapMismatchError(StoreError):
    """Raised when the maps are not those that the stored entries make, or that were logged; none is signed then."""

    reason = "HEAD_MAP_MISMATCH"
