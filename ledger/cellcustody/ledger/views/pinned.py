"""Tell which policy pack a therapy is pinned to, from what its stream tells.

The rules:

* The last move in effect counts, whatever was judged by an earlier pack since: a fact that comes late is judged by the
  pack of its own time.
* Without a move, the pack that the therapy was last judged under counts, which an enrolment not in effect yet has not.
"""

from __future__ import annotations

from collections.abc import Sequence

from cellcustody.ledger.views.reading import Told
from cellcustody.v1 import policy_pb2

__all__ = ["pinned_digest"]


def pinned_digest(told: Sequence[Told]) -> bytes:
    """Returns the digest of the pack in force, or nothing where the stream names none."""
    last, pinned = -1, b""
    for one in told:
        in_effect_at = one.act.in_effect_at
        if in_effect_at is not None and in_effect_at > last and isinstance(one.act.body, policy_pb2.TherapyRepinned):
            last, pinned = in_effect_at, one.act.body.to_policy_digest
    if pinned:
        return pinned
    return next((one.judgement.policy_digest for one in reversed(told) if one.judgement.policy_digest), b"")
