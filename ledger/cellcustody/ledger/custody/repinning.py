"""Move a therapy from one policy pack to another.

The rules:

* A move names the pack in force and a published pack of the therapy's product and jurisdiction, and gives its reason.
  Who may sign it, and who joins, the pack in force says.
* What stands after the move in the fold's order is judged by the new pack; what stands before it is not judged again.
  So the order of arrival plays no part: a fact that comes late and happened before is judged by the old pack.
* Several moves follow each other; of two from the same pack the second to take effect is refused.
"""

from __future__ import annotations

from collections.abc import Callable

from cellcustody.ledger.custody.act import Act, Judged
from cellcustody.ledger.custody.findings import Findings
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.therapy_rows import authorisation
from cellcustody.ledger.custody.therapy_state import TherapyState
from cellcustody.v1 import policy_pb2 as policy

__all__ = ["ACTS", "PackOf", "check_repinned"]

PackOf = Callable[[bytes], PolicyPack | None]
"""Finds a published pack by its digest; packs never change under their digest."""


def check_repinned(
    state: TherapyState, act: Act, body: policy.TherapyRepinned, moved_to: PolicyPack | None, found: Findings
) -> None:
    """Adds what stands against a move; `moved_to` is the pack it names, None if the ledger has none such."""
    if body.from_policy_digest != state.policy_digest:
        found.add("PACK_NOT_IN_FORCE", act.leaves_of(1))
    if body.to_policy_digest == state.policy_digest:
        found.add("PACK_UNCHANGED", act.leaves_of(2))
    if moved_to is None or moved_to.digest != body.to_policy_digest:
        found.add("POLICY_UNKNOWN", act.leaves_of(2))
    elif (moved_to.product, moved_to.jurisdiction) != (state.product, state.jurisdiction):
        found.add("PACK_OF_ANOTHER_PRODUCT", act.leaves_of(2))
    if not body.circumstances.reason:
        found.add("REASON_MISSING", act.leaves_of(51))


def _evolve_repinned(state: TherapyState, act: Act, body: policy.TherapyRepinned, judged: Judged) -> None:
    joined = (one.signed_at for one in state.others_who_signed(act))
    state.pins.move(max(act.occurred_start, act.signed_at, *joined), state.policy_digest, body.to_policy_digest)
    state.policy_digest = body.to_policy_digest


ACTS = (authorisation(policy.TherapyRepinned, evolve=_evolve_repinned),)
